"""FITS files: a group for every header and data unit, an array for every image in them.

Implements section 3 of the FITS Standard 4.0. Data are big-endian and, outside of compressed
images, contiguous: each image is one affine table of byte ranges.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from refmaker.errors import FormatError, LimitError, RefmakerError, TruncatedError, UnsupportedError
from refmaker.model import Array, Group
from refmaker.model.report import Outcome, ScanReport
from refmaker.scanners.fits.attributes import header_attributes
from refmaker.scanners.fits.declared import FORMAT
from refmaker.scanners.fits.hdus import DATA, HDU, find_hdus
from refmaker.scanners.fits.images import image_array
from refmaker.scanners.fits.tables import BinaryTable
from refmaker.scanners.fits.tiles import compressed_array
from refmaker.scanning.declaration import DeclaredScanner
from refmaker.scanning.names import key_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refmaker.io.source import Source
    from refmaker.scanning.options import ScanOptions
    from refmaker.scanning.protocol import LibraryReader

__all__ = ["FITSScanner"]


class FITSScanner(DeclaredScanner, declaration=FORMAT):
    """Scanner of FITS files."""

    def scan(self, source: Source, options: ScanOptions) -> tuple[Group, ScanReport]:
        """Return the reference set of a file and what became of each unit of it.

        Parameters
        ----------
        source : Source
            The file.
        options : ScanOptions
            Images of up to ``inline_threshold`` bytes are inlined, others cut towards
            ``chunk_bytes``.

        Returns
        -------
        Group
            The root holds the primary header and image, a group below it each extension, named
            by ``EXTNAME`` and ``EXTVER``; an image is the array ``data``.
        ScanReport
            A row for the root (``/``), for every extension, and for all data.

        Raises
        ------
        FormatError, TruncatedError, LimitError
            If the primary header is damaged, incomplete or larger than any real one.
        """
        report = ScanReport(source.url, format=self.name)
        root: dict[str, Array | Group] = {}
        attributes = {}
        for hdu in find_hdus(source, report):
            report.add(hdu.path, Outcome.GROUP)
            members = _members(hdu, source, options, report, primary=DATA in root)
            if hdu.index:
                root[hdu.group] = Group(members, header_attributes(hdu, report))
            else:
                attributes = header_attributes(hdu, report)
                root.update(members)
        return Group(root, attributes), report

    @contextmanager
    def native(self, source: Source) -> Iterator[LibraryReader]:
        """Open the file with astropy.

        Parameters
        ----------
        source : Source
            Read into memory.

        Raises
        ------
        MissingDependencyError
            If astropy is not installed.
        FormatError
            If the library does not open the file.
        """
        from refmaker.scanners.fits.astropy_reader import open_fits

        with open_fits(source) as reader:
            yield reader


def _members(
    hdu: HDU, source: Source, options: ScanOptions, report: ScanReport, *, primary: bool
) -> dict[str, Array]:
    """Return the arrays of a unit; data that cannot be referenced get a row that says why."""
    if not hdu.header.axes:
        return {}
    if _is_table(hdu):
        return _columns(hdu, source, options, report, primary=primary)
    path = hdu.below(DATA)
    try:
        _known_kind(hdu)
        make = compressed_array if _compressed(hdu) else image_array
        array = make(hdu, source, options, report, primary=primary)
    except RefmakerError as error:
        report.add(path, Outcome.SKIPPED, str(error), _code(error))
        return {}
    _account(path, array, report)
    return {DATA: array}


def _columns(
    hdu: HDU, source: Source, options: ScanOptions, report: ScanReport, *, primary: bool
) -> dict[str, Array]:
    """Return the columns of a binary table; each that cannot be referenced gets its row."""
    try:
        table = BinaryTable(hdu, source, options, report, primary=primary)
    except RefmakerError as error:
        report.add(hdu.below(DATA), Outcome.SKIPPED, str(error), _code(error))
        return {}
    members: dict[str, Array] = {}
    names: set[str] = set()
    for column in table.columns:
        name = key_name(column.name)
        while name in names:
            name = f"{name}_col{column.number}"
        if name != column.name:
            report.warn(f"{hdu.path}: the column {column.name!r} is named {name!r} here")
        names.add(name)
        path = hdu.below(name)
        try:
            members[name] = table.array(column, name)
        except RefmakerError as error:
            report.add(path, Outcome.SKIPPED, str(error), _code(error))
        else:
            _account(path, members[name], report)
    return members


def _account(path: str, array: Array, report: ScanReport) -> None:
    """Add the row of an array that is kept."""
    if array.nbytes == 0:
        report.add(path, Outcome.REFERENCED, "it has no elements", "empty")
    elif len(array.chunks.inlined):
        reason = f"its {array.nbytes} bytes are within the inlining threshold"
        report.add(path, Outcome.INLINED, reason, "small")
    else:
        report.add(path, Outcome.REFERENCED)


def _code(error: RefmakerError) -> str:
    """Return the short form of an error."""
    if isinstance(error, UnsupportedError):
        return error.code
    if isinstance(error, LimitError):
        return "limit"
    return "truncated" if isinstance(error, TruncatedError) else "fits-header"


def _is_table(hdu: HDU) -> bool:
    """Whether a unit is a binary table that holds columns."""
    header = hdu.header
    packed = {header.keywords.get("ZIMAGE"), header.keywords.get("ZTABLE")}
    kind = header.text("XTENSION") in ("BINTABLE", "A3DTABLE")
    return kind and hdu.index > 0 and True not in packed and len(header.axes) == 2


def _compressed(hdu: HDU) -> bool:
    """Whether a unit is a tile-compressed image."""
    keywords = hdu.header.keywords
    return hdu.index > 0 and keywords.get("ZIMAGE") is True


def _known_kind(hdu: HDU) -> None:
    """Refuse extensions that are no images."""
    if not hdu.index:
        return
    header = hdu.header
    kind = header.text("XTENSION")
    if kind in ("IMAGE", "IUEIMAGE") or (kind == "BINTABLE" and _compressed(hdu)):
        return
    refused = {
        "TABLE": ("fits-ascii-table", "an ASCII table", "astropy.io.fits reads it"),
        "BINTABLE": ("fits-table", "a binary table with other than 2 axes", "it is damaged"),
    }
    code, what, hint = refused.get(
        kind, ("fits-extension", f"an extension of the kind {kind!r}", "it is not of the standard")
    )
    if header.keywords.get("ZTABLE") is True:
        code, what = "fits-compressed-table", "a compressed table"
        hint = "funpack of cfitsio makes a plain table of it"
    if not kind:
        raise FormatError("XTENSION names no kind of extension", offset=header.start)
    raise UnsupportedError(f"{what} cannot be referenced", code=code, hint=hint)

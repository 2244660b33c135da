"""FITS files: a group for every header and data unit, an array for every image in them.

Implements section 3 of the FITS Standard 4.0. Data are big-endian and, outside of compressed
images, contiguous: each image is one affine table of byte ranges.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from refmaker.errors import FormatError, LimitError, RefmakerError, TruncatedError, UnsupportedError
from refmaker.model import Array, Group
from refmaker.model.report import Outcome, ScanReport
from refmaker.scanners.fits.ascii_tables import ASCIITable
from refmaker.scanners.fits.attributes import header_attributes
from refmaker.scanners.fits.coordinates import linear_coordinates
from refmaker.scanners.fits.declared import FORMAT
from refmaker.scanners.fits.hdus import DATA, HDU, find_hdus
from refmaker.scanners.fits.images import image_array
from refmaker.scanners.fits.packed import PackedSource, open_packed
from refmaker.scanners.fits.random_groups import RandomGroups
from refmaker.scanners.fits.sky import sky_coordinates
from refmaker.scanners.fits.tables import BinaryTable
from refmaker.scanners.fits.tiles import compressed_array
from refmaker.scanning.declaration import DeclaredScanner
from refmaker.scanning.names import key_name
from refmaker.scanning.protocol import setting_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from refmaker.io.source import Source
    from refmaker.scanners.fits.columns import Column
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
            ``chunk_bytes``; the setting ``fits-wcs`` tells which coordinates they get,
            ``fits-tiles`` what the chunks of compressed ones are.

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
        settings = setting_values(self, options)
        wcs, tiles = settings["fits-wcs"], settings["fits-tiles"]
        file = open_packed(source)
        for hdu in find_hdus(file, report):
            report.add(hdu.path, Outcome.GROUP)
            members = _members(hdu, file, options, report, primary=DATA in root, tiles=tiles)
            if wcs != "none" and DATA in members and not _is_groups(hdu):
                image = members[DATA]
                members |= linear_coordinates(hdu, image, options, report)
                if wcs == "2d":
                    sky = sky_coordinates(hdu, file, image, options, report)
                    members |= _with_positions(image, sky)
            if hdu.index:
                root[hdu.group] = Group(members, header_attributes(hdu, report))
            else:
                attributes = header_attributes(hdu, report)
                root.update(members)
        if isinstance(file, PackedSource):
            report.warn(
                "the file is compressed with gzip as a whole: reading any of it reads and unpacks "
                "all of it"
            )
        return Group(root, attributes), report

    def summary(self, group: Group) -> list[dict[str, Any]]:
        """Return the table of a reference set's images; see `refmaker.scanners.fits.summary`.

        Parameters
        ----------
        group : Group
            What a scan returned, or what was read of a written set.
        """
        from refmaker.scanners.fits.summary import summary

        return summary(group)

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
    hdu: HDU,
    source: Source | PackedSource,
    options: ScanOptions,
    report: ScanReport,
    *,
    primary: bool,
    tiles: str,
) -> dict[str, Array]:
    """Return the arrays of a unit; data that cannot be referenced get a row that says why."""
    if not hdu.header.axes:
        return {}
    if _is_table(hdu) or _is_groups(hdu):
        return _columns(hdu, source, options, report, primary=primary)
    path = hdu.below(DATA)
    try:
        _known_kind(hdu)
        if _compressed(hdu):
            array = compressed_array(hdu, source, options, report, primary=primary, wanted=tiles)
        else:
            array = image_array(hdu, source, options, report, primary=primary)
    except RefmakerError as error:
        report.add(path, Outcome.SKIPPED, str(error), _code(error))
        return {}
    _account(path, array, report)
    return {DATA: array}


def _with_positions(image: Array, sky: dict[str, Array]) -> dict[str, Array]:
    """Return longitude and latitude, and an image that names them as its coordinates."""
    if not sky:
        return {}
    attributes = dict(image.attributes) | {"coordinates": " ".join(sky)}
    return {DATA: replace(image, attributes=attributes), **sky}


def _columns(
    hdu: HDU,
    source: Source | PackedSource,
    options: ScanOptions,
    report: ScanReport,
    *,
    primary: bool,
) -> dict[str, Array]:
    """Return the columns of a table; each that cannot be referenced gets its row."""
    kind: type[ASCIITable | BinaryTable | RandomGroups] = BinaryTable
    if not hdu.index:
        kind = RandomGroups
    elif hdu.header.text("XTENSION") == "TABLE":
        kind = ASCIITable
    try:
        table = kind(hdu, source, options, report, primary=primary)
    except RefmakerError as error:
        report.add(hdu.below(DATA), Outcome.SKIPPED, str(error), _code(error))
        return {}
    members: dict[str, Array] = {}
    names = _column_names(hdu, table.columns, report)
    used = set(names)
    for name, column in zip(names, table.columns, strict=True):
        counts = f"{name}_count"
        while counts in used:
            counts = f"{counts}_"
        try:
            found = table.arrays(column, name, counts)
        except RefmakerError as error:
            report.add(hdu.below(name), Outcome.SKIPPED, str(error), _code(error))
            continue
        members |= found
        used |= found.keys()
        for member, array in found.items():
            _account(hdu.below(member), array, report)
    return members


def _column_names(hdu: HDU, columns: Sequence[Column], report: ScanReport) -> list[str]:
    """Return what columns are called: their names, changed where those are no keys or not alone."""
    names: dict[str, None] = {}
    for column in columns:
        name = key_name(column.name)
        while name in names:
            name = f"{name}_col{column.number}"
        if name != column.name:
            report.warn(f"{hdu.path}: the column {column.name!r} is named {name!r} here")
        names[name] = None
    return list(names)


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
    """Whether a unit is a table that holds columns."""
    header = hdu.header
    packed = {header.keywords.get("ZIMAGE"), header.keywords.get("ZTABLE")}
    kind = header.text("XTENSION") in ("BINTABLE", "A3DTABLE", "TABLE")
    return kind and hdu.index > 0 and True not in packed and len(header.axes) == 2


def _is_groups(hdu: HDU) -> bool:
    """Whether a unit holds random groups, and follows the standard."""
    header = hdu.header
    return not hdu.index and header.groups and header.keywords.get("SIMPLE") is True


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
        "TABLE": ("fits-table", "an ASCII table with other than 2 axes", "it is damaged"),
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

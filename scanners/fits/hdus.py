"""The header and data units of a file, each with the name of its group.

Implements section 3 of the FITS Standard 4.0: a primary header and data unit, extensions, and
special records, which have no header.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from refmaker.errors import FormatError, LimitError, RefmakerError
from refmaker.model.report import Outcome
from refmaker.scanners.fits.header import BLOCK, read_header
from refmaker.scanners.fits.packed import PackedSource
from refmaker.scanning.names import key_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refmaker.io.source import Source
    from refmaker.model.report import ScanReport
    from refmaker.scanners.fits.header import Header

__all__ = ["DATA", "HDU", "find_hdus"]

DATA: Final = "data"
"""Name of the array of an image."""
_HEADERS: Final = 64 * 1024**2
"""Bytes of all headers of a file; real files stay far below."""


@dataclass(frozen=True, slots=True)
class HDU:
    """A header and data unit.

    Parameters
    ----------
    index : int
        Its number in the file, from 0.
    group : str
        Name of its group; empty for the primary one, which is the root.
    header : Header
        Its keywords.
    end : int
        The byte after its data, without padding.
    """

    index: int
    group: str
    header: Header
    end: int

    @property
    def path(self) -> str:
        """Path of the group, with a slash in front."""
        return f"/{self.group}"

    def below(self, name: str) -> str:
        """Return the path of an array of this unit."""
        return f"/{self.group}/{name}" if self.group else f"/{name}"


def find_hdus(source: Source | PackedSource, report: ScanReport) -> Iterator[HDU]:
    """Yield all header and data units, in file order.

    A header that cannot be read after the first one ends the walk with a row in the report: where
    the next one would begin is not known.

    Parameters
    ----------
    source : Source or PackedSource
        The file.
    report : ScanReport
        Told of what is behind the last unit, and of names that were changed.

    Raises
    ------
    FormatError, TruncatedError, LimitError
        If the first header is damaged, incomplete or larger than any real one.
    """
    at, index, budget = 0, 0, _HEADERS
    names = {DATA}
    while at < source.size:
        try:
            if isinstance(source, PackedSource) and source.ends_at(at):
                return
            head = source.read_upto(at, min(BLOCK, source.size - at))
            if index and not head.startswith(b"XTENSION"):
                _rest(head, source.size - at, at, report)
                return
            if not index and head[:9] != b"SIMPLE  =":
                raise FormatError(f"not a FITS file: it starts with {head[:9]!r}", offset=0)
            if budget <= 0:
                raise LimitError(f"the headers take more than {_HEADERS} bytes", offset=at)
            header = read_header(source, at, budget)
            nbytes = header.nbytes
        except RefmakerError as error:
            if not index:
                raise
            reason = f"{error}; what follows it cannot be found"
            code = "fits-gzip" if isinstance(source, PackedSource) else "fits-header"
            report.add(_unused(f"HDU{index}", index, names), Outcome.SKIPPED, reason, code)
            return
        budget -= header.data - at
        group = _name(header, index, names, report) if index else ""
        yield HDU(index, group, header, header.data + nbytes)
        at, index = header.data + nbytes + -nbytes % BLOCK, index + 1
    if not index:
        raise FormatError("the file is empty", offset=0)


def _rest(head: bytes, size: int, at: int, report: ScanReport) -> None:
    """Account for what follows the last unit."""
    if head.strip(b"\0 ") or size > BLOCK:
        reason = f"{size} bytes from byte {at} on are no extension"
        report.add("/special records", Outcome.SKIPPED, reason, "fits-special-records")


def _name(header: Header, index: int, names: set[str], report: ScanReport) -> str:
    """Return the name of an extension's group: EXTNAME, with EXTVER if that is not 1."""
    name = header.text("EXTNAME")
    version = header.keywords.get("EXTVER", 1)
    if not name:
        wanted = f"HDU{index}"
    else:
        single = isinstance(version, bool) or not isinstance(version, int) or version == 1
        wanted = name if single else f"{name}_{version}"
    chosen = _unused(key_name(wanted), index, names).removeprefix("/")
    if chosen != wanted:
        report.warn(f"the extension {index}, {wanted!r}, is named {chosen!r} here")
    names.add(chosen)
    return chosen


def _unused(name: str, index: int, names: set[str]) -> str:
    """Return a path that no other unit has."""
    while name in names:
        name = f"{name}_HDU{index}"
    return f"/{name}"

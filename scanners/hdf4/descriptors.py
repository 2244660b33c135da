"""The data descriptors of a file: what elements there are, and where.

Implements section 2.3 of the HDF Specification 4.2: blocks of descriptors of 12 bytes, each block
telling where the next one lies.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from refmaker.errors import FormatError, LimitError, TruncatedError
from refmaker.model.report import Outcome
from refmaker.scanners.hdf4.declared import MAGIC
from refmaker.scanners.hdf4.windows import Windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.io.source import Source
    from refmaker.model.report import ScanReport

__all__ = ["CHUNK", "COMPRESSED_DATA", "NOWHERE", "Descriptor", "Descriptors"]

CHUNK, COMPRESSED_DATA = 61, 40
"""Tags of chunks, and of what is in compressed elements."""
_BY_COLUMN: Final = (CHUNK, COMPRESSED_DATA)

NOWHERE: Final = 0xFFFFFFFF
"""Offset and length of an element that was never written."""
_ROW = np.dtype([("tag", ">u2"), ("ref", ">u2"), ("offset", ">u4"), ("length", ">u4")])
_HEAD, _EMPTY = 6, (1, 108)
"""Bytes before the descriptors of a block; tags of slots that hold none."""
_USUAL: Final = 16
"""Descriptors of a block where nobody chose another number."""
_SPECIAL, _USER = 0x4000, 0x8000


class Descriptor(NamedTuple):
    """Where one element lies."""

    offset: int
    length: int
    special: bool

    @property
    def written(self) -> bool:
        """Whether the element has any bytes."""
        return NOWHERE not in (self.offset, self.length)


class Descriptors:
    """All elements of a file, by column.

    Parameters
    ----------
    source : Source
        The file.
    report : ScanReport
        Gets a row if some descriptors cannot be read.

    Attributes
    ----------
    windows : Windows
        Reads the file.
    tag, ref : ndarray of int64, shape (n,)
        What names an element; the tag without the bit that marks special elements.
    offset, length : ndarray of int64, shape (n,)
        Its bytes, `NOWHERE` if it was never written.
    written : ndarray of bool, shape (n,)
        Whether an element has any bytes.
    special : ndarray of bool, shape (n,)
        Whether these hold, instead of data, a header that tells where data lie.

    Raises
    ------
    FormatError, TruncatedError
        If the file is none of HDF4, or its first block is damaged.
    """

    def __init__(self, source: Source, report: ScanReport) -> None:
        self.windows = Windows(source)
        if source.read_upto(0, 4) != MAGIC:
            raise FormatError("not an HDF4 file: it starts otherwise", offset=0)
        rows = np.frombuffer(b"".join(_blocks(self.windows, source.size, report)), _ROW)
        rows = rows[~np.isin(rows["tag"], _EMPTY)]
        tag = rows["tag"].astype(np.int64)
        self.special = ((tag & _SPECIAL) != 0) & (tag < _USER)
        self.tag = np.where(self.special, tag & ~_SPECIAL, tag)
        self.ref, self.offset, self.length = (
            rows[name].astype(np.int64) for name in ("ref", "offset", "length")
        )
        self.written = (self.offset != NOWHERE) & (self.length != NOWHERE)
        self._keys, self._rows = np.unique(self.tag << 16 | self.ref, return_index=True)
        # Those of chunks, which may be very many, are looked up by columns.
        named = self._rows[~np.isin(self.tag[self._rows], _BY_COLUMN)]
        columns = self.offset[named], self.length[named], self.special[named]
        found = map(Descriptor, *(column.tolist() for column in columns))
        names = (self.tag[named] << 16 | self.ref[named]).tolist()
        self._named = dict(zip(names, found, strict=True))

    def find(self, tag: int, ref: int) -> Descriptor | None:
        """Return where an element lies; None if there is none of that name."""
        if tag not in _BY_COLUMN:
            return self._named.get(tag << 16 | ref)
        row = int(self.rows(np.array([tag << 16 | ref]))[0])
        if row < 0:
            return None
        return Descriptor(int(self.offset[row]), int(self.length[row]), bool(self.special[row]))

    def refs(self, tag: int) -> list[int]:
        """Return the reference numbers of all elements of a tag, in file order."""
        found: list[int] = self.ref[self.tag == tag].tolist()
        return list(dict.fromkeys(found))

    def rows(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the row of each of many elements, shape (n,); -1 for those that are not there.

        Parameters
        ----------
        keys : ndarray of int64, shape (n,)
            Their tags in front of 16 bits with their reference numbers.
        """
        if not self._keys.size:
            return np.full(keys.shape, -1, np.int64)
        at = np.minimum(np.searchsorted(self._keys, keys), self._keys.size - 1)
        return np.where(self._keys[at] == keys, self._rows[at], -1)


def _blocks(windows: Windows, size: int, report: ScanReport) -> list[bytes]:
    """Return the descriptors of all blocks; what cannot be read costs those from there on."""
    found: list[bytes] = []
    seen: set[int] = set()
    at, left = 4, size
    while at:
        try:
            if at in seen:
                raise _cycle(at)
            block, following = _block(windows, at, left)
        except (FormatError, LimitError) as error:
            if not found:
                raise
            reason = f"{error}; elements that are described from there on are not known"
            report.add("/data descriptors", Outcome.SKIPPED, reason, "hdf4-descriptors")
            return found
        found.append(block)
        seen.add(at)
        at, left = following, left - len(block)
    return found


def _cycle(at: int) -> FormatError:
    return FormatError("a cycle of blocks of descriptors", offset=at)


def _block(windows: Windows, at: int, left: int) -> tuple[bytes, int]:
    """Return the descriptors of one block, and where the next one begins."""
    head = windows.read_upto(at, _HEAD + _USUAL * _ROW.itemsize)
    if len(head) < _HEAD:
        raise TruncatedError("a block of descriptors lies past the end of the file", offset=at)
    count, following = struct.unpack_from(">HI", head)
    size = count * _ROW.itemsize
    if not count:
        raise FormatError("a block without descriptors", offset=at)
    if size > left:
        raise LimitError("more descriptors than the file has room for", offset=at)
    if len(head) < _HEAD + size:
        head += windows.read(at + len(head), _HEAD + size - len(head))
    return head[_HEAD : _HEAD + size], following

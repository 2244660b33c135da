"""Linked blocks: elements that lie in several places, in the order of a chain of tables.

Implements SPECIAL_LINKED of the HDF Specification 4.2, section 3.6.1.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from refmaker.errors import FormatError, TruncatedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from refmaker.scanners.hdf4.descriptors import Descriptors

__all__ = ["HOLE", "linked_blocks"]

HOLE: Final = -1
"""Offset of bytes that are not stored: the library reads zeros there."""
_FEW: Final = 32
"""Blocks of an element up to which arrays cost more than they save."""
_LINKED: Final = 20
"""Tag of tables and blocks."""


class _File(Protocol):
    """What elements are looked up in."""

    descriptors: Descriptors
    source: Any

    def read(self, tag: int, ref: int) -> bytes:
        """Return the bytes of an element."""
        ...


def linked_blocks(
    file: _File, sizes: tuple[int, int, int], first: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return offset and length of the ranges of an element in linked blocks.

    Parameters
    ----------
    file : Elements
        The elements of the file.
    sizes : tuple of int
        Bytes of the element, of a block, and the number of blocks in a table.
    first : int
        Reference number of the first table.

    Returns
    -------
    offset, length : ndarray of int64, shape (n,)
        Ranges that follow each other in the file are one; those that are not stored have the
        offset `HOLE`.

    Raises
    ------
    FormatError, TruncatedError
        If the tables form a cycle, or hold less than the element.
    """
    total, block, _ = sizes
    if total < 0 or block <= 0:
        raise FormatError(f"linked blocks of {block} bytes for {total}")
    offsets, lengths = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    first_table = True
    seen: set[int] = set()
    left, ref = total, first
    while ref and left > 0:
        if ref in seen:
            raise FormatError(f"a cycle of tables of linked blocks: {ref} again")
        seen.add(ref)
        raw = _even(file.read(_LINKED, ref))
        if not raw:
            raise FormatError(f"a table of linked blocks, {ref}, without entries")
        if first_table and len(raw) <= 2 * (1 + _FEW):
            few = _few_ranges(file, struct.unpack(f">{len(raw) // 2}H", raw)[1:], block, total)
            if few is not None:
                return few
        table = np.frombuffer(raw, ">u2").astype(np.int64)
        ref = int(table[0])
        offset, length = _ranges(file, table[1:], block)
        alike = slice(int(first_table), None)
        _check_sizes(length[alike], block, left - int(length[: alike.start].sum()))
        first_table = False
        offsets.append(offset)
        lengths.append(length)
        left -= int(length.sum())
    if left > 0:
        raise FormatError(f"linked blocks hold {total - left} bytes of {total}")
    return _joined(np.concatenate(offsets), np.concatenate(lengths), total)


def _check_sizes(length: NDArray[np.int64], block: int, left: int) -> None:
    """Refuse blocks of another size than the header tells: the library takes them for as large.

    The one that the element ends in only has to reach as far.
    """
    end = np.cumsum(length)
    if bool((length[end < left] != block).any()):
        raise _uneven(block)


def _uneven(block: int) -> FormatError:
    return FormatError(f"linked blocks of other sizes than {block} bytes")


def _past_end(end: int, size: int) -> TruncatedError:
    return TruncatedError(
        f"a linked block ends at byte {end}, the file at {size}", hint="the file is incomplete"
    )


def _even(raw: bytes) -> bytes:
    return raw[: len(raw) & ~1]


def _ranges(
    file: _File, refs: NDArray[np.int64], block: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the ranges of the blocks of one table."""
    row = file.descriptors.rows(refs | _LINKED << 16)
    if bool(((row < 0) & (refs != 0)).any()):
        raise FormatError("a linked block that is not there")
    known = file.descriptors
    at = np.maximum(row, 0)
    offset, length = known.offset[at], known.length[at]
    if bool((known.special[at] & (refs != 0)).any()):
        raise FormatError("a linked block that is a special element itself")
    hole = (refs == 0) | ~known.written[at]
    end = np.where(hole, 0, offset + length)
    if bool((end > file.source.size).any()):
        raise _past_end(int(end.max()), file.source.size)
    return np.where(hole, HOLE, offset), np.where(hole, block, length)


def _few_ranges(
    file: _File, refs: Sequence[int], block: int, total: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Return the ranges of an element whose one table is short, as most are; None for others."""
    offsets: list[int] = []
    lengths: list[int] = []
    left = total
    for number, ref in enumerate(refs):
        offset, length = _range(file, ref, block)
        if number and length < left and length != block:
            raise _uneven(block)
        length = min(length, left)
        left -= length
        before = offsets[-1] if offsets else None
        if before is not None and offset == (HOLE if before == HOLE else before + lengths[-1]):
            lengths[-1] += length
        elif length:
            offsets.append(offset)
            lengths.append(length)
        if not left:
            return np.array(offsets, np.int64), np.array(lengths, np.int64)
    return None


def _range(file: _File, ref: int, block: int) -> tuple[int, int]:
    """Return offset and length of one block."""
    found = file.descriptors.find(_LINKED, ref) if ref else None
    if ref and found is None:
        raise FormatError("a linked block that is not there")
    if found is None or not found.written:
        return HOLE, block
    if found.special:
        raise FormatError("a linked block that is a special element itself")
    if found.offset + found.length > file.source.size:
        raise _past_end(found.offset + found.length, file.source.size)
    return found.offset, found.length


def _joined(
    offset: NDArray[np.int64], length: NDArray[np.int64], total: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cut ranges behind the element's end, and join those that follow each other."""
    start = np.cumsum(length) - length
    length = np.clip(total - start, 0, length)
    kept = length > 0
    offset, length = offset[kept], length[kept]
    if not offset.size:
        return offset, length
    hole = offset == HOLE
    follows = np.where(
        hole[1:] | hole[:-1], hole[1:] & hole[:-1], offset[1:] == offset[:-1] + length[:-1]
    )
    first = np.concatenate([[True], ~follows])
    return offset[first], np.add.reduceat(length, np.flatnonzero(first))

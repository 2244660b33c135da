"""Complex packing of GRIB edition 2: groups of integers, each with a reference and a width.

Implements templates 7.2 and 7.3 (with spatial differences). All groups are checked against the
section's length before anything is unpacked.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.codecs.grib_scale import Scale, signed, unpacked
from refmaker.codecs.grib_sections import damaged, number
from refmaker.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from refmaker.codecs.base import Buffer

__all__ = ["ComplexPacking"]

_SHORT_SHIFT, _MAX_WIDTH = 25, 56
"""Widest integers that lie inside four and eight bytes, wherever in a byte they begin."""
_BLOCK = 1 << 17
"""Integers worked on at a time, about: few enough for the cache, and so many that threads do not
wait for one another, as they do between any two operations of numpy."""


@dataclass(frozen=True, slots=True)
class ComplexPacking:
    """Where the integers of a complex packed field lie.

    Parameters
    ----------
    scale : Scale
        Factors of the whole field.
    order : int
        Order of the spatial differences; 0 for template 5.2.
    first : tuple of int
        The first values, as many as `order` says.
    least : int
        What is added to each difference.
    width : int
        Bits of a group's reference.
    missing : int
        How missing values are managed (code table 5.5): 0, 1 or 2.
    references, widths, lengths : ndarray of int64, shape (groups,)
        Of each group: what its integers begin from, their bits, their number.
    data : ndarray of uint8
        The integers.
    """

    scale: Scale
    order: int
    first: tuple[int, ...]
    least: int
    width: int
    missing: int
    references: NDArray[np.int64]
    widths: NDArray[np.int64]
    lengths: NDArray[np.int64]
    data: Buffer

    @classmethod
    def read(cls, section: Buffer, data: Buffer, template: int, count: int) -> ComplexPacking:
        """Read section 5 and the descriptions of the groups in section 7.

        Raises
        ------
        CodecError
            If the groups do not hold `count` integers, or do not lie in section 7.
        """
        (reference,) = struct.unpack(">f", section[11:15].tobytes())
        scale = Scale.of(reference, signed(section[15:17]), signed(section[17:19]))
        missing = int(section[22])
        if missing > 2:
            raise UnsupportedError(
                f"refmaker.grib: management {missing} of missing values (code table 5.5)",
                code="grib-packing",
            )
        groups = number(section[31:35])
        if not 0 < groups <= count:
            damaged(f"{groups} groups for {count} values")
        order, octets = (int(section[47]), int(section[48])) if template == 3 else (0, 0)
        if order > 2 or (template == 3 and not (order and 1 <= octets <= 8)):
            damaged(f"spatial differences of order {order} with {octets} octets")
        extra = data[: (order + 1) * octets] if order else data[:0]
        if extra.size < (order + 1) * octets * bool(order):
            damaged(f"{data.size} bytes of complex packing")
        parts = list(extra.reshape(-1, octets)) if order else []
        # First values are no differences: ecCodes and wgrib2 read them without a sign.
        numbers = [*map(number, parts[:-1]), signed(parts[-1])] if order else [0]
        rest, width = data[extra.size :], int(section[19])
        references, rest = _take(rest, width, groups)
        widths, rest = _take(rest, int(section[36]), groups)
        lengths, rest = _take(rest, int(section[46]), groups)
        widths += int(section[35])
        lengths *= int(section[41])
        lengths += number(section[37:41])
        lengths[-1] = number(section[42:46])
        layout = cls(
            scale, order, tuple(numbers[:-1]), numbers[-1], width, missing, references, widths,
            lengths, rest,
        )  # fmt: skip
        layout.check(count)
        return layout

    def check(self, count: int) -> None:
        """Compare the groups with the number of values and the bytes that hold them."""
        if int(self.lengths.max()) > count or int(self.lengths.sum()) != count:
            damaged(f"groups of {int(self.lengths.sum())} integers, there are {count} values")
        if int(self.widths.max()) > _MAX_WIDTH:
            damaged(f"groups of {int(self.widths.max())} bits an integer")
        if count < self.order:
            damaged(f"differences of order {self.order} between {count} values")
        bits = int((self.lengths * self.widths).sum())
        if bits > self.data.size * 8:
            damaged(f"groups of {bits} bits in {self.data.size} bytes")

    def decode(self, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return the values, shape (count,); those that are marked as missing are NaN."""
        count = int(self.lengths.sum())
        gone = np.empty(count, np.bool_) if self.missing else None
        blocks = self._integers(gone)
        if gone is not None and self.order:
            integers = np.concatenate(list(blocks))
            there = ~gone
            (integers[there],) = self._added_up(iter([integers[there]]))
            blocks = (integers[at : at + _BLOCK] for at in range(0, count, _BLOCK))
        elif self.order:
            blocks = self._added_up(blocks)
        values = self.scale.fill(np.empty(count, dtype), blocks)
        if gone is not None:
            np.copyto(values, np.nan, where=gone)
        return values

    def _marks(self, word: np.dtype[Any]) -> NDArray[Any]:
        """Return for each group the least integer that marks missing values, in type `word`.

        All bits set do, and one less for the second kind. Where a group has no bits of its own
        those of its reference tell: then either all its integers, 0, are marks or none is.
        """
        kinds = self.missing - 1
        # References of no bits are all 0, which is also all ones: such a group is missing.
        alike = self.references >= (1 << self.width) - 1 - kinds
        without = np.where(alike, 0, np.iinfo(word).max)
        marks = np.left_shift(1, self.widths) - 1 - kinds
        return np.where(self.widths == 0, without.astype(word), marks.astype(word))

    def _added_up(self, blocks: Iterator[NDArray[np.int64]]) -> Iterator[NDArray[np.int64]]:
        """Undo the spatial differences of present values, block by block."""
        begin = np.array([self.first[0]])
        sums, starts = [np.zeros(1, np.int64)], begin
        if self.order == 2:
            sums.append(begin)
            starts = np.diff([0, 0, self.first[1]]) - np.array([0, self.first[0]])
        done, room = 0, np.empty(0, np.int64)
        for block in blocks:
            np.add(block, self.least, out=block)
            if room.size < block.size:
                room = np.empty(block.size, np.int64)
            known = starts[done : done + block.size]
            block[: known.size] = known
            done += block.size
            added = block
            # Whole arrays throughout: damaged numbers may go round, without a word from numpy.
            for level, carried in enumerate(sums if block.size else ()):
                added[:1] += carried
                # Summed in place numpy does not let other threads run.
                room, added = added, added.cumsum(out=room[: added.size])
                sums[level] = added[-1:].copy()
            yield added

    def _integers(self, gone: NDArray[np.bool_] | None) -> Iterator[NDArray[np.int64]]:
        """Unpack integers whose width changes from group to group, and add the references.

        Whole groups at a time, so that temporary arrays stay in the cache. Which integers mark
        missing values is put into `gone`, shape (count,).
        """
        size = 4 if int(self.widths.max()) <= _SHORT_SHIFT else 8
        whole = np.dtype(f"u{size}")
        padded = np.concatenate([self.data, np.zeros(size, np.uint8)])
        # Half as wide is twice as fast, where places of bits and integers leave room for it.
        narrow = np.dtype(np.int32 if self.data.size < 1 << 28 else np.int64)
        small = size == 4 and not self.order and int(self.references.max()) < 1 << 30
        references = self.references.astype(np.int32 if small else np.int64)
        widths = self.widths.astype(narrow)
        marks = None if gone is None else self._marks(whole)
        ends, stops = np.cumsum(self.lengths), np.cumsum(self.lengths * self.widths)
        first = begin = bit = 0
        while first < ends.size:
            last = max(first + 1, int(np.searchsorted(ends, begin + _BLOCK, "right")))
            end, stop, here = int(ends[last - 1]), int(stops[last - 1]), self.lengths[first:last]
            width = np.repeat(widths[first:last], here)
            position = np.zeros_like(width)
            width[:-1].cumsum(dtype=narrow, out=position[1:])
            position += bit & 7
            # One word of `size` bytes beginning at each byte.
            count = (stop + 7 >> 3) - (bit >> 3) + 1
            words = np.ndarray((count,), f">u{size}", padded, bit >> 3, (1,)).astype(whole)
            word = words.take(position >> 3, mode="wrap")  # never outside: but faster than "raise"
            position &= 7
            word <<= _unsigned(position, whole)
            # Where a group has no bits all are shifted out, which numpy defines as 0.
            np.subtract(8 * size, width, out=width)
            word >>= _unsigned(width, whole)
            if marks is not None and gone is not None:
                np.greater_equal(word, np.repeat(marks[first:last], here), out=gone[begin:end])
            yield np.add(word.view(f"i{size}"), np.repeat(references[first:last], here))
            first, begin, bit = last, end, stop


def _unsigned(numbers: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return numbers that are not negative in an unsigned type, without a copy if that can be."""
    same = numbers.dtype.itemsize == dtype.itemsize
    return numbers.view(dtype) if same else numbers.astype(dtype)


def _take(data: Buffer, width: int, groups: int) -> tuple[NDArray[np.int64], Buffer]:
    """Unpack one integer a group; return them and the bytes after them."""
    size = -(-width * groups // 8)
    if width > _MAX_WIDTH or size > data.size:
        damaged(f"{groups} groups, described by {width} bits each, in {data.size} bytes")
    if width == 0:
        return np.zeros(groups, np.int64), data
    return unpacked(data, width, groups).astype(np.int64), data[size:]

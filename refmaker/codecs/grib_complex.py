"""Complex packing of GRIB edition 2: groups of integers, each with a reference and a width.

Implements templates 7.2 and 7.3 (with spatial differences). All groups are checked against the
section's length before anything is unpacked; `Layout` therefore also protects ecCodes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.codecs.bitpack import unpack_bits
from refmaker.codecs.grib_scale import Scale, signed
from refmaker.codecs.grib_sections import damaged, number
from refmaker.errors import UnsupportedError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.codecs.base import Buffer

__all__ = ["Layout"]

_MAX_WIDTH = 56
"""Widest integers that are unpacked here: they and seven bits before them fill eight bytes."""
_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class Layout:
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
    def read(cls, section: Buffer, data: Buffer, template: int, count: int) -> Layout:
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
        numbers = [signed(part) for part in extra.reshape(-1, octets)] if order else [0]
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
        integers = _unpack_groups(self.data, self.widths, self.lengths)
        gone = self._marked(integers) if self.missing else None
        integers += np.repeat(self.references, self.lengths)
        if self.order:
            if gone is None:
                self._add_up(integers)
            else:
                there = integers[~gone]
                self._add_up(there)
                integers[~gone] = there
        values = self.scale.scaled(integers, dtype)
        if gone is not None:
            values[gone] = np.nan
        return values

    def _marked(self, integers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which values are missing: all bits set, and one less for the second kind.

        Where a group has no bits of its own, those of its reference tell.
        """
        whole = self.widths == 0
        ones = np.where(whole, (1 << self.width) - 1, (np.int64(1) << self.widths) - 1)
        if not self.width:
            ones[whole] = -2  # no bits at all: nothing is marked
        codes = integers + np.repeat(np.where(whole, self.references, 0), self.lengths)
        limit = np.repeat(ones, self.lengths)
        gone: NDArray[np.bool_] = codes == limit
        if self.missing == 2:
            gone |= codes == limit - 1
        return gone

    def _add_up(self, integers: NDArray[np.int64]) -> None:
        """Undo the spatial differences in place."""
        integers[self.order :] += self.least
        integers[: self.order] = self.first[: integers.size]
        if self.order == 2 and integers.size > 1:
            integers[1] -= integers[0]
            np.cumsum(integers[1:], out=integers[1:])
        np.cumsum(integers, out=integers)


def _take(data: Buffer, width: int, groups: int) -> tuple[NDArray[np.int64], Buffer]:
    """Unpack one integer a group; return them and the bytes after them."""
    size = -(-width * groups // 8)
    if width > _MAX_WIDTH or size > data.size:
        damaged(f"{groups} groups, described by {width} bits each, in {data.size} bytes")
    if width == 0:
        return np.zeros(groups, np.int64), data
    return unpack_bits(data, width, groups).astype(np.int64), data[size:]


def _unpack_groups(
    data: Buffer, widths: NDArray[np.int64], lengths: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Unpack integers whose width changes from group to group."""
    size = 4 if int(widths.max()) <= 25 else 8
    padded = np.concatenate([data, np.zeros(size, np.uint8)])
    # One word of `size` bytes beginning at each byte.
    words = np.ndarray((padded.size - size + 1,), f">u{size}", padded, 0, (1,))
    ends = np.cumsum(lengths)
    out = np.empty(int(ends[-1]), np.int64)
    bits = lengths * widths
    starts = np.cumsum(bits) - bits
    # Whole groups at a time, so that the temporary arrays stay small.
    first = 0
    while first < lengths.size:
        begin = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, begin + _BLOCK, "right")))
        here, width = lengths[first:last], widths[first:last]
        stop = int(ends[last - 1])
        wide = np.repeat(width, here)
        # Bit where an integer begins: that of its group, and its place in the group times width.
        offsets = starts[first:last] - (ends[first:last] - here) * width
        position = np.arange(begin, stop) * wide
        position += np.repeat(offsets, here)
        word = words[position >> 3].astype(f"=u{size}")
        position &= 7
        word <<= position.astype(word.dtype)
        shift = 8 * size - wide
        # Shifting by all bits is undefined: integers without bits are 0.
        word >>= np.minimum(shift, 8 * size - 1).astype(word.dtype)
        word[wide == 0] = 0
        out[begin:stop] = word
        first = last
    return out

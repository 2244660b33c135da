"""The entropy coder of B3D: words, Huffman tables, blocks of 128 codewords.

A B3D chunk is a sequence of little-endian 32-bit words. Fields of bits are read from the most
significant bit of each word downwards and run across words. Codewords come in blocks of 128
whose lengths are listed, so that all blocks are decoded side by side: one numpy operation moves
every block on by one symbol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import CodecError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BLOCK", "HuffmanTable", "WordStream"]

BLOCK = 128
"""Symbols in a block; only the last block of a part may hold fewer."""

_LONGEST = 31
# Codewords up to this length are looked up at once, longer ones (rare, for they are improbable)
# by binary search. 2**12 entries of 8 bytes fit the first-level cache.
_DIRECT = 12
# Blocks decoded together: enough to make numpy's cost per call small, few enough for the cache.
_LANES = 4096
_LENGTH_BITS = 5
_LENGTH_MASK = (1 << _LENGTH_BITS) - 1


class WordStream:
    """The words of a chunk, with a position that counts bits.

    Parameters
    ----------
    data : ndarray of uint8, shape (n,)
        The chunk as stored. `n` is a multiple of 4.

    Attributes
    ----------
    pairs : ndarray of uint64
        ``pairs[i]`` holds words `i` and `i + 1`, so that any 32 bits that begin in word `i` are
        one shift away. Zeros follow the data, so that a block of hostile codewords cannot read
        past the end.
    position : int
        The next bit to be read.

    Raises
    ------
    CodecError
        The data are no whole number of words.
    """

    def __init__(self, data: NDArray[np.uint8]) -> None:
        if data.size % 4:
            raise CodecError(
                f"B3D chunk of {data.size} bytes is no whole number of 32-bit words",
                hint="the chunk is truncated or was not written by the B3D filter",
            )
        self._words = data.size // 4
        words = np.zeros(self._words + BLOCK * _LONGEST // 32 + 3, dtype=np.uint64)
        words[: self._words] = data.view("<u4")
        self.pairs: NDArray[np.uint64] = words[:-1] << np.uint64(32)
        self.pairs |= words[1:]
        self.position = 0

    @property
    def remaining(self) -> int:
        """Bits that are left."""
        return 32 * self._words - self.position

    @property
    def offset(self) -> int:
        """The byte offset of the word in which the next bit lies."""
        return self.position // 32 * 4

    def error(self, message: str) -> CodecError:
        """Make the error that says what is wrong at the present position."""
        return CodecError(f"B3D chunk: {message}", offset=self.offset, hint="the chunk is corrupt")

    def skip(self, bits: int) -> None:
        """Move on by a number of bits; raises CodecError where fewer are left."""
        if bits > self.remaining:
            raise self.error(f"{bits} bits expected, {self.remaining} left")
        self.position += bits

    def align(self) -> None:
        """Move on to the next word boundary."""
        self.position += -self.position % 32

    def field(self, width: int) -> int:
        """Read one unsigned field of at most 32 bits."""
        at = self.position
        self.skip(width)
        return int(self.pairs[at >> 5]) >> (64 - width - (at & 31)) & ((1 << width) - 1)

    def fields(self, count: int, width: int) -> NDArray[np.uint16]:
        """Read equally wide unsigned fields of at most 16 bits, shape ``(count,)``."""
        at = self.position
        self.skip(count * width)
        if not width:
            return np.zeros(count, dtype=np.uint16)
        bits = at + width * np.arange(count, dtype=np.int64)
        return (self.windows(bits) >> np.uint64(64 - width)).astype(np.uint16)

    def halfwords(self, count: int) -> NDArray[np.int64]:
        """Read 16-bit integers in memory order, then align; shape ``(count,)``."""
        at = self.position >> 5
        words = -(-count // 2)
        self.skip(32 * words)
        pairs = self.pairs[at : at + words] >> np.uint64(32)
        return pairs.astype("<u4").view("<u2")[:count].astype(np.int64)

    def windows(self, bits: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Give the bits from each of the given positions on, at least 33, left-justified."""
        window: NDArray[np.uint64] = self.pairs[bits >> 5]
        window <<= (bits & 31).view(np.uint64)
        return window


class HuffmanTable:
    """A canonical Huffman code, of at most 31 bits, for symbols of at most 16.

    Codes of one length follow each other; the first code of a length is the code after the last
    shorter one, shifted left by the growth in length.

    Parameters
    ----------
    counts : ndarray of int64, shape (longest length,)
        How many codes there are of length 1, 2, ... Their Kraft sum is at most 1. Empty where
        codes have no bits because there is but one symbol.
    symbols : ndarray of uint16
        Symbols, ordered by the length of their codes.
    """

    def __init__(self, counts: NDArray[np.int64], symbols: NDArray[np.uint16]) -> None:
        self.symbols = symbols
        self.longest = counts.size
        # Codes left-justified in 31 bits: each length fills the space from `_starts` to `_limits`.
        shifts = _LONGEST - 1 - np.arange(counts.size, dtype=np.int64)
        self._shifts = shifts
        self._limits: NDArray[np.int64] = np.cumsum(counts << shifts)
        self._starts: NDArray[np.int64] = self._limits - (counts << shifts)
        self._ranks: NDArray[np.int64] = np.cumsum(counts) - counts
        lengths = np.repeat(np.arange(1, counts.size + 1, dtype=np.int64), counts)
        # An entry of 0 stands for "no code here".
        self._entries: NDArray[np.int64] = symbols[: lengths.size].astype(np.int64)
        self._entries <<= _LENGTH_BITS
        self._entries |= lengths
        self._width = min(_DIRECT, counts.size)
        short = int(counts[: self._width].sum())
        table = np.repeat(self._entries[:short], 1 << (self._width - lengths[:short]))
        self._table: NDArray[np.int64] = np.zeros(1 << self._width, dtype=np.int64)
        self._table[: table.size] = table

    @classmethod
    def read(cls, stream: WordStream, *, single_width: int) -> HuffmanTable:
        """Read a table and move on to the word after it.

        Parameters
        ----------
        stream : WordStream
            Positioned at the table.
        single_width : int
            The bits of the only symbol of a table that gives their number as 0. (With more than
            one symbol, 0 always stands for 16, as the field is too narrow for that.)

        Returns
        -------
        HuffmanTable

        Raises
        ------
        CodecError
            The table is truncated, contradicts itself, or is no prefix code.
        """
        longest = stream.field(5)
        counts = stream.fields(longest, 16).astype(np.int64)
        number = stream.field(16)
        width = stream.field(4)
        if longest and number == 0:
            # 65,536 symbols, the one number that the field cannot hold. If all codes are of
            # 16 bits, the count of that length has wrapped as well.
            number = 1 << 16
            if longest == 16 and not counts.any():
                counts[15] = number
        if longest and int(counts.sum()) != number:
            raise stream.error(f"Huffman table of {number} symbols has {int(counts.sum())} codes")
        if not longest and number > 1:
            raise stream.error(f"Huffman table of {number} symbols has no codes")
        if int((counts << (_LONGEST - 1 - np.arange(longest))).sum()) > 1 << _LONGEST:
            raise stream.error("the codes of the Huffman table overlap")
        if width == 0:
            width = single_width if number == 1 else 16
        symbols = stream.fields(number, width)
        stream.align()
        return cls(counts, symbols)

    def decode(
        self, stream: WordStream, start: int, sizes: NDArray[np.int64], size: int, count: int
    ) -> NDArray[np.uint16]:
        """Decode all blocks of a part.

        Parameters
        ----------
        stream : WordStream
            Its position is not used.
        start : int
            Bit position of the first codeword.
        sizes : ndarray of int64, shape (ceil(count / 128),)
            Entry `i` is the number of bits of block `i - 1`; the first entry is 0.
        size : int
            The number of bits of all codewords; they lie within the stream.
        count : int
            The number of symbols, at least 1.

        Returns
        -------
        ndarray of uint16, shape (count,)

        Raises
        ------
        CodecError
            A codeword is not in the table, or a block does not end where the next one begins.
        """
        ends = np.append(np.cumsum(sizes)[1:], size)
        starts = np.append(sizes[:1], ends[:-1])
        if starts[0] != 0 or starts[-1] > size:
            raise stream.error(f"the listed lengths of blocks do not fit their {size} bits")
        if not self.longest:
            if not self.symbols.size or size:
                raise stream.error("a Huffman table without codes cannot decode anything")
            return np.full(count, self.symbols[0], dtype=np.uint16)
        out = np.empty((sizes.size, BLOCK), dtype=np.uint16)
        for first in range(0, sizes.size, _LANES):
            lanes = slice(first, first + _LANES)
            tail = min(count - (min(first + _LANES, sizes.size) - 1) * BLOCK, BLOCK)
            entries, reached = self._lockstep(stream, start + starts[lanes], tail)
            wrong = np.flatnonzero((reached != start + ends[lanes]) | ~entries.all(axis=0))
            if wrong.size:
                block = int(wrong[0])
                stream.position = start + int(starts[first + block])
                raise stream.error(f"block {first + block} of codewords cannot be decoded")
            entries >>= _LENGTH_BITS
            out[lanes] = entries.T
        return out.reshape(-1)[:count]

    def _lockstep(
        self, stream: WordStream, position: NDArray[np.int64], tail: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Decode some blocks side by side, the last of which has only `tail` symbols.

        Returns the table entries, shape (128, blocks), 0 where there was no code, and the bit
        positions reached.
        """
        entries = np.ones((BLOCK, position.size), dtype=np.int64)
        scratch = np.empty((3, position.size), dtype=np.int64)
        rest = np.uint64(64 - self._width)
        lanes = position.size
        for step in range(BLOCK):
            if step == tail:
                lanes -= 1
            # Explicit outputs: the arrays are small, and allocating would be half of the time.
            at, entry = position[:lanes], entries[step, :lanes]
            index, window, shift = scratch[:, :lanes]
            unsigned: NDArray[np.uint64] = window.view(np.uint64)
            np.right_shift(at, 5, out=index)
            np.take(stream.pairs, index, out=unsigned, mode="clip")
            np.bitwise_and(at, 31, out=shift)
            np.left_shift(unsigned, shift.view(np.uint64), out=unsigned)
            np.right_shift(unsigned, rest, out=unsigned)
            np.take(self._table, window, out=entry, mode="clip")
            if self.longest > self._width and not entry.all():
                self._long_codes(stream, at, entry)
            np.bitwise_and(entry, _LENGTH_MASK, out=shift)
            np.add(at, shift, out=at)
        return entries, position

    def _long_codes(
        self, stream: WordStream, position: NDArray[np.int64], entry: NDArray[Any]
    ) -> None:
        """Fill in the entries that the table of short codes lacks."""
        lanes = np.flatnonzero(entry == 0)
        window = (stream.windows(position[lanes]) >> np.uint64(64 - _LONGEST)).view(np.int64)
        length = np.searchsorted(self._limits, window, side="right")
        known = length < self.longest
        lanes, window, length = lanes[known], window[known], length[known]
        within = (window - self._starts[length]) >> self._shifts[length]
        entry[lanes] = self._entries[self._ranks[length] + within]

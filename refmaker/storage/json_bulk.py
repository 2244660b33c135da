"""ParsedReferences of large reference documents, parsed in bulk.

A document with a million references is a million times the same text with other numbers in
it. Where neighbouring rows differ in nothing but their digits, one of them is parsed with
care, the others are compared with it byte by byte, and their numbers are read by column.
Everything else is left to a JSON parser.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Block", "ParsedReferences", "parse_rows"]

WINDOW = 1 << 13
"""Rows looked at together: the temporary columns stay in the processor's cache."""
_FEW = 64
"""A block of fewer rows costs more than it saves."""
_WIDTH = 18
"""Digits of the largest number that surely fits into 64 bits."""
_ZERO, _SPAN = np.uint8(48), np.uint8(10)
_SPACE = b" \t\r\n"

_ROW = re.compile(
    rb'[ \t\r\n]*"((?:(?:[^"\\]|\\.)*(?:/|\\/))?)([0-9]+(?:\.[0-9]+)*)"[ \t\r\n]*:[ \t\r\n]*'
    rb'\[[ \t\r\n]*"((?:[^"\\]|\\.)*)"'
    rb"(?:[ \t\r\n]*,[ \t\r\n]*([0-9]+)[ \t\r\n]*,[ \t\r\n]*([0-9]+))?[ \t\r\n]*\]"
    rb"[ \t\r\n]*,?[ \t\r\n]*",
    re.DOTALL,
)
_NUMBER = re.compile(rb"[0-9]+")


class Block(NamedTuple):
    """Neighbouring references of one array.

    Parameters
    ----------
    prefix : bytes
        What stands before the chunk's numbers in the key, as JSON text without quotes.
    at : ndarray of int64, shape (n, rank)
        Position of each chunk in the grid.
    urls : list of bytes
        The URLs as JSON texts without quotes, not expanded.
    url : ndarray of int64, shape (n,)
        Which of them each row has.
    offset, length : ndarray of int64, shape (n,), optional
        The byte range; None where rows mean whole files.
    """

    prefix: bytes
    at: NDArray[np.int64]
    urls: list[bytes]
    url: NDArray[np.int64]
    offset: NDArray[np.int64] | None
    length: NDArray[np.int64] | None


@dataclass(slots=True)
class ParsedReferences:
    """What bulk parsing made of the members of an object.

    Parameters
    ----------
    blocks : list of Block
        In the order of the text.
    rest : list of (int, int)
        Start and stop of the texts that are left: each must be whole members by itself.
    """

    blocks: list[Block] = field(default_factory=list)
    rest: list[tuple[int, int]] = field(default_factory=list)

    def leave(self, start: int, stop: int) -> None:
        """Leave a piece of text to others, together with the piece before it."""
        if self.rest and self.rest[-1][1] == start:
            start = self.rest.pop()[0]
        if stop > start:
            self.rest.append((start, stop))


def parse_rows(data: bytes, start: int, stop: int) -> ParsedReferences:
    """Parse the members of a JSON object of references.

    Parameters
    ----------
    data : bytes
        The document.
    start, stop : int
        Where the members begin and end, without the braces around them.

    Returns
    -------
    ParsedReferences
        References that were read, and texts that were not. If every one of these is a sequence of
        members, all of it together is what the document says.
    """
    text = np.frombuffer(data, np.uint8)[start:stop]
    edges = _edges(text)
    rows = ParsedReferences()
    at, last, misses = 0, edges.size - 1, 0
    while at < last:
        begin = start + int(edges[at])
        match = _ROW.match(data, begin, min(stop, begin + 65536))
        if match is None or match.end() < start + int(edges[at + 1]) or last - at < _FEW:
            count = 0
        else:
            window = edges[at : min(at + WINDOW, last) + 1]
            count = _Window(text, window, start, match).read(rows.blocks)
        # Where no rows are alike looking costs more than it gives: look ever more rarely.
        misses = min(misses + 1, 14) if count < _FEW else 0
        at += count
        if misses:
            skip = min(last - at, 1 << misses)
            rows.leave(start + int(edges[at]), start + int(edges[at + skip]))
            at += skip
    return rows


def _edges(text: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return where rows begin and end: behind every ``],`` that a quote follows."""
    found = np.flatnonzero(text[:-3] == 93) if text.size > 3 else np.empty(0, np.int64)
    found = found[text[found + 1] == 44]
    after, second = text[found + 2], text[found + 3]
    space = np.isin(after, np.frombuffer(_SPACE, np.uint8))
    found = found[(after == 34) | (space & (second == 34))]
    return np.concatenate([[0], found + 2, [text.size]]).astype(np.int64)


class _Window:
    """Some thousand rows, of which the first was parsed."""

    def __init__(
        self,
        text: NDArray[np.uint8],
        edges: NDArray[np.int64],
        base: int,
        match: re.Match[bytes],
    ) -> None:
        first = int(edges[0])
        self._text = text[first : int(edges[-1])]
        self._edges = edges - first
        self._match = match
        self._parts = [self._runs(match, group) for group in range(1, 6)]
        self._base = base + first

    @staticmethod
    def _runs(match: re.Match[bytes], group: int) -> int:
        return len(_NUMBER.findall(match[group])) if match[group] is not None else 0

    def read(self, blocks: list[Block]) -> int:
        """Append the leading rows that are alike as a block; returns how many they are."""
        digit = (self._text - _ZERO) < _SPAN
        begins = digit.copy()
        begins[1:] &= ~digit[:-1]
        count = self._alike(digit, begins)
        if count == 0:
            return 0
        stop = int(self._edges[count])
        ends = digit[:stop].copy()
        ends[:-1] &= ~digit[1:stop]
        low = np.flatnonzero(begins[:stop]).reshape(count, -1)
        width = np.flatnonzero(ends).reshape(count, -1) + 1 - low
        if low.shape[1] != sum(self._parts):
            return 0
        count = self._usable(low, width)
        if count >= _FEW:
            blocks.append(self._block(low[:count], width[:count]))
            return count
        return 0

    def _alike(self, digit: NDArray[np.bool_], begins: NDArray[np.bool_]) -> int:
        """Return how many leading rows are the first one but for their digits."""
        keep = begins | ~digit
        shape = np.where(digit, _ZERO, self._text)[keep]
        widths = np.add.reduceat(keep, self._edges[:-1], dtype=np.int32)
        width = int(widths[0])
        others = np.flatnonzero(widths != width)
        count = int(others[0]) if others.size else widths.size
        table = shape[: count * width].reshape(count, width)
        differs = np.flatnonzero((table != table[0]).any(axis=1))
        return int(differs[0]) if differs.size else count

    def _usable(self, low: NDArray[np.int64], width: NDArray[np.int64]) -> int:
        """Return how many leading rows have numbers of the expected form, and one prefix."""
        prefix, rank, url, *_ = self._parts
        good = np.ones(low.shape[0], bool)
        for column in range(low.shape[1]):
            wide = width[:, column]
            good &= wide <= _WIDTH
            if not prefix + rank <= column < prefix + rank + url and column >= prefix:
                # Neither JSON nor chunk keys write zeros before a number.
                good &= (wide == 1) | (self._text[low[:, column]] != _ZERO)
        if prefix:
            values = self._values(low[:, :prefix], width[:, :prefix])
            good &= (values == values[0]).all(axis=1)
            good &= (width[:, :prefix] == width[0, :prefix]).all(axis=1)
        bad = np.flatnonzero(~good)
        return int(bad[0]) if bad.size else low.shape[0]

    def _values(self, low: NDArray[np.int64], width: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the numbers that begin at some places, of given widths up to 18 digits."""
        values = np.zeros(low.shape, np.int64)
        text = self._text
        for place in range(min(int(width.max(initial=0)), _WIDTH)):
            inside = place < width
            digit = text[np.where(inside, low + place, low)].astype(np.int64) - 48
            values = np.where(inside, values * 10 + digit, values)
        return values

    def _block(self, low: NDArray[np.int64], width: NDArray[np.int64]) -> Block:
        prefix, rank, url, spans, _ = self._parts
        a, b = prefix, prefix + rank
        at = self._values(low[:, a:b], width[:, a:b])
        urls, numbers = self._urls(low[:, b : b + url], width[:, b : b + url])
        offset = length = None
        if spans:
            offset = self._values(low[:, -2], width[:, -2])
            length = self._values(low[:, -1], width[:, -1])
        return Block(self._match[1], at, urls, numbers, offset, length)

    def _urls(
        self, low: NDArray[np.int64], width: NDArray[np.int64]
    ) -> tuple[list[bytes], NDArray[np.int64]]:
        """Return the distinct URLs, and which one each row has."""
        code = np.zeros(low.shape[0], np.int64)
        if low.shape[1]:
            values = self._values(low, width)
            for column in (*values.T, *width.T):
                if bool((column != column[0]).any()):
                    # Numbered anew after each column, so that the product stays small.
                    distinct, inverse = np.unique(column, return_inverse=True)
                    code = np.unique(code * distinct.size + inverse, return_inverse=True)[1]
        _, first, number = np.unique(code, return_index=True, return_inverse=True)
        return [self._url_text(row) for row in first.tolist()], number

    def _url_text(self, row: int) -> bytes:
        a, b = int(self._edges[row]), int(self._edges[row + 1])
        match = _ROW.match(self._text[a:b].tobytes())
        if match is None:
            raise AssertionError("a row like one that matches")
        return match[3]

"""Headers of the messages of a remote file, fetched from many places of it at a time.

A message tells only where the next one begins, so that a walk waits for every header of a file
whose messages are of different lengths. Here the file is cut into spans; in each the first message
is looked for, and all spans are walked side by side. What is fetched stays in the source's cache,
where the walk that follows finds it, or not: it believes nothing that is done here.
"""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from refmaker.io.source import Source

__all__ = ["HEADER", "fetch_headers", "message_length"]

HEADER = 512
"""Bytes read of a message at first: all its sections but the data, as a rule."""
_MOST, _MESSAGES = 32, 8
"""Spans at most, and messages of each at least, as far as can be told."""
_BLOCKS = 32 * 1024, 1024**2
"""Bytes that are searched at a time, at least and at most: a third of a message."""
_SHARE = 12
"""One over the share of the file that is searched."""
_HEAD = 21
"""Bytes of a message that tell it from noise."""
_SECTION = struct.Struct(">IB").unpack_from


def message_length(head: bytes) -> int:
    """Return the length of the message that begins with some bytes, as it says; 0 for none."""
    if head[:4] != b"GRIB" or len(head) < _HEAD:
        return 0
    if head[7] == 1 and 28 <= int.from_bytes(head[8:11], "big") < 4096:
        return int.from_bytes(head[4:7], "big")
    if head[7] == 2 and head[20] == 1 and int.from_bytes(head[16:20], "big") < 4096:
        return int.from_bytes(head[8:16], "big")
    return 0


def fetch_headers(source: Source, start: int, mean: float) -> None:
    """Have the headers and ends of messages in the cache of a source, as far as they are found.

    Parameters
    ----------
    mean : float
        Bytes of a message, as far as is known.
    """
    rest = source.size - start
    count = min(_MOST, int(rest / (_MESSAGES * max(mean, 1))))
    if count < 2:
        return
    block = int(min(max(mean / 3, _BLOCKS[0]), _BLOCKS[1]))
    edges = [start + rest * i // count for i in range(count + 1)]
    spans = [_Span(source, *pair, block) for pair in pairwise(edges)]
    spans[0].found = True
    budget = rest // _SHARE
    while any(span.wanted for span in spans):
        source.prefetch([place for span in spans for place in span.wanted])
        for span in spans:
            budget -= 0 if span.found else sum(length for _, length in span.wanted)
            span.advance()
        _hand_over(spans, give_up=budget < 0)


def _hand_over(spans: list[_Span], *, give_up: bool) -> None:
    """Let spans go on where the next one found nothing."""
    for before, span in reversed(list(pairwise(spans))):
        if not span.found and (give_up or not span.wanted):
            before.stop = span.stop
            spans.remove(span)


class _Span:
    """A part of a file: where its next message is, or is looked for.

    Attributes
    ----------
    found : bool
        Whether a message was found.
    wanted : list of (int, int)
        Offset and length of what is needed to go on; none at the end.
    """

    def __init__(self, source: Source, start: int, stop: int, block: int) -> None:
        self._source = source
        self._at, self.stop, self._block = start, stop, block
        self._length = 0
        self._sure = False
        self.found = False
        self.wanted = [(start, HEADER if start == 0 else block)]

    def advance(self) -> None:
        """Go on by what was fetched."""
        if not self.wanted:
            return
        if not self.found:
            self._search()
        elif self._length:
            self._hop()
        else:
            self._enter(self._source.read_upto(self._at, HEADER))

    def _search(self) -> None:
        """Look for a message in a block."""
        data = self._source.read_upto(self._at, self._block)
        at = data.find(b"GRIB")
        while at >= 0:
            length = message_length(data[at : at + _HEAD])
            if length and self._at + at + length <= self._source.size:
                self.found = True
                self._at += at
                self._enter(data[at : at + HEADER])
                return
            at = data.find(b"GRIB", at + 1)
        # The first bytes of a message may be the last of the block.
        self._at += self._block - _HEAD
        self.wanted = [(self._at, self._block)] if self._at < self.stop else []

    def _hop(self) -> None:
        """Go on to the message that follows."""
        data = self._source.read_upto(self._at + self._length - 4, 4 + HEADER)
        if not self._sure and data[:4] != b"7777":
            # What was found only looked like a message.
            self.found, self._length = False, 0
            self._at += 4
            self.wanted = [(self._at, self._block)] if self._at < self.stop else []
            return
        self._sure = True
        self._at += self._length
        self._enter(data[4:])

    def _enter(self, head: bytes) -> None:
        """Learn of the message that begins here; what is none is left to the walk."""
        self._length = message_length(head)
        end = self._at + self._length
        if not self._length or self._at >= self.stop or end > self._source.size:
            self.wanted = []
            return
        self.wanted = [(end - 4, 4 + HEADER)]
        beyond = _beyond(head)
        if 0 < beyond < self._length - 4:
            self.wanted.append((self._at + beyond, HEADER))


def _beyond(head: bytes) -> int:
    """Return where the first section begins that is not at hand: behind a bitmap, as a rule."""
    if head[7] == 1:
        at, flags = 8, head[15]
        for present in (True, flags & 0x80, flags & 0x40):
            if present and at + 3 <= len(head):
                at += int.from_bytes(head[at : at + 3], "big")
        return at if at + 11 > len(head) else 0
    at = 16
    while at + 5 <= len(head):
        length, number = _SECTION(head, at)
        if number == 7 or length < 5:
            return 0
        at += length
    return at

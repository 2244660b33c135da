"""Headers of messages, read with as few bytes and requests as their lengths allow.

Small messages are read as blocks and cut in memory, large ones are hopped over. Of a remote
file the headers that lie ahead are fetched together: at one distance where messages follow at
one, from many places of the file at a time where they do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from refmaker.scanners.grib.spans import HEADER, fetch_headers, message_length

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from refmaker.io.source import Source

__all__ = ["HEADER", "HeaderReader"]

_SMALL = {True: 32 * 1024, False: 256 * 1024}
"""Mean length of messages up to which blocks are read, of local and of remote files."""
_BLOCK = {True: 1024**2, False: 4 * 1024**2}
_SPARSE = 16 * 1024**2
"""Remote files from this size on are read in blocks of `HEADER` bytes; see `Source`."""
_AHEAD = 64
"""Headers fetched together at most, where messages follow at equal distances."""
_ALONE = 8
"""Headers that are waited for one after the other before the rest is fetched once more."""


class HeaderReader:
    """Reads pieces of a file, mostly forwards.

    Use as a context manager.

    Parameters
    ----------
    source : Source
        The file. What reading costs is counted there.
    """

    def __init__(self, source: Source) -> None:
        self.size = source.size
        self._source = source
        self._local = source.path is not None
        self._block = HEADER
        self._start, self._buffer = 0, b""
        self._piece_start, self._piece = 0, b""
        self._mean = 0.0
        self._last = self._ahead = 0
        self._alone, self._patience = 0, 1

    def __enter__(self) -> Self:
        if not self._local and self.size > _SPARSE:
            self._source.sparse(HEADER)
        return self

    def __exit__(self, *_: object) -> None:
        self._buffer = self._piece = b""

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes of a range, fewer at the end of the file."""
        at = offset - self._start
        if at >= 0 and at + length <= len(self._buffer):
            return self._buffer[at : at + length]
        wanted = max(length, self._block)
        if not self._local:
            self._source.prefetch([(offset, wanted)])
        self._start, self._buffer = offset, self._source.read_upto(offset, wanted)
        return self._buffer[:length]

    def held(self, offset: int) -> tuple[bytes, int]:
        """Return the block that holds small messages from an offset on, and where in it that is."""
        at = offset - self._start
        if self._block == HEADER or not 0 <= at < len(self._buffer):
            return b"", 0
        return self._buffer, at

    def peek(self, offset: int, length: int) -> bytes:
        """Return the bytes of a range as `read` does, without leaving the place it reads at."""
        for start, held in ((self._start, self._buffer), (self._piece_start, self._piece)):
            at = offset - start
            if at >= 0 and at + length <= len(held):
                return held[at : at + length]
        wanted = max(length, HEADER)
        if not self._local:
            self._source.prefetch([(offset, wanted)])
        self._piece_start, self._piece = offset, self._source.read_upto(offset, wanted)
        return self._piece[:length]

    def aside(self, offset: int, length: int) -> bytes:
        """Return the bytes of a range, and forget them."""
        return self._source.read_upto(offset, length)

    def end(self, offset: int, length: int) -> bytes:
        """Return the last bytes of a message, with the header of the next where that is far."""
        if self._block > HEADER:
            return self.peek(offset, length)
        return self.read(offset, length + HEADER)[:length]

    def hop(self, offset: int, length: int) -> None:
        """Learn that a message of `length` bytes lies at `offset`; prepares what comes next."""
        self._mean += (length - self._mean) * (0.05 if self._mean else 1)
        small = self._mean < _SMALL[self._local]
        self._block = _BLOCK[self._local] if small else HEADER
        if self._local or small:
            return
        # Messages of one grid that are packed simply have one length, and so have their
        # headers one distance. A guess that misses costs no round, but the bytes.
        self._ahead = min(_AHEAD, max(1, 2 * self._ahead)) if length == self._last else 0
        self._last = length
        # The header of the message that follows came with the end of this one.
        after = offset + 2 * length
        if self._ahead > 1 and not self._source.at_hand([(after - 4, 4 + HEADER)]):
            self.announce([after + length * i for i in range(self._ahead)])
        elif not self._ahead:
            self._hop_alone(offset + length)

    def _hop_alone(self, offset: int) -> None:
        """Fetch headers by spans where messages of other lengths would be waited for singly."""
        if not self._source.at_hand([(offset, HEADER)]):
            return
        following = message_length(self._source.read_upto(offset, HEADER))
        end = offset + following
        if following in (0, self._last) or end + HEADER > self.size:
            return
        if not self._source.at_hand([(end - 4, 4 + HEADER)]):
            self._alone += 1
            if self._alone >= self._patience:
                self._alone, self._patience = 0, _ALONE
                fetch_headers(self._source, offset, (self._mean + following) / 2)

    def announce(self, offsets: Sequence[int]) -> None:
        """Fetch the headers of messages that begin at these offsets, in one round."""
        if not self._local:
            self._source.prefetch([(max(0, at - 4), 4 + HEADER) for at in offsets])

"""A remote file behind a sparse cache of equal blocks.

Readers announce the ranges that they are about to need, which are fetched concurrently in
one round; small reads in between are served from memory. When that costs more than fetching
the file would, the rest of the file is fetched.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise
from threading import RLock
from typing import TYPE_CHECKING, Any

from refmaker.errors import LimitError
from refmaker.io.archive_members import MemberFile, open_member
from refmaker.io.remote_file import Piece, RemoteFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from refmaker.model.report import Cost, Fingerprint

__all__ = ["BLOCK", "CACHE", "FIRST", "WHOLE_FILE", "BlockCache"]

BLOCK = 8 * 1024
"""Bytes of one block of the cache: what an announced range costs at least."""
WINDOW = 64 * 1024
"""Bytes fetched for a read that was not announced; metadata clusters at this scale."""
WHOLE_FILE = 16 * 1024**2
"""A remote file up to this size is fetched at once: two round trips cost more."""
FIRST = 512 * 1024
"""Bytes fetched together with the file's size, where that is possible (HTTP)."""
PART = 8 * 1024**2
"""Largest single request; larger ranges are split and fetched concurrently."""
WAVE = 128 * 1024**2
"""Bytes under way at a time, which are in memory twice until they are in the cache."""
CACHE = 512 * 1024**2
"""Bytes of blocks kept; beyond it those unused for longest are dropped."""
LATENCY, BANDWIDTH = 0.05, 50e6
"""Seconds a round and bytes a second of an ordinary object store, to weigh one by the other."""
PATIENCE = 4
"""How many times what the whole file costs a reader spends that asked for sparse reading."""
SIDE_BY_SIDE = 10
"""Requests that a store answers at a time, where very many small ones are weighed."""


class BlockCache:
    """A remote file with its cache; one thread at a time reads it, others wait.

    Parameters
    ----------
    url : str
        Any URL that fsspec knows.
    storage_options : mapping
        Passed to fsspec.
    cost : Cost
        Counted up with every request.
    block_size : int
        Bytes of a block of the cache.
    whole_file : int
        Files up to this many bytes are fetched at once.
    unpack : bool
        As for `Source`.

    Attributes
    ----------
    fingerprint : Fingerprint
        The file as it was when opened.
    window : int
        Bytes of the aligned window that a read brings along which was not announced.
    """

    def __init__(
        self,
        url: str,
        storage_options: Mapping[str, Any],
        cost: Cost,
        *,
        block_size: int = BLOCK,
        whole_file: int = WHOLE_FILE,
        unpack: bool = False,
    ) -> None:
        self.url = url
        self._block = block_size
        self._whole_file = whole_file
        self.window = max(WINDOW, block_size)
        self._sparse = False
        self._cost = cost
        self._lock = RLock()
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        first = -(-FIRST // block_size) * block_size
        member = open_member(url, storage_options, cost, first, unpack=unpack)
        self._ranges: MemberFile | RemoteFile = member or RemoteFile.open(
            url, storage_options, cost, first=first, largest=CACHE
        )
        self.fingerprint = self._ranges.fingerprint
        self._size = self.fingerprint.size
        self._keep(self._ranges.head)

    def read(self, offset: int, length: int) -> bytes:
        """Return a range that lies inside the file."""
        if length == 0:
            return b""
        size = self._block
        first, last = offset // size, (offset + length - 1) // size
        start = offset - first * size
        with self._lock:
            for number in range(first, last + 1):
                if number not in self._blocks:
                    self._need(self._windows(first, last))
                    break
                self._blocks.move_to_end(number)
            if first == last:
                return self._blocks[first][start : start + length]
            # Only what is wanted is copied: no second copy of a range of many blocks.
            parts = [memoryview(self._blocks[number]) for number in range(first, last + 1)]
        parts[-1] = parts[-1][: offset + length - last * size]
        parts[0] = parts[0][start:]
        return b"".join(parts)

    def read_into(self, offset: int, view: memoryview) -> None:
        """Fill a buffer from a range that lies inside the file."""
        view[:] = self.read(offset, len(view))

    def at_hand(self, ranges: Iterable[tuple[int, int]]) -> bool:
        """Tell whether ranges can be read without a request."""
        size = self._block
        return all(
            number in self._blocks
            for offset, length in ranges
            for number in range(offset // size, (offset + length - 1) // size + 1)
        )

    def prefetch(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Fetch what is missing of many ranges in one round, as far as the cache holds it."""
        size = self._block
        most = max(1, CACHE // size)
        wanted: set[int] = set()
        for offset, length in ranges:
            if length > 0:
                first, last = offset // size, (offset + length - 1) // size
                wanted.update(range(first, min(last, first + most) + 1))
            if len(wanted) >= most:
                break
        with self._lock:
            self._need(sorted(wanted)[:most])

    def sparse(self, block: int) -> None:
        """Go on with smaller blocks, and with more patience before all of the file is fetched."""
        if self._size <= self._whole_file:
            return
        with self._lock:
            size = self._block
            while size > max(block, 1) and size % 2 == 0:
                size //= 2
            parts = self._block // size
            kept = self._blocks
            self._block, self._blocks, self._sparse = size, OrderedDict(), True
            for number, data in kept.items():
                for at in range(0, len(data), size):
                    self._blocks[number * parts + at // size] = data[at : at + size]

    def describe(self) -> Fingerprint:
        """Return what the store says of the file now."""
        return self._ranges.describe()

    def close(self) -> None:
        """Give back the memory of the cache."""
        with self._lock:
            self._blocks.clear()

    def _windows(self, first: int, last: int) -> range:
        """Return the blocks of the windows that hold some blocks, with the head of the file."""
        width = max(1, self.window // self._block)
        low, high = first - first % width, last - last % width + width
        if low == 0:
            high = max(high, FIRST // self._block)
        return range(low, min(high, -(-self._size // self._block)))

    def _need(self, numbers: range | list[int]) -> None:
        """Have these blocks in the cache, all at once."""
        missing = []
        for number in numbers:
            if number in self._blocks:
                self._blocks.move_to_end(number)
            else:
                missing.append(number)
        if not missing:
            return
        if self._worth_all(missing):
            everything = range(-(-self._size // self._block))
            missing = [number for number in everything if number not in self._blocks]
        self._fetch(missing)
        self._drop(numbers)

    def _worth_all(self, missing: list[int]) -> bool:
        """Whether fetching the rest of the file is cheaper than going on piecemeal."""
        if self._size <= self._whole_file:
            return True
        if self._size > CACHE:
            return False
        spent = self._cost.bytes_read + len(missing) * self._block
        cost = self._cost.rounds * LATENCY + spent / BANDWIDTH
        whole = self._size / BANDWIDTH
        if self._sparse:
            # Small blocks no longer tell by their bytes that there are very many requests.
            runs = 1 + sum(b - a > 1 for a, b in pairwise(missing))
            cost += (self._cost.requests + runs) / SIDE_BY_SIDE * LATENCY
            whole *= PATIENCE
        return cost > whole or spent > self._size / 4

    def _fetch(self, numbers: list[int]) -> None:
        """Fetch blocks as few ranges, concurrently, in one round unless they are very many."""
        if self._cost.bytes_read > self.fingerprint.revisit_limit:
            raise LimitError("reading revisits the file without end", url=self.url)
        size = self._block
        most = max(1, PART // size)
        runs: list[list[int]] = []
        for number in numbers:
            if runs and number == runs[-1][1] and number - runs[-1][0] < most:
                runs[-1][1] = number + 1
            else:
                runs.append([number, number + 1])
        wave: list[tuple[int, int]] = []
        nbytes = 0
        for a, b in runs:
            wave.append((a * size, min(b * size, self._size)))
            nbytes += (b - a) * size
            if nbytes >= WAVE:
                self._keep(self._ranges.fetch(wave))
                wave, nbytes = [], 0
        if wave:
            self._keep(self._ranges.fetch(wave))

    def _keep(self, pieces: list[Piece]) -> None:
        """Cut pieces into blocks; each piece is let go as soon as it is cut."""
        size = self._block
        while pieces:
            start, data = pieces.pop()
            for at in range(0, len(data), size):
                if at + size <= len(data) or start + len(data) == self._size:
                    self._blocks[(start + at) // size] = data[at : at + size]

    def _drop(self, numbers: range | list[int]) -> None:
        """Drop what was unused for longest, but nothing that is wanted now."""
        excess = len(self._blocks) - max(CACHE // self._block, len(numbers))
        if excess <= 0:
            return
        for number in numbers:
            self._blocks.move_to_end(number)
        for _ in range(excess):
            self._blocks.popitem(last=False)

"""Many small readers of on-disk structures, advanced together.

A *reader* is a generator. It yields the blocks that it needs next, as a tuple of
:class:`Request`, is sent back their bytes, one ``uint8`` array of shape
``(n, length)`` per request, and returns its result at the end. :func:`run_readers` advances
any number of readers in lockstep: all blocks of equal length that the readers want in
one round are fetched by one call. Against a remote file the cost of walking the
indexes of a thousand datasets is so that of walking the deepest of them.

Readers never touch a file themselves, so a test can feed them any bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from refmaker.errors import FormatError, TruncatedError, UnsupportedError

__all__ = ["Blocks", "Cache", "ReadBlocks", "Request", "Steps", "batches", "fetch", "run_readers"]

T = TypeVar("T")

Blocks: TypeAlias = NDArray[np.uint8]
"""Bytes of equally long blocks, shape (n, length)."""

ReadBlocks: TypeAlias = Callable[[NDArray[np.uint64], int], Blocks]
"""``read_blocks(offsets, length)``; raises TruncatedError past the end of the file."""


class Cache(Protocol):
    """What stands before a file whose every round of requests is dear."""

    def at_hand(self, ranges: Iterable[tuple[int, int]]) -> bool:
        """Tell whether ``(offset, length)`` can be read without a request."""
        ...

    def prefetch(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Fetch what is missing of many ranges in one round."""
        ...


BATCH_BYTES = 8 << 20
"""How much one reader asks for at a time: bounds its memory."""

WAVE_BYTES = 64 << 20
"""How much all readers together are given at a time."""

MAX_BLOCK = 16 << 20
"""Longest single block: no metadata structure of a sane file comes near it."""


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """Equally long blocks of the file.

    Parameters
    ----------
    offsets : ndarray of uint64, shape (n,)
        Absolute byte offsets.
    length : int
        Bytes per block.
    """

    offsets: NDArray[np.uint64]
    length: int

    @property
    def nbytes(self) -> int:
        """Size of the reply in bytes."""
        return len(self.offsets) * self.length


Steps: TypeAlias = Generator[tuple[Request, ...], list[Blocks], T]
"""A reader whose result is a T."""


def fetch(
    offsets: NDArray[np.uint64] | Sequence[int], length: int, file_size: int, what: str
) -> Steps[Blocks]:
    """Ask for blocks of one length, after checking that they lie inside the file.

    Parameters
    ----------
    offsets : array_like of int, shape (n,)
        Absolute byte offsets.
    length : int
        Bytes per block.
    file_size : int
        Size of the file in bytes.
    what : str
        Name of the structure, for the error.

    Returns
    -------
    ndarray of uint8, shape (n, length)

    Raises
    ------
    TruncatedError
        A block reaches past the end of the file.
    UnsupportedError
        The blocks are absurdly long.
    """
    request = checked_request(offsets, length, file_size, what)
    return (yield (request,))[0]


def checked_request(
    offsets: NDArray[np.uint64] | Sequence[int], length: int, file_size: int, what: str
) -> Request:
    """Make a request that is known to lie inside the file; see :func:`fetch`."""
    where = np.asarray(offsets, dtype=np.uint64)
    outside = where > file_size - length if length <= file_size else np.ones(len(where), bool)
    if outside.any():
        raise TruncatedError(
            f"{what} of {length} bytes reaches past the end of the file ({file_size} bytes)",
            offset=int(where[outside][0]),
        )
    if length > MAX_BLOCK:
        raise UnsupportedError(
            f"{what} of {length} bytes is longer than {MAX_BLOCK}",
            code="hdf5-block-too-long",
            offset=int(where[0]) if len(where) else None,
        )
    return Request(where, length)


def batches(count: int, length: int) -> Iterator[slice]:
    """Slices of ``range(count)`` that hold at most BATCH_BYTES of blocks each."""
    step = max(1, BATCH_BYTES // max(1, length))
    for start in range(0, count, step):
        yield slice(start, min(count, start + step))


def run_readers(
    readers: Sequence[Steps[T]],
    read_blocks: ReadBlocks,
    *,
    cache: Cache | None = None,
    wave_bytes: int = WAVE_BYTES,
) -> list[T | Exception]:
    """Advance readers together until all are done.

    Parameters
    ----------
    readers : sequence of generators
        The readers, not started.
    read_blocks : callable
        ``read_blocks(offsets, length)`` gives a ``uint8`` array of shape
        ``(len(offsets), length)`` and raises TruncatedError if any block reaches past
        the end of the file. Any other error of it ends the whole run: it says nothing
        about one reader.
    cache : Cache, optional
        Through which the blocks are read. Readers whose blocks are at hand are advanced
        first; when all others wait, it is told what they wait for: blocks of different
        lengths, wanted at different stages, are then one round of requests.
    wave_bytes : int, optional
        Upper bound of the bytes held for all readers at a time (a single reader's
        request may exceed it).

    Returns
    -------
    list
        Per reader what it returned, or the exception that ended it: one bad index
        costs no other.
    """
    results: list[T | Exception] = [RuntimeError("not run")] * len(readers)
    wanted: dict[int, tuple[Request, ...]] = {}

    def advance(number: int, reply: list[Blocks] | Exception | None) -> None:
        reader = readers[number]
        try:
            if isinstance(reply, Exception):
                wanted[number] = reader.throw(reply)
            elif reply is None:
                wanted[number] = next(reader)
            else:
                wanted[number] = reader.send(reply)
        except StopIteration as stop:
            results[number] = stop.value
        except Exception as error:  # noqa: BLE001 - isolation: one bad index costs no other
            results[number] = error

    for number in range(len(readers)):
        advance(number, None)
    while wanted:
        todo = _next(wanted, cache)
        wanted = {number: wait for number, wait in wanted.items() if number not in todo}
        for wave in _waves(todo, wave_bytes):
            replies = _fetch_wave(wave, read_blocks)
            for number in wave:
                advance(number, replies.pop(number))
    return results


def _waves(
    wanted: dict[int, tuple[Request, ...]], wave_bytes: int
) -> Iterator[dict[int, tuple[Request, ...]]]:
    """Split a round so that no part of it is larger than ``wave_bytes``."""
    wave: dict[int, tuple[Request, ...]] = {}
    held = 0
    for number, requests in wanted.items():
        size = sum(request.nbytes for request in requests)
        if wave and held + size > wave_bytes:
            yield wave
            wave, held = {}, 0
        wave[number] = requests
        held += size
    yield wave


def _next(
    wanted: dict[int, tuple[Request, ...]], cache: Cache | None
) -> dict[int, tuple[Request, ...]]:
    """Return the readers to advance now, with their blocks in the cache if there is one."""
    if cache is None:
        return wanted
    ready = {n: wait for n, wait in wanted.items() if cache.at_hand(_places(wait))}
    if ready:
        return ready
    cache.prefetch(place for wait in wanted.values() for place in _places(wait))
    return wanted


def _places(requests: tuple[Request, ...]) -> Iterator[tuple[int, int]]:
    for request in requests:
        for offset in request.offsets.tolist():
            yield offset, request.length


def _fetch_wave(
    wave: dict[int, tuple[Request, ...]], read_blocks: ReadBlocks
) -> dict[int, list[Blocks] | Exception]:
    """One call of ``read_blocks`` per block length; replies per reader."""
    by_length: dict[int, list[tuple[int, int, Request]]] = {}
    for number, requests in wave.items():
        for place, request in enumerate(requests):
            by_length.setdefault(request.length, []).append((number, place, request))
    found: dict[tuple[int, int], Blocks] = {}
    failed: dict[int, Exception] = {}
    for length, group in by_length.items():
        offsets = np.concatenate([request.offsets for _, _, request in group])
        try:
            blocks = _read(read_blocks, offsets, length)
        except TruncatedError:
            # Somebody's block lies outside: find out whose by asking for each alone.
            for number, place, request in group:
                try:
                    found[number, place] = _read(read_blocks, request.offsets, length)
                except TruncatedError as error:
                    failed[number] = error
            continue
        start = 0
        for number, place, request in group:
            end = start + len(request.offsets)
            found[number, place] = blocks[start:end]
            start = end
    return {
        number: failed.get(number) or [found[number, place] for place in range(len(requests))]
        for number, requests in wave.items()
    }


def _read(read_blocks: ReadBlocks, offsets: NDArray[np.uint64], length: int) -> Blocks:
    if not len(offsets):
        return np.empty((0, length), dtype=np.uint8)
    blocks = read_blocks(offsets, length)
    if blocks.shape != (len(offsets), length):
        raise FormatError(f"{blocks.shape} bytes came back for {len(offsets)} x {length}")
    return blocks

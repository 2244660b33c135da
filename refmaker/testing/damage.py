"""Broken files made of good ones, and what a scanner does with them."""

from __future__ import annotations

import random
import sys
from multiprocessing import get_context
from typing import TYPE_CHECKING

import numpy as np

from refmaker.errors import RefmakerError
from refmaker.io.source import Source
from refmaker.scanning.options import ScanOptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.connection import Connection
    from pathlib import Path

    from refmaker.scanning.protocol import Scanner

__all__ = ["damaged", "misdeeds", "out_of_bounds"]

MEMORY_LIMIT = 512 * 1024**2
"""Bytes that scanning one small broken file may add to the process at most."""


def damaged(data: bytes, *, cuts: int = 24, flips: int = 40, seed: int = 0) -> Iterator[bytes]:
    """Yield broken versions of a file.

    Parameters
    ----------
    flips : int
        Versions with some bytes changed, every other one near the start, where headers are.
    """
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    ends = {0, 1, 4, 8, 12, 64, len(data) - 1}
    ends.update(len(data) * i // cuts for i in range(1, cuts))
    for end in sorted(end for end in ends if 0 <= end < len(data)):
        yield data[:end]
    for i in range(flips):
        broken = bytearray(data)
        reach = min(len(data), 4096) if i % 2 else len(data)
        for _ in range(chance.choice([1, 1, 2, 8])):
            at = chance.randrange(reach)
            kind = chance.randrange(3)
            if kind == 0:
                broken[at] ^= 1 << chance.randrange(8)
            else:
                run = chance.choice([1, 2, 4, 8])
                fill = b"\xff" if kind == 1 else bytes([chance.randrange(256)])
                broken[at : at + run] = (fill * run)[: len(broken) - at]
        yield bytes(broken)


def out_of_bounds(scanner: Scanner, path: Path | str) -> list[str]:
    """Scan a file, and return the paths of arrays with references that reach past its end.

    Raises
    ------
    RefmakerError
        If it cannot be scanned.
    """
    with Source(path) as source:
        group, _ = scanner.scan(source, ScanOptions())
        wrong = []
        for name, array in group.arrays():
            table = array.chunks
            ends = table.offset + table.length.astype(table.offset.dtype)
            wraps = ends < table.offset
            sizes = np.array([_size(url) for url in table.urls], np.uint64)
            rows = np.zeros(table.referenced, np.int64) if table.url is None else table.url
            if table.referenced and bool((wraps | (ends > sizes[rows])).any()):
                wrong.append(name)
        return wrong


def _size(url: str) -> int:
    with Source(url) as source:
        return source.size


def misdeeds(scanner: Scanner, paths: Sequence[Path], *, isolated: bool) -> list[str]:
    """Scan broken files; a clean error or a sound result is right, anything else is told.

    Parameters
    ----------
    isolated : bool
        Scan in another process, because the format's library may abort; which is then not
        held against the scanner.

    Raises
    ------
    RuntimeError
        If the other process cannot be given the scanner.
    """
    if not isolated:
        return [text for path in paths if (text := _misdeed(scanner, path))]
    found: list[str] = []
    done = 0
    context = get_context("spawn")
    while done < len(paths):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_serve, args=(scanner, paths[done:], theirs))
        process.start()
        theirs.close()
        try:
            ours.recv()
        except EOFError:
            raise RuntimeError("the scanner cannot be taken to another process") from None
        try:
            while done < len(paths):
                text = ours.recv()
                done += 1
                if text:
                    found.append(text)
        except EOFError:
            done += 1
        process.join()
        ours.close()
    return found


def _serve(scanner: Scanner, paths: Sequence[Path], pipe: Connection) -> None:
    pipe.send("ready")
    for path in paths:
        pipe.send(_misdeed(scanner, path))


def _misdeed(scanner: Scanner, path: Path) -> str:
    before = _peak()
    try:
        wrong = out_of_bounds(scanner, path)
    except RefmakerError:
        wrong = []
    except Exception as error:  # noqa: BLE001 - finding these is what it is for
        return f"{path}: raised {type(error).__name__}: {error}"
    if wrong:
        return f"{path}: references past the end of the file in {wrong}"
    if _peak() - before > MEMORY_LIMIT:
        return f"{path}: took {(_peak() - before) // 1024**2} MiB of memory"
    return ""


def _peak() -> int:
    """Return the most memory the process ever took, in bytes."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024

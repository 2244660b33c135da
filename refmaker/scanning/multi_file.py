"""Files that are one object together, such as the slices of an image series."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from refmaker.errors import RefmakerError, UnknownFormatError, UnsupportedError
from refmaker.io.first_bytes import REMOTE, read_first_bytes
from refmaker.io.known_heads import with_heads
from refmaker.io.local_file import local_path
from refmaker.scanning.archives import placed_in_archives
from refmaker.scanning.options import ScanOptions
from refmaker.scanning.protocol import (
    SNIFF_BYTES,
    MultiFileScanner,
    choose,
    declarations,
    recognised,
)
from refmaker.scanning.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from refmaker.io.known_heads import FirstBytes
    from refmaker.model import Group
    from refmaker.model.report import ScanReport

__all__ = ["find_collector", "first_heads", "scan_together"]

_FEW = 8
"""Remote files that are looked at to tell the format."""
_OTHERWISE = "write one set for each into a folder, or join them along dimensions (`concat=...`)"


def first_heads(
    urls: Sequence[str],
    storage_options: Mapping[str, Any] | None = None,
    format: str | None = None,  # noqa: A002 - the word users know
) -> tuple[FirstBytes, ...]:
    """Return the first bytes of the remote files that are looked at to tell the format.

    By `with_heads` they are handed on to whatever scans the files, which asks no second time.

    Parameters
    ----------
    urls, storage_options, format
        As for `find_collector`; where the format is given nobody looks.
    """
    far = [url for url in urls if local_path(url) is None][:_FEW]
    if format is not None or len(far) < len(urls[:_FEW]):
        return ()
    return tuple(read_first_bytes(far, storage_options))


def find_collector(
    urls: Sequence[str],
    storage_options: Mapping[str, Any] | None = None,
    format: str | None = None,  # noqa: A002 - the word users know
) -> MultiFileScanner:
    """Return the scanner that makes one reference set of many files.

    Files that no scanner recognises do not count: the collector gives each a row of its report.

    Parameters
    ----------
    format : str, optional
        Name of the scanner to use, whatever the files hold.

    Raises
    ------
    UnknownFormatError
        If no file is of a known format, or there is no scanner of that name.
    UnsupportedError
        If files are of several formats, or of one whose files are each a set of their own.
    """
    found: Counter[str] = Counter()
    if format is not None:
        scanner = choose(b"", "", format)
    else:
        problem: RefmakerError | None = None
        known = declarations()
        for some in _looked_at(urls):
            if found and local_path(some[0]) is None:
                break
            for head in read_first_bytes(some, storage_options, local=SNIFF_BYTES, remote=REMOTE):
                try:
                    found[recognised(head.data[:SNIFF_BYTES], head.url, known)] += 1
                except UnknownFormatError as error:
                    problem = problem or head.error or error
        if not found:
            raise problem or UnknownFormatError("no file", hint="name what to scan")
        if len(found) > 1:
            counts = ", ".join(f"{count} {name}" for name, count in found.most_common())
            raise UnsupportedError(
                f"files of several formats are not one object: {counts}",
                code="mixed-formats",
                hint=f"choose one by `format=...`, or {_OTHERWISE}",
            )
        scanner = choose(b"", "", next(iter(found)))
    if not isinstance(scanner, MultiFileScanner):
        raise UnsupportedError(
            f"files of the format {scanner.name} are not parts of one object",
            code="no-collection",
            hint=_OTHERWISE,
        )
    return scanner


def _looked_at(urls: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield files in batches: local ones first, all at once.

    Of remote ones few are enough where they tell the format: collectors look at each themselves,
    and tell of those that are of another.
    """
    near = [url for url in urls if local_path(url) is not None]
    if near:
        yield near
    far = [url for url in urls if local_path(url) is None]
    for at in range(0, len(far), _FEW):
        yield far[at : at + _FEW]


def scan_together(
    urls: Sequence[str],
    storage_options: Mapping[str, Any] | None = None,
    *,
    format: str | None = None,  # noqa: A002 - the word users know
    options: ScanOptions | None = None,
    isolate: str = "never",
    timeout: float | None = None,
) -> tuple[Group, ScanReport]:
    """Make one reference set of many files.

    Parameters
    ----------
    storage_options, format, options
        As in `refmaker.scanning.one_file.scan`.
    isolate : {"auto", "always", "never"}
        Whether to do so in a worker process; only "always" does.
    timeout : float, optional
        Seconds after which a worker is stopped.

    Raises
    ------
    UnknownFormatError, UnsupportedError
        As `find_collector` does.
    RefmakerError
        If nothing can be made of the files.
    """
    storage_options = with_heads(storage_options, first_heads(urls, storage_options, format))
    name = find_collector(urls, storage_options, format).name
    options = options or ScanOptions()
    if isolate != "always":
        return _collect(urls, storage_options, name, options)
    label = f"{urls[0]} and {len(urls) - 1} others" if len(urls) > 1 else urls[0]
    with Worker() as worker:
        found: tuple[Group, ScanReport] = worker.run(
            _collect, tuple(urls), storage_options, name, options, name=label, timeout=timeout
        )
        return found


def _collect(
    urls: Sequence[str],
    storage_options: Mapping[str, Any] | None,
    name: str,
    options: ScanOptions,
) -> tuple[Group, ScanReport]:
    """Let the scanner of a name collect files; what a worker calls."""
    scanner = choose(b"", "", name)
    assert isinstance(scanner, MultiFileScanner)  # noqa: S101 - looked at before
    started = time.perf_counter()
    group, report = scanner.collect(urls, storage_options, options)
    group = placed_in_archives(group, report, storage_options)
    report.seconds = time.perf_counter() - started
    return group, report

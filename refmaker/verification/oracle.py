"""The true values of a reference set's arrays, whoever made it and of however many files."""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from refmaker.errors import MetadataError, RefmakerError, UnknownFormatError
from refmaker.model.chunk_table import Reference
from refmaker.scanning.options import ScanOptions
from refmaker.scanning.protocol import SNIFF_BYTES, MultiFileScanner, choose, scanners
from refmaker.verification.compare import NotComparableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Self

    from numpy.typing import NDArray

    from refmaker.io.source import Source
    from refmaker.model import Array, Group
    from refmaker.scanning.protocol import LibraryReader, Scanner
    from refmaker.storage.reference_set import ReferenceSet

__all__ = ["open_oracle"]

log = logging.getLogger(__name__)

_OPEN = 8
"""Files that are kept open at a time."""


@contextmanager
def open_oracle(
    refs: ReferenceSet, storage_options: Mapping[str, Any] | None
) -> Iterator[LibraryReader]:
    """Open what knows the true values of a set's arrays.

    Parameters
    ----------
    refs : ReferenceSet
        The set.
    storage_options : mapping or None
        Passed to fsspec for its files.

    Yields
    ------
    LibraryReader

    Raises
    ------
    SourceError
        If a file cannot be read.
    MetadataError
        If the set names none.
    UnknownFormatError
        If no scanner recognises the scanned file.
    PolicyError
        If the set names files that it may not.
    """
    from refmaker.io.source import Source

    policy = refs.policy
    if policy.remote:
        policy.check_urls(refs.urls())
    storage_options = policy.bound(storage_options)
    urls = _files(refs)
    collector = scanners().get(refs.report.format)
    if isinstance(collector, MultiFileScanner) and (len(urls) > 1 or not _is_file(urls[0])):
        with collector.native_collection(urls, storage_options) as native:
            yield native
        return
    url, scanner = _scanned(refs, urls, storage_options)
    with ExitStack() as stack:
        source = stack.enter_context(Source(url, storage_options))
        known = refs.report.sources.get(url)
        if known is not None and known.size != source.size:
            log.warning("%s had %d bytes when scanned, now %d", url, known.size, source.size)
        if len(urls) > 1 and not _same_arrays(refs.group, scanner, source):
            log.info("looking chunks up in %d files", len(urls))
            yield stack.enter_context(_ByPlace(refs.report.format or None, storage_options))
            return
        log.info("comparing with %s, read as %s", url, scanner.name)
        yield stack.enter_context(scanner.native(source))


def _files(refs: ReferenceSet) -> list[str]:
    """Return the files of a set, the likeliest to have been scanned first."""
    votes: Counter[str] = Counter()
    for _, array in refs.group.arrays():
        for url in array.chunks.urls:
            votes[url] += array.chunks.referenced
    known = list(refs.report.sources)
    first = [refs.report.url] if refs.report.url in known else []
    rest = [url for url, _ in votes.most_common()]
    found = list(dict.fromkeys([*first, *known, *rest]))
    if not found:
        raise MetadataError(
            "the reference set does not say which file was scanned",
            url=refs.report.url or None,
            hint="scan the file again, and verify what that gives",
        )
    return found


def _is_file(url: str) -> bool:
    import os

    from refmaker.io.source import local_path

    path = local_path(url)
    return path is None or not os.path.isdir(path)


def _scanned(
    refs: ReferenceSet, urls: list[str], storage_options: Mapping[str, Any] | None
) -> tuple[str, Scanner]:
    """Return the file that was scanned, and its scanner.

    A set may point into several files, such as those of external storage; the scanned one is the
    first that the scanner recognises.
    """
    from refmaker.io.source import Source

    failure: RefmakerError | None = None
    for url in urls:
        with Source(url, storage_options) as source:
            head = source.read_upto(0, SNIFF_BYTES)
        try:
            scanner = choose(head, url, refs.report.format or None)
            if scanner.sniff(head, url) > 0:
                return url, scanner
        except UnknownFormatError as error:
            failure = error
        if url == refs.report.url:
            break
    raise failure or UnknownFormatError(
        "none of its files is recognised", url=urls[0], hint="'refmaker formats' lists what is"
    )


def _same_arrays(group: Group, scanner: Scanner, source: Source) -> bool:
    """Tell whether a set is that of one file, which leads to others, and not of many."""
    try:
        found, _ = scanner.scan(source, ScanOptions(follow_external=True))
    except RefmakerError:
        return True
    theirs = {path: array.shape for path, array in found.arrays()}
    ours = {path: array.shape for path, array in group.arrays()}
    return ours.items() <= theirs.items()


class _ByPlace:
    """Native values of chunks by where they lie: which file, which bytes."""

    def __init__(self, name: str | None, storage_options: Mapping[str, Any] | None) -> None:
        self._name = name
        self._storage_options = storage_options
        self._open: OrderedDict[str, _File] = OrderedDict()
        self._shifts: dict[tuple[str, str], tuple[int, ...]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._open:
            self._open.popitem()[1].close()

    def read(self, path: str, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        """Return the values that the chunk's own file has where the chunk lies."""
        at = tuple(part.start // n for part, n in zip(region, array.chunk_shape, strict=True))
        found = array.chunks.get(at)
        if not isinstance(found, Reference):
            raise NotComparableError
        true, there = self._file(found.url).read(found, array)
        if there is not None:
            self._check_order(path, found.url, at, there)
        shape = tuple(part.stop - part.start for part in region)
        # A chunk that reached past its file's end holds more than the set shows of it.
        return true.reshape(shape) if true.size == _count(shape) else true

    def _check_order(
        self, path: str, url: str, at: tuple[int, ...], there: tuple[int, ...]
    ) -> None:
        """Compare a chunk's position with that in its file: all of a file are moved alike."""
        # Dimensions that joining has added stand before those of the file.
        shift = tuple(a - b for a, b in zip(at[len(at) - len(there) :], there, strict=True))
        known = self._shifts.setdefault((path, url), shift)
        if known != shift:
            raise ValueError(f"chunk {at} is chunk {there} of {url}, out of line with others of it")

    def _file(self, url: str) -> _File:
        if url not in self._open:
            while len(self._open) >= _OPEN:
                self._open.popitem(last=False)[1].close()
            self._open[url] = _File(url, self._name, self._storage_options)
        self._open.move_to_end(url)
        return self._open[url]


class _File:
    """One file, scanned, with every chunk by its place."""

    def __init__(
        self, url: str, name: str | None, storage_options: Mapping[str, Any] | None
    ) -> None:
        from refmaker.io.source import Source

        self._stack = ExitStack()
        with ExitStack() as stack:
            source = stack.enter_context(Source(url, storage_options))
            scanner = choose(source.read_upto(0, SNIFF_BYTES), url, name)
            options = ScanOptions(inline_threshold=0, chunk_bytes=None)
            group, _ = scanner.scan(source, options)
            self._arrays = list(group.arrays())
            self._places = _places(source.url, self._arrays)
            self._native = stack.enter_context(scanner.native(source))
            self._stack = stack.pop_all()

    def close(self) -> None:
        self._stack.close()

    def read(self, found: Reference, array: Array) -> tuple[NDArray[Any], tuple[int, ...] | None]:
        """Return the values of a chunk and its position, or of the part of an uncompressed one."""
        import numpy as np

        starts, stops, owner, number = self._places
        last = int(np.searchsorted(starts, found.offset, side="right"))
        # Several arrays may own a place; the smallest range that holds it all is looked for.
        for row in range(last - 1, max(-1, last - 17), -1):
            path, native = self._arrays[int(owner[row])]
            exact = starts[row] == found.offset and stops[row] == found.offset + found.length
            inside = stops[row] >= found.offset + found.length and not native.codecs
            if exact or (inside and native.order == "C"):
                break
        else:
            raise LookupError(f"no array has bytes {found.offset} to {found.offset + found.length}")
        if native.dtype.newbyteorder("=") != array.dtype.newbyteorder("="):
            raise NotComparableError
        at = np.unravel_index(int(number[row]), native.chunks.grid) if native.shape else ()
        region = tuple(
            slice(int(i) * n, min((int(i) + 1) * n, extent))
            for i, n, extent in zip(at, native.chunk_shape, native.shape, strict=True)
        )
        values = np.asarray(self._native.read(path, native, region)).reshape(-1)
        if exact:
            alike = array.chunk_shape[len(array.shape) - len(native.shape) :] == native.chunk_shape
            return values, tuple(int(i) for i in at) if alike else None
        first = (found.offset - int(starts[row])) // native.dtype.itemsize
        return values[first : first + found.length // native.dtype.itemsize], None


def _places(url: str, arrays: list[tuple[str, Array]]) -> tuple[NDArray[Any], ...]:
    """Return start, stop, array and number of every chunk in a file, by start and then size."""
    import numpy as np

    columns: list[tuple[NDArray[Any], ...]] = []
    for which, (_, array) in enumerate(arrays):
        table = array.chunks
        known = np.array([name == url for name in table.urls], bool)
        rows = np.zeros(table.referenced, np.int64) if table.url is None else table.url
        mine = known[rows] if table.referenced else np.zeros(0, bool)
        offset = table.offset[mine].astype(np.int64)
        stop = offset + table.length[mine].astype(np.int64)
        columns.append((offset, stop, np.full(offset.size, which), table.numbers()[mine]))
    if not columns:
        empty = np.zeros(0, np.int64)
        return empty, empty, empty, empty
    joined = tuple(np.concatenate(parts) for parts in zip(*columns, strict=True))
    # Of ranges with one start the smallest comes last, and so is met first.
    order = np.lexsort((-joined[1], joined[0]))
    return tuple(column[order] for column in joined)


def _count(shape: tuple[int, ...]) -> int:
    import math

    return math.prod(shape)

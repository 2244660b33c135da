"""The true values of a reference set's arrays, whoever made it and of however many files."""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from refmaker.errors import MetadataError, RefmakerError, UnknownFormatError
from refmaker.io.stores import owners
from refmaker.model.origin import Origin
from refmaker.scanning.options import ScanOptions
from refmaker.scanning.protocol import SNIFF_BYTES, MultiFileScanner, choose, scanners
from refmaker.verification.archives import MemberReader, by_members
from refmaker.verification.by_place import PlaceReader
from refmaker.verification.edited import EditedReader
from refmaker.verification.joined import JoinedValues
from refmaker.verification.metadata import metadata_difference
from refmaker.verification.scanned_files import OpenFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from zarr.abc.store import Store

    from refmaker.io.source import Source
    from refmaker.model import Array, Group
    from refmaker.scanning.protocol import LibraryReader, Scanner
    from refmaker.storage.reference_set import ReferenceSet

__all__ = ["Oracle", "open_oracle", "source_files"]

log = logging.getLogger(__name__)

_SCANNED = 4
"""Files of a set whose attributes are looked at."""


class Oracle:
    """What knows the true values of a set's arrays, and what its files say of them.

    Parameters
    ----------
    reader : LibraryReader
        The values.
    scans : sequence of callable
        Each returns the arrays that scanning one of the files again, or all, gives.
    known : bool
        Whether the set was made by this package, whose attributes those have to be.
    """

    def __init__(
        self,
        reader: LibraryReader,
        scans: Sequence[Callable[[], Mapping[str, Array]]],
        *,
        known: bool,
    ) -> None:
        self.reader: LibraryReader = reader
        self._known = known
        self._scans = scans
        self._scanned: list[Mapping[str, Array]] | None = None

    def metadata(self, path: str, array: Array) -> str:
        """Return how the attributes that decide what values mean differ from the files'."""
        if not self._known:
            return ""
        if self._scanned is None:
            self._scanned = []
            for scan in self._scans:
                try:
                    self._scanned.append(scan())
                except RefmakerError as error:
                    log.info("attributes are not compared: %s", error)
        origin = array.origin
        own = path if origin is None else origin.path
        there = [arrays[own] for arrays in self._scanned if own in arrays]
        edited = () if origin is None else origin.attributes
        return metadata_difference(array, there, joined=len(self._scans) > 1, edited=edited)


@contextmanager
def open_oracle(
    refs: ReferenceSet,
    storage_options: Mapping[str, Any] | None,
    store: Store,
    *,
    whole: bool,
) -> Iterator[Oracle]:
    """Open what knows the true values of a set's arrays.

    Parameters
    ----------
    storage_options : mapping or None
        Passed to fsspec for its files.
    whole : bool
        Whether every file of a set of many is looked at for coordinates, or some of them.

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
    policy = refs.policy
    if policy.remote:
        policy.check_urls(refs.urls())
    storage_options = policy.bound(storage_options)
    members = by_members(refs, storage_options)
    with _opened(members, storage_options, store, whole=whole) as oracle:
        if members is not refs:
            oracle.reader = MemberReader(oracle.reader, dict(members.group.arrays()))
        yield oracle


@contextmanager
def _opened(
    refs: ReferenceSet, storage_options: Mapping[str, Any], store: Store, *, whole: bool
) -> Iterator[Oracle]:
    from refmaker.io.source import Source

    parts = owners(refs.urls())
    urls = [url for url in source_files(refs) if url not in parts]
    known = bool(refs.report.format)
    collector = scanners().get(refs.report.format)
    if isinstance(collector, MultiFileScanner) and (len(urls) > 1 or not _is_file(urls[0])):
        with collector.native_collection(urls, storage_options) as native:
            found = cache(partial(_collected, collector, urls, storage_options))
            yield Oracle(EditedReader(native, found), [found], known=known)
        return
    url, scanner = _scanned(refs, urls, storage_options)
    with ExitStack() as stack:
        source = stack.enter_context(Source(url, storage_options))
        before = refs.report.sources.get(url)
        if before is not None and before.size != source.size:
            log.warning("%s had %d bytes when scanned, now %d", url, before.size, source.size)
        again = cache(partial(_arrays_of, scanner, source))
        edited = any(array.origin is not None for _, array in refs.group.arrays())
        if (len(urls) > 1 or edited) and not _same_arrays(refs.group, scanner, source):
            log.info("looking chunks up in %d files", len(urls))
            format_name = refs.report.format or None
            files = stack.enter_context(OpenFiles(format_name, storage_options, parts))
            joined = JoinedValues(refs.group, urls, files, partial(_own, store), whole=whole)
            # Of attributes that differ from file to file joining keeps those of the first.
            scans = [partial(_arrays_in, files, name) for name in urls[:_SCANNED]]
            yield Oracle(PlaceReader(files, joined), scans, known=known)
            return
        log.info("comparing with %s, read as %s", url, scanner.name)
        native = stack.enter_context(scanner.native(source))
        yield Oracle(EditedReader(native, again), [again], known=known)


def _arrays_of(scanner: Scanner, source: Source) -> dict[str, Array]:
    return dict(scanner.scan(source, ScanOptions())[0].arrays())


def _arrays_in(files: OpenFiles, url: str) -> dict[str, Array]:
    return files[url].arrays


def _collected(
    scanner: MultiFileScanner, urls: list[str], storage_options: Mapping[str, Any] | None
) -> dict[str, Array]:
    return dict(scanner.collect(urls, storage_options, ScanOptions())[0].arrays())


def _own(store: Store, path: str) -> NDArray[Any]:
    """Return the values of an array as the set has them."""
    import numpy as np

    from refmaker.reading.open import open_array

    array: Any = open_array(store, path)
    return np.asarray(array[...])


def source_files(refs: ReferenceSet) -> list[str]:
    """Return the files of a set, the likeliest to have been scanned first.

    Raises
    ------
    MetadataError
        If it names none.
    """
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
    for path, array in group.arrays():
        origin = array.origin or Origin.whole(path, array.shape)
        if origin.path and not (
            theirs.get(origin.path) == origin.shape and origin.places(array.shape)
        ):
            return False
    return True

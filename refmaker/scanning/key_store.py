"""What a store of keys holds, such as one of Zarr: bytes by keys, and chunks among them."""

from __future__ import annotations

import math
import posixpath
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from refmaker.errors import FormatError, LimitError, RefmakerError, UnsupportedError
from refmaker.io.listing import Listing, list_folder
from refmaker.io.local_file import local_path
from refmaker.io.many_files import FileRange, read_ranges
from refmaker.io.stores import StoreURL

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from refmaker.io.source import Source
    from refmaker.model.report import ScanReport
    from refmaker.scanning.chunk_keys import ChunkKeys

__all__ = [
    "DOCUMENT_MOST",
    "FolderStore",
    "KeyStore",
    "Places",
    "StoredChunks",
    "flat_numbers",
    "read_documents",
]

DOCUMENT_MOST = 64 * 1024**2
"""Bytes of a metadata document; real ones stay far below."""
_DOCUMENTS_MOST = 512 * 1024**2
"""Bytes of all metadata documents of a store."""


class Places:
    """Where the values of some keys lie.

    Parameters
    ----------
    urls : sequence of str
        Files.
    offset, length : ndarray of int64, shape (n,)
        Bytes of each.
    whole : bool
        Whether each value is a file of its own, in the order of the files; else all lie in one.
    files : ndarray of int32, shape (n,), optional
        The number of each value's file, where several lie in one of several files.
    """

    def __init__(
        self,
        urls: Sequence[str],
        offset: NDArray[np.int64],
        length: NDArray[np.int64],
        *,
        whole: bool,
        files: NDArray[np.int32] | None = None,
    ) -> None:
        self.urls, self.offset, self.length, self.whole = urls, offset, length, whole
        self.files = np.arange(len(urls), dtype=np.int32) if whole else files

    def url(self, number: int) -> str:
        """Return the file of one value."""
        return self.urls[0 if self.files is None else int(self.files[number])]

    def columns(self) -> dict[str, Any]:
        """Return the columns of a chunk table whose rows are the values."""
        return {"offset": self.offset, "length": self.length, "url": self.files}


class KeyStore(Protocol):
    """A store, whatever it lies in.

    Attributes
    ----------
    listing : Listing or None
        Its keys; None if it cannot list them.
    """

    listing: Listing | None

    def places(self, numbers: NDArray[np.int64]) -> Places:
        """Return where the values of listed keys lie, by their numbers.

        Raises
        ------
        UnsupportedError, FormatError
            If one cannot be referenced, as it is compressed or outside of the file.
        """
        ...

    def url(self, key: str) -> str:
        """Return the file of a key, whether it is there or not."""
        ...

    def read(self, ranges: Sequence[FileRange]) -> list[bytes | RefmakerError]:
        """Return bytes of the store's files, or why they cannot be read."""
        ...

    def values(self, numbers: Sequence[int]) -> list[bytes | RefmakerError]:
        """Return whole values of listed keys, by their numbers."""
        ...


class FolderStore:
    """A folder with a file for each key.

    Parameters
    ----------
    source : Source
        The document at its root.
    anywhere : bool
        Follow links that lead out of the folder.

    Raises
    ------
    SourceError, PolicyError, UnsupportedError
        As `list_folder` does.
    """

    def __init__(self, source: Source, *, anywhere: bool) -> None:
        self._source = source
        if source.path is not None:
            self._root = posixpath.dirname(source.url)
            self._below: Any = None
        else:
            folder = StoreURL(source.url).parent()
            self._root, self._below = folder.url, folder.below
        self.listing = list_folder(self._root, source.storage_options, anywhere=anywhere)
        if self.listing is not None and local_path(self._root) is None:
            source.requests += 1
            source.rounds += 1

    def url(self, key: str) -> str:
        """Return the file of a key, whether it is there or not."""
        return f"{self._root}/{key}" if self._below is None else str(self._below(key))

    def places(self, numbers: NDArray[np.int64]) -> Places:
        """Return where the values of listed keys lie: each is a file of its own."""
        assert self.listing is not None  # noqa: S101 - numbers come from it
        names, sizes = self.listing.names, self.listing.sizes
        rows = numbers.tolist()
        length = np.fromiter(map(sizes.__getitem__, rows), np.int64, len(rows))
        if self._below is None:
            root = self._root + "/"
            urls = [root + names[row] for row in rows]
        else:
            urls = [self._below(names[row]) for row in rows]
        return Places(urls, np.zeros(length.size, np.int64), length, whole=True)

    def read(self, ranges: Sequence[FileRange]) -> list[bytes | RefmakerError]:
        """Return bytes of the store's files, or why they cannot be read."""
        return read_ranges(ranges, self._source.storage_options, cost=self._source)

    def values(self, numbers: Sequence[int]) -> list[bytes | RefmakerError]:
        """Return whole values of listed keys, by their numbers."""
        assert self.listing is not None  # noqa: S101 - as above
        ranges = [
            FileRange(self.url(self.listing.names[row]), 0, self.listing.sizes[row])
            for row in numbers
        ]
        return self.read(ranges)


def read_documents(store: KeyStore, numbers: Sequence[int]) -> list[bytes | RefmakerError]:
    """Return metadata documents of a store, by the numbers of their keys.

    Raises
    ------
    LimitError
        If together they are larger than those of any real store.
    """
    assert store.listing is not None  # noqa: S101 - numbers come from it
    sizes = [store.listing.sizes[number] for number in numbers]
    if sum(sizes) > _DOCUMENTS_MOST:
        raise LimitError(f"the metadata documents have {sum(sizes)} bytes in all")
    large = [size > DOCUMENT_MOST for size in sizes]
    found: list[bytes | RefmakerError] = [LimitError("a document of that size")] * len(sizes)
    small = [row for row in range(len(sizes)) if not large[row]]
    for row, data in zip(small, store.values([numbers[row] for row in small]), strict=True):
        found[row] = data
    return found


class StoredChunks:
    """Finds the chunks of arrays among the keys of a store that lists them.

    Parameters
    ----------
    store : KeyStore
        The store.
    report : ScanReport
        Is told of files that are chunks, and of those that are none.
    documents : collection of str
        Names of the documents that stand beside chunks.
    """

    def __init__(self, store: KeyStore, report: ScanReport, documents: Collection[str]) -> None:
        self._store, self._report, self._documents = store, report, documents

    def placed(
        self, path: str, keys: ChunkKeys, grid: tuple[int, ...]
    ) -> tuple[NDArray[np.int64], Places]:
        """Return positions in the grid, and places, of all chunks that are there, in C order.

        Parameters
        ----------
        path : str
            The array's path in the store.
        keys : ChunkKeys
            How its chunks are called.
        grid : tuple of int
            Chunks along each dimension.

        Raises
        ------
        FormatError
            If a chunk has no bytes.
        UnsupportedError
            If one is a link out of the store.
        """
        listing = self._store.listing
        assert listing is not None  # noqa: S101 - looked at before
        folder = f"{path}/" if path else ""
        self._check_links(folder)
        start, stop = listing.span(folder)
        below = list(listing.names[start:stop])
        documents = {folder + name for name in self._documents}.intersection(below)
        beside = sorted(map(below.index, documents))
        rows = np.delete(np.arange(start, stop), beside)
        for row in reversed(beside):
            del below[row]
        found = keys.place(below, folder)
        at, rows = found.at, rows[found.row]
        if found.strays:
            self._warn(folder, len(found.strays), "no chunks of it", found.strays[0])
        inside = (at < np.array(grid, np.int64)).all(axis=1)
        if not bool(inside.all()):
            first = below[int(found.row[np.flatnonzero(~inside)[0]])]
            self._warn(folder, int((~inside).sum()), "chunks beyond its shape", first)
            at, rows = at[inside], rows[inside]
        order = _in_order(flat_numbers(at, grid), grid)
        at, rows = at[order], rows[order]
        places = self._store.places(rows)
        if places.length.size and not bool(places.length.all()):
            key = listing.names[int(rows[int(np.argmin(places.length))])]
            raise FormatError(f"the chunk {key!r} has no bytes", url=self._store.url(key))
        if places.whole:
            prints = map(listing.prints.__getitem__, rows.tolist())
            self._report.sources.update(zip(places.urls, prints, strict=True))
        return at, places

    def _warn(self, folder: str, count: int, what: str, first: str) -> None:
        first = first.removeprefix(folder)
        self._report.warn(
            f"/{folder[:-1]}: files in it that are {what}: {count}, the first {first!r}"
        )

    def _check_links(self, folder: str) -> None:
        """Refuse an array with chunks that are links to elsewhere."""
        listing = self._store.listing
        assert listing is not None  # noqa: S101 - as above
        link = next((name for name in listing.outside if name.startswith(folder)), None)
        if link is not None:
            raise UnsupportedError(
                f"{link!r} is a link that leads out of the store",
                code="external-outside",
                hint="allow it with `follow_external=True`",
            )


def _in_order(number: NDArray[np.int64], grid: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the order that sorts numbers of a grid, of which mostly each is there once."""
    if number.size != math.prod(grid):
        return np.argsort(number)
    order = np.full(number.size, -1)
    order[number] = np.arange(number.size)
    return np.argsort(number) if bool((order < 0).any()) else order


def flat_numbers(at: NDArray[np.int64], grid: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the flat numbers of positions in a grid."""
    if not grid:
        return np.zeros(len(at), np.int64)
    return np.asarray(np.ravel_multi_index(tuple(at.T), grid), np.int64)

"""What a store holds: bytes by keys, in a folder, local or remote, or in a zip archive."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from refmaker.errors import FormatError, LimitError, RefmakerError, UnsupportedError
from refmaker.io.listing import Listing, list_folder
from refmaker.io.local_file import local_path
from refmaker.io.many_files import FileRange, read_ranges
from refmaker.io.stores import STORE_DOCUMENTS, StoreURL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from refmaker.io.source import Source

__all__ = ["DOCUMENT_MOST", "FolderStore", "KeyStore", "Places", "read_documents", "root_of"]

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
    """

    def __init__(
        self,
        urls: Sequence[str],
        offset: NDArray[np.int64],
        length: NDArray[np.int64],
        *,
        whole: bool,
    ) -> None:
        self.urls, self.offset, self.length, self.whole = urls, offset, length, whole

    def url(self, number: int) -> str:
        """Return the file of one value."""
        return self.urls[number] if self.whole else self.urls[0]

    def columns(self) -> dict[str, Any]:
        """Return the columns of a chunk table whose rows are the values."""
        file = np.arange(len(self.urls), dtype=np.int32) if self.whole else None
        return {"offset": self.offset, "length": self.length, "url": file}


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
        length = np.array([sizes[row] for row in rows], np.int64)
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


def root_of(names: Sequence[str], url: str) -> str:
    """Return the folder in an archive that is the store: where the outermost document lies.

    Raises
    ------
    FormatError, UnsupportedError
        If there is none, or more than one.
    """
    folders = {name.rpartition("/")[0] for name in names if _is_document(name)}
    if not folders:
        raise FormatError("the archive holds no Zarr store", url=url)
    least = min(folder.count("/") if folder else -1 for folder in folders)
    first = sorted(f for f in folders if (f.count("/") if f else -1) == least)
    if len(first) > 1:
        raise UnsupportedError(
            f"the archive holds several stores: {', '.join(first[:3])}",
            code="zarr-archive",
            url=url,
            hint="unpack it, and scan each",
        )
    return f"{first[0]}/" if first[0] else ""


def _is_document(name: str) -> bool:
    return name.rpartition("/")[2] in STORE_DOCUMENTS

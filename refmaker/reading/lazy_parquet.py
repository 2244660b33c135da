"""References as kerchunk Parquet, read record by record when a key is asked for."""

from __future__ import annotations

import zlib
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refmaker.errors import LimitError, MetadataError, RefmakerError, SourceNotFoundError
from refmaker.io.folders import ReadableFolder
from refmaker.model import chunk_grid
from refmaker.model.chunk_table import ChunkTable, count
from refmaker.model.tree import joined_path
from refmaker.model.zarr_v2 import array_from_documents, dumps
from refmaker.storage.parquet import METADATA
from refmaker.storage.parquet_reader import read_metadata, read_record
from refmaker.storage.reference_index import Located, ReferenceIndex, position

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from refmaker.storage.limits import Limits

__all__ = ["LazyParquetReferences"]

KEPT = 64
"""Records kept."""


class _Folder(ReadableFolder):
    """A folder whose metadata are read once."""

    def __init__(self, url: str, storage_options: Mapping[str, Any]) -> None:
        super().__init__(url.rstrip("/") or "/", storage_options)
        self.metadata = super().read(METADATA)

    def read(self, name: str) -> bytes:
        return self.metadata if name == METADATA else super().read(name)


class _Record(NamedTuple):
    table: ChunkTable
    inlined: Mapping[int, bytes]


class LazyParquetReferences:
    """A folder of references; a record of it is read when a chunk in it is asked for.

    Parameters
    ----------
    url : str
        The folder.
    storage_options : mapping
        Passed to fsspec.
    limits : Limits
        What it may cost.

    Attributes
    ----------
    header : mapping
        The member ``refmaker`` of the metadata.
    token : tuple of int
        Bytes and checksum of the metadata.

    Raises
    ------
    SourceError, MetadataError, LimitError
        If it is no such folder.
    """

    def __init__(self, url: str, storage_options: Mapping[str, Any], *, limits: Limits) -> None:
        self._folder = _Folder(url, storage_options)
        metadata = self._folder.metadata
        if len(metadata) > limits.document_bytes:
            raise LimitError(f"metadata of more than {limits.document_bytes} bytes", url=url)
        tree, self._size, header = read_metadata(self._folder)
        self.token = len(metadata), zlib.crc32(metadata)
        documents: dict[str, bytes] = {}
        self._grids: dict[str, tuple[int, ...]] = {}
        found = {}
        for path, named in tree.items():
            for name, document in named.items():
                key = joined_path(path, name)
                found[key] = document
                documents[key] = dumps(document).encode()
            if ".zarray" in named:
                array = array_from_documents(named[".zarray"], {})
                self._grids[path] = chunk_grid(array.shape, array.chunk_shape)
        consolidated = {"metadata": found, "zarr_consolidated_format": 1}
        documents[METADATA] = dumps(consolidated).encode()
        self._documents = ReferenceIndex(documents=documents)
        self.header: Mapping[str, Any] = header
        self._records: OrderedDict[tuple[str, int], _Record | None] = OrderedDict()
        self._lock = Lock()

    def ready(self, key: str) -> bool:
        """Whether a key can be looked up without reading a file."""
        at = self._at(key)
        return at is None or (at[0], at[1] // self._size) in self._records

    def get(self, key: str) -> bytes | Located | None:
        """Return inlined bytes, a place, or None where there is no such key.

        Raises
        ------
        SourceError, MetadataError
            If the record that holds it cannot be read.
        """
        document = self._documents.get(key)
        if document is not None:
            return document
        at = self._at(key)
        if at is None:
            return None
        path, number = at
        record = self._record(path, number // self._size)
        if record is None:
            return None
        row = number % self._size
        if row in record.inlined:
            return record.inlined[row]
        return ReferenceIndex(tables={"": record.table}).get(str(row))

    def _at(self, key: str) -> tuple[str, int] | None:
        """Return the array and the number of the chunk that a key names."""
        path, _, name = key.rpartition("/")
        grid = self._grids.get(path)
        at = None if grid is None else position(name)
        if grid is None or at is None:
            return None
        grid = grid or (1,)
        number = 0
        for part, extent in zip(at, grid, strict=False):
            if part >= extent:
                return None
            number = number * extent + part
        return (path, number) if len(at) == len(grid) else None

    def _record(self, path: str, number: int) -> _Record | None:
        name = path, number
        # Readers that come together wait for one of them to load what all of them want.
        with self._lock:
            if name in self._records:
                self._records.move_to_end(name)
                return self._records[name]
            record = self._load(f"{path}/refs.{number}.parq" if path else f"refs.{number}.parq")
            self._records[name] = record
            while len(self._records) > KEPT:
                self._records.popitem(last=False)
        return record

    def _load(self, name: str) -> _Record | None:
        try:
            found = read_record(self._folder.read(name), self._size)
            table = ChunkTable.from_columns(
                (self._size,),
                tuple(found.urls),
                offset=found.offset,
                length=found.length,
                index=found.row,
                url=found.url,
            )
        except SourceNotFoundError:
            return None  # None of its chunks was ever written.
        except RefmakerError as error:
            raise error.located(url=self._folder.url, path=name) from error
        return _Record(table, found.inlined)

    def metadata(self) -> Iterator[tuple[str, bytes]]:
        """Yield key and text of every metadata document."""
        yield from self._documents.metadata()

    def urls(self) -> Iterator[str]:
        """Yield nothing: no file is known before a record is read."""
        yield from ()

    def children(self, path: str) -> tuple[list[str], Iterator[str]] | None:
        """Return the names of folders and files in a folder, or None if there is none."""
        found = self._documents.children(path)
        return None if found is None else (found[0], self._files(path, found[1]))

    def _files(self, path: str, names: Iterator[str]) -> Iterator[str]:
        yield from names
        grid = self._grids.get(path)
        if grid is None:
            return
        for number in range(-(-count(grid) // self._size)):
            record = self._record(path, number)
            if record is not None:
                inlined = np.fromiter(record.inlined, np.int64, len(record.inlined))
                rows = np.union1d(record.table.numbers().astype(np.int64), inlined)
                at = np.unravel_index(rows + number * self._size, grid or (1,))
                for parts in zip(*(column.tolist() for column in at), strict=True):
                    yield ".".join(map(str, parts))

    def keys(self) -> Iterator[str]:
        """Yield every key; reads all records."""
        open_folders = [""]
        while open_folders:
            path = open_folders.pop()
            found = self.children(path)
            if found is None:
                raise MetadataError("a folder that is not there", path=path)
            start = f"{path}/" if path else ""
            for name in found[1]:
                yield f"{start}{name}"
            open_folders += [f"{start}{name}" for name in reversed(found[0])]

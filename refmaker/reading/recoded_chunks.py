"""Chunks of a reference set decoded here, and handed out raw or in an encoding that all know.

For readers that have none of the codecs of the files: what leaves is elements in order C, little
endian, with no filter; alone, or compressed by Zstandard or gzip. Chunks are cut as in the files.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import RefmakerError
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.zarr_v2 import dumps
from refmaker.model.zarr_v3 import consolidated_v3, documents_v3, zarr_format_of
from refmaker.reading.outgoing import Outgoing
from refmaker.storage.reference_index import NUMERAL, ReferenceIndex, position

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from refmaker.reading.store import RefmakerStore

__all__ = ["RECODES", "RecodedChunks"]

RECODES: dict[str, dict[str, Any] | None] = {
    "raw": None,
    "zstd": {"id": "zstd", "level": 3, "checksum": False},
    "gzip": {"id": "gzip", "level": 5},
}
"""What chunks may be recoded to, as configurations of numcodecs."""
_TEXT = {"id": "vlen-utf8"}
_PLACES = 1 << 14
"""Keys of one array that are made together."""


class RecodedChunks(Outgoing):
    """Reads the keys of a reference set, whose chunks are decoded and encoded anew.

    Parameters
    ----------
    source : RefmakerStore
        The set, open.
    group : Group
        The same in memory.
    recode : {"raw", "zstd", "gzip"}
        What chunks are encoded by.
    zarr_format : {2, 3}, optional
        Version of Zarr of the metadata; by default 2 if that can say what is there, and `known`
        says nothing else.
    known : {2, 3}
        Version that the set came in.

    Raises
    ------
    UnsupportedError
        If the version cannot say what is there.
    ValueError
        If `recode` is none of these.
    """

    def __init__(
        self,
        source: RefmakerStore,
        group: Group,
        recode: str,
        zarr_format: int | None = None,
        known: int = 2,
    ) -> None:
        super().__init__(source.reader)
        if recode not in RECODES:
            raise ValueError(f"recode is {recode!r}, not one of {', '.join(RECODES)}")
        self.recode = recode
        self._source = source
        self._arrays = dict(group.arrays())
        self._open: dict[str, Any] = {}
        plain = group.map_arrays(partial(_plain, compressor=RECODES[recode]))
        self._version = zarr_format or max(known, zarr_format_of(plain))
        self._documents = (
            _documents_v3(plain, RECODES[recode])
            if self._version == 3
            else ReferenceIndex.of_group(plain, None, 2).documents
        )

    @property
    def version(self) -> int:
        """Version of the Zarr format that the metadata are in."""
        return self._version

    def keys(self) -> Iterator[str]:
        """Yield every key."""
        yield from self._documents
        for path, array in self._arrays.items():
            yield from self._chunk_keys(path, array.chunks)

    def rewrites(self, key: str) -> bool:
        """Tell whether a key's bytes are others than those in the source: all chunks' are."""
        return key not in self._documents

    def length(self, key: str) -> int | None:
        """Return the number of bytes that `read` gives; None if that is not known before."""
        document = self._documents.get(key)
        if document is not None:
            return len(document)
        found = self._place(key)
        if found is None or self.recode != "raw" or self._arrays[found[0]].dtype.hasobject:
            return None
        return self.weight(key)

    def weight(self, key: str) -> int:
        """Return about how many bytes are held while a key is read; 0 where nothing says it."""
        found = self._place(key)
        if found is None:
            return 0
        array = self._arrays[found[0]]
        return math.prod(_extents(array, found[1])) * array.dtype.itemsize

    async def size(self, key: str) -> int | None:
        """Return the number of bytes that `read` gives."""
        known = self.length(key)
        if known is not None:
            return known
        data = await self.read(key)
        return None if data is None else len(data)

    async def read(self, key: str, start: int | None = None, stop: int | None = None) -> Any:
        """Return the bytes of a key, or a slice of them; None where there is no such key.

        Raises
        ------
        RefmakerError
            As `Reader.read`; `CodecError` if a chunk cannot be decoded.
        """
        document = self._documents.get(key)
        if document is not None:
            return document[start:stop]
        found = self._place(key)
        if found is None:
            return None
        path, at = found
        array = self._arrays[path]
        try:
            opened = await self._opened(path)
            values = await opened.getitem(array.region(at))
        except RefmakerError as error:
            raise error.located(path=key) from error
        data = await asyncio.to_thread(
            _encoded, np.asarray(values), array, _extents(array, at), self.recode
        )
        return data[start:stop]

    async def _opened(self, path: str) -> Any:
        if path not in self._open:
            from zarr.api.asynchronous import open_array

            version: Any = self.reader.version
            self._open[path] = await open_array(
                store=self._source, path=path, mode="r", zarr_format=version
            )
        return self._open[path]

    def _chunk_keys(self, path: str, table: ChunkTable) -> Iterator[str]:
        start = f"{path}/c" if self.version == 3 else f"{path}/"
        if not table.grid:
            if table.present:
                yield start if self.version == 3 else f"{start}0"
            return
        start, separator = (f"{start}/", "/") if self.version == 3 else (start, ".")
        inlined = np.fromiter(table.inlined, np.uint64, len(table.inlined))
        numbers = np.sort(np.concatenate([table.numbers(), inlined])).astype(np.int64)
        for first in range(0, numbers.size, _PLACES):
            columns = np.unravel_index(numbers[first : first + _PLACES], table.grid)
            for at in zip(*(column.tolist() for column in columns), strict=True):
                yield start + separator.join(map(str, at))

    def _place(self, key: str) -> tuple[str, tuple[int, ...]] | None:
        """Return the array and the position of a chunk that is there."""
        path, at = _position_v3(key) if self.version == 3 else _position_v2(key)
        array = self._arrays.get(path)
        if array is None or at is None:
            return None
        grid = array.chunks.grid
        if self.version == 2 and not grid:
            at = () if at == (0,) else None
        if at is None or len(at) != len(grid) or any(map(int.__ge__, at, grid)):
            return None
        return None if array.chunks.get(at if grid else 0) is None else (path, at)


def _position_v2(key: str) -> tuple[str, tuple[int, ...] | None]:
    path, _, name = key.rpartition("/")
    return path, position(name)


def _position_v3(key: str) -> tuple[str, tuple[int, ...] | None]:
    # Numbers hold no letter: what stands behind the last "c" of a key is the position.
    if key.endswith("/c"):
        return key.removesuffix("/c"), ()
    path, _, numbers = key.rpartition("/c/")
    parts = numbers.split("/")
    return path, tuple(map(int, parts)) if all(map(NUMERAL.fullmatch, parts)) else None


def _plain(array: Array, compressor: dict[str, Any] | None) -> Array:
    """Return an array as it is handed out, without its chunks."""
    edges = array.edges and tuple(along and along.whole() for along in array.edges)
    sizes = tuple(
        size if along is None else along.largest
        for size, along in zip(array.chunk_shape, edges or (None,) * len(array.shape), strict=True)
    )
    return replace(
        array,
        chunks=ChunkTable.empty(array.chunks.grid),
        chunk_shape=sizes,
        dtype=array.dtype if array.dtype.hasobject else array.dtype.newbyteorder("<"),
        order="C",
        filters=(_TEXT,) if array.dtype.hasobject else (),
        compressor=compressor,
        edges=edges,
        origin=None,
    )


def _extents(array: Array, at: tuple[int, ...]) -> tuple[int, ...]:
    """Return the extents that a chunk is handed out with."""
    edges = array.edges or (None,) * len(array.shape)
    return tuple(
        size if along is None else int((along.stored if i == along.count - 1 else along.lengths)[i])
        for i, size, along in zip(at, array.chunk_shape, edges, strict=True)
    )


def _documents_v3(group: Group, compressor: dict[str, Any] | None) -> dict[str, bytes]:
    """Return documents in which the codec has its own name, which more readers know."""
    found = dict(documents_v3(group))
    config = {key: value for key, value in (compressor or {}).items() if key != "id"}
    for document in found.values():
        if compressor is not None and document["node_type"] == "array":
            document["codecs"][-1] = {"name": compressor["id"], "configuration": config}
    found["zarr.json"] = consolidated_v3(found)
    return {key: dumps(document).encode() for key, document in found.items()}


def _encoded(values: NDArray[Any], array: Array, shape: tuple[int, ...], recode: str) -> bytes:
    from numcodecs import VLenUTF8, get_codec

    if array.dtype.hasobject:
        full = np.full(shape, "", object)
        full[tuple(map(slice, values.shape))] = values.astype(object)
        data = bytes(VLenUTF8().encode(full.reshape(-1)))
    else:
        dtype = array.dtype.newbyteorder("<")
        full = values.astype(dtype, copy=False)
        if values.shape != shape:
            full = np.zeros(shape, dtype)
            full[tuple(map(slice, values.shape))] = values
        data = full.tobytes()
    config = RECODES[recode]
    return data if config is None else bytes(get_codec(dict(config)).encode(data))

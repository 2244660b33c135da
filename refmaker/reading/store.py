# ruff: noqa: ARG002 - the parent class says what methods are given
"""A reference set as a read-only Zarr store, and how Zarr decodes its chunks.

Zarr takes one class of pipelines for all arrays. The one here serves arrays of reference sets
only, bounded and with errors that say where, and hands all others to the class that was
configured before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import zarr
from zarr.abc.store import (
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
)
from zarr.codecs._v2 import V2Codec
from zarr.core.buffer import default_buffer_prototype
from zarr.core.codec_pipeline import BatchedCodecPipeline
from zarr.core.metadata.v2 import ArrayV2Metadata
from zarr.registry import get_pipeline_class, register_pipeline

from refmaker.codecs.bounded import bounded_codecs, chunk_bytes
from refmaker.errors import CodecError, RefmakerError
from refmaker.reading.reader import Reader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from typing import Self

    from zarr.abc.codec import Codec
    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype

__all__ = ["ReferencePipeline", "RefmakerStore"]

_NAME = f"{__name__}.ReferencePipeline"
_before: list[Any] = [BatchedCodecPipeline]
"""The class that was configured before, for arrays of other stores."""
_READ_ONLY = "store was opened in read-only mode and does not support writing"


class RefmakerStore(Store):
    """The keys of a reference set; chunks are read from the files that hold them.

    Raises
    ------
    ValueError
        If it is to be written.
    """

    supports_writes: bool = False
    supports_deletes: bool = False
    supports_listing: bool = True

    def __init__(self, reader: Reader, *, read_only: bool = True) -> None:
        if not read_only:
            raise ValueError("a reference set cannot be written through")
        super().__init__(read_only=True)
        self.reader = reader
        _install()
        if reader.uneven:
            from refmaker.storage.rectilinear import allow_rectilinear

            allow_rectilinear(reader.origin)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RefmakerStore) and self.reader == other.reader

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return RefmakerStore, (self.reader,)

    def __repr__(self) -> str:
        return f"<RefmakerStore of {self.reader.origin or 'a set in memory'}>"

    __str__ = __repr__

    def with_read_only(self, read_only: bool = True) -> Self:
        """Return the same store; a writable one there is not.

        Raises
        ------
        NotImplementedError
            If it is to be writable.
        """
        if not read_only:
            raise NotImplementedError(
                f"with_read_only is not implemented for the {type(self)} store type."
            )
        return type(self)(self.reader)

    async def get(
        self,
        key: str,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """Return the bytes of a key, or None where there is no such key.

        Raises
        ------
        RefmakerError
            If there is a reference that cannot be read; never a ``FileNotFoundError``, which
            would be taken for a chunk that was never written.
        """
        if not self._is_open:
            await self._open()
        start: int | None = None
        stop: int | None = None
        if isinstance(byte_range, RangeByteRequest):
            start, stop = byte_range.start, byte_range.end
        elif isinstance(byte_range, OffsetByteRequest):
            start = byte_range.offset
        elif isinstance(byte_range, SuffixByteRequest):
            start = -byte_range.suffix or (1 << 62)
        elif byte_range is not None:
            raise TypeError(f"Unexpected byte_range, got {byte_range}.")
        data = await self.reader.read(key, start, stop)
        # Zarr's own stores have a default, which xarray relies on.
        buffer = (prototype or default_buffer_prototype()).buffer
        return None if data is None else buffer.from_bytes(data)

    async def get_partial_values(
        self,
        prototype: BufferPrototype,
        key_ranges: Iterable[tuple[str, ByteRequest | None]],
    ) -> list[Buffer | None]:
        """Return many keys or parts of them; see `get`."""
        import asyncio

        return list(await asyncio.gather(*(self.get(k, prototype, r) for k, r in key_ranges)))

    async def exists(self, key: str) -> bool:
        """Return whether there is such a key."""
        return self.reader.locate(key) is not None

    async def getsize(self, key: str) -> int:
        """Return the number of bytes of a key.

        Raises
        ------
        FileNotFoundError
            If there is no such key.
        """
        size = await self.reader.size(key)
        if size is None:
            raise FileNotFoundError(key)
        return size

    async def list(self) -> AsyncIterator[str]:
        """Yield every key."""
        for key in self.reader.references.keys():  # noqa: SIM118 - no mapping
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Yield every key that begins so."""
        for key in self.reader.references.keys():  # noqa: SIM118 - no mapping
            if key.startswith(prefix):
                yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Yield the names of what lies directly below a group or array."""
        found = self.reader.references.children(prefix.rstrip("/"))
        if found is not None:
            for name in found[0]:
                yield name
            for name in found[1]:
                yield name

    async def set(self, key: str, value: Buffer) -> None:
        """Refuse to write.

        Raises
        ------
        ValueError
        """
        raise ValueError(_READ_ONLY)

    async def delete(self, key: str) -> None:
        """Refuse to delete.

        Raises
        ------
        ValueError
        """
        raise ValueError(_READ_ONLY)


def _install() -> None:
    """Make Zarr decode the chunks of reference sets by the pipeline here, and others as before."""
    if zarr.config.get("codec_pipeline.path") == _NAME:
        return
    _before[0] = get_pipeline_class()
    register_pipeline(ReferencePipeline)
    zarr.config.set({"codec_pipeline.path": _NAME})


@dataclass(frozen=True)
class ReferencePipeline(BatchedCodecPipeline):
    """Decodes chunks of reference sets, one at a time."""

    @classmethod
    def from_array_metadata_and_store(cls, array_metadata: Any, store: Store) -> Self:
        """Return a pipeline for an array, if its store is one of references.

        Raises
        ------
        NotImplementedError
            If it is not; Zarr then asks for one by codecs.
        """
        if not isinstance(getattr(store, "reader", None), Reader):
            made: Self = _before[0].from_array_metadata_and_store(
                array_metadata=array_metadata, store=store
            )
            return made
        if isinstance(array_metadata, ArrayV2Metadata):
            codecs: Any = [_bounded(array_metadata)]
        else:
            from refmaker.codecs.bounded_zarr3 import bounded_codecs_v3, largest_chunk

            codecs = bounded_codecs_v3(
                array_metadata.codecs,
                largest_chunk(array_metadata),
                array_metadata.data_type.to_native_dtype(),
            )
        return super().from_codecs(codecs, batch_size=1)

    @classmethod
    def from_codecs(cls, codecs: Iterable[Codec], **options: Any) -> Self:
        """Return a pipeline of the class that was configured before."""
        made: Self = _before[0].from_codecs(codecs, **options)
        return made

    async def read_batch(self, batch_info: Iterable[Any], *args: Any, **kwargs: Any) -> Any:
        """Read one chunk.

        Raises
        ------
        CodecError
            If it cannot be decoded; names set, key, file and place.
        """
        batch = list(batch_info)
        try:
            return await super().read_batch(batch, *args, **kwargs)
        except MemoryError:
            raise
        except Exception as error:
            # The edge to codecs of other people, which raise what they like.
            raise _located(error, batch) from error


def _bounded(metadata: ArrayV2Metadata) -> V2Codec:
    compressor = metadata.compressor
    named = [*(metadata.filters or ()), *([compressor] if compressor is not None else [])]
    if not named:
        return V2Codec(filters=None, compressor=None)
    dtype = metadata.dtype.to_native_dtype()
    most = chunk_bytes(
        metadata.chunks, dtype.itemsize, objects=dtype.hasobject or dtype.kind == "T"
    )
    codecs: list[Any] = list(bounded_codecs(named, most))
    if compressor is None:
        return V2Codec(filters=tuple(codecs), compressor=None)
    return V2Codec(filters=tuple(codecs[:-1]) or None, compressor=codecs[-1])


def _located(error: Exception, batch: list[Any]) -> Exception:
    """Return an error that says which chunk of which file it is about, and in which set."""
    if isinstance(error, RefmakerError) and error.path is not None and error.url is not None:
        return error
    getter = batch[0][0]
    reader = getattr(getattr(getter, "store", None), "reader", None)
    if reader is None:
        return error
    key = getter.path
    found = reader.locate(key)
    url, offset = reader.origin, None
    if found is not None and not isinstance(found, bytes):
        url, offset = found.url, found.offset
    if not isinstance(error, RefmakerError):
        told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        error = CodecError(f"the chunk cannot be decoded: {told}")
    if reader.origin not in (None, url):
        error.message += f", referenced by {reader.origin}"
    error.offset = offset if error.offset is None else error.offset
    return error.located(url=url, path=key)

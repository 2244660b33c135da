"""How Zarr decodes the chunks of reference sets: bounded, and with errors that say where.

Zarr takes one class of pipelines for all arrays. The one here serves arrays of reference sets
only, and hands all others to the class that was configured before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import zarr
from zarr.codecs._v2 import V2Codec
from zarr.core.codec_pipeline import BatchedCodecPipeline
from zarr.core.metadata.v2 import ArrayV2Metadata
from zarr.registry import get_pipeline_class, register_pipeline

from refmaker.codecs.bounded import bounded_codecs, chunk_bytes
from refmaker.errors import CodecError, RefmakerError
from refmaker.reading.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from zarr.abc.codec import Codec
    from zarr.abc.store import Store

__all__ = ["ReferencePipeline", "install"]

_NAME = f"{__name__}.ReferencePipeline"
_before: list[Any] = [BatchedCodecPipeline]
"""The class that was configured before, for arrays of other stores."""


def install() -> None:
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
        if not isinstance(array_metadata, ArrayV2Metadata):
            # Their codecs are Zarr's own; what goes wrong is located all the same.
            codecs: Any = array_metadata.codecs
        else:
            codecs = [_bounded(array_metadata)]
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
    dtype = metadata.dtype.to_native_dtype()
    most = chunk_bytes(
        metadata.chunks, dtype.itemsize, objects=dtype.hasobject or dtype.kind == "T"
    )
    filters = tuple(metadata.filters or ())
    compressor = metadata.compressor
    named = [*filters, *([compressor] if compressor is not None else [])]
    codecs: list[Any] = list(bounded_codecs(named, most))
    if compressor is None:
        return V2Codec(filters=tuple(codecs) or None, compressor=None)
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

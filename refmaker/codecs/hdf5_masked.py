"""Chunks to which not every filter of their dataset was applied."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

from numcodecs.registry import get_codec

from refmaker.codecs.base import MAX_CHUNK, DecodeOnly, bounded, deliver, input_bytes
from refmaker.codecs.hdf5_stub import HDF5Filters
from refmaker.errors import CodecError, MetadataError, RefmakerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numcodecs.abc import Codec

__all__ = ["HDF5Masked"]


class HDF5Masked(DecodeOnly):
    """A filter list of which single chunks skip some filters.

    HDF5 keeps a filter mask with every chunk: a filter that was optional and did not shrink the
    chunk is skipped. References have no room for that, but such chunks are recognised by their
    stored length, because the scanner makes sure that each length stands for one mask.

    Parameters
    ----------
    filters : sequence of mapping
        Codec configurations in storage order, as in Zarr's ``filters``.
    masks : mapping of str to int
        Stored length of a chunk in bytes to its mask: bit *i* set skips filter *i*. A
        ``refmaker.hdf5_filters`` codec counts for as many filters as it lists. Chunks of other
        lengths went through all filters.
    padded : mapping of str to int, optional
        Stored length to decoded length, for chunks that the scanner has decoded, inlined, and
        padded to a length that no stored chunk has.
    """

    codec_id = "refmaker.hdf5_masked"
    fields = ("filters", "masks", "padded")

    def __init__(
        self,
        filters: Sequence[Mapping[str, Any]],
        masks: Mapping[str, int],
        padded: Mapping[str, int] | None = None,
    ) -> None:
        self._codecs: tuple[Codec, ...] = tuple(get_codec(dict(config)) for config in filters)
        self.filters = [codec.get_config() for codec in self._codecs]
        places = sum(_width(codec) for codec in self._codecs)
        self.masks = {
            _length(key): bounded("masks", mask, 0, 2**places - 1) for key, mask in masks.items()
        }
        self.padded = {
            _length(key): bounded("padded", size, 0, int(key))
            for key, size in (padded or {}).items()
        }
        if self.masks.keys() & self.padded.keys():
            raise MetadataError(f"{self.codec_id}: a length has both a mask and a padding")
        masked = set(self.masks.values())
        self._variants = {mask: _without(self._codecs, mask) for mask in masked | {0}}

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Undo the filters that the chunk of this length went through."""
        raw = input_bytes(buf)
        key = str(raw.size)
        if key in self.padded:
            return deliver(self.codec_id, raw[: self.padded[key]], out)
        chunk: Any = raw
        for codec in reversed(self._variants[self.masks.get(key, 0)]):
            try:
                chunk = codec.decode(chunk)
            except RefmakerError:
                raise
            except (RuntimeError, ValueError, OSError, EOFError, zlib.error) as error:
                raise CodecError(f"{self.codec_id}: {codec.codec_id}: {error}") from error
        return deliver(self.codec_id, input_bytes(chunk), out)


def _length(key: str) -> str:
    if not (isinstance(key, str) and key.isascii() and key.isdigit()):
        raise MetadataError(f"{HDF5Masked.codec_id}: {key!r} is not a length")
    return str(bounded("length", int(key), 0, 2 * MAX_CHUNK))


def _width(codec: Codec) -> int:
    return len(codec.filters) if isinstance(codec, HDF5Filters) else 1


def _without(codecs: Sequence[Codec], mask: int) -> tuple[Codec, ...]:
    kept: list[Codec] = []
    for codec in codecs:
        width = _width(codec)
        skipped = mask & ((1 << width) - 1)
        mask >>= width
        if isinstance(codec, HDF5Filters):
            kept.append(codec.without(skipped))
        elif not skipped:
            kept.append(codec)
    return tuple(kept)

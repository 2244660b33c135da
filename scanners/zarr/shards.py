"""Inner chunks of shards: where they lie, by the index of each shard.

Implements the codec ``sharding_indexed`` of the Zarr specification, version 1.0: an index holds
offset and length of each inner chunk, both all ones where it was never written.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refmaker.errors import FormatError, MetadataError, UnsupportedError
from refmaker.model import ChunkTable, chunk_grid
from refmaker.scanning.key_store import Places

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["Sharding", "inner_table", "shardings_of", "shards_in"]

_NAME = "sharding_indexed"
_NEVER = np.uint64(2**64 - 1)
_PAIR = 16
_CHECKSUM = 4
_CODEC = "zarr3-codec"
_DEEPEST = 4
"""Shards in each other."""


class Sharding(NamedTuple):
    """How an array's shards are divided.

    Parameters
    ----------
    shards : tuple of int
        Elements of a shard along each dimension.
    chunks : tuple of int
        Elements of an inner chunk.
    document : dict
        The array's document as if its inner chunks were its chunks.
    order : {"<", ">"}
        Byte order of the index.
    checked : bool
        Whether a checksum follows it.
    at_end : bool
        Whether it lies at the end of a shard, or at its start.
    """

    shards: tuple[int, ...]
    chunks: tuple[int, ...]
    document: dict[str, Any]
    order: str
    checked: bool
    at_end: bool

    @property
    def per_shard(self) -> tuple[int, ...]:
        """Inner chunks of a shard along each dimension."""
        return tuple(a // b for a, b in zip(self.shards, self.chunks, strict=True))

    @property
    def index_bytes(self) -> int:
        """Bytes of an index with its checksum."""
        return math.prod(self.per_shard) * _PAIR + _CHECKSUM * self.checked


def is_sharded(document: Mapping[str, Any]) -> bool:
    """Tell whether a version 3 array has shards, as its outermost codec."""
    codecs = document.get("codecs")
    return isinstance(codecs, list) and any(_name(codec) == _NAME for codec in codecs)


def shardings_of(document: Mapping[str, Any]) -> list[Sharding]:
    """Return how the shards of a version 3 array are divided, and those that lie in them.

    Raises
    ------
    MetadataError, UnsupportedError
        As for `sharding_of`.
    """
    found: list[Sharding] = []
    while is_sharded(document):
        if len(found) == _DEEPEST:
            raise UnsupportedError(f"more than {_DEEPEST} shards in each other", code=_CODEC)
        found.append(sharding_of(document))
        document = found[-1].document
    return found


def sharding_of(document: Mapping[str, Any]) -> Sharding:
    """Return how the shards of a version 3 array are divided, the outermost ones.

    Raises
    ------
    MetadataError
        If the codec's configuration is damaged.
    UnsupportedError
        If other codecs stand beside it, or an index is encoded in another way than plain or with a
        checksum; code ``zarr3-codec``.
    """
    codecs = document["codecs"]
    if len(codecs) != 1:
        names = ", ".join(str(_name(codec)) for codec in codecs)
        raise UnsupportedError(f"shards between other codecs: {names}", code=_CODEC)
    config = codecs[0].get("configuration") if isinstance(codecs[0], dict) else None
    grid = document.get("chunk_grid")
    outer = grid.get("configuration") if isinstance(grid, dict) else None
    if not isinstance(config, dict) or not isinstance(outer, dict):
        raise MetadataError("shards without a configuration")
    if isinstance(grid, dict) and grid.get("name") != "regular":
        raise UnsupportedError(f"shards in the chunk grid {grid.get('name')!r}", code="zarr3-grid")
    inner = config.get("codecs")
    shards, chunks = _extents(outer.get("chunk_shape")), _extents(config.get("chunk_shape"))
    if len(shards) != len(chunks) or any(a % b for a, b in zip(shards, chunks, strict=True)):
        raise MetadataError(f"shards of {shards} cannot be divided into chunks of {chunks}")
    order, checked = _index_codecs(config.get("index_codecs"))
    location = config.get("index_location", "end")
    if location not in ("start", "end"):
        raise MetadataError(f"the index of shards at {location!r}")
    regular = {"name": "regular", "configuration": {"chunk_shape": list(chunks)}}
    made = {**document, "chunk_grid": regular, "codecs": inner}
    return Sharding(shards, chunks, made, order, checked, location == "end")


def _name(codec: Any) -> Any:
    return codec.get("name") if isinstance(codec, dict) else codec


def _extents(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(
        isinstance(extent, int) and not isinstance(extent, bool) and 0 < extent < 2**62
        for extent in value
    ):
        raise MetadataError(f"the shape {value!r:.80} of shards")
    return tuple(value)


def _index_codecs(codecs: Any) -> tuple[str, bool]:
    """Return the byte order of an index, and whether it has a checksum."""
    names = [_name(codec) for codec in codecs] if isinstance(codecs, list) else []
    if names not in (["bytes"], ["bytes", "crc32c"]):
        raise UnsupportedError(f"an index of shards with the codecs {names}", code=_CODEC)
    first = codecs[0].get("configuration") if isinstance(codecs[0], dict) else None
    endian = (first or {}).get("endian", "little")
    if endian not in ("little", "big"):
        raise MetadataError(f"the byte order {endian!r}")
    return "<" if endian == "little" else ">", len(names) == 2


def inner_table(
    sharding: Sharding,
    shape: Sequence[int],
    at: NDArray[np.int64],
    places: Places,
    indices: Sequence[bytes],
    sizes: NDArray[np.int64],
) -> ChunkTable:
    """Return the table of an array's inner chunks.

    Parameters
    ----------
    sharding : Sharding
        How shards are divided.
    shape : sequence of int
        Elements of the array.
    at : ndarray of int64, shape (n, rank)
        Places of the shards that are there.
    places : Places
        Where they lie.
    indices : sequence of bytes
        Their indices.
    sizes : ndarray of int64, shape (n,)
        Bytes of each.

    Raises
    ------
    FormatError
        If an index is damaged, or names bytes that its shard does not have.
    """
    grid = chunk_grid(shape, sharding.chunks)
    per = sharding.per_shard
    count = math.prod(per)
    if not len(indices):
        return ChunkTable.empty(grid)
    _check(sharding, indices, places)
    raw = b"".join(index[: count * _PAIR] for index in indices)
    entries = np.frombuffer(raw, f"{sharding.order}u8").reshape(len(indices), count, 2)
    offset, length = entries[..., 0].astype(np.uint64), entries[..., 1].astype(np.uint64)
    written = ~((offset == _NEVER) & (length == _NEVER))
    inner = np.stack(np.unravel_index(np.arange(count), per), axis=-1) if per else None
    if inner is not None:
        position = at[:, None, :] * np.array(per) + inner[None, :, :]
        # Some writers keep what lies wholly beyond the edge of the array.
        written &= (position < np.array(grid)).all(axis=-1)
    room = sizes.astype(np.uint64)[:, None]
    wrong = written & ((offset > room) | (length > room - np.minimum(offset, room)))
    if bool(wrong.any()):
        shard = int(np.flatnonzero(wrong.any(axis=1))[0])
        what = "the index of a shard names bytes beyond its end"
        raise FormatError(what, url=places.url(shard))
    row, _ = np.nonzero(written)
    chosen = np.ravel_multi_index(tuple(position[written].T), grid) if inner is not None else row
    base = places.offset.astype(np.uint64)[row]
    file = None if places.files is None else places.files[row]
    return ChunkTable.from_columns(
        grid,
        tuple(places.urls),
        offset=base + offset[written],
        length=length[written],
        index=chosen,
        url=file,
    )


def shards_in(table: ChunkTable) -> tuple[NDArray[np.int64], Places]:
    """Return positions and places of the chunks of a table, which are shards themselves."""
    at = np.stack(table.coordinates(), axis=-1).astype(np.int64) if table.grid else None
    if at is None:
        at = np.zeros((table.referenced, 0), np.int64)
    files = np.zeros(table.referenced, np.int32) if table.url is None else table.url
    return at, Places(
        table.urls,
        table.offset.astype(np.int64),
        table.length.astype(np.int64),
        whole=False,
        files=files,
    )


def _check(sharding: Sharding, indices: Sequence[bytes], places: Places) -> None:
    """Compare the checksum of each index with its bytes."""
    if not sharding.checked:
        return
    from google_crc32c import value

    for number, index in enumerate(indices):
        if value(index[:-_CHECKSUM]) != int.from_bytes(index[-_CHECKSUM:], "little"):
            raise FormatError("the index of a shard has a wrong checksum", url=places.url(number))

"""Values of small arrays: read wherever their chunks lie, and written into the set itself."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import CodecError, RefmakerError
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.inline import encode_inline
from refmaker.model.zarr_v2 import array_document, dumps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.combine.members import Member
    from refmaker.io.policy import Policy
    from refmaker.reading.reader import Reader

__all__ = ["cut_inline", "decode_chunk", "inline_like", "read_values", "same_bytes", "widened"]

_KEY = "values"
_BATCH = 64
"""Chunks that are asked for together."""
_SAFE: dict[tuple[tuple[str, ...], str], bool] = {}
_REMEMBERED = 4096


def read_values(items: Sequence[tuple[Member, str, Array]]) -> list[NDArray[Any]]:
    """Return the values of arrays of many inputs; requests are sent together.

    Parameters
    ----------
    items : sequence of (Member, str, Array)
        An input, the path of one of its arrays (for messages), and the array.

    Returns
    -------
    list of ndarray
        In the arrays' shapes and dtypes. Where no chunk was written: the fill value, or zeros.

    Raises
    ------
    SourceError
        If a chunk cannot be read.
    CodecError
        If one cannot be decoded.
    PolicyError
        If a set names what it may not.
    """
    found: list[NDArray[Any] | None] = [_plain(array) for _, _, array in items]
    rest = [i for i, values in enumerate(found) if values is None]
    for start in range(0, len(rest), _BATCH):
        batch = rest[start : start + _BATCH]
        for i, chunks in zip(batch, _fetch([items[i] for i in batch]), strict=True):
            member, path, array = items[i]
            try:
                found[i] = _assembled(array, chunks)
            except RefmakerError as error:
                raise error.located(url=member.name, path=path) from error
    return [values for values in found if values is not None]


def _plain(array: Array) -> NDArray[Any] | None:
    """Return the values of an array that is one inlined chunk without codecs."""
    table = array.chunks
    if len(table.inlined) != 1 or table.size != 1 or array.codecs or array.dtype.hasobject:
        return None
    count = math.prod(array.chunk_shape)
    (data,) = table.inlined.values()
    if len(data) < count * array.dtype.itemsize:
        return None
    chunk = np.frombuffer(data, array.dtype, count)
    if array.chunk_shape == array.shape and (len(array.shape) < 2 or array.order == "C"):
        return chunk if chunk.shape == array.shape else chunk.reshape(array.shape)
    order: Any = array.order
    shaped = chunk.reshape(array.chunk_shape, order=order)
    return shaped[tuple(slice(0, extent) for extent in array.shape)]


def _fetch(items: Sequence[tuple[Member, str, Array]]) -> list[dict[int, bytes]]:
    """Return the encoded bytes of every chunk of some arrays, by number."""
    from fsspec.asyn import get_loop, sync

    from refmaker.reading.reader import Options, Reader
    from refmaker.storage.reference_index import ReferenceIndex

    readers: list[Reader | None] = []
    for member, path, array in items:
        policy = member.refs.policy
        _check_codecs(policy, path, array)
        if not array.chunks.referenced:
            readers.append(None)
            continue
        sources = {
            url: member.refs.report.sources[url].as_dict()
            for url in array.chunks.urls
            if url in member.refs.report.sources
        }
        references = ReferenceIndex.of_group(Group({_KEY: _places(array)}), {"sources": sources})
        options = Options(storage_options=dict(member.storage_options or {}))
        readers.append(Reader(references, None, options, policy=policy))
    # In fsspec's own loop: whoever calls may have one running, as notebooks do.
    arrays = [array for _, _, array in items]
    done: list[dict[int, bytes]] = sync(get_loop(), _fetch_all, readers, arrays)
    return done


def _places(array: Array) -> Array:
    """Return an array of the same chunks and codecs, whatever the lengths of its chunks."""
    grid = array.chunks.grid
    return Array(
        grid, (1,) * len(grid), array.dtype, array.chunks, filters=array.filters,
        compressor=array.compressor,
    )  # fmt: skip


def _check_codecs(policy: Policy, path: str, array: Array) -> None:
    """Refuse codecs that do more than decode, where a stored set names them."""
    from refmaker.codecs import register

    text = dumps([dict(codec) for codec in array.codecs])
    if (policy.codecs, text) in _SAFE:
        return
    policy.check_document(f"{path}/.zarray", dumps(array_document(_places(array))).encode())
    if "refmaker." in text:
        register()
    if len(_SAFE) < _REMEMBERED:
        _SAFE[policy.codecs, text] = True


async def _fetch_all(
    readers: Sequence[Reader | None], arrays: Sequence[Array]
) -> list[dict[int, bytes]]:
    import asyncio

    return list(await asyncio.gather(*map(_fetch_one, readers, arrays)))


async def _fetch_one(reader: Reader | None, array: Array) -> dict[int, bytes]:
    table = array.chunks
    found = dict(table.inlined)
    if reader is None:
        return found
    numbers = table.numbers().astype(np.int64)
    at = np.unravel_index(numbers, table.grid) if table.grid else ()
    columns = [column.tolist() for column in at]
    keys = [".".join(map(str, parts)) for parts in zip(*columns, strict=True)] or ["0"]
    for start in range(0, len(keys), _BATCH):
        part = keys[start : start + _BATCH]
        items = [(f"{_KEY}/{key}", None, None) for key in part]
        for number, data in zip(
            numbers[start : start + _BATCH].tolist(), await reader.read_many(items), strict=True
        ):
            if isinstance(data, Exception):
                raise data
            if data is not None:
                found[number] = bytes(data)
    return found


def _assembled(array: Array, chunks: Mapping[int, bytes]) -> NDArray[Any]:
    fill = array.fill_value
    values: NDArray[Any]
    if fill is None:
        values = np.zeros(array.shape, array.dtype)
        if array.dtype.hasobject:
            values[...] = ""
    else:
        values = np.full(array.shape, fill, array.dtype)
    for number, data in chunks.items():
        at = np.unravel_index(number, array.chunks.grid) if array.shape else ()
        chunk = decode_chunk(array, data, at)
        if not array.shape:
            values[()] = chunk[()]
            continue
        region = array.region(at)
        values[region] = chunk[tuple(slice(0, part.stop - part.start) for part in region)]
    return values


def decode_chunk(array: Array, raw: bytes, at: Sequence[Any] | None = None) -> NDArray[Any]:
    """Return one chunk's elements, in the chunk's shape.

    Parameters
    ----------
    array : Array
        How it is encoded.
    raw : bytes
        The chunk.
    at : sequence of int, optional
        Its position in the grid, where chunks are of different lengths.

    Raises
    ------
    CodecError
        If a codec fails or yields another number of bytes.
    """
    import numcodecs

    from refmaker.codecs.bounded import bounded_codecs, chunk_bytes

    data: Any = raw
    try:
        made = [numcodecs.get_codec(dict(config)) for config in array.codecs]
        shape = array.chunk_shape if at is None else array.decoded_shape(at)
        most = chunk_bytes(shape, array.dtype.itemsize, objects=array.dtype.hasobject)
        for codec in reversed(bounded_codecs(made, most)):
            data = codec.decode(data)
        if array.dtype.hasobject:
            chunk = np.asarray(data, dtype=object)
        else:
            if isinstance(data, np.ndarray):
                # Codecs return what they like; the bytes are what counts.
                data = data.tobytes("A")
            chunk = np.frombuffer(bytes(data), array.dtype, count=math.prod(shape))
        order: Any = array.order
        return chunk.reshape(shape, order=order)
    except RefmakerError:
        raise
    except Exception as error:  # codecs of other packages raise anything
        raise CodecError(f"a chunk cannot be decoded: {type(error).__name__}: {error}") from error


def widened(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """Return numbers in another type, or None if that changes any of them."""
    with np.errstate(all="ignore"):
        made = values.astype(dtype)
        back = made.astype(values.dtype)
    same = (back == values) | ((back != back) & (values != values))  # noqa: PLR0124 - NaN
    return made if bool(np.all(same)) else None


def same_bytes(left: NDArray[Any], right: NDArray[Any]) -> bool:
    """Tell whether two arrays hold the same values: NaN equals itself, 0.0 not -0.0."""
    if left.shape != right.shape:
        return False
    if left.dtype.hasobject or right.dtype.hasobject:
        return bool(left.tolist() == right.tolist())
    right = right.astype(left.dtype.newbyteorder(right.dtype.byteorder), copy=False)
    native = left.dtype.newbyteorder("=")
    return bool(left.astype(native).tobytes() == right.astype(native).tobytes())


def inline_like(values: NDArray[Any], like: Array, names: tuple[str, ...]) -> Array:
    """Return values as an array that is one inlined chunk.

    Parameters
    ----------
    values : ndarray
        Of any shape; objects are texts.
    like : Array
        Gives byte order, fill value and attributes.
    names : tuple of str
        The dimensions.
    """
    values = values.astype(like.dtype, copy=False)
    if like.dtype.hasobject:
        from numcodecs import VLenUTF8

        texts = bytes(VLenUTF8().encode(np.ascontiguousarray(values).reshape(-1)))
        chunk = encode_inline(texts, 1)
        chunk = chunk._replace(filters=({"id": "vlen-utf8"},))
    else:
        chunk = encode_inline(np.ascontiguousarray(values).tobytes(), like.dtype.itemsize)
    return replace(
        like,
        shape=values.shape,
        chunk_shape=tuple(max(1, extent) for extent in values.shape),
        chunks=chunk.table(values.shape),
        order="C",
        filters=chunk.filters,
        compressor=chunk.compressor,
        dimension_names=names,
    )


def cut_inline(values: NDArray[Any], like: Array) -> ChunkTable:
    """Return values as inlined chunks, encoded as those of another array.

    Parameters
    ----------
    values : ndarray
        Of the same number of dimensions as `like`.
    like : Array
        Gives chunk shape, order, codecs and the fill of edge chunks.

    Raises
    ------
    CodecError
        If a codec cannot encode, or what it encodes does not come back as it was.
    """
    import numcodecs

    grid = tuple(-(-n // c) for n, c in zip(values.shape, like.chunk_shape, strict=True))
    order: Any = like.order
    chunks: dict[int, bytes] = {}
    for number, at in enumerate(np.ndindex(*grid)):
        chunk = np.full(
            like.chunk_shape, 0 if like.fill_value is None else like.fill_value, like.dtype
        )
        source = tuple(slice(i * c, (i + 1) * c) for i, c in zip(at, like.chunk_shape, strict=True))
        part = values[source]
        chunk[tuple(slice(0, n) for n in part.shape)] = part
        data: Any = chunk.tobytes(order)
        try:
            for config in like.codecs:
                data = numcodecs.get_codec(dict(config)).encode(data)
        except Exception as error:  # codecs of other packages raise anything
            raise CodecError(f"values cannot be encoded: {error}") from error
        encoded = data.tobytes() if isinstance(data, np.ndarray) else bytes(data)
        if not same_bytes(decode_chunk(like, encoded), chunk):
            raise CodecError("values do not come back from the others' codecs as they were")
        chunks[number] = encoded
    return ChunkTable.inline(grid, chunks)

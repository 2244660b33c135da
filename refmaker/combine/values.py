"""Values of small arrays: read wherever their chunks lie, and written into the set itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.codecs.chunk_values import assembled, decode_chunk, plain_values
from refmaker.errors import CodecError, RefmakerError
from refmaker.io.safe_codecs import check_codecs
from refmaker.model import Array, ChunkTable
from refmaker.model.inline import inline_like
from refmaker.reading.chunk_bytes import fetch_chunks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from refmaker.combine.members import Member

__all__ = ["cut_inline", "decode_chunk", "inline_like", "read_values", "same_bytes", "widened"]

_BATCH = 64
"""Chunks that are asked for together."""


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
    found: list[NDArray[Any] | None] = [plain_values(array) for _, _, array in items]
    rest = [i for i, values in enumerate(found) if values is None]
    for start in range(0, len(rest), _BATCH):
        batch = rest[start : start + _BATCH]
        for i, chunks in zip(batch, _fetch([items[i] for i in batch]), strict=True):
            member, path, array = items[i]
            try:
                found[i] = assembled(array, chunks)
            except RefmakerError as error:
                raise error.located(url=member.name, path=path) from error
    return [values for values in found if values is not None]


def _fetch(items: Sequence[tuple[Member, str, Array]]) -> list[dict[int, bytes]]:
    """Return the encoded bytes of every chunk of some arrays, by number."""
    for member, path, array in items:
        check_codecs(member.refs.policy, path, array)
    return fetch_chunks([(m.refs, array, m.storage_options) for m, _, array in items])


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

"""Two ways to read a reference set that share no code with the one users take."""

from __future__ import annotations

import io
import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.io.source import Source
from refmaker.model import Group
from refmaker.storage import json_writer

if TYPE_CHECKING:
    import zarr
    from numpy.typing import NDArray

    from refmaker.model import Array, Reference
    from refmaker.storage.reference_set import ReferenceSet

__all__ = ["decode_array", "document", "open_stock"]


def document(refs: ReferenceSet | Group) -> dict[str, Any]:
    """Return the parsed kerchunk JSON that the set is written as.

    Raises
    ------
    ValueError
        If the text is not strictly valid JSON, such as by a bare NaN.
    """
    buffer = io.BytesIO()
    json_writer.write(refs if isinstance(refs, Group) else refs.group, buffer)
    parsed: dict[str, Any] = json.loads(buffer.getvalue(), parse_constant=_refuse)
    return parsed


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def open_stock(
    refs: ReferenceSet | Group, remote_options: dict[str, Any] | None = None
) -> zarr.Group:
    """Open a set as a user without this package would: ``reference://``, fsspec and zarr alone.

    Parameters
    ----------
    refs : ReferenceSet or Group
        Its templates are expanded by fsspec.
    remote_options : dict, optional
        Passed to fsspec for the files; those behind http need ``asynchronous=True``.
    """
    import zarr

    options = {"fo": document(refs), "remote_options": remote_options}
    return zarr.open_group("reference://", mode="r", storage_options=options)


def decode_array(array: Array) -> NDArray[Any]:
    """Return an array's values, decoded by numcodecs and numpy alone.

    Parameters
    ----------
    array : Array
        Its chunks lie in files that can be read without options.

    Returns
    -------
    ndarray of the array's shape and dtype
        Where no chunk was written: the fill value, or zeros if there is none.
    """
    fill = array.fill_value
    if fill is None:
        values = np.zeros(array.shape, array.dtype)
        if array.dtype.hasobject:
            values[...] = ""
    else:
        values = np.full(array.shape, fill, array.dtype)
    sources: dict[str, Source] = {}
    try:
        for number in range(array.chunks.size):
            found = array.chunks.get(number)
            if found is not None:
                raw = found if isinstance(found, bytes) else _bytes(found, sources)
                _place(values, _decode(array, raw, number), number, array)
    finally:
        for source in sources.values():
            source.close()
    return values


def _bytes(reference: Reference, sources: dict[str, Source]) -> bytes:
    if reference.url not in sources:
        sources[reference.url] = Source(reference.url)
    source = sources[reference.url]
    whole = not reference.offset and not reference.length
    return source.read(reference.offset, source.size if whole else reference.length)


def _decode(array: Array, raw: bytes, number: int) -> NDArray[Any]:
    import numcodecs

    at = np.unravel_index(number, array.chunks.grid) if array.shape else ()
    shape = array.decoded_shape(at)
    data: Any = raw
    for config in reversed(array.codecs):
        data = numcodecs.get_codec(dict(config)).decode(data)
    if array.dtype.hasobject:
        chunk = np.asarray(data, dtype=object)
    else:
        if isinstance(data, np.ndarray):
            # Codecs return what they like; the bytes are what counts.
            data = data.tobytes("A")
        chunk = np.frombuffer(bytes(data), array.dtype, count=math.prod(shape))
    return chunk.reshape(shape, order="F" if array.order == "F" else "C")


def _place(values: NDArray[Any], chunk: NDArray[Any], number: int, array: Array) -> None:
    if not array.shape:
        values[()] = chunk[()]
        return
    region = array.region(np.unravel_index(number, array.chunks.grid))
    values[region] = chunk[tuple(slice(0, part.stop - part.start) for part in region)]

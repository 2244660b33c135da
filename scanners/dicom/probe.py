"""A look at frames while scanning, so that what is referenced can be decoded.

What cannot be decoded is refused by name, so that "referenced" means readable. Bounded: one small
frame of an array, and none of a remote file, unless all are to be looked at.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from refmaker.errors import MissingDependencyError, RefmakerError, UnsupportedError
from refmaker.io.source import Source, local_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refmaker.model import Array

__all__ = ["probe"]

_STORED, _DECODED = 1 << 20, 4 << 20
"""Bytes of a frame that is looked at: as it is stored, and decoded."""
_LARGEST = 1 << 28
"""The same if all frames are to be looked at."""


def probe(array: Array, mode: str, storage_options: Mapping[str, Any] | None) -> None:
    """Decode some chunks of an array.

    Parameters
    ----------
    array : Array
        Its chunks are frames, or parts of frames.
    mode : {"auto", "all", "none"}
        Whether to decode one small compressed frame of a local file, all frames, or none.
    storage_options : mapping or None
        Passed to fsspec.

    Raises
    ------
    UnsupportedError
        If one cannot be decoded, with code ``undecodable``; names the file.
    """
    table = array.chunks
    if mode == "none" or not _compressed(array) or not table.referenced:
        return
    if array.dtype.itemsize * math.prod(array.chunk_shape) > (
        _LARGEST if mode == "all" else _DECODED
    ):
        return
    if mode == "all":
        for row in range(table.referenced):
            _decode(array, row, storage_options)
        return
    url = table.urls[0 if table.url is None else int(table.url[0])]
    if int(table.length[0]) <= _STORED and local_path(url) is not None:
        _decode(array, 0, storage_options)


def _compressed(array: Array) -> bool:
    """Tell whether chunks are more than cells that may be packed or swapped."""
    config = array.compressor or {}
    if config.get("id") != "refmaker.dicom":
        return bool(config)
    return config.get("encoding", "raw") != "raw" or "skip" in config


def _decode(array: Array, row: int, storage_options: Mapping[str, Any] | None) -> None:
    from numcodecs import get_codec

    from refmaker.codecs import register

    register()
    table = array.chunks
    url = table.urls[0 if table.url is None else int(table.url[row])]
    offset, length = int(table.offset[row]), int(table.length[row])
    wanted = array.dtype.itemsize * math.prod(array.chunk_shape)
    try:
        with Source(url, storage_options) as source:
            data: Any = source.read(offset, min(length, _LARGEST))
        for config in (array.compressor, *reversed(array.filters)):
            data = get_codec(dict(config or {})).decode(data)
        size = memoryview(data).nbytes
    except MissingDependencyError:
        # Whoever reads may have what is missing here.
        return
    except (RefmakerError, RuntimeError, ValueError, TypeError, OSError, MemoryError) as error:
        # The text of a decoder may quote what it was given.
        raise UnsupportedError(
            f"a frame at byte {offset} cannot be decoded: {type(error).__name__}",
            code="undecodable",
            url=url,
        ) from None
    if size != wanted:
        raise UnsupportedError(
            f"a frame at byte {offset} decodes to {size} bytes, {wanted} are expected",
            code="undecodable",
            url=url,
        )

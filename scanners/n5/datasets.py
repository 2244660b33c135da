"""What the documents of an N5 container say: groups, datasets, their elements and blocks.

Implements "File-system specification" of N5, items 1 to 6, versions 1 to 4.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.codecs.checks import MAX_CHUNK
from refmaker.errors import FormatError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LZ4", "Dataset", "attributes_of", "parsed_document", "read_dataset"]

_TYPES = {
    "uint8": "u1", "uint16": "u2", "uint32": "u4", "uint64": "u8", "int8": "i1", "int16": "i2",
    "int32": "i4", "int64": "i8", "float32": "f4", "float64": "f8",
}  # fmt: skip
_OWN = ("dimensions", "blockSize", "dataType", "compression", "compressionType", "n5")
LZ4 = "lz4_java"
"""Compression that ``refmaker.n5`` alone decodes."""
_CODECS: Mapping[str, Mapping[str, Any]] = {
    "gzip": {"id": "gzip", "level": 1}, "bzip2": {"id": "bz2", "level": 1}, "xz": {"id": "lzma"},
    "blosc": {"id": "blosc"}, "zstd": {"id": "zstd"}, "zstandard": {"id": "zstd"},
    "lz4": {"id": LZ4},
}  # fmt: skip
_NESTING = 64
_MAX_RANK = 32


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset.

    Parameters
    ----------
    shape : tuple of int
        Its extents in C order, the reverse of N5's.
    block : tuple of int
        Those of a whole block.
    dtype : numpy.dtype
        Element type; big-endian.
    codec : mapping or None
        The configuration of the codec of elements.
    axes : tuple of str or None
        The names of its axes in C order, if it has any.
    attributes : dict
        What is not said by the others, as it is written.
    """

    shape: tuple[int, ...]
    block: tuple[int, ...]
    dtype: np.dtype[Any]
    codec: Mapping[str, Any] | None
    axes: tuple[str, ...] | None
    attributes: dict[str, Any]

    @property
    def header_bytes(self) -> int:
        """Bytes of a block before its elements."""
        return 4 + 4 * len(self.shape)


def parsed_document(data: bytes, url: str) -> dict[str, Any]:
    """Return a document.

    Raises
    ------
    FormatError
        If it is no JSON object, or nested deeper than real ones.
    """
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"not JSON: {error}", url=url) from error
    if not isinstance(found, dict):
        raise FormatError("a document that is no JSON object", url=url)
    return found


def attributes_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a document says besides how elements are stored."""
    return {key: value for key, value in document.items() if key not in _OWN}


def read_dataset(document: Mapping[str, Any], url: str) -> Dataset:
    """Return the dataset that a document describes.

    Raises
    ------
    FormatError
        If it does not say what it has to.
    UnsupportedError
        If it is of objects, or compressed as nothing here decodes.
    """
    shape = _extents(document, "dimensions", url, least=0)
    block = _extents(document, "blockSize", url, least=1)
    if len(shape) != len(block):
        raise FormatError(f"{len(shape)} dimensions in blocks of {len(block)}", url=url)
    kind = document.get("dataType")
    if not isinstance(kind, str) or kind not in _TYPES:
        raise UnsupportedError(f"its data type is {kind!r:.60}", code="n5-type", url=url)
    dtype = np.dtype(_TYPES[kind]).newbyteorder(">")
    if math.prod(block) * dtype.itemsize > MAX_CHUNK:
        raise FormatError(f"blocks of {block} elements", url=url)
    axes = document.get("axes")
    named = isinstance(axes, list) and len(axes) == len(shape) == len({str(axis) for axis in axes})
    names = tuple(map(str, reversed(axes))) if isinstance(axes, list) and named else None
    if names and not all(name.isidentifier() for name in names):
        names = None
    codec = _codec(document, url)
    return Dataset(shape[::-1], block[::-1], dtype, codec, names, attributes_of(document))


def _extents(document: Mapping[str, Any], name: str, url: str, least: int) -> tuple[int, ...]:
    found = document.get(name)
    fits = isinstance(found, list) and 1 <= len(found) <= _MAX_RANK
    if not fits or not all(type(n) is int and least <= n < 2**63 for n in found or ()):
        raise FormatError(f"its {name} are {found!r:.60}", url=url)
    return tuple(found or ())


def _codec(document: Mapping[str, Any], url: str) -> Mapping[str, Any] | None:
    """Return the configuration of the codec of elements (version 1 has a name alone)."""
    told = document.get("compression", document.get("compressionType", "raw"))
    options = told if isinstance(told, dict) else {"type": told}
    kind = options.get("type")
    if kind == "raw":
        return None
    if kind == "gzip" and options.get("useZlib") is True:
        return {"id": "zlib", "level": 1}
    if not isinstance(kind, str) or kind not in _CODECS:
        raise UnsupportedError(
            f"its compression is {kind!r:.60}", code="n5-compression", url=url,
            hint="rewrite it with gzip, blosc or zstd",
        )  # fmt: skip
    return _CODECS[kind]

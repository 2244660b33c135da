"""One scanned file as bytes: what workers send and what the scan cache keeps.

The form is this package's own, and holds neither code nor pickles: compressed by zlib, a length,
a JSON header with all metadata documents and the report, and behind it the columns of the chunk
tables as they are in memory, little-endian.
"""

from __future__ import annotations

import json
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import MetadataError
from refmaker.model import Array, ChunkTable, chunk_grid
from refmaker.model.report import Fingerprint, ObjectReport, Outcome, ScanReport
from refmaker.model.zarr_v2 import array_document, attributes_document, dumps
from refmaker.model.zarr_v3 import array_document_v3
from refmaker.model.zarr_v3_reader import chunk_grid_v3
from refmaker.storage.tree import assemble

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from refmaker.model import Group

__all__ = ["deserialize", "deserialize_part", "serialize", "serialize_part"]

_MAGIC = b"refmaker scan 1\n"
_PART = b"refmaker part 1\n"
_LEVEL = 1
"""Of zlib: columns shrink to a third, and it costs less than writing what is saved."""
_SMALL = 1 << 15
"""Bytes that are compressed with a window of 4 KiB."""
_COSTS = ("requests", "bytes_read", "rounds", "seconds")


def serialize(group: Group, report: ScanReport) -> bytes:
    """Return a reference set and its report as bytes.

    Raises
    ------
    MetadataError
        If an attribute cannot be expressed in JSON.
    """
    columns: list[bytes] = []
    nodes = [
        [
            path,
            attributes_document(node),
            *(_array(node, columns) if isinstance(node, Array) else ()),
        ]
        for path, node in group.walk()
    ]
    head = dumps({"nodes": nodes, "report": _report(report)}).encode()
    body = b"".join([struct.pack("<Q", len(head)), head, *columns])
    return _MAGIC + struct.pack("<Q", len(body)) + _compressed(body)


def _compressed(body: bytes) -> bytes:
    if len(body) > _SMALL:
        return zlib.compress(body, _LEVEL)
    # Clearing the memory of a large window takes longer than compressing so little.
    small = zlib.compressobj(_LEVEL, wbits=12, memLevel=5)
    return small.compress(body) + small.flush()


def deserialize(data: bytes) -> tuple[Group, ScanReport]:
    """Return the reference set and the report that `serialize` was given.

    Raises
    ------
    MetadataError
        If the bytes are not such a set, or damaged.
    """
    try:
        return _unpack(data)
    except (ValueError, TypeError, KeyError, AttributeError, struct.error, zlib.error) as error:
        if isinstance(error, MetadataError):
            raise
        raise MetadataError(f"not a packed reference set: {error}") from error


def serialize_part(part: bytes, report: ScanReport) -> bytes:
    """Return the part of a file, and the account of its scan, as bytes."""
    head = dumps(_report(report)).encode()
    return _PART + struct.pack("<I", len(head)) + head + part


def deserialize_part(data: bytes) -> tuple[bytes, ScanReport]:
    """Return the part and the account that `serialize_part` was given.

    Raises
    ------
    MetadataError
        If the bytes are something else.
    """
    start = len(_PART) + 4
    try:
        if not data.startswith(_PART):
            raise MetadataError("not the part of a file")
        (size,) = struct.unpack_from("<I", data, len(_PART))
        return data[start + size :], _read_report(json.loads(data[start : start + size]))
    except (ValueError, TypeError, KeyError, AttributeError, struct.error) as error:
        if isinstance(error, MetadataError):
            raise
        raise MetadataError(f"not the part of a file: {error}") from error


def _array(array: Any, columns: list[bytes]) -> tuple[Any, ...]:
    """Put away the columns of an array, and return the rest."""
    table = array.chunks
    found = {"offset": table.offset, "length": table.length, "url": table.url, "index": table.index}
    types = {}
    for name, column in found.items():
        if column is not None:
            little = column.astype(column.dtype.newbyteorder("<"), copy=False)
            types[name] = little.dtype.str
            columns.append(little.tobytes())
    sizes = [[int(number), len(chunk)] for number, chunk in table.inlined.items()]
    columns.extend(table.inlined.values())
    # Only version 3 has chunks of different lengths.
    document = array_document(array) if array.edges is None else array_document_v3(array)
    return document, list(table.urls), table.referenced, types, sizes


def _report(report: ScanReport) -> dict[str, Any]:
    return {
        "url": report.url,
        "format": report.format,
        "rows": [[row.path, row.outcome, row.reason, row.code] for row in report.rows],
        "warnings": report.warnings,
        "sources": {url: known.as_dict() for url, known in report.sources.items()},
        "missing": report.missing,
        "parts": report.parts,
        "costs": [getattr(report, name) for name in _COSTS],
    }


class _Reader:
    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 0

    def take(self, nbytes: int) -> memoryview:
        part = self._data[self._at : self._at + nbytes]
        if nbytes < 0 or len(part) != nbytes:
            raise MetadataError("not a packed reference set: it ends too early")
        self._at += nbytes
        return part

    def column(self, dtype: str, count: int) -> NDArray[Any]:
        kind = np.dtype(dtype)
        # A copy: the table outlives the buffer of all columns together.
        return np.frombuffer(self.take(kind.itemsize * count), kind).copy()


def _unpack(data: bytes) -> tuple[Group, ScanReport]:
    if not data.startswith(_MAGIC):
        raise MetadataError("not a packed reference set")
    start = len(_MAGIC) + 8
    (size,) = struct.unpack_from("<Q", data, len(_MAGIC))
    # No more than it says of itself, however much the compressed bytes would give.
    body = memoryview(zlib.decompressobj().decompress(memoryview(data)[start:], size + 1))
    if len(body) != size:
        raise MetadataError("not a packed reference set: its size is wrong")
    (length,) = struct.unpack_from("<Q", body)
    header = json.loads(bytes(body[8 : 8 + length]))
    reader = _Reader(body[8 + length :])
    tree: dict[str, dict[str, dict[str, Any]]] = {}
    tables = {}
    for path, attributes, *array in header["nodes"]:
        tree[path] = {".zattrs": attributes}
        if array:
            third = array[0]["zarr_format"] == 3
            tree[path] = {"zarr.json": array[0]} if third else {**tree[path], ".zarray": array[0]}
            tables[path] = _table(array, reader)
    return assemble(tree, lambda path, _: tables[path]), _read_report(header["report"])


def _table(array: list[Any], reader: _Reader) -> ChunkTable:
    document, urls, count, types, sizes = array
    columns: Mapping[str, Any] = {name: reader.column(types[name], count) for name in types}
    third = document["zarr_format"] == 3
    return ChunkTable(
        chunk_grid_v3(document) if third else chunk_grid(document["shape"], document["chunks"]),
        tuple(urls),
        **columns,
        inlined={number: bytes(reader.take(nbytes)) for number, nbytes in sizes},
    )


def _read_report(document: Mapping[str, Any]) -> ScanReport:
    return ScanReport(
        document["url"],
        document["format"],
        [ObjectReport(path, Outcome(kind), *why) for path, kind, *why in document["rows"]],
        document["warnings"],
        {url: Fingerprint.from_dict(known) for url, known in document["sources"].items()},
        missing=document.get("missing", []),
        parts=document.get("parts", {}),
        **dict(zip(_COSTS, document["costs"], strict=True)),
    )

"""What is in a reference set, as one JSON object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.codecs import requirements
from refmaker.io.source import local_path
from refmaker.model import Array, Group
from refmaker.model.zarr_v2 import encode_dtype, encode_fill_value
from refmaker.publish.html_report.advice import advise
from refmaker.publish.html_report.spans import spans
from refmaker.scanning.protocol import Summarizer, scanners
from refmaker.storage.rectilinear import uneven_note

if TYPE_CHECKING:
    from refmaker.storage.reference_set import ReferenceSet

__all__ = ["describe"]


def describe(refs: ReferenceSet, name: str = "") -> dict[str, Any]:
    """Return what is in a reference set in memory; see `refmaker.publish.html_report.describe`."""
    nodes = list(refs.group.walk())
    arrays = [(path, node) for path, node in nodes if isinstance(node, Array)]
    report = refs.report.as_dict()
    targets = _targets(refs)
    entries = [_array(path, array) for path, array in arrays]
    note = uneven_note(refs.group)
    return {
        "input": name,
        "format": refs.report.format,
        "zarr_format": refs.zarr_format if note is None else 3,
        "groups": [path or "/" for path, node in nodes if isinstance(node, Group)],
        "summary": _summary(refs),
        "arrays": entries,
        "spans": spans(refs.group),
        "targets": targets,
        "protocols": sorted({_protocol(target["url"]) for target in targets}),
        "packages": sorted({package for _, array in arrays for package in _packages(array)}),
        "nbytes": sum(entry["nbytes"] for entry in entries),
        "stored": sum(entry["stored"] for entry in entries),
        "skipped": report["skipped"],
        "warnings": list(dict.fromkeys([*report["warnings"], *([note] if note else [])])),
        "readers": refs.readers(),
        "advice": advise(entries, targets),
    }


def _summary(refs: ReferenceSet) -> list[dict[str, Any]]:
    """Return what the format's scanner says in a table; nothing where it says nothing."""
    scanner = scanners().get(refs.report.format)
    return scanner.summary(refs.group) if isinstance(scanner, Summarizer) else []


def _packages(array: Array) -> tuple[str, ...]:
    found = requirements(array.codecs)
    if any(along is not None and along.padded for along in array.edges or ()):
        return tuple(sorted({*found, "refmaker"}))
    return found


def _extents(array: Array) -> list[str]:
    """Return the extent of chunks along each dimension, from the shortest to the longest."""
    edges = array.edges or (None,) * len(array.shape)
    found = []
    for size, along in zip(array.chunk_shape, edges, strict=True):
        low, high = (size, size) if along is None else (along.lengths.min(), along.lengths.max())
        found.append(f"{low}" if low == high else f"{low}..{high}")
    return found


def _protocol(url: str) -> str:
    return "file" if local_path(url) is not None else url.partition("://")[0]


def _array(path: str, array: Array) -> dict[str, Any]:
    table = array.chunks
    stored = int(table.length.sum()) + sum(map(len, table.inlined.values()))
    return {
        "path": path,
        "shape": list(array.shape),
        "chunk_shape": list(array.chunk_shape),
        "chunk_extents": _extents(array),
        "grid": list(table.grid),
        "dimensions": None if array.dimension_names is None else list(array.dimension_names),
        "dtype": encode_dtype(array.dtype),
        "fill_value": encode_fill_value(array.fill_value, array.dtype),
        "codecs": [str(codec["id"]) for codec in array.codecs],
        "packages": list(_packages(array)),
        "nbytes": array.nbytes,
        "stored": stored,
        "chunks": {
            "total": table.size,
            "referenced": table.referenced,
            "inlined": len(table.inlined),
            "absent": table.absent,
        },
    }


def _targets(refs: ReferenceSet) -> list[dict[str, Any]]:
    """Return the files that chunks lie in, with how many and how many bytes."""
    found: dict[str, list[int]] = {url: [0, 0] for url in refs.report.sources}
    for _, array in refs.group.arrays():
        table = array.chunks
        files = np.zeros(table.referenced, np.int32) if table.url is None else table.url
        chunks = np.bincount(files, minlength=len(table.urls))
        # Float sums are exact up to 2**53 bytes, beyond any file.
        nbytes = np.bincount(files, weights=table.length, minlength=len(table.urls))
        for url, count, size in zip(table.urls, chunks.tolist(), nbytes.tolist(), strict=False):
            if count:
                total = found.setdefault(url, [0, 0])
                total[0] += count
                total[1] += int(size)
    return [{"url": url, "chunks": n, "bytes": size} for url, (n, size) in found.items()]

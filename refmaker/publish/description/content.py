"""What is in a reference set, as one JSON object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.codecs import requirements
from refmaker.io.source import local_path
from refmaker.model import Array, Group
from refmaker.model.report import Outcome
from refmaker.model.zarr_v2 import encode_dtype, encode_fill_value
from refmaker.publish.description.advice import advise
from refmaker.publish.description.coordinates import coordinates as coordinates_of_set
from refmaker.publish.description.dimensions import dimensions
from refmaker.publish.description.images import images, volumes
from refmaker.publish.description.packing import packing
from refmaker.publish.description.places import places
from refmaker.scanning.protocol import Summarizer, scanners
from refmaker.storage.rectilinear import uneven_note

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from refmaker.storage.reference_set import ReferenceSet

__all__ = ["describe"]

_FIELDS = "refmaker:fields"
"""Attribute of GRIB's sets that counts what became of messages."""


def describe(
    refs: ReferenceSet,
    name: str = "",
    storage_options: Mapping[str, Any] | None = None,
    coordinates: str = "local",
) -> dict[str, Any]:
    """Return what is in a reference set in memory; see `refmaker.describe`."""
    nodes = dict(refs.group.walk())
    arrays = [(path, node) for path, node in nodes.items() if isinstance(node, Array)]
    report = refs.report.as_dict()
    targets = _targets(refs)
    entries = [_array(path, array) for path, array in arrays]
    note = uneven_note(refs.group)
    known = coordinates_of_set(refs, nodes, storage_options, coordinates)
    return {
        "input": name,
        "format": refs.report.format,
        "zarr_format": refs.zarr_format if note is None else 3,
        "groups": [path or "/" for path, node in nodes.items() if isinstance(node, Group)],
        "summary": _summary(refs),
        "dimensions": dimensions(nodes),
        "arrays": entries,
        "spans": known.spans,
        "unread": known.unread,
        "places": places(nodes, known.spans),
        "images": images(nodes),
        "volumes": volumes(nodes),
        "targets": targets,
        "protocols": sorted({_protocol(target["url"]) for target in targets}),
        "codecs": _codecs(array for _, array in arrays),
        "packages": sorted({package for entry in entries for package in entry["packages"]}),
        "nbytes": sum(entry["nbytes"] for entry in entries),
        "stored": sum(entry["stored"] for entry in entries),
        "duplicated": _duplicated(refs),
        "messages": _messages(refs),
        "skipped": report["skipped"],
        "warnings": list(dict.fromkeys([*report["warnings"], *([note] if note else [])])),
        "readers": refs.readers(),
        "advice": advise(entries, targets),
    }


def _duplicated(refs: ReferenceSet) -> list[dict[str, str]] | None:
    """Return objects that others stand for, or None: a set that is read back remembers none."""
    rows = refs.report.having(Outcome.DUPLICATED)
    if not refs.report.rows:
        return None
    return [{"path": row.path, "reason": row.reason, "code": row.code} for row in rows]


def _messages(refs: ReferenceSet) -> dict[str, int] | None:
    """Return what GRIB's scanner counted: fields found, placed, there twice and in no order."""
    told = refs.group.attributes.get(_FIELDS)
    if not isinstance(told, dict):
        return None
    return {str(name): n for name, n in told.items() if isinstance(n, int)}


def _codecs(arrays: Iterable[Array]) -> list[dict[str, Any]]:
    """Return each codec id with the packages that decode it, and which of them are not there."""
    found: dict[str, set[str]] = {}
    seen: set[int] = set()
    for array in arrays:
        for config in array.codecs:
            # Arrays of one kind share their configurations.
            if id(config) not in seen:
                seen.add(id(config))
                found.setdefault(str(config["id"]), set()).update(requirements([config]))
    return [
        {"id": name, "packages": sorted(needed), "missing": sorted(filter(_missing, needed))}
        for name, needed in found.items()
    ]


def _missing(package: str) -> bool:
    from importlib.metadata import PackageNotFoundError, version

    if package == "refmaker":
        return False
    try:
        version(package)
    except PackageNotFoundError:
        return True
    return False


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
        **packing(array),
        "grid_mapping": array.attributes.get("grid_mapping"),
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
    known = refs.report.sources
    return [
        {"url": url, "chunks": n, "bytes": size, "size": known[url].size if url in known else None}
        for url, (n, size) in found.items()
    ]

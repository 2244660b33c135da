"""VirtualiZarr's manifests as reference sets."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.codecs.fill_value import settle_fill
from refmaker.errors import MetadataError, RefmakerError
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.report import Outcome, ScanReport
from refmaker.model.tree import joined_path
from refmaker.model.zarr_v3_reader import array_from_document_v3, group_from_document_v3
from refmaker.reading.data_files import tell_losses
from refmaker.scanning.options import ScanOptions
from refmaker.storage.reference_set import ReferenceSet
from refmaker.virtualizarr.library import INLINED, MISSING, manifests
from refmaker.virtualizarr.parser import decoded_path

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["array_from_manifest", "from_store", "table_from_manifest"]

_FEW = 16
"""Files up to which paths are told apart by comparing, which is faster than sorting them."""


def from_store(store: Any, *, strict: bool = False) -> ReferenceSet:
    """Return what a parser of VirtualiZarr found, any parser, as a reference set.

    Parameters
    ----------
    store : virtualizarr.manifests.ManifestStore
        Or a ``ManifestGroup``.
    strict : bool
        Whether an array that cannot be expressed is an error. Otherwise it is left out, has a row
        in the report, and is named by a warning.

    Returns
    -------
    ReferenceSet
        Its groups and arrays. The report has a row for each; fingerprints of the files are not
        known.

    Raises
    ------
    MissingDependencyError
        If VirtualiZarr 2.8 or later is not installed.
    MetadataError
        If `strict`, and an array contradicts itself: ranges that no file has.
    UnsupportedError
        If `strict`, and version 2 of Zarr cannot say what an array is, such as one with shards.
    TypeError
        If it is no manifest store.

    Examples
    --------
    >>> from pathlib import Path
    >>> from obspec_utils.registry import ObjectStoreRegistry
    >>> from obstore.store import LocalStore
    >>> from refmaker.virtualizarr import from_store
    >>> from virtualizarr.parsers import HDFParser
    >>> registry = ObjectStoreRegistry({"file://": LocalStore()})
    >>> store = HDFParser()(f"file://{Path('examples/air.nc').resolve()}", registry)
    >>> from_store(store)["air"].shape
    (124, 11, 21)
    """
    library = manifests()
    top = getattr(store, "_group", store)
    if not isinstance(top, library.ManifestGroup):
        raise TypeError(f"a ManifestStore or ManifestGroup is needed, not {type(store).__name__}")
    report = ScanReport("", format="virtualizarr")
    # Parents first, and then made from the last to the first: trees may nest deeply.
    order: list[tuple[str, Any]] = [("", top)]
    for path, node in order:
        inside = {**node.arrays, **node.groups} if isinstance(node, library.ManifestGroup) else {}
        order += [(joined_path(path, name), member) for name, member in inside.items()]
    found: dict[str, dict[str, Array | Group]] = {}
    root = Group()
    for path, node in reversed(order):
        above, _, name = path.rpartition("/")
        if isinstance(node, library.ManifestGroup):
            members = dict(reversed([*found.pop(path, {}).items()]))
            made: Array | Group = group_from_document_v3(_document(node.metadata), members)
            report.add(f"/{path}", Outcome.GROUP)
            root = made if isinstance(made, Group) else root
        else:
            try:
                made = array_from_manifest(node, report)
            except RefmakerError as error:
                if strict:
                    raise error.located(path=path) from error
                report.add(f"/{path}", Outcome.SKIPPED, str(error), getattr(error, "code", ""))
                continue
            report.add(f"/{path}", Outcome.REFERENCED)
        found.setdefault(above, {})[name] = made
    report.rows.reverse()
    tell_losses(report)
    return ReferenceSet(root, report)


def _document(metadata: Any) -> dict[str, Any]:
    from zarr.core.buffer import default_buffer_prototype
    from zarr.errors import UnstableSpecificationWarning

    with warnings.catch_warnings():
        # That texts have no specification is the business of who stores them so.
        warnings.simplefilter("ignore", UnstableSpecificationWarning)
        text = metadata.to_buffer_dict(default_buffer_prototype())["zarr.json"].to_bytes()
    document: dict[str, Any] = json.loads(text)
    return document


def array_from_manifest(array: Any, report: ScanReport) -> Array:
    """Return the array that a ``ManifestArray`` describes.

    Parameters
    ----------
    array : virtualizarr.manifests.ManifestArray
        Metadata of Zarr version 3 and a manifest.

    Raises
    ------
    MetadataError, UnsupportedError
        As `from_store` does.
    """
    table = table_from_manifest(array.manifest)
    made = array_from_document_v3(_document(array.metadata), table)
    budget = ScanOptions().inline_budget
    return settle_fill(made, budget, report.warn)


def table_from_manifest(manifest: Any) -> ChunkTable:
    """Return the chunk table that a ``ChunkManifest`` holds.

    Parameters
    ----------
    manifest : virtualizarr.manifests.ChunkManifest
        Its columns have no public names, and its public ones are a dictionary.

    Raises
    ------
    MetadataError
        If a range is none.
    """
    grid = tuple(int(extent) for extent in manifest.shape_chunk_grid)
    paths = manifest._paths.reshape(-1)  # noqa: SLF001
    names, number = _told_apart(paths)
    kept = [name for name in names if name not in (MISSING, INLINED)]
    new = {name: i for i, name in enumerate(kept)}
    renumbered = np.array([new.get(name, -1) for name in names] or [-1], np.int32)[number]
    rows = np.flatnonzero(renumbered >= 0)
    inlined = {
        int(np.ravel_multi_index(place, grid)) if grid else 0: bytes(data)
        for place, data in manifest._inlined.items()  # noqa: SLF001
    }
    told = int(np.count_nonzero(np.array([n == INLINED for n in names] or [False])[number]))
    if told != len(inlined):
        raise MetadataError(f"{told} chunks are said to be inlined, and {len(inlined)} are there")
    if not len(rows):
        return ChunkTable.inline(grid, inlined) if inlined else ChunkTable.empty(grid)
    length = manifest._lengths.reshape(-1)[rows]  # noqa: SLF001
    if bool(np.any(length == 0)):
        raise MetadataError("a chunk of no bytes")
    return ChunkTable.from_columns(
        grid,
        tuple(decoded_path(name) for name in kept),
        offset=manifest._offsets.reshape(-1)[rows],  # noqa: SLF001
        length=length,
        index=rows.astype(np.uint64),
        url=renumbered[rows],
        inlined=inlined,
    )


def _told_apart(paths: NDArray[Any]) -> tuple[list[str], NDArray[np.int64]]:
    """Return the different paths, in the order in which they first come, and which is where."""
    number = np.full(paths.size, -1, np.int64)
    names: list[str] = []
    left = np.arange(paths.size)
    while left.size and len(names) < _FEW:
        first = paths[left[0]]
        same = paths[left] == first
        number[left[same]] = len(names)
        names.append(str(first))
        left = left[~same]
    if left.size:
        rest, start, inverse = np.unique(paths[left], return_index=True, return_inverse=True)
        order = np.argsort(start)
        place = np.empty(order.size, np.int64)
        place[order] = np.arange(order.size)
        number[left] = place[inverse] + len(names)
        names += [str(rest[i]) for i in order]
    return names, number

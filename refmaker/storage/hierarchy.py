"""The references of a document as groups and arrays.

A set that is read as a whole is more than keys with bytes: every key must be a metadata document
or a chunk of an array. What is neither is refused by name. Chunks beyond an array's end, which no
reader of Zarr asks for, are left out with a warning when the document is parsed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import LimitError, MetadataError, RefmakerError
from refmaker.model import Array, ChunkTable, Group, chunk_grid
from refmaker.model.zarr_v2 import array_from_documents
from refmaker.model.zarr_v3_reader import chunk_grid_v3
from refmaker.storage.json_parser import parse
from refmaker.storage.reference_index import ChunkGrid, chunk_key, chunk_place, outside
from refmaker.storage.tree import Tree, add_document, assemble
from refmaker.storage.zarr3_keys import all_documents, hidden, key_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refmaker.model import Reference
    from refmaker.storage.limits import Limits
    from refmaker.storage.reference_index import ReferenceIndex
    from refmaker.templates import Rule

__all__ = ["group_of", "read"]

_KEYS_LIMIT = 1 << 20
"""Keys that are written out one by one, of rules over several arrays."""


def read(
    data: bytes, url: str = "", *, limits: Limits | None = None
) -> tuple[Group, dict[str, Any]]:
    """Read a reference set.

    Parameters
    ----------
    data : bytes
        The JSON text: see `refmaker.storage.json_parser.parse`.
    url : str
        Where it came from, for messages.
    limits : Limits, optional
        What it may cost.

    Returns
    -------
    Group
        The root group.
    dict
        Content of the member ``refmaker``; empty where others wrote the set.

    Raises
    ------
    MetadataError
        If it is no reference set, or contradicts itself; names the key.
    UnsupportedError
        If Zarr version 3 documents say what references cannot.
    LimitError
        If it costs more than it may, or its rules make more references than are to be held in
        memory.
    """
    references = parse(data, url) if limits is None else parse(data, url, limits=limits)
    return group_of(references, url), dict(references.header)


def group_of(references: ReferenceIndex, url: str = "") -> Group:
    """Return references as groups and arrays; the columns are not copied.

    Parameters
    ----------
    url : str
        Where they came from, for messages.

    Raises
    ------
    MetadataError, UnsupportedError, LimitError
        As for `read`.
    """
    tree, inlined = _documents(references, url)
    homes, grids = _places(tree, url)
    for path, named in tree.items():
        kept = hidden(references.header, path) if "zarr.json" in named else {}
        attributes = named["zarr.json"].get("attributes", {}) if kept else None
        if isinstance(attributes, dict):
            named["zarr.json"]["attributes"] = {**attributes, **kept}
    rules, single = _generated(references, grids, url)
    single_keys = {home for home in homes.values() if home not in grids}
    stray = [f"{path}/0" if path else "0" for path in [*references.tables, *rules]]
    stray = [key for key in stray if key.rpartition("/")[0] not in grids]
    for key in [*stray, *(key for key in references.others if key not in single_keys)]:
        raise _stray(key, grids, url)
    values: dict[str, dict[int, bytes]] = {}
    for key, data in inlined.items():
        path, number = (key, 0) if key in single_keys else _number(key, grids, url)
        values.setdefault(path, {})[number] = data

    def table(name: str, array: Array) -> ChunkTable:
        path, grid = homes[name], array.chunks.grid
        found = references.tables.get(path) or _scalar(references.others.get(path))
        if path in values:
            found = _with_values(found, grid, values[path])
        if found is None:
            found = ChunkTable.empty(grid)
        if path not in rules and path not in single:
            return found
        from refmaker.storage.generated import overlaid
        from refmaker.templates import TemplateError

        try:
            return overlaid(found, rules.get(path, ()), single.get(path, {}))
        except TemplateError as error:
            raise MetadataError(str(error)) from error

    return assemble(tree, table, url)


def _scalar(found: Reference | None) -> ChunkTable | None:
    """Return the table of an array that is one chunk with a key of its own."""
    if found is None:
        return None
    offset, length = np.array([found.offset]), np.array([found.length])
    return ChunkTable.from_columns((), (found.url,), offset=offset, length=length)


def _documents(references: ReferenceIndex, url: str) -> tuple[Tree, dict[str, bytes]]:
    """Return the metadata documents, and the inlined values that are none."""
    tree: Tree = {}
    inlined = {
        key: data
        for key, data in references.documents.items()
        if not add_document(tree, key, data, url)
    }
    return tree, inlined


def _places(tree: Tree, url: str) -> tuple[dict[str, str], dict[str, ChunkGrid]]:
    """Return what stands before the chunk numbers of each array, and the grids by that.

    Of scalars in version 3 it is the whole key, and there is no grid.
    """
    homes: dict[str, str] = {}
    grids: dict[str, ChunkGrid] = {}
    for path, named in tree.items():
        if ".zarray" in named:
            homes[path] = path
            grids[path] = _grid(path, named[".zarray"], url)
    third = {path: named["zarr.json"] for path, named in tree.items() if "zarr.json" in named}
    for path, document in all_documents(third).items():
        if path not in third:
            add_document(tree, f"{path}/zarr.json", document, url)
        if document.get("node_type") != "array":
            continue
        try:
            homes[path], slashes = key_folder(path, document)
            grid = chunk_grid_v3(document)
        except RefmakerError as error:
            raise error.located(url=url, path=path or "/") from error
        if grid or homes[path] == path:
            grids[homes[path]] = ChunkGrid(grid, slashes)
    return homes, grids


def _grid(path: str, zarray: dict[str, Any], url: str) -> ChunkGrid:
    try:
        array = array_from_documents(zarray, {})
    except MetadataError as error:
        raise error.located(url=url, path=path or "/") from error
    slashes = zarray.get("dimension_separator") == "/"
    return ChunkGrid(chunk_grid(array.shape, array.chunk_shape), slashes)


def _stray(key: str, grids: Mapping[str, ChunkGrid], url: str) -> MetadataError:
    """Return the error of a key that belongs to no array."""
    path, _, name = key.rpartition("/")
    if path in grids:
        why = f"{name[:200]!r} is no chunk of a grid of {grids[path].shape}"
    elif chunk_key(key) is not None:
        why = "chunks of an array that has no metadata"
    else:
        path, why = key, "neither a metadata document nor a chunk of an array"
    return MetadataError(why, url=url, path=path or "/")


def _number(key: str, grids: Mapping[str, ChunkGrid], url: str) -> tuple[str, int]:
    """Return the array that a key belongs to, and the flat number of the chunk."""
    try:
        place = chunk_place(key, grids)
    except MetadataError as error:
        raise error.located(url=url) from error
    if place is None:
        raise _stray(key, grids, url)
    path, at = place
    if outside(at, grids[path]):
        raise MetadataError(f"outside the grid of {grids[path].shape} chunks", url=url, path=key)
    return path, int(np.ravel_multi_index(at, grids[path].shape or (1,)))


def _with_values(
    table: ChunkTable | None, grid: tuple[int, ...], values: Mapping[int, bytes]
) -> ChunkTable:
    if table is None:
        return ChunkTable.inline(grid, values)
    return replace(table, index=table.numbers(), inlined=dict(values))


def _generated(
    references: ReferenceIndex, grids: Mapping[str, ChunkGrid], url: str
) -> tuple[Mapping[str, Sequence[Rule]], Mapping[str, Mapping[int, Sequence[Any]]]]:
    """Return the rules of each array; and what others make, by array and chunk number."""
    if references.rules is None:
        return {}, {}
    from refmaker.storage.generated import expanded, rules_by_path
    from refmaker.templates import TemplateError

    rules, others = rules_by_path(references.rules)
    # Of an array with "/" between the parts of its chunk numbers, for one.
    for path in [path for path in rules if path not in grids or _nested(grids[path])]:
        others += rules.pop(path)
    if sum(rule.size for rule in others) > _KEYS_LIMIT:
        raise LimitError(
            f"rules over several arrays that make more than {_KEYS_LIMIT} keys",
            url=url,
            path="gen",
        )
    single: dict[str, dict[int, Sequence[Any]]] = {}
    try:
        for key, value in expanded(others):
            path, number = _number(key, grids, url)
            if path in rules:
                raise MetadataError("a rule makes a key that is not its own", url=url, path=key)
            single.setdefault(path, {})[number] = value
    except TemplateError as error:
        raise MetadataError(str(error), url=url, path="gen") from error
    return rules, single


def _nested(grid: ChunkGrid) -> bool:
    return grid.slashes and len(grid.shape) > 1

"""Metadata documents by key, back to groups and arrays; shared by the readers of all forms."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from refmaker.codecs.fill_value import settle_fill
from refmaker.errors import LimitError, MetadataError, UnsupportedError
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.dtypes import json_number
from refmaker.model.missing_values import FILL
from refmaker.model.tree import nested
from refmaker.model.zarr_v2 import array_from_documents
from refmaker.model.zarr_v3_reader import array_from_document_v3, group_from_document_v3
from refmaker.storage.json_windows import DamagedTextError, loads, nesting
from refmaker.storage.limits import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "DEPTH",
    "DOCUMENTS",
    "Tree",
    "add_document",
    "array_of",
    "assemble",
    "check_path",
    "strict",
]

DOCUMENTS = frozenset({".zarray", ".zattrs", ".zgroup", "zarr.json"})
_FILL_BYTES = 1 << 20
"""Bytes that chunks may take that are written out, so that their values are not taken for missing.
"""
DEPTH = 512
"""Groups inside one another; no format that is scanned here nests deeper in practice."""

Tree = dict[str, dict[str, dict[str, Any]]]
"""Path of a group or array, to the name of a document, to its content."""


def add_document(tree: Tree, key: str, value: Any, url: str = "") -> bool:
    """Put one key of a reference set into a tree, if it is that of a metadata document.

    Parameters
    ----------
    key : str
        Such as ``"group/array/.zarray"``.
    value : str, bytes or dict
        The document, or its JSON text.
    url : str
        Where the set lies, for messages.

    Returns
    -------
    bool
        Whether the key is one of metadata, ``.zmetadata`` (which is passed over) included.

    Raises
    ------
    MetadataError
        If the path or the document is not possible.
    """
    path, _, name = key.rpartition("/")
    if name in DOCUMENTS:
        check_path(key, url)
        tree.setdefault(path, {})[name] = _document(key, value, url)
        return True
    return name == ".zmetadata"


def assemble(tree: Tree, tables: Callable[[str, Array], ChunkTable], url: str = "") -> Group:
    """Build the root group.

    Parameters
    ----------
    tree : dict
        All documents; groups that are only there because something lies in them are added.
    tables : callable
        Returns the chunks of the array of a path.
    url : str
        Where the set lies, for messages.

    Raises
    ------
    MetadataError
        If documents or tables contradict themselves; names the array or group.
    UnsupportedError
        If a document of version 3 says what references cannot.
    """
    nodes: dict[str, Array | Group] = {"": Group()}
    for path, found in tree.items():
        try:
            nodes[path] = _node(path, found, tables)
        except MetadataError as error:
            raise MetadataError(str(error), url=url, path=path or "/") from error
        except UnsupportedError as error:
            raise error.located(url=url, path=path or "/") from error
    try:
        root = nested(nodes)
    except MetadataError as error:
        raise error.located(url=url) from error
    # A set may be one bare array, which then gets a group around it.
    return root if isinstance(root, Group) else Group({"data": root})


def check_path(key: str, url: str) -> None:
    """Refuse a key that could be no path in a Zarr hierarchy; raises MetadataError."""
    parts = key.split("/", DEPTH)
    if len(parts) > DEPTH:
        raise MetadataError(f"groups nested deeper than {DEPTH}", url=url, path=key[:200])
    if any(part in ("", ".", "..") for part in parts):
        raise MetadataError("a key with an empty or relative part", url=url, path=key)


def _document(key: str, value: Any, url: str) -> dict[str, Any]:
    text = json.dumps(value) if isinstance(value, dict) else value
    if isinstance(text, str | bytes):
        text = text.encode() if isinstance(text, str) else text
        if nesting(text) > DEFAULT.nesting:
            raise LimitError(f"values nested more than {DEFAULT.nesting} deep", url=url, path=key)
        try:
            value = loads(text)
        except DamagedTextError as error:
            raise MetadataError(f"not JSON: {error}", url=url, path=key) from error
    if not isinstance(value, dict):
        raise MetadataError("a metadata document that is no JSON object", url=url, path=key)
    version = 3 if key.endswith("zarr.json") else 2
    if value.get("zarr_format", version) != version and not key.endswith(".zattrs"):
        raise MetadataError(
            f"Zarr format {value['zarr_format']!r}, expected {version}", url=url, path=key
        )
    return value


def _node(
    path: str, found: Mapping[str, Any], tables: Callable[[str, Array], ChunkTable]
) -> Array | Group:
    if "zarr.json" in found:
        return _node_v3(path, found, tables)
    attributes = found.get(".zattrs", {})
    if ".zarray" not in found:
        return Group({}, strict(attributes))
    array = array_of(found[".zarray"], attributes)
    return replace(array, chunks=tables(path, array))


def array_of(zarray: Any, attributes: Any) -> Array:
    """Return the array of two documents, without its chunks.

    Parameters
    ----------
    zarray, attributes : object
        Content of ``.zarray`` and ``.zattrs``; in the latter NaN and infinities may stand bare.

    Raises
    ------
    MetadataError
        If they are not those of an array.
    """
    if isinstance(attributes, dict) and _is_nan(attributes.get(FILL)):
        # As VirtualiZarr writes it, which is not JSON. Readers take it from the storage's fill
        # value, where there is one, and so it is said there.
        attributes = {name: value for name, value in attributes.items() if name != FILL}
        if isinstance(zarray, dict) and zarray.get("fill_value") is None:
            zarray = {**zarray, "fill_value": "NaN"}
    return array_from_documents(zarray, strict(attributes))


def _node_v3(
    path: str, found: Mapping[str, Any], tables: Callable[[str, Array], ChunkTable]
) -> Array | Group:
    if len(found) > 1:
        raise MetadataError(f"documents of both versions of Zarr: {', '.join(sorted(found))}")
    document = found["zarr.json"]
    # Nowhere else are numbers that JSON does not have; grids may be long.
    told = ("attributes", "fill_value")
    document = {**document, **{name: strict(document[name]) for name in told if name in document}}
    if document.get("node_type") == "group":
        return group_from_document_v3(document)
    array = array_from_document_v3(document)
    array = replace(array, chunks=tables(path, array))
    # Of other types version 3 marks no value as missing, and version 2 not by itself.
    kind = array.dtype.kind
    marked = kind in "iuf" or (kind == "b" and "_FillValue" not in array.attributes)
    return settle_fill(array, _FILL_BYTES, _refuse) if marked else array


def _refuse(warning: str) -> None:
    raise UnsupportedError(
        f"chunks are absent: {warning}",
        code="zarr3-fill",
        hint="read the set with zarr, which tells both apart",
    )


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def strict(value: Any) -> Any:
    """Return a JSON value with the strings of Zarr in place of NaN and infinities."""
    if isinstance(value, dict):
        return {name: strict(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [strict(inner) for inner in value]
    return json_number(value) if isinstance(value, float) else value

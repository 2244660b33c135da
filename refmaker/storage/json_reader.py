"""kerchunk JSON, versions 0 and 1, back to groups and arrays.

Others write these documents, too, and some of them by hand. Whatever does not fit raises an
error that names the key; nothing is dropped or bent until it fits.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import MetadataError, UnsupportedError
from refmaker.metadata import array_from_documents
from refmaker.model import Array, ChunkTable, Group, chunk_grid
from refmaker.templates import TemplateError, Templates

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["BASE64", "Header", "read"]

BASE64 = "base64:"
Header = dict[str, Any]
"""What the member ``refmaker`` holds: ``version``, ``format``, ``sources``."""
_DOCUMENTS = frozenset({".zarray", ".zattrs", ".zgroup"})
_DEPTH = 512
"""Groups inside one another; no format that is scanned here nests deeper in practice."""


def read(data: bytes, url: str = "") -> tuple[Group, Header]:
    """Read a reference set.

    Parameters
    ----------
    data : bytes
        The JSON text.
    url : str
        Where it came from, for messages.

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
        If it has ``gen`` rules.
    """
    refs, templates, header = _parse(data, url)
    tree: dict[str, dict[str, Any]] = {}
    chunks: dict[str, dict[str, Any]] = {}
    for key, value in refs.items():
        path, _, name = key.rpartition("/")
        if name in _DOCUMENTS:
            _check_path(key, url)
            tree.setdefault(path, {})[name] = _document(key, value, url)
        elif name == "zarr.json":
            raise UnsupportedError(
                "Zarr version 3 documents are not read here", code="zarr-3", url=url, path=key
            )
        elif name != ".zmetadata":
            chunks.setdefault(path if key[:1] != "/" else "/", {})[name] = value
    _nest(chunks, tree, url)
    _complete(tree)
    return _assemble(tree, chunks, templates, url), header


def _parse(data: bytes, url: str) -> tuple[dict[str, Any], Templates | None, Header]:
    import ujson

    try:
        document = ujson.loads(data)
    except ValueError as error:
        raise MetadataError(f"not JSON: {error}", url=url) from error
    if not isinstance(document, dict):
        raise MetadataError("not a reference set: no JSON object", url=url)
    if "version" not in document:
        return document, None, {}
    if document["version"] != 1:
        raise MetadataError(f"reference version {document['version']!r}, expected 1", url=url)
    if document.get("gen"):
        raise UnsupportedError("'gen' rules are not read yet", code="gen", url=url)
    for name in ("refs", "templates", "refmaker"):
        if not isinstance(document.get(name, {}), dict):
            raise MetadataError(f"the member {name!r} is no JSON object", url=url, path=name)
    if "refs" not in document:
        raise MetadataError("there is no member 'refs'", url=url)
    try:
        templates = Templates(document["templates"]) if document.get("templates") else None
    except TemplateError as error:
        raise MetadataError(str(error), url=url, path="templates") from error
    return document["refs"], templates, document.get("refmaker", {})


def _check_path(key: str, url: str) -> None:
    parts = key.split("/", _DEPTH)
    if len(parts) > _DEPTH:
        raise MetadataError(f"groups nested deeper than {_DEPTH}", url=url, path=key[:200])
    if any(part in ("", ".", "..") for part in parts):
        raise MetadataError("a key with an empty or relative part", url=url, path=key)


def _document(key: str, value: Any, url: str) -> Any:
    try:
        if isinstance(value, str):
            value = json.loads(_inlined(value))
    except (ValueError, RecursionError) as error:
        raise MetadataError(f"not JSON: {error}", url=url, path=key) from error
    if not isinstance(value, dict):
        raise MetadataError("a metadata document that is no JSON object", url=url, path=key)
    if value.get("zarr_format", 2) != 2 and not key.endswith(".zattrs"):
        raise MetadataError(f"Zarr format {value['zarr_format']!r}, expected 2", url=url, path=key)
    return value


def _nest(chunks: dict[str, dict[str, Any]], tree: Mapping[str, Any], url: str) -> None:
    """Bring chunk keys such as ``a/0/1`` to ``a/0.1`` where the array says so; check the rest."""
    for path in [path for path in chunks if ".zarray" not in tree.get(path, ())]:
        owner, _, first = path.rpartition("/")
        rest = [first]
        while owner and ".zarray" not in tree.get(owner, ()) and len(rest) < _DEPTH:
            owner, _, first = owner.rpartition("/")
            rest.insert(0, first)
        zarray = tree.get(owner, {}).get(".zarray", {})
        if zarray.get("dimension_separator") != "/":
            raise MetadataError("chunks of an array that has no .zarray", url=url, path=path)
        moved = {".".join([*rest, name]): value for name, value in chunks.pop(path).items()}
        chunks.setdefault(owner, {}).update(moved)


def _complete(tree: dict[str, dict[str, Any]]) -> None:
    """Add the groups that are only there because something lies in them."""
    tree.setdefault("", {})
    for path in list(tree):
        parent = path.rpartition("/")[0]
        while parent not in tree:
            tree[parent] = {}
            parent = parent.rpartition("/")[0]


def _assemble(
    tree: Mapping[str, Mapping[str, Any]],
    chunks: Mapping[str, dict[str, Any]],
    templates: Templates | None,
    url: str,
) -> Group:
    """Build the groups from the deepest up, so that every value is made once."""
    members: dict[str, dict[str, Array | Group]] = {}
    node: Array | Group = Group()
    # Sorting keeps the order of equals, and so members that of the document.
    for path in sorted(tree, key=lambda path: path.count("/") if path else -1, reverse=True):
        below = members.pop(path, {})
        try:
            node = _node(path, tree, below, chunks.get(path, {}), templates)
        except (MetadataError, TemplateError) as error:
            raise MetadataError(str(error), url=url, path=path or "/") from error
        if path:
            parent, _, name = path.rpartition("/")
            members.setdefault(parent, {})[name] = node
    # The root comes last. A set may be one bare array, which then gets a group around it.
    return node if isinstance(node, Group) else Group({"data": node})


def _node(
    path: str,
    tree: Mapping[str, Mapping[str, Any]],
    below: Mapping[str, Array | Group],
    chunks: Mapping[str, Any],
    templates: Templates | None,
) -> Array | Group:
    found = tree[path]
    attributes = found.get(".zattrs", {})
    if ".zarray" not in found:
        return Group(below, attributes)
    if below:
        raise MetadataError(f"an array with members: {', '.join(below)}")
    array = array_from_documents(found[".zarray"], attributes)
    return replace(array, chunks=_table(array, chunks, templates))


def _table(array: Array, refs: Mapping[str, Any], templates: Templates | None) -> ChunkTable:
    grid = chunk_grid(array.shape, array.chunk_shape)
    keys = list(refs)
    number_of = dict(zip(keys, _numbers(keys, grid).tolist(), strict=True))
    if len(set(number_of.values())) != len(keys):
        raise MetadataError("a chunk is referenced twice")
    ranges = {key: value for key, value in refs.items() if isinstance(value, list)}
    inlined: dict[int, bytes] = {}
    for key, value in refs.items():
        if not isinstance(value, list):
            try:
                inlined[number_of[key]] = _inlined(value)
            except ValueError as error:
                raise MetadataError(f"chunk {key!r}: {error}") from error
    if not ranges:
        return ChunkTable.inline(grid, inlined)
    index = np.fromiter((number_of[key] for key in ranges), np.int64, len(ranges))
    urls, columns = _columns(ranges, templates)
    return ChunkTable.from_columns(grid, urls, index=index, inlined=inlined, **columns)


def _columns(
    ranges: Mapping[str, list[Any]], templates: Templates | None
) -> tuple[tuple[str, ...], dict[str, NDArray[Any]]]:
    """Return the files, and the columns of file numbers, offsets and lengths."""
    for key, value in ranges.items():
        if len(value) not in (1, 3) or not isinstance(value[0], str):
            raise MetadataError(f"chunk {key!r} is neither [url] nor [url, offset, length]")
        if len(value) == 3:
            if type(value[1]) is not int or type(value[2]) is not int:
                raise MetadataError(f"chunk {key!r}: offset or length is no integer")
            if value[1] == value[2] == 0:
                raise MetadataError(f"chunk {key!r} is a range of no bytes")
    values, count = ranges.values(), len(ranges)
    number_of = {name: i for i, name in enumerate(dict.fromkeys(value[0] for value in values))}
    urls = tuple(name if templates is None else templates.expand(name) for name in number_of)
    spans = [value[1:] or (0, 0) for value in values]
    try:
        offset = np.fromiter((span[0] for span in spans), np.int64, count)
        length = np.fromiter((span[1] for span in spans), np.int64, count)
    except OverflowError as error:
        raise MetadataError(f"an offset or length is too large: {error}") from error
    url = np.fromiter((number_of[value[0]] for value in values), np.int32, count)
    return urls, {"offset": offset, "length": length, "url": url}


def _numbers(keys: Sequence[str], grid: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the flat chunk numbers that chunk keys such as ``0.12`` mean."""
    rank = max(1, len(grid))
    number = r"(?:0|[1-9][0-9]{0,17})"
    key = rf"{number}(?:\.{number}){{{rank - 1}}}"
    text = "\n".join([*keys, ""])
    if re.fullmatch(rf"(?>{key}\n)*+", text) is None or text.count("\n") != len(keys):
        wrong = next((k for k in keys if re.fullmatch(key, k) is None), "")
        raise MetadataError(f"{wrong[:200]!r} is no chunk of a grid of {grid} chunks")
    at = np.array(text.replace("\n", ".").split(".")[:-1], np.int64).reshape(len(keys), rank)
    try:
        return np.ravel_multi_index(tuple(at.T), grid or (1,)).astype(np.int64).reshape(-1)
    except ValueError as error:
        raise MetadataError(f"a chunk key lies outside the grid of {grid} chunks") from error


def _inlined(value: Any) -> bytes:
    """Return the bytes that a value holds; a JSON object stands for its text, as in fsspec."""
    if isinstance(value, dict):
        return json.dumps(value).encode()
    if not isinstance(value, str):
        raise MetadataError(f"{type(value).__name__} is neither data nor a reference")
    if value.startswith(BASE64):
        return base64.b64decode(value[len(BASE64) :], validate=True)
    return value.encode()

"""kerchunk JSON: version 1 is written, versions 0 and 1 are read.

Implements the kerchunk reference specification. What is written opens with stock fsspec
(``reference://``), zarr and xarray: metadata documents as text, ``{{u}}`` templates for URLs,
``.zmetadata`` always there. A member ``refmaker`` beside ``refs`` holds what other readers
pass over: the scanner's name and the sources' fingerprints.
"""

from __future__ import annotations

import base64
import json
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import MetadataError, UnsupportedError
from refmaker.metadata import array_from_documents, documents, dumps
from refmaker.model import Array, ChunkTable, Group, chunk_grid
from refmaker.report import Fingerprint
from refmaker.storage.text import format_rows
from refmaker.templates import TemplateError, expand

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["Header", "header", "read", "write"]

BASE64 = "base64:"
Header = dict[str, Any]
"""What the member ``refmaker`` holds: ``version``, ``format``, ``sources``."""


def write(group: Group, file: IO[bytes], header: Header | None = None) -> None:
    """Write a reference set.

    Parameters
    ----------
    group : Group
        The root group.
    file : binary file
        Open for writing.
    header : dict, optional
        Content of the member ``refmaker``.

    Raises
    ------
    MetadataError
        If a URL or attribute cannot be written so that stock readers understand it.
    """
    urls = tuple(dict.fromkeys(url for _, array in group.arrays() for url in array.chunks.urls))
    names = _template_names(urls)
    file.write(b'{"version":1,"templates":')
    file.write(dumps({name: url for url, name in names.items()}).encode())
    if header:
        file.write(b',"refmaker":' + dumps(header).encode())
    file.write(b',"refs":{')
    file.write(",\n".join(_metadata_members(group)).encode())
    for path, array in group.arrays():
        for text in _chunk_members(path, array.chunks, names):
            file.write(text)
    file.write(b"}}\n")


def _template_names(urls: Sequence[str]) -> dict[str, str]:
    for url in urls:
        if "{{" in url:
            raise MetadataError(
                "'{{' in a file's name means a template to readers of references",
                url=url,
                hint="rename the file",
            )
    return {url: "u" if len(urls) == 1 else f"u{i}" for i, url in enumerate(urls)}


def _metadata_members(group: Group) -> Iterator[str]:
    """Yield every metadata document as a member of ``refs``, ``.zmetadata`` first."""
    found = dict(documents(group))
    consolidated = {"metadata": found, "zarr_consolidated_format": 1}
    yield f'".zmetadata":{dumps(dumps(consolidated))}'
    for key, document in found.items():
        yield f"{dumps(key)}:{dumps(dumps(document))}"


def _chunk_members(path: str, table: ChunkTable, names: Mapping[str, str]) -> Iterator[bytes]:
    """Yield the members of one array's chunks, each with a comma before it."""
    start = f",\n{dumps(path)[:-1]}/"
    for number, data in table.inlined.items():
        key = _key(number, table.grid)
        yield f'{start}{key}":"{BASE64}{base64.b64encode(data).decode("ascii")}"'.encode()
    if not table.referenced:
        return
    key_parts: list[Any] = []
    for axis, column in enumerate(table.coordinates() or (np.zeros(1, np.uint64),)):
        key_parts += ["." if axis else start, column.astype(np.uint64)]
    whole = (table.offset == 0) & (table.length == 0)
    url = _url_part(table, names)
    parts = [*key_parts, '":["{{', url, '}}"']
    if bool(whole.any()):
        yield from format_rows([*_rows(parts, whole), "]"])
        parts = _rows(parts, ~whole)
    rest = ~whole if bool(whole.any()) else slice(None)
    if table.offset[rest].size:
        offset, length = table.offset[rest], table.length[rest].astype(np.uint64)
        yield from format_rows([*parts, ",", offset, ",", length, "]"])


def _url_part(table: ChunkTable, names: Mapping[str, str]) -> Any:
    used = [names[url] for url in table.urls]
    return used[0] if table.url is None else (table.url, used)


def _rows(parts: Sequence[Any], rows: NDArray[np.bool_]) -> list[Any]:
    """Return the parts of some rows only."""
    chosen: list[Any] = []
    for part in parts:
        if isinstance(part, tuple):
            chosen.append((part[0][rows], part[1]))
        else:
            chosen.append(part if isinstance(part, str) else part[rows])
    return chosen


def _key(number: int, grid: tuple[int, ...]) -> str:
    return ".".join(str(int(at)) for at in np.unravel_index(number, grid)) if grid else "0"


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
        if name in (".zarray", ".zattrs", ".zgroup"):
            tree.setdefault(path, {})[name] = _document(key, value, url)
        elif name != ".zmetadata":
            chunks.setdefault(path, {})[name] = value
    for path in sorted(set(chunks) - set(tree)):
        raise MetadataError("chunks of an array that has no .zarray", url=url, path=path)
    return _assemble(tree, chunks, templates, url), header


def _parse(data: bytes, url: str) -> tuple[dict[str, Any], dict[str, str], Header]:
    import ujson

    try:
        document = ujson.loads(data)
    except (ValueError, UnicodeDecodeError) as error:
        raise MetadataError(f"not JSON: {error}", url=url) from error
    if not isinstance(document, dict):
        raise MetadataError("not a reference set: no JSON object", url=url)
    if "version" not in document:
        return document, {}, {}
    if document["version"] != 1 or not isinstance(document.get("refs"), dict):
        raise MetadataError(f"reference version {document['version']!r}, expected 1", url=url)
    if document.get("gen"):
        raise UnsupportedError("'gen' rules are not read yet", code="gen", url=url)
    return document["refs"], document.get("templates") or {}, document.get("refmaker") or {}


def _document(key: str, value: Any, url: str) -> Any:
    try:
        if isinstance(value, str):
            text = value
            if value.startswith(BASE64):
                text = base64.b64decode(value[len(BASE64) :]).decode()
            value = json.loads(text)
    except ValueError as error:
        raise MetadataError(f"not JSON: {error}", url=url, path=key) from error
    if not isinstance(value, dict):
        raise MetadataError("a metadata document that is no JSON object", url=url, path=key)
    return value


def _assemble(
    tree: dict[str, dict[str, Any]],
    chunks: dict[str, dict[str, Any]],
    templates: Mapping[str, str],
    url: str,
) -> Group:
    """Build the groups from the deepest up, so that every value is made once."""
    members: dict[str, dict[str, Array | Group]] = {"": {}}
    parents = {path.rpartition("/")[0] for path in tree if path}
    while parents - set(tree):
        # Writers may leave out the documents of groups that only hold other groups.
        for path in parents - set(tree):
            tree[path] = {".zgroup": {}}
        parents = {path.rpartition("/")[0] for path in tree if path}
    tree.setdefault("", {})
    for path in sorted(tree, key=lambda path: (path.count("/") if path else -1), reverse=True):
        found = tree[path]
        node: Array | Group
        try:
            if ".zarray" in found:
                array = array_from_documents(found[".zarray"], found.get(".zattrs", {}))
                table = _table(array, chunks.get(path, {}), templates)
                node = array_from_documents(found[".zarray"], found.get(".zattrs", {}), table)
            else:
                node = Group(_ordered(members.pop(path, {}), tree, path), found.get(".zattrs", {}))
        except (MetadataError, TemplateError) as error:
            raise MetadataError(str(error), url=url, path=path or "/") from error
        if path == "":
            if isinstance(node, Array):
                return Group({"data": node})
            return node
        parent, _, name = path.rpartition("/")
        members.setdefault(parent, {})[name] = node
    raise MetadataError("no root group", url=url)


def _ordered(
    members: Mapping[str, Array | Group], tree: Mapping[str, Any], path: str
) -> dict[str, Array | Group]:
    """Return members in the order in which the document names them."""
    prefix = f"{path}/" if path else ""
    rank = {name: i for i, name in enumerate(tree)}
    return dict(sorted(members.items(), key=lambda item: rank[prefix + item[0]]))


def _table(array: Array, refs: dict[str, Any], templates: Mapping[str, str]) -> ChunkTable:
    grid = chunk_grid(array.shape, array.chunk_shape)
    inlined: dict[int, bytes] = {}
    ranges: dict[str, list[Any]] = {}
    for key, value in refs.items():
        if isinstance(value, list):
            ranges[key] = value
        else:
            inlined[int(_numbers([key], grid)[0])] = _inlined(value)
    if not ranges:
        return ChunkTable.inline(grid, inlined)
    values = list(ranges.values())
    whole = {len(value) for value in values}
    if not whole <= {1, 3}:
        raise MetadataError("a reference is neither [url] nor [url, offset, length]")
    distinct = list(dict.fromkeys(value[0] for value in values))
    number_of = {name: i for i, name in enumerate(distinct)}
    if any(not isinstance(name, str) for name in distinct):
        raise MetadataError("a reference without a URL")
    urls = tuple(expand(name, templates) if "{{" in name else name for name in distinct)
    count = len(values)
    try:
        offset = np.fromiter((v[1] if len(v) == 3 else 0 for v in values), np.int64, count)
        length = np.fromiter((v[2] if len(v) == 3 else 0 for v in values), np.int64, count)
    except (TypeError, ValueError, OverflowError) as error:
        raise MetadataError(f"an offset or length is no integer: {error}") from error
    if int(offset.min()) < 0 or int(length.min()) < 0:
        raise MetadataError("a negative offset or length")
    return ChunkTable.from_columns(
        grid,
        urls,
        offset=offset,
        length=length,
        index=_numbers(list(ranges), grid),
        url=np.fromiter((number_of[v[0]] for v in values), np.int32, count),
        inlined=inlined,
    )


def _numbers(keys: list[str], grid: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the flat chunk numbers that chunk keys such as ``0.12`` mean."""
    rank = max(1, len(grid))
    try:
        at = np.array(".".join(keys).split("."), dtype=np.int64).reshape(len(keys), rank)
        if grid:
            return np.ravel_multi_index(tuple(at.T), grid).astype(np.int64)
    except ValueError as error:
        raise MetadataError(f"a chunk key does not fit a grid of {grid} chunks") from error
    if at.any() or len(keys) != 1:
        raise MetadataError(f"chunk keys {keys[:3]} of a scalar")
    return np.zeros(1, np.int64)


def _inlined(value: Any) -> bytes:
    if isinstance(value, str):
        if value.startswith(BASE64):
            return base64.b64decode(value[len(BASE64) :])
        return value.encode()
    return dumps(value).encode()


def header(version: str, scanner: str, sources: Mapping[str, Fingerprint]) -> Header:
    """Return the content of the member ``refmaker``."""
    known = {url: fingerprint.as_dict() for url, fingerprint in sources.items()}
    return {"version": version, "format": scanner, "sources": known}

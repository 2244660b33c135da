"""kerchunk JSON, versions 0 and 1, back to groups and arrays.

Others write these documents, too, and some of them by hand. Whatever does not fit raises an
error that names the key; nothing is dropped or bent until it fits.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refmaker.errors import LimitError, MetadataError
from refmaker.model import Array, ChunkTable, Group, chunk_grid
from refmaker.storage.formats import COMPACT
from refmaker.storage.generated import expanded, overlaid, rules_by_path
from refmaker.storage.tree import DEPTH, Tree, add_document, assemble
from refmaker.storage.tree import inlined as bytes_of
from refmaker.templates import Rule, TemplateError, Templates

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["Header", "read"]

_KEYS_LIMIT = 1 << 20
"""Keys that are written out one by one, of rules over several arrays."""
Header = dict[str, Any]
"""What the member ``refmaker`` holds: ``version``, ``format``, ``sources``."""


class _Document(NamedTuple):
    """The parts of a reference document."""

    metadata: dict[str, Any]
    refs: dict[str, Any]
    gen: Any = ()
    templates: Templates | None = None
    header: Header = {}  # noqa: RUF012 - nobody writes to it


def read(data: bytes, url: str = "") -> tuple[Group, Header]:
    """Read a reference set.

    Parameters
    ----------
    data : bytes
        The JSON text: kerchunk's version 0 or 1, or a compact document.
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
        If it holds Zarr version 3 documents.
    LimitError
        If its rules make more references than are to be held in memory.
    """
    parts = _parse(data, url)
    tree: Tree = {}
    chunks: dict[str, dict[str, Any]] = {}
    for key, value in parts.metadata.items():
        if not add_document(tree, key, value, url):
            raise MetadataError("no metadata document has this key", url=url, path=key)
    for key, value in parts.refs.items():
        if not add_document(tree, key, value, url):
            _put(chunks, key, value)
    rules = _generate(parts, tree, chunks, url) if parts.gen else {}
    _nest(chunks, tree, url)

    def table(path: str, array: Array) -> ChunkTable:
        found = _table(array, chunks.get(path, {}), parts.templates)
        return overlaid(found, rules.get(path, ()))

    return assemble(tree, table, url), parts.header


def _put(chunks: dict[str, dict[str, Any]], key: str, value: Any) -> None:
    path, _, name = key.rpartition("/")
    chunks.setdefault(path if key[:1] != "/" else "/", {})[name] = value


def _generate(
    parts: _Document, tree: Tree, chunks: dict[str, dict[str, Any]], url: str
) -> Mapping[str, Sequence[Rule]]:
    """Return the rules of each array, after those of no single array were written out."""
    rules, others = rules_by_path(parts.gen, parts.templates, url)
    # Of an array with "/" between the parts of its chunk numbers, for one.
    for path in [path for path in rules if ".zarray" not in tree.get(path, ())]:
        others += rules.pop(path)
    if sum(rule.size for rule in others) > _KEYS_LIMIT:
        raise LimitError(
            f"rules over several arrays that make more than {_KEYS_LIMIT} keys",
            url=url,
            path="gen",
        )
    try:
        for key, value in expanded(others):
            path = key.rpartition("/")[0]
            if path in rules or add_document({}, key, "{}", url):
                raise MetadataError("a rule makes a key that is not its own", url=url, path=key)
            _put(chunks, key, value)
    except TemplateError as error:
        raise MetadataError(str(error), url=url, path="gen") from error
    return rules


def _parse(data: bytes, url: str) -> _Document:
    import ujson

    try:
        document = ujson.loads(data)
    except ValueError as error:
        raise MetadataError(
            f"not JSON: {error}",
            url=url,
            hint="a reference set is needed here: 'refmaker scan' makes one of a data file",
        ) from error
    if not isinstance(document, dict):
        raise MetadataError("not a reference set: no JSON object", url=url)
    if "version" not in document:
        return _Document({}, document)
    if document["version"] not in (1, COMPACT):
        raise MetadataError(
            f"reference version {document['version']!r}, expected 1 or {COMPACT!r}", url=url
        )
    for name in ("refs", "templates", "refmaker", "metadata"):
        if not isinstance(document.get(name, {}), dict):
            raise MetadataError(f"the member {name!r} is no JSON object", url=url, path=name)
    if "refs" not in document:
        raise MetadataError("there is no member 'refs'", url=url)
    try:
        templates = Templates(document["templates"]) if document.get("templates") else None
    except TemplateError as error:
        raise MetadataError(str(error), url=url, path="templates") from error
    metadata = document.get("metadata", {}) if document["version"] == COMPACT else {}
    header = document.get("refmaker", {})
    return _Document(metadata, document["refs"], document.get("gen") or (), templates, header)


def _nest(chunks: dict[str, dict[str, Any]], tree: Mapping[str, Any], url: str) -> None:
    """Bring chunk keys such as ``a/0/1`` to ``a/0.1`` where the array says so; check the rest."""
    for path in [path for path in chunks if ".zarray" not in tree.get(path, ())]:
        owner, _, first = path.rpartition("/")
        rest = [first]
        while owner and ".zarray" not in tree.get(owner, ()) and len(rest) < DEPTH:
            owner, _, first = owner.rpartition("/")
            rest.insert(0, first)
        zarray = tree.get(owner, {}).get(".zarray", {})
        if zarray.get("dimension_separator") != "/":
            raise MetadataError("chunks of an array that has no .zarray", url=url, path=path or "/")
        moved = {".".join([*rest, name]): value for name, value in chunks.pop(path).items()}
        chunks.setdefault(owner, {}).update(moved)


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
                inlined[number_of[key]] = bytes_of(value)
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

"""JSON reference documents of all versions and layouts: the one parser of them.

Versions 0 and 1 of the kerchunk reference specification, and compact documents
(`refmaker.storage.compact`). Members may come in any order and with any blanks; references are
kept in columns from the start (`json_windows`, `reference_columns`).
"""

from __future__ import annotations

import json
import re
import zlib
from base64 import b64decode
from typing import TYPE_CHECKING, Any

from refmaker.errors import LimitError, MetadataError, RefmakerError
from refmaker.storage.formats import COMPACT
from refmaker.storage.json_windows import DamagedTextError, loads, nesting, next_piece, not_json
from refmaker.storage.limits import DEFAULT, Limits
from refmaker.storage.reference_columns import Columns
from refmaker.storage.reference_index import (
    METADATA,
    ChunkGrid,
    ReferenceIndex,
    beyond,
    chunk_place,
    outside,
)
from refmaker.storage.text import BASE64
from refmaker.storage.zarr3_keys import grids_v3

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from refmaker.storage.json_windows import Piece
    from refmaker.templates import Templates

__all__ = ["decompressed", "parse", "references_of"]

_OFFSETS = 2**63
_TOGETHER = ".zmetadata"
_UNNUMBERED = "/"
"""How the key of a chunk ends that has no number: a scalar's, by VirtualiZarr."""
_SPACE = b" \t\r\n"
_AFTER = re.compile(rb"[ \t\r\n]*([,}])")
_LIST_HINT = (
    "kerchunk's scan_grib returns one for each message: write each of them to a file of its own,"
    " and join these with 'refmaker combine', or scan the GRIB file: 'refmaker scan'"
)
_HINT = "a reference set is needed here: 'refmaker scan' makes one of a data file"


def decompressed(data: bytes, limit: int, url: str = "") -> bytes:
    """Return a document's text, unpacked if it is compressed by gzip or Zstandard.

    Raises
    ------
    LimitError
        If the text is larger than `limit` bytes.
    MetadataError
        If it is damaged.
    """
    if data[:2] == b"\x1f\x8b":
        return _gunzip(data, limit, url)
    if data[:4] == b"\x28\xb5\x2f\xfd":
        return _unzstd(data, limit, url)
    if len(data) > limit:
        raise _too_large(limit, url)
    return data


def _too_large(limit: int, url: str) -> LimitError:
    return LimitError(f"a reference document of more than {limit} bytes", url=url)


def _gunzip(data: bytes, limit: int, url: str) -> bytes:
    parts, total = [], 0
    while data:
        unpacker = zlib.decompressobj(wbits=31)
        try:
            part = unpacker.decompress(data, limit - total + 1)
        except zlib.error as error:
            raise MetadataError(f"damaged gzip data: {error}", url=url) from error
        total += len(part)
        if total > limit:
            raise _too_large(limit, url)
        if not unpacker.eof:
            raise MetadataError("gzip data that end too early", url=url)
        parts.append(part)
        data = unpacker.unused_data.lstrip(b"\0")
    return b"".join(parts)


def _unzstd(data: bytes, limit: int, url: str) -> bytes:
    import imagecodecs

    # The frame may not tell its size, so room is doubled until the text fits.
    room = max(1 << 20, 8 * len(data))
    while True:
        room = min(room, limit + 1)
        try:
            text = bytes(imagecodecs.zstd_decode(data, out=room))
        except imagecodecs.ZstdError as error:
            if "too small" not in str(error):
                raise MetadataError(f"damaged Zstandard data: {error}", url=url) from error
            if room > limit:
                raise _too_large(limit, url) from error
            room *= 2
            continue
        if len(text) > limit:
            raise _too_large(limit, url)
        return text


def parse(
    data: bytes,
    url: str = "",
    *,
    limits: Limits = DEFAULT,
    templates: Mapping[str, str] | None = None,
) -> ReferenceIndex:
    """Parse a reference document.

    Parameters
    ----------
    data : bytes
        JSON text, as it is or compressed by gzip or Zstandard.
    url : str
        Where it came from, for messages.
    limits : Limits
        What it may cost.
    templates : mapping, optional
        Templates to use in place of those of the document.

    Raises
    ------
    MetadataError
        If it is no reference set, or contradicts itself; names the key, or the byte from which
        on it is not JSON.
    LimitError
        If a limit would be exceeded.
    """
    try:
        text = decompressed(data, limits.document_bytes, url)
        del data
        head, top, refs = _members(text, limits)
        del text
        return _assembled(head, top, refs, limits, templates)
    except RefmakerError as error:
        raise error.located(url=url) from error


def references_of(
    document: Any, *, limits: Limits = DEFAULT, templates: Mapping[str, str] | None = None
) -> ReferenceIndex:
    """Return the references of a parsed document.

    Raises
    ------
    MetadataError, LimitError
        As for `parse`.
    """
    if not isinstance(document, dict):
        raise MetadataError("not a reference set: no JSON object")
    return _assembled(dict(document), _Members(limits), None, limits, templates)


def _members(text: bytes, limits: Limits) -> tuple[dict[str, Any], _Members, _Members | None]:
    """Return the members of a document, its references at the top, and those in ``refs``."""
    at = len(text) - len(text.lstrip(_SPACE))
    if text[at : at + 1] != b"{":
        raise _no_object(text, limits)
    head: dict[str, Any] = {}
    top, refs = _Members(limits), None
    at, first = at + 1, True
    while True:
        piece = next_piece(text, at, limits.nesting, first=first, find_refs=True)
        top.add_rows(piece)
        twice = head.keys() & piece.rest.keys()
        if twice or (piece.inner and refs is not None):
            raise MetadataError("a member that is there twice", path=min(twice, default="refs"))
        head.update(piece.rest)
        at, first, closed = piece.stop, False, piece.closed
        if piece.inner:
            refs = _Members(limits)
            at = refs.add_object(text, at)
            end = _AFTER.match(text, at)
            if end is None:
                raise not_json("neither a comma nor the end of the object", at)
            at, closed = end.end(), end[1] == b"}"
        if closed:
            break
    behind = text[at:].lstrip(_SPACE)
    if behind:
        raise not_json("more text behind the document", len(text) - len(behind))
    if refs is None and isinstance(head.get("refs"), dict):
        _check_once(text)
    return head, top, refs


class _Once(dict[str, Any]):
    """A JSON object that knows a key which is there twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        names = [name for name, _ in pairs] if len(self) < len(pairs) else []
        self.twice = next((name for name in names if names.count(name) > 1), None)


def _check_once(text: bytes) -> None:
    """Refuse keys that are twice in ``refs``, where that name is spelt with escapes."""
    twice = json.loads(text, object_pairs_hook=_Once)["refs"].twice
    if twice is not None:
        raise MetadataError("a key that is there twice", path=twice)


def _no_object(text: bytes, limits: Limits) -> RefmakerError:
    """Return the error of a document that does not begin like a JSON object."""
    start = text.lstrip(_SPACE)[:1]
    if start and start in b'["-0123456789tfn' and nesting(text) <= limits.nesting:
        try:
            found = loads(text)
        except DamagedTextError as damage:
            return MetadataError(f"not JSON: {damage}", hint=_HINT)
        if (
            found
            and isinstance(found, list)
            and all(isinstance(one, dict) and "refs" in one for one in found)
        ):
            return MetadataError(f"a list of {len(found)} reference sets", hint=_LIST_HINT)
        return MetadataError("not a reference set: no JSON object", hint=_HINT)
    error = not_json("no object", len(text) - len(text.lstrip(_SPACE)))
    error.hint = _HINT
    return error


def _assembled(
    head: dict[str, Any],
    top: _Members,
    refs: _Members | None,
    limits: Limits,
    overrides: Mapping[str, str] | None,
) -> ReferenceIndex:
    """Return the references of a document, whose version decides what is one."""
    if "version" not in head:
        if refs is not None or isinstance(head.get("refs"), dict):
            raise MetadataError("a member 'refs', but no 'version'", hint='add "version": 1')
        top.add(head)
        return top.index(None, ReferenceIndex())
    _check_head(head)
    version = head["version"]
    if refs is None:
        if "refs" not in head and not head.get("gen"):
            raise MetadataError("there is neither a member 'refs' nor 'gen'")
        refs = _Members(limits)
        refs.add(head.get("refs", {}))
    if version == COMPACT:
        refs.add_metadata(head.get("metadata", {}))
    made = ReferenceIndex(
        header=head.get("refmaker", {}),
        compact=version == COMPACT,
        # GDAL refuses the members as such, whether they hold anything or not.
        templates="templates" in head or "gen" in head,
    )
    head["templates"] = {**head.get("templates", {}), **(overrides or {})}
    templates = _Templates(head, limits)
    if head.get("gen") is not None:
        made.rules = templates.rules(head["gen"])
        for rule in made.rules or ():
            _check_key(rule.pattern.literals[0] + "0", limits)
    return refs.index(templates.expand, made)


def _check_head(head: Mapping[str, Any]) -> None:
    """Refuse members of version 1 that are of other kinds."""
    version = head["version"]
    if version not in (1, COMPACT) or isinstance(version, bool):
        raise MetadataError(f"reference version {version!r}, expected 0, 1 or {COMPACT!r}")
    for name in ("refs", "templates", "refmaker", "metadata"):
        if not isinstance(head.get(name, {}), dict):
            raise MetadataError(f"the member {name!r} is no JSON object", path=name)


class _Templates:
    """What ``templates`` and ``gen`` say; nothing is loaded where they say nothing."""

    def __init__(self, head: Mapping[str, Any], limits: Limits) -> None:
        self._named = head["templates"]
        self._limits = limits.templates
        self._made: Templates | None = None
        if self._named:
            self._templates()

    def _templates(self) -> Templates:
        if self._made is None:
            from refmaker.templates import DEFAULT_LIMITS, TemplateError, Templates

            try:
                self._made = Templates(self._named, self._limits or DEFAULT_LIMITS)
            except TemplateError as error:
                raise MetadataError(str(error), path="templates") from error
        return self._made

    def expand(self, text: str) -> str:
        from refmaker.templates import TemplateError

        try:
            return self._templates().expand(text)
        except TemplateError as error:
            raise MetadataError(str(error)) from error

    def rules(self, entries: Any) -> Any:
        if not isinstance(entries, list) or not all(isinstance(item, dict) for item in entries):
            raise MetadataError("the member 'gen' is no list of JSON objects", path="gen")
        if not entries:
            return None
        from refmaker.templates import Rules, TemplateError

        try:
            return Rules(entries, self._templates())
        except TemplateError as error:
            raise MetadataError(str(error), path="gen") from error


def _check_key(key: str, limits: Limits) -> None:
    if len(key) > limits.key_length:
        raise LimitError("a key that is too long", path=key[:200])
    wrong = any(part in ("", ".", "..") for part in key.split("/"))
    # A backslash separates as well, on some systems.
    if wrong or ".." in key.split("\\") or "\0" in key:
        raise MetadataError("a key with an empty, relative or absolute part", path=key)


def _numbered(key: str, grids: Mapping[str, ChunkGrid], limits: Limits) -> str:
    """Return the key that Zarr asks for, of a scalar's chunk whose key has no number."""
    grid = grids.get(key.removesuffix(_UNNUMBERED))
    if grid is None or grid.shape:
        _check_key(key, limits)
    return f"{key}0"


class _Members:
    """References and inlined values while they are put together."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._columns = Columns()
        self._documents: dict[str, bytes] = {}
        self._inlined = 0
        self._keys = 0

    def add_object(self, text: bytes, at: int) -> int:
        """Add the members of an object of a document; returns where it ends."""
        first = True
        while True:
            piece = next_piece(text, at, self._limits.nesting, first=first, find_refs=False)
            self.add_rows(piece)
            self.add(piece.rest)
            at, first = piece.stop, False
            if piece.closed:
                return at

    def add_rows(self, piece: Piece) -> None:
        """Add the references of a piece of the document."""
        if piece.rows.first.size:
            self._count(piece.rows.first.size)
            width = piece.window.closes[piece.rows.first] - piece.window.opens[piece.rows.first]
            if int(width.max()) > self._limits.key_length:
                raise LimitError("a key that is too long")
            self._columns.add_rows(piece.window, piece.rows)

    def add(self, refs: Mapping[str, Any]) -> None:
        self._count(len(refs))
        for key, value in refs.items():
            if isinstance(value, list):
                if len(key) > self._limits.key_length:
                    raise LimitError("a key that is too long", path=key[:200])
                self._columns.add(key, *_reference(key, value))
            else:
                self._inline(key, value)
        self._columns.settle()

    def add_metadata(self, documents: dict[str, Any]) -> None:
        """Add the documents that compact sets keep in a member of their own."""
        self.add(documents)
        if _TOGETHER not in documents:
            consolidated = {"metadata": documents, "zarr_consolidated_format": 1}
            self.add({_TOGETHER: consolidated})

    def _count(self, more: int) -> None:
        self._keys += more
        if self._keys > self._limits.keys:
            raise LimitError(f"more than {self._limits.keys} keys")

    def _inline(self, key: str, value: Any) -> None:
        # Whether a key that ends so is that of a scalar, the metadata tell.
        _check_key(key.removesuffix(_UNNUMBERED), self._limits)
        if key in self._documents:
            raise MetadataError("a key that is there twice", path=key)
        data = _inlined(key, value)
        self._inlined += len(data)
        if self._inlined > self._limits.inline_bytes:
            raise LimitError(
                f"more than {self._limits.inline_bytes} bytes are kept in the set itself", path=key
            )
        self._documents[key] = data

    def index(self, expand: Callable[[str], str] | None, made: ReferenceIndex) -> ReferenceIndex:
        """Put all references into an index."""
        self._unpack_consolidated()
        made.documents = self._documents
        grids = self._grids()
        self._number_scalars(grids)
        for key in self._columns.examples():
            _check_key(key, self._limits)
        found = self._columns.tables(grids, expand, self._limits.tables)
        made.tables, made.slashed, made.others = found
        stray: dict[str, list[str]] = {}
        for key in made.documents:
            place = None
            if key.rpartition("/")[2] not in METADATA:
                place = chunk_place(key, grids)
            if place is not None and outside(place[1], grids[place[0]]):
                stray.setdefault(place[0], []).append(key)
            elif made.has_reference(key):
                raise MetadataError("both inlined and a reference", path=key)
        for path, keys in stray.items():
            beyond(path, keys[0], len(keys), grids[path])
            for key in keys:
                del made.documents[key]
        return made

    def _number_scalars(self, grids: Mapping[str, ChunkGrid]) -> None:
        """Name chunks of scalars as Zarr does: VirtualiZarr joins their no numbers to ``path/``."""
        for key in [key for key in self._documents if key.endswith(_UNNUMBERED)]:
            name = _numbered(key, grids, self._limits)
            if name in self._documents:
                raise MetadataError("a key that is there twice", path=name)
            self._documents[name] = self._documents.pop(key)
        self._columns.rename(_UNNUMBERED, lambda key: _numbered(key, grids, self._limits))

    def _unpack_consolidated(self) -> None:
        """Add the documents that stand together in one, where none stands by itself."""
        data = self._documents.get(_TOGETHER)
        if data is None:
            return
        if any(key.rpartition("/")[2] in METADATA for key in self._documents if key != _TOGETHER):
            return
        documents = _document(_TOGETHER, data, self._limits).get("metadata")
        for key, document in documents.items() if isinstance(documents, dict) else ():
            if key.rpartition("/")[2] in METADATA and isinstance(document, dict):
                self._inline(key, document)

    def _grids(self) -> dict[str, ChunkGrid]:
        """Return the chunk grids of all arrays, as far as their documents make sense."""
        found: dict[str, Any] = {}
        third: dict[str, Any] = {}
        for key, data in self._documents.items():
            path, _, name = key.rpartition("/")
            if name in METADATA:
                document = _document(key, data, self._limits)
                if name == ".zarray":
                    found[path] = document
                elif name == "zarr.json":
                    third[path] = document
                elif key == _TOGETHER and isinstance(document.get("metadata"), dict):
                    for inner, content in document["metadata"].items():
                        path, _, name = inner.rpartition("/")
                        if name == ".zarray":
                            found.setdefault(path, content)
        grids = {path: _grid(content) for path, content in found.items()}
        known = {path: grid for path, grid in grids.items() if grid is not None}
        for path, shape, slashes in grids_v3(third) if third else ():
            known[path] = ChunkGrid(shape, slashes)
        return known


def _document(key: str, data: bytes, limits: Limits) -> dict[str, Any]:
    if nesting(data) > limits.nesting:
        raise LimitError(f"values nested more than {limits.nesting} deep", path=key)
    try:
        document = loads(data)
    except DamagedTextError as error:
        raise MetadataError(f"not JSON: {error}", path=key) from error
    if not isinstance(document, dict):
        raise MetadataError("a metadata document that is no JSON object", path=key)
    return document


def _grid(zarray: Any) -> ChunkGrid | None:
    """Return the chunk grid of a ``.zarray`` document; None if it is none."""
    if not isinstance(zarray, dict):
        return None
    shape, chunks = zarray.get("shape"), zarray.get("chunks")
    if not isinstance(shape, list) or not isinstance(chunks, list) or len(shape) != len(chunks):
        return None
    if any(type(extent) is not int or extent < 0 for extent in shape):
        return None
    if any(type(extent) is not int or extent < 0 for extent in chunks):
        return None
    if any(extent and not size for extent, size in zip(shape, chunks, strict=True)):
        return None
    grid = tuple(-(-extent // (size or 1)) for extent, size in zip(shape, chunks, strict=True))
    return ChunkGrid(grid, zarray.get("dimension_separator") == "/")


def _inlined(key: str, value: Any) -> bytes:
    """Return the bytes that a value holds; a JSON object stands for its text, as in fsspec."""
    try:
        if isinstance(value, dict):
            return json.dumps(value).encode()
        if isinstance(value, str):
            encoded = value.startswith(BASE64)
            return b64decode(value[len(BASE64) :], validate=True) if encoded else value.encode()
    except (ValueError, TypeError, RecursionError) as error:
        raise MetadataError(f"not base64, text or JSON: {error}", path=key) from error
    kind = type(value).__name__
    raise MetadataError(f"{kind} is neither data nor a reference", path=key)


def _reference(key: str, value: list[Any]) -> tuple[str, int, int]:
    """Return URL, offset and length; both 0 for the whole file."""
    if len(value) not in (1, 3) or not isinstance(value[0], str):
        raise MetadataError("neither [url] nor [url, offset, length]", path=key)
    offset, length = value[1:] or (0, 0)
    if type(offset) is not int or type(length) is not int:
        raise MetadataError("an offset or length that is no integer", path=key)
    if min(offset, length) < 0 or offset + length >= _OFFSETS:
        raise MetadataError("an offset or length outside of any file", path=key)
    if len(value) == 3 and offset == length == 0:
        raise MetadataError("a range of no bytes", path=key)
    return value[0], offset, length

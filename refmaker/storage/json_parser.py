"""JSON reference documents, versions 0 and 1, to references in columns.

Large documents are parsed in bulk where their rows are alike (`refmaker.storage.json_bulk`); what
is left, and every document that is built otherwise, goes through a JSON parser.
"""

from __future__ import annotations

import json
import re
import zlib
from base64 import b64decode
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import LimitError, MetadataError, RefmakerError
from refmaker.model.chunk_table import ChunkTable, Reference
from refmaker.storage.formats import COMPACT
from refmaker.storage.json_bulk import Block, parse_rows
from refmaker.storage.limits import DEFAULT, Limits
from refmaker.storage.reference_index import ReferenceIndex, position
from refmaker.templates import Rules, TemplateError, Templates

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["decompressed", "parse", "references_of"]

BASE64 = "base64:"
_LARGE = 1 << 16
"""Bytes of a document from which bulk parsing is worth a try."""
_REFS = re.compile(rb'"refs"[ \t\r\n]*:[ \t\r\n]*\{')
_OFFSETS = 2**63


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
        If it is no reference set; names the key.
    LimitError
        If a limit would be exceeded.
    """
    text = decompressed(data, limits.document_bytes, url)
    try:
        if len(text) >= _LARGE:
            found = _in_bulk(text, limits, templates)
            if found is not None:
                return found
        return references_of(_loads(text), limits=limits, templates=templates)
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
    if "version" not in document:
        made = _Assembly({}, limits, templates)
        made.add_members(document)
        return made.finish()
    if document["version"] not in (1, COMPACT):
        raise MetadataError(f"reference version {document['version']!r}, expected 0 or 1")
    made = _Assembly(document, limits, templates)
    if document["version"] == COMPACT:
        made.add_metadata(document.get("metadata", {}))
    made.add_members(document.get("refs", {}))
    return made.finish()


def _loads(text: bytes) -> Any:
    import ujson

    try:
        return ujson.loads(text)
    except ValueError as error:
        raise MetadataError(f"not JSON: {error}") from error


def _in_bulk(
    text: bytes, limits: Limits, templates: Mapping[str, str] | None
) -> ReferenceIndex | None:
    """Parse a document row by row; None where it is not built like that."""
    found = _REFS.search(text)
    try:
        if found is not None:
            head = _loads(text[: found.start()].rstrip(b", \t\r\n") + b"}")
            start, closing = found.end(), rb"\}\s*\}\s*"
        else:
            head, start, closing = {}, text.index(b"{") + 1, rb"\}\s*"
        end = re.search(closing + rb"\Z", text[-64:])
        if end is None or (found is not None and head.get("version") not in (1, COMPACT)):
            return None
        rows = parse_rows(text, start, len(text) - len(text[-64:]) + end.start())
        rest: dict[str, Any] = {}
        for low, high in rows.rest:
            # Each piece is whole by itself, and so all of them together are what stands there.
            piece = text[low:high].strip().rstrip(b",")
            rest.update(_loads(b"{" + piece + b"}"))
    except (MetadataError, ValueError):
        return None
    if found is None and "version" in rest:
        return None
    made = _Assembly(head, limits, templates)
    if head.get("version") == COMPACT:
        made.add_metadata(head.get("metadata", {}))
    made.add_members(rest)
    del rest
    for block in rows.blocks:
        made.add_block(block)
    rows.blocks.clear()
    return made.finish()


class _Assembly:
    """References while they are put together."""

    def __init__(
        self, head: Mapping[str, Any], limits: Limits, overrides: Mapping[str, str] | None
    ) -> None:
        for name in ("templates", "refmaker"):
            if not isinstance(head.get(name, {}), dict):
                raise MetadataError(f"the member {name!r} is no JSON object", path=name)
        entries = head.get("gen", [])
        if not isinstance(entries, list) or not all(isinstance(item, dict) for item in entries):
            raise MetadataError("the member 'gen' is no list of JSON objects", path="gen")
        self._limits = limits
        named = {**head.get("templates", {}), **(overrides or {})}
        try:
            self._templates = Templates(named, limits.templates)
            rules = Rules(entries, self._templates) if entries else None
        except TemplateError as error:
            raise MetadataError(str(error), path="gen" if entries else "templates") from error
        compact = head.get("version") == COMPACT
        self._made = ReferenceIndex(rules=rules, header=head.get("refmaker", {}), compact=compact)
        self._inlined = 0
        self._keys = 0
        self._urls: dict[str, str] = {}
        self._paths: set[str] = set()
        self._columns: dict[str, _Columns] = {}
        if rules is not None:
            for rule in rules:
                self._check_path(rule.pattern.literals[0] + "0")

    def add_members(self, refs: Any) -> None:
        """Add parsed members of ``refs``."""
        if not isinstance(refs, dict):
            raise MetadataError("the member 'refs' is no JSON object", path="refs")
        self._count(len(refs))
        for key, value in refs.items():
            path, _, name = key.rpartition("/")
            if path not in self._paths or not name or name in (".", "..") or key[0] == "/":
                self._check_path(key)
                self._paths.add(path)
            if len(key) > self._limits.key_length:
                raise LimitError("a key that is too long", path=key[:200])
            if isinstance(value, list):
                reference = self._reference(key, value)
                at = position(name)
                if at is None or not self._of(path, len(at)).add(at, reference):
                    self._made.others[key] = reference
            else:
                self._inline(key, value)

    def _of(self, path: str, rank: int) -> _Columns:
        columns = self._columns.get(path)
        if columns is None:
            columns = self._columns[path] = _Columns(rank)
        return columns

    def add_block(self, block: Block) -> None:
        """Add rows that were parsed in bulk."""
        self._count(block.at.shape[0])
        path = _text(block.prefix)[:-1]
        if path not in self._paths:
            self._check_path(f"{path}/0" if block.prefix else "0")
            self._paths.add(path)
        urls = [self._url(_text(url)) for url in block.urls]
        if block.offset is not None and block.length is not None:
            nothing = (block.offset == 0) & (block.length == 0)
            if bool(nothing.any()):
                raise MetadataError("a chunk is a range of no bytes", path=path)
        if not self._of(path, block.at.shape[1]).add_block(block, urls):
            self._one_by_one(path, block, urls)

    def _one_by_one(self, path: str, block: Block, urls: list[str]) -> None:
        """Add rows whose keys have another form than those before them in the same folder."""
        count = block.at.shape[0]
        none = np.zeros(count, np.int64)
        offset = none if block.offset is None else block.offset
        length = none if block.length is None else block.length
        rows = zip(
            block.at.tolist(), block.url.tolist(), offset.tolist(), length.tolist(), strict=True
        )
        for at, url, first, nbytes in rows:
            name = ".".join(map(str, at))
            key = f"{path}/{name}" if path else name
            self._made.others[key] = Reference(urls[url], first, nbytes)

    def add_metadata(self, documents: Any) -> None:
        """Add the documents that compact sets keep in a member of their own."""
        if not isinstance(documents, dict):
            raise MetadataError("the member 'metadata' is no JSON object", path="metadata")
        self.add_members(documents)
        if ".zmetadata" not in documents:
            consolidated = {"metadata": documents, "zarr_consolidated_format": 1}
            self.add_members({".zmetadata": consolidated})

    def finish(self) -> ReferenceIndex:
        """Return all references."""
        for path, columns in self._columns.items():
            try:
                table = columns.table()
            except RefmakerError as error:
                raise error.located(path=path or "/") from error
            self._made.tables[path] = table
        for key in self._made.documents:
            path, _, name = key.rpartition("/")
            if path in self._made.tables and position(name) is not None:
                table = self._made.tables[path]
                if ReferenceIndex(tables={"": table}).get(name) is not None:
                    raise MetadataError("both inlined and a reference", path=key)
        return self._made

    def _count(self, more: int) -> None:
        self._keys += more
        if self._keys > self._limits.keys:
            raise LimitError(f"more than {self._limits.keys} keys")

    def _check_path(self, key: str) -> None:
        if len(key) > self._limits.key_length:
            raise LimitError("a key that is too long", path=key[:200])
        wrong = any(part in ("", ".", "..") for part in key.split("/"))
        # A backslash separates as well, on some systems.
        if wrong or ".." in key.split("\\") or "\0" in key:
            raise MetadataError("a key with an empty, relative or absolute part", path=key)

    def _inline(self, key: str, value: Any) -> None:
        if isinstance(value, dict):
            data = json.dumps(value).encode()
        elif not isinstance(value, str):
            kind = type(value).__name__
            raise MetadataError(f"{kind} is neither data nor a reference", path=key)
        else:
            try:
                encoded = value.startswith(BASE64)
                data = b64decode(value[len(BASE64) :], validate=True) if encoded else value.encode()
            except ValueError as error:
                raise MetadataError(f"not base64: {error}", path=key) from error
        self._inlined += len(data)
        if self._inlined > self._limits.inline_bytes:
            raise LimitError(
                f"more than {self._limits.inline_bytes} bytes are kept in the set itself", path=key
            )
        self._made.documents[key] = data

    def _reference(self, key: str, value: list[Any]) -> Reference:
        if len(value) not in (1, 3) or not isinstance(value[0], str):
            raise MetadataError("neither [url] nor [url, offset, length]", path=key)
        offset, length = value[1:] or (0, 0)
        if type(offset) is not int or type(length) is not int:
            raise MetadataError("an offset or length that is no integer", path=key)
        if min(offset, length) < 0 or offset + length >= _OFFSETS:
            raise MetadataError("an offset or length outside of any file", path=key)
        if len(value) == 3 and offset == length == 0:
            raise MetadataError("a range of no bytes", path=key)
        try:
            return Reference(self._url(value[0]), offset, length)
        except MetadataError as error:
            raise error.located(path=key) from error

    def _url(self, text: str) -> str:
        url = self._urls.get(text)
        if url is None:
            try:
                url = self._urls[text] = self._templates.expand(text)
            except TemplateError as error:
                raise MetadataError(str(error)) from error
        return url


def _text(quoted: bytes) -> str:
    """Return what a JSON string without its quotes means."""
    try:
        text = quoted.decode()
        return str(json.loads(f'"{text}"')) if "\\" in text else text
    except ValueError as error:
        raise MetadataError(f"not JSON: {error}") from error


class _Columns:
    """The references of one array while they are collected."""

    def __init__(self, rank: int) -> None:
        self._rank = rank
        self._urls: dict[str, int] = {}
        self._parts: list[tuple[Any, Any, Any, Any]] = []
        self._rows: list[tuple[tuple[int, ...], Reference]] = []

    def add(self, at: tuple[int, ...], reference: Reference) -> bool:
        """Add one reference; False if it is none of a grid of this many dimensions."""
        if len(at) != self._rank:
            return False
        self._rows.append((at, reference))
        return True

    def add_block(self, block: Block, urls: list[str]) -> bool:
        if block.at.shape[1] != self._rank:
            return False
        numbers = np.array([self._number(url) for url in urls], np.int32)
        none = np.broadcast_to(np.int64(0), block.url.shape)
        offset = none if block.offset is None else block.offset
        length = none if block.length is None else block.length
        self._parts.append((block.at, numbers[block.url], offset, length))
        return True

    def _number(self, url: str) -> int:
        return self._urls.setdefault(url, len(self._urls))

    def table(self) -> ChunkTable:
        """Return the table, over the smallest grid that holds all chunks."""
        if self._rows:
            at = np.array([at for at, _ in self._rows], np.int64)
            url = np.array([self._number(row.url) for _, row in self._rows], np.int32)
            offset = np.array([row.offset for _, row in self._rows], np.int64)
            length = np.array([row.length for _, row in self._rows], np.int64)
            self._parts.append((at, url, offset, length))
            self._rows.clear()
        columns = [np.concatenate(column) for column in zip(*self._parts, strict=True)]
        self._parts.clear()
        at, url, offset, length = columns
        grid = tuple(int(extent) + 1 for extent in at.max(axis=0))
        if int(np.prod(np.array(grid, float))) > 2**62:
            raise LimitError(f"a grid of {grid} chunks cannot be numbered")
        index = np.ravel_multi_index(tuple(at.T), grid)
        return ChunkTable.from_columns(
            grid, tuple(self._urls), offset=offset, length=length, index=index, url=url
        )

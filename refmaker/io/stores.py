"""Folders that are one object, such as Zarr stores: the document in one that stands for it all.

A store is named by its folder; what is opened and scanned is the document that says what it is.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from refmaker.io.local_file import local_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "N5_DOCUMENT",
    "STORE_DOCUMENTS",
    "StoreURL",
    "is_n5_document",
    "is_store_document",
    "owners",
    "resolve_store",
    "store_document",
    "store_documents",
    "store_folder",
]

STORE_DOCUMENTS = ("zarr.json", ".zmetadata", ".zgroup", ".zarray")
"""Names of the documents at the root of a Zarr store, the one that says most first."""
N5_DOCUMENT = "attributes.json"
"""Name of the documents of an N5 container; other things have such files, too."""
_DOCUMENTS = (*STORE_DOCUMENTS, N5_DOCUMENT)
_HEADERS = (".hdr", ".hdr.gz", ".nhdr")
"""Endings of headers whose data lie in a file of the same name with another ending."""
_N5_VERSION = re.compile(rb'"n5"\s*:\s*"\d')
_N5_DATASET = {b"dimensions", b"blockSize", b"dataType"}
_FIRST = re.compile(
    rb'\s*\{\s*"(?:metadata"\s*:\s*\{\s*"(?:[^"\\]|\\.)*\.z(?:group|array|attrs)"\s*:'
    rb'|zarr_consolidated_format"\s*:)'
)
"""How consolidated metadata of version 2 begin."""
_TOKEN = re.compile(rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)(?:"(\s*:)?|\\?\Z)|[\[\]{}]')
"""A string, or the beginning of one that is cut, or a bracket."""
_PARQUET = b'"record_size"'
"""What only the metadata of a reference set as Parquet have."""
_HEAD = 4096
_LOOKED_AT = 1 << 16
"""Bytes at the beginning of a file that are looked at."""


def is_store_document(head: bytes, url: str) -> bool:
    """Tell from its first bytes whether a file is a document of a Zarr store, version 2 or 3.

    Parameters
    ----------
    head : bytes
        The first bytes, or all of them.
    url : str
        Its name; needed only where what is typical lies beyond the first bytes.
    """
    head = head[:_LOOKED_AT]
    if head.lstrip()[:1] != b"{":
        return False
    names, depth = _member_names(head)
    if b"record_size" in names:
        return False  # references as Parquet
    if b"zarr_format" in names or _FIRST.match(head):
        return True
    # Attributes may fill the first bytes, and may stand first.
    cut = depth > 0 and names <= {b"attributes", b"node_type", b"consolidated_metadata"}
    return cut and _basename(url) == "zarr.json"


def is_n5_document(head: bytes) -> bool:
    """Tell from its first bytes whether a file is the document of an N5 container or dataset.

    Parameters
    ----------
    head : bytes
        The first bytes, or all of them.
    """
    head = head[:_LOOKED_AT]
    if head.lstrip()[:1] != b"{":
        return False
    names, _ = _member_names(head)
    return names >= _N5_DATASET or (b"n5" in names and _N5_VERSION.search(head) is not None)


def _member_names(head: bytes) -> tuple[set[bytes], int]:
    """Return the names of an object's members, as far as they show, and how deep its end lies."""
    depth = 0
    names = set()
    for token in _TOKEN.finditer(head):
        text = token[0]
        if text in (b"{", b"["):
            depth += 1
        elif text in (b"}", b"]"):
            depth -= 1
        elif depth == 1 and token[2]:
            names.add(token[1])
    return names, depth


def store_document(folder: str) -> str | None:
    """Return the path of the document that makes a local folder a store; None if it is none."""
    for name in STORE_DOCUMENTS:
        path = os.path.join(folder, name)
        if os.path.isfile(path) and not (name == ".zmetadata" and _is_parquet(path)):
            return path
    path = os.path.join(folder, N5_DOCUMENT)
    return path if os.path.isfile(path) and is_n5_document(_head(path)) else None


def _head(path: str) -> bytes:
    """Return the first bytes of a file; none if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(_HEAD)
    except OSError:
        return b""


def _is_parquet(path: str) -> bool:
    """Whether ``.zmetadata`` belongs to references as Parquet, which say so at their end."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _HEAD))
            end = file.read(_HEAD)
            file.seek(0)
            return _PARQUET in end or _PARQUET in file.read(_HEAD)
    except OSError:
        return False


def resolve_store(
    url: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None
) -> str:
    """Return the document of the store that a name means; any other name as it is.

    Parameters
    ----------
    url : str or os.PathLike
        A local folder, or a URL that ends in ``.zarr`` or ``.n5``, which costs a request for each
        document that is not there.
    storage_options : mapping, optional
        Passed to fsspec.
    """
    name = os.fspath(url)
    path = local_path(name)
    if path is not None:
        found = store_document(path) if os.path.isdir(path) else None
        return name if found is None else found
    store = StoreURL(name.rstrip("/"))
    if "::" in name or not store.path.endswith((".zarr", ".n5")):
        return name
    from refmaker.errors import SourceNotFoundError
    from refmaker.io.source import Source

    for document in (N5_DOCUMENT,) if store.path.endswith(".n5") else STORE_DOCUMENTS:
        there = store.below(document)
        try:
            Source(there, storage_options).close()
        except SourceNotFoundError:
            continue
        return there
    return name


def store_folder(url: str) -> str:
    """Return the folder of a store that a document stands for; any other URL as it is."""
    if _basename(url) not in _DOCUMENTS:
        return url
    return StoreURL(url).parent().url if local_path(url) is None else os.path.dirname(url)


def store_documents(urls: Iterable[str]) -> list[str]:
    """Return URLs with one document in place of all files of each store among them."""
    given = list(urls)
    roots: dict[str, str] = {}
    for url in given:
        folder, _, name = url.rpartition("/")
        if name in STORE_DOCUMENTS:
            known = roots.get(folder)
            rank = STORE_DOCUMENTS.index
            if known is None or rank(name) < rank(known):
                roots[folder] = name
    kept: dict[str, None] = {}
    for url in given:
        root = _outermost(url, roots)
        kept[url if root is None else f"{root}/{roots[root]}"] = None
    return list(kept)


def _outermost(url: str, roots: Mapping[str, str]) -> str | None:
    """Return the first of some folders that a file lies in."""
    at = url.find("/", url.find("://") + 3 if "://" in url else 0)
    while at >= 0:
        if url[:at] in roots:
            return url[:at]
        at = url.find("/", at + 1)
    return None


def owners(urls: Iterable[str]) -> dict[str, str]:
    """Return which document stands for each of some files, where that is another one of them.

    Documents are those of stores, and headers beside the files that they are of.

    Parameters
    ----------
    urls : iterable of str
        Files that references point into, and the documents that were scanned.
    """
    given = list(urls)
    roots: dict[str, str] = {}
    for url in given:
        folder, _, name = url.rpartition("/")
        if name in _DOCUMENTS:
            roots.setdefault(folder, url)
    headers = {_stem(url): url for url in given if url.endswith(_HEADERS)}
    if not roots and not headers:
        return {}
    found = {}
    for url in given:
        root = _outermost(url, roots)
        owner = headers.get(_stem(url)) if root is None else roots[root]
        if owner is not None and owner != url:
            found[url] = owner
    return found


def _stem(url: str) -> str:
    """Return a name without its last ending, before which that of a compression may stand."""
    return os.path.splitext(url.removesuffix(".gz"))[0]


def _basename(url: str) -> str:
    if local_path(url) is None:
        from urllib.parse import urlsplit

        url = urlsplit(url).path
    return url.rpartition("/")[2]


class StoreURL:
    """A URL of a folder or file, from which those of others are made; its query stays.

    Parameters
    ----------
    url : str
        A URL, or a local path.

    Attributes
    ----------
    path : str
        The URL without its query.
    """

    def __init__(self, url: str) -> None:
        self.web = url.startswith(("http://", "https://"))
        self.path, mark, query = url.partition("?") if self.web else (url, "", "")
        self._query = mark + query

    @property
    def url(self) -> str:
        """The URL itself."""
        return self.path + self._query

    def parent(self) -> StoreURL:
        """Return the folder that it lies in."""
        return StoreURL(self.path.rpartition("/")[0] + self._query)

    def below(self, key: str) -> str:
        """Return the URL of a file below this folder, by its relative name."""
        if self.web:
            from urllib.parse import quote

            key = quote(key)
        return f"{self.path}/{key}{self._query}"

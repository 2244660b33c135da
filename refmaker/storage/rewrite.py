"""Other URLs for the files that references point into: new prefixes, or relative paths.

Nothing but the URLs changes. In memory URLs are always absolute; a set that was written with
relative ones says so in its member ``refmaker``, and is read back relative to where it lies.
"""

from __future__ import annotations

import os
import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from refmaker.errors import MetadataError
from refmaker.io.source import local_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from refmaker.model import Array, Group

__all__ = ["absolute", "is_relative", "new_prefixes", "relative", "renamed", "used_urls"]


def is_relative(header: Mapping[str, Any]) -> bool:
    """Tell whether the files are named by paths from where the set lies.

    Parameters
    ----------
    header : mapping
        Content of the member ``refmaker``. It says so in a text: GDAL fails at any other scalar
        there. Sets of earlier versions hold a boolean.
    """
    return header.get("relative") in (True, "true")


def used_urls(group: Group, sources: Iterable[str] = ()) -> list[str]:
    """Return every URL of a set once: those of the tables, and those of fingerprints."""
    found = dict.fromkeys(url for _, array in group.arrays() for url in array.chunks.urls)
    return [*found, *(url for url in sources if url not in found)]


def new_prefixes(urls: Sequence[str], prefixes: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return the new URLs of those that begin with a prefix.

    Parameters
    ----------
    prefixes : sequence of (str, str)
        Old and new beginnings. Each URL takes the first that fits; a prefix fits whole parts
        of a path, so that ``/data/run1`` is no beginning of ``/data/run10/a.nc``.

    Returns
    -------
    dict of str to str
        Old to new URL; the others are left out.

    Raises
    ------
    MetadataError
        If a prefix is that of no URL, or two files would get the same name.
    """
    used = set()
    found: dict[str, str] = {}
    for url in urls:
        for old, new in prefixes:
            if _begins(url, old):
                used.add(old)
                found[url] = new + url[len(old) :]
                break
    for old, _ in prefixes:
        if old not in used and not any(_begins(url, old) for url in urls):
            inside = next((url for url in urls if url.startswith(old)), None)
            example = f"it ends inside a name of {inside}" if inside else f"such as {urls[:1]}"
            raise MetadataError(
                f"no file's name begins with {old!r} ({example})",
                hint="give whole names of folders, as in the reference set",
            )
    _check_distinct(urls, found)
    return found


def _begins(url: str, prefix: str) -> bool:
    return url.startswith(prefix) and (
        not prefix or prefix[-1] in "/:" or url[len(prefix) : len(prefix) + 1] in ("", "/")
    )


def _check_distinct(urls: Sequence[str], renaming: Mapping[str, str]) -> None:
    owner: dict[str, str] = {}
    for url in urls:
        new = renaming.get(url, url)
        if owner.setdefault(new, url) != url:
            raise MetadataError(f"{owner[new]} and {url} would both be named {new}")


def relative(urls: Sequence[str], out: str | os.PathLike[str]) -> dict[str, str]:
    """Return each URL as a path relative to the folder in which a reference set lies.

    Raises
    ------
    MetadataError
        If a file lies in another store than the reference set.
    """
    store, folder = _store_and_path(posixpath.dirname(_whole(out)))
    found = {}
    for url in urls:
        its_store, path = _store_and_path(_whole(url))
        if its_store != store or "::" in url:
            raise MetadataError(
                "a path relative to the reference set needs both to lie in the same store",
                url=url,
                hint="rewrite the prefix instead",
            )
        found[url] = posixpath.relpath(path, folder or "/")
    _check_distinct(urls, found)
    return found


def absolute(urls: Sequence[str], base: str | os.PathLike[str]) -> dict[str, str]:
    """Return what `relative` has shortened, as absolute URLs again.

    Parameters
    ----------
    urls : sequence of str
        All URLs of a set; those that are absolute are left out.

    Raises
    ------
    MetadataError
        If a path leads out of its store.
    """
    store, folder = _store_and_path(posixpath.dirname(_whole(base)))
    found = {}
    for url in urls:
        if "://" in url or url.startswith("/"):
            continue
        path = posixpath.normpath(posixpath.join(folder or "/", url))
        if _leaves(folder, url):
            raise MetadataError("a relative path leads out of its store", url=url)
        found[url] = store + path
    _check_distinct(urls, found)
    return found


def _leaves(folder: str, path: str) -> bool:
    """Whether a path goes above the root: the normal form of ``/../a`` would be ``/a``."""
    depth = sum(part != "" for part in folder.split("/"))
    for part in path.split("/"):
        depth += -1 if part == ".." else part not in ("", ".")
        if depth < 0:
            return True
    return False


def _whole(url: str | os.PathLike[str]) -> str:
    name = os.fspath(url).rstrip("/")
    path = local_path(name)
    return name if path is None else os.path.abspath(path)


def _store_and_path(url: str) -> tuple[str, str]:
    """Split a URL into the store and the path in it."""
    if local_path(url) is not None:
        return "", url
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    store = f"{parts.scheme}://{parts.netloc}"
    return store, url[len(store) :] or "/"


def renamed(group: Group, renaming: Mapping[str, str]) -> Group:
    """Return a group whose tables name other files."""
    if not renaming:
        return group

    def change(array: Array) -> Array:
        urls = [renaming.get(url, url) for url in array.chunks.urls]
        return replace(array, chunks=array.chunks.with_urls(urls))

    return group.map_arrays(change)

"""References in an Icechunk repository, read back: those of this package and of others.

The metadata of Zarr version 3 become those of an `Array`, virtual chunks byte ranges of their
files, and chunks that lie in the repository itself byte ranges of its own files; or inlined
ones, where this package has written them as such. What its commits remember (format,
fingerprints of files, origins of edited arrays) is read from the metadata of the commits.

Icechunk tells where chunks lie from version 2 on; that also reads what version 1 has written.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refmaker.codecs.fill_value import settle_fill
from refmaker.errors import MetadataError, RefmakerError, SourceError, UnsupportedError
from refmaker.io.source import local_path
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.chunk_table import count
from refmaker.model.zarr_v3_reader import array_from_document_v3, group_from_document_v3
from refmaker.storage.icechunk import HEADER, library
from refmaker.storage.icechunk_stores import file_url, open_storage
from refmaker.storage.tree import DEPTH
from refmaker.storage.zarr3_keys import hidden

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from numpy.typing import NDArray

__all__ = ["Repository", "read"]

log = logging.getLogger(__name__)

_BATCH = 1 << 17
"""Chunks that are asked for at a time."""
_INLINE = 3
"""icechunk's number for chunks whose bytes stand in a manifest."""
_NATIVE = 1
_BUDGET = 16 * 1024**2
"""Bytes of chunks in the repository that are inlined, and of those that are made explicit."""
_COMMITS = 1000
"""Commits that are looked at for what they remember."""


class Repository(NamedTuple):
    """What a repository holds at one time.

    Parameters
    ----------
    group : Group
        The root group.
    header : dict
        What the member ``refmaker`` of a JSON document holds; empty where others wrote it.
    snapshot : str
        Id of the snapshot.
    """

    group: Group
    header: dict[str, Any]
    snapshot: str


def read(
    url: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None
) -> Repository:
    """Read the references of the newest snapshot of the branch ``main``.

    Parameters
    ----------
    url : str or os.PathLike
        A folder, or a URL ``s3://``, ``http://`` or ``https://``.
    storage_options : mapping, optional
        As for `refmaker.storage.icechunk.write`.

    Raises
    ------
    MissingDependencyError
        If icechunk is not installed.
    UnsupportedError
        If it is older than version 2; or an array has chunks, types or codecs that version 2 of
        Zarr cannot express (names it).
    SourceError
        If there is no repository.
    MetadataError
        If it contradicts itself.
    """
    icechunk = library()
    name = os.fspath(url).rstrip("/")
    if not hasattr(icechunk.IcechunkStore, "array_chunk_iterator"):
        raise UnsupportedError(
            f"icechunk {icechunk.__version__} does not tell where chunks lie",
            code="icechunk-version",
            url=name,
            hint="pip install 'icechunk>=2', which needs Python 3.12 or newer",
        )
    storage = open_storage(icechunk, name, storage_options or {})
    try:
        repository = icechunk.Repository.open(storage)
        session = repository.readonly_session("main")
        header = _header(repository, session.snapshot_id, name)
        group = _run(lambda: _read(session.store, name, header))
    except icechunk.IcechunkError as error:
        raise SourceError(f"icechunk: {error}", url=name) from error
    return Repository(group, header, str(session.snapshot_id))


def _run(task: Callable[[], Coroutine[Any, Any, Group]]) -> Group:
    """Run in a thread, as there may be a running event loop here."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(task())).result()


def _header(repository: Any, snapshot: str, name: str) -> dict[str, Any]:
    """Return what commits remember; of a thing that several tell what the newest says."""
    found: dict[str, Any] = {}
    for commit in islice(repository.ancestry(snapshot_id=snapshot), _COMMITS):
        told = (commit.metadata or {}).get(HEADER)
        if not isinstance(told, dict):
            continue
        for key, value in told.items():
            known = found.setdefault(key, value)
            if known is not value and isinstance(known, dict) and isinstance(value, dict):
                found[key] = {**value, **known}
    if found and not isinstance(found.get("format", ""), str):
        raise MetadataError("'format' is no text", url=name, path=HEADER)
    return found


async def _read(store: Any, name: str, header: Mapping[str, Any]) -> Group:
    documents = await _documents(store, name)
    members: dict[str, dict[str, Array | Group]] = {}
    left = _BUDGET if header else 0
    # From below: of each group all members are known when it is made.
    for path in sorted(documents, key=lambda path: path.count("/") if path else -1, reverse=True):
        below = members.pop(path, {})
        try:
            node: Array | Group
            if documents[path].get("node_type") == "group":
                node = group_from_document_v3(documents[path], below)
            else:
                array = array_from_document_v3(documents[path])
                table, natives = await _table(store, path, array, name)
                if sum(natives.values()) <= left:
                    left -= sum(natives.values())
                    table = await _with_natives(store, path, table, natives)
                node = _settled(path, replace(array, chunks=table))
            node = replace(node, attributes={**node.attributes, **hidden(header, path)})
        except RefmakerError as error:
            raise error.located(url=name, path=path or "/") from error
        if path:
            home, _, last = path.rpartition("/")
            members.setdefault(home, {})[last] = node
        else:
            return node if isinstance(node, Group) else Group({"data": node})
    raise MetadataError("it has no root group", url=name)


def _settled(path: str, array: Array) -> Array:
    def warn(text: str) -> None:
        log.warning("%s: %s", path, text)

    return settle_fill(array, _BUDGET, warn)


async def _documents(store: Any, name: str) -> dict[str, dict[str, Any]]:
    """Return the metadata document of every array and group, by path; groups in their order."""
    from zarr.core.buffer import default_buffer_prototype

    found: dict[str, dict[str, Any]] = {}
    waiting = [""]
    while waiting:
        path = waiting.pop()
        data = await store.get(
            f"{path}/zarr.json" if path else "zarr.json", default_buffer_prototype()
        )
        if data is None:
            continue
        if path.count("/") >= DEPTH:
            raise MetadataError(f"groups nested deeper than {DEPTH}", url=name, path=path[:200])
        found[path] = json.loads(data.to_bytes())
        if found[path].get("node_type") == "group":
            names = [part async for part in store.list_dir(path)]
            inner = [part.rstrip("/") for part in names if part != "zarr.json"]
            waiting += [f"{path}/{part}" if path else part for part in reversed(inner)]
    return found


async def _table(
    store: Any, path: str, array: Array, name: str
) -> tuple[ChunkTable, dict[int, int]]:
    """Return the chunks of an array; and the bytes of those in the repository, by number."""
    grid = array.chunks.grid
    numbers: dict[str, int] = {}
    columns: list[tuple[NDArray[Any], ...]] = []
    inlined: dict[int, bytes] = {}
    natives: dict[int, int] = {}
    chunks = store.array_chunk_iterator(f"/{path}", _BATCH)
    async for at, kinds, places, offset, length, data in chunks:
        index = _numbered(at, grid)
        native = kinds == _NATIVE
        named = _prefixed(places, native, f"{name}/chunks/") if bool(native.any()) else places
        for place in dict.fromkeys(named):
            numbers.setdefault(place, len(numbers))
        file = np.fromiter(map(numbers.__getitem__, named), np.int32, len(named))
        inside = kinds == _INLINE
        inlined |= {int(index[row]): bytes(value) for row, value in data.items()}
        natives |= dict(zip(index[native].tolist(), length[native].tolist(), strict=True))
        rows = ~inside
        columns.append((index[rows], offset[rows], length[rows], file[rows]))
    if not columns:
        return ChunkTable.empty(grid), {}
    index, offset, length, file = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    if bool(((offset == 0) & (length == 0)).any()):
        raise MetadataError("a chunk of no bytes")
    used, which = np.unique(file, return_inverse=True)
    listed = list(numbers)
    urls = tuple(_url(listed[number], name) for number in used.tolist())
    table = ChunkTable.from_columns(
        grid, urls, offset=offset, length=length, index=index, url=which, inlined=inlined
    )
    return table, natives


def _numbered(at: NDArray[Any], grid: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the flat numbers of chunks by their positions, shape (n, dimensions)."""
    if not grid:
        return np.zeros(len(at), np.int64)
    positions = at.T.astype(np.int64)
    if count(grid) == 0 or bool((positions >= np.asarray(grid)[:, None]).any()):
        raise MetadataError(f"a chunk lies outside the grid {grid}")
    return np.asarray(np.ravel_multi_index(tuple(positions), grid), np.int64)


def _prefixed(places: list[str], native: NDArray[np.bool_], prefix: str) -> list[str]:
    """Return locations, with the names of the repository's own files as paths."""
    return [
        f"{prefix}{place}" if own else place
        for place, own in zip(places, native.tolist(), strict=True)
    ]


def _url(place: str, name: str) -> str:
    if not place.startswith(f"{name}/chunks/"):
        return file_url(place)
    path = local_path(place)
    return place if path is None else os.path.abspath(path)


async def _with_natives(
    store: Any, path: str, table: ChunkTable, natives: Mapping[int, int]
) -> ChunkTable:
    """Return a table whose chunks in the repository are inlined."""
    if not natives:
        return table
    from zarr.core.buffer import default_buffer_prototype

    inlined = dict(table.inlined)
    for number in natives:
        at = np.unravel_index(number, table.grid) if table.grid else ()
        key = "/".join(filter(None, [path, "c", *(str(int(part)) for part in at)]))
        data = await store.get(key, default_buffer_prototype())
        if data is None:
            raise MetadataError(f"chunk {number} is not in the repository")
        inlined[number] = data.to_bytes()
    rows = ~np.isin(table.numbers(), np.fromiter(natives, np.uint64, len(natives)))
    return ChunkTable.from_columns(
        table.grid,
        table.urls,
        offset=table.offset[rows],
        length=table.length[rows],
        index=table.numbers()[rows],
        url=None if table.url is None else table.url[rows],
        inlined=inlined,
    )

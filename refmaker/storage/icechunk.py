"""Reference sets as Icechunk repositories: version-controlled, readable by icechunk and zarr 3.

Byte ranges become virtual chunks, inlined chunks native ones, and metadata Zarr version 3
(`refmaker.model.zarr_v3`). The files that chunks point into are covered by virtual chunk
containers, which are kept in the repository's configuration; whoever opens it has to
authorise them, for instance by `open_repository`. Fingerprints become checksums: icechunk refuses
chunks of a file that was modified since it was scanned.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refmaker.errors import MetadataError, MissingDependencyError, SourceError, UnsupportedError
from refmaker.io.folders import new_folder
from refmaker.io.source import local_path
from refmaker.model.amounts import counted
from refmaker.model.zarr_v2 import dumps
from refmaker.model.zarr_v3 import documents_v3
from refmaker.storage.icechunk_stores import containers, credentials, location, open_storage
from refmaker.storage.zarr3_keys import with_hidden

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from refmaker.model import ChunkTable, Group
    from refmaker.model.report import Fingerprint

__all__ = [
    "HEADER", "VirtualFile", "check_version", "library", "open_repository", "put", "put_chunks",
    "virtual_file", "write",
]  # fmt: skip

HEADER = "refmaker"
"""Name under which a commit remembers what the member ``refmaker`` of JSON documents does."""
_BATCH = 50_000
"""Virtual chunks handed over at a time where icechunk takes them one by one."""
_RECTILINEAR = 2
"""Version of icechunk from which on repositories have chunks of different lengths."""
_SPARSE = 4
"""Chunks of the grid for each present one up to which a whole grid is handed over."""


def library() -> Any:
    """Return the module ``icechunk``.

    Raises
    ------
    MissingDependencyError
        If it is not installed.
    """
    try:
        return import_module("icechunk")
    except ImportError as error:
        raise MissingDependencyError(
            "Icechunk repositories need the package icechunk",
            hint="pip install 'refmaker[icechunk]'",
        ) from error


def write(
    group: Group,
    out: str | os.PathLike[str],
    sources: Mapping[str, Fingerprint] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    header: Mapping[str, Any] | None = None,
) -> None:
    """Write a reference set as the first commit of a new repository.

    Parameters
    ----------
    group : Group
        The root group.
    out : str or os.PathLike
        A folder, or a URL ``s3://``; there must be nothing yet.
    sources : mapping of str to Fingerprint, optional
        Sizes and checksums of the files.
    storage_options : mapping, optional
        As for fsspec: for ``s3://`` the options ``anon``, ``key``, ``secret``, ``token``,
        ``endpoint_url`` and ``client_kwargs`` with ``region_name`` are understood.
    header : mapping, optional
        What the commit remembers of the set, as `refmaker.storage.json_writer.header` gives it.

    Raises
    ------
    MissingDependencyError
        If icechunk is not installed.
    UnsupportedError
        If Zarr version 3 or icechunk cannot express something; names it.
    SourceError
        If the place cannot be written, or there is something already.
    """
    icechunk = library()
    # Everything that may be refused is made before anything is written.
    documents = {key: dumps(content).encode() for key, content in documents_v3(group)}
    check_version(icechunk, group)
    urls = dict.fromkeys(
        url for _, a in group.arrays() if a.chunks.referenced for url in a.chunks.urls
    )
    files = {url: virtual_file(url, (sources or {}).get(url)) for url in urls}
    config = icechunk.RepositoryConfig.default()
    found = containers(icechunk, [file.location for file in files.values()], storage_options or {})
    for prefix, (store, _) in found.items():
        config.set_virtual_chunk_container(icechunk.VirtualChunkContainer(prefix, store))
    known = icechunk.containers_credentials({k: v for k, (_, v) in found.items()})
    path = local_path(os.fspath(out).rstrip("/"))
    remembered = with_hidden(dict(header or {}), group)

    def fill(storage: Any) -> None:
        try:
            repository = icechunk.Repository.create(storage, config, known)
            session = repository.writable_session("main")
            put(session.store, documents)
            for path, array in group.arrays():
                put_chunks(icechunk, session.store, path, array.chunks, files)
            session.commit("Written by refmaker", {HEADER: remembered} if header else None)
            repository.save_config()
        except icechunk.IcechunkError as error:
            raise SourceError(f"icechunk: {error}", url=os.fspath(out)) from error

    if path is None:
        fill(open_storage(icechunk, os.fspath(out), storage_options or {}))
        return
    with new_folder(path) as folder:
        fill(icechunk.local_filesystem_storage(folder))


def check_version(icechunk: Any, group: Group) -> None:
    """Refuse chunks of different lengths where this icechunk does not know them.

    Raises
    ------
    MissingDependencyError
        If there are any, and it does not.
    """
    uneven = any(array.edges is not None for _, array in group.arrays())
    if uneven and int(icechunk.__version__.partition(".")[0]) < _RECTILINEAR:
        raise MissingDependencyError(
            f"chunks of different lengths need icechunk {_RECTILINEAR}, here is"
            f" {icechunk.__version__}",
            hint=f"with Python 3.12 or later, pip install 'icechunk>={_RECTILINEAR}'",
        )


class VirtualFile(NamedTuple):
    """A file that chunks point into, as icechunk knows it.

    Parameters
    ----------
    location : str
        Its URL, percent-encoded.
    size : int, optional
        Its bytes, if they are known.
    etag : str, optional
        What it had as ETag when it was scanned, quoted.
    modified : datetime, optional
        Where there is no ETag: chunks are refused if it was modified later than this.
    """

    location: str
    size: int | None
    etag: str | None
    modified: datetime | None


def virtual_file(url: str, known: Fingerprint | None) -> VirtualFile:
    """Return a file with the checksum that its fingerprint makes.

    Raises
    ------
    UnsupportedError
        If it lies where icechunk does not read.
    """
    etag = modified = None
    if known is not None and known.etag and not known.etag.startswith("W/"):
        etag = known.etag if known.etag.startswith('"') else f'"{known.etag}"'
    elif known is not None and known.mtime is not None:
        # The checksum is in whole seconds, and the file may be a part of one younger.
        modified = datetime.fromtimestamp(int(known.mtime) + 1, UTC)
    return VirtualFile(location(url), None if known is None else known.size, etag, modified)


def put(store: Any, values: Mapping[str, bytes]) -> None:
    """Store bytes under keys of a session's store, such as documents of metadata."""
    from zarr.buffer.cpu import Buffer

    async def put_all() -> None:
        for key, data in values.items():
            await store.set(key, Buffer.from_bytes(data))

    # In a thread, as there may be a running event loop here.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, put_all()).result()


def put_chunks(
    icechunk: Any, store: Any, path: str, table: ChunkTable, files: Mapping[str, VirtualFile]
) -> None:
    """Store the chunks of one array: byte ranges as virtual chunks, inlined ones as native.

    Parameters
    ----------
    icechunk : module
        As `library` returns it.
    store : icechunk.IcechunkStore
        Of a writable session; metadata may come before or after.
    table : ChunkTable
        Its chunks; absent ones stay as they are in the repository.

    Raises
    ------
    UnsupportedError
        If a chunk is a whole file of unknown size.
    SourceError
        If icechunk does not take a chunk.
    """
    if table.inlined:
        native = {}
        for number, data in table.inlined.items():
            at = np.unravel_index(number, table.grid) if table.grid else ()
            native["/".join([path, "c", *(str(int(i)) for i in at)])] = data
        put(store, native)
    if not table.referenced:
        return
    mine = [files[url] for url in table.urls]
    length = _lengths(path, table, mine)
    checksums = {(file.etag, file.modified) for file in mine}
    dense = table.size <= _SPARSE * table.referenced
    if hasattr(store, "set_virtual_refs_arr") and len(checksums) == 1 and dense:
        failed = _set_grid(store, path, table, mine, length)
    else:
        failed = _set_batches(icechunk, store, path, table, mine, length)
    if failed:
        raise SourceError(
            f"icechunk did not take {counted(len(failed), 'chunk')}, such as number {failed[0]}",
            path=path,
        )


def _lengths(path: str, table: ChunkTable, files: list[VirtualFile]) -> Any:
    """Return the bytes of each chunk; icechunk has no sign for the whole file."""
    length = table.length.astype(np.uint64)
    whole = np.flatnonzero((table.offset == 0) & (length == 0))
    if not whole.size:
        return length
    number = np.zeros(table.referenced, np.int32) if table.url is None else table.url
    used = np.unique(number[whole]).tolist()
    if any(files[i].size is None for i in used):
        raise UnsupportedError(
            "a chunk is a whole file whose size is not known", code="icechunk-size", path=path
        )
    sizes = np.array([file.size or 0 for file in files], np.uint64)
    length[whole] = sizes[number[whole]]
    return length


def _set_batches(
    icechunk: Any, store: Any, path: str, table: ChunkTable, files: list[VirtualFile], length: Any
) -> list[Any]:
    at = np.stack(table.coordinates(), axis=1) if table.grid else np.empty((1, 0), np.int64)
    failed: list[Any] = []
    for start in range(0, table.referenced, _BATCH):
        rows = slice(start, start + _BATCH)
        number = [0] * len(table.offset[rows]) if table.url is None else table.url[rows].tolist()
        columns = (at[rows].tolist(), number, table.offset[rows].tolist(), length[rows].tolist())
        specs = [
            icechunk.VirtualChunkSpec(
                index, files[i].location, offset, size, files[i].etag, files[i].modified
            )
            for index, i, offset, size in zip(*columns, strict=True)
        ]
        failed += store.set_virtual_refs(path, specs) or []
    return failed


def _set_grid(
    store: Any, path: str, table: ChunkTable, files: list[VirtualFile], length: Any
) -> list[Any]:
    """Hand a whole grid over at once; an empty location is an absent chunk."""
    names = np.array(["", *(file.location for file in files)], object)
    number = np.zeros(table.size, np.int64)
    offset, size = np.zeros(table.size, np.uint64), np.zeros(table.size, np.uint64)
    rows = table.numbers().astype(np.int64)
    number[rows] = 1 if table.url is None else table.url + 1
    offset[rows], size[rows] = table.offset, length
    failed = store.set_virtual_refs_arr(
        path,
        list(table.grid),
        names[number].tolist(),
        offset,
        size,
        checksum=files[0].etag or files[0].modified,
    )
    return list(failed or [])


def open_repository(
    url: str | os.PathLike[str],
    storage_options: Mapping[str, Any] | None = None,
    *,
    places: Iterable[str] = (),
) -> Any:
    """Open a repository with all containers of its own configuration authorised.

    Parameters
    ----------
    url : str or os.PathLike
        A folder, or a URL ``s3://``.
    storage_options : mapping, optional
        As for `write`; used for the files, too.
    places : iterable of str
        Files, as `location` returns them. Containers are added for those that none covers; the
        repository's ``save_config`` keeps them.

    Returns
    -------
    icechunk.Repository
        ``zarr.open_group(repository.readonly_session("main").store)`` reads it.

    Raises
    ------
    MissingDependencyError
        If icechunk is not installed.
    SourceError
        If there is no repository.
    MetadataError
        If a repository from afar asks for local files.
    UnsupportedError
        If a place is out of icechunk's reach.
    """
    from refmaker.codecs.zarr3 import register_codec

    icechunk = library()
    register_codec()
    name = os.fspath(url).rstrip("/")
    storage = open_storage(icechunk, name, storage_options or {})
    try:
        config = icechunk.Repository.fetch_config(storage)
        prefixes = list((config and config.virtual_chunk_containers) or {})
        more = [place for place in places if not place.startswith(tuple(prefixes))]
        if more:
            config = config or icechunk.RepositoryConfig.default()
            for prefix, (store, _) in containers(icechunk, more, storage_options or {}).items():
                config.set_virtual_chunk_container(icechunk.VirtualChunkContainer(prefix, store))
                prefixes.append(prefix)
        if local_path(name) is None and any(prefix.startswith("file:") for prefix in prefixes):
            raise MetadataError("a repository from afar asks for local files", url=name)
        known = {
            prefix: credentials(icechunk, prefix, storage_options or {}) for prefix in prefixes
        }
        return icechunk.Repository.open(storage, config, icechunk.containers_credentials(known))
    except icechunk.IcechunkError as error:
        raise SourceError(f"icechunk: {error}", url=name) from error

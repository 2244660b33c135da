"""A virtual store made real: every chunk is fetched and kept in a Zarr store.

Chunks are kept as they are encoded, unless they are to be recoded for readers with few codecs.

Metadata are written when all chunks are there: a store that is not finished cannot be opened,
so that nobody reads fill values where chunks are still to come. A journal beside the chunks tells
whose they are; the same call goes on where another one was stopped.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from refmaker.errors import MetadataError, RefmakerError, SourceError, TruncatedError
from refmaker.io.local_file import local_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from refmaker.reading.open import Refs
    from refmaker.reading.outgoing import Outgoing
    from refmaker.reading.reader import Reader

    Data = bytes | memoryview
    Item = tuple[str, int | None]

__all__ = ["Materialized", "materialize"]

JOURNAL = ".refmaker-unfinished.json"
_BATCH_KEYS = 512
_BATCH_BYTES = 64 * 1024**2
"""What is held in memory at a time."""
_TOLD = 100
"""Failures that are kept to be told; all of them are counted."""


@dataclass(slots=True)
class Materialized:
    """What became of a store that was to be made real.

    Parameters
    ----------
    url : str
        Where it lies.
    chunks : int
        Chunks that the reference set has.
    copied, kept : int
        Chunks that were fetched, and those that stood there already from an earlier call.
    nbytes : int
        Bytes that were fetched.
    failed : int
        Chunks that could not be read; while there are any, the store cannot be opened.
    failures : list of RefmakerError
        The first of their errors.

    Examples
    --------
    >>> done = refmaker.materialize("examples/air.nc", "air.zarr")
    >>> done.chunks, done.copied, done.kept, done.failures
    (4, 4, 0, [])
    """

    url: str
    chunks: int = 0
    copied: int = 0
    kept: int = 0
    nbytes: int = 0
    failed: int = 0
    failures: list[RefmakerError] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether the store has every chunk, and can be opened."""
        return not self.failed


def materialize(
    refs: Refs,
    out: str | os.PathLike[str],
    storage_options: Mapping[str, Any] | None = None,
    *,
    zarr_format: str | int = "auto",
    recode: str | None = None,
    out_options: Mapping[str, Any] | None = None,
    on_progress: Callable[[Materialized], None] | None = None,
    **opening: Any,
) -> Materialized:
    """Copy every chunk of a reference set into a real Zarr store.

    Parameters
    ----------
    refs : ReferenceSet, Group, str or os.PathLike
        A reference set, or the path or URL of one.
    out : str or os.PathLike
        Folder of the store, or a URL below which fsspec can write. It must not be there, be
        empty, or be what an earlier call with the same references left unfinished.
    storage_options : mapping, optional
        Passed to fsspec for the files that hold the data.
    zarr_format : {"auto", 2, 3}
        Version of Zarr of the store; by default the one that the set is in.
    recode : str, optional
        Decode every chunk and encode it by "zstd" or "gzip" alone, or by nothing ("raw"), for
        readers that have not the codecs of the files. By default chunks are copied as they are.
    out_options : mapping, optional
        Passed to fsspec for `out`.
    on_progress : callable, optional
        Called now and then with the counts so far.
    **opening
        Further options of `open_store`, such as ``cache`` or ``verify_sources``.

    Returns
    -------
    Materialized
        Counts, and the chunks that could not be read. If there are any, all others have been
        copied and another call tries those again.

    Raises
    ------
    SourceError
        If `out` cannot be written, or is something else.
    MetadataError
        If `refs` is no reference set, or a name in it would lead out of the folder.
    UnsupportedError
        If the version of Zarr cannot say what is there.
    RefmakerError
        As `open_store`.

    Examples
    --------
    >>> done = refmaker.materialize("examples/air.nc", "air.zarr")
    >>> done.complete, done.copied, done.failed
    (True, 4, 0)
    >>> import xarray as xr
    >>> xr.open_zarr("air.zarr")["air"].shape
    (124, 11, 21)
    """
    from fsspec.asyn import get_loop, sync

    from refmaker.reading.open_outgoing import open_outgoing

    outgoing = open_outgoing(
        refs, storage_options, zarr_format=zarr_format, recode=recode, **opening
    )
    target = _target(os.fspath(out), out_options or {})
    digest = _digest(outgoing)
    there = _resume(target, digest)
    done = Materialized(target.url)
    tell = on_progress or (lambda _: None)
    for batch in _batches(_missing(outgoing, there, done), outgoing):
        # In fsspec's own loop: whoever calls may have one running, as notebooks do.
        sync(get_loop(), _copy, outgoing, target, batch, done)
        tell(done)
    tell(done)
    if done.complete:
        target.settle()
        _finish(outgoing, target)
    return done


class _Target(Protocol):
    """Where a store is written."""

    url: str

    def sizes(self) -> dict[str, int]:
        """Return the bytes of every key that is there."""
        ...

    def read(self, key: str) -> bytes | None:
        """Return a key's bytes; None if it is not there."""
        ...

    def write(self, key: str, data: Data) -> None:
        """Write a key, which appears whole or not at all."""
        ...

    def remove(self, key: str) -> None: ...

    def settle(self) -> None:
        """Return when what was written survives a loss of power."""
        ...


def _target(url: str, options: Mapping[str, Any]) -> _Target:
    path = local_path(url)
    return _Remote(url, options) if path is None else _Folder(os.path.abspath(path))


class _Folder:
    def __init__(self, path: str) -> None:
        self.url = path
        self._made: set[str] = set()

    def sizes(self) -> dict[str, int]:
        found = {}
        for folder, _, names in os.walk(self.url):
            below = os.path.relpath(folder, self.url).replace(os.sep, "/")
            for name in names:
                path = os.path.join(folder, name)
                if name.endswith(".part"):
                    # Left by a call that was killed while it wrote.
                    os.unlink(path)
                else:
                    found[name if below == "." else f"{below}/{name}"] = os.stat(path).st_size
        return found

    def read(self, key: str) -> bytes | None:
        try:
            with open(os.path.join(self.url, key), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def write(self, key: str, data: Data) -> None:
        folder, _, name = key.rpartition("/")
        if folder not in self._made:
            os.makedirs(os.path.join(self.url, folder), exist_ok=True)
            self._made.add(folder)
        temporary = os.path.join(self.url, folder, f".{name}.{secrets.token_hex(4)}.part")
        try:
            with open(temporary, "xb") as file:
                file.write(data)
            os.replace(temporary, os.path.join(self.url, key))
        except BaseException:
            # A full disk, and Ctrl-C: nothing half written stays.
            with suppress(FileNotFoundError):
                os.unlink(temporary)
            raise

    def remove(self, key: str) -> None:
        os.unlink(os.path.join(self.url, key))

    def settle(self) -> None:
        # Once for all: a million files, each synchronised, would take hours.
        if hasattr(os, "sync"):
            os.sync()


class _Remote:
    """A place that fsspec writes to."""

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        from fsspec.core import url_to_fs

        self.url = url
        try:
            self._fs, self._root = url_to_fs(url, **options)
        except (ImportError, ValueError, TypeError) as error:
            raise SourceError(f"cannot be written: {error}", url=url) from error
        self._root = self._root.rstrip("/")

    def sizes(self) -> dict[str, int]:
        try:
            found = self._fs.find(self._root, detail=True)
        except FileNotFoundError:
            return {}
        start = len(self._root) + 1
        return {name[start:]: int(known["size"]) for name, known in found.items()}

    def read(self, key: str) -> bytes | None:
        try:
            return bytes(self._fs.cat_file(f"{self._root}/{key}"))
        except FileNotFoundError:
            return None

    def write(self, key: str, data: Data) -> None:
        path = f"{self._root}/{key}"
        if not getattr(self._fs, "async_impl", False):
            # Stores have no folders; other filesystems behind fsspec do.
            self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._fs.pipe_file(path, bytes(data))

    def remove(self, key: str) -> None:
        self._fs.rm_file(f"{self._root}/{key}")

    def settle(self) -> None:
        """Do nothing: a store keeps what it has answered for."""


def _is_metadata(key: str) -> bool:
    from refmaker.storage.reference_index import METADATA

    return key.rpartition("/")[2] in METADATA


def _digest(outgoing: Outgoing) -> str:
    """Return a digest of all that the store will consist of."""
    digest = hashlib.sha256()
    if outgoing.recode:
        digest.update(f"{outgoing.recode}, Zarr {outgoing.version}\n".encode())
    reader = outgoing.reader
    for url, known in sorted(reader.sources.items()):
        digest.update(f"{url}\n{json.dumps(known.as_dict(), sort_keys=True)}\n".encode())
    for key in reader.references.keys():  # noqa: SIM118 - no mapping
        found = reader.references.get(key)
        what = found[:3] if isinstance(found, tuple) else found
        digest.update(f"{key}\n{what!r}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _resume(target: _Target, digest: str) -> dict[str, int]:
    """Return what an earlier call has left, and note whose the folder is from now on."""
    try:
        there = target.sizes()
        journal = target.read(JOURNAL) if JOURNAL in there else None
        if journal is None:
            if there:
                raise SourceError(
                    "is not empty, and no unfinished store",
                    url=target.url,
                    hint="name a new folder, or remove this one first",
                )
            document = json.dumps({"references": digest}, separators=(",", ":"))
            target.write(JOURNAL, document.encode())
            return {}
    except OSError as error:
        if isinstance(error, RefmakerError):
            raise
        raise SourceError(f"cannot be written: {error}", url=target.url) from error
    try:
        owner = json.loads(journal)["references"]
    except (ValueError, TypeError, KeyError):
        owner = None
    if owner != digest:
        raise SourceError(
            "was begun with other references, or with files of another state",
            url=target.url,
            hint="name a new folder, or remove this one first",
        )
    return there


def _missing(outgoing: Outgoing, there: Mapping[str, int], done: Materialized) -> Iterator[Item]:
    """Yield key and length, if it is known, of the chunks that are not there yet."""
    for key in outgoing.keys():  # noqa: SIM118 - no mapping
        if _is_metadata(key):
            continue
        _check_name(key, outgoing.reader)
        done.chunks += 1
        length = outgoing.length(key)
        # A file of the right size is whole: it got its name when it was.
        if key in there and (length is None or there[key] == length):
            done.kept += 1
        else:
            yield key, length


def _check_name(key: str, reader: Reader) -> None:
    parts = key.split("/")
    if any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts):
        raise MetadataError("no name of a file below a folder", url=reader.origin, path=key)


def _batches(items: Iterator[Item], outgoing: Outgoing) -> Iterator[list[Item]]:
    batch: list[Item] = []
    nbytes = 0
    for key, length in items:
        batch.append((key, length))
        nbytes += outgoing.weight(key) if length is None else length
        if len(batch) >= _BATCH_KEYS or nbytes >= _BATCH_BYTES:
            yield batch
            batch, nbytes = [], 0
    if batch:
        yield batch


async def _copy(outgoing: Outgoing, target: _Target, batch: list[Item], done: Materialized) -> None:
    """Fetch chunks together, so that neighbours are one request, and write them."""
    import asyncio

    found = await outgoing.read_many([(key, None, None) for key, _ in batch])
    whole: list[tuple[str, Data]] = []
    for (key, length), data in zip(batch, found, strict=True):
        if isinstance(data, Exception):
            _note(done, key, data)
        elif data is None or (length is not None and len(data) != length):
            size = 0 if data is None else len(data)
            _note(done, key, TruncatedError(f"{size} of {length} bytes came", path=key))
        else:
            whole.append((key, data))
    await asyncio.to_thread(_write, target, whole)
    done.copied += len(whole)
    done.nbytes += sum(len(data) for _, data in whole)


def _note(done: Materialized, key: str, error: Exception) -> None:
    if not isinstance(error, RefmakerError):
        raise error
    done.failed += 1
    if len(done.failures) < _TOLD:
        done.failures.append(error.located(path=key))


def _write(target: _Target, chunks: list[tuple[str, Data]]) -> None:
    try:
        for key, data in chunks:
            target.write(key, data)
    except OSError as error:
        if isinstance(error, RefmakerError):
            raise
        raise SourceError(f"cannot be written: {error}", url=target.url) from error


async def _documents(outgoing: Outgoing) -> dict[str, Data]:
    """Return all metadata, those that stand in the consolidated document alone as well."""
    keys = [key for key in outgoing.keys() if _is_metadata(key)]  # noqa: SIM118 - as above
    found = {key: await outgoing.read(key) for key in keys}
    documents = {key: data for key, data in found.items() if data is not None}
    if ".zmetadata" in documents:
        for key, value in json.loads(bytes(documents[".zmetadata"]))["metadata"].items():
            documents.setdefault(key, json.dumps(value).encode())
    return documents


def _finish(outgoing: Outgoing, target: _Target) -> None:
    """Write metadata, those that stand for all others last, and give the folder away."""
    from fsspec.asyn import get_loop, sync

    documents = sync(get_loop(), _documents, outgoing)
    for key in sorted(documents, key=lambda key: (key in (".zmetadata", "zarr.json"), key)):
        _check_name(key, outgoing.reader)
        _write(target, [(key, documents[key])])
    target.settle()
    target.remove(JOURNAL)

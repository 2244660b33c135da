"""From a key to its bytes: references, policy, planner and targets together.

Documents that this process has open are kept here, so that each is read once.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import zlib
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from refmaker.errors import MetadataError, RefmakerError, SourceChangedError
from refmaker.io.files import STANDARD, read_file
from refmaker.io.local_file import LocalFiles, local_path, read_local
from refmaker.io.policy import Policy, protocol_of
from refmaker.reading.planner import Plan, Planner
from refmaker.storage.detect import reference_form
from refmaker.storage.json_parser import parse
from refmaker.storage.limits import DEFAULT, Limits
from refmaker.storage.reference_index import sources_of
from refmaker.storage.rewrite import absolute, is_relative

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from refmaker.io.disk_cache import ChunkCache
    from refmaker.io.remote_file import RemoteFiles
    from refmaker.reading.rewritten_chunks import RewrittenChunks
    from refmaker.storage.reference_index import Located, Lookup

    Data = bytes | memoryview

__all__ = ["DocumentLocation", "Options", "Reader", "open_reader"]

MODES = ("off", "size", "full")
"""What is compared with recorded fingerprints; see `Fingerprint.change`."""

_RESOLVED = 1 << 16
"""Relative URLs remembered."""
_LARGE = 1 << 20
"""Bytes of a document after which it is worth asking for memory back."""
_BLANK = 64
KEPT = 8
"""Documents kept for whoever opens them next."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a reference set is read.

    Parameters
    ----------
    storage_options : mapping
        For the files that references point into; see `Policy.options`.
    verify_sources : {"size", "full", "off"}
        What to compare with the recorded fingerprints: what comes with the bytes (size and ETag
        of each answer over HTTP, size and time of local files); also what has to be asked for,
        and the times that servers tell; or nothing.
    allow : sequence of str, optional
        Protocols and prefixes that the document may name; see `Policy`.
    codecs : sequence of str
        Codec ids to allow beside those that are known to be safe.
    plan : Plan
        How requests are gathered and merged.
    limits : Limits
        What the document may cost.
    cache : str, optional
        Folder in which fetched chunks are kept.
    cache_bytes : int
        Bytes that the folder may take.
    """

    storage_options: Mapping[str, Any] = field(default_factory=dict)
    verify_sources: str = "size"
    allow: Sequence[str] | None = None
    codecs: Sequence[str] = ()
    plan: Plan = field(default_factory=Plan)
    limits: Limits = DEFAULT
    cache: str | None = None
    cache_bytes: int = 10 * 1024**3

    def __post_init__(self) -> None:
        if self.verify_sources not in MODES:
            raise ValueError(f"verify_sources is {self.verify_sources!r}, not one of {MODES}")


class DocumentLocation(NamedTuple):
    """Where a document is, and what it was when it was opened.

    Parameters
    ----------
    url : str
    reference_options : mapping
        For fsspec.
    token : tuple of int, optional
        Bytes and checksum of the document; None as long as they are not known.
    """

    url: str
    reference_options: Mapping[str, Any]
    token: tuple[int, int] | None = None

    def restore(self, options: Options) -> Reader:
        """Return a reader of the document, which must not have changed.

        Raises
        ------
        SourceChangedError
            If it is another one now.
        """
        return open_reader(self.url, self.reference_options, options, self.token)


class Reader:
    """Reads the keys of one reference set.

    Parameters
    ----------
    references : Lookup
        Where everything lies.
    origin : str, optional
        URL or path of the document; None for a set that was made in this process.
    options : Options
        How to read.
    location : DocumentLocation, optional
        Where another process finds the document; without one, all references travel.
    policy : Policy, optional
        What may be reached, where that follows from more than `origin`.

    Attributes
    ----------
    sources : dict of str to Fingerprint
        The files that the set was made from, as they were then.

    Raises
    ------
    PolicyError
        If the document names a file that it may not.
    MetadataError
        If its fingerprints are none.
    """

    def __init__(
        self,
        references: Lookup,
        origin: str | None = None,
        options: Options | None = None,
        location: DocumentLocation | None = None,
        *,
        policy: Policy | None = None,
    ) -> None:
        options = options or Options()
        self.references = references
        self.location = location
        self.options = options
        base = policy or Policy(origin)
        self.origin = base.origin
        self.policy = Policy(
            base.origins,
            allow=base.allow if options.allow is None else options.allow,
            codecs=(*base.codecs, *options.codecs),
            named=base.named,
            scanned=base.scanned,
        )
        header = references.header
        self._relative = origin is not None and "relative" in header and is_relative(header)
        self._resolved: dict[str, str] = {}
        self._check_early()
        known = sources_of(references.header, origin or "")
        self.sources = {self._resolve(url): found for url, found in known.items()}
        self._renew()

    def _check_early(self) -> None:
        """Look at one file of each host and each folder at the top.

        When it is read, every single one is looked at.
        """
        urls = {url[: url.find("/", 9)]: url for url in self.references.urls()}
        protocols: dict[str, str] = {}
        for url in map(self._resolve, urls.values()):
            self.policy.check_url(url)
            protocols.setdefault(protocol_of(url), url)
        for protocol, url in protocols.items():
            if protocol != "file":
                from refmaker.io.remote_file import require_protocol

                require_protocol(protocol, url)

    def _resolve(self, url: str) -> str:
        """Return the absolute URL of one that may be relative to the document."""
        if not self._relative:
            return url
        found = self._resolved.get(url)
        if found is None:
            found = absolute([url], self.origin or "").get(url, url)
            if len(self._resolved) < _RESOLVED:
                self._resolved[url] = found
        return found

    def _renew(self) -> None:
        """Start afresh; handles and event loops do not outlive a fork."""
        self._process = os.getpid()
        options = self.options
        self._local = LocalFiles(self.sources, options.verify_sources)
        self._far: tuple[RemoteFiles, Planner] | None = None
        self._cache: ChunkCache | None = None
        if options.cache is not None:
            from refmaker.io.disk_cache import ChunkCache

            self._cache = ChunkCache(options.cache, options.cache_bytes, self.sources)

    def _remote(self) -> tuple[RemoteFiles, Planner]:
        """Return the files that are not local, and what plans their reading, once needed."""
        if self._far is None:
            from refmaker.io.remote_file import RemoteFiles

            options = self.options
            files = RemoteFiles(
                self.policy, options.storage_options, self.sources, options.verify_sources
            )
            self._far = files, Planner(files.fetch, options.plan, self._name_ahead)
        return self._far

    def _name_ahead(self, url: str) -> str | None:
        """Return the name of a file that nobody has asked for yet; None if it may not be read."""
        found = self._resolve(url)
        try:
            self.policy.check_url(found)
        except RefmakerError:
            return None  # whoever asks for it will hear
        return found if local_path(found) is None else None

    def __reduce__(self) -> tuple[Any, ...]:
        if self.location is not None:
            return self.location.restore, (self.options,)
        return _reader, (self.references, self.policy, self.options)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Reader) or self.options != other.options:
            return False
        if self.location is not None or other.location is not None:
            return self.location == other.location
        return self.references is other.references

    __hash__ = None  # type: ignore[assignment]

    def locate(self, key: str) -> bytes | Located | None:
        """Return inlined bytes, a place, or None where there is no such key.

        Raises
        ------
        PolicyError
            If the place is none that the document may name.
        MetadataError
            If the document contradicts itself here.
        """
        try:
            found = self.references.get(key)
            if found is None:
                return None
            if isinstance(found, bytes):
                self.policy.check_document(key, found)
                return found
            found = found._replace(url=self._resolve(found.url)) if self._relative else found
            self.policy.check_url(found.url)
        except RefmakerError as error:
            raise error.located(url=self.origin, path=key) from error
        return found

    async def _locate(self, key: str) -> bytes | Located | None:
        if self.references.ready(key):
            return self.locate(key)
        return await asyncio.to_thread(self.locate, key)

    @cached_property
    def consolidated(self) -> bool:
        """Whether all metadata stand together in one document."""
        return self.references.get(".zmetadata") is not None

    @cached_property
    def version(self) -> int:
        """Version of the Zarr format that the metadata are in."""
        return 3 if self.references.get("zarr.json") is not None else 2

    def array_paths(self) -> Iterator[str]:
        """Yield the path of every array."""
        for key, data in self.references.metadata():
            path, _, document = key.rpartition("/")
            if document == ".zarray" or (document == "zarr.json" and _is_array(data)):
                yield path

    @cached_property
    def uneven(self) -> bool:
        """Whether an array has chunks of different lengths, which zarr has to be told to read."""
        if self.version == 2:
            return False
        return any(b'"rectilinear"' in data for _, data in self.references.metadata())

    def codec_configs(self, *, check: bool) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield the array and the configuration of every codec that metadata here name.

        Parameters
        ----------
        check : bool
            Whether codecs that the policy does not allow raise an error now.
        """
        for key, data in self.references.metadata():
            if check:
                self.policy.check_document(key, data)
            if key.rpartition("/")[2] != ".zarray":
                continue
            try:
                document = json.loads(data)
                named = [*(document.get("filters") or ()), document.get("compressor")]
            except (ValueError, RecursionError, AttributeError, TypeError) as error:
                raise MetadataError(f"not metadata: {error}", url=self.origin, path=key) from error
            for config in named:
                if isinstance(config, dict):
                    yield key.rpartition("/")[0], config

    async def read(
        self, key: str, start: int | None = None, stop: int | None = None
    ) -> Data | None:
        """Return the bytes of a key, or a slice of them; None where there is no such key.

        Parameters
        ----------
        key : str
        start, stop : int, optional
            As in ``value[start:stop]``.

        Raises
        ------
        RefmakerError
            If there is a reference, and it cannot be read; names the key and the file.
        """
        if self._process != os.getpid():
            self._renew()
        found = await self._locate(key)
        if found is None:
            return None
        if isinstance(found, bytes):
            return found if start is None and stop is None else found[start:stop]
        try:
            data = await self._fetch(found, start, stop, keep=not self._identifies(key))
            if key.rpartition("/")[2][:1] in (".", "z"):
                self.policy.check_document(key, bytes(data))
        except RefmakerError as error:
            raise error.located(path=key) from error
        return data

    def _identifies(self, key: str) -> bool:
        """Tell whether a chunk holds more of its file than values, which no cache is to keep."""
        return self._cache is not None and key in self._rewritten

    @cached_property
    def _rewritten(self) -> RewrittenChunks:
        from refmaker.reading.rewritten_chunks import RewrittenChunks

        return RewrittenChunks(self.references.metadata())

    async def _fetch(
        self, found: Located, start: int | None, stop: int | None, *, keep: bool
    ) -> Data:
        if found.length is None:
            return (await self._range(found.url, 0, None, None, keep=keep))[start:stop]
        first, last, _ = slice(start, stop).indices(found.length)
        low, high = found.offset + first, found.offset + max(first, last)
        if low == high:
            return b""
        all_of_it = high - low == found.length
        return await self._range(found.url, low, high, found if all_of_it else None, keep=keep)

    async def _range(
        self, url: str, start: int, stop: int | None, found: Located | None, *, keep: bool
    ) -> Data:
        path = local_path(url)
        if path is not None:
            return await self._local.read(path, start, stop)
        if self._cache is None or not keep:
            return await self._remote()[1].read(url, start, stop, found)
        kept = self._cache.get(url, start, stop)
        if kept is not None:
            return kept
        data = await self._remote()[1].read(url, start, stop, found)
        await asyncio.to_thread(self._cache.put, url, start, stop, data)
        return data

    async def size(self, key: str) -> int | None:
        """Return the number of bytes of a key; None where there is no such key."""
        found = await self._locate(key)
        if found is None:
            return None
        if isinstance(found, bytes):
            return len(found)
        if found.length is not None:
            return found.length
        path = local_path(found.url)
        if path is not None:
            return self._local.size(path)
        return await self._remote()[0].size(found.url)

    async def read_many(
        self, items: Sequence[tuple[str, int | None, int | None]]
    ) -> list[Data | Exception | None]:
        """Return many keys or slices; what went wrong with one is returned in its place."""
        return await asyncio.gather(  # type: ignore[return-value]
            *(self.read(*item) for item in items), return_exceptions=True
        )


def _is_array(data: bytes) -> bool:
    try:
        return bool(json.loads(data).get("node_type") == "array")
    except (ValueError, RecursionError, AttributeError):
        return False  # for those to judge who read it


def _reader(references: Lookup, policy: Policy, options: Options) -> Reader:
    return Reader(references, None, options, policy=policy)


class _Opened(NamedTuple):
    references: Lookup
    token: tuple[int, int]
    state: tuple[int, int] | None
    """Size and time of a local file."""


_opened: OrderedDict[str, _Opened] = OrderedDict()
_lock = Lock()
_locks: dict[str, Lock] = {}


def open_reader(
    url: str,
    reference_options: Mapping[str, Any] | None = None,
    options: Options | None = None,
    token: tuple[int, int] | None = None,
) -> Reader:
    """Open a reference document.

    Parameters
    ----------
    url : str
        Path or URL of a JSON document or of a folder of Parquet files.
    reference_options : mapping, optional
        Passed to fsspec for the document.
    options : Options, optional
        How to read what it references.
    token : tuple of int, optional
        What the document must be, for readers that come from another process.

    Raises
    ------
    SourceError
        If the document cannot be read.
    SourceChangedError
        If it is not the one that `token` means.
    MetadataError, LimitError, PolicyError
        If it is no reference set, or one that is not to be trusted.
    """
    options = options or Options()
    given = dict(reference_options or {})
    name = repr((url, sorted(given.items(), key=lambda item: item[0]), options.limits))
    with _lock:
        lock = _locks.setdefault(name, Lock())
    with lock:
        found = _known(name, url, token)
        if found is None:
            found = _load(url, given, options.limits)
            with _lock:
                _opened[name] = found
                _opened.move_to_end(name)
                while len(_opened) > KEPT:
                    _locks.pop(_opened.popitem(last=False)[0], None)
    if token is not None and found.token != token:
        raise SourceChangedError(
            "the reference document changed since it was opened", url=url, hint="open it again"
        )
    return Reader(found.references, url, options, DocumentLocation(url, given, found.token))


def _known(name: str, url: str, token: tuple[int, int] | None) -> _Opened | None:
    """Return what is open already, if it is surely still the same."""
    with _lock:
        found = _opened.get(name)
        if found is not None:
            _opened.move_to_end(name)
    if found is None or (token is not None and found.token == token):
        return found
    # A document from afar is fetched anew: asking whether it changed costs as much.
    return found if found.state is not None and found.state == _state(url) else None


def _state(url: str) -> tuple[int, int] | None:
    path = local_path(url)
    if path is None or path == STANDARD:
        return None
    try:
        state = os.stat(path)
    except (OSError, ValueError):
        return None
    return state.st_size, state.st_mtime_ns


def _load(url: str, given: Mapping[str, Any], limits: Limits) -> _Opened:
    state = _state(url)
    path = local_path(url)
    form = reference_form(url, given) if path is None or os.path.isdir(path) else ""
    if form == "icechunk":
        return _load_icechunk(url, given)
    if form == "parquet":
        from refmaker.reading.lazy_parquet import LazyParquetReferences

        records = LazyParquetReferences(url, given, limits=limits)
        return _Opened(records, records.token, None)
    data = read_file(url, given) if path is None or path == STANDARD else read_local(path)
    if not data[:_BLANK].lstrip().startswith(b"{") and url != STANDARD:
        reference_form(url, given)  # compressed, or else this says what it is instead
    token = len(data), zlib.crc32(data)
    found = _Opened(parse(data, url, limits=limits), token, state)
    if len(data) > _LARGE:
        del data
        _give_back()
    return found


def _load_icechunk(url: str, given: Mapping[str, Any]) -> _Opened:
    from refmaker.storage.icechunk_reader import read
    from refmaker.storage.reference_index import ReferenceIndex

    found = read(url, given)
    token = 0, zlib.crc32(found.snapshot.encode())
    return _Opened(ReferenceIndex.of_group(found.group, found.header), token, None)


def _give_back() -> None:
    """Return freed memory to the system.

    Parsing leaves many small holes; the C library of Linux would keep them for the process,
    seven times as much as the references take.
    """
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)

"""Byte ranges of one remote file: fetched together, retried, checked, errors named.

HTTP is asked by `refmaker.io.http_client`, since much is only to be seen in the headers of an
answer; anything else that fsspec knows by its ``cat_ranges``. The latter happens in fsspec's own
event loop, HTTP in any that lasts; see `refmaker.io.event_loops`.
"""

from __future__ import annotations

import asyncio
import sys
from collections import OrderedDict
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING, Any, NoReturn

from refmaker.errors import (
    LimitError,
    MissingDependencyError,
    MissingTargetError,
    RefmakerError,
    SourceChangedError,
    SourceError,
    SourceNotFoundError,
    TruncatedError,
    redacted,
)
from refmaker.io.event_loops import in_lasting, wait
from refmaker.io.known_heads import head_of
from refmaker.io.local_file import CHANGED, MOVED, WHOLE
from refmaker.io.policy import policy_of
from refmaker.io.retries import RETRIES, http_time, may_pass, pause, status_of
from refmaker.io.s3_object import read_object
from refmaker.model.report import Cost, Fingerprint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from refmaker.io.http_client import HttpFile
    from refmaker.io.policy import Policy

__all__ = ["Piece", "RemoteFile", "RemoteFiles", "explained", "fingerprint_of", "require_protocol"]

CREDENTIALS = "`storage_options={'anon': True}` for what is public, else those of the store"
"""What to do where a store lets nobody in."""
_FILES = 1 << 14
"""Files whose filesystem is remembered."""

Piece = tuple[int, bytes]
"""Offset in the file, and the bytes there."""

_STRAY_BODY = 16 * 1024**2
"""Largest whole file taken for a range from a server that answered ranges before."""
_DESCRIBED = 1 << 24
"""Largest whole file taken for the description of one from a server that ignores ranges."""

_EXTRAS = {
    **dict.fromkeys(("http", "https"), "http"),
    "s3": "s3",
    **dict.fromkeys(("gs", "gcs"), "gcs"),
    **dict.fromkeys(("az", "abfs", "abfss", "adl"), "azure"),
}


def require_protocol(protocol: str, url: str) -> None:
    """Refuse a protocol that nothing which is installed can read.

    Packages are looked for but not imported: the client of a store takes longer to import than
    most documents to open, and whoever wants the metadata only never needs it.

    Raises
    ------
    MissingDependencyError, UnsupportedError
    """
    if protocol == "file":
        return
    from fsspec.registry import known_implementations, registry

    from refmaker.errors import UnsupportedError

    if protocol in registry:
        return
    if protocol not in known_implementations:
        raise UnsupportedError(f"Protocol not known: {protocol}", code="protocol-unknown", url=url)
    package = "aiohttp" if protocol in ("http", "https") else ""
    package = package or known_implementations[protocol]["class"].partition(".")[0]
    if sys.modules.get(package) is None and find_spec(package) is None:
        raise _missing(ImportError(f"no package {package}"), url)


class RemoteFile:
    """One remote file.

    Parameters
    ----------
    url : str
        Any URL that fsspec knows.
    storage_options : mapping
        Passed to fsspec.
    policy : Policy
        What may be reached.
    cost : Cost, optional
        Counted up with every request.
    known : Fingerprint, optional
        The file as it was when scanned.
    verify : {"off", "size", "full"}
        What of that is compared; a store that does not describe the file with its bytes is
        asked for that once, and only by "full".

    Attributes
    ----------
    fingerprint : Fingerprint
        The file as it was when opened; see `open`.
    head : list of (int, bytes)
        What came with the description.

    Raises
    ------
    SourceError
        If the store refuses options or URL.
    MissingDependencyError
        If the protocol needs a package that is not installed.
    """

    fingerprint: Fingerprint

    def __init__(
        self,
        url: str,
        storage_options: Mapping[str, Any],
        policy: Policy,
        cost: Cost | None = None,
        *,
        known: Fingerprint | None = None,
        verify: str = "size",
    ) -> None:
        self.url = url
        self.head: list[Piece] = []
        self._cost = Cost() if cost is None else cost
        self._known, self._verify = known, verify
        self._http: HttpFile | None = None
        self._fs: Any = None
        try:
            if url.startswith(("http://", "https://")) and "::" not in url:
                from refmaker.io.http_client import HttpFile

                self._http = HttpFile(url, storage_options, policy)
                self._http.known, self._http.verify = known, verify
            else:
                from fsspec.core import url_to_fs

                self._fs, self._name = url_to_fs(url, **_synchronous(storage_options))
        except Exception as error:  # noqa: BLE001 - the edge to libraries of other people
            # Every store has its own way to refuse options, credentials or a URL.
            _fail(error, url)
        self._compared = known is None or verify != "full" or self._http is not None

    @classmethod
    def open(
        cls,
        url: str,
        storage_options: Mapping[str, Any] | None,
        cost: Cost | None = None,
        *,
        start: int = 0,
        first: int = 1,
        largest: int = _DESCRIBED,
    ) -> RemoteFile:
        """Open a file that has to stay what it is now.

        Parameters
        ----------
        url, cost
            As above.
        storage_options : mapping, optional
            Which may hold a policy; see `policy_of`.
        start, first : int
            Where to fetch how many bytes together with the file's description, where the
            protocol can.
        largest : int
            Size up to which the whole file is accepted from a server that ignores ranges.

        Raises
        ------
        SourceNotFoundError, SourceError, PolicyError
            If the file is not there or cannot be opened.
        """
        policy, options = policy_of(url, storage_options)
        file = cls(url, options, policy, cost)
        known = None if start else head_of(url, storage_options)
        if known is not None and known.fingerprint is not None:
            file.fingerprint = known.fingerprint
            if known.data:
                # It was asked for on behalf of who reads it now.
                file.head = [(0, known.data)]
                file._cost.requests += 1
                file._cost.bytes_read += len(known.data)
        else:
            file.fingerprint = file._described(start, first, largest)
        if file._http is not None:
            file._http.known = file.fingerprint
        return file

    @classmethod
    def open_many(
        cls,
        places: Sequence[tuple[str, int]],
        storage_options: Mapping[str, Any] | None,
        cost: Cost,
        *,
        first: int,
        largest: int,
    ) -> list[RemoteFile | RefmakerError]:
        """Open many files at once, whatever becomes of each; otherwise as `open`.

        Parameters
        ----------
        places : sequence of (str, int)
            URLs, and where to fetch `first` bytes.
        storage_options, cost, first, largest
            As for `open`.
        """

        async def one(url: str, start: int) -> RemoteFile | RefmakerError:
            try:
                policy, options = policy_of(url, storage_options)
                file = cls(url, options, policy, cost)
                file.fingerprint = await file._describe(start, first, largest)
            except RefmakerError as error:
                return error.located(url=url)
            if file._http is not None:
                file._http.known = file.fingerprint
            return file

        async def all_of_them() -> list[RemoteFile | RefmakerError]:
            return list(await asyncio.gather(*(one(*place) for place in places)))

        found: list[RemoteFile | RefmakerError] = wait(all_of_them)
        return found

    def describe(self) -> Fingerprint:
        """Return what the store says of the file now.

        Raises
        ------
        SourceNotFoundError, SourceError
            If the file is not there any more.
        SourceChangedError
            If an answer says that it is another one.
        """
        if self._http is None:
            self._fs.invalidate_cache()
        return self._described(0, 1, _DESCRIBED)

    def fetch(self, ranges: Sequence[tuple[int, int]]) -> list[Piece]:
        """Return the bytes of many ``(start, stop)``, fetched concurrently.

        Returns
        -------
        list of (int, bytes)
            One piece per range; or more than was asked for, where a server ignores ranges.

        Raises
        ------
        SourceError
            If a range cannot be fetched.
        SourceChangedError
            If the file is not the one that was opened.
        TruncatedError
            If fewer bytes come than were asked for.
        """
        answers = wait(self._ranges, list(ranges), _STRAY_BODY)
        pieces = []
        for (start, stop), answer in zip(ranges, answers, strict=True):
            if len(answer) == stop - start:
                pieces.append((start, answer))
            elif len(answer) == self.fingerprint.size:
                pieces.append((0, answer))
            else:
                raise self._unequal(start, stop, len(answer))
        return pieces

    async def read(self, start: int, stop: int | None, largest: int) -> bytes:
        """Return a range, or the whole file if it is not larger than `largest`.

        Raises
        ------
        SourceError, SourceChangedError, TruncatedError, PolicyError
            As for `fetch`.
        """
        data: bytes = await in_lasting(self._read(start, stop, largest), own=self._bound)
        return data

    async def size(self) -> int:
        """Return the file's size, which costs a request."""
        found: Fingerprint = await in_lasting(self._describe(0, 1, _DESCRIBED), own=self._bound)
        return found.size

    @property
    def _bound(self) -> bool:
        """Whether it can be asked in fsspec's event loop only."""
        return self._http is None or self._http.bound

    async def _read(self, start: int, stop: int | None, largest: int) -> bytes:
        if not self._compared:
            found = await self._describe(0, 1, 0)
            changed = self._known and self._known.change(found, self._verify)
            if changed:
                raise SourceChangedError(changed, url=self.url, hint=CHANGED)
            self._compared = True
        if stop is None:
            # Of a store a byte more is asked for, to see that there is none.
            end = None if self._http is not None else largest + 1
            (data,) = await self._ranges([(0, end)], largest)
            if len(data) > largest:
                what = f"referenced as a whole, the file has more than {largest} bytes"
                raise LimitError(what, url=self.url)
            return data
        (data,) = await self._ranges([(start, stop)], 0)
        if len(data) != stop - start:
            raise self._unequal(start, stop, len(data))
        return data

    def _unequal(self, start: int, stop: int, count: int) -> RefmakerError:
        if count < stop - start:
            return TruncatedError(
                f"{count} bytes came of {stop - start}",
                url=self.url,
                offset=start,
                hint="the file became shorter, or the connection was cut",
            )
        return SourceError(
            f"{count} bytes came instead of {stop - start}: byte ranges are ignored",
            url=self.url,
            offset=start,
            hint="use a server that supports byte ranges, or download the file",
        )

    def _described(self, start: int, first: int, largest: int) -> Fingerprint:
        found: Fingerprint = wait(self._describe, start, first, largest)
        return found

    async def _describe(self, start: int, first: int, largest: int) -> Fingerprint:
        """Ask for the file's description, over HTTP and of S3 with some of its bytes."""
        if self._http is None:
            piece = await read_object(self._fs, self._name, start, first) if first > 1 else None
            if piece is not None:
                self._cost.requests += 1
                self._cost.rounds += 1
                self._cost.bytes_read += len(piece.data)
                self.head = [(start, piece.data)]
                return piece.found
            (info,) = await self._persist([self._name], self._infos)
            return fingerprint_of(info, self.url)
        http = self._http

        async def ask(_: list[int]) -> list[Any]:
            return [await http.fetch(start, start + first, largest)]

        (answer,) = await self._persist([start], ask)
        self._cost.bytes_read += len(answer.data)
        self.head = [(answer.start, answer.data)] if answer.data else []
        if answer.found is None:
            raise SourceError("the server does not tell the file's size", url=self.url)
        found: Fingerprint = answer.found
        return found

    async def _infos(self, names: list[str]) -> list[Any]:
        if self._fs.async_impl:
            return [await self._fs._info(names[0])]  # noqa: SLF001 - what fsspec calls so is public
        return [await asyncio.to_thread(self._fs.info, names[0])]

    async def _ranges(self, ranges: list[tuple[int, int | None]], largest: int) -> list[bytes]:
        """Return what is answered for ranges, of whatever length."""

        async def ask(some: list[tuple[int, int | None]]) -> list[Any]:
            if self._http is not None:
                one = self._http.fetch
                return await asyncio.gather(
                    *(one(start, stop, largest) for start, stop in some), return_exceptions=True
                )
            spans = [self._name] * len(some), [a for a, _ in some], [b for _, b in some]
            if self._fs.async_impl:
                # What fsspec calls so is public.
                return list(await self._fs._cat_ranges(*spans, on_error="return"))  # noqa: SLF001
            return list(await asyncio.to_thread(self._fs.cat_ranges, *spans, on_error="return"))

        answers = await self._persist(ranges, ask)
        found = [bytes(getattr(answer, "data", answer)) for answer in answers]
        self._cost.bytes_read += sum(map(len, found))
        return found

    async def _persist(
        self, items: list[Any], ask: Callable[[list[Any]], Awaitable[list[Any]]]
    ) -> list[Any]:
        """Ask for many things, and again for those that fail in a way that may pass."""
        results: list[Any] = [None] * len(items)
        todo = list(range(len(items)))
        # Asking again is no round of its own: it must not make the whole file look cheap.
        self._cost.rounds += 1
        for attempt in range(RETRIES + 1):
            try:
                got = await ask([items[i] for i in todo])
            except Exception as error:  # noqa: BLE001 - stores raise what they like; named below
                got = [error] * len(todo)
            self._cost.requests += len(todo)
            for i, result in zip(todo, got, strict=True):
                results[i] = result
            todo = [i for i in todo if isinstance(results[i], BaseException)]
            if not todo:
                break
            # One error that lasts decides, whatever became of the others.
            last = next((results[i] for i in todo if not may_pass(results[i])), None)
            if last is not None or attempt == RETRIES:
                _fail(last or results[todo[0]], self.url)
            await asyncio.sleep(max(pause(results[i], attempt) for i in todo))
        return results


class RemoteFiles:
    """Files that references point into and that are not local.

    Parameters
    ----------
    policy : Policy
        What may be reached, and with which options.
    storage_options : mapping
        For fsspec; see `Policy.options`.
    sources : mapping of str to Fingerprint
        The files as they were when scanned.
    verify : {"off", "size", "full"}
        What to compare with that.
    """

    def __init__(
        self,
        policy: Policy,
        storage_options: Mapping[str, Any],
        sources: Mapping[str, Fingerprint],
        verify: str,
    ) -> None:
        self._policy = policy
        self._options = storage_options
        self._sources = sources
        self._verify = verify
        self._files: OrderedDict[str, RemoteFile] = OrderedDict()
        self._lock = Lock()

    async def fetch(self, url: str, start: int, stop: int | None) -> bytes:
        """Return a range of a file, or all of it.

        Raises
        ------
        MissingTargetError
            If there is no such file.
        SourceError, SourceChangedError, TruncatedError
            If it cannot be read, or is not what was scanned.
        PolicyError, UnsupportedError, MissingDependencyError
            If it may not or cannot be read at all.
        """
        try:
            return await self._file(url).read(start, stop, WHOLE)
        except RefmakerError as error:
            raise _named(error, url, start) from error

    async def size(self, url: str) -> int:
        """Return a file's size; costs a request, errors as for `fetch`."""
        try:
            return await self._file(url).size()
        except RefmakerError as error:
            raise _named(error, url, None) from error

    def _file(self, url: str) -> RemoteFile:
        with self._lock:
            file = self._files.get(url)
            if file is None:
                self._policy.check_url(url)
                options = self._policy.options(url, self._options)
                known = self._sources.get(url)
                file = RemoteFile(url, options, self._policy, known=known, verify=self._verify)
                self._files[url] = file
                if len(self._files) > _FILES:
                    self._files.popitem(last=False)
        return file


def _named(error: RefmakerError, url: str, offset: int | None) -> RefmakerError:
    """Return the error that readers of Zarr do not take for a chunk that was never written."""
    if isinstance(error, SourceNotFoundError):
        return MissingTargetError("no such file", url=url, hint=MOVED)
    if error.offset is None:
        error.offset = offset
    return error.located(url=url)


def _synchronous(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in ("asynchronous", "loop")}


def fingerprint_of(info: Mapping[str, Any], url: str) -> Fingerprint:
    """Return how a file looks by what fsspec says of it.

    Raises
    ------
    SourceError
        If it is a directory, or its size is not told.
    """
    if info.get("type") == "directory":
        raise SourceError("a directory, not a file", url=url)
    if info.get("size") is None:
        raise SourceError(
            "the store does not tell the file's size", url=url, hint="download the file"
        )
    etag = info.get("ETag") or info.get("etag")
    return Fingerprint(int(info["size"]), _mtime(info), _bare(str(etag)) if etag else None)


def _bare(etag: str) -> str:
    return etag[1:-1] if len(etag) > 1 and etag[0] == etag[-1] == '"' else etag


def _mtime(info: Mapping[str, Any]) -> float | None:
    """Return the time of the last modification, in whichever way a store tells it."""
    names = ("mtime", "LastModified", "last_modified", "Last-Modified", "modified", "created")
    for stamp in (info[name] for name in names if info.get(name)):
        if isinstance(stamp, int | float):
            return float(stamp)
        if hasattr(stamp, "timestamp"):
            return float(stamp.timestamp())
        if isinstance(stamp, str):
            return http_time(stamp)
    return None


def _fail(error: BaseException, url: str) -> NoReturn:
    if isinstance(error, RefmakerError) or not isinstance(error, Exception):
        raise error
    raise explained(error, url) from error


def explained(error: Exception, url: str) -> RefmakerError:
    """Return the error of this package that says what a store's error means."""
    if isinstance(error, FileNotFoundError):
        return SourceNotFoundError("no such file", url=url)
    if type(error).__name__ == "NoCredentialsError":
        return SourceError("the store wants credentials, and has none", url=url, hint=CREDENTIALS)
    status = status_of(error)
    if isinstance(error, PermissionError) or status in (401, 403):
        what = f"access denied (HTTP {status})" if status else f"access denied ({error})"
        return SourceError(what, url=url, hint=CREDENTIALS)
    if status is not None:
        return SourceError(f"the server answered {status} {getattr(error, 'message', '')}", url=url)
    if isinstance(error, ImportError):
        return _missing(error, url)
    if type(error).__name__ == "ClientPayloadError":
        return TruncatedError("the server broke off in the middle of an answer", url=url)
    if "not satisfiable" in str(error):
        # Zarr's store for filesystems takes these words for an empty chunk.
        return TruncatedError(
            "the range lies outside the file",
            url=url,
            hint="the file became shorter since it was scanned",
        )
    return SourceError(f"{type(error).__name__}: {redacted(str(error))}", url=url)


def _missing(error: ImportError, url: str) -> MissingDependencyError:
    protocol = url.partition("://")[0].rpartition("::")[2]
    extra = _EXTRAS.get(protocol)
    return MissingDependencyError(
        f"reading {protocol}:// needs a package that is not installed: {error}",
        url=url,
        hint=f"pip install 'refmaker[{extra}]'" if extra else "install the package named",
    )

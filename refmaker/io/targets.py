"""The files that references point into, behind whichever protocol."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Any

from refmaker.errors import (
    MissingDependencyError,
    MissingTargetError,
    RefmakerError,
    SourceNotFoundError,
    TruncatedError,
    UnsupportedError,
)
from refmaker.io.http_client import HttpFile, public_client, speaks_http
from refmaker.io.integrity import check_fingerprint, check_length
from refmaker.io.policy import Policy, protocol_of
from refmaker.io.remote_file import PAUSE, RETRIES, RemoteFile, explained, may_pass
from refmaker.model.report import Cost

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refmaker.model.report import Fingerprint

__all__ = ["Remotes", "require_protocol"]

_FILES = 1 << 14
"""Files whose filesystem is remembered."""


def require_protocol(protocol: str, url: str) -> None:
    """Refuse a protocol that nothing which is installed can read.

    Raises
    ------
    MissingDependencyError, UnsupportedError
    """
    if protocol == "file":
        return
    import fsspec

    try:
        fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        raise _missing(protocol, url, error) from error
    except ValueError as error:
        raise UnsupportedError(str(error), code="protocol-unknown", url=url) from error


def _missing(protocol: str, url: str, error: ImportError) -> MissingDependencyError:
    return MissingDependencyError(
        f"reading {protocol}:// needs a package that is not installed ({error})",
        url=url,
        hint="pip install 'refmaker[http]', 'refmaker[s3]', 'refmaker[gcs]' or similar",
    )


class Remotes:
    """Files that are not local.

    Parameters
    ----------
    policy : Policy
        What may be reached, and with which options.
    storage_options : mapping
        For fsspec; see `Policy.options`.
    sources : mapping of str to Fingerprint
        The files as they were when scanned.
    verify : {"off", "size", "full"}
        What to compare with that. A file whose store does not tell its size together with
        the bytes is looked at once, and only by "full".

    Notes
    -----
    Asynchronous filesystems are made for fsspec's own event loop, whichever loop asks: it is
    the only one that lives as long as they do. A request from another loop is handed over.
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
        self._files: OrderedDict[str, _File] = OrderedDict()
        self._lock = Lock()
        self._public: dict[str, Any] = {}

    async def fetch(self, url: str, start: int, stop: int | None) -> bytes:
        """Return a range of a file, or all of it; tried again if an error may pass.

        Raises
        ------
        MissingTargetError
            If there is no such file.
        SourceError, SourceChangedError, TruncatedError
            If it cannot be read, or is not what was scanned.
        PolicyError, UnsupportedError, MissingDependencyError
            If it may not or cannot be read at all.
        """
        file = self._file(url)
        for attempt in range(RETRIES + 1):
            try:
                data = await file.fetch(start, stop)
            except Exception as error:
                if attempt == RETRIES or not may_pass(error):
                    raise _named(error, url, start) from error
            else:
                if stop is not None:
                    check_length(len(data), start, stop, url)
                return data
            await asyncio.sleep(PAUSE * 2**attempt)
        raise AssertionError("the last attempt returns or raises")

    async def size(self, url: str) -> int:
        """Return a file's size; costs a request."""
        file = self._file(url)
        found = await asyncio.to_thread(file.describe)
        return found.size

    def _file(self, url: str) -> _File:
        with self._lock:
            file = self._files.get(url)
            if file is None:
                file = self._files[url] = self._make(url)
                if len(self._files) > _FILES:
                    self._files.popitem(last=False)
        return file

    def _make(self, url: str) -> _File:
        options = self._policy.options(url, self._options)
        known = self._sources.get(url)
        fs, name = self._filesystem(url, options)
        if speaks_http(fs):
            file = HttpFile(
                fs, url, self._policy, known, self._verify, lambda: self._filesystem(url, {})[0]
            )
            return _Http(file, fs, url, options)
        kind = _Async if fs.async_impl else _Sync
        return kind(fs, name, url, options, known, self._verify)

    def _filesystem(self, url: str, options: Mapping[str, Any]) -> tuple[Any, str]:
        from fsspec.core import url_to_fs

        chosen = {k: v for k, v in options.items() if k not in ("asynchronous", "loop")}
        protocol = protocol_of(url)
        try:
            if protocol in ("http", "https"):
                return self._web(protocol, chosen), url
            fs, name = url_to_fs(url, **chosen)
        except ImportError as error:
            raise _missing(protocol, url, error) from error
        except Exception as error:
            # Every store has its own way to refuse options or credentials.
            raise _named(error, url, None) from error
        return fs, name

    def _web(self, protocol: str, options: dict[str, Any]) -> Any:
        import fsspec

        if not self._policy.public_only:
            return fsspec.filesystem(protocol, **options)
        # fsspec's cache of filesystems cannot see what a session may reach.
        named = f"{protocol} {sorted(options.items())!r}"
        if named not in self._public:
            client = public_client(self._policy.own_host)
            self._public[named] = fsspec.filesystem(
                protocol, **{"get_client": client, **options}, skip_instance_cache=True
            )
        return self._public[named]


def _named(error: Exception, url: str, offset: int | None) -> RefmakerError:
    """Return the error of this package that says what a store's error means."""
    found = error if isinstance(error, RefmakerError) else explained(error, url)
    if isinstance(found, SourceNotFoundError):
        return MissingTargetError("no such file", url=url)
    if "not satisfiable" in found.message:
        # Zarr's store for filesystems takes these words for an empty chunk.
        found = TruncatedError(
            "the range lies outside the file",
            url=url,
            hint="the file became shorter since it was scanned",
        )
    if found.offset is None:
        found.offset = offset
    return found.located(url=url)


class _File:
    """One file, by the way in which its filesystem is called."""

    def __init__(
        self,
        fs: Any,
        name: str,
        url: str,
        options: Mapping[str, Any],
        known: Fingerprint | None,
        verify: str,
    ) -> None:
        self._fs = fs
        self._name = name
        self._url = url
        self._options = options
        self._known = known
        self._verify = verify
        self._compared = known is None or verify != "full"

    async def fetch(self, start: int, stop: int | None) -> bytes:
        if not self._compared:
            found = await asyncio.to_thread(self.describe)
            check_fingerprint(self._known, found, self._verify, self._url)
            self._compared = True
        return await self._cat(start, stop)

    async def _cat(self, start: int, stop: int | None) -> bytes:
        raise NotImplementedError

    def describe(self) -> Fingerprint:
        """Return what the store says of the file."""
        return RemoteFile(
            self._url, self._options, Cost(), policy=Policy(), first=1, largest=1 << 24
        ).fingerprint


class _Sync(_File):
    """A filesystem that is called in a thread."""

    async def _cat(self, start: int, stop: int | None) -> bytes:
        return bytes(await asyncio.to_thread(self._fs.cat_file, self._name, start=start, end=stop))


class _Async(_File):
    """A filesystem with an event loop."""

    async def _cat(self, start: int, stop: int | None) -> bytes:
        # What fsspec calls so is public.
        work = self._fs._cat_file(self._name, start=start, end=stop)  # noqa: SLF001
        return bytes(await _over(self._fs.loop, work))


class _Http(_File):
    """A file behind HTTP, whose every answer tells what file it is of."""

    def __init__(self, file: HttpFile, fs: Any, url: str, options: Mapping[str, Any]) -> None:
        super().__init__(fs, url, url, options, None, "off")
        self._http = file

    async def _cat(self, start: int, stop: int | None) -> bytes:
        data: bytes = await _over(self._fs.loop, self._http.fetch(start, stop))
        return data


async def _over(loop: Any, work: Any) -> Any:
    """Await something in the event loop that it belongs to."""
    if loop is None or loop is asyncio.get_running_loop():
        return await work
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))

"""Byte ranges over HTTP, with every answer looked at before it is believed.

Implements what RFC 9110, sections 14 and 15.4, asks of a client. The sessions are those of
fsspec's filesystem for HTTP. Redirections are followed here and not by the HTTP library, since
each is a new URL that the policy has to allow, and to which no options go if it is another
host's. The policy judges the URL as the library understood it, and, where it was not the user
who named the host, the address before it is connected to.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from refmaker.errors import (
    LimitError,
    PolicyError,
    SourceChangedError,
    SourceError,
    TruncatedError,
)
from refmaker.io.hosts import host_of, is_here
from refmaker.io.local_file import CHANGED, MEANWHILE
from refmaker.io.retries import CONCURRENT, THROTTLED, gate_of, http_time
from refmaker.model.report import Fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from yarl import URL

    from refmaker.io.hosts import Host
    from refmaker.io.policy import Policy

__all__ = ["HttpFile", "RangeResponse"]

_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")
_REDIRECTIONS = 10
_MOVED = frozenset({301, 302, 303, 307, 308})
_KEPT = 32
_OURS = frozenset({"asynchronous", "loop", "skip_instance_cache"})
_BOUND = ("connector", "cookie_jar")
"""What belongs to one event loop, of the options of a session."""
_filesystems: OrderedDict[str, Any] = OrderedDict()
"""Filesystems with their sessions; those of a process that forked are not used by another."""


class RangeResponse(NamedTuple):
    """The body of an answer, and what its headers say of the file."""

    start: int
    data: bytes
    found: Fingerprint | None


class HttpFile:
    """One file behind HTTP.

    Parameters
    ----------
    url : str
        The file.
    options : mapping
        Of fsspec's filesystem for HTTP: headers, ``client_kwargs`` and other request options.
        They go to the URL's own origin only.
    policy : Policy
        What may be reached.

    Attributes
    ----------
    known : Fingerprint or None
        The file as every answer must describe it.
    verify : {"off", "size", "full"}
        What of that is compared.
    bound : bool
        Whether the options belong to fsspec's event loop, so that it is asked in no other.
    """

    def __init__(self, url: str, options: Mapping[str, Any], policy: Policy) -> None:
        self._url = url
        self._policy = policy
        self.known: Fingerprint | None = None
        self.verify = "size"
        self._first: Fingerprint | None = None
        self._guarded = policy.remote and policy.allow is None
        self._options = options
        session = options.get("client_kwargs") or {}
        self.bound = "get_client" in options or any(name in session for name in _BOUND)
        self._used: tuple[Any, Any] = (None, None)
        self._host = host_of(url)

    async def fetch(self, start: int, stop: int | None, largest: int) -> RangeResponse:
        """Return a range, or the whole file if `stop` is None.

        Parameters
        ----------
        start, stop : int
            First byte, and the byte behind the last.
        largest : int
            Size up to which the whole file is taken, also from a server that ignores ranges.

        Returns
        -------
        RangeResponse
            Of an empty file no bytes; the whole of one that is not large from a server that
            ignores ranges.

        Raises
        ------
        SourceError, SourceChangedError, TruncatedError, PolicyError
        FileNotFoundError, aiohttp.ClientError
            As the request fails.
        """
        gate = gate_of(self._host)
        async with gate:
            asked = time.monotonic()
            try:
                found = await self._follow(start, stop, largest)
            except Exception as error:
                # aiohttp's errors and those of filesystems built on it; all are raised again.
                if getattr(error, "status", None) in THROTTLED:
                    gate.throttled(asked, error)
                raise
            gate.served()
        return found

    async def _follow(self, start: int, stop: int | None, largest: int) -> RangeResponse:
        from yarl import URL

        fs = self._filesystem()
        target = URL(fs.encode_url(self._url), encoded=fs.encoded)
        if self._policy.remote:
            self._policy.check_url(str(target))
        for _ in range(_REDIRECTIONS):
            async with await _request(fs, target, start, stop) as response:
                if response.status not in _MOVED:
                    return await self._take(response, start, stop, largest)
                moved = self._moved(response)
            self._policy.check_redirect(str(target), str(moved))
            if moved.origin() != target.origin():
                fs = self._bare(str(target), str(moved))
            target = moved
        raise SourceError("redirected without end", url=self._url)

    def _moved(self, response: Any) -> URL:
        """Return where a redirection leads."""
        from yarl import URL

        where = response.headers.get("Location", "")
        try:
            if where:
                return cast("URL", response.url.join(URL(where)))
        except ValueError as error:
            raise SourceError(
                f"redirected to what is no URL: {where[:200]}", url=self._url
            ) from error
        raise SourceError("redirected without saying where", url=self._url)

    def _filesystem(self) -> Any:
        """Return the filesystem whose sessions belong to the event loop that runs."""
        loop = asyncio.get_running_loop()
        if self._used[0] is not loop:
            own = self._policy.hosts if self._guarded else None
            self._used = loop, _filesystem(self._url, self._options, own)
        return self._used[1]

    def _bare(self, target: str, moved: str) -> Any:
        """Return a filesystem without options, for another origin."""
        guarded = self._guarded or not (
            self._policy.allow is not None or is_here(host_of(target)[0])
        )
        return _filesystem(moved, {}, self._policy.hosts if guarded else None)

    async def _take(
        self, response: Any, start: int, stop: int | None, largest: int
    ) -> RangeResponse:
        """Return the body of an answer, if it is what was asked for."""
        if response.status in (404, 410):
            raise FileNotFoundError(self._url)
        span = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
        total = None if span is None or span[3] == "*" else int(span[3])
        if response.status == 416:
            return self._nothing(response, total, start)
        response.raise_for_status()
        if response.status != 206:
            return await self._everything(response, start, stop, largest)
        if span is None or span[1] is None or int(span[1]) != start:
            raise SourceError("the server answers a range without saying which", url=self._url)
        found = self._compared(response, total)
        most = int(span[2]) + 1 - start if stop is None else stop - start
        return RangeResponse(start, await self._body(response, most), found)

    def _nothing(self, response: Any, total: int | None, start: int) -> RangeResponse:
        """Take the answer that there are no bytes: right for an empty file."""
        found = self._compared(response, total)
        if start == 0 and total == 0:
            return RangeResponse(0, b"", found)
        raise TruncatedError(
            "the server says that the range lies outside the file",
            url=self._url,
            offset=start,
            hint="the file became shorter since it was scanned",
        )

    async def _everything(
        self, response: Any, start: int, stop: int | None, largest: int
    ) -> RangeResponse:
        """Take a whole file, if it was asked for, or is not large."""
        length = response.content_length
        if start == 0 and length is not None and length == stop:
            largest = max(largest, length)
        elif stop is not None and largest == 0:
            raise self._ignored("the server ignores byte ranges", start)
        chunked = response.headers.get("Transfer-Encoding", "").lower() == "chunked"
        if length is None and not chunked and stop is not None:
            raise self._ignored("the server does not tell the file's size", start)
        if (length or 0) > largest:
            if stop is None:
                what = f"referenced as a whole, the file has {length} bytes"
                raise LimitError(what, url=self._url)
            raise self._ignored(
                f"the server ignores byte ranges, and the file has {length} bytes", start
            )
        found = self._compared(response, length)
        data = await self._body(response, largest)
        return RangeResponse(0, data, found or self._compared(response, len(data)))

    def _ignored(self, what: str, start: int) -> SourceError:
        hint = "download the file, or use a server that supports byte ranges"
        return SourceError(what, url=self._url, offset=start, hint=hint)

    def _compared(self, response: Any, size: int | None) -> Fingerprint | None:
        """Return what an answer says of the file, which must be the one that is known."""
        if size is None:
            return None
        etag, modified = response.headers.get("ETag"), response.headers.get("Last-Modified")
        found = Fingerprint(
            size,
            http_time(modified) if modified else None,
            etag.strip('"') if etag and not etag.startswith("W/") else etag,
        )
        changed = self.known and self.known.change(found, self.verify)
        if changed:
            raise SourceChangedError(changed, url=self._url, hint=CHANGED)
        # A set of other people's does not tell how the file was: two answers have to agree.
        changed = self._first and self._first.change(found, self.verify, since="before")
        if changed:
            raise SourceChangedError(changed, url=self._url, hint=MEANWHILE)
        self._first = self._first or found
        return found

    async def _body(self, response: Any, most: int) -> bytes:
        """Return the body, which may be shorter than announced, never longer."""
        parts, total = [], 0
        while part := await response.content.readany():
            total += len(part)
            if total > most:
                raise SourceError(f"the server sends more than {most} bytes", url=self._url)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


async def _request(fs: Any, target: Any, start: int, stop: int | None) -> Any:
    session = await fs.set_session()
    options = dict(fs.kwargs)
    # A range of compressed text is a range of other bytes.
    headers = {**(options.pop("headers", None) or {}), "Accept-Encoding": "identity"}
    if stop is not None:
        headers["Range"] = f"bytes={start}-{stop - 1}"
    options["allow_redirects"] = False
    return session.get(target, headers=headers, **options)


def _filesystem(url: str, options: Mapping[str, Any], own: frozenset[Host] | None) -> Any:
    """Return fsspec's filesystem for HTTP with some options, in the event loop that runs.

    Unless `own` is None, its sessions connect to this machine by no other names than these.
    """
    import fsspec

    protocol = url.partition("://")[0].lower()
    chosen = {name: value for name, value in options.items() if name not in _OURS}
    hosts = None if own is None else sorted(own, key=str)
    loop = asyncio.get_running_loop()
    name = f"{os.getpid()} {id(loop)} {protocol} {hosts} {sorted(chosen.items(), key=str)!r}"
    found = _filesystems.get(name)
    if found is None:
        given = {"get_client": _client(own), **chosen}
        found = fsspec.filesystem(protocol, **given, loop=loop, skip_instance_cache=True)
        _filesystems[name] = found
        if len(_filesystems) > _KEPT:
            # Who uses it keeps it; its connections are closed with it.
            _filesystems.popitem(last=False)
    return found


def _client(own: frozenset[Host] | None) -> Any:
    """Return a maker of HTTP sessions, which know the addresses of their host beforehand."""

    async def get_client(**kwargs: Any) -> Any:
        import aiohttp

        class Resolver(aiohttp.ThreadedResolver):
            """Judges the very addresses that are connected to."""

            async def resolve(self, host: str, port: int = 0, family: Any = 0) -> Any:
                found = await super().resolve(host, port, family)
                if own is not None and (host.rstrip(".").lower(), port) not in own:
                    _check_peers(host, [entry["host"] for entry in found])
                return found

        if "connector" not in kwargs:
            kwargs["connector"] = aiohttp.TCPConnector(resolver=Resolver(), limit=CONCURRENT)
        return aiohttp.ClientSession(**kwargs)

    return get_client


def _check_peers(host: str, addresses: list[str]) -> None:
    for address in filter(is_here, addresses):
        raise PolicyError(
            f"led from afar to this machine: {host} is {address}",
            hint="if you trust it, name the protocol or prefix in `allow=[...]`",
        )

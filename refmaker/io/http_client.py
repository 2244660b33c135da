"""Byte ranges over HTTP, with every answer looked at before it is believed.

Implements what RFC 9110, sections 14 and 15.4, asks of a client. Redirections are followed
here and not by the HTTP library, since each is a new URL that the document's policy has to
allow, and to which no credentials go if it is another host's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from refmaker.errors import PolicyError, SourceError, TruncatedError
from refmaker.io.http_ranges import http_time
from refmaker.io.integrity import check_fingerprint, check_length
from refmaker.io.hosts import is_here
from refmaker.model.report import Fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable

    from refmaker.io.policy import Policy

__all__ = ["HttpFile", "public_client", "speaks_http"]

_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")
_REDIRECTIONS = 10
_MOVED = frozenset({301, 302, 303, 307, 308})


def speaks_http(fs: Any) -> bool:
    """Whether a filesystem is fsspec's for HTTP, with a session to borrow."""
    protocols = (fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol
    return "https" in protocols and hasattr(fs, "set_session") and hasattr(fs, "encode_url")


def public_client(own_host: str | None) -> Any:
    """Return a maker of HTTP sessions that never connect to this machine by a name.

    Parameters
    ----------
    own_host : str, optional
        The host that a document came from, which may be here.
    """

    async def get_client(**kwargs: Any) -> Any:
        import aiohttp

        class Resolver(aiohttp.ThreadedResolver):
            async def resolve(self, host: str, *args: Any, **options: Any) -> Any:
                found = await super().resolve(host, *args, **options)
                if host != own_host and any(is_here(entry["host"]) for entry in found):
                    raise PolicyError(f"a reference set from afar names this machine: {host}")
                return found

        if "connector" not in kwargs:
            kwargs["connector"] = aiohttp.TCPConnector(resolver=Resolver())
        return aiohttp.ClientSession(**kwargs)

    return get_client


class HttpFile:
    """One file behind HTTP.

    Parameters
    ----------
    fs : fsspec.implementations.http.HTTPFileSystem
        Whose session, headers and other options are used.
    url : str
        The file.
    policy : Policy
        What may be reached.
    known : Fingerprint, optional
        The file as it was when scanned.
    verify : {"off", "size", "full"}
        What to compare with that.
    bare : callable
        Returns a filesystem without any options, for redirections to other hosts.
    """

    def __init__(
        self,
        fs: Any,
        url: str,
        policy: Policy,
        known: Fingerprint | None,
        verify: str,
        bare: Callable[[], Any],
    ) -> None:
        self._fs = fs
        self._url = url
        self._policy = policy
        self._known = known
        self._verify = verify
        self._bare = bare

    async def fetch(self, start: int, stop: int | None) -> bytes:
        """Return a range, or the whole file.

        Raises
        ------
        SourceError, SourceChangedError, TruncatedError, PolicyError
        FileNotFoundError, aiohttp.ClientError
            As the request fails.
        """
        fs, target = self._fs, self._fs.encode_url(self._url)
        for _ in range(_REDIRECTIONS):
            async with await _request(fs, target, start, stop) as response:
                if response.status not in _MOVED:
                    return await self._take(response, start, stop)
                moved = response.url.join(type(response.url)(response.headers.get("Location", "")))
            self._policy_of(moved)
            if moved.origin() != _origin(target, moved):
                fs = self._bare()
            target = moved
        raise SourceError("redirected without end", url=self._url)

    def _policy_of(self, moved: Any) -> None:
        if moved.scheme not in ("http", "https"):
            raise PolicyError(f"redirected to {moved}", url=self._url)
        if self._policy.restricted:
            self._policy.check_url(str(moved))

    async def _take(self, response: Any, start: int, stop: int | None) -> bytes:
        """Return the body of an answer, if it is what was asked for."""
        if response.status in (404, 410):
            raise FileNotFoundError(self._url)
        span = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
        if response.status == 416:
            if span is not None and span[3] not in (None, "*"):
                self._compare(response, int(span[3]))
            raise TruncatedError(
                "the server says that the range lies outside the file",
                url=self._url,
                offset=start,
                hint="the file became shorter since it was scanned",
            )
        response.raise_for_status()
        if response.status == 206:
            if span is None or span[1] is None or int(span[1]) != start:
                raise SourceError("the server answers a range without saying which", url=self._url)
            if span[3] != "*":
                self._compare(response, int(span[3]))
        elif stop is not None and not (start == 0 and response.content_length == stop):
            raise SourceError(
                "the server ignores byte ranges",
                url=self._url,
                offset=start,
                hint="use a server that supports byte ranges, or download the file",
            )
        elif response.content_length is not None:
            self._compare(response, response.content_length)
        data = await self._body(response, None if stop is None else stop - start)
        if stop is not None:
            check_length(len(data), start, stop, self._url)
        return data

    def _compare(self, response: Any, size: int) -> None:
        etag, modified = response.headers.get("ETag"), response.headers.get("Last-Modified")
        found = Fingerprint(
            size,
            http_time(modified) if modified else None,
            etag.strip('"') if etag and not etag.startswith("W/") else etag,
        )
        check_fingerprint(self._known, found, self._verify, self._url)

    async def _body(self, response: Any, most: int | None) -> bytes:
        parts, total = [], 0
        while part := await response.content.readany():
            total += len(part)
            if most is not None and total > most:
                raise SourceError(f"the server sends more than {most} bytes", url=self._url)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _origin(target: Any, moved: Any) -> Any:
    """Return the origin of a URL, text or not."""
    return (target if hasattr(target, "origin") else type(moved)(str(target))).origin()


async def _request(fs: Any, target: Any, start: int, stop: int | None) -> Any:
    session = await fs.set_session()
    options = dict(fs.kwargs)
    # A range of compressed text is a range of other bytes.
    headers = {**(options.pop("headers", None) or {}), "Accept-Encoding": "identity"}
    if stop is not None:
        headers["Range"] = f"bytes={start}-{stop - 1}"
    options["allow_redirects"] = False
    return session.get(target, headers=headers, **options)

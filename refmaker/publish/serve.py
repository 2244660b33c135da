"""A reference set served over HTTP as the Zarr store that it describes, to read only.

For those that speak HTTP and Zarr but no references: viewers in a browser, other languages. What
a set may name is decided by the same policy as everywhere; this module adds who may ask.
"""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from refmaker.errors import MissingTargetError, PolicyError, RefmakerError
from refmaker.model.zarr_v2 import dumps
from refmaker.publish.http_server import HOST, LOOPBACK, hosts_of, listen, missing, running, trusted
from refmaker.storage.json_windows import loads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from refmaker.reading.open import Refs
    from refmaker.reading.outgoing import Outgoing

__all__ = ["application", "serve", "serving"]

log = logging.getLogger(__name__)

PORT = 8080
_TOGETHER = ".zmetadata"
_LOOPBACK_ORIGIN = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?"
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
"""A range of bytes; no key has so many that more digits are needed."""


def application(
    refs: Refs,
    storage_options: Mapping[str, Any] | None = None,
    *,
    origins: Sequence[str] = (),
    zarr_format: str | int = "auto",
    decoded: bool = False,
    hosts: Sequence[str] = LOOPBACK,
    **opening: Any,
) -> Starlette:
    """Return an ASGI application that serves a reference set.

    Parameters
    ----------
    refs : ReferenceSet, Group, str or os.PathLike
        A reference set, or the path or URL of one.
    storage_options : mapping, optional
        Passed to fsspec for the files that hold the data.
    origins : sequence of str
        Sites whose pages may read it in a browser, such as ``https://example.org``; ``*`` is all
        of them. Pages of this machine always may.
    hosts : sequence of str
        Names under which it may be asked for; ``*`` is any. Others are refused, so that no page
        reads it under a name of its own that leads here.
    zarr_format : {"auto", 2, 3}
        Version of Zarr to serve; by default the one that the set is in.
    decoded : bool
        Answer chunks raw, with no filter and no compressor, for readers that have not the codecs
        of the files.
    **opening
        Further options of `refmaker.open_store`.

    Returns
    -------
    Starlette
        Answers GET and HEAD, with byte ranges, of the keys of the store.

    Raises
    ------
    MissingDependencyError
        If starlette is not installed.
    UnsupportedError
        If the version of Zarr cannot say what is there.
    RefmakerError
        As `refmaker.open_store`.
    """
    try:
        from starlette.applications import Starlette
        from starlette.middleware import Middleware
        from starlette.middleware.cors import CORSMiddleware
        from starlette.middleware.trustedhost import TrustedHostMiddleware
        from starlette.routing import Route
    except ImportError as error:
        raise missing("starlette") from error
    from refmaker.reading.open_outgoing import open_outgoing

    recode = "raw" if decoded else None
    endpoint = _Endpoint(
        open_outgoing(refs, storage_options, zarr_format=zarr_format, recode=recode, **opening)
    )
    cross = Middleware(
        CORSMiddleware,
        allow_origins=list(origins),
        allow_origin_regex=_LOOPBACK_ORIGIN,
        allow_methods=["GET", "HEAD"],
        allow_headers=["Range"],
        expose_headers=["Content-Range", "Content-Length", "Accept-Ranges"],
    )
    return Starlette(
        routes=[Route("/{key:path}", endpoint.answer, methods=["GET", "HEAD"])],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=trusted(hosts)), cross],
    )


def serve(  # noqa: PLR0913 - each is a choice of its own
    refs: Refs,
    storage_options: Mapping[str, Any] | None = None,
    *,
    host: str = HOST,
    port: int = PORT,
    origins: Sequence[str] = (),
    zarr_format: str | int = "auto",
    decoded: bool = False,
    on_start: Callable[[str], None] | None = None,
    **opening: Any,
) -> None:
    """Serve a reference set until interrupted.

    Parameters
    ----------
    refs, storage_options, origins, zarr_format, decoded, **opening
        As for `application`.
    host : str
        Address to listen at; by default only this machine can ask.
    port : int
        0 takes any that is free.
    on_start : callable, optional
        Called with the URL of the store's root before the first request is answered.

    Raises
    ------
    SourceError
        If the address cannot be listened at.
    MissingDependencyError
        If starlette or uvicorn is not installed.
    RefmakerError
        As `refmaker.open_store`.

    Examples
    --------
    It blocks, so that here it runs in a thread, as `serving` does it:

    >>> import queue
    >>> from threading import Thread
    >>> urls = queue.Queue()
    >>> how = {"port": 0, "on_start": urls.put}
    >>> Thread(target=refmaker.serve, args=["examples/air.nc"], kwargs=how, daemon=True).start()
    >>> import xarray as xr
    >>> xr.open_zarr(urls.get(), chunks=None)["air"].shape
    (124, 11, 21)
    """
    chosen = {"origins": origins, "zarr_format": zarr_format, "decoded": decoded, **opening}
    app = application(refs, storage_options, hosts=hosts_of(host), **chosen)
    server, listening, url = listen(app, host, port)
    if on_start is not None:
        on_start(url)
    server.run(sockets=[listening])


@contextmanager
def serving(
    refs: Refs,
    storage_options: Mapping[str, Any] | None = None,
    *,
    host: str = HOST,
    port: int = 0,
    origins: Sequence[str] = (),
    zarr_format: str | int = "auto",
    decoded: bool = False,
    **opening: Any,
) -> Iterator[str]:
    """Serve a reference set in a thread while a block runs.

    Parameters
    ----------
    refs, storage_options, host, port, origins, zarr_format, decoded, **opening
        As for `serve`; by default any free port.

    Yields
    ------
    str
        The URL of the store's root.

    Raises
    ------
    SourceError, MissingDependencyError, RefmakerError
        As `serve`.

    Examples
    --------
    >>> import xarray as xr
    >>> with refmaker.serving("examples/air.nc") as url:
    ...     xr.open_zarr(url, chunks=None)["air"].shape
    (124, 11, 21)
    """
    chosen = {"origins": origins, "zarr_format": zarr_format, "decoded": decoded, **opening}
    app = application(refs, storage_options, hosts=hosts_of(host), **chosen)
    with running(app, host, port) as url:
        yield url


class _Endpoint:
    """Answers requests for the keys of one reference set."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing

    @cached_property
    def _consolidated(self) -> bytes:
        """All metadata in one document, for a set of other people's that has none.

        Who asks over HTTP cannot list what there is, and would find an empty store.
        """
        found = {key: loads(text) for key, text in self._outgoing.reader.references.metadata()}
        return dumps({"metadata": found, "zarr_consolidated_format": 1}).encode()

    async def _added(self, key: str) -> bytes | None:
        """Return a document that the set lacks and readers over HTTP need."""
        if key != _TOGETHER or self._outgoing.version != 2 or self._outgoing.recode:
            return None
        return self._consolidated if await self._outgoing.size(key) is None else None

    async def _size(self, key: str) -> int | None:
        added = await self._added(key)
        return await self._outgoing.size(key) if added is None else len(added)

    async def _read(self, key: str, *part: int) -> Any:
        added = await self._added(key)
        return (
            await self._outgoing.read(key, *part)
            if added is None
            else added[slice(*part or (None,))]
        )

    async def answer(self, request: Request) -> Response:
        from starlette.responses import PlainTextResponse

        key = request.path_params["key"]
        if not key:
            return PlainTextResponse(self._about())
        try:
            if request.method == "HEAD":
                return await self._head(key)
            return await self._get(key, request.headers.get("range"))
        except PolicyError as error:
            return PlainTextResponse(f"{error}\n", 403)
        except MissingTargetError as error:
            # Not 404, which Zarr takes for a chunk that was never written.
            return PlainTextResponse(f"{error}\n", 502)
        except RefmakerError as error:
            log.warning("%s", error)
            return PlainTextResponse(f"{error}\n", 502)

    def _about(self) -> str:
        named = self._outgoing.reader.origin or "a reference set"
        return f"{named}\n\nA Zarr store (version {self._outgoing.version}); this is its root.\n"

    async def _head(self, key: str) -> Response:
        from starlette.responses import Response

        size = await self._size(key)
        if size is None:
            return Response(status_code=404)
        known = {"Content-Length": str(size), "Accept-Ranges": "bytes"}
        return Response(headers={**known, "Content-Type": _kind(key)})

    async def _get(self, key: str, wanted: str | None) -> Response:
        from starlette.responses import PlainTextResponse, Response

        part = _RANGE.fullmatch(wanted.strip()) if wanted else None
        headers = {"Accept-Ranges": "bytes"}
        # A range that is none, or several of them, may be passed over (RFC 9110, 14.2).
        if part is None or not (part[1] or part[2]) or _backwards(part):
            data = await self._read(key)
            if data is None:
                return PlainTextResponse(f"no key {key}\n", 404)
            return Response(bytes(data), headers=headers, media_type=_kind(key))
        size = await self._size(key)
        if size is None:
            return PlainTextResponse(f"no key {key}\n", 404)
        first = int(part[1]) if part[1] else max(0, size - int(part[2]))
        last = min(int(part[2]), size - 1) if part[1] and part[2] else size - 1
        if first >= size or first > last:
            return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
        data = await self._read(key, first, last + 1)
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        return Response(bytes(data or b""), 206, headers=headers, media_type=_kind(key))


def _backwards(part: re.Match[str]) -> bool:
    """Whether a range ends before it begins, and so is none."""
    return bool(part[1] and part[2]) and int(part[2]) < int(part[1])


def _kind(key: str) -> str:
    name = key.rpartition("/")[2]
    metadata = name.startswith(".z") or name == "zarr.json"
    return "application/json" if metadata else "application/octet-stream"

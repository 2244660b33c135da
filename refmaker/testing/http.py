"""A small real web server on this machine, which answers byte ranges and counts.

It listens on the loopback interface only, at a port that the system chooses. What it does
wrong on request is what servers do wrong in the world.
"""

from __future__ import annotations

import re
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

__all__ = ["Behaviour", "RangeServer"]

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass(slots=True)
class Behaviour:
    """How the server answers; may be changed while it runs.

    Parameters
    ----------
    latency : float
        Seconds before every answer.
    status : int, optional
        HTTP status of every answer that fails; with `failures`, of the first ones.
    failures : int, optional
        How many requests fail with `status`; all by default.
    ranges : bool
        Whether ``Range`` is honoured; otherwise the whole file comes with status 200.
    truncate : int, optional
        Bytes of a body that are sent; the rest is missing.
    honest : bool
        Whether ``Content-Length`` announces a truncated body as it is, or as it should be.
    content_length : bool
        Whether ``Content-Length`` is sent; without it the connection closes after the body.
    etag : bool
        Whether ``ETag`` and ``Last-Modified`` are sent.
    moved : mapping of str to str
        Paths to the URLs at which they are said to be now.
    retry_after : str, optional
        The header ``Retry-After`` of answers that fail.
    """

    latency: float = 0.0
    status: int | None = None
    failures: int | None = None
    ranges: bool = True
    truncate: int | None = None
    honest: bool = True
    content_length: bool = True
    etag: bool = True
    moved: Mapping[str, str] = field(default_factory=dict)
    retry_after: str | None = None


@dataclass(slots=True)
class Counts:
    """What was asked for and sent."""

    requests: Counter[str] = field(default_factory=Counter)
    bodies: int = 0
    """Bytes of all bodies sent with status 200 or 206."""
    most: int = 0
    """Largest number of requests that were under way at a time."""
    headers: list[dict[str, str]] = field(default_factory=list)
    """Headers of every request, with names in lower case."""


class RangeServer:
    """Serves the files of one folder; a context manager.

    Parameters
    ----------
    folder : path
        Files below it are served, nothing else.
    **behaviour
        Members of `Behaviour`.

    Attributes
    ----------
    behaviour : Behaviour
        How it answers from now on.
    counts : Counts
        What was asked for and sent since the start, or since `reset`.
    """

    def __init__(self, folder: str | os.PathLike[str], **behaviour: Any) -> None:
        self.folder = Path(folder).resolve()
        self.behaviour = Behaviour(**behaviour)
        self.counts = Counts()
        self.lock = threading.Lock()
        self.under_way = 0
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def url(self, name: str) -> str:
        """Return the URL of a file of the folder."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/{quote(name)}"

    @property
    def requests(self) -> int:
        """All requests so far."""
        return self.counts.requests.total()

    def reset(self) -> None:
        """Count from nothing again."""
        self.counts = Counts()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    """Takes many connections at once, and those that are cut for what they are."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _handler(server: RangeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        owner = server

    return Handler


class _Handler(BaseHTTPRequestHandler):
    """One connection, which may carry many requests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024
    owner: RangeServer

    def do_HEAD(self) -> None:
        self._serve(body=False)

    def do_GET(self) -> None:
        self._serve(body=True)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as inherited
        """Say nothing."""

    def _serve(self, *, body: bool) -> None:
        owner, behaviour = self.owner, self.owner.behaviour
        with owner.lock:
            counts = owner.counts
            counts.requests[self.command] += 1
            counts.headers.append({name.lower(): text for name, text in self.headers.items()})
            owner.under_way += 1
            counts.most = max(counts.most, owner.under_way)
            fails = behaviour.status is not None and behaviour.failures != 0
            if fails and behaviour.failures is not None:
                behaviour.failures -= 1
        try:
            time.sleep(behaviour.latency)
            if fails:
                asked = {"Retry_After": behaviour.retry_after} if behaviour.retry_after else {}
                self._empty(behaviour.status or 500, **asked)
            elif self.path in behaviour.moved:
                self._empty(302, Location=behaviour.moved[self.path])
            else:
                self._file(behaviour, body=body)
        finally:
            with owner.lock:
                owner.under_way -= 1

    def _empty(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _file(self, behaviour: Behaviour, *, body: bool) -> None:
        path = (self.owner.folder / unquote(urlsplit(self.path).path).lstrip("/")).resolve()
        if not path.is_relative_to(self.owner.folder) or not path.is_file():
            self._empty(404)
            return
        state = path.stat()
        size = state.st_size
        wanted = _RANGE.fullmatch(self.headers.get("Range", "")) if behaviour.ranges else None
        start, stop = 0, size
        if wanted is not None:
            start = int(wanted[1])
            stop = min(int(wanted[2] or size) + 1, size)
            if start >= size:
                self._empty(416, Content_Range=f"bytes */{size}")
                return
        with path.open("rb") as file:
            file.seek(start)
            sent = file.read(stop - start)[: behaviour.truncate]
        self.send_response(200 if wanted is None else 206)
        if wanted is not None:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        if behaviour.ranges:
            self.send_header("Accept-Ranges", "bytes")
        if behaviour.etag:
            self.send_header("ETag", f'"{state.st_size:x}-{state.st_mtime_ns:x}"')
            self.send_header("Last-Modified", formatdate(state.st_mtime, usegmt=True))
        if behaviour.content_length:
            announced = len(sent) if behaviour.honest else stop - start
            self.send_header("Content-Length", str(announced))
        if not behaviour.content_length or len(sent) < stop - start:
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        if body:
            # Counted first: who has received a body finds it counted.
            with self.owner.lock:
                self.owner.counts.bodies += len(sent)
            self.wfile.write(sent)

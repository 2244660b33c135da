"""A server at an address of this machine, and the names under which it may be asked for."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from refmaker.errors import MissingDependencyError, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from starlette.applications import Starlette

__all__ = ["HOST", "LOOPBACK", "hosts_of", "listen", "missing", "running", "trusted"]

HOST = "127.0.0.1"
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_SECONDS = 30.0
"""Until a server that is to stop is no longer waited for."""


@contextmanager
def running(app: Starlette, host: str, port: int) -> Iterator[str]:
    """Run a server in a thread while a block runs, and give its URL; see `listen`."""
    import threading

    server, listening, url = listen(app, host, port)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        # The socket listens already: whoever asks before the server runs only waits.
        yield url
    finally:
        server.should_exit = True
        thread.join(_SECONDS)


def listen(app: Starlette, host: str, port: int) -> tuple[Any, Any, str]:
    """Return a server, the socket that it listens at already, and its URL.

    Raises
    ------
    SourceError
        If the address cannot be listened at.
    MissingDependencyError
        If uvicorn is not installed.
    """
    import socket

    try:
        import uvicorn
    except ImportError as error:
        raise missing("uvicorn") from error
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen()
    except OSError as error:
        listening.close()
        raise SourceError(
            f"cannot listen at {host}, port {port}: {error.strerror or error}",
            hint="choose another with `port=...`; `port=0` takes any that is free",
        ) from error
    config = uvicorn.Config(
        app, log_level="warning", lifespan="off", server_header=False, timeout_graceful_shutdown=2
    )
    name = f"[{host}]" if ":" in host else host
    return uvicorn.Server(config), listening, f"http://{name}:{listening.getsockname()[1]}/"


def hosts_of(host: str) -> tuple[str, ...]:
    """Return the names under which a server at an address may be asked for."""
    if host in ("127.0.0.1", "localhost", "::1"):
        return LOOPBACK
    # Whoever opens it to other machines decides who reaches it; its names there are not known.
    return ("*",)


def trusted(hosts: Sequence[str]) -> list[str]:
    """Return names of hosts as starlette's middleware takes them."""
    # The middleware cuts a port off at the first colon, which is inside an IPv6 address.
    return [*hosts, "["] if "[::1]" in hosts else list(hosts)


def missing(package: str, extra: str = "serve") -> MissingDependencyError:
    """Return the error to raise where a package that serving needs is not installed."""
    return MissingDependencyError(
        f"serving needs {package}", hint=f"pip install {package}, or 'refmaker[{extra}]'"
    )

"""A page for looking at a set: maps, lines and tables drawn here, volumes by neuroglancer."""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from refmaker.publish.http_server import HOST, hosts_of, listen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from refmaker.reading.open import Refs

__all__ = ["View", "view", "view_until_interrupted"]

_SECONDS = 10.0


class View:
    """A page that is served until it is closed; a notebook shows it in place.

    Attributes
    ----------
    url : str
        Of the page.

    Examples
    --------
    >>> page = refmaker.view("examples/air.nc", variable="air")
    >>> page.url.endswith("/#air")
    True
    >>> page.close()
    """

    def __init__(self, server: Any, listening: Any, url: str) -> None:
        self.url = url
        self._server = server
        self._thread = threading.Thread(
            target=server.run, kwargs={"sockets": [listening]}, daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.should_exit = True
        self._thread.join(_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<View at {self.url}>"

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        return f'<iframe src="{self.url}" width="100%" height="640" style="border:0"></iframe>'


def view(
    refs: Refs,
    storage_options: Mapping[str, Any] | None = None,
    *,
    variable: str = "",
    host: str = HOST,
    port: int = 0,
    **opening: Any,
) -> View:
    """Serve a page that shows a reference set, or what can be scanned: maps, lines, volumes.

    Parameters
    ----------
    refs : ReferenceSet, Group, str, os.PathLike, or sequence of such names
        As for `refmaker.open_store`: a set, a data file, a folder, a list of files.
    storage_options : mapping, optional
        Passed to fsspec for the files that hold the data.
    variable : str
        Path, or name, of the array that is shown first; by default the likeliest to be looked for.
    host : str
        Address to listen at; by default only this machine can ask. Whoever is to see the page
        has to know its whole URL.
    port : int
        0 takes any that is free.
    **opening
        Further options of `refmaker.open_store`.

    Returns
    -------
    View
        Has a `url`, is shown by a notebook, and serves until ``close()``, or the end of a
        ``with`` block.

    Raises
    ------
    MissingDependencyError
        If starlette or uvicorn is not installed; without neuroglancer volumes are shown as
        pictures.
    SourceError
        If the address cannot be listened at.
    UnsupportedError
        If nothing has the name of `variable`.
    RefmakerError
        As `refmaker.open_store`.

    Examples
    --------
    >>> with refmaker.view("examples/air.nc") as page:
    ...     page.url.startswith("http://127.0.0.1:")
    True
    """
    return View(*_prepared(refs, storage_options, variable, host, port, opening))


def view_until_interrupted(
    refs: Refs,
    storage_options: Mapping[str, Any] | None = None,
    *,
    variable: str = "",
    host: str = HOST,
    port: int = 0,
    on_start: Callable[[str], None],
    **opening: Any,
) -> None:
    """Serve a page as `view` until interrupted; `on_start` is told its URL."""
    server, listening, url = _prepared(refs, storage_options, variable, host, port, opening)
    on_start(url)
    server.run(sockets=[listening])


def _prepared(
    refs: Refs,
    storage_options: Mapping[str, Any] | None,
    variable: str,
    host: str,
    port: int,
    opening: dict[str, Any],
) -> tuple[Any, Any, str]:
    """Return a server, the socket that it listens at, and the URL of the page."""
    from refmaker.publish.viewer.app import application

    token = secrets.token_urlsafe(12)
    app = application(refs, storage_options, token=token, hosts=hosts_of(host), **opening)
    path = app.state.contents.find(variable) if variable else ""
    server, listening, url = listen(app, host, port)
    app.state.stops = lambda: server.should_exit
    at = f"#{quote(path, safe='')}" if path else ""
    return server, listening, f"{url}{token}/{at}"

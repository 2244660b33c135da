"""The client of neuroglancer: the files that its package brings, served as they are."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["client_file", "events", "has_neuroglancer"]

_HEARTBEAT = 0.2
_KINDS = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".wasm": "application/wasm",
}


def has_neuroglancer() -> bool:
    """Whether the client of neuroglancer is installed."""
    return _client() is not None


async def client_file(request: Request) -> Response:
    """Answer one file of the client."""
    from starlette.responses import FileResponse, PlainTextResponse

    folder, name = _client(), request.path_params["name"] or "index.html"
    kind = _KINDS.get(Path(name).suffix)
    # One folder of files, none of which begins with a dot.
    plain = "/" not in name and "\\" not in name and not name.startswith(".")
    if folder is None or kind is None or not plain or not (folder / name).is_file():
        return PlainTextResponse("no such file\n", 404)
    return FileResponse(folder / name, headers={"content-type": kind, "cache-control": "no-cache"})


async def events(request: Request) -> Response:
    """Send nothing until the server stops: the client waits for orders, of which there are none."""
    from starlette.responses import StreamingResponse

    async def silence() -> AsyncIterator[str]:
        yield ": nothing will follow\n\n"
        while not getattr(request.app.state, "stops", bool)():  # noqa: ASYNC110 - another thread's
            await asyncio.sleep(_HEARTBEAT)

    return StreamingResponse(silence(), media_type="text/event-stream")


def _client() -> Path | None:
    """Return the folder of neuroglancer's client, without loading its package."""
    spec = find_spec("neuroglancer")
    for folder in (spec and spec.submodule_search_locations) or ():
        found = Path(folder) / "static" / "client"
        if (found / "index.html").is_file():
            return found
    return None

"""The page that shows a set, and what stands behind it."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

from refmaker.publish.http_server import LOOPBACK, missing, trusted
from refmaker.publish.viewer.contents import Contents
from refmaker.publish.viewer.neuroglancer_client import client_file, events
from refmaker.publish.viewer.own_pages import OwnPages
from refmaker.publish.viewer.questions import Questions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from refmaker.reading.open import Refs

__all__ = ["application"]

_PAGE = {
    "": ("page.html", "text/html; charset=utf-8"),
    "viewer.js": ("viewer.js", "text/javascript; charset=utf-8"),
    "viewer.css": ("viewer.css", "text/css; charset=utf-8"),
}


def application(
    refs: Refs,
    storage_options: Mapping[str, Any] | None = None,
    *,
    token: str = "",
    hosts: Sequence[str] = LOOPBACK,
    **opening: Any,
) -> Starlette:
    """Return an ASGI application that shows a set.

    Parameters
    ----------
    refs, storage_options, **opening
        As for `refmaker.open_store`.
    token : str
        First part of every path that is answered; whoever does not know it sees nothing.
    hosts : sequence of str
        Names under which it may be asked for; ``*`` is any.

    Raises
    ------
    MissingDependencyError
        If starlette is not installed.
    RefmakerError
        As `refmaker.open_store`.
    """
    try:
        from starlette.applications import Starlette
        from starlette.middleware import Middleware
        from starlette.middleware.trustedhost import TrustedHostMiddleware
        from starlette.routing import Mount, Route
    except ImportError as error:
        raise missing("starlette", "view") from error

    contents = Contents(refs, storage_options, **opening)
    page = Questions(contents)
    routes = [
        Route("/api/{question}", page.answer),
        Route("/volumes/{number:int}/{layer:int}/{key:path}", page.chunk),
        # The client that Python's package brings wants "v" and a name in its path.
        Route("/neuroglancer/v/0/{name:path}", client_file),
        Route("/neuroglancer/events/0", events),
        Route("/{name:path}", _static),
    ]
    app = Starlette(
        routes=[Mount(f"/{token}", routes=routes)] if token else routes,
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=trusted(hosts)),
            Middleware(OwnPages),
        ],
    )
    app.state.contents = contents
    return app


async def _static(request: Request) -> Response:
    from starlette.responses import PlainTextResponse, Response

    known = _PAGE.get(request.path_params["name"])
    if known is None:
        return PlainTextResponse("no such page\n", 404)
    text = files("refmaker.publish.viewer").joinpath(known[0]).read_bytes()
    return Response(text, headers={"content-type": known[1], "cache-control": "no-cache"})

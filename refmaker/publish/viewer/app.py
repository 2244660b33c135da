"""The page that shows a set, and what it asks for: descriptions, pictures, values, volumes."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import secrets
from collections import OrderedDict
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlsplit

from refmaker.errors import RefmakerError, UnsupportedError
from refmaker.publish.http_server import LOOPBACK, missing, trusted
from refmaker.publish.viewer.colours import COLOUR_MAPS, colour_table, png
from refmaker.publish.viewer.contents import Contents, Datasets, reason
from refmaker.publish.viewer.scene import KINDS, Scene
from refmaker.publish.viewer.table import table
from refmaker.publish.viewer.volume import Volume

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from refmaker.reading.open import Refs

__all__ = ["application"]

log = logging.getLogger(__name__)

_AT_ONCE = 3
"""Questions that are worked on at the same time."""
_WAITING = 100
"""Questions that wait; of more, the next are refused."""
_HEARTBEAT = 0.2
_REMEMBERED = 64
"""Variables that stay open."""
T = TypeVar("T")
_PAGE = {
    "": ("page.html", "text/html; charset=utf-8"),
    "viewer.js": ("viewer.js", "text/javascript; charset=utf-8"),
    "viewer.css": ("viewer.css", "text/css; charset=utf-8"),
}
_KINDS = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".wasm": "application/wasm",
}
_FRAMES = "frame-ancestors 'self' http://localhost:* http://127.0.0.1:*"
"""Who may show the page inside of a page: notebooks of this machine."""
_OWN_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    f"connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; {_FRAMES}"
)
# What neuroglancer needs beside its own files; it asks nobody but this server.
_VOLUME_POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' blob: data:; worker-src 'self' blob:; connect-src 'self' blob: data:; "
    f"{_FRAMES}"
)


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

    page = _Page(Contents(refs, storage_options, **opening))
    routes = [
        Route("/api/{question}", page.answer),
        Route("/volumes/{number:int}/{layer:int}/{key:path}", page.chunk),
        # The client that Python's package brings wants "v" and a name in its path.
        Route("/neuroglancer/v/0/{name:path}", _neuroglancer),
        Route("/neuroglancer/events/0", _events),
        Route("/{name:path}", _static),
    ]
    return Starlette(
        routes=[Mount(f"/{token}", routes=routes)] if token else routes,
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=trusted(hosts)),
            Middleware(_OwnPages),
        ],
    )


def has_neuroglancer() -> bool:
    """Whether the client of neuroglancer is installed."""
    return _client() is not None


class _OwnPages:
    """Refuses what other sites' pages ask for, and says on every answer what a page may do."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        from starlette.responses import PlainTextResponse

        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1"): value for name, value in scope["headers"]}
        if _is_foreign({name: value.decode("latin-1") for name, value in headers.items()}):
            await PlainTextResponse("pages of other sites are not answered\n", 403)(
                scope, receive, send
            )
            return

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                inside = "/neuroglancer/" in scope["path"]
                more = {
                    "content-security-policy": _VOLUME_POLICY if inside else _OWN_POLICY,
                    "x-content-type-options": "nosniff",
                    "referrer-policy": "no-referrer",
                    "cross-origin-resource-policy": "same-origin",
                }
                own = [(name.encode(), value.encode()) for name, value in more.items()]
                message = {**message, "headers": [*message["headers"], *own]}
            await send(message)

        await self._app(scope, receive, sending)


def _is_foreign(headers: Mapping[str, str]) -> bool:
    """Whether a page of another origin asks; a link or a frame that leads here is none."""
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers.get("host"):
        return True
    site = headers.get("sec-fetch-site", "same-origin")
    return site not in ("same-origin", "none") and headers.get("sec-fetch-mode") != "navigate"


def _client() -> Path | None:
    """Return the folder of neuroglancer's client, without loading its package."""
    spec = find_spec("neuroglancer")
    for folder in (spec and spec.submodule_search_locations) or ():
        found = Path(folder) / "static" / "client"
        if (found / "index.html").is_file():
            return found
    return None


async def _static(request: Request) -> Response:
    from starlette.responses import PlainTextResponse, Response

    known = _PAGE.get(request.path_params["name"])
    if known is None:
        return PlainTextResponse("no such page\n", 404)
    text = files("refmaker.publish.viewer").joinpath(known[0]).read_bytes()
    return Response(text, headers={"content-type": known[1], "cache-control": "no-cache"})


async def _neuroglancer(request: Request) -> Response:
    from starlette.responses import FileResponse, PlainTextResponse

    folder, name = _client(), request.path_params["name"] or "index.html"
    kind = _KINDS.get(Path(name).suffix)
    # One folder of files, none of which begins with a dot.
    plain = "/" not in name and "\\" not in name and not name.startswith(".")
    if folder is None or kind is None or not plain or not (folder / name).is_file():
        return PlainTextResponse("no such file\n", 404)
    return FileResponse(folder / name, headers={"content-type": kind, "cache-control": "no-cache"})


async def _events(request: Request) -> Response:
    """Send nothing until the server stops: the client waits for orders, of which there are none."""
    from starlette.responses import StreamingResponse

    async def silence() -> AsyncIterator[str]:
        yield ": nothing will follow\n\n"
        while not getattr(request.app.state, "stops", bool)():  # noqa: ASYNC110 - another thread's
            await asyncio.sleep(_HEARTBEAT)

    return StreamingResponse(silence(), media_type="text/event-stream")


class _Page:
    """Answers what the page asks, a few questions at the same time, one line for what fails."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._datasets = Datasets(contents)
        self._scenes: OrderedDict[str, Scene] = OrderedDict()
        self._volumes: OrderedDict[str, Volume] = OrderedDict()
        self._paths = list(contents.subjects)
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0
        self._questions: dict[str, Callable[[Request], Any]] = {
            "set": self._set,
            "variable": lambda request: self._scene(request).about(),
            "labels": self._labels,
            "caption": lambda request: self._scene(request).caption(_at(request)),
            "picture.png": self._picture,
            "value": self._value,
            "series": self._series,
            "table": lambda request: table(
                self._contents, request.query_params["v"], _number(request, "start", 0)
            ),
            "volume": self._volume_state,
            "colours.png": self._bar,
        }

    async def answer(self, request: Request) -> Response:
        """Answer a question of the page."""
        from starlette.responses import Response

        asked = self._questions.get(request.path_params["question"])
        if asked is None:
            return _json({"error": "no such question"}, 404)
        found = await self._worked(asked, request, request.query_params.get("v", ""))
        if isinstance(found, bytes):
            return Response(found, media_type="image/png", headers={"cache-control": "no-store"})
        return found if isinstance(found, Response) else _json(found)

    async def chunk(self, request: Request) -> Response:
        """Answer a key of the Zarr store of a layer."""
        from starlette.responses import Response

        given = request.path_params
        if given["number"] >= len(self._paths):
            return _json({"error": "no such image"}, 404)
        path = self._paths[given["number"]]
        found = await self._worked(
            lambda _: self._volume(path).read(given["layer"], given["key"]) or b"", request, path
        )
        if isinstance(found, Response):
            return found
        kind = "application/json" if "/.z" in f"/{given['key']}" else "application/octet-stream"
        return Response(found, 200 if found else 404, media_type=kind)

    async def _worked(self, work: Callable[[Request], Any], request: Request, path: str) -> Any:
        """Return what a question gives, or a response that says why it gives nothing."""
        if self._waiting >= _WAITING:
            return _json({"error": "too many questions at the same time"}, 503)
        self._waiting += 1
        try:
            async with self._places:
                return await asyncio.to_thread(work, request)
        except (KeyError, ValueError, RefmakerError) as error:
            return _json({"error": reason(error, path)}, 422)
        except Exception as error:
            log.info("%s", path, exc_info=True)
            return _json({"error": reason(error, path)}, 422)
        finally:
            self._waiting -= 1

    def _set(self, _: Request) -> dict[str, Any]:
        shown = [
            {
                "path": one.path,
                "title": one.title,
                "kind": one.kind,
                "units": one.units,
                "shape": [[axis.name, axis.size] for axis in one.axes],
                "beside": one.path in self._contents.beside,
                "deep": one.kind in ("pyramid", "montage"),
            }
            for one in self._contents.subjects.values()
        ]
        return {
            "name": self._contents.name,
            "subjects": shown,
            "notes": self._contents.notes(),
            "colours": list(COLOUR_MAPS),
            "volumes": has_neuroglancer(),
        }

    def _scene(self, request: Request) -> Scene:
        return _remembered(self._scenes, request.query_params["v"], self._new_scene)

    def _new_scene(self, path: str) -> Scene:
        return Scene(self._contents, path)

    def _volume(self, path: str) -> Volume:
        return _remembered(self._volumes, path, self._new_volume)

    def _new_volume(self, path: str) -> Volume:
        return Volume(self._contents, self._datasets, path)

    def _labels(self, request: Request) -> dict[str, Any]:
        return self._scene(request).names(request.query_params["dim"], _number(request, "start", 0))

    def _picture(self, request: Request) -> bytes:
        asked = request.query_params
        low, high = float(asked["low"]), float(asked["high"])
        if not (math.isfinite(low) and math.isfinite(high)):
            raise UnsupportedError("the range is not of numbers")
        pixels = self._scene(request).picture(
            _at(request),
            _ends(request, "rows"),
            _ends(request, "columns"),
            (low, high),
            _colours(request),
        )
        return png(pixels)

    def _bar(self, request: Request) -> bytes:
        return png(colour_table(_colours(request))[None])

    def _value(self, request: Request) -> dict[str, Any]:
        row, column = _number(request, "row"), _number(request, "column")
        return self._scene(request).value(_at(request), row, column)

    def _series(self, request: Request) -> dict[str, Any]:
        place = {}
        if "row" in request.query_params:
            place = {name: _number(request, name) for name in ("row", "column")}
        return self._scene(request).series(request.query_params["dim"], _at(request), **place)

    def _volume_state(self, request: Request) -> dict[str, Any]:
        path = request.query_params["v"]
        if not has_neuroglancer():
            raise missing("neuroglancer", "view")
        base = f"{request.url.scheme}://{request.url.netloc}{request.scope['root_path']}/"
        number = self._paths.index(path) if path in self._paths else -1
        if number < 0:
            raise UnsupportedError("there is no such image", path=path)
        width, height = (_number(request, name, 800) for name in ("width", "height"))
        state = self._volume(path).state(f"{base}volumes/{number}/", width, height)
        return {"url": f"neuroglancer/v/0/#!{quote(json.dumps(state, allow_nan=False))}"}


def _remembered(known: OrderedDict[str, T], path: str, make: Callable[[str], T]) -> T:
    if path not in known:
        known[path] = make(path)
        while len(known) > _REMEMBERED:
            known.popitem(last=False)
    return known[path]


def _json(found: Any, status: int = 200) -> Response:
    from starlette.responses import Response

    text = json.dumps(found, allow_nan=False)
    headers = {"cache-control": "no-store"}
    return Response(text, status, media_type="application/json", headers=headers)


def _at(request: Request) -> dict[str, int]:
    """Return places along dimensions: ``at`` is a JSON object."""
    found = json.loads(request.query_params.get("at", "{}"))
    if not isinstance(found, dict) or not all(type(value) is int for value in found.values()):
        raise UnsupportedError("`at` is no object of whole numbers")
    return found


def _ends(request: Request, name: str) -> tuple[int, int] | None:
    text = request.query_params.get(name)
    if not text:
        return None
    start, _, stop = text.partition(":")
    return int(start), int(stop)


def _number(request: Request, name: str, default: int | None = None) -> int:
    text = request.query_params.get(name)
    if text is None and default is not None:
        return default
    return int(request.query_params[name])


def _colours(request: Request) -> str:
    name = request.query_params.get("colours", "viridis")
    if name not in COLOUR_MAPS and name != KINDS:
        raise UnsupportedError("there are no such colours")
    return name


def new_token() -> str:
    """Return a part of a path that nobody guesses."""
    return secrets.token_urlsafe(12)

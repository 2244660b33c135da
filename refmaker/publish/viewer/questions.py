"""What the page asks for: descriptions, pictures, values, lines, tables, volumes."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from refmaker.errors import RefmakerError, UnsupportedError
from refmaker.publish.http_server import missing
from refmaker.publish.viewer.colours import COLOUR_MAPS, colour_table, png
from refmaker.publish.viewer.contents import Contents, Datasets, reason
from refmaker.publish.viewer.neuroglancer_client import has_neuroglancer
from refmaker.publish.viewer.scene import KINDS, Scene
from refmaker.publish.viewer.table import table
from refmaker.publish.viewer.volume import Volume

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from refmaker.publish.pictures.subjects import Subject

__all__ = ["Questions"]

log = logging.getLogger(__name__)

_AT_ONCE = 3
"""Questions that are worked on at the same time."""
_WAITING = 100
"""Questions that wait; of more, the next are refused."""
_REMEMBERED = 64
"""Variables that stay open."""
T = TypeVar("T")


class Questions:
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
            # The edge of one question: codecs raise anything, and the page says what.
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
                "volume": self._is_volume(one),
                "deep": one.kind in ("pyramid", "montage") and not one.crs,
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

    def _is_volume(self, subject: Subject) -> bool:
        if subject.kind not in ("map", "pyramid", "montage", "image"):
            return False
        return self._contents.source.array(subject.path).dtype.kind in "biuf"

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
        raise UnsupportedError("the query at= is no object of whole numbers")
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

"""Who may ask for pages, and what pages may do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["OwnPages"]

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


class OwnPages:
    """Refuses what other sites' pages ask for, and says on every answer what a page may do."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request, or pass it on."""
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

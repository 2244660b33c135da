"""Figures of matplotlib as text that goes into a page, or as PNG."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PALETTE", "figure", "png", "svg"]

#: Colours that are told apart by everybody, on light and on dark ground (Okabe and Ito).
PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#999999")
_INK = "#010203"
"""Stands for the colour of the page's text, until the figure is in the page."""
_INKED = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
_DPI = 144
_PAD = 0.09
"""Inches around a figure."""
_IMAGE = re.compile(r'"data:image/png;base64,([^"]*)"')
_COLOURS = 256
"""Colours that a palette holds."""
_LARGE = 64 * 1024
"""Bytes of a picture above which what is lost by packing it better is not seen."""
_QUALITY = 85


@contextmanager
def figure(width: float, height: float) -> Iterator[tuple[Any, Any]]:
    """Make a figure that no window shows and no global state knows, with its axes.

    Parameters
    ----------
    width, height : float
        In inches.
    """
    try:
        import matplotlib as mpl
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError as error:
        raise MissingDependencyError(
            "figures need matplotlib", hint="pip install matplotlib, or 'refmaker[report]'"
        ) from error
    # The same set gives the same page: without a salt ids inside the figures would be random.
    texts = {"svg.fonttype": "none", "font.size": 9, "svg.hashsalt": "refmaker"}
    plain = {"axes.linewidth": 0.6, "text.parse_math": False, "font.family": "sans-serif"}
    style: Any = {**dict.fromkeys(_INKED, _INK), **texts, **plain}
    with mpl.rc_context(style):
        # The page's letters are not those that are reckoned with here.
        layout = ConstrainedLayoutEngine(w_pad=_PAD, h_pad=_PAD)
        made = Figure(figsize=(width, height), dpi=_DPI, layout=layout)
        FigureCanvasSVG(made)
        made.patch.set_alpha(0)
        axes = made.subplots()
        axes.patch.set_alpha(0)
        yield made, axes


def png(made: Any, ink: str = "#1b1f24", ground: str = "#ffffff") -> bytes:
    """Return a figure as PNG.

    Parameters
    ----------
    made : matplotlib.figure.Figure
        The figure.
    ink, ground : str
        Colours of its texts, and behind it.
    """
    from matplotlib.colors import to_hex

    for artist in made.findobj():
        for name in ("color", "edgecolor"):
            get, put = getattr(artist, f"get_{name}", None), getattr(artist, f"set_{name}", None)
            if get is not None and put is not None and _is_ink(get(), to_hex):
                put(ink)
    data = io.BytesIO()
    made.savefig(data, format="png", dpi=_DPI, facecolor=ground)
    return data.getvalue()


def _is_ink(colour: Any, to_hex: Any) -> bool:
    try:
        return bool(to_hex(colour) == _INK)
    except (ValueError, TypeError):
        return False


def svg(made: Any, title: str) -> str:
    """Return a figure as an element: no XML header, the page's colours, a title for everybody.

    Parameters
    ----------
    made : matplotlib.figure.Figure
        The figure; pictures in it are made small.
    title : str
        What it shows, for those who do not see it.
    """
    text = io.StringIO()
    made.savefig(text, format="svg", dpi=_DPI, metadata={"Date": None, "Creator": None})
    found = text.getvalue()
    found = found[found.index("<svg") :].replace(_INK, "currentColor")
    found = re.sub(r"<metadata>.*?</metadata>", "", found, flags=re.DOTALL)
    found = _IMAGE.sub(lambda image: f'"{_smaller(base64.b64decode(image[1]))}"', found)
    # Ids are the figure's own; several figures share a page.
    salt = f"f{hashlib.blake2b(found.encode(), digest_size=6).hexdigest()}"
    found = re.sub(r'id="([^"]+)"', rf'id="{salt}-\1"', found)
    found = re.sub(r'(xlink:href="#|href="#|url\(#)', rf"\g<1>{salt}-", found)
    found = re.sub(r'width="([\d.]+)pt" height="([\d.]+)pt"', "", found, count=1)
    return found.replace("<svg ", f'<svg role="img" aria-label="{escape(title)}" ', 1)


def _smaller(data: bytes) -> str:
    """Return a picture as a URL: as it is where it has few colours, else as WebP."""
    from PIL import Image

    image: Any = Image.open(io.BytesIO(data)).convert("RGBA")
    pixels = np.ascontiguousarray(np.asarray(image)).view("<u4")[..., 0]
    colours, at = np.unique(pixels, return_inverse=True)
    out = io.BytesIO()
    if colours.size <= _COLOURS:
        made = Image.fromarray(at.reshape(pixels.shape).astype("u1"), "P")
        parts = colours.view("u1").reshape(-1, 4)
        made.putpalette(parts[:, :3].tobytes(), "RGB")
        made.save(out, "PNG", optimize=True, transparency=parts[:, 3].tobytes())
        if out.tell() <= _LARGE:
            return _inline("png", out)
        out = io.BytesIO()
    image.save(out, "WEBP", quality=_QUALITY)
    return _inline("webp", out)


def _inline(kind: str, data: io.BytesIO) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data.getvalue()).decode('ascii')}"

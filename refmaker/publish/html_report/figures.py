"""Figures as text that goes into a page: SVG in the page's own colours, PNG for pictures."""

from __future__ import annotations

import hashlib
import io
import re
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import MissingDependencyError
from refmaker.model.amounts import human_size
from refmaker.publish.html_report.byte_map import FREE, SHARED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from refmaker.publish.html_report.byte_map import ByteMap
    from refmaker.publish.html_report.quick_look import Look

__all__ = ["PALETTE", "byte_map_figure", "histogram_figure", "look_figure"]

#: Colours that are told apart by everybody, on light and on dark ground (Okabe and Ito).
PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#999999")
_INK = "#010203"
"""Stands for the colour of the page's text, until the figure is in the page."""
_GAP = "#7f7f7f40"
_BOTH = "#d0021b"


def byte_map_figure(found: ByteMap, colours: dict[str, str]) -> str:
    """Return a bar whose parts have the colours of the arrays that own most of them."""
    with _figure(7.2, 0.75) as (figure, axes):
        known = [colours[path] for path in found.owners]
        breaks = np.flatnonzero(np.diff(found.cells)) + 1
        edges = [0, *breaks.tolist(), found.cells.size]
        for start, stop in pairwise(edges):
            owner = int(found.cells[start])
            colour = {FREE: _GAP, SHARED: _BOTH}.get(owner) or known[owner]
            low, width = (position / found.cells.size for position in (start, stop - start))
            axes.broken_barh([(low, width)], (0, 1), color=colour, linewidth=0)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_yticks([])
        ticks = (0, 0.25, 0.5, 0.75, 1)
        axes.set_xticks(ticks, [human_size(found.size * tick) for tick in ticks])
        return _svg(figure, f"Bytes of {found.url}")


def histogram_figure(lengths: NDArray[np.uint64]) -> str:
    """Return a histogram of the stored bytes of chunks.

    Parameters
    ----------
    lengths : ndarray of uint64, shape (n,)
        One number for each chunk.
    """
    sizes = np.maximum(np.asarray(lengths, np.float64), 1)
    low, high = sizes.min(), sizes.max()
    with _figure(3.4, 1.8) as (figure, axes):
        if low == high:
            axes.bar([0], [sizes.size], width=0.4, color=PALETTE[0])
            axes.set_xlim(-1, 1)
            axes.set_xticks([0], [human_size(low)])
        else:
            bins = np.geomspace(low, high * 1.0001, 25)
            axes.hist(sizes, bins=bins, color=PALETTE[0])
            axes.set_xscale("log")
            ticks = np.geomspace(low, high, 3)
            axes.set_xticks(ticks, [human_size(tick) for tick in ticks])
            axes.minorticks_off()
        axes.set_ylabel("chunks")
        axes.spines[["top", "right"]].set_visible(False)
        return _svg(figure, "Stored sizes of chunks")


def look_figure(look: Look, label: str) -> str:
    """Return a line, or a picture with a scale of colours."""
    with _figure(3.4, 2.2) as (figure, axes):
        values = look.values
        if values.ndim == 1:
            axes.plot(np.arange(values.size), values, color=PALETTE[0], linewidth=1.2)
            axes.set_ylabel(label)
            axes.spines[["top", "right"]].set_visible(False)
        elif values.ndim == 3:
            axes.imshow(_colours(values), interpolation="nearest")
            axes.set_axis_off()
        else:
            low, high = _limits(values)
            drawn = axes.imshow(
                values, vmin=low, vmax=high, cmap="viridis", interpolation="nearest", aspect="auto"
            )
            axes.set_axis_off()
            bar = figure.colorbar(drawn, ax=axes, shrink=0.9)
            bar.set_label(label)
            bar.outline.set_visible(False)
        return _svg(figure, f"Quick look {look.where}")


def _limits(values: NDArray[Any]) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.percentile(finite, [1, 99])
    return (float(low), float(high)) if low < high else (float(low), float(low) + 1)


def _colours(values: NDArray[Any]) -> NDArray[np.uint8]:
    if values.dtype == np.uint8:
        return values
    scaled = values.astype("f8") * (255 / max(float(values.max(initial=1)), 1))
    return scaled.astype("u1")


@contextmanager
def _figure(width: float, height: float) -> Iterator[tuple[Any, Any]]:
    """Make a figure that no window shows and no global state knows."""
    try:
        import matplotlib as mpl
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError(
            "figures need matplotlib", hint="pip install matplotlib, or 'refmaker[report]'"
        ) from error
    names = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
    # The same set gives the same page: without a salt ids inside the figures would be random.
    texts = {"svg.fonttype": "none", "font.size": 8, "svg.hashsalt": "refmaker"}
    style: Any = {**dict.fromkeys(names, _INK), **texts, "font.family": "sans-serif"}
    with mpl.rc_context(style):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        figure.patch.set_alpha(0)
        axes = figure.subplots()
        axes.patch.set_alpha(0)
        yield figure, axes


def _svg(figure: Any, title: str) -> str:
    """Return the figure as an element: no XML header, the page's colours, a title for all."""
    from html import escape

    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :].replace(_INK, "currentColor")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # Ids are the figure's own; several figures share a page.
    salt = f"f{hashlib.blake2b(svg.encode(), digest_size=6).hexdigest()}"
    svg = re.sub(r'id="([^"]+)"', rf'id="{salt}-\1"', svg)
    svg = re.sub(r'(xlink:href="#|href="#|url\(#)', rf"\g<1>{salt}-", svg)
    svg = re.sub(r'width="([\d.]+)pt" height="([\d.]+)pt"', "", svg, count=1)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(title, quote=True)}" ', 1)

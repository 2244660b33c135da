"""Looks as figures: maps with their axes, images with a scale, montages, lines."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.publish.pictures import canvas
from refmaker.publish.pictures.colours import shades
from refmaker.publish.pictures.places import degrees, frame_of, ticks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from refmaker.publish.pictures.colours import Shades
    from refmaker.publish.pictures.looks import Look
    from refmaker.publish.pictures.places import Frame, Scale
    from refmaker.publish.pictures.source import Source

__all__ = ["png", "svg"]

_WIDTH = 5.2
_BESIDE, _BELOW = 1.5, 0.5
"""What labels and the scale of colours take of width and height."""
_LOW, _HIGH, _NARROW = 1.5, 4.4, 3.2
"""Inches, as the others."""
_LABEL, _UNITS = 46, 22
"""Characters of texts across and down."""
_POINTS = 1200
"""Values of a line from which on least and greatest of neighbours are drawn."""
_LEGEND = 6
_SHAPE = 0.6
"""Height by width of a montage that is liked best."""
_TICKS = 5
_USUAL = 7
"""Letters of a place that there is room for."""
_LETTER = 0.1
"""Inches that a letter and its share of what is between texts are wide."""
_FOLDED = 30.0
"""Degrees that no cell is wide."""


def svg(look: Look, source: Source) -> str:
    """Return a look as an SVG element whose texts have the colour of the page.

    Parameters
    ----------
    look : Look
        Of any kind but a table.
    source : Source
        Where it was read from.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    """
    with _figure(look, source) as (made, _):
        return canvas.svg(made, f"{look.subject.title} ({look.subject.kind})")


def png(look: Look, source: Source) -> bytes:
    """Return a look as PNG, dark on white, with a title.

    Parameters
    ----------
    look, source
        As for `svg`.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    """
    told = ", ".join(f"{name} {place}" for name, place in look.places)
    with _figure(look, source) as (made, axes):
        axes.set_title(f"{look.subject.title[:_LABEL]}   {told}", loc="left", fontsize=9)
        return canvas.png(made)


@contextmanager
def _figure(look: Look, source: Source) -> Iterator[tuple[Any, Any]]:
    """Make a figure of a look."""
    kind = look.subject.kind
    if kind == "lines":
        with canvas.figure(_WIDTH, 2.3) as (made, axes):
            _lines(axes, look, source)
            yield made, axes
    elif kind == "montage":
        frame = frame_of(look, source)
        aspect = _cell(frame, look.values)
        values, corners = _tiles(look.values, aspect)
        with canvas.figure(*_size(aspect * values.shape[0] / values.shape[1])) as (made, axes):
            _montage(axes, look, source, values, corners)
            axes.set_aspect(aspect)
            yield made, axes
    elif kind == "points" or (look.horizontal is not None and look.horizontal.ndim == 2):
        with canvas.figure(*_size(_ratio(look))) as (made, axes):
            _scattered(axes, look, source)
            yield made, axes
    else:
        frame = frame_of(look, source)
        with canvas.figure(*_size(frame.ratio)) as (made, axes):
            _image(axes, look, source, frame)
            yield made, axes


def _size(ratio: float | None) -> tuple[float, float]:
    """Return width and height of a figure for height by width of the picture in it."""
    if ratio is None:
        return _WIDTH, 2.8
    height = min(max((_WIDTH - _BESIDE) * ratio + _BELOW, _LOW), _HIGH)
    return min(max((height - _BELOW) / ratio + _BESIDE, _NARROW), _WIDTH), height


def _image(axes: Any, look: Look, source: Source, frame: Frame) -> None:
    values = look.values
    across, down = frame.horizontal, frame.vertical
    if down.at is not None:
        values = values[down.at]
    if across.at is not None:
        values = values[:, across.at]
    extent = (*across.edges, *reversed(down.edges))
    common: Any = {"extent": extent, "interpolation": "none", "aspect": frame.aspect or "auto"}
    if values.ndim == 3:
        axes.imshow(values, **common)
    else:
        colours = shades(look.subject, source.array(look.path), values)
        drawn = axes.imshow(_numbered(values, colours), **_scaled(colours), **common)
        _scale(axes, drawn, colours, look.subject.units)
    axes.set_xlim(*sorted(across.edges))
    axes.set_ylim(*sorted(down.edges, reverse=not frame.upward))
    width, height = axes.figure.get_size_inches()
    ratio = frame.ratio or (height - _BELOW) / (width - _BESIDE)
    room = min(width - _BESIDE, (height - _BELOW) / ratio)
    beside = max(map(len, _ticks(axes.yaxis, down)), default=0)
    _ticks(axes.xaxis, across, room - max(0, beside - _USUAL) * _LETTER)
    _quiet(axes)


def _ticks(axis: Any, scale: Scale, room: float | None = None) -> list[str]:
    """Put places on a side, so many that their texts have room side by side, in inches."""
    for most in range(_TICKS, 0, -1):
        found = ticks(scale.edges, whole=scale.ordinal, most=most)
        texts = [scale.text(place) for place in found]
        if room is None or len(found) * max(map(len, texts), default=0) * _LETTER <= room:
            break
    axis.set_ticks(found, texts)
    axis.set_label_text(scale.label[:_LABEL])
    return texts


def _quiet(axes: Any) -> None:
    """Draw the frame of a picture so that the picture is seen first."""
    axes.tick_params(length=2.5, width=0.6)
    for spine in axes.spines.values():
        spine.set_alpha(0.5)


def _numbered(values: NDArray[Any], colours: Shades) -> NDArray[Any]:
    """Return numbers of kinds in place of the values that stand for them."""
    if not colours.kinds:
        return values
    found = np.full(values.shape, np.nan)
    for number, (value, _) in enumerate(colours.kinds):
        found[values == value] = number + 0.5
    return found


def _scaled(colours: Shades) -> dict[str, Any]:
    return {"cmap": colours.map, "vmin": colours.low, "vmax": colours.high}


def _scale(axes: Any, drawn: Any, colours: Shades, label: str) -> None:
    """Put the scale of colours beside a picture, as high as it is."""
    beside = axes.inset_axes([1.02, 0, 0.025, 1])
    bar = axes.figure.colorbar(drawn, cax=beside, extend=colours.extend)
    bar.outline.set_linewidth(0.4)
    bar.ax.tick_params(length=2.5, width=0.6)
    if colours.kinds:
        names = [name.replace("_", " ")[:20] for _, name in colours.kinds]
        bar.set_ticks([number + 0.5 for number in range(len(names))], labels=names)
        bar.ax.tick_params(length=0)
    bar.set_label(label[:_UNITS])


def _cell(frame: Frame, planes: NDArray[Any]) -> float:
    """Return the height of a cell by its width."""
    height, width = planes.shape[1:3]
    return 1.0 if frame.ratio is None else frame.ratio * width / height


def _tiles(planes: NDArray[Any], aspect: float) -> tuple[NDArray[Any], list[tuple[int, int]]]:
    """Return planes side by side with room above each, and where that is: column and row."""
    count, height, width = planes.shape[:3]
    across = _beside(count, aspect * height / width)
    room = max(1, round(0.2 * across * width / (_WIDTH - _BESIDE) / aspect))
    gap = max(1, width // 40)
    size = -(-count // across) * (height + room), across * (width + gap) - gap
    empty = 255 if planes.dtype == np.uint8 else np.nan
    found = np.full((*size, *planes.shape[3:]), empty, planes.dtype)
    corners = []
    for number, plane in enumerate(planes):
        row, column = divmod(number, across)
        top, left = row * (height + room) + room, column * (width + gap)
        found[top : top + height, left : left + width] = plane
        corners.append((left, top))
    return found, corners


def _beside(count: int, ratio: float) -> int:
    """Return how many planes stand beside each other: few empty places, and of a good shape."""

    def badness(across: int) -> float:
        down = -(-count // across)
        return abs(math.log(down * ratio / across / _SHAPE)) + 0.1 * (down * across - count)

    return min(range(1, min(count, 6) + 1), key=badness)


def _montage(axes: Any, look: Look, source: Source, values: NDArray[Any], corners: Any) -> None:
    if values.ndim == 3:
        axes.imshow(values, interpolation="none")
    else:
        colours = shades(look.subject, source.array(look.path), look.values)
        drawn = axes.imshow(values, interpolation="none", **_scaled(colours))
        _scale(axes, drawn, colours, look.subject.units)
    name = look.subject.axes[look.subject.drawn[2]].name
    height = look.values.shape[1]
    for text, (left, top) in zip(look.panels, corners, strict=True):
        axes.text(left, top - height / 60, f"{name} {text}"[:24], fontsize=7, va="bottom")
    axes.set_axis_off()


def _ratio(look: Look) -> float:
    across, down = look.horizontal, look.vertical
    if across is None or down is None or not across.size:
        return 1.0
    width, height = float(np.nanmax(across) - np.nanmin(across)), np.nanmax(down) - np.nanmin(down)
    return float(height / width * _stretch(look)) if width else 1.0


def _stretch(look: Look) -> float:
    middle = 0.0 if look.vertical is None else float(np.nanmean(look.vertical))
    return min(3.0, 1 / max(math.cos(math.radians(min(abs(middle), 89))), 1e-6))


def _unwrapped(longitudes: NDArray[Any]) -> NDArray[Any]:
    """Return longitudes without jumps from one to the next."""
    found = np.unwrap(longitudes, period=360, axis=1)
    return np.asarray(found + np.round((found[:1, :1] - found[:, :1]) / 360) * 360)


def _corners(middles: NDArray[Any]) -> NDArray[Any]:
    """Return the corners of cells, one more along each side, by their middles."""
    wider = np.pad(middles.astype("f8"), 1, "reflect", reflect_type="odd")
    return np.asarray((wider[:-1, :-1] + wider[1:, :-1] + wider[:-1, 1:] + wider[1:, 1:]) / 4)


def _scattered(axes: Any, look: Look, source: Source) -> None:
    """Draw cells or points at their latitudes and longitudes."""
    colours = shades(look.subject, source.array(look.path), look.values)
    values = _numbered(look.values, colours)
    across: Any = look.horizontal
    down: Any = look.vertical
    common = {**_scaled(colours), "rasterized": True}
    if values.ndim == 2:
        edges = _corners(_unwrapped(across)), _corners(down)
        # Cells that reach over half the map are those where a grid is folded.
        wide = np.abs(np.diff(edges[0], axis=1)[:-1]) > _FOLDED
        drawn = axes.pcolormesh(*edges, np.where(wide, np.nan, values), **common)
    else:
        size = min(30.0, max(0.5, 60_000 / max(values.size, 1)))
        drawn = axes.scatter(across, down, c=values, s=size, linewidths=0, **common)
    _scale(axes, drawn, colours, look.subject.units)
    axes.set_aspect(_stretch(look))
    for axis, edges, role in (
        (axes.xaxis, axes.get_xlim(), "x"),
        (axes.yaxis, axes.get_ylim(), "y"),
    ):
        found = ticks(edges)
        axis.set_ticks(found, [degrees(place, role) for place in found])
    axes.set_xlabel("longitude")
    axes.set_ylabel("latitude")
    _quiet(axes)


def _lines(axes: Any, look: Look, source: Source) -> None:
    subject = look.subject
    axis = subject.axes[subject.drawn[0]]
    chosen = look.region[subject.drawn[0]]
    across = None
    if len(subject.drawn) > 1:
        across = subject.axes[subject.drawn[1]]
        names = source.texts(across, list(range(across.size)))
    for number in range(look.values.shape[1]):
        colour = canvas.PALETTE[number % len(canvas.PALETTE)]
        low, high, at = _envelope(look.values[:, number], chosen)
        if low is not high:
            axes.fill_between(at, low, high, color=colour, linewidth=0.4)
        else:
            label = f"{across.name} {names[number]}"[:24] if across is not None else None
            marker = "o" if at.size < 40 else None
            axes.plot(
                at, low, color=colour, linewidth=1.2, marker=marker, markersize=3, label=label
            )
    if (
        across is not None
        and look.values.shape[1] <= _LEGEND
        and axes.get_legend_handles_labels()[1]
    ):
        axes.legend(frameon=False, fontsize=7.5, ncols=3, labelcolor="linecolor")
    found = ticks((float(chosen[0]), float(chosen[-1])), whole=True, most=4)
    axes.set_xticks(found, source.texts(axis, [round(place) for place in found]))
    axes.set_xlabel((axis.label or axis.name)[:_LABEL])
    axes.set_ylabel(look.subject.units[:_UNITS])
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=2.5, width=0.6)
    axes.grid(axis="y", alpha=0.25, linewidth=0.5)


def _envelope(values: NDArray[Any], chosen: NDArray[Any]) -> tuple[Any, Any, NDArray[Any]]:
    """Return least and greatest of neighbours, the same where all values are drawn."""
    every = -(-values.size // _POINTS)
    if every == 1:
        return values, values, chosen
    count = values.size // every
    parts = values[: count * every].reshape(count, every)
    filled = (
        np.where(np.isnan(parts), np.inf, parts).min(1),
        np.where(np.isnan(parts), -np.inf, parts).max(1),
    )
    low, high = (np.where(np.isfinite(one), one, np.nan) for one in filled)
    return low, high, chosen[every // 2 :: every][:count]

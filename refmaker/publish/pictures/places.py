"""Where a picture lies: its edges, its ticks in degrees, kilometres or pixels, and its aspect."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.publish.pictures.axes import SHORT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from refmaker.publish.pictures.axes import Axis
    from refmaker.publish.pictures.looks import Look
    from refmaker.publish.pictures.source import Source

__all__ = ["Frame", "Scale", "degrees", "frame_of", "ticks"]

_EVEN = 1e-3
"""What places may be off by, as a part of a step, and be called even."""
_TICKS = 5
_STEEP = 3.0
"""Most that latitudes are stretched by."""
_LARGER = {"m": ("km", 1000.0), "µm": ("mm", 1000.0), "nm": ("µm", 1000.0)}
_STRETCH = 20.0
"""Steps of the larger unit from which on it is taken."""


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """One side of a picture.

    Parameters
    ----------
    edges : tuple of float
        Of the first and of the last row or column.
    label : str
        What is along it, with its unit.
    text : callable
        Returns how a place is written.
    at : ndarray, optional
        Which of the rows or columns that were read stand at even distances; None for all.
    ordinal : bool
        Whether places are numbers of rows or columns.
    """

    edges: tuple[float, float]
    label: str
    text: Callable[[float], str]
    at: NDArray[np.int64] | None = None
    ordinal: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Both sides of a picture.

    Parameters
    ----------
    horizontal, vertical : Scale
    aspect : float, optional
        Length of a vertical step by that of a horizontal one; None where they are not comparable.
    upward : bool
        Whether places grow upward, as on maps.
    """

    horizontal: Scale
    vertical: Scale
    aspect: float | None
    upward: bool

    @property
    def ratio(self) -> float | None:
        """Height by width."""
        if self.aspect is None:
            return None
        width, height = (
            abs(scale.edges[1] - scale.edges[0]) for scale in (self.horizontal, self.vertical)
        )
        return height * self.aspect / width if width else None


def frame_of(look: Look, source: Source) -> Frame:
    """Return the frame of a look at rows and columns."""
    subject = look.subject
    row, column = (subject.axes[at] for at in subject.drawn[:2])
    spatial = {row.role, column.role} <= {"x", "y"} or not (row.coordinate or column.coordinate)
    horizontal = _scale(look, source, column, look.horizontal, subject.drawn[1])
    vertical = _scale(look, source, row, look.vertical, subject.drawn[0])
    located = not horizontal.ordinal and not vertical.ordinal
    aspect = None
    if spatial and horizontal.ordinal == vertical.ordinal:
        aspect = 1.0
        if row.units.startswith("degree") and row.role == "y" and located:
            middle = sum(vertical.edges) / 2
            aspect = min(_STEEP, 1 / max(math.cos(math.radians(min(abs(middle), 89))), 1e-6))
    on_map = subject.kind in ("map", "pyramid") and bool(
        subject.crs or subject.projected or row.units.startswith("degree")
    )
    # The first row of FITS is the lowest (FITS 4.0, section 8.1, by custom).
    upward = row.name.startswith("NAXIS") or (located and (on_map or not spatial))
    return Frame(horizontal, vertical, aspect, upward=upward)


def _scale(look: Look, source: Source, axis: Axis, places: NDArray[Any] | None, at: int) -> Scale:
    chosen = look.region[at]
    count = chosen.size
    if places is None or places.ndim != 1 or axis.role in ("time", "") or count < 2:
        return _numbered(look, source, axis, at)
    step = float(places[-1] - places[0]) / (count - 1)
    monotonic = np.diff(places) * (1 if step > 0 else -1) > 0
    if not step or not monotonic.all():
        return _numbered(look, source, axis, at)
    even = np.linspace(float(places[0]), float(places[-1]), count)
    kept = None
    if np.abs(places - even).max() > abs(step) * _EVEN + np.finfo("f4").eps * np.abs(even).max():
        order = 1 if step > 0 else -1
        middles = (places[1:] + places[:-1])[::order] / 2
        kept = np.searchsorted(middles, even[::order])[::order]
        kept = kept if order > 0 else count - 1 - kept
    edges = float(places[0]) - step / 2, float(places[-1]) + step / 2
    label, text = _written(axis, abs(edges[1] - edges[0]))
    return Scale(edges, label, text, kept)


def _numbered(look: Look, source: Source, axis: Axis, at: int) -> Scale:
    """Return a scale by numbers of rows or columns, or by what stands at them."""
    chosen = look.region[at]
    every = float(chosen[1] - chosen[0]) if chosen.size > 1 else 1.0
    # Of a level they are counted as those of the largest.
    factor = axis.size / max(source.array(look.path).shape[at], 1)
    ends = chosen[0] - every / 2, chosen[-1] + every / 2
    edges = ((ends[0] + 0.5) * factor - 0.5, (ends[1] + 0.5) * factor - 0.5)
    if axis.coordinate and axis.role not in ("x", "y"):

        def written(place: float) -> str:
            inside = min(max(round(place), 0), axis.size - 1)
            return source.texts(axis, [inside])[0]

        return Scale(edges, axis.label or axis.name, written, ordinal=True)
    name = {"x": "column", "y": "row"}.get(axis.role, axis.name)
    return Scale(edges, name, lambda place: f"{place:,.0f}", ordinal=True)


def _written(axis: Axis, span: float) -> tuple[str, Callable[[float], str]]:
    """Return the label of places with units, and how one is written."""
    if axis.units.startswith("degree"):
        plain = axis.label not in ("latitude", "longitude", axis.name) and "grid" in axis.label
        name = axis.label.replace("_", " ") if axis.label else axis.name
        signs = "" if plain or axis.role not in ("x", "y") else axis.role
        return name, lambda place: degrees(place, signs)
    unit = SHORT.get(axis.units, axis.units)
    larger, factor = _LARGER.get(unit, (unit, 1.0))
    if factor == 1.0 or span < _STRETCH * factor:
        larger, factor = unit, 1.0
    name = axis.role if axis.role in ("x", "y") else axis.label or axis.name
    label = f"{name} [{larger}]" if larger else name
    return label, lambda place: f"{place / factor:,.9g}"


def degrees(place: float, role: str = "") -> str:
    """Return an angle; a longitude or latitude with its direction."""
    if role == "x":
        place = (place + 180) % 360 - 180 if abs(place) > 180 else place
        side = "" if place in (0, 180, -180) else "E" if place > 0 else "W"
    elif role == "y":
        side = "" if place == 0 else "N" if place > 0 else "S"
    else:
        return f"{place:.6g}°"
    return f"{abs(place):.6g}°{side}"


def ticks(edges: Sequence[float], *, whole: bool = False, most: int = _TICKS) -> list[float]:
    """Return round places between edges."""
    from matplotlib.ticker import MaxNLocator

    low, high = min(edges), max(edges)
    found = MaxNLocator(most, integer=whole, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return [float(place) for place in found if low <= place <= high]

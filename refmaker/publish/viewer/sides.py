"""Rows and columns of a picture: where they lie, and which end is on top or left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.publish.pictures.axes import Axis
    from refmaker.publish.pictures.subjects import Subject
    from refmaker.publish.viewer.contents import Contents
    from refmaker.publish.viewer.points import PointGrid

__all__ = ["Side", "sides"]

_EVEN = 1e-3
"""What places may be off by, as a part of a step, and be called even."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Rows, or columns.

    Parameters
    ----------
    dim : str
        Name of the dimension; empty if there is one row only.
    size : int
        How many there are.
    label, units : str
        What is along them.
    role : str
        ``x``, ``y``, ``z``, ``time`` or empty.
    flip : bool
        Whether the last one stored is on top, or on the left.
    places : (float, float), optional
        First place and step, if places are at even distances.
    """

    dim: str = ""
    size: int = 1
    label: str = ""
    units: str = ""
    role: str = ""
    flip: bool = False
    places: tuple[float, float] | None = None

    def about(self) -> dict[str, Any]:
        """Return what the page has to know, as JSON values."""
        names = ("dim", "size", "label", "units", "role", "flip", "places")
        return {name: getattr(self, name) for name in names}


def sides(contents: Contents, subject: Subject, points: PointGrid | None) -> tuple[Side, Side]:
    """Return the rows and the columns of a subject.

    Parameters
    ----------
    contents : Contents
        The set.
    subject : Subject
        What is drawn.
    points : PointGrid, optional
        The cells that stand for its points.
    """
    if points is not None:
        return _of_cells(points, 0), _of_cells(points, 1)
    drawn = [subject.axes[at] for at in subject.drawn[:2]]
    if len(drawn) < 2:
        return Side(), _side(contents, drawn[0], flip=False)
    down, leftward = _turned(contents, subject)
    found = []
    for axis, turned in zip(drawn, (down, leftward), strict=True):
        even = _places(contents, axis)
        # Latitudes and northings rise to the top, eastings to the right; rows of images and
        # levels are as they are stored.
        located = subject.kind == "map" or bool(subject.crs) or axis.units.startswith("degree")
        ground = located and even is not None
        wrong = even is not None and (even[1] > 0 if axis.role == "y" else even[1] < 0)
        found.append(_side(contents, axis, flip=turned or (ground and wrong)))
    return found[0], found[1]


def _side(contents: Contents, axis: Axis, *, flip: bool) -> Side:
    return Side(
        dim=axis.name,
        size=axis.size,
        label=(axis.label or axis.name).replace("_", " "),
        units=axis.units,
        role=axis.role,
        flip=flip,
        places=_places(contents, axis),
    )


def _of_cells(points: PointGrid, which: int) -> Side:
    first, step = points.places(which)
    return Side(
        size=points.size[which],
        label=("latitude", "longitude")[which],
        units=("degrees_north", "degrees_east")[which],
        role="yx"[which],
        flip=which == 0,
        places=(first, step),
    )


def _places(contents: Contents, axis: Axis) -> tuple[float, float] | None:
    """Return the first place and the step of numbers at even distances; not of times."""
    known = contents.source.coordinate(axis.coordinate)
    if known is None or known.ndim != 1 or known.dtype.kind not in "iuf" or known.size < 2:
        return None
    if axis.role == "time" or not np.isfinite(known).all():
        return None
    values: NDArray[Any] = known.astype("f8")
    step = float(values[-1] - values[0]) / (values.size - 1)
    off = np.abs(values - (values[0] + step * np.arange(values.size))).max()
    rounding = float(np.finfo("f4").eps) * float(np.abs(values).max())
    even = step != 0 and off <= abs(step) * _EVEN + rounding
    return (float(values[0]), step) if even else None


def _turned(contents: Contents, subject: Subject) -> tuple[bool, bool]:
    """Whether latitudes over rows and columns rise downwards, and longitudes to the left."""
    if subject.ground is None:
        return False, False
    rises = []
    for which, path in enumerate(subject.ground):
        known = contents.source.coordinate(path)
        if known is None or known.ndim != 2:
            return False, False
        names = contents.source.array(path).dimension_names or ()
        dim = subject.axes[subject.drawn[which]].name
        line = np.moveaxis(known, names.index(dim), 0)[:, known.shape[1 - names.index(dim)] // 2]
        rises.append(bool(line[-1] > line[0]))
    return rises[0], not rises[1]

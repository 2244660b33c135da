"""What is read of a subject to be drawn: values, where they are, and which part of the whole."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import LimitError
from refmaker.publish.pictures.budget import cost_of
from refmaker.publish.pictures.compositing import coloured
from refmaker.publish.pictures.palettes import painted
from refmaker.publish.pictures.regions import middle, window

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.publish.pictures.source import Source
    from refmaker.publish.pictures.subjects import Subject

__all__ = ["Look", "default_places", "look_at"]

PIXELS = 448
"""Values along a side that are drawn, within a half."""
_PANELS = 12
"""Planes of a stack that are drawn."""
_POINTS = 20_000
"""Points of a map that are drawn, and values of a line that are looked at for each of them."""
_ROWS = 8
"""Rows of a table."""
_LONGEST = 1 << 22
"""Elements along a dimension that are looked at."""

Region = list["NDArray[np.int64]"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Look:
    """What was read of a subject.

    Parameters
    ----------
    subject : Subject
        Of which it is.
    values : ndarray
        As they are meant, missing ones NaN: (rows, columns); (rows, columns, 3) of bytes for
        colours; (planes, rows, columns) of a montage; (n,) of points; (n, lines) of lines. Empty
        for a table.
    region : tuple of ndarray of int64
        For each dimension of the array the elements that were read.
    path : str
        Of the array: of a pyramid that of the level.
    places : tuple of (str, str)
        Names of the other dimensions, and where along them.
    part : str
        Which part of the whole it is; empty where it is all of it.
    every : tuple of int
        Of how many rows and columns one is drawn; of points and lines of how many of them.
    horizontal, vertical : ndarray, optional
        Places of columns and rows, or of points, or of the values of lines; over both dimensions
        where the map is curvilinear.
    panels : tuple of str
        Where each plane of a montage is.
    rows : tuple of tuple of str
        Of a table: names of columns, then the rows.
    """

    subject: Subject
    values: NDArray[Any]
    region: tuple[NDArray[np.int64], ...] = ()
    path: str = ""
    places: tuple[tuple[str, str], ...] = ()
    part: str = ""
    every: tuple[int, int] = (1, 1)
    horizontal: NDArray[Any] | None = None
    vertical: NDArray[Any] | None = None
    panels: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = field(default=())


def default_places(subject: Subject, source: Source) -> dict[str, int]:
    """Return the middle along every free dimension, or what is near it where no chunk is."""
    if not subject.axes:
        return {}
    array = source.array(subject.path)
    centre = [n // 2 for n in array.chunks.grid]
    present = array.chunks.numbers()
    if present.size and array.chunks.absent:
        middle = int(np.ravel_multi_index(centre, array.chunks.grid))
        nearest = int(present[np.abs(present.astype(np.int64) - middle).argmin()])
        centre = [int(at) for at in np.unravel_index(nearest, array.chunks.grid)]
    region = array.region(centre)
    return {
        axis.name: min((part.start + part.stop) // 2, axis.size - 1)
        for axis, part in zip(subject.axes, region, strict=True)
        if axis.name in subject.free
    }


def look_at(
    subject: Subject,
    source: Source,
    selection: Mapping[str, int] | None = None,
    *,
    pixels: int = PIXELS,
) -> Look:
    """Read what shows a subject.

    Parameters
    ----------
    subject : Subject
        One of `subjects`.
    source : Source
        The set, and what may be read of it.
    selection : mapping of str to int, optional
        Places along `Subject.free`; where there is none, the middle.
    pixels : int
        Values along a side that are enough: it decides about levels and what is left out.

    Raises
    ------
    LimitError
        If even a small part costs more than may be read.
    Exception
        Whatever reading may raise.
    """
    if subject.kind == "table":
        return _rows(subject, source)
    chosen = {**default_places(subject, source), **(selection or {})}
    if subject.kind == "lines":
        return _lines(subject, source, chosen)
    if subject.kind == "points":
        return _points(subject, source, chosen)
    return _plane(subject, source, chosen, pixels)


def _fixed(subject: Subject, chosen: Mapping[str, int]) -> Region:
    """Return the region of one element along each axis that is chosen, all along the others."""
    region = []
    for axis in subject.axes:
        if axis.name in subject.free:
            at = int(chosen[axis.name])
            if not -axis.size <= at < axis.size:
                raise IndexError(f"place {at} along {axis.name}, which has {axis.size}")
            region.append(np.array([at % axis.size]))
        else:
            region.append(middle(axis.size, _LONGEST))
    return region


def _told(subject: Subject, source: Source, region: Sequence[NDArray[np.int64]]) -> Any:
    """Return where along the dimensions that are not drawn."""
    return tuple(
        (axis.name, source.texts(axis, [int(region[at][0])])[0])
        for at, axis in enumerate(subject.axes)
        if axis.name in subject.free
    )


def _level(subject: Subject, source: Source, pixels: int) -> str:
    """Return the smallest level with as many pixels as are wanted."""
    rows, columns = subject.drawn[:2]
    for path in reversed(subject.levels):
        shape = source.array(path).shape
        if max(shape[rows], shape[columns]) >= pixels:
            return path
    return subject.levels[0] if subject.levels else subject.path


def _plane(subject: Subject, source: Source, chosen: Mapping[str, int], pixels: int) -> Look:
    path = _level(subject, source, pixels)
    array = source.array(path)
    region = _fixed(subject, chosen)
    drawn = subject.drawn[0], subject.drawn[1]
    for axis in drawn:
        region[axis] = middle(array.shape[axis], _LONGEST)
    stack = len(subject.drawn) == 3
    if stack:
        size = array.shape[subject.drawn[2]]
        count = min(size, _PANELS)
        pixels = max(pixels // 3, 64)
        region[subject.drawn[2]] = np.unique(np.linspace(0, size - 1, count).round().astype(int))
    part = window(array, region, drawn, source.budget, pixels, alike=stack)
    values = source.meant(path, part.region)
    order = [*subject.drawn[2:], *drawn, *([] if subject.colours is None else [subject.colours])]
    kept = _arranged(values, order)
    if subject.colours is not None and not stack:
        region, kept = part.blended(kept, drawn)
    else:
        region, kept = part.kept(kept, drawn, first=len(subject.drawn) - 2)
    look = Look(
        subject=subject,
        values=kept,
        region=tuple(region),
        path=path,
        places=_told(subject, source, region),
        part=part.part,
        every=part.every,
    )
    if subject.colours is not None:
        look = replace(look, values=coloured(subject, array, kept))
    elif (colours := painted(source, path, kept)) is not None:
        look = replace(look, values=colours)
    look = _placed(look, source)
    if not stack:
        return look
    planes = subject.axes[subject.drawn[2]]
    return replace(look, panels=tuple(source.texts(planes, region[subject.drawn[2]].tolist())))


def _arranged(values: NDArray[Any], order: Sequence[int]) -> NDArray[Any]:
    """Return values over some of their axes, in this order; the others have one element."""
    rest = [axis for axis in range(values.ndim) if axis not in order]
    return values.transpose([*rest, *order]).reshape([values.shape[axis] for axis in order])


def _placed(look: Look, source: Source) -> Look:
    """Return a look with the places of its rows and columns."""
    subject = look.subject
    rows, columns = subject.drawn[:2]
    if subject.ground is not None:
        found = [source.coordinate(path) for path in subject.ground]
        shape = tuple(source.array(look.path).shape[axis] for axis in (rows, columns))
        if all(one is not None and one.shape == shape for one in found):
            at = np.ix_(look.region[rows], look.region[columns])
            vertical, horizontal = (np.asarray(one)[at] for one in found)
            return replace(look, horizontal=horizontal, vertical=vertical)
    return replace(
        look,
        horizontal=_along(look, source, columns),
        vertical=_along(look, source, rows),
    )


def _along(look: Look, source: Source, axis: int) -> NDArray[Any] | None:
    """Return the places along a dimension; those of a level, which may stand beside it."""
    known = look.subject.axes[axis]
    chosen = look.region[axis]
    size = source.array(look.path).shape[axis]
    if look.path != look.subject.path and known.coordinate:
        beside = source.beside(look.path, known.coordinate.rpartition("/")[2])
        values = _numbers(source, beside or "", size)
        if values is not None:
            return values[chosen] if np.isfinite(values[chosen]).all() else None
    values = _numbers(source, known.coordinate, known.size)
    if values is None:
        return None
    # Middles of a level's pixels, counted in those of the largest.
    middles = (chosen + 0.5) * (known.size / size) - 0.5
    found: NDArray[Any] = np.interp(middles, np.arange(known.size), values)
    return found if np.isfinite(found).all() else None


def _numbers(source: Source, path: str, size: int) -> NDArray[Any] | None:
    """Return the values of a coordinate of this size, if they are numbers."""
    values = source.coordinate(path)
    if values is None or values.dtype.kind not in "iuf" or values.shape != (size,):
        return None
    return values


def _lines(subject: Subject, source: Source, chosen: Mapping[str, int]) -> Look:
    array = source.array(subject.path)
    axis = subject.drawn[0]
    region = _fixed(subject, chosen)
    while not source.budget.allows(cost := cost_of(array, region)):
        span = region[axis].size // 2
        if span < array.chunk_shape[axis] // 2 or span < 1:
            source.budget.take(cost)
        region[axis] = middle(array.shape[axis], span)
    count = region[axis].size
    part = f"the middle {count:,} of {array.shape[axis]:,}" if count < array.shape[axis] else ""
    values = _arranged(source.meant(subject.path, region), subject.drawn)
    return Look(
        subject=subject,
        values=values.reshape(len(values), -1),
        region=tuple(region),
        path=subject.path,
        places=_told(subject, source, region),
        part=part,
    )


def _points(subject: Subject, source: Source, chosen: Mapping[str, int]) -> Look:
    (axis,) = subject.drawn
    region = _fixed(subject, chosen)
    found = [source.coordinate(path) for path in subject.ground or ()]
    if any(one is None or one.shape != region[axis].shape for one in found):
        raise LimitError(
            f"to know where its {subject.axes[axis].size:,} points lie, too much had to be read"
        )
    values = _arranged(source.meant(subject.path, region), [axis])
    every = max(1, -(-values.size // _POINTS))
    vertical, horizontal = (np.asarray(one)[::every] for one in found)
    return Look(
        subject=subject,
        values=values[::every],
        region=tuple(region),
        path=subject.path,
        places=_told(subject, source, region),
        every=(every, every),
        horizontal=horizontal,
        vertical=vertical,
    )


def _rows(subject: Subject, source: Source) -> Look:
    """Return the first rows of a table."""
    names: list[str] = []
    columns: list[list[str]] = []
    for path in subject.columns or (subject.path,):
        array = source.array(path)
        region = [np.arange(min(array.shape[0], _ROWS))]
        numbers = array.dtype.kind in "iuf"
        values = source.meant(path, region) if numbers else source.read(path, region)
        fields = values.dtype.names
        if fields is None:
            names.append(path.rpartition("/")[2])
            columns.append([_cell(value) for value in values])
            continue
        for name in fields:
            names.append(name)
            columns.append([_cell(value) for value in values[name]])
    count = max(source.array(path).shape[0] for path in subject.columns or (subject.path,))
    rows = tuple(zip(*columns, strict=True))
    part = f"the first {len(rows):,} of {count:,} rows" if count > len(rows) else ""
    return Look(subject=subject, values=np.empty(0), rows=(tuple(names), *rows), part=part)


def _cell(value: Any) -> str:
    """Return a value of a table as a text that fits."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, float | np.floating):
        value = "missing" if math.isnan(value) else f"{value:.9g}"
    if isinstance(value, np.ndarray):
        value = f"{value.dtype} {math.prod(value.shape)}" if value.size > 8 else value.tolist()
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

"""A variable as it is looked at: a picture at one place of its other dimensions, values, lines."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import UnsupportedError
from refmaker.model.attributes import text_of
from refmaker.publish.pictures.colours import kinds_of, shades
from refmaker.publish.pictures.compositing import coloured as composed
from refmaker.publish.pictures.palettes import painted
from refmaker.publish.viewer.colours import by_kind, coloured, kind_colour
from refmaker.publish.viewer.labels import is_time, value_text, value_texts
from refmaker.publish.viewer.regions import LOOK, means_itself
from refmaker.publish.viewer.sides import sides

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.model import Array
    from refmaker.publish.viewer.contents import Contents
    from refmaker.publish.viewer.points import PointGrid

__all__ = ["KINDS", "PIXELS", "Scene"]

KINDS = "kinds"
"""Colours of values that stand for kinds of cells."""
PIXELS = 1600
"""Values along a side that are drawn; of more, every second, third, ..."""
_SAMPLES = 4
"""Places along the other dimensions from which a range of values is learnt."""
_SECONDS = 1.0
"""Until no further place is asked."""
_SAMPLE_BYTES = 32 * 1024**2
_LABELS = 1000
_LABEL = 40
"""Letters of the name of a dimension, beyond which the shorter one is taken."""
_VALUES = 2000
"""Values of a line."""
_CHUNKS = 1024
"""Chunks of a line."""
_AROUND = 8
"""Coordinates whose values are told at a place."""
_SHADES = {"RdBu_r": "blue to red", "gray": "grey", "gray_r": "grey, inverted"}

Ends = tuple[int, int]


class Scene:
    """A variable with rows and columns, and places chosen along its other dimensions.

    Parameters
    ----------
    contents : Contents
        The set.
    path : str
        Of the array.

    Raises
    ------
    UnsupportedError
        If no picture can be made of it.
    Exception
        Whatever reading its coordinates may raise.
    """

    def __init__(self, contents: Contents, path: str) -> None:
        subject = contents.subjects.get(path)
        if subject is None or not subject.drawn:
            raise UnsupportedError("no picture is made of it", path=path or "/")
        self.contents, self.path, self.subject = contents, path, subject
        self.array: Array = contents.source.array(path)
        self.sizes = {axis.name: axis.size for axis in subject.axes}
        self.dims = list(self.sizes)
        if len(self.dims) < len(subject.axes):
            raise UnsupportedError("it has two dimensions of the same name", path=path)
        self.drawn = [self.dims[at] for at in subject.drawn[:2]]
        self.points: PointGrid | None = None
        if subject.kind == "points" and subject.ground:
            self.points = contents.point_grid(subject.ground)
        # Channels that the file gives colours are put together by the viewer of volumes.
        rgb = subject.colours is not None and not subject.channels and self._are_colours()
        self.colours = self.dims[subject.colours] if rgb and subject.colours is not None else None
        none = np.empty(0)
        self.painted = self.colours is None and painted(contents.source, path, none) is not None
        self.sliders = [dim for dim in self.dims if dim not in (*self.drawn, self.colours)]
        self.rows, self.columns = sides(contents, subject, self.points)

    def about(self) -> dict[str, Any]:
        """Return what the page has to know, as JSON values."""
        low, high, colours = self._shades()
        kinds = enumerate(kinds_of(self.array))
        return {
            "path": self.path,
            "kind": self.subject.kind,
            "title": self.subject.title,
            "units": self.subject.units,
            "crs": self.subject.crs,
            "dtype": str(self.array.dtype),
            "shape": list(self.sizes.items()),
            "sliders": [self._slider(dim) for dim in self.sliders],
            "rows": self.rows.about(),
            "columns": self.columns.about(),
            "part": self.window(LOOK.decoded),
            "line": len(self.drawn) < 2 and self.points is None,
            "rgb": self.colours is not None or self.painted,
            "low": low,
            "high": high,
            "colours": colours,
            "kinds": [
                [value, name.replace("_", " "), kind_colour(at)] for at, (value, name) in kinds
            ],
        }

    def window(self, nbytes: int) -> list[Ends | None]:
        """Return rows and columns, in the middle, whose chunks hold no more than so many bytes."""
        if self.points is not None or len(self.drawn) < 2 or len(self.subject.levels) > 1:
            return [None, None]
        chunks = dict(zip(self.dims, self.array.chunk_shape, strict=True))
        rest = self.array.dtype.itemsize * math.prod(
            chunks[dim] if dim != self.colours else self.sizes[dim]
            for dim in self.dims
            if dim not in self.drawn
        )
        whole = [(0, self.sizes[dim]) for dim in self.drawn]
        ends = list(whole)
        while True:
            spans = [
                -(-stop // chunks[dim]) * chunks[dim] - start // chunks[dim] * chunks[dim]
                for (start, stop), dim in zip(ends, self.drawn, strict=True)
            ]
            # The longer side first, by an eighth at each end.
            wide = int(ends[1][1] - ends[1][0] >= ends[0][1] - ends[0][0])
            start, stop = ends[wide]
            if math.prod(spans) * rest <= nbytes or stop - start < 2:
                return [None if ends == whole else one for one in ends]
            cut = max(1, (stop - start) // 8)
            ends[wide] = start + cut, max(stop - cut, start + cut + 1)

    def values(
        self,
        at: Mapping[str, int],
        rows: Ends | None = None,
        columns: Ends | None = None,
        *,
        most: int = PIXELS,
    ) -> NDArray[Any]:
        """Return the values of a picture, as stored: first row first, every so many.

        Parameters
        ----------
        at : mapping of str to int
            Places along the other dimensions.
        rows, columns : (int, int), optional
            First and last but one; by default all of them.
        most : int
            Values along a side.

        Returns
        -------
        ndarray of float64, shape (rows, columns) or (rows, columns, colours)
            Of what is one line of values, one row.
        """
        index: dict[str, int | slice] = dict(self._checked(at))
        if self.points is not None:
            return self.points.picture(self._read(index))
        ends = [(0, self.sizes[dim]) for dim in self.drawn]
        for which, asked in enumerate((rows, columns)[-len(ends) :]):
            ends[which] = asked or ends[which]
            start, stop = ends[which]
            if not 0 <= start < stop <= self.sizes[self.drawn[which]]:
                raise UnsupportedError(f"there are no {start} to {stop} along {self.drawn[which]}")
        path = self._level([stop - start for start, stop in ends], most)
        shape = dict(zip(self.dims, self.contents.source.array(path).shape, strict=True))
        for dim, (start, stop) in zip(self.drawn, ends, strict=True):
            smaller = self.sizes[dim] / shape[dim]
            first, last = int(start / smaller), min(math.ceil(stop / smaller), shape[dim])
            index[dim] = slice(first, last, max(1, -(-(last - first) // most)))
        kept = [dim for dim in self.dims if dim not in self.sliders]
        order = self.drawn if self.colours is None else [*self.drawn, self.colours]
        found = self._read(index, path).transpose([kept.index(dim) for dim in order])
        return found[None] if len(self.drawn) < 2 else found

    def _level(self, extents: Sequence[int], most: int) -> str:
        """Return the smallest level of a pyramid that has half as many values as are drawn."""
        for path in reversed(self.subject.levels[1:]):
            shape = dict(zip(self.dims, self.contents.source.array(path).shape, strict=True))
            left = [
                extent * shape[dim] / self.sizes[dim]
                for dim, extent in zip(self.drawn, extents, strict=True)
            ]
            if max(left) >= most / 2:
                return path
        return self.path

    def picture(
        self,
        at: Mapping[str, int],
        rows: Ends | None,
        columns: Ends | None,
        limits: tuple[float, float],
        colours: str,
    ) -> NDArray[np.uint8]:
        """Return a picture as it is seen, north on top.

        Parameters
        ----------
        at, rows, columns
            As for `values`.
        limits : (float, float)
            Values of the first and the last colour.
        colours : str
            Name of a map of colours.

        Returns
        -------
        ndarray of uint8, shape (rows, columns, 3 or 4)
            Red, green, blue, opacity.
        """
        values = self.values(at, rows, columns)
        palette = painted(self.contents.source, self.path, values) if self.painted else None
        if palette is not None:
            pixels = palette
        elif self.colours is not None:
            pixels = composed(self.subject, self.array, values)
        elif colours == KINDS:
            pixels = by_kind(values, [value for value, _ in kinds_of(self.array)])
        else:
            pixels = coloured(values, *limits, colours)
        return pixels[:: -1 if self.rows.flip else 1, :: -1 if self.columns.flip else 1]

    def value(self, at: Mapping[str, int], row: int, column: int) -> dict[str, Any]:
        """Return what is at a place: the value, and the coordinates there."""
        index = self._place(at, row, column)
        found = self._read(index, meant=not means_itself(self.array))
        shown = ", ".join(map(value_text, np.atleast_1d(found)))
        return {"value": shown, "places": list(self._places(index))}

    def series(
        self, dim: str, at: Mapping[str, int], row: int | None = None, column: int | None = None
    ) -> dict[str, Any]:
        """Return values along a dimension, at a place of the picture.

        Of more values, or chunks, than are drawn at once every so many are read.
        """
        if dim not in self.dims:
            raise UnsupportedError(f"there is no dimension {dim}", path=self.path)
        index: dict[str, int | slice] = dict(self._checked(at))
        if row is not None and column is not None:
            index |= self._place(at, row, column)
        if self.colours is not None:
            index[self.colours] = 0
        step = self._stride(dim)
        index[dim] = slice(0, self.sizes[dim], step)
        values = self._read(index).tolist()
        axis = self.subject.axes[self.dims.index(dim)]
        return {
            **self._slider(dim),
            "counted": not axis.coordinate,
            "step": step,
            "values": [value if math.isfinite(value) else None for value in values],
            "labels": self.contents.source.texts(axis, range(0, self.sizes[dim], step)),
        }

    def names(self, dim: str, start: int) -> dict[str, Any]:
        """Return what up to 1,000 places along a dimension are called."""
        if dim not in self.dims or start < 0:
            raise UnsupportedError(f"there is no dimension {dim}", path=self.path)
        axis = self.subject.axes[self.dims.index(dim)]
        places = range(start, min(start + _LABELS, axis.size))
        return {"start": start, "labels": self.contents.source.texts(axis, places)}

    def caption(self, at: Mapping[str, int]) -> list[tuple[str, str]]:
        """Return times that follow from the chosen places, such as when a forecast is valid."""
        chosen = self._checked(at)
        found = []
        for path, array in self._beside():
            dims = array.dimension_names or ()
            if is_time(array.attributes) and set(dims) <= set(chosen) and dims != tuple(self.dims):
                value = self.contents.regions.read(path, [chosen[dim] for dim in dims])
                text = value_texts(np.atleast_1d(value), array.attributes)[0]
                found.append((path.rpartition("/")[2], text))
        return found[:_AROUND]

    def _read(
        self, index: Mapping[str, int | slice], path: str = "", *, meant: bool = True
    ) -> NDArray[Any]:
        parts = [index.get(dim, slice(None)) for dim in self.dims]
        return self.contents.regions.read(path or self.path, parts, meant=meant)

    def _are_colours(self) -> bool:
        subject = self.subject
        if subject.colours is None or self.array.dtype.kind != "u":
            return False
        return len(subject.axes) > 2 and subject.axes[subject.colours].size in (3, 4)

    def _checked(self, at: Mapping[str, int]) -> dict[str, int]:
        """Return places along the other dimensions, each of which has to be there."""
        for dim, place in at.items():
            if not 0 <= place < self.sizes.get(dim, 0):
                raise UnsupportedError(f"there is no {place} along {dim}", path=self.path)
        return {dim: at.get(dim, 0) for dim in self.sliders}

    def _place(self, at: Mapping[str, int], row: int, column: int) -> dict[str, int]:
        index = self._checked(at)
        if self.points is not None:
            point = self.points.nearest(row, column)
            if point < 0:
                raise UnsupportedError("there is no point near this place", path=self.path)
            return {**index, self.drawn[0]: point}
        places = [column] if len(self.drawn) < 2 else [row, column]
        for dim, place in zip(self.drawn, places, strict=True):
            if not 0 <= place < self.sizes[dim]:
                raise UnsupportedError(f"there is no {place} along {dim}", path=self.path)
            index[dim] = place
        return index

    def _places(self, index: Mapping[str, int]) -> Iterator[tuple[str, str]]:
        """Yield the coordinates of rows and columns at a place, and those over both."""
        for dim in self.drawn:
            axis = self.subject.axes[self.dims.index(dim)]
            known = self.contents.source.coordinate(axis.coordinate)
            if known is not None:
                attributes = self.contents.source.array(axis.coordinate).attributes
                degrees = axis.units.startswith("degree")
                yield (
                    axis.name,
                    (
                        value_texts(known[index[dim]][None], attributes)[0]
                        if degrees
                        else self.contents.source.texts(axis, [index[dim]])[0]
                    ),
                )
        for path in self.subject.ground or ():
            array = self.contents.source.array(path)
            parts = [index[dim] for dim in array.dimension_names or ()]
            value = self.contents.regions.read(path, parts)
            text = value_texts(np.atleast_1d(value), array.attributes)[0]
            yield path.rpartition("/")[2], text

    def _beside(self) -> Iterator[tuple[str, Array]]:
        """Yield the arrays that the attribute ``coordinates`` names, and times of validity."""
        home = self.contents.around.groups[self.path.rpartition("/")[0]]
        named = text_of(self.array.attributes, "coordinates") or text_of(
            home.attributes, "coordinates"
        )
        for name in dict.fromkeys([*named.split(), "time", "valid_time"]):
            found = self.contents.around.find(self.path, name)
            if found is not None and name not in self.dims:
                yield found

    def _slider(self, dim: str) -> dict[str, Any]:
        axis = self.subject.axes[self.dims.index(dim)]
        at = axis.size // 2 if axis.role == "z" and self.subject.kind == "montage" else 0
        label = axis.label if 0 < len(axis.label) <= _LABEL else axis.name
        label = label.replace("_", " ")
        return {"dim": dim, "size": axis.size, "label": label, "at": at}

    def _shades(self) -> tuple[float, float, str]:
        """Return the range of values, learnt from a few places, and colours for it."""
        if self.colours is not None or self.painted:
            return 0.0, 1.0, "grey"
        if kinds_of(self.array):
            return 0.0, 1.0, KINDS
        rows, columns = self.window(_SAMPLE_BYTES)
        parts = np.linspace(0, 1, _SAMPLES if self.sliders else 1)
        places = [
            {dim: round(part * (self.sizes[dim] - 1)) for dim in self.sliders} for part in parts
        ]
        sampled: list[NDArray[Any]] = []
        end = time.monotonic() + _SECONDS
        for number, at in enumerate(places):
            if at in places[:number] or (sampled and time.monotonic() > end):
                continue
            sampled.append(self.values(at, rows, columns, most=PIXELS // 4).reshape(-1))
        found = shades(self.subject, self.array, np.concatenate(sampled))
        return found.low, found.high, _SHADES.get(found.map, found.map)

    def _stride(self, dim: str) -> int:
        """Return of how many values along a dimension one is read."""
        axis = self.dims.index(dim)
        chunk = self.array.chunk_shape[axis]
        nbytes = math.prod(self.array.chunk_shape) * self.array.dtype.itemsize
        chunks = -(-self.sizes[dim] // chunk)
        allowed = max(1, min(_CHUNKS, LOOK.decoded // max(nbytes, 1)))
        # Less than a chunk apart, every chunk is read all the same.
        by_chunks = -(-chunks // allowed) * chunk if chunks > allowed else 1
        return max(-(-self.sizes[dim] // _VALUES), by_chunks)

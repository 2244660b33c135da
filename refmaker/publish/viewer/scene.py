"""One variable as it is looked at: a picture at one place of its other dimensions, values, lines."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import LimitError, UnsupportedError
from refmaker.publish.images import places
from refmaker.publish.viewer.colours import coloured, limits, suggested
from refmaker.publish.viewer.contents import COLOURS
from refmaker.publish.viewer.labels import labels, value_text, with_units
from refmaker.publish.viewer.points import PointGrid
from refmaker.publish.viewer.regions import READ_BYTES, chunk_sizes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from refmaker.publish.viewer.contents import Contents

__all__ = ["PIXELS", "Scene"]

PIXELS = 1600
"""Values along a side that are drawn; of more, every second, third, ..."""
_SAMPLES = 5
"""Places along the other dimensions from which a range of values is learnt."""
_SAMPLE_BYTES = 32 * 1024**2
_LABELS = 1000
_POINTS = 2000
"""Values of a line."""
_CHUNKS = 1024
"""Chunks of a line."""
_AROUND = 8
"""Coordinates whose values are told at a place."""

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
        Whatever opening it may raise.
    """

    def __init__(self, contents: Contents, path: str) -> None:
        self.contents, self.path = contents, path
        self.subject = contents.subjects.get(path)
        if self.subject is None:
            raise UnsupportedError("no picture is made of it", path=path)
        self.array = contents.array(path)
        if self.array.dtype.kind not in "biufc" or not self.subject.drawn or not self.array.size:
            raise UnsupportedError(f"no picture is made of {self.array.dtype}", path=path)
        self.dims = [str(dim) for dim in self.array.dims]
        self.drawn = [self.dims[at] for at in self.subject.drawn[:2]]
        self.points: PointGrid | None = None
        if self.subject.kind == "points" and self.subject.ground:
            ground = [contents.array(one).to_numpy() for one in self.subject.ground]
            self.points = PointGrid(*ground)
        colours = self.subject.colours
        self.colours: str | None = None
        if colours is not None and not self.subject.channels:
            eight = self.array.dtype.kind == "u" and self.array.shape[colours] in COLOURS
            self.colours = self.dims[colours] if eight else None
        self._turned = self._ground_turned()
        self.sliders = [dim for dim in self.dims if dim not in (*self.drawn, self.colours)]

    def about(self) -> dict[str, Any]:
        """Return what the page has to know, as JSON values."""
        first = {dim: self._size(dim) // 2 if dim == "z" else 0 for dim in self.sliders}
        low, high, colours = self.range()
        subject: Any = self.subject
        return {
            "path": self.path,
            "kind": subject.kind,
            "title": subject.title,
            "units": subject.units,
            "crs": subject.crs,
            "dtype": str(self.contents.member(self.path).dtype),
            "shape": [[dim, self._size(dim)] for dim in self.dims],
            "sliders": [{**self._axis(dim), "at": first[dim]} for dim in self.sliders],
            "rows": self._side(0),
            "columns": self._side(1),
            "line": len(self.drawn) < 2 and self.points is None,
            "rgb": self.colours is not None,
            "part": self.window(),
            "low": low,
            "high": high,
            "colours": colours,
        }

    def range(self) -> tuple[float, float, str]:
        """Return the ends of the range of values, learnt from a few places, and colours for it."""
        told = self._window()
        if told is not None:
            return *told, "grey"
        found = []
        window = self.window(_SAMPLE_BYTES)
        for part in np.linspace(0, 1, _SAMPLES if self.sliders else 1):
            at = {dim: round(part * (self._size(dim) - 1)) for dim in self.sliders}
            values = self.values(at, *window, most=PIXELS // 4).reshape(-1)
            found.append(np.abs(values) if values.dtype.kind == "c" else values)
        ends = limits(np.concatenate(found))
        if ends is None:
            return 0.0, 1.0, "viridis"
        image = self.subject is not None and self.subject.kind in ("image", "montage", "pyramid")
        geographic = self.subject is not None and bool(self.subject.crs)
        return (*ends, "grey") if image and not geographic else suggested(*ends)

    def window(self, nbytes: int = READ_BYTES) -> list[Ends | None]:
        """Return rows and columns, in the middle, whose chunks hold no more than so many bytes."""
        if self.points is not None or len(self.drawn) < 2:
            return [None, None]
        sizes = dict(zip(self.dims, chunk_sizes(self.array), strict=True))
        rest = math.prod(
            min(sizes[dim], self._size(dim)) for dim in self.dims if dim not in self.drawn
        ) * max(self.array.dtype.itemsize, 1)
        ends = [(0, self._size(dim)) for dim in self.drawn]
        whole = list(ends)
        while True:
            spans = [
                min(-(-stop // sizes[dim]) * sizes[dim], self._size(dim))
                - start // sizes[dim] * sizes[dim]
                for (start, stop), dim in zip(ends, self.drawn, strict=True)
            ]
            if math.prod(spans) * rest <= nbytes:
                return [None if ends == whole else one for one in ends]
            # The longer side first, by an eighth at each end.
            wide = int(ends[1][1] - ends[1][0] >= ends[0][1] - ends[0][0])
            start, stop = ends[wide]
            if stop - start < 2:
                return [None if ends == whole else one for one in ends]
            cut = max(1, (stop - start) // 8)
            ends[wide] = start + cut, max(stop - cut, start + cut + 1)

    def values(
        self,
        at: Mapping[str, int],
        rows: Ends | None = None,
        columns: Ends | None = None,
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
        ndarray, shape (rows, columns) or (rows, columns, colours)
            Of what is one line of values, one row.
        """
        index: dict[Any, Any] = dict(self._checked(at))
        if self.points is not None:
            line = self._read(index)
            return self.points.picture(line)
        for dim, ends in zip(self.drawn[::-1], (columns, rows), strict=False):
            start, stop = ends or (0, self._size(dim))
            if not 0 <= start < stop <= self._size(dim):
                raise UnsupportedError(f"there are no {start} to {stop} along {dim}")
            index[dim] = slice(start, stop, max(1, -(-(stop - start) // most)))
        found = self._read(index)
        kept = [dim for dim in self.dims if dim not in self.sliders]
        if self.colours is not None:
            order = [*self.drawn, self.colours]
        else:
            order = self.drawn
        found = found.transpose([kept.index(dim) for dim in order])
        return found[None] if len(self.drawn) < 2 else found

    def picture(
        self,
        at: Mapping[str, int],
        *,
        rows: Ends | None = None,
        columns: Ends | None = None,
        low: float,
        high: float,
        colours: str,
    ) -> NDArray[np.uint8]:
        """Return a picture as it is seen, north on top: red, green, blue, opacity."""
        values = self.values(at, rows, columns)
        if self.colours is not None:
            pixels = _rgb(values)
        else:
            numbers = np.abs(values) if values.dtype.kind == "c" else values
            pixels = coloured(numbers, low, high, colours)
        turned = [slice(None, None, -1 if self._side(one)["flip"] else 1) for one in (0, 1)]
        return pixels[tuple(turned)]

    def value(self, at: Mapping[str, int], row: int, column: int) -> dict[str, Any]:
        """Return what is at a place: the value, and the coordinates there."""
        index = self._place(at, row, column)
        found = self._read(index)
        shown = ", ".join(value_text(one) for one in np.atleast_1d(found))
        return {"value": shown, "places": [*self._around(index)]}

    def series(
        self, dim: str, at: Mapping[str, int], row: int | None = None, column: int | None = None
    ) -> dict[str, Any]:
        """Return values along a dimension, at a place of the picture.

        Of more values, or chunks, than are drawn at once every so many are read.

        Raises
        ------
        LimitError
            If a single chunk is too large.
        """
        if row is not None and column is not None:
            index = self._place(at, row, column)
        else:
            index = self._checked({one: at.get(one, 0) for one in self.dims if one != dim})
        if dim not in self.dims:
            raise UnsupportedError(f"there is no dimension {dim}", path=self.path)
        size, step = self._size(dim), self._stride(dim)
        index[dim] = slice(0, size, step)
        found = self._read(index)
        numbers = np.abs(found) if found.dtype.kind == "c" else found
        values = numbers.astype(np.float64).tolist()
        coordinate = self.array.coords.get(dim)
        told = None if coordinate is None else coordinate[::step]
        return {
            **self._axis(dim),
            "counted": coordinate is None,
            "step": step,
            "values": [value if math.isfinite(value) else None for value in values],
            "labels": labels(told, 0, len(values))
            if told is not None
            else [str(one) for one in range(0, size, step)],
        }

    def names(self, dim: str, start: int) -> dict[str, Any]:
        """Return what up to 1,000 places along a dimension are called."""
        if dim not in self.dims:
            raise UnsupportedError(f"there is no dimension {dim}", path=self.path)
        stop = min(max(0, start) + _LABELS, self._size(dim))
        return {"start": max(0, start), "labels": labels(self._coordinate(dim), start, stop)}

    def caption(self, at: Mapping[str, int]) -> list[tuple[str, str]]:
        """Return times that follow from the chosen places, such as when a forecast is valid."""
        chosen = self._checked(at)
        found = []
        for name, coordinate in self.array.coords.items():
            apart = coordinate.dims and set(coordinate.dims) <= set(chosen)
            if (
                coordinate.dtype.kind == "M"
                and name not in self.dims
                and (apart or not coordinate.dims)
            ):
                value = coordinate[{dim: chosen[str(dim)] for dim in coordinate.dims}]
                found.append((str(name), value_text(value.to_numpy()[()])))
        return found[:_AROUND]

    def _read(self, index: Mapping[Any, Any]) -> NDArray[Any]:
        return self.contents.regions.read(self.path, self.array, index)

    def _size(self, dim: str) -> int:
        return int(self.array.sizes[dim])

    def _coordinate(self, dim: str) -> xr.DataArray | None:
        found = self.array.coords.get(dim)
        return found if found is not None and found.dims == (dim,) else None

    def _checked(self, at: Mapping[str, int]) -> dict[Any, int]:
        """Return places along dimensions, each of which has to be there."""
        for dim, place in at.items():
            if dim not in self.dims or not 0 <= place < self._size(dim):
                raise UnsupportedError(f"there is no {place} along {dim}", path=self.path)
        missing = [dim for dim in self.sliders if dim not in at]
        return {**dict.fromkeys(missing, 0), **at}

    def _place(self, at: Mapping[str, int], row: int, column: int) -> dict[Any, Any]:
        index: dict[Any, Any] = self._checked(at)
        if self.points is not None:
            point = self.points.nearest(row, column)
            if point < 0:
                raise UnsupportedError("there is no point near this place", path=self.path)
            return {**index, self.drawn[0]: point}
        places = [column] if len(self.drawn) < 2 else [row, column]
        return index | self._checked({**index, **dict(zip(self.drawn, places, strict=True))})

    def _around(self, index: Mapping[Any, Any]) -> Sequence[tuple[str, str]]:
        """Return the coordinates over rows and columns at a place."""
        found = []
        for name, coordinate in self.array.coords.items():
            over = set(coordinate.dims)
            if not over or not over & set(self.drawn) or not over <= set(index):
                continue
            path = f"{self.path}@{name}"
            here = {dim: index[dim] for dim in coordinate.dims}
            value = self.contents.regions.read(path, coordinate, here, budget=READ_BYTES // 8)
            found.append((str(name), with_units(value_text(value[()]), coordinate)))
        return found[:_AROUND]

    def _axis(self, dim: str) -> dict[str, Any]:
        coordinate = self._coordinate(dim)
        attributes = {} if coordinate is None else coordinate.attrs
        label = attributes.get("long_name") or attributes.get("standard_name") or dim
        told = str(label).replace("_", " ")
        return {"dim": dim, "size": self._size(dim), "label": told}

    def _side(self, which: int) -> dict[str, Any]:
        """Return rows or columns: how many, where they lie, and which end is on top or left."""
        if self.points is not None:
            return self.points.side(which)
        if len(self.drawn) < 2:
            lone = {"dim": "", "size": 1, "label": "", "flip": False, "places": None, "units": ""}
            return (
                {**self._axis(self.drawn[0]), **lone}
                if which == 0
                else {**lone, **self._axis(self.drawn[0])}
            )
        dim = self.drawn[which]
        coordinate = self._coordinate(dim)
        even = places(self.array, dim) if coordinate is not None else None
        rising = bool(even and even[1] > 0)
        role = next((one.role for one in self._axes() if one.name == dim), "")
        # Latitudes and northings rise to the top; rows of images and levels as they are stored.
        ground = self.subject is not None and self.subject.kind == "map" and role == "y"
        flip = (ground and rising) if which == 0 else bool(even and even[1] < 0 and role == "x")
        flip = flip or self._turned[which]
        units = "" if coordinate is None else str(coordinate.attrs.get("units", ""))
        return {
            **self._axis(dim),
            "flip": flip,
            "places": None if even is None else even[:2],
            "units": units,
        }

    def _ground_turned(self) -> tuple[bool, bool]:
        """Whether latitudes over rows and columns rise downwards, and longitudes to the left."""
        ground = self.subject.ground if self.subject else None
        if self.points is not None or ground is None or len(self.drawn) < 2:
            return False, False
        found = []
        for which, path in enumerate(ground):
            places = self.contents.array(path)
            dim = self.drawn[which]
            middle = {one: size // 2 for one, size in places.sizes.items() if one != dim}
            ends = [
                self.contents.regions.read(path, places, {**middle, dim: end})
                for end in (0, self._size(dim) - 1)
            ]
            found.append(bool(float(ends[1]) > float(ends[0])))
        north_down, east_right = found
        return north_down, not east_right

    def _axes(self) -> Sequence[Any]:
        return () if self.subject is None else self.subject.axes

    def _window(self) -> tuple[float, float] | None:
        from refmaker.publish.images import image_layers, is_image, pictures

        if self.subject is None or self.subject.kind == "map" or not is_image(self.array):
            return None
        for picture in pictures(self.contents.near(self.path)):
            if self.path in picture.paths:
                layer = next(image_layers(picture))
                if layer.contrast_limits is not None:
                    return layer.contrast_limits[0], layer.contrast_limits[1]
        return None

    def _stride(self, dim: str) -> int:
        """Return of how many values along a dimension one is read."""
        axis = self.dims.index(dim)
        sizes = chunk_sizes(self.array)
        nbytes = math.prod(sizes) * max(self.array.dtype.itemsize, 1)
        chunks = -(-self._size(dim) // sizes[axis])
        allowed = min(_CHUNKS, READ_BYTES // max(nbytes, 1))
        if not allowed:
            raise LimitError(
                "one of its chunks is larger than what is read at once", path=self.path
            )
        by_values = -(-self._size(dim) // _POINTS)
        # Less than a chunk apart, every chunk is read all the same.
        by_chunks = -(-chunks // allowed) * sizes[axis] if chunks > allowed else 1
        return max(by_values, by_chunks)


def _rgb(values: NDArray[Any]) -> NDArray[np.uint8]:
    if values.dtype == np.uint8:
        return values
    top = float(np.iinfo(values.dtype).max)
    return (values.astype(np.float64) * (255 / top)).round().astype(np.uint8)

"""Levels of images that no NGFF metadata describe: smaller copies in groups ``0``, ``1``, ..."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refmaker.model.attributes import text_of
from refmaker.model.grid_mapping import geotransform, mapping_name
from refmaker.model.roles import side_of
from refmaker.model.tree import Array, Group

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["numbered_levels"]


class _Place(NamedTuple):
    """Where an image lies: points in parts of its height and width, and on the ground."""

    crs: str
    points: NDArray[np.float64]
    near: tuple[float, float, float, float]


def numbered_levels(group: Group) -> list[list[str]]:
    """Return the images whose levels lie in groups ``0``, ``1``, ... of a group, as those of a COG.

    An array is a level of the one before it if it has the same name, type and dimensions, fewer
    rows and columns by one factor, and its grid mapping says that it lies on the same ground
    (``GeoTransform``, or ``gcps``). Separate images of a file lie in groups of such names, too, and
    without a place nothing tells them from levels.

    Returns
    -------
    list of list of str
        Paths below the group, two or more for each image, largest first.
    """
    first = group.members.get("0")
    if not isinstance(first, Group):
        return []
    found = []
    for name, array in first.members.items():
        if not isinstance(array, Array):
            continue
        paths, last = [f"0/{name}"], (first, array)
        while isinstance(home := group.members.get(str(len(paths))), Group):
            smaller = home.members.get(name)
            if not isinstance(smaller, Array) or not _is_level(last, (home, smaller)):
                break
            paths.append(f"{len(paths)}/{name}")
            last = home, smaller
        if len(paths) > 1:
            found.append(paths)
    return found


def _is_level(large: tuple[Group, Array], small: tuple[Group, Array]) -> bool:
    (_, one), (_, other) = large, small
    if one.dtype != other.dtype or one.dimension_names != other.dimension_names:
        return False
    before, after = _sizes(one), _sizes(other)
    if before is None or after is None or before[1] != after[1]:
        return False
    (rows, columns), (fewer, narrower) = before[0], after[0]
    factor = max(rows, columns) / max(fewer, narrower, 1)
    if factor <= 1 or max(abs(rows / factor - fewer), abs(columns / factor - narrower)) > 1:
        return False
    place, same = _place(*large, before[0]), _place(*small, after[0])
    if place is None or same is None or place.points.shape != same.points.shape:
        return False
    # The last column and row of a level may stand for less than a whole pixel.
    return place.crs == same.crs and bool((abs(place.points - same.points) <= same.near).all())


def _sizes(array: Array) -> tuple[tuple[int, int], tuple[int, ...]] | None:
    """Return rows and columns, and the other sizes of an array; None if it is no image."""
    sides = [side_of(str(name), {}) for name in array.dimension_names or ()]
    if sides.count("y") != 1 or sides.count("x") != 1:
        return None
    at = sides.index("y"), sides.index("x")
    others = tuple(size for axis, size in enumerate(array.shape) if axis not in at)
    return (array.shape[at[0]], array.shape[at[1]]), others


def _place(home: Group, array: Array, sizes: tuple[int, int]) -> _Place | None:
    mapping = home.members.get(mapping_name(array.attributes) or "spatial_ref")
    if not isinstance(mapping, Array) or not all(sizes):
        return None
    rows, columns = sizes
    crs = text_of(mapping.attributes, "crs_wkt", "spatial_ref")
    numbers = geotransform(mapping.attributes)
    if numbers is None:
        points = _control_points(mapping.attributes.get("gcps")) / (rows, columns, 1, 1)
        return _Place(crs, points, (1 / rows, 1 / columns, 0, 0)) if points.size else None
    x, dx, rx, y, ry, dy = numbers
    ends = np.array([(0, 0), (0, columns), (rows, 0), (rows, columns)])
    ground = ends @ [(rx, dy), (dx, ry)] + (x, y)
    points = np.concatenate([ends / sizes, ground], axis=1)
    return _Place(crs, points, (0, 0, abs(dx) + abs(rx), abs(dy) + abs(ry)))


def _control_points(told: Any) -> NDArray[np.float64]:
    """Return row, column, x and y of ground control points, as rioxarray writes them."""
    try:
        told = json.loads(told) if isinstance(told, str) else told
        parts = [(one["properties"], one["geometry"]["coordinates"]) for one in told["features"]]
        points = [(where["row"], where["col"], *place[:2]) for where, place in parts]
        return np.array(points, np.float64).reshape(-1, 4)
    except (KeyError, TypeError, ValueError):
        return np.empty((0, 4))

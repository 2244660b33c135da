"""Where arrays lie on a map: reference system, extent and size of cells, as far as a set says.

Extents follow from coordinates, or from ``GeoTransform`` where coordinates do not contradict it; no
library that knows reference systems is loaded, and nothing is turned into another system.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from refmaker.model import Array
from refmaker.model.grid_mapping import geotransform, mapping_name, reference_system
from refmaker.model.roles import role_of, side_of
from refmaker.publish.description.relations import coordinates_of, found_above

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refmaker.model import Group

    Spans = Mapping[str, Mapping[str, Any]]

__all__ = ["places"]

_SINGLE = 3e-7
"""What they may be off by, as a part of themselves, where they are of single precision."""
_NEAR = 1e-3
"""What coordinates may be off by, as a part of a cell, to be those of a transform."""


def places(
    nodes: dict[str, Array | Group], spans: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return each place that arrays lie in once, with the arrays that do.

    Parameters
    ----------
    nodes : dict of str to Array or Group
        All of a set, by path.
    spans : sequence of mapping
        What is known of its coordinates.
    """
    known = {str(span["path"]): span for span in spans}
    found: dict[str, dict[str, Any]] = {}
    for path, array in nodes.items():
        if not isinstance(array, Array) or not array.shape or path in known:
            continue
        place = _place(nodes, path, array, known)
        if place is None:
            continue
        key = json.dumps({**place, "x": None, "y": None, "grid_mapping": None}, default=str)
        found.setdefault(key, {**place, "arrays": []})["arrays"].append(path)
    return list(found.values())


def _place(
    nodes: dict[str, Array | Group], path: str, array: Array, spans: Spans
) -> dict[str, Any] | None:
    mapping, crs = _system(nodes, path, array)
    axes = _axes(nodes, path, array, mapped=mapping is not None)
    told: dict[str, Any] = {
        "crs": crs, "grid_mapping": mapping, "x": None, "y": None, "bounds": None,
        "bounds_of": None, "resolution": None, "geotransform": None, "units": None,
        "latitude": None, "longitude": None, "size": None,
    }  # fmt: skip
    _globe(told, [spans[name] for name in coordinates_of(nodes, path, array) if name in spans])
    if axes:
        _extent(told, array, axes, spans)
        _transform(told, nodes[mapping].attributes if mapping is not None else {}, array)
    if crs is None and told["bounds"] is None and told["latitude"] is None:
        return None
    return told


def _system(
    nodes: dict[str, Array | Group], path: str, array: Array
) -> tuple[str | None, dict[str, Any] | None]:
    """Return the path of an array's grid mapping, and what it says of the reference system."""
    # Several may be named, each with its coordinates (CF, section 5.6): the first, then.
    name = mapping_name(array.attributes)
    at = found_above(nodes, path.rpartition("/")[0], name) if name else None
    if at is None:
        return None, None
    system = reference_system(nodes[at].attributes)
    if not system.label:
        return at, None
    return at, {
        "name": system.name,
        "code": system.code or None,
        "grid_mapping_name": system.kind or None,
        "wkt": system.wkt or None,
        "label": system.label,
        "projected": system.projected,
    }


def _axes(
    nodes: dict[str, Array | Group], path: str, array: Array, *, mapped: bool
) -> dict[str, tuple[int, str | None]]:
    """Return which dimensions are x and y, each with the path of its coordinate.

    Without a reference system those of the globe alone; empty unless both are known.
    """
    home = path.rpartition("/")[0]
    found: dict[str, tuple[int, str | None]] = {}
    for axis, name in enumerate(array.dimension_names or ()):
        at = found_above(nodes, home, name) if name else None
        node = nodes[at] if at is not None else None
        attributes = node.attributes if isinstance(node, Array) else {}
        if not mapped and role_of(attributes) not in ("latitude", "longitude"):
            continue
        role = side_of(name, attributes)
        if role in ("x", "y"):
            found.setdefault(role, (axis, at))
    return found if len(found) == 2 else {}


def _globe(told: dict[str, Any], spans: Sequence[Mapping[str, Any]]) -> None:
    for span in spans:
        if span["role"] in ("latitude", "longitude") and span["min"] is not None:
            told[span["role"]] = told[span["role"]] or [span["min"], span["max"]]


def _extent(
    told: dict[str, Any], array: Array, axes: Mapping[str, tuple[int, str | None]], spans: Spans
) -> None:
    """Note extent and steps of the coordinates of x and y, which are of the centres of cells."""
    told["size"] = [array.shape[axes[letter][0]] for letter in "xy"]
    told |= {letter: axes[letter][1] for letter in "xy"}
    x, y = (spans.get(str(axes[letter][1])) for letter in "xy")
    if x is None or y is None or told["size"] != [x["size"], y["size"]] or x["min"] is None:
        return
    told["bounds"] = [x["min"], y["min"], x["max"], y["max"]]
    told["bounds_of"] = "centres"
    told["units"] = x["units"] if x["units"] == y["units"] else None
    if x["step"] is not None and y["step"] is not None:
        told["resolution"] = [x["step"], y["step"]]
        told["ends"] = [x["first"], x["last"], y["first"], y["last"]]


def _transform(told: dict[str, Any], attributes: Mapping[str, Any], array: Array) -> None:
    """Take the edges of cells from ``GeoTransform``, unless that is of another raster."""
    ends = told.pop("ends", None)
    numbers = geotransform(attributes)
    width, height = told["size"]
    if numbers is None or not width or not height:
        return
    x, dx, rx, y, ry, dy = numbers
    if told["bounds"] is None:
        # A mapping outlives a subset of its raster, which only coordinates would show.
        if told["x"] or told["y"] or array.origin is not None:
            return
    elif not (ends and not rx and not ry):
        return
    else:
        centres = (x + dx / 2, x + dx * (width - 0.5), y + dy / 2, y + dy * (height - 0.5))
        cells = (dx, dx, dy, dy)
        for one, other, cell in zip(ends, centres, cells, strict=True):
            if abs(one - other) > abs(cell) * _NEAR + abs(other) * _SINGLE:
                return
    corners = [(column, row) for column in (0, width) for row in (0, height)]
    xs = [x + dx * column + rx * row for column, row in corners]
    ys = [y + ry * column + dy * row for column, row in corners]
    told |= {"bounds": [min(xs), min(ys), max(xs), max(ys)], "bounds_of": "edges"}
    told["geotransform"] = list(numbers)
    told["resolution"] = None if rx or ry else [dx, dy]

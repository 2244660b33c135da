"""Where a dataset lies: its raster in its own reference system, and its outline on the globe."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from refmaker.errors import MetadataError, MissingDependencyError
from refmaker.model.grid_mapping import geotransform

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    import numpy as np
    import xarray as xr

__all__ = ["DEGREES", "Footprint", "axis_of", "footprint", "mapping_of", "of_box"]

_X = frozenset({"projection_x_coordinate", "grid_longitude", "longitude"})
_Y = frozenset({"projection_y_coordinate", "grid_latitude", "latitude"})
_METRES = {"m": 1.0, "meter": 1.0, "metre": 1.0, "meters": 1.0, "metres": 1.0, "km": 1000.0}
DEGREES = ("degree", "degrees", "degrees_north", "degrees_east", "degree_north", "degree_east")
"""Units of latitudes and longitudes."""
_POINTS = 5
"""Points on each edge of an outline, which is curved on the globe."""
_BOUNDS_POINTS = 21
"""Points on each edge that bounds are taken from, as PROJ does."""
_EVEN = 1e-3
"""What places of even coordinates may be off by, as a part of a step."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """Where something lies on the globe.

    Parameters
    ----------
    bbox : list of float, optional
        West, south, east, north in degrees; west is greater than east where the antimeridian is
        crossed (RFC 7946, section 5.2).
    geometry : mapping, optional
        Outline as GeoJSON, cut at the antimeridian (section 3.1.9).
    projection : mapping
        Fields of the projection extension, version 1.2.0, of the raster; empty if it is none.
    """

    bbox: list[float] | None = None
    geometry: dict[str, Any] | None = None
    projection: dict[str, Any] = field(default_factory=dict)


def of_box(box: Sequence[float], projection: Mapping[str, Any] | None = None) -> Footprint:
    """Return the footprint of west, south, east, north.

    Raises
    ------
    MetadataError
        If these are no such edges.
    """
    edges = [float(edge) for edge in box]
    if (
        len(edges) != 4
        or not all(map(math.isfinite, edges))
        or not -90 <= edges[1] <= edges[3] <= 90
        or not all(-180 <= edge <= 180 for edge in edges[::2])
    ):
        raise MetadataError(
            f"{list(box)} is not west, south, east, north in degrees, within -180 to 180 and "
            "-90 to 90, south before north",
            hint="west is greater than east where the antimeridian is crossed",
        )
    west, south, east, north = edges
    parts = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
    rings = [
        [[[left, south], [right, south], [right, north], [left, north], [left, south]]]
        for left, right in parts
    ]
    geometry: dict[str, Any] = (
        {"type": "Polygon", "coordinates": rings[0]}
        if len(rings) == 1
        else {"type": "MultiPolygon", "coordinates": rings}
    )
    return Footprint(edges, geometry, dict(projection or {}))


def footprint(data: xr.Dataset) -> Footprint:
    """Return where a dataset lies, as far as it tells.

    By the grid mapping of its variables and their geotransform or even coordinates; where there
    is none, by its coordinates of latitude and longitude.

    Raises
    ------
    MissingDependencyError
        If there is a grid mapping and pyproj is not installed.
    """
    found = _raster(data)
    if found.bbox is not None:
        return found
    latitude = _degrees(data, "latitude", "degrees_north")
    longitude = _degrees(data, "longitude", "degrees_east")
    if latitude is not None and longitude is not None:
        return of_box(_around(latitude, longitude), found.projection)
    return found


def mapping_of(data: xr.Dataset, name: Hashable) -> Hashable | None:
    """Return the name of a variable's grid mapping, if the dataset has it."""
    variable = data.variables[name]
    told = variable.attrs.get("grid_mapping", variable.encoding.get("grid_mapping"))
    return told if isinstance(told, str) and told in data.variables else None


def axis_of(data: xr.Dataset, dim: Hashable) -> str | None:
    """Return which axis, x, y or z, a dimension is, by its coordinate's attributes or its name."""
    attributes = data.variables[dim].attrs if dim in data.variables else {}
    axis, standard = attributes.get("axis"), attributes.get("standard_name")
    if axis in ("X", "Y", "Z"):
        return str(axis).lower()
    if standard in _X or dim in ("x", "lon", "longitude"):
        return "x"
    if standard in _Y or dim in ("y", "lat", "latitude"):
        return "y"
    return "z" if attributes.get("positive") in ("up", "down") else None


def _raster(data: xr.Dataset) -> Footprint:
    """Return the footprint of what has a grid mapping; an empty one if several differ."""
    places = set()
    for name in data.data_vars:
        mapping = mapping_of(data, name)
        axes: dict[str | None, Hashable] = {}
        for dim in data[name].dims:
            axes.setdefault(axis_of(data, dim), dim)
        if mapping is not None and "x" in axes and "y" in axes:
            places.add((mapping, axes["x"], axes["y"]))
    if len(places) != 1:
        return Footprint()
    mapping, x, y = places.pop()
    attributes = data.variables[mapping].attrs
    system = _system(attributes)
    if system is None:
        return Footprint()
    code = system.to_authority(min_confidence=100)
    projection: dict[str, Any] = {"proj:code": ":".join(code) if code else None}
    if code and code[0] == "EPSG" and code[1].isdigit():
        # Of older versions of the extension, and the one that stackstac reads.
        projection["proj:epsg"] = int(code[1])
    projection["proj:wkt2"] = system.to_wkt()
    affine = _affine(data, x, y, attributes, system)
    if affine is None:
        return Footprint(projection=projection)
    width, height = data.sizes[x], data.sizes[y]
    xs, ys = zip(*_corners(affine, width, height), strict=True)
    projection["proj:shape"] = [height, width]
    projection["proj:transform"] = affine
    projection["proj:bbox"] = [min(xs), min(ys), max(xs), max(ys)]
    return _on_globe(system, affine, (width, height), projection)


def _system(attributes: Mapping[str, Any]) -> Any:
    try:
        from pyproj import CRS
        from pyproj.exceptions import CRSError
    except ImportError as error:
        raise MissingDependencyError(
            "reference systems need pyproj", hint="pip install pyproj, or 'refmaker[catalog]'"
        ) from error
    text = attributes.get("crs_wkt") or attributes.get("spatial_ref")
    try:
        if text:
            return CRS.from_wkt(str(text))
        return CRS.from_cf(dict(attributes)) if attributes.get("grid_mapping_name") else None
    except (CRSError, KeyError, ValueError, TypeError):
        return None  # what nobody understands places nothing


def _affine(
    data: xr.Dataset, x: Hashable, y: Hashable, attributes: Mapping[str, Any], system: Any
) -> list[float] | None:
    """Return x and y by column and row, edges of cells, in the order of the extension."""
    told = geotransform(attributes)
    stored = None
    if told is not None:
        c, a, b, f, d, e = told
        stored = [a, b, c, d, e, f]
    if x not in data.variables or y not in data.variables:
        return stored
    columns, rows = _even(data[x], system), _even(data[y], system)
    if columns is None or rows is None:
        return None
    own = [columns[1], 0.0, columns[0], 0.0, rows[1], rows[0]]
    if stored is None:
        return own
    # A mapping outlives a subset of its raster; the coordinates do not.
    near = abs(own[0]) * _EVEN, abs(own[4]) * _EVEN
    same = all(
        abs(one[0] - other[0]) <= near[0] and abs(one[1] - other[1]) <= near[1]
        for one, other in zip(
            _corners(stored, data.sizes[x], data.sizes[y]),
            _corners(own, data.sizes[x], data.sizes[y]),
            strict=True,
        )
    )
    return stored if same else own


def _corners(affine: Sequence[float], width: int, height: int) -> list[tuple[float, float]]:
    a, b, c, d, e, f = affine
    places = [(i * width, j * height) for i in (0, 1) for j in (0, 1)]
    return [(a * i + b * j + c, d * i + e * j + f) for i, j in places]


def _even(coordinate: xr.DataArray, system: Any) -> tuple[float, float] | None:
    """Return the first edge and the step of an even coordinate, in the unit of the system."""
    import numpy as np

    values = coordinate.to_numpy()
    unit = str(coordinate.attrs.get("units", ""))
    axis = system.axis_info[0] if system.axis_info else None
    if values.ndim != 1 or values.size < 2 or values.dtype.kind not in "iuf" or axis is None:
        return None
    rounding = 2 * float(np.finfo(values.dtype).eps) if values.dtype.kind == "f" else 0.0
    values = values.astype(np.float64)
    if unit in _METRES and not system.is_geographic:
        values *= _METRES[unit] / axis.unit_conversion_factor
    elif unit != axis.unit_name and not (unit in DEGREES and axis.unit_name == "degree"):
        return None  # radians of a satellite's view, say
    step = float(values[-1] - values[0]) / (values.size - 1)
    if not math.isfinite(step) or step == 0:
        return None
    off = abs(values - (values[0] + step * np.arange(values.size)))
    if off.max() > abs(step) * _EVEN + rounding * abs(values).max():
        return None
    return float(values[0]) - step / 2, step


def _on_globe(
    system: Any, affine: Sequence[float], size: tuple[int, int], projection: dict[str, Any]
) -> Footprint:
    """Return the footprint of a raster; without place where its edge is not on the globe."""
    import numpy as np
    from pyproj import Transformer
    from pyproj.exceptions import ProjError

    a, b, c, d, e, f = affine
    along = np.linspace(0, 1, _POINTS)[:-1]
    zero, one = np.zeros_like(along), np.ones_like(along)
    columns = np.concatenate([along, one, 1 - along, zero]) * size[0]
    rows = np.concatenate([zero, along, one, 1 - along]) * size[1]
    turned = Transformer.from_crs(system, "OGC:CRS84", always_xy=True)
    xs, ys = a * columns + b * rows + c, d * columns + e * rows + f
    plain = system.is_geographic and not system.is_derived and not system.prime_meridian.longitude
    if plain:
        ys = np.clip(ys, -90, 90)  # cells around a pole
    try:
        longitudes, latitudes = turned.transform(xs, ys)
        bounds = min(xs), min(ys), max(xs), max(ys)
        west, south, east, north = turned.transform_bounds(*bounds, densify_pts=_BOUNDS_POINTS)
    except ProjError:
        return Footprint(projection=projection)
    if plain:
        # They may be counted from 0 to 360.
        west, east = _folded(float(min(xs)), float(max(xs)))
    edges = np.array([west, south, east, north])
    if not (np.isfinite([*longitudes, *latitudes]).all() and np.isfinite(edges).all()):
        return Footprint(projection=projection)
    found = of_box([float(edge) for edge in edges], projection)
    jumps = abs(np.diff(np.append(longitudes, longitudes[0])))
    if jumps.max() > 180 or west > east or east - west > 180:
        return found  # over the antimeridian or a pole an outline of its own says less
    ring = [[float(x), float(y)] for x, y in zip(longitudes, latitudes, strict=True)]
    if plain:
        ring = [[_folded_point(x), y] for x, y in ring]
    if _signed_area(ring) < 0:
        ring.reverse()
    outline = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    return Footprint(found.bbox, outline, projection)


def _signed_area(ring: Sequence[Sequence[float]]) -> float:
    following = [*ring[1:], ring[0]]
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(ring, following, strict=True))


def _folded(west: float, east: float) -> tuple[float, float]:
    """Return both edges between -180 and 180."""
    if east - west >= 360 * (1 - 1e-9):
        return -180.0, 180.0
    first, last = _folded_point(west), _folded_point(east)
    return -180.0 if first == 180 else first, 180.0 if last == -180 else last


def _degrees(data: xr.Dataset, standard: str, unit: str) -> np.ndarray[Any, Any] | None:
    """Return the finite values of the coordinate that is latitude or longitude."""
    import numpy as np

    for variable in data.coords.values():
        attributes = variable.attrs
        if variable.size and standard == attributes.get("standard_name", standard):
            named = "standard_name" in attributes or attributes.get("units") == unit
            values = variable.to_numpy() if named and variable.dtype.kind in "iuf" else None
            if values is not None and np.isfinite(values).any():
                return np.asarray(values[np.isfinite(values)], np.float64)
    return None


def _around(
    latitudes: np.ndarray[Any, Any], longitudes: np.ndarray[Any, Any]
) -> tuple[float, float, float, float]:
    """Return the box around points: all but the widest gap of longitudes, if one is widest."""
    import numpy as np

    south, north = float(latitudes.min()), float(latitudes.max())
    values, at = np.unique(longitudes % 360, return_index=True)
    gaps = np.diff(values, append=values[0] + 360)
    order = np.argsort(gaps)
    if values.size > 1 and gaps[order[-1]] <= 1.5 * gaps[order[-2]]:
        return -180.0, south, 180.0, north
    last = int(order[-1])
    first = (last + 1) % values.size
    west, east = _folded_point(longitudes[at[first]]), _folded_point(longitudes[at[last]])
    return west, south, east, north


def _folded_point(value: float) -> float:
    return float(value) if -180 <= value <= 180 else (float(value) + 180) % 360 - 180

"""GeoZarr: where an image and its levels lie, as attributes of Zarr version 3.

Implements version 0.1 of the conventions ``spatial`` (transform, shape and bounding box),
``proj`` (reference system) and ``multiscales`` (levels of a pyramid) of zarr-conventions.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refmaker.model import Array
    from refmaker.scanners.tiff.geo import Georeference

__all__ = ["array_attributes", "group_attributes"]

_UUIDS = {
    "spatial": "689b58e2-cf7b-45e0-9fff-9cfc0883d6b4",
    "proj": "f17cb550-5864-4468-aeb7-f3180cfb622f",
    "multiscales": "d35379db-88df-4056-af3a-620245f8e347",
}
_DESCRIPTIONS = {
    "spatial": "Spatial coordinate information",
    "proj": "Coordinate reference system information for geospatial data",
    "multiscales": "Multiscale layout of zarr datasets",
}
_PLACE = "https://{host}/zarr-conventions/{name}/{path}"
_CODE = re.compile(r'ID\["(EPSG|ESRI)",([0-9]+)\]\]$')
"""Code of the reference system itself, which ends its text; those of parts end with more."""
_DIMENSIONS = ["y", "x"]


def array_attributes(geo: Georeference, array: Array, base: Sequence[int]) -> dict[str, Any]:
    """Return the attributes of the pixels of one level; none if the image has no transform."""
    placed = _placed(geo, array, base)
    if not placed:
        return {}
    reference = _reference(geo)
    return {
        "zarr_conventions": _conventions("spatial", *(["proj"] if reference else [])),
        "spatial:dimensions": _DIMENSIONS,
        "spatial:transform_type": "affine",
        **placed,
        "spatial:registration": "pixel",
        **reference,
    }


def group_attributes(geo: Georeference, levels: Sequence[tuple[str, Array]]) -> dict[str, Any]:
    """Return the attributes of the group of an image; none if it has no transform.

    Parameters
    ----------
    levels : sequence of (str, Array)
        Path below the group and pixels of each level, the largest first.
    """
    (first, base), reference = levels[0], _reference(geo)
    if geo.transform is None:
        return {}
    several = len(levels) > 1
    names = ["spatial", *(["proj"] if reference else []), *(["multiscales"] if several else [])]
    found = {
        "zarr_conventions": _conventions(*names),
        "spatial:dimensions": _DIMENSIONS,
        "spatial:bbox": _bounds(geo.transform, *_extents(base)),
        **reference,
    }
    if several:
        height, width = _extents(base)
        layout: list[dict[str, Any]] = []
        for path, array in levels:
            rows, columns = _extents(array)
            scale = [height / max(rows, 1), width / max(columns, 1)]
            transform = {"scale": scale, "translation": [0.0, 0.0]}
            origin = {"derived_from": first} if layout else {}
            layout.append(
                {"asset": path, **origin, "transform": transform} | _placed(geo, array, base.shape)
            )
        found["multiscales"] = {"layout": layout}
    return found


def _conventions(*names: str) -> list[dict[str, str]]:
    return [
        {
            "uuid": _UUIDS[name],
            "schema_url": _PLACE.format(
                host="raw.githubusercontent.com", name=name, path="refs/tags/v0.1/schema.json"
            ),
            "spec_url": _PLACE.format(host="github.com", name=name, path="blob/v0.1/README.md"),
            "name": name,
            "description": _DESCRIPTIONS[name],
        }
        for name in names
    ]


def _extents(array: Array, shape: Sequence[int] | None = None) -> tuple[int, int]:
    names = array.dimension_names or ()
    sizes = dict(zip(names, array.shape if shape is None else shape, strict=True))
    return sizes["y"], sizes["x"]


def _placed(geo: Georeference, array: Array, base: Sequence[int]) -> dict[str, Any]:
    """Return transform (from the corners of pixels) and shape of a level."""
    (rows, columns), (height, width) = _extents(array), _extents(array, base)
    transform = geo.at(width / max(columns, 1), height / max(rows, 1))
    if transform is None:
        return {}
    x, dx, rx, y, ry, dy = map(float, transform)
    return {"spatial:transform": [dx, rx, x, ry, dy, y], "spatial:shape": [rows, columns]}


def _bounds(transform: Sequence[float], rows: int, columns: int) -> list[float]:
    x, dx, rx, y, ry, dy = map(float, transform)
    corners = [(column, row) for column in (0, columns) for row in (0, rows)]
    xs = [x + dx * column + rx * row for column, row in corners]
    ys = [y + ry * column + dy * row for column, row in corners]
    return [min(xs), min(ys), max(xs), max(ys)]


def _reference(geo: Georeference) -> Mapping[str, str]:
    """Return the reference system: its code where it has one, else its text."""
    text = geo.crs.get("crs_wkt")
    if not isinstance(text, str):
        return {}
    code = _CODE.search(text)
    return {"proj:code": f"{code[1]}:{code[2]}"} if code else {"proj:wkt2": text}

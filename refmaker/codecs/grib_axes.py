"""Coordinates along the rows and columns of GRIB grids that are rectangles.

Coordinates run as the data do (flag table 3.4): columns eastwards unless bit 0x80 is set, rows
southwards unless bit 0x40 is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.codecs.grib_gaussian import gaussian_latitudes, gaussian_rows
from refmaker.codecs.grib_grid import I_NEGATIVE, J_POSITIVE
from refmaker.codecs.grib_projections import (
    AlbersEqualArea,
    Ellipsoid,
    LambertAzimuthal,
    LambertConformal,
    Mercator,
    PolarStereographic,
)
from refmaker.codecs.grib_transverse import Geostationary, TransverseMercator
from refmaker.errors import FormatError, UnsupportedError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.codecs.grib_definition import GridDefinition
    from refmaker.codecs.grib_projections import Projection

    Axis = NDArray[Any]

__all__ = [
    "LATLON",
    "PROJECTED",
    "ROTATED",
    "careless",
    "check_scanning",
    "geostationary",
    "latlon_axes",
    "projected_axes",
    "projection",
    "row_latitudes",
]

#: Kinds whose rows and columns are latitudes and longitudes, of the earth or of a turned sphere.
LATLON = frozenset({"regular_ll", "regular_gg", "rotated_ll", "rotated_gg"})
ROTATED = frozenset({"rotated_ll", "rotated_gg"})
#: Kinds whose rows and columns are y and x of a map projection.
PROJECTED = frozenset(
    {
        "mercator",
        "transverse_mercator",
        "polar_stereographic",
        "lambert",
        "albers",
        "lambert_azimuthal_equal_area",
        "space_view",
    }
)
_SHIFTED = 0x0F
"""Scanning modes whose rows are shifted by half a grid length, or differ in length."""
_ROUNDING = 0.1
"""How far, in steps, increments may miss the last row and still be used."""
_POLE = 90 + 1e-6
_HALF = 0.500001
_FORWARD = frozenset({"lambert", "polar_stereographic", "mercator"})
"""Kinds whose first point is the south-western one whatever the scanning mode says."""


def check_scanning(grid: GridDefinition) -> None:
    """Refuse grids whose points do not form straight columns.

    Raises
    ------
    UnsupportedError
        With code ``grib-grid``.
    """
    if grid.edition == 2 and grid.scanning & _SHIFTED:
        raise UnsupportedError(
            f"rows with an offset (scanning mode {grid.scanning:08b})", code="grib-grid"
        )


def latlon_axes(grid: GridDefinition) -> tuple[Axis, Axis]:
    """Return latitudes of rows and longitudes of columns, in degrees; for `LATLON` grids.

    Raises
    ------
    FormatError
        If first and last latitude contradict the scanning mode, or are none of the grid's.
    """
    check_scanning(grid)
    return row_latitudes(grid), _longitudes(grid)


def row_latitudes(grid: GridDefinition) -> Axis:
    """Return the latitudes of rows, reduced grids included, in degrees, shape (rows,)."""
    found = grid.values
    first, last, northwards = found["La1"], found["La2"], bool(grid.scanning & J_POSITIVE)
    if max(abs(first), abs(last)) > _POLE:
        raise FormatError(f"latitudes from {first} to {last}")
    if grid.rows > 1 and (last > first) != northwards:
        raise FormatError(
            f"latitudes from {first} to {last}, with rows running "
            f"{'north' if northwards else 'south'}wards (scanning mode {grid.scanning:08b})"
        )
    if "N" in found:
        rows = gaussian_rows(int(found["N"]), first, grid.rows, northwards=northwards)
        return gaussian_latitudes(int(found["N"]))[rows]
    return _stepped(first, last, grid.rows, found.get("Dj"), found.get("unit", 0))


def _longitudes(grid: GridDefinition) -> Axis:
    """Return the longitudes of columns, without a jump at the date line."""
    first, last = grid.values["Lo1"], grid.values["Lo2"]
    if max(abs(first), abs(last)) > 720:
        raise FormatError(f"longitudes from {first} to {last}")
    if grid.scanning & I_NEGATIVE:
        if first < last:
            last -= 360
    elif last < first:
        first, last = (first, last + 360) if last < 0 else (first - 360, last)
    return np.linspace(first, last, grid.columns)


def _stepped(first: float, last: float, count: int, step: float | None, unit: float) -> Axis:
    """Return latitudes of rows, by the increment that the message gives if it can be meant."""
    even = np.linspace(first, last, count)
    if count == 1 or not step or step <= 0:
        return even
    axis: Axis = first + np.copysign(step, last - first) * np.arange(count)
    off = abs(float(axis[-1]) - last)
    axis[-1] = last
    # Far off the last row, an increment is one of even rows that was rounded, or the writer's own
    # number, which ecCodes follows, until it leads off the earth.
    rounded = abs(abs(last - first) / (count - 1) - step) <= unit * _HALF
    if off > _ROUNDING * step and (rounded or np.abs(axis).max() > _POLE):
        return even
    return axis


def projection(grid: GridDefinition) -> Projection:
    """Return the map projection of a `PROJECTED` grid other than a view from space.

    Raises
    ------
    FormatError
        If its parameters are impossible.
    """
    earth = Ellipsoid(*grid.axes)
    number = grid.values
    angle = {name: float(np.deg2rad(value)) for name, value in number.items()}
    if grid.kind == "mercator":
        return Mercator(earth, angle["LaD"], angle["Lo1"])
    if grid.kind == "transverse_mercator":
        offset = (number["false_easting"], number["false_northing"])
        return TransverseMercator(earth, angle["La0"], angle["Lo0"], number["scale"], offset)
    if grid.kind == "polar_stereographic":
        south = bool(number["south"])
        return PolarStereographic(earth, angle["LaD"], angle["LoV"], south=south)
    if grid.kind == "lambert_azimuthal_equal_area":
        return LambertAzimuthal(earth, angle["La0"], angle["Lo0"])
    cone = LambertConformal if grid.kind == "lambert" else AlbersEqualArea
    return cone(earth, angle["Latin1"], angle["Latin2"], angle["LoV"], angle["LaD"])


def projected_axes(grid: GridDefinition) -> tuple[Axis, Axis]:
    """Return y of rows and x of columns, in metres; in radians for a view from space.

    Raises
    ------
    FormatError
        If the parameters of the projection are impossible.
    """
    check_scanning(grid)
    if grid.kind == "space_view":
        return _scan_angles(grid)
    number = grid.values
    if grid.kind == "transverse_mercator":
        x, y = number["X1"], number["Y1"]
    else:
        first = np.deg2rad([number["La1"], number["Lo1"]])
        x, y = map(float, projection(grid).forward(first[0], first[1]))
    if not (np.isfinite(x) and np.isfinite(y)) or not number["Dx"] > 0 < number["Dy"]:
        raise FormatError(
            f"a {grid.kind} grid from {x}, {y} m in steps of {number['Dx']}, {number['Dy']} m"
        )
    east, north = directions(grid)
    rows = y + north * number["Dy"] * np.arange(grid.rows)
    columns = x + east * number["Dx"] * np.arange(grid.columns)
    if grid.kind == "mercator" and number["orientation"]:
        _check_upright(grid, float(rows[-1]), float(columns[-1]))
    return rows, columns


def directions(grid: GridDefinition) -> tuple[int, int]:
    """Return 1 or -1 for x along columns and for y along rows of a projected grid.

    Writers of conformal grids set the scanning mode so carelessly that ecCodes takes the first
    point for the south-western one always; so does this, but for a Mercator grid whose last
    latitude is the southern one.
    """
    if grid.kind in _FORWARD:
        south = grid.kind == "mercator" and grid.values["La2"] < grid.values["La1"]
        return 1, -1 if south and not grid.scanning & J_POSITIVE else 1
    return -1 if grid.scanning & I_NEGATIVE else 1, 1 if grid.scanning & J_POSITIVE else -1


def careless(grid: GridDefinition) -> str:
    """Return what is to be warned of: what is not taken at its word, or otherwise by ecCodes."""
    told = grid.values.get("told")
    if told is not None:
        return (
            f"a {grid.kind} grid says that it has {told:.0f} points: it has {grid.columns} columns "
            f"and {grid.rows} rows, so {grid.points}"
        )
    if rotation := grid.values.get("rotation"):
        return (
            f"a {grid.kind} grid that is turned by {rotation:g} degrees about its pole: points are "
            "where the specification and PROJ have them, and elsewhere in ecCodes"
        )
    mode = (
        -1 if grid.scanning & I_NEGATIVE else 1,
        1 if grid.scanning & J_POSITIVE else -1,
    )
    if grid.kind not in _FORWARD or directions(grid) == mode:
        return ""
    return (
        f"scanning mode {grid.scanning:08b} of a {grid.kind} grid is not heeded, as in ecCodes: "
        "its first point is taken for the south-western one"
    )


def _check_upright(grid: GridDefinition, y: float, x: float) -> None:
    """Compare the last point with that of the message: some writers misuse the orientation."""
    number = grid.values
    latitude, longitude = (float(np.rad2deg(part)) for part in projection(grid).inverse(x, y))
    step = max(number["Dx"], number["Dy"]) / 1e5
    off = abs((longitude - number["Lo2"] + 180) % 360 - 180)
    if max(off, abs(latitude - number["La2"])) > step:
        raise UnsupportedError(
            f"a Mercator grid that is turned by {number['orientation']} degrees", code="grib-grid"
        )


def geostationary(grid: GridDefinition) -> Geostationary:
    """Return the projection of a view from space.

    Raises
    ------
    FormatError
        If its parameters are impossible.
    UnsupportedError
        If the satellite is not above the equator, or the image is turned.
    """
    number = grid.values
    # Writers have put either 0 or 180 degrees for images with north on top.
    if number["Lap"] or number["orientation"] % 180:
        raise UnsupportedError("a view from space that is not upright", code="grib-grid")
    earth = Ellipsoid(*grid.axes)
    return Geostationary(earth, number["Nr"] * earth.major, float(np.deg2rad(number["Lop"])))


def _scan_angles(grid: GridDefinition) -> tuple[Axis, Axis]:
    """Return the angles at which lines and columns are seen (template 3.90, notes 2 and 3)."""
    number = grid.values
    view = geostationary(grid)
    if grid.scanning & (I_NEGATIVE | J_POSITIVE):
        # Real files contradict the specification here, ecCodes both.
        raise UnsupportedError(
            f"a view from space of scanning mode {grid.scanning:08b}, in which writers order "
            "points differently",
            code="grib-grid",
        )
    if not number["dx"] > 0 < number["dy"]:
        raise FormatError("an earth without diameter in a view from space")
    # The diameter of the earth, as an angle, spans dx by dy grid lengths.
    diameter = 2 * np.arcsin(view.earth.major / view.distance)
    flat = view.earth.minor / view.earth.major
    across, up = diameter / number["dx"], flat * diameter / number["dy"]
    columns = np.arange(grid.columns) - (number["Xp"] - number["Xo"])
    rows = (number["Yp"] - number["Yo"]) - np.arange(grid.rows)
    return rows * up, columns * across

"""The grid of a field, from its grid definition: shape, coordinates, mapping.

Implements section 3 of GRIB edition 2 (templates 3.x) and section 2 of edition 1 (data
representation types of table 6, predefined grids of table B). Nothing here decodes values.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from refmaker.codecs.grib_axes import (
    LATLON,
    PROJECTED,
    ROTATED,
    careless,
    latlon_axes,
    projected_axes,
    row_latitudes,
)
from refmaker.codecs.grib_eccodes import grid_points
from refmaker.codecs.grib_grid import I_NEGATIVE, J_POSITIVE, read_definition
from refmaker.codecs.grib_healpix import check_healpix
from refmaker.codecs.grib_points import KNOWN
from refmaker.codecs.grib_reduced import reduced_rows
from refmaker.codecs.grib_scanning import ALTERNATING_ROWS, J_CONSECUTIVE
from refmaker.errors import FormatError, LimitError, MissingDependencyError, UnsupportedError
from refmaker.scanners.grib.geometry_mapping import mapping_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from refmaker.codecs.grib_definition import GridDefinition

__all__ = ["Coordinate", "FieldGrid", "Generated", "grid", "of_section", "predefined"]

#: CF attributes of the latitudes and longitudes of points.
LATITUDE = {"standard_name": "latitude", "long_name": "latitude", "units": "degrees_north"}
LONGITUDE = {"standard_name": "longitude", "long_name": "longitude", "units": "degrees_east"}
_ALONG_GRID = 0x08
_PLAIN = LATLON - ROTATED


@dataclass(frozen=True, slots=True, eq=False)
class Coordinate:
    """Coordinates along one dimension, small enough to be written into the reference set.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        They run as the data do: from north to south, say, where the message is scanned so.
    attributes : mapping
        CF attributes: ``units``, ``standard_name``, ``long_name``, ``axis``.
    """

    values: NDArray[np.float64]
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Generated:
    """Coordinates of every point, computed when they are read.

    The array has one chunk, whose bytes are `FieldGrid.section` exactly: a byte range of the file
    where the section lies there, or the bytes inlined.

    Parameters
    ----------
    codec : mapping
        Configuration of the only codec: the compressor of a Zarr array.
    shape : tuple of int
        Shape of the array and of its chunk, that of the grid.
    attributes : mapping
        CF attributes.
    """

    codec: Mapping[str, Any]
    shape: tuple[int, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class FieldGrid:
    """A grid as data variables need it.

    Parameters
    ----------
    kind : str
        ecCodes' name of the grid type (``regular_ll``, ``reduced_gg``, ``lambert`` ...);
        ``template_N`` or ``type_N`` where there is none.
    edition : int
        Edition of GRIB that `section` is of.
    section : bytes
        The grid definition: section 3 of edition 2, section 2 of edition 1, as in the file.
    shape : tuple of int
        (rows, columns), or (n,) where there is no rectangle.
    dimension_names : tuple of str
        ``("latitude", "longitude")``, ``("y", "x")`` or ``("values",)``.
    coordinates : mapping of str to Coordinate
        1-D coordinates by the name of their dimension. Empty where there are none.
    generated : mapping of str to Generated
        ``latitude`` and ``longitude`` of each point, with all dimensions of the grid, where the
        1-D coordinates are not that already. Empty where nothing here can tell them.
    mapping : mapping or None
        Attributes of the CF grid mapping variable, with ``grid_mapping_name`` and ``crs_wkt``
        (WKT 2); None where there is none.
    scanning : int
        Scanning mode as in the grid definition (flag table 3.4 with all its bits).
    codec : mapping
        What the configuration of ``refmaker.grib`` needs to know of the grid: ``shape``, and
        ``scanning`` where values do not come in rows.
    points : int
        Number of points: the product of `shape`.
    winds_along_grid : bool
        Whether vector components are resolved along x and y (flag table 3.3, bit 5), and not
        towards east and north.
    key : str
        Twelve hexadecimal digits that are equal for grids that are equal in all the above but
        `edition`, `section` and `winds_along_grid`.
    note : str
        Why there are no latitudes and longitudes, where that is so; otherwise empty.
    warning : str
        What in the definition was not taken at its word, for the report; otherwise empty.
    """

    kind: str
    edition: int
    section: bytes
    shape: tuple[int, ...]
    dimension_names: tuple[str, ...]
    coordinates: Mapping[str, Coordinate]
    generated: Mapping[str, Generated]
    mapping: Mapping[str, Any] | None
    scanning: int
    codec: Mapping[str, Any]
    points: int
    winds_along_grid: bool
    key: str
    note: str = ""
    warning: str = ""


def of_section(edition: int, section: bytes) -> FieldGrid:
    """Return the grid of a definition, or of the number and subcentre of one of edition 1.

    Raises
    ------
    FormatError, LimitError, UnsupportedError
        As `grid` and `predefined`.
    """
    if edition == 1 and len(section) == 2:
        section = predefined(section[0], section[1])
    return grid(edition, section)


def grid(edition: int, section: bytes) -> FieldGrid:
    """Read a grid definition.

    Parameters
    ----------
    edition : {1, 2}
        Edition of GRIB.
    section : bytes
        The whole section, its length octets included: section 3 of edition 2, section 2 of
        edition 1; for messages of edition 1 without one, what `predefined` returns.

    Returns
    -------
    FieldGrid
        For grids that nothing here knows, ecCodes is asked for latitudes and longitudes when
        they are read; where it cannot tell either, `FieldGrid.note` says so and there is a
        dimension ``values`` only. Spectral fields have that dimension too.

    Raises
    ------
    FormatError
        If the section contradicts itself: its length, the number of points, an impossible size.
    LimitError
        If it has more points than a chunk can hold (4 GiB in float64).
    """
    definition = read_definition(edition, section)
    # In edition 1 the bit of alternating rows is not defined.
    turns = definition.scanning & (J_CONSECUTIVE | (ALTERNATING_ROWS if edition == 2 else 0))
    codec: dict[str, Any] = {"shape": list(definition.shape)}
    if turns and definition.columns:
        codec["scanning"] = turns
    names, coordinates, note = _axes(definition)
    generated: dict[str, Generated] = {}
    if not note and set(names) != {"latitude", "longitude"}:
        note = _untold(definition, section)
        generated = {} if note else _generated(definition)
    mapping = mapping_of(definition) if coordinates or generated else None
    return FieldGrid(
        kind=definition.kind,
        edition=edition,
        section=bytes(section),
        shape=definition.shape,
        dimension_names=names,
        coordinates=coordinates,
        generated=generated,
        mapping=mapping,
        scanning=definition.scanning,
        codec=codec,
        points=definition.points,
        winds_along_grid=bool(definition.flags & _ALONG_GRID),
        key=_key(definition, turns),
        note=note,
        warning="" if note else careless(definition),
    )


def _axes(grid: GridDefinition) -> tuple[tuple[str, ...], dict[str, Coordinate], str]:
    """Return dimension names, 1-D coordinates, and why there are none."""
    if not grid.columns:
        return ("values",), {}, ""
    names = ("latitude", "longitude") if grid.kind in _PLAIN else ("y", "x")
    if grid.kind not in LATLON | PROJECTED:
        return names, {}, ""
    try:
        axes = latlon_axes(grid) if grid.kind in LATLON else projected_axes(grid)
    except (FormatError, LimitError, UnsupportedError) as error:
        return names, {}, str(error)
    described = _described(grid)
    found = zip(names, axes, described, strict=True)
    return names, {name: Coordinate(axis, text) for name, axis, text in found}, ""


def _described(grid: GridDefinition) -> tuple[dict[str, str], dict[str, str]]:
    """Return the attributes of the rows' and the columns' coordinates."""
    if grid.kind in _PLAIN:
        return LATITUDE | {"axis": "Y"}, LONGITUDE | {"axis": "X"}
    if grid.kind in LATLON:
        return (
            {"standard_name": "grid_latitude", "units": "degrees", "axis": "Y"},
            {"standard_name": "grid_longitude", "units": "degrees", "axis": "X"},
        )
    seen = grid.kind == "space_view"
    kind, units = ("angular_coordinate", "radian") if seen else ("coordinate", "m")
    y, x = (
        {"standard_name": f"projection_{name}_{kind}", "units": units, "axis": name.upper()}
        for name in "yx"
    )
    return y, x


def _untold(definition: GridDefinition, section: bytes) -> str:
    """Return why latitudes and longitudes of the points cannot be told; empty if they can."""
    if definition.kind.endswith("sh"):
        return "the coefficients of a spectral field have no place on the earth"
    try:
        if definition.kind not in KNOWN:
            grid_points(section, definition)
        elif definition.kind == "healpix":
            check_healpix(definition)
        elif not definition.columns:
            reduced_rows(definition)
            row_latitudes(definition)
    except (FormatError, LimitError, UnsupportedError, MissingDependencyError) as error:
        return str(error)
    return ""


def _generated(grid: GridDefinition) -> dict[str, Generated]:
    return {
        name: Generated(
            {
                "id": "refmaker.grib_coordinates",
                "edition": grid.edition,
                "name": name,
                "shape": list(grid.shape),
            },
            grid.shape,
            attributes,
        )
        for name, attributes in (("latitude", LATITUDE), ("longitude", LONGITUDE))
    }


def _key(grid: GridDefinition, turns: int) -> str:
    """Return a digest of all that makes up the geometry, the same for both editions."""
    directions = grid.scanning & (I_NEGATIVE | J_POSITIVE)
    parts = [grid.kind, grid.shape, grid.axes, turns | directions]
    parts += sorted(
        (name, value) for name, value in grid.values.items() if name not in ("unit", "told")
    )
    rows = b"" if grid.row_lengths is None else grid.row_lengths.astype("<i8").tobytes()
    return blake2b(repr(parts).encode() + rows, digest_size=6).hexdigest()


def predefined(number: int, centre: int) -> bytes:
    """Return the grid definition of a predefined grid of edition 1, as a section 2.

    Parameters
    ----------
    number : int
        Grid number (octet 7 of section 1).
    centre : int
        Originating centre (octet 5 of section 1).

    Raises
    ------
    UnsupportedError
        If the number is not known, with code ``grib-grid``.
    """
    found = _PREDEFINED.get(number)
    if found is None:
        raise UnsupportedError(
            f"the predefined grid {number} of centre {centre} is not known, and the message has "
            "no grid definition",
            code="grib-grid",
        )
    # Octets 4-5: no lists; 6: latitude and longitude; 17: increments are given.
    columns, rows, south, west, north, east, across, up = found
    return b"".join(
        [
            bytes([0, 0, 32, 0, 255, 0]),
            struct.pack(">HH", columns, rows),
            _signed(south) + _signed(west) + b"\x80" + _signed(north) + _signed(east),
            struct.pack(">HHB", across, up, J_POSITIVE),
            bytes(4),
        ]
    )


def _signed(number: int) -> bytes:
    """Write three octets whose first bit is the sign."""
    return (abs(number) | (0x800000 if number < 0 else 0)).to_bytes(3, "big")


#: Grids of table B that all centres use: columns, rows, first and last latitude and longitude,
#: increments of longitude and latitude, in thousandths of a degree; all run northwards.
_PREDEFINED = {
    21: (37, 37, 0, 0, 90000, 180000, 5000, 2500),
    22: (37, 37, 0, -180000, 90000, 0, 5000, 2500),
    23: (37, 37, -90000, 0, 0, 180000, 5000, 2500),
    24: (37, 37, -90000, -180000, 0, 0, 5000, 2500),
    25: (72, 19, 0, 0, 90000, 355000, 5000, 5000),
    26: (72, 19, -90000, 0, 0, 355000, 5000, 5000),
    61: (91, 46, 0, 0, 90000, 180000, 2000, 2000),
    62: (91, 46, 0, -180000, 90000, 0, 2000, 2000),
    63: (91, 46, -90000, 0, 0, 180000, 2000, 2000),
    64: (91, 46, -90000, -180000, 0, 0, 2000, 2000),
}

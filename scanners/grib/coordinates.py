"""Coordinate arrays: small ones inlined, those of every point of a grid computed when read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.model import Array, ChunkTable
from refmaker.model.inline import inline_array

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from refmaker.scanners.grib.geometry import FieldGrid, Generated
    from refmaker.scanners.grib.variables import DimensionCoordinate

__all__ = [
    "LEVELS",
    "NAMED",
    "axis_array",
    "bounds_array",
    "generated_array",
    "level_name",
    "numbers_array",
    "valid_array",
]

EPOCH = "seconds since 1970-01-01T00:00:00"
_TIME = {"units": EPOCH, "calendar": "proleptic_gregorian"}
_STEP = {"units": "seconds", "dtype": "timedelta64[ns]"}
_AXES: Mapping[str, Mapping[str, Any]] = {
    "number": {
        "units": "1", "standard_name": "realization",
        "long_name": "ensemble member numerical id",
    },
    "time": {
        **_TIME, "standard_name": "forecast_reference_time",
        "long_name": "initial time of forecast",
    },
    "step": {
        **_STEP, "standard_name": "forecast_period",
        "long_name": "time since forecast_reference_time",
    },
    "valid_time": {**_TIME, "standard_name": "time", "long_name": "time"},
    "percentile": {"units": "%", "long_name": "percentile"},
    "threshold": {"long_name": "limit of the probability, in units of the parameter"},
    "direction": {"units": "degree", "long_name": "direction of waves"},
    "frequency": {
        "units": "Hz", "standard_name": "wave_frequency", "long_name": "frequency of waves",
    },
    "directionNumber": {"units": "1", "long_name": "number of the direction of a wave spectrum"},
    "frequencyNumber": {"units": "1", "long_name": "number of the frequency of a wave spectrum"},
}  # fmt: skip
NAMED = frozenset(_AXES)
"""Coordinates that are no levels."""
LEVELS: Mapping[str, Mapping[str, Any]] = {
    "depthBelowLand": {"units": "m", "positive": "down", "standard_name": "depth"},
    "depthBelowLandLayer": {"units": "m", "positive": "down", "standard_name": "depth"},
    "depthBelowSea": {"units": "m", "positive": "down", "standard_name": "depth"},
    "hybrid": {
        "units": "1", "positive": "down",
        "standard_name": "atmosphere_hybrid_sigma_pressure_coordinate",
    },
    "heightAboveGround": {"units": "m", "positive": "up", "standard_name": "height"},
    "heightAboveSea": {"units": "m", "positive": "up", "standard_name": "altitude"},
    "isobaricInhPa": {"units": "hPa", "positive": "down", "standard_name": "air_pressure"},
    "isobaricInPa": {"units": "Pa", "positive": "down", "standard_name": "air_pressure"},
    "theta": {"units": "K", "standard_name": "air_potential_temperature"},
}  # fmt: skip
"""CF attributes by type of level, where ecCodes gives its levels in one unit."""


def level_name(axis: DimensionCoordinate) -> str:
    """Return the name of the coordinate of one level among others: ``heightAboveGround_2m``."""
    ends = axis.values if axis.bounds is None else axis.bounds[0]
    words = "_".join(f"{float(end):.6g}".replace(".", "p").replace("-", "m") for end in ends)
    unit = str(LEVELS.get(axis.name, {}).get("units", ""))
    return f"{axis.name}_{words}{unit if unit.isalpha() else ''}"


def axis_array(axis: DimensionCoordinate, name: str, dimension: str | None) -> Array:
    """Return the coordinate of an axis: along `dimension`, or a scalar where that is None."""
    attributes = dict(_AXES.get(axis.name) or LEVELS.get(axis.name) or {"units": "1"})
    attributes.setdefault("long_name", f"original GRIB coordinate for key: level({axis.name})")
    if axis.bounds is not None:
        attributes["bounds"] = f"{name}_bounds"
    if dimension is None:
        return inline_array(axis.values[0], (), attributes)
    return inline_array(axis.values, (dimension,), attributes)


def numbers_array(axis: DimensionCoordinate, name: str, dimension: str | None) -> Array:
    """Return what fields bear in place of an axis' values, under its own name."""
    kind = f"{axis.name}Number"
    values = np.asarray(axis.numbers)
    return axis_array(axis._replace(name=kind, values=values, numbers=None), name, dimension)


def bounds_array(axis: DimensionCoordinate, dimension: str | None) -> Array:
    """Return both ends of each coordinate of an axis that has them."""
    if axis.bounds is None:
        raise ValueError("an axis without bounds")
    units = _STEP if axis.name == "step" else {}
    if dimension is None:
        return inline_array(axis.bounds[0], ("bounds",), units)
    return inline_array(axis.bounds, (dimension, "bounds"), units)


def valid_array(values: NDArray[np.int64], dimensions: tuple[str, ...]) -> Array:
    """Return the coordinate of valid times, in seconds since 1970."""
    return inline_array(values, dimensions, _AXES["valid_time"])


def generated_array(
    item: Generated,
    grid: FieldGrid,
    dimensions: tuple[str, ...],
    place: tuple[str, int, int] | None,
) -> Array:
    """Return coordinates of every point of a grid, computed from the grid definition when read.

    Parameters
    ----------
    place : tuple or None
        URL, offset and length of the definition; None to inline it.
    """
    chunks = (1,) * len(item.shape)
    if place is None:
        table = ChunkTable.inline(chunks, {0: grid.section})
    else:
        url, offset, length = place
        table = ChunkTable.from_columns(
            chunks, (url,), offset=np.array([offset]), length=np.array([length])
        )
    return Array(
        item.shape, item.shape, np.dtype("<f8"), table, compressor=dict(item.codec),
        dimension_names=dimensions, attributes=dict(item.attributes),
    )  # fmt: skip

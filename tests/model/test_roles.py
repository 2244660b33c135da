"""What coordinates are for: attributes first, then names of dimensions."""

from __future__ import annotations

import pytest

from refmaker.model.roles import role_of, side_of


@pytest.mark.parametrize(
    ("attributes", "role", "side"),
    [
        ({"standard_name": "latitude", "axis": "X"}, "latitude", "y"),
        ({"standard_name": "grid_longitude", "units": "degrees_east"}, "x", "x"),
        ({"units": "degreesE"}, "longitude", "x"),
        ({"units": ["degree_north"]}, "latitude", "y"),
        ({"units": "days since 2000-01-01", "axis": "Z"}, "time", "time"),
        ({"standard_name": "forecast_period", "units": "hours"}, "step", "time"),
        ({"standard_name": "forecast_reference_time"}, "reference time", "time"),
        ({"standard_name": "model_level_number"}, "vertical", "z"),
        ({"axis": "Z"}, "vertical", "z"),
        ({"positive": "Down"}, "vertical", "z"),
        ({"units": "hPa"}, "vertical", "z"),
        ({"units": 3, "axis": ["X", "Y"], "standard_name": None}, "", ""),
    ],
)
def test_by_attributes(attributes, role, side):
    assert role_of(attributes) == role
    assert side_of("unnamed", attributes) == side


@pytest.mark.parametrize(
    ("name", "side"),
    [("lon_1", "x"), ("row", "y"), ("isobaricInhPa", "z"), ("valid_time", "time"),
     ("band", "channel"), ("xylophone", "")],
)  # fmt: skip
def test_by_name_where_attributes_say_nothing(name, side):
    assert side_of(name, {}) == side
    assert side_of(name, {"units": "hPa"}) == "z"

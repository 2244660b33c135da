"""Messages that contradict themselves, as other people's tools write them: read by what holds."""

from __future__ import annotations

import warnings

import eccodes
import numpy as np
import pytest

import refmaker
from tests.scanners.grib.messages import message

RUN = {"dataDate": 20240115, "dataTime": 600}
PRESSURE = {"shortName": "t", "level": 500}
N = 32
OCTAHEDRAL = [20 + 4 * k for k in range(N)]
OCTAHEDRAL += OCTAHEDRAL[::-1]


def scanned(path, *messages):
    path.write_bytes(b"".join(messages))
    return refmaker.scan(path, isolate="never")


def equal(found):
    checks = refmaker.verify(found, isolate="never")
    wrong = [(c.path, c.reason) for c in checks if not c.equal == c.compared > 0]
    assert not wrong
    return bool(checks)


def recounted(data, points):
    """Return a message of edition 2 whose grid counts its points otherwise."""
    at = 16
    while data[at + 4] != 3:
        at += int.from_bytes(data[at : at + 4], "big")
    return data[: at + 6] + points.to_bytes(4, "big") + data[at + 10 :]


def test_points_that_a_grid_counts_wrong(tmp_path):
    values = np.arange(84.0)
    data = message(2, values, **PRESSURE, **RUN)
    found = scanned(tmp_path / "a.grib2", recounted(data, 481401), data)
    (warning,) = found.report.warnings
    assert warning.startswith("a regular_ll grid says that it has 481401 points")
    assert found.group.attributes["refmaker:fields"]["unsorted"] == 0
    field = refmaker.open_dataset(found, group="isobaricInhPa/instant").t
    np.testing.assert_allclose(field, values.reshape(7, 12), atol=0.01)
    assert equal(found)


def test_points_that_are_not_those_of_the_packing_are_kept_as_bytes(tmp_path):
    data = message(2, Ni=12, Nj=7, **PRESSURE, **RUN)
    handle = eccodes.codes_new_from_message(data)
    eccodes.codes_set(handle, "Nj", 9)
    found = scanned(tmp_path / "a.grib2", eccodes.codes_get_message(handle))
    eccodes.codes_release(handle)
    (row,) = [row for row in found.report.rows if row.code == "unsorted"]
    assert "another number of values than there are points" in row.reason


def octahedral(last, count):
    """Return a message on an octahedral grid of edition 1 with a number of values."""
    handle = eccodes.codes_grib_new_from_samples("reduced_gg_pl_32_grib1")
    try:
        eccodes.codes_set_array(handle, "pl", OCTAHEDRAL)
        values = np.random.default_rng(1).normal(280, 10, count)
        eccodes.codes_set_values(handle, values)
        eccodes.codes_set(handle, "longitudeOfLastGridPoint", last)
        return eccodes.codes_get_message(handle)
    finally:
        eccodes.codes_release(handle)


@pytest.mark.parametrize("last", [357_500, 357_188, 357_187])
def test_octahedral_grids_that_end_at_another_longitude(tmp_path, last):
    whole = sum(OCTAHEDRAL)
    found = scanned(tmp_path / "a.grib1", octahedral(last, whole))
    assert bool(found.report.warnings) == (last != 357_500)
    group = refmaker.open_dataset(found, group="isobaricInhPa/instant")
    longitudes = np.concatenate([np.arange(n) * 360 / n for n in OCTAHEDRAL])
    np.testing.assert_allclose(group.longitude, longitudes, atol=1e-9)
    handle = eccodes.codes_new_from_message((tmp_path / "a.grib1").read_bytes())
    np.testing.assert_array_equal(group.t, eccodes.codes_get_values(handle))
    eccodes.codes_release(handle)
    assert equal(found)


def test_octahedral_grids_without_their_last_points(tmp_path):
    # Rows of more than 128 points have one beyond 357.188 degrees.
    part = sum(n - (n > 4 * N) for n in OCTAHEDRAL)
    found = scanned(tmp_path / "a.grib1", octahedral(357_188, part))
    assert not found.report.warnings
    group = refmaker.open_dataset(found, group="isobaricInhPa/instant")
    assert group.t.shape == (part,)
    assert float(group.longitude.max()) <= 357.188


def test_initialized_analyses_of_later_times(tmp_path):
    keys = {"centre": 7, "table2Version": 2, "indicatorOfParameter": 11, "timeRangeIndicator": 1}
    hours = (0, 6, 12)
    data = [message(1, **keys, **RUN, P1=hour, P2=0, seed=hour) for hour in hours]
    found = scanned(tmp_path / "a.grib1", *data)
    group = refmaker.open_dataset(found, group="isobaricInhPa/instant")
    assert (group.step / np.timedelta64(1, "h")).values.tolist() == list(hours)
    assert equal(found)


@pytest.mark.parametrize(
    ("edition", "unit", "amounts"),
    [(1, 3, (1, 2)), (1, 4, (1, 2)), (1, 254, (1, 2)), (2, 3, (1, 13)), (2, 4, (1, 2))],
)
def test_units_that_eccodes_takes_for_others_are_no_false_alarm(tmp_path, edition, unit, amounts):
    key = "P1" if edition == 1 else "forecastTime"
    data = [
        message(
            edition, **PRESSURE, **RUN, **{"indicatorOfUnitOfTimeRange": unit, key: n}, seed=n
        )
        for n in amounts
    ]  # fmt: skip
    found = scanned(tmp_path / "a.grib", *data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert equal(found)
    group = refmaker.open_dataset(found, group="isobaricInhPa/instant")
    months = {3: 1, 4: 12}.get(unit, 0)
    start = np.datetime64("2024-01-15T06:00:00", "s")
    if months:
        later = [np.datetime64("2024-01", "M") + np.timedelta64(months * n, "M") for n in amounts]
        wanted = [t.astype("M8[s]") + (start - np.datetime64("2024-01-01", "s")) for t in later]
    else:
        wanted = [start + np.timedelta64(n, "s") for n in amounts]
    np.testing.assert_array_equal(group.valid_time.values.astype("M8[s]"), wanted)


def complement(data, hours):
    """Return a message of edition 2 whose forecast time is in two's complement."""
    at = 16
    while data[at + 4] != 4:
        at += int.from_bytes(data[at : at + 4], "big")
    return data[: at + 18] + (hours % (1 << 32)).to_bytes(4, "big") + data[at + 22 :]


def test_negative_times_in_twos_complement(tmp_path):
    # As NCEP's air quality model writes them: from 7 hours before to 16 hours after.
    keys = {"parameterCategory": 1, "parameterNumber": 8, "typeOfFirstFixedSurface": 1}
    data = message(
        2, **RUN, productDefinitionTemplateNumber=8, **keys, stepType="accum", stepRange="0-16"
    )
    handle = eccodes.codes_new_from_message(data)
    eccodes.codes_set(handle, "lengthOfTimeRange", 23)
    data = complement(eccodes.codes_get_message(handle), -7)
    eccodes.codes_release(handle)
    instant = message(2, **PRESSURE, **RUN)
    later = [complement(instant, hours) for hours in (-30, -300)]
    found = scanned(tmp_path / "a.grib2", data, instant, *later)
    total = refmaker.open_dataset(found, group="surface/accum")
    hour = np.timedelta64(1, "h")
    assert (total.step_bounds / hour).values.tolist() == [-7, 16]
    assert total.valid_time.values == np.datetime64("2024-01-15T22:00")
    field = refmaker.open_dataset(found, group="isobaricInhPa/instant")
    assert (field.step / hour).values.tolist() == [-300, -30, 0]
    assert equal(found)


def test_a_forecast_time_that_is_missing_is_none(tmp_path):
    data = message(2, **PRESSURE, **RUN)
    found = scanned(tmp_path / "a.grib2", complement(data, -1), data)
    assert found.group.attributes["refmaker:fields"]["unsorted"] == 1

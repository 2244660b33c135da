"""Differences that are settled when asked: tolerances, fill values, dimensions left out."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import refmaker
from refmaker.cli import main
from refmaker.errors import MetadataError
from tests.combine.files import dataset, joined, scanned, write

BIG = (40, 60)


def stored(refs):
    return refmaker.open_dataset(refs, mask_and_scale=False, decode_times=False)


def jittered(tmp_path, *moves, name="lat", **changed):
    parts = [dataset(2 * k, 2, shape=BIG) for k in range(len(moves))]
    for part, move in zip(parts, moves, strict=True):
        part[name] = part[name] + move
        for key, values in changed.items():
            part[key] = values + move
    return parts, scanned(tmp_path, parts, (2, *BIG))


# A stated tolerance


@pytest.mark.parametrize("tolerance", [1e-8, {"lat": 1e-8}, {"*": 1e-8}])
def test_coordinates_within_the_tolerance_are_those_of_the_first(tmp_path, tolerance):
    parts, sets = jittered(tmp_path, 0, 1e-8, -1e-8)
    cube = refmaker.combine(sets, concat="time", tolerance=tolerance)
    expected = joined([part.assign_coords(lat=parts[0]["lat"]) for part in parts])
    xr.testing.assert_equal(stored(cube), expected)
    assert any("lat: values that differ by up to 1e-08" in text for text in cube.report.warnings)
    # The first counts wherever it stands along the joined dimension.
    cube = refmaker.combine(sets[::-1], concat="time", tolerance={"lat": 2e-8})
    np.testing.assert_array_equal(stored(cube)["lat"], parts[2]["lat"])


def test_beyond_the_tolerance_is_refused(tmp_path):
    _, sets = jittered(tmp_path, 0, 3e-8)
    with pytest.raises(MetadataError, match="differ by at most 3e-08"):
        refmaker.combine(sets, concat="time", tolerance=1e-8)
    with pytest.raises(MetadataError, match="lat"):
        refmaker.combine(sets, concat="time", tolerance={"lon": 1.0})


def test_what_lies_between_does_not_lead_further(tmp_path):
    """0, 0.9 and 1.8 are each near the next one, but not all near the first."""
    _, sets = jittered(tmp_path, 0, 0.9e-8, 1.8e-8)
    with pytest.raises(MetadataError, match="others lie between"):
        refmaker.combine(sets, concat="time", tolerance=1e-8)


def test_a_tolerance_above_the_steps_is_refused(tmp_path):
    _, sets = jittered(tmp_path, 0, 0.5)
    with pytest.raises(MetadataError, match="larger than its steps"):
        refmaker.combine(sets, concat="time", tolerance={"lat": 100})


def test_times_need_a_tolerance_of_their_own(tmp_path):
    """Half a minute is nothing in days, but another time."""
    parts = [dataset(0, 2, shape=BIG), dataset(0, 2, shape=BIG, seed=1)]
    for part, move in zip(parts, (0, 30), strict=True):
        part["time"] = part["time"].astype("f8") + move / 86400
        part["time"].attrs["units"] = "days since 2000-01-01"
    sets = scanned(tmp_path, parts, (1, *BIG))
    assert refmaker.combine(sets, concat="time", tolerance=1e-3).group["v"].shape[0] == 4
    with pytest.raises(MetadataError, match="both have it"):
        refmaker.combine(sets, concat="time", tolerance={"time": 1e-3})
    cube = refmaker.combine(sets, concat="time", tolerance={"time": 1e-3}, duplicates="last")
    np.testing.assert_array_equal(stored(cube)["v"], parts[1]["v"])
    np.testing.assert_array_equal(stored(cube)["time"], parts[0]["time"])


def test_boundaries_and_auxiliary_coordinates_follow(tmp_path):
    parts = [dataset(2 * k, 2, shape=BIG) for k in range(2)]
    for part, move in zip(parts, (0, 1e-9), strict=True):
        part["v"].attrs["coordinates"] = "area"
        part["area"] = ("lat", "lon"), np.arange(2400.0).reshape(BIG) + move
        part["lat"] = part["lat"] + move
        part["lat"].attrs["bounds"] = "lat_bnds"
        part["lat_bnds"] = ("lat", "nv"), np.arange(80.0).reshape(40, 2) + move
    sets = scanned(tmp_path, parts, (2, *BIG))
    found = stored(refmaker.combine(sets, concat="time", tolerance=1e-8))
    for name in ("lat", "lat_bnds", "area"):
        np.testing.assert_array_equal(found[name], parts[0][name])
    with pytest.raises(MetadataError, match="area"):
        refmaker.combine(sets, concat="time", tolerance={"lat": 1e-8})
    # What is no coordinate has to be named.
    for part in parts:
        del part["v"].attrs["coordinates"]
    sets = scanned(tmp_path, parts, (2, *BIG))
    with pytest.raises(MetadataError, match="area"):
        refmaker.combine(sets, concat="time", tolerance=1e-8)
    refmaker.combine(sets, concat="time", tolerance={"*": 1e-8, "area": 1e-8})


def test_tiles_whose_edges_jitter_are_joined(tmp_path):
    whole = dataset(0, 2, shape=BIG)
    parts = []
    rng = np.random.default_rng(0)
    for time in (0, 1):
        for row in (slice(0, 20), slice(20, 40)):
            part = whole.isel(time=[time], lat=row).copy()
            part["lat"] = part["lat"] + rng.uniform(-1e-7, 1e-7, 20) * time
            parts.append(part)
    sets = scanned(tmp_path, parts, (1, 20, 60))
    cube = refmaker.combine(sets, concat=("time", "lat"), tolerance=1e-6)
    xr.testing.assert_equal(stored(cube), whole)
    with pytest.raises(MetadataError, match="along lat"):
        refmaker.combine(sets, concat=("time", "lat"))


@pytest.mark.parametrize("first", ["f4", "f8"])
def test_coordinates_of_two_widths(tmp_path, first):
    """Where numbers fit into both types, nothing has to be said; xarray takes the wider, too."""
    parts = [dataset(2 * k, 2, shape=BIG) for k in range(2)]
    types = (first, "f8" if first == "f4" else "f4")
    for part, dtype in zip(parts, types, strict=True):
        part["lat"] = "lat", np.arange(40).astype(dtype) / 4
    cube = refmaker.combine(scanned(tmp_path, parts, (2, *BIG)), concat="time")
    found, expected = stored(cube), joined(parts)
    xr.testing.assert_equal(found, expected)
    assert found["lat"].dtype == "f8"


@pytest.mark.parametrize("first", ["f4", "f8"])
def test_rounded_coordinates_need_a_tolerance(tmp_path, first):
    parts = [dataset(2 * k, 2, shape=BIG) for k in range(2)]
    exact = np.arange(40) / 10
    for part, dtype in zip(parts, (first, "f8" if first == "f4" else "f4"), strict=True):
        part["lat"] = "lat", exact.astype(dtype)
    sets = scanned(tmp_path, parts, (2, *BIG))
    with pytest.raises(MetadataError, match=r"tolerance=\{'lat': ") as caught:
        refmaker.combine(sets, concat="time")
    amount = float(caught.value.hint.split("'lat': ")[1].split("}")[0])
    cube = refmaker.combine(sets, concat="time", tolerance={"lat": amount})
    np.testing.assert_array_equal(stored(cube)["lat"], exact)


def test_joined_coordinates_of_two_types(tmp_path):
    parts = [dataset(2 * k, 2, shape=BIG) for k in range(2)]
    parts[1]["time"] = ("time", parts[1]["time"].to_numpy() + 0.5, parts[1]["time"].attrs)
    cube = refmaker.combine(scanned(tmp_path, parts, (2, *BIG)), concat="time")
    np.testing.assert_array_equal(stored(cube)["time"], [0, 1, 2.5, 3.5])


def test_integers_that_no_float_holds_stay_apart(tmp_path):
    parts = [dataset(2 * k, 2, shape=BIG) for k in range(2)]
    parts[0]["time"] = "time", np.array([2**60 + 1, 2**60 + 2])
    parts[1]["time"] = "time", np.array([0.5, 1.5])
    with pytest.raises(MetadataError, match="dtype"):
        refmaker.combine(scanned(tmp_path, parts, (2, *BIG)), concat="time")


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=12, unique=True),
    st.lists(st.lists(st.floats(-1, 1), min_size=12, max_size=12), min_size=1, max_size=4),
    st.floats(0.01, 0.3),
)
def test_snapping_is_what_rounding_would_be(places, moves, tolerance):
    """Coordinates one apart that jitter by less than a third are those of the first input."""
    from tests.combine.test_remedies import arr, member

    places = np.sort(np.array(places, "f8"))
    sets = [
        member(0, time=arr([0.0], "time"), y=arr(places, "y")),
        *(
            member(
                k + 1,
                time=arr([k + 1.0], "time"),
                y=arr(places + np.array(move[: places.size]) * tolerance, "y"),
            )
            for k, move in enumerate(moves)
        ),
    ]
    cube = refmaker.combine(sets, concat="time", tolerance=tolerance * 1.001)
    assert stored(cube)["y"].to_numpy().tolist() == places.tolist()


# A value for what is missing


def holes(tmp_path, dtype="i2", **how):
    parts = [dataset(2 * k, 2, shape=BIG, dtype=dtype) for k in range(2)]
    parts[0]["w"] = parts[0]["v"] + parts[0]["v"].dtype.type(1)
    return parts, scanned(tmp_path, parts, (2, *BIG), **how)


def test_holes_in_integers_read_as_missing(tmp_path):
    parts, sets = holes(tmp_path)
    with pytest.raises(MetadataError, match=r"fill=\{'w': -32768\}"):
        refmaker.combine(sets, concat="time", join="outer")
    cube = refmaker.combine(sets, concat="time", join="outer", fill={"w": -32768})
    plain = stored(cube)["w"]
    assert plain.dtype == "i2"
    np.testing.assert_array_equal(plain[:2], parts[0]["w"])
    assert (plain[2:] == -32768).all()
    decoded = refmaker.open_dataset(cube)["w"]
    expected = xr.concat(
        [xr.decode_cf(part) for part in parts], "time", data_vars="minimal", join="exact",
        coords="minimal", compat="override",
    )["w"]  # fmt: skip
    np.testing.assert_array_equal(decoded, expected)
    assert np.isnan(decoded[2:]).all()


def test_a_fill_value_counts_for_appending_and_batches(tmp_path):
    _, sets = holes(tmp_path)
    options = {"concat": "time", "join": "outer", "fill": {"w": -5}}
    once = refmaker.combine(sets, **options)
    refmaker.combine(sets[:1], **options).write(tmp_path / "cube.json")
    refmaker.append(tmp_path / "cube.json", sets[1:], **options)
    for cube in (refmaker.read(tmp_path / "cube.json"), refmaker.combine(sets, batch=1, **options)):
        xr.testing.assert_identical(stored(cube), stored(once))


@pytest.mark.parametrize(
    ("value", "why"),
    [(70_000, "no value"), ("x", "no value"), (0.5, "no value"), (True, "no value")],
)
def test_fill_values_that_do_not_fit(tmp_path, value, why):
    _, sets = holes(tmp_path)
    with pytest.raises(MetadataError, match=why):
        refmaker.combine(sets, concat="time", join="outer", fill={"w": value})


def test_a_declared_fill_value_stays(tmp_path):
    _, sets = holes(tmp_path, encoding={"v": {"_FillValue": np.int16(-1)}})
    with pytest.raises(MetadataError, match="already"):
        refmaker.combine(sets, concat="time", join="outer", fill={"v": -2, "w": -2})
    refmaker.combine(sets, concat="time", join="outer", fill={"v": -1, "w": -2})


def test_a_variable_that_no_input_has(tmp_path):
    _, sets = holes(tmp_path)
    for option in ({"fill": {"u": 1}}, {"tolerance": {"u": 1.0}}):
        with pytest.raises(MetadataError, match="'u', which no input has"):
            refmaker.combine(sets, concat="time", **option)


# Attributes that no choice settles


@pytest.mark.parametrize("name", ["calendar", "scale_factor", "_FillValue", "dtype"])
def test_what_changes_decoding_is_never_settled(name):
    with pytest.raises(ValueError, match="no choice is right"):
        refmaker.CombineOptions(combine_attrs={name: "first"})


def test_units_of_times_are_never_settled(tmp_path):
    parts = [dataset(0, 2, shape=BIG), dataset(0, 2, shape=BIG, units="days since 2000-03-01")]
    sets = scanned(tmp_path, parts, (2, *BIG))
    with pytest.raises(MetadataError, match="attribute units"):
        refmaker.combine(sets, concat="time", times="keep", combine_attrs={"units": "first"})
    with pytest.raises(MetadataError, match="attribute units"):
        refmaker.combine(sets, concat="time", times="keep", combine_attrs={"units": "drop"})


@pytest.mark.parametrize("other", [None, "gregorian", "Standard"])
def test_a_calendar_that_is_the_default(tmp_path, other):
    parts = [dataset(2 * k, 2, shape=BIG) for k in range(2)]
    del parts[1]["time"].attrs["calendar"]
    if other:
        parts[1]["time"].attrs["calendar"] = other
    cube = refmaker.combine(scanned(tmp_path, parts, (2, *BIG)), concat="time", times="keep")
    xr.testing.assert_equal(stored(cube), joined(parts))


def test_what_a_settled_attribute_means_is_told(tmp_path):
    parts = [dataset(2 * k, 2, shape=BIG) for k in range(2)]
    parts[1]["v"].attrs["missing_value"] = np.float32(-9)
    sets = scanned(tmp_path, parts, (2, *BIG))
    cube = refmaker.combine(sets, concat="time", combine_attrs={"missing_value": "drop"})
    assert any("missing_value differs; it is left out" in text for text in cube.report.warnings)


# Dimensions left out, and variables that get one


def single(tmp_path, chunks=None):
    paths = []
    for k in range(3):
        data = xr.Dataset(
            {"v": (("time", "band", "x"), np.full((1, 1, 300), k, "f4")),
             "w": ("x", np.arange(300) + k), "same": ("x", np.arange(300))},
            {"time": ("time", [k]), "band": ("band", [7 + k])},
        )  # fmt: skip
        paths.append(write(tmp_path / f"{k}.nc", data, chunks))
    return [refmaker.scan(path) for path in paths]


def test_a_dimension_of_one_element_is_left_out(tmp_path):
    sets = single(tmp_path, (1, 1, 100))
    found = stored(refmaker.combine(sets, concat="time", squeeze="band", compat="vary"))
    assert found["v"].dims == ("time", "x")
    np.testing.assert_array_equal(found["v"][:, 5], [0, 1, 2])
    assert found["band"].dims == ("time",)
    np.testing.assert_array_equal(found["band"], [7, 8, 9])
    np.testing.assert_array_equal(found["w"][:, 0], [0, 1, 2])
    assert found["w"].dims == ("time", "x")
    assert found["same"].dims == ("x",)
    with pytest.raises(MetadataError, match="band"):
        refmaker.combine(sets, concat="time", squeeze="band")


def test_coordinates_of_dimensions_never_vary(tmp_path):
    sets = single(tmp_path, (1, 1, 100))
    with pytest.raises(MetadataError, match="squeeze='band'"):
        refmaker.combine(sets, concat="time", compat="vary")


def test_the_command_takes_all_of_it(tmp_path):
    parts, sets = jittered(tmp_path, 0, 1e-9)
    names = []
    for number, refs in enumerate(sets):
        names.append(str(tmp_path / f"{number}.json"))
        refs.write(names[-1])
    out = str(tmp_path / "cube.json")
    command = ["combine", *names, "-o", out, "--concat", "time"]
    for more, code in (
        (["--tolerance", "1e-8"], 0),
        (["--tolerance", "lat=1e-8", "--overwrite"], 0),
        (["--tolerance", "lat=1e-10", "--overwrite"], 1),
        (["--tolerance", "lat=wide"], 2),
        (["--tolerance", "-1"], 2),
        (["--tolerance", "1e-8", "--fill", "v"], 2),
        (["--tolerance", "1e-8", "--fill", "v=-1", "--overwrite"], 0),
        (["--tolerance", "1e-8", "--squeeze", "lat", "--overwrite"], 1),
        (["--combine-attrs", "calendar=first"], 2),
    ):
        done = CliRunner().invoke(main, [*command, *more])
        assert done.exit_code == code, (more, done.output)
    xr.testing.assert_equal(stored(refmaker.read(out))["lat"], parts[0]["lat"])

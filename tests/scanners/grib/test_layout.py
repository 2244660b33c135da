"""Where fields go: one array for each variable, coordinates from the fields, nothing lost."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import rioxarray  # noqa: F401 - the accessor .rio
import xarray as xr

from refmaker.io.source import Source
from refmaker.reading.open import open_store
from refmaker.scanners.grib import GRIBScanner
from refmaker.scanning.options import ScanOptions
from tests.scanners.grib.messages import joined, message

HOUR = 3600


def scan(folder, *parts, **chosen):
    path = folder / "file.grib"
    path.write_bytes(b"".join(parts))
    with Source(path) as source:
        return GRIBScanner().scan(source, ScanOptions(settings=chosen))


def opened(group, path):
    return xr.open_zarr(
        open_store(group), group=path, chunks=None, consolidated=False, zarr_format=2,
        decode_timedelta=True,
    )  # fmt: skip


def interval(begin, end, kind="accum", **keys):
    return message(
        productDefinitionTemplateNumber=8, shortName="tp", forecastTime=begin, stepType=kind,
        lengthOfTimeRange=end - begin, **keys,
    )  # fmt: skip


def test_levels_times_and_steps_become_dimensions(tmp_path):
    parts = [
        message(shortName="t", level=level, dataDate=date, forecastTime=step, seed=level + step)
        for date in (20240102, 20240101)
        for step in (12, 0)
        for level in (500, 850, 1000)
    ]
    group, report = scan(tmp_path, *parts)
    data = opened(group, "isobaricInhPa/instant")
    assert data.t.dims == ("time", "step", "isobaricInhPa", "latitude", "longitude")
    assert data.isobaricInhPa.values.tolist() == [1000, 850, 500]
    assert data.time.values.tolist() == sorted(data.time.values.tolist())
    assert (data.valid_time == data.time + data.step).all()
    assert data.t.units == "K"
    assert data.t.standard_name == "air_temperature"
    chosen = data.t.sel(time="2024-01-01", step="12h", isobaricInhPa=850).squeeze()
    true = np.random.default_rng(862).normal(280, 10, 84).reshape(7, 12)
    np.testing.assert_allclose(chosen.values, true, atol=1e-2)
    assert [row.reason for row in report.rows if row.path.endswith("/t")] == ["12 fields"]


def test_each_field_lies_where_its_keys_say(tmp_path):
    parts = [message(shortName="t", level=level, seed=level) for level in (300, 1000, 700)]
    group, _ = scan(tmp_path, *parts)
    table = group["isobaricInhPa/instant/t"].chunks
    size = len(parts[0])
    assert table.offset.tolist() == [size, 2 * size, 0]


def test_an_absent_field_reads_as_missing(tmp_path):
    parts = [
        message(shortName=name, level=level)
        for name, level in (("t", 1000), ("t", 850), ("t", 500), ("u", 1000), ("u", 500))
    ]
    group, _ = scan(tmp_path, *parts)
    data = opened(group, "isobaricInhPa/instant")
    assert data.u.shape == data.t.shape
    missing = data.u.isnull().all(["latitude", "longitude"]).values
    assert missing.tolist() == [False, True, False]


def test_other_levels_get_an_axis_of_their_own(tmp_path):
    parts = [message(shortName="t", level=level) for level in (1000, 925, 850, 700, 500)]
    parts += [message(shortName="u", level=level) for level in (10, 20)]
    group, _ = scan(tmp_path, *parts)
    u = group["isobaricInhPa/instant/u"]
    assert u.dimension_names == ("isobaricInhPa_2", "latitude", "longitude")
    assert u.chunks.absent == 0


def test_several_fields_of_one_message(tmp_path):
    several = joined(
        message(shortName="u", seed=1), message(shortName="v", seed=2), message(shortName="t")
    )
    group, report = scan(tmp_path, several)
    assert group.attributes["refmaker:fields"]["placed"] == 3
    data = opened(group, "isobaricInhPa/instant")
    for name, seed in (("u", 1), ("v", 2), ("t", 0)):
        true = np.random.default_rng(seed).normal(280, 10, 84).reshape(7, 12)
        np.testing.assert_allclose(data[name].values, true, atol=1e-2)
    assert report.lossless


def test_duplicates_are_kept_apart(tmp_path):
    one, other = (message(shortName="t", seed=seed) for seed in (1, 2))
    group, report = scan(tmp_path, one, other, one)
    assert group.attributes["refmaker:fields"] == {
        "found": 3, "placed": 1, "duplicates": 2, "unsorted": 0,
    }  # fmt: skip
    assert [row.path for row in report.rows if row.code == "duplicate"] == [
        "/_duplicates/isobaricInhPa/instant/t", "/_duplicates/isobaricInhPa/instant/t_2",
    ]  # fmt: skip


def test_intervals_that_end_together_do_not_hide_each_other(tmp_path):
    parts = [interval(0, 12, seed=1), interval(6, 12, seed=2), interval(11, 12, seed=3)]
    group, _ = scan(tmp_path, *parts)
    assert group.attributes["refmaker:fields"]["duplicates"] == 0
    (kind,) = [name for name in group.members if not name.startswith("_")]
    assert set(group[kind].members) == {"accum", "accum_6h", "accum_1h"}


def test_sums_since_the_start_are_one_variable_with_bounds(tmp_path):
    group, _ = scan(tmp_path, *(interval(0, end, seed=end) for end in (6, 12, 36, 48)))
    (kind,) = group.members
    data = opened(group, f"{kind}/accum")
    assert data.tp.dims[0] == "step"
    hours = (data.step_bounds / np.timedelta64(1, "h")).values.tolist()
    assert hours == [[0, 6], [0, 12], [0, 36], [0, 48]]
    assert data.tp.attrs["cell_methods"] == "step: sum"


def test_members_and_percentiles(tmp_path):
    members = [
        message(productDefinitionTemplateNumber=1, shortName="t", perturbationNumber=number)
        for number in (3, 1, 2)
    ]
    percentiles = [
        message(productDefinitionTemplateNumber=6, shortName="t", percentileValue=value)
        for value in (90, 10)
    ]
    group, _ = scan(tmp_path, *members, *percentiles)
    assert opened(group, "isobaricInhPa/instant").number.values.tolist() == [1, 2, 3]
    data = opened(group, "isobaricInhPa/instant/percentile")
    assert data.percentile.values.tolist() == [10, 90]


@pytest.mark.parametrize(("unit", "seconds"), [(0, 60), (1, HOUR), (2, 24 * HOUR), (13, 1)])
def test_units_of_steps(tmp_path, unit, seconds):
    made = message(shortName="t", indicatorOfUnitForForecastTime=unit, forecastTime=15)
    group, _ = scan(tmp_path, made)
    step = opened(group, "isobaricInhPa/instant").step.values
    assert step == np.timedelta64(15 * seconds, "s")


def test_months_are_those_of_the_calendar(tmp_path):
    made = message(shortName="t", dataDate=20240131, indicatorOfUnitForForecastTime=3,
                   forecastTime=1)  # fmt: skip
    group, _ = scan(tmp_path, made)
    data = opened(group, "isobaricInhPa/instant")
    assert str(data.valid_time.values)[:10] == "2024-02-29"


def test_layers_have_bounds(tmp_path):
    layers = [
        message(
            shortName="t", typeOfFirstFixedSurface=106, scaleFactorOfFirstFixedSurface=2,
            scaledValueOfFirstFixedSurface=top, typeOfSecondFixedSurface=106,
            scaleFactorOfSecondFixedSurface=2, scaledValueOfSecondFixedSurface=bottom,
        )
        for top, bottom in ((0, 10), (10, 40))
    ]  # fmt: skip
    group, _ = scan(tmp_path, *layers)
    assert group.attributes["refmaker:fields"]["placed"] == 2
    (kind,) = group.members
    bounds = [name for name in group[f"{kind}/instant"].members if name.endswith("_bounds")]
    assert bounds


def test_unknown_parameters_have_numbers_for_names(tmp_path):
    made = message(discipline=0, parameterCategory=200, parameterNumber=201)
    group, _ = scan(tmp_path, made)
    assert "d0c200n201" in group["isobaricInhPa/instant"].members


def test_grids_are_told_apart(tmp_path):
    small = message(shortName="t")
    other = message(shortName="t", latitudeOfFirstGridPointInDegrees=80, jDirectionIncrement=1)
    group, _ = scan(tmp_path, small, other)
    assert len(group["isobaricInhPa/instant"].members) == 2
    assert group.attributes["refmaker:fields"]["placed"] == 2


def test_paths_depend_on_the_fields_alone(tmp_path):
    first = [message(shortName="t", level=850), message(shortName="2t")]
    later = [
        *[message(shortName="t", level=level, forecastTime=6) for level in (850, 500)],
        message(shortName="2t", forecastTime=6), interval(0, 6),
    ]  # fmt: skip
    names = []
    for parts in (first, later):
        group, _ = scan(tmp_path, *parts)
        names.append({p for p, a in group.arrays() if a.chunks.referenced})
    assert names[0] <= names[1]


@pytest.mark.parametrize("layout", ["tree", "kerchunk", "flat", "cfgrib"])
def test_every_layout_holds_every_field(tmp_path, layout):
    parts = [message(shortName=name, level=level) for name in "tu" for level in (850, 500)]
    parts += [message(shortName="2t"), interval(0, 6), parts[0]]
    group, _ = scan(tmp_path, *parts, **{"grib-grouping": layout})
    counts = group.attributes["refmaker:fields"]
    assert counts == {"found": 7, "placed": 6, "duplicates": 1, "unsorted": 0}
    places = {}
    for path, array in group.arrays():
        if (array.compressor or {}).get("id") == "refmaker.grib":
            places[path] = array.chunks.referenced
    assert sum(places.values()) == 7
    if layout == "kerchunk":
        assert "t/instant/isobaricInhPa/t" in places
    if layout == "flat":
        assert "t_isobaricInhPa" in places


def test_single_precision(tmp_path):
    group, _ = scan(tmp_path, message(shortName="t"), precision="32")
    half = opened(group, "isobaricInhPa/instant").t
    group, _ = scan(tmp_path, message(shortName="t"))
    full = opened(group, "isobaricInhPa/instant").t
    assert (half.dtype, full.dtype) == (np.float32, np.float64)
    np.testing.assert_array_equal(half.values, full.values.astype("f4"))


def test_a_reference_costs_few_bytes(tmp_path):
    from refmaker import scan as scan_file

    path, out = tmp_path / "file.grib2", tmp_path / "file.json"
    parts = [
        message(shortName="t", level=level, forecastTime=step)
        for level in (1000, 850, 700, 500) for step in range(100)
    ]  # fmt: skip
    path.write_bytes(b"".join(parts))
    scan_file(path).write(out)
    # All of the document, with metadata and coordinates.
    assert out.stat().st_size < 150 * len(parts)


def test_scanning_directions_give_one_geographic_field(tmp_path):
    true = np.random.default_rng(0).normal(280, 10, (7, 12))
    for west, north, columns in np.ndindex(2, 2, 2):
        values = true[::-1] if north else true
        values = values[:, ::-1] if west else values
        made = message(
            shortName="t", values=(values.T if columns else values).reshape(-1).copy(),
            iScansNegatively=west, jScansPositively=north, jPointsAreConsecutive=columns,
            latitudeOfFirstGridPointInDegrees=-90 if north else 90,
            latitudeOfLastGridPointInDegrees=90 if north else -90,
            longitudeOfFirstGridPointInDegrees=330 if west else 0,
            longitudeOfLastGridPointInDegrees=0 if west else 330,
        )  # fmt: skip
        group, _ = scan(tmp_path, made)
        field = opened(group, "isobaricInhPa/instant").t.sortby("longitude")
        field = field.sortby("latitude", ascending=False)
        np.testing.assert_allclose(field.values, true, atol=1e-2)
        assert field.longitude.values.tolist() == list(range(0, 360, 30))


def test_the_table_of_variables(tmp_path):
    parts = [
        message(shortName="t", level=level, forecastTime=step)
        for level in (850, 500) for step in (0, 6, 12)
    ]  # fmt: skip
    for layout in ("tree", "cfgrib"):
        group, _ = scan(tmp_path, *parts, **{"grib-grouping": layout})
        (row,) = GRIBScanner().summary(group)
        known = ("name", "level", "levels", "steps", "members", "fields", "absent", "last_step")
        assert [row[key] for key in known] == ["t", "isobaricInhPa", 2, 3, 1, 6, 0, 12.0]
        assert row["shape"] == [7, 12]


@pytest.mark.parametrize("turned", [False, True])
def test_heights_are_named_by_their_values(tmp_path, turned):
    parts = [message(shortName=name, forecastTime=3) for name in ("2t", "10u", "10v")]
    group, _ = scan(tmp_path, *(parts[::-1] if turned else parts))
    members = group["heightAboveGround/instant"].members
    assert {"heightAboveGround_2m", "heightAboveGround_10m"} <= set(members)
    assert members["t2m"].attributes["GRIB_level"] == 2
    assert members["u10"].attributes["GRIB_level"] == 10
    assert "heightAboveGround_2m" in members["t2m"].attributes["coordinates"]
    data = opened(group, "heightAboveGround/instant")
    assert float(data.t2m.heightAboveGround_2m) == 2
    one, _ = scan(tmp_path, parts[0])
    assert "heightAboveGround" in one["heightAboveGround/instant"].members


def test_layers_tell_both_ends(tmp_path):
    layers = [
        message(
            shortName="t", typeOfFirstFixedSurface=106, scaleFactorOfFirstFixedSurface=2,
            scaledValueOfFirstFixedSurface=top, typeOfSecondFixedSurface=106,
            scaleFactorOfSecondFixedSurface=2, scaledValueOfSecondFixedSurface=bottom,
            parameterNumber=number,
        )
        for number, (top, bottom) in enumerate(((0, 10), (10, 40)))
    ]  # fmt: skip
    group, _ = scan(tmp_path, *layers)
    told = {
        (a.attributes.get("GRIB_topLevel"), a.attributes.get("GRIB_bottomLevel"))
        for path, a in group.arrays() if (a.compressor or {}).get("id") == "refmaker.grib"
    }  # fmt: skip
    assert told == {(0.0, 0.1), (0.1, 0.4)}
    kind = next(iter(group.members))
    assert f"{kind}_0_0p1m" in group[f"{kind}/instant"].members


LAMBERT = {
    "gridType": "lambert", "Nx": 5, "Ny": 4, "latitudeOfFirstGridPointInDegrees": 30,
    "longitudeOfFirstGridPointInDegrees": 250, "LaDInDegrees": 38, "LoVInDegrees": 262,
    "Latin1InDegrees": 38, "Latin2InDegrees": 38, "DxInMetres": 3000, "DyInMetres": 3000,
    "numberOfDataPoints": 20,
}  # fmt: skip


def of_name(group, name):
    """Return the path of the one array of a name."""
    (path,) = [path for path, _ in group.arrays() if path.endswith(f"/{name}")]
    return path


def test_rioxarray_finds_the_reference_system(tmp_path):
    group, _ = scan(tmp_path, message(values=np.arange(20.0), shortName="2t", **LAMBERT))
    path = of_name(group, "t2m")
    home, _, name = path.rpartition("/")
    data = opened(group, home)
    mapping = group[path].attributes["grid_mapping"]
    assert mapping not in data.data_vars
    assert data[name].rio.crs == rasterio.CRS.from_wkt(data[mapping].attrs["crs_wkt"])


@pytest.mark.parametrize(
    ("flags", "names", "told"),
    [
        ([1], ("x_wind", "y_wind"), 1),
        ([0], ("eastward_wind", "northward_wind"), None),
        ([1, 0], (None, None), None),
    ],
)
def test_winds_along_the_grid_are_not_called_eastward(tmp_path, flags, names, told):
    parts = [
        message(values=np.arange(20.0), shortName=name, forecastTime=step, **LAMBERT,
                uvRelativeToGrid=flag)
        for step, flag in enumerate(flags) for name in ("10u", "10v", "2t")
    ]  # fmt: skip
    group, _ = scan(tmp_path, *parts)
    for name, standard in zip(("u10", "v10"), names, strict=True):
        attributes = group[of_name(group, name)].attributes
        assert attributes.get("standard_name") == standard
        assert attributes.get("GRIB_uvRelativeToGrid") == told
        assert ("comment" in attributes) == (standard is None)
    assert group[of_name(group, "t2m")].attributes["standard_name"] == "air_temperature"


def test_winds_on_latitudes_and_longitudes_go_both_ways(tmp_path):
    group, _ = scan(tmp_path, message(shortName="10u", uvRelativeToGrid=1))
    assert group[of_name(group, "u10")].attributes["standard_name"] == "eastward_wind"

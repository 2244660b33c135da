"""Public questions about combining: the table in the documentation, and a miniature of each.

The page is read: each of its commands is run on files of the shape that was asked about, and has to
give what xarray makes of them; or it is refused, names the remedy that the page names, and gives
that with the remedy.
"""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import tifffile
import xarray as xr
import zarr
from click.testing import CliRunner

import refmaker
from refmaker.cli import main
from refmaker.combine.members import members
from refmaker.combine.values import read_values
from tests.combine import archives
from tests.combine.files import dataset, words_of, write

PAGE = Path(__file__).parents[2] / "docs" / "tasks" / "questions.md"
_ROW = re.compile(
    r"^\| (?P<asked>.+?) \| \[(?P<label>[^]]+)\]\((?P<url>\S+)\) \| (?P<answer>.+) \|$",
    re.MULTILINE,
)
_CODE = re.compile(r"`([^`]+)`")
ROWS = {match["label"]: match for match in _ROW.finditer(PAGE.read_text())}
MINIATURES = {}


def miniature(*labels):
    """Take a function that makes the files of questions, and returns what is right."""

    def known(made):
        MINIATURES.update(dict.fromkeys(labels, made))
        return made

    return known


def opened(folder, pattern="*.nc", **options):
    """Return files as xarray reads them."""
    return [xr.open_dataset(path, **options).load() for path in sorted(folder.glob(pattern))]


def concatenated(parts, dim="time", data_vars="minimal", **options):
    how = {"coords": "minimal", "compat": "override", "join": "exact", "combine_attrs": "override"}
    return xr.concat(parts, dim, data_vars=data_vars, **{**how, **options})


def written(folder, parts, chunks=None, *, names=None, **options):
    """Write datasets to files, and return what xarray makes of them along time."""
    for k, part in enumerate(parts):
        write(folder / (names[k] if names else f"{k}.nc"), part, chunks, **options)
    return concatenated(opened(folder, "*.nc*"))


def fields(*names, shape=(40, 50), seed=0, dims=("lat", "lon"), **coordinates):
    """Return fields without times."""
    rng = np.random.default_rng(seed)
    given = {d: (d, np.arange(n, dtype="f8")) for d, n in zip(dims, shape, strict=True)}
    return xr.Dataset(
        {name: (dims, rng.normal(size=shape).astype("f4")) for name in names},
        {**given, **coordinates},
    )


# Times and names


@miniature("kerchunk#223", "ocgis#435")
def files_that_count_from_their_own_start(folder):
    starts = pd.date_range("2022-09-01 00:30", periods=4, freq="h")
    parts = [dataset(0, 1, units=f"minutes since {start}") for start in starts]
    return written(folder, parts, (1, 4, 6), names=[f"{k}.nc4" for k in range(4)])


@miniature("kerchunk#302")
def months_that_count_from_their_own_day(folder):
    return written(
        folder,
        [dataset(0, 1, units=f"days since 1998-{m:02d}-16 00:00:00") for m in (1, 2, 3)],
        (1, 4, 6),
    )


def named(folder, names, times, dim="time", **options):
    parts = []
    for k, name in enumerate(names):
        parts.append(fields("v", seed=k))
        write(folder / name, parts[-1], unlimited=(), **options)
    return concatenated([p.assign_coords({dim: t}) for p, t in zip(parts, times, strict=True)], dim,
                        "all")  # fmt: skip


@miniature("kerchunk#141")
def year_in_the_name(folder):
    names = ["LCMAP_CU_2019_V12.nc", "LCMAP_CU_2020_V12.nc"]
    return named(folder, names, pd.to_datetime(["2019-01-01", "2020-01-01"]))


@miniature("kerchunk#184")
def date_in_the_name(folder):
    names = ["file_20210915.nc4", "file_20210920.nc4"]
    return named(folder, names, pd.to_datetime(["2021-09-15", "2021-09-20"]))


@miniature("kerchunk#285")
def minutes_in_the_name(folder):
    names = ["spectral_197001012359_a.nc", "spectral_197001020005_b.nc"]
    return named(folder, names, pd.to_datetime(["1970-01-01 23:59", "1970-01-02 00:05"]))


@miniature("kerchunk#123")
def number_in_the_name(folder):
    years = list(range(2000, 2011))
    return named(folder, [f"test_{year}.nc" for year in years], years, "year")


@miniature("earthkit-data#300")
def date_before_the_rest_of_the_name(folder):
    names = ["20020520-ESACCI-L3C_AEROSOL-fv3.11.nc", "20020521-ESACCI-L3C_AEROSOL-fv3.11.nc"]
    return named(folder, names, pd.to_datetime(["2002-05-20", "2002-05-21"]))


@miniature("weather_data#8")
def date_in_an_attribute(folder):
    parts = []
    for day in ("2016-01-01", "2016-01-02"):
        part = fields("T2M", seed=int(day[-1])).assign_attrs(RangeBeginningDate=day)
        write(folder / f"MERRA2_{day}.nc4", part, unlimited=())
        parts.append(part.assign_coords(date=day))
    return concatenated(parts, "date", "all")


@miniature("cfgrib#165")
def time_as_a_scalar(folder):
    for hour in (6, 0, 12):
        time = {"units": "hours since 2020-10-05", "standard_name": "time"}
        part = fields("t2m", seed=hour).assign_coords(valid_time=((), np.int64(hour), time))
        write(folder / f"{hour}.nc", part, unlimited=())
    parts = sorted(opened(folder), key=lambda part: part["valid_time"].item())
    return concatenated(parts, "valid_time", "all")


@miniature("xarray#5767")
def times_beyond_what_nanoseconds_hold(folder):
    parts = [dataset(k * 100_000, 2, units="days since 2000-01-01") for k in range(3)]
    for k, part in enumerate(parts):
        write(folder / f"{k}.nc", part, (1, 4, 6))
    coder = xr.coders.CFDatetimeCoder(time_unit="us")
    return concatenated([xr.open_dataset(folder / f"{k}.nc", decode_times=coder) for k in range(3)])


@miniature("xcdat#427")
def calendars_that_differ(folder):
    for k, calendar in enumerate(("standard", "360_day")):
        part = dataset(0, 2)
        part["time"].attrs["calendar"] = calendar
        write(folder / f"{k}.nc", part, (1, 4, 6))
    return {f"encoding_{k}": part for k, part in enumerate(opened(folder))}


# What a file says besides


@miniature("VirtualiZarr#215")
def type_of_time_changes(folder):
    parts = [dataset(k, 1) for k in range(3)]
    for k, part in enumerate(parts):
        part["time"] = (
            part["time"].astype("f8" if k == 0 else "f4").assign_attrs(part["time"].attrs)
        )
    return written(folder, parts, (1, 4, 6))


@miniature("VirtualiZarr#826")
def boundaries_and_grid_mappings(folder):
    parts = [dataset(k, 1, attrs={"grid_mapping": "rotated_pole"}) for k in range(3)]
    for k, part in enumerate(parts):
        part["time_bnds"] = ("time", "bnds"), np.array([[k, k + 1.0]])
        part["time"].attrs["bounds"] = "time_bnds"
        part["rotated_pole"] = (), np.int32(1), {"grid_mapping_name": "rotated_latitude_longitude"}
    return written(folder, parts, (1, 4, 6))


@miniature("VirtualiZarr#533")
def compression_levels(folder):
    for k, level in enumerate((4, 4, 9)):
        write(folder / f"{k}.nc", dataset(k, 1, shape=(40, 50)), (1, 20, 25),
              encoding={"v": {"complevel": level}})  # fmt: skip
    return concatenated(opened(folder))


@miniature("VirtualiZarr#5")
def types_that_differ(folder):
    for k, dtype in enumerate(("f4", "f8")):
        write(folder / f"{k}.nc", dataset(k, 1, shape=(40, 50), dtype=dtype), (1, 20, 25))
    return {f"encoding_{k}": part for k, part in enumerate(opened(folder))}


@miniature("kerchunk#212", "VirtualiZarr#1059", "thredds#842")
def packing_of_each_file(folder):
    for k, offset in enumerate((292.17, 288.44)):
        packed = {"dtype": "i2", "scale_factor": 0.01, "add_offset": offset, "_FillValue": -32768}
        write(folder / f"{k}.nc", dataset(k, 1, shape=(40, 50), dtype="f8") / 7 + 280, (1, 20, 25),
              encoding={"v": packed})  # fmt: skip
        with h5py.File(folder / f"{k}.nc", "a") as file:
            file["time"].attrs["units"] = "days since 2000-01-01"
    return concatenated(opened(folder))


@miniature("kerchunk#117")
def classic_beside_netcdf4(folder):
    for k, form in enumerate(("NETCDF4", "NETCDF3_CLASSIC")):
        dataset(k, 1, shape=(40, 50)).to_netcdf(folder / f"{k}.nc", format=form, engine="netcdf4")
    return {f"encoding_{k}": part for k, part in enumerate(opened(folder))}


@miniature("salem#217")
def variable_of_some_files(folder):
    parts = [dataset(k, 1, shape=(40, 50)) for k in range(3)]
    parts[1]["PRCP"] = parts[1]["v"] * 2
    for k, part in enumerate(parts):
        write(folder / f"{k}.nc", part, (1, 20, 25))
    return concatenated([p.assign(PRCP=p.get("PRCP", p["v"] * np.nan)) for p in opened(folder)])


@miniature("intake-esm#100")
def variable_that_nobody_needs(folder):
    for member in (1, 2):
        part = dataset(0, 2, shape=(40, 50), seed=member)
        if member == 2:
            part["cosp"] = part["v"] * 2
        write(folder / f"r{member}.nc", part, (1, 20, 25))
    parts = [part.drop_vars("cosp", errors="ignore") for part in opened(folder)]
    return concatenated(
        [p.assign_coords(member=k + 1) for k, p in enumerate(parts)], "member", "all"
    )


@miniature("xarray#438")
def variables_without_time(folder):
    parts = [dataset(k, 1, shape=(40, 50)) for k in range(3)]
    for part in parts:
        part["elevation"] = parts[0]["v"][0] * 10
    return written(folder, parts, (1, 20, 25))


@miniature("xarray#443")
def levels_of_each_file(folder):
    parts = []
    for k in range(2):
        part = fields("mass_loading", seed=k).assign_coords(time=[k])
        part["concentration"] = ("level", "lat", "lon"), np.full((3, 40, 50), k, "f4")
        part["level"] = "level", np.array([28.0, 56, 84]) + k / 7
        write(folder / f"{k}.nc", part)
        parts.append(part.drop_vars("level").isel(time=0))
    return concatenated(parts, "time", "all")


@miniature("ACT#1018")
def other_times_beside_time(folder):
    parts = [dataset(k, 1) for k in range(3)]
    for k, part in enumerate(parts):
        part["Io_gauss_time"] = "Io_gauss_time", np.arange(5.0) + k
    for k, part in enumerate(parts):
        write(folder / f"{k}.nc", part, (1, 4, 6))
    return concatenated([part.drop_vars("Io_gauss_time") for part in opened(folder)])


# Chunks


@miniature("kerchunk#476")
def short_coordinates(folder):
    for k, steps in enumerate(([0, 1, 2], [3, 4])):
        time = ("time", np.array(steps))
        data = xr.Dataset({"twice": ("time", 2 * np.array(steps))}, {"time": time})
        write(folder / f"{k}.nc", data)
    return concatenated(opened(folder))


@miniature("kerchunk#218")
def chunks_that_differ(folder):
    for k, chunks in enumerate(((1, 40, 1), (1, 40, 50))):
        write(folder / f"{k}.nc", dataset(k, 1, shape=(40, 50)), chunks)
    return {f"encoding_{k}": part for k, part in enumerate(opened(folder))}


@miniature("pangeo-forge-recipes#616")
def chunks_of_one_file_differ(folder):
    parts = [dataset(k, 1, shape=(40, 50)) for k in range(3)]
    for k, part in enumerate(parts):
        write(folder / f"{k}.nc", part, (1, 10, 25) if k == 1 else (1, 20, 50))
    return concatenated(opened(folder))


@miniature("VirtualiZarr#813")
def leap_years(folder):
    parts = [dataset(start, count) for start, count in ((0, 366), (366, 365), (731, 365))]
    return written(folder, parts, unlimited=())


@miniature("VirtualiZarr#330")
def leap_years_in_chunks_of_two_months(folder):
    parts = [dataset(start, count) for start, count in ((0, 365), (365, 366), (731, 365))]
    return written(folder, parts, (61, 4, 6))


@miniature("kerchunk#430", "kerchunk#310")
def last_chunks_that_are_partial(folder):
    return written(folder, [dataset(3 * k, 3, shape=(20, 30)) for k in range(3)], (2, 20, 30))


@miniature("kerchunk#311")
def variables_chunked_in_their_own_way(folder):
    parts = [dataset(k * 4, 4, shape=(40, 50)) for k in range(3)]
    for k, part in enumerate(parts):
        part["tasmax"] = part["v"] + 1
        write(folder / f"{k}.nc", part, encoding={
            "v": {"chunksizes": (1, 40, 50), "zlib": True},
            "tasmax": {"chunksizes": (4, 10, 25), "zlib": True},
        })  # fmt: skip
    return concatenated(opened(folder))


# Coordinates that are nearly the same


@miniature("xarray#4465")
def latitudes_of_another_library(folder):
    parts = [dataset(k, 1) for k in range(3)]
    for k, part in enumerate(parts):
        part["lat"] = part["lat"] + k * 1e-14
        write(folder / f"{k}.nc", part, (1, 4, 6))
    return concatenated(opened(folder), join="override")


@miniature("xarray#2217")
def grids_that_should_be_one(folder):
    for k in range(2):
        data = xr.Dataset(
            {f"v{k}": ("x", np.arange(5.0) + k)}, {"x": ("x", np.arange(1.0, 6) + k * 2.0**-40)}
        )
        write(folder / f"da{k}.nc", data, unlimited=())
    return xr.merge(opened(folder), join="override")


@miniature("xarray#4824")
def interlaced_latitudes(folder):
    for k in range(2):
        data = xr.Dataset(
            {"a": (("t", "lat"), np.arange(5.0)[None] + k)},
            {"t": ("t", [k]), "lat": ("lat", np.arange(5) + k * 2.0**-20)},
        )
        write(folder / f"{k}.nc", data, unlimited=("t",))
    return concatenated(opened(folder), "t", join="override")


@miniature("intake-esm#724")
def precision_changes(folder):
    parts = [dataset(k, 1) for k in range(3)]
    lat = np.array([10.1, 20.2, 30.3, 40.4])
    for k, part in enumerate(parts):
        part["lat"] = "lat", lat.astype("f4" if k == 0 else "f8")
        write(folder / f"{k}.nc", part, (1, 4, 6))
    return concatenated([p.assign_coords(lat=lat) for p in opened(folder)])


# Overlaps, holes, several dimensions


@miniature("xarray#2108")
def restarts(folder):
    parts = [dataset(0, 4, shape=(40, 50)), dataset(3, 4, shape=(40, 50))]
    written(folder, parts, (1, 40, 50))
    one, two = opened(folder)
    return concatenated([one, two.isel(time=slice(1, None))])


@miniature("xarray#7189")
def one_value_in_both(folder):
    for k in range(2):
        data = xr.Dataset({"v": ("x", np.full(2, k, "f4"))}, {"x": ("x", [k, k + 1])})
        write(folder / f"{k}.nc", data, unlimited=())
    return xr.Dataset({"v": ("x", np.array([0, 1, 1], "f4"))}, {"x": ("x", [0, 1, 2])})


@miniature("xarray#5230")
def one_file_twice(folder):
    write(folder / "some_file.nc", dataset(0, 3), (1, 4, 6))
    return opened(folder)[0]


@miniature("xarray#6355")
def tiles_that_do_not_fill_a_square(folder):
    rng = np.random.default_rng(0)
    for k, (y, x) in enumerate((([0, 1], [20, 30, 40]), ([2, 3], [10, 20, 30]))):
        data = xr.Dataset(
            {"temperature": (("y", "x"), rng.normal(size=(2, 3)))}, {"y": ("y", y), "x": ("x", x)}
        )
        write(folder / f"x{k + 1}.nc", data, unlimited=())
    return xr.combine_by_coords(
        [part.reindex(x=[10, 20, 30, 40]) for part in opened(folder)], join="outer"
    )


@miniature("xarray#3150")
def the_same_order_that_is_none(folder):
    for k, x in enumerate(([1, 2, 3], [4, 5, 6, 7])):
        data = xr.Dataset(
            {"data": (("x", "y"), np.random.default_rng(k).normal(size=(len(x), 3)))},
            {"x": ("x", x), "y": ("y", np.array([1, 9, 4]))},
        )
        write(folder / f"{k}.nc", data, unlimited=("x",))
    return concatenated(opened(folder), "x")


@miniature("xarray#2159")
def several_dimensions(folder):
    archives.tiles(folder)
    parts = [xr.open_dataset(path).load() for path in sorted(folder.rglob("*.nc"))]
    return xr.combine_by_coords(parts, combine_attrs="override")


@miniature("kerchunk#483")
def along_the_second_dimension(folder):
    for k in range(2):
        data = xr.Dataset(
            {"A": (("x", "y"), np.random.default_rng(k).normal(size=(1000, 1)))},
            {"x": ("x", np.arange(1000)), "y": ("y", [k])},
        )
        write(folder / f"ds{k}.nc", data, unlimited=())
    return concatenated(opened(folder), "y")


@miniature("kerchunk#196", "VirtualiZarr#382")
def variables_in_files_of_their_own(folder):
    for k, name in enumerate(("pr", "tas")):
        write(folder / f"{name}.nc", dataset(0, 3, name=name, seed=k, shape=(40, 50)), (1, 40, 50))
    return xr.merge(opened(folder))


@miniature("discourse#4002")
def grid_in_a_file_of_its_own(folder):
    write(folder / "grid.nc", fields("h", shape=(40, 50)), unlimited=())
    rest = [dataset(k, 1, shape=(40, 50)).drop_vars(["lat", "lon"]) for k in range(3)]
    for k, part in enumerate(rest):
        write(folder / f"out_{k}.nc", part, (1, 40, 50))
    return concatenated(opened(folder, "out_*.nc")).merge(opened(folder, "grid.nc")[0])


# Models, images, sets that grow


@miniature("xarray#5023")
def output_of_wrf(folder):
    expected = archives.weather_model(folder)
    times = pd.date_range("2024-01-01", periods=6, freq="h")
    return expected[["T2", "U", "PHB", "XLAT"]].assign_coords(Time=times)


@miniature("kerchunk#343")
def output_of_roms(folder):
    return archives.ocean_model(folder)


@miniature("xarray#3164")
def files_that_name_nothing(folder):
    values = np.random.default_rng(0).normal(size=(4, 30, 20)).astype("f4")
    for k in (2, 3, 10, 11):
        with h5py.File(folder / f"out{k}.h5", "w") as file:
            file["THETA"] = values[[2, 3, 10, 11].index(k)]
    return {"": {"THETA": values, "TIME": np.array([2, 3, 10, 11])}}


@miniature("kerchunk#78")
def stack_of_geotiffs(folder):
    values = np.random.default_rng(0).integers(0, 9, (3, 64, 96)).astype("u1")
    for k, year in enumerate((2019, 2020, 2021)):
        tifffile.imwrite(folder / f"lcmap_{year}.tif", values[k], tile=(32, 32), compression="lzw")
    years = np.array(["2019-01-01", "2020-01-01", "2021-01-01"], "M8[ns]")
    return {"": {"image": values, "time": years}}


@miniature("tifffile#125")
def cube_of_cogs(folder):
    expected = archives.scenes(folder)
    return {"": {"image": expected["image"].to_numpy(), "band": np.array(["B04", "B08"])}}


@miniature("kerchunk#416")
def cubes_of_cubes(folder):
    parts = [dataset(2 * k, 2, shape=(40, 50)) for k in range(6)]
    expected = written(folder, parts, (1, 40, 50))
    sets = [refmaker.scan(str(folder / f"{k}.nc")) for k in range(6)]
    for n, some in enumerate((sets[3:], sets[:1], sets[1:3])):
        refmaker.combine(some, concat="time").write(folder / f"part{n}.json")
    return expected


def grown(folder, out):
    parts = [dataset(2 * k, 2, shape=(40, 50)) for k in range(3)]
    expected = written(folder, parts, (1, 40, 50))
    sets = [refmaker.scan(str(folder / f"{k}.nc")) for k in range(2)]
    refmaker.combine(sets, concat="time").write(folder / out)
    return expected


@miniature("kerchunk#513")
def set_that_grows(folder):
    return grown(folder, "cube.json")


@miniature("VirtualiZarr#21")
def parquet_that_grows(folder):
    return grown(folder, "cube.parquet")


@miniature("VirtualiZarr#740")
def repository_that_grows(folder):
    return grown(folder, "cube.icechunk")


# The page


def output_of(words):
    if words[0] == "append":
        return words[1]
    return words[words.index("-o") + 1]


def check(out, expected):
    if isinstance(expected, xr.Dataset):
        expected = {"": expected}
    if not out.endswith(".icechunk") and not readable(out):
        check_uneven(refmaker.read(out), expected[""])
        return
    coder = xr.coders.CFDatetimeCoder(time_unit="us")
    for group, wanted in expected.items():
        if out.endswith(".icechunk"):
            found = opened_repository(out)
        else:
            found = refmaker.open_dataset(out, group=group or None, decode_times=coder)
        for name in getattr(wanted, "variables", wanted):
            values = np.asarray(wanted[name])
            here = found[name]
            if isinstance(wanted, xr.Dataset):
                assert set(here.dims) == set(wanted[name].dims), name
                here = here.transpose(*wanted[name].dims)
            if values.dtype.kind == "O":
                assert list(map(str, here.to_numpy().ravel())) == list(map(str, values.ravel())), (
                    name
                )
            else:
                np.testing.assert_array_equal(here, values, err_msg=name)
            if values.dtype.kind == "f":
                assert here.dtype == values.dtype, name


def readable(out):
    """Whether this zarr has the chunks of a set, which may be of different lengths."""
    arrays = [array for _, array in refmaker.read(out).group.arrays()]
    return "rectilinear_chunks" in zarr.config.get("array") or all(a.edges is None for a in arrays)


def check_uneven(refs, wanted):
    (member,) = members([refs])
    for name, array in refs.group.arrays():
        if array.edges is not None:
            (found,) = read_values([(member, name, array)])
            np.testing.assert_array_equal(found, wanted[name], err_msg=name)
        assert array.shape == wanted[name].shape


def opened_repository(out):
    from refmaker.storage.icechunk import open_repository

    store = open_repository(out).readonly_session("main").store
    return xr.open_zarr(store, consolidated=False)


def test_the_page_and_the_miniatures_are_one():
    assert ROWS.keys() == MINIATURES.keys()
    assert len(ROWS) >= 40
    assert len(PAGE.read_text().splitlines()) - len(ROWS) < 40  # no row is overlooked
    assert all(row["url"].startswith("https://") for row in ROWS.values())


@pytest.mark.parametrize("label", ROWS)
def test_each_question_has_the_answer_that_the_page_gives(label, tmp_path, monkeypatch):
    expected = MINIATURES[label](tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REFMAKER_CACHE_DIR", str(tmp_path / ".cache"))
    monkeypatch.setenv("REFMAKER_SCAN_ISOLATE", "never")
    command, *remedies = _CODE.findall(ROWS[label]["answer"])
    words = list(words_of(command.removeprefix("refmaker ")))
    done = CliRunner().invoke(main, words)
    if remedies:
        (remedy,) = remedies
        assert done.exit_code == 1, done.output
        assert remedy in done.output
        assert "is refused" in ROWS[label]["answer"]
        done = CliRunner().invoke(main, [*words, *words_of(remedy)])
    assert done.exit_code == 0, done.output
    check(output_of(words), expected)

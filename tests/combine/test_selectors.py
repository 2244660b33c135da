"""The counterparts of kerchunk's MultiZarrToZarr: selectors, identical dimensions, merging."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from kerchunk.combine import MultiZarrToZarr
from kerchunk.hdf import SingleHdf5ToZarr

import refmaker
from refmaker.errors import MetadataError
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.report import ScanReport
from refmaker.storage.reference_set import ReferenceSet
from refmaker.testing import decode_array, open_stock
from tests.combine.files import dataset, joined, same, scanned, write

CHUNKS = (2, 4, 6)
STACK = [dataset(0, 2, seed=k) for k in range(3)]


def stacked(folder, **options):
    """Combine three files of the same times along a new dimension ``run``."""
    paths = []
    for k, part in enumerate(STACK):
        labelled = part.assign_attrs(number=k * 10, day=f"2020-01-{k + 1:02d}")
        labelled["v"].attrs["odd:name"] = k + 5
        labelled["height"] = 100.0 - k
        paths.append(write(folder / f"out_2020010{k + 1}_{k}.nc", labelled, CHUNKS))
    sets = [refmaker.scan(path) for path in paths]
    options.setdefault("drop", () if "data:height" in str(options) else "height")
    return refmaker.combine(sets, combine_attrs="drop", **options), paths


@pytest.mark.parametrize(
    ("selector", "labels"),
    [
        ([7, 8, 9], [7, 8, 9]),
        (["a", "bc", "d"], ["a", "bc", "d"]),
        ("index", [0, 1, 2]),
        ("attr:number", [0, 10, 20]),
        ("vattr:v:odd:name", [5, 6, 7]),
        ("out_{day:%Y%m%d}_{run:d}.nc", [0, 1, 2]),
        (lambda refs, name: int(Path(name).stem[-1]) * 2, [0, 2, 4]),
        ("data:height", [98, 99, 100]),
    ],
)
def test_a_new_dimension_from_anything(tmp_path, selector, labels):
    cube, _ = stacked(tmp_path, coords={"run": selector})
    group = open_stock(cube)
    assert group["run"][...].tolist() == labels
    expected = np.stack([part["v"].values for part in STACK])
    if selector == "data:height":
        expected = expected[::-1]
    np.testing.assert_array_equal(group["v"][...], expected)
    assert group["v"].attrs["_ARRAY_DIMENSIONS"] == ["run", "time", "lat", "lon"]
    assert group["lat"].shape == (4,)


@pytest.mark.parametrize(
    "selector",
    ["{day:%Y%m%d}_{run:d}.nc", "out_{day:%Y%m%d}_{run:d}.nc",
     [date(2020, 1, 1), date(2020, 1, 2), date(2020, 1, 3)],
     [np.datetime64("2020-01-01"), np.datetime64("2020-01-02"), np.datetime64("2020-01-03")]],
)  # fmt: skip
def test_dates_become_a_coordinate_that_xarray_decodes(tmp_path, selector):
    if selector == "{day:%Y%m%d}_{run:d}.nc":
        with pytest.raises(MetadataError, match=r"does not fit the name .*out_20200101_0\.nc"):
            stacked(tmp_path, coords={"day": selector})
        return
    cube, _ = stacked(tmp_path, coords={"day": selector})
    days = refmaker.open_dataset(cube)["day"].values.astype("M8[D]").astype(str)
    assert days.tolist() == ["2020-01-01", "2020-01-02", "2020-01-03"]


def test_a_mapping_by_name(tmp_path):
    paths = [write(tmp_path / f"{name}.nc", part, CHUNKS)
             for name, part in zip("abc", STACK, strict=True)]  # fmt: skip
    labels = dict(zip(paths, [3, 1, 2], strict=True))
    cube = refmaker.combine([refmaker.scan(path) for path in paths], coords={"run": labels})
    assert open_stock(cube)["run"][...].tolist() == [1, 2, 3]
    np.testing.assert_array_equal(open_stock(cube)["v"][2], STACK[0]["v"].values)
    with pytest.raises(MetadataError, match=r"no value for .*b\.nc"):
        refmaker.combine([refmaker.scan(path) for path in paths], coords={"run": {paths[0]: 1}})


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        ([1, 2], "2 values for 3 inputs"),
        ("attr:nothing", "no attribute 'nothing'"),
        ("vattr:w:x", "has no 'w'"),
        ("data:w", "has no 'w'"),
        ("nonsense", "says nowhere"),
        ("other_{run:d}.nc", "does not fit the name"),
        ("out_{day:%Y%m%d}_{n:d}.nc", "has no field 'run'"),
        ([1, "a", 2], "different kinds"),
    ],
)
def test_selectors_that_say_nothing_are_refused(tmp_path, selector, words):
    with pytest.raises(MetadataError, match=words):
        stacked(tmp_path, coords={"run": selector})


def test_the_same_value_twice_is_a_duplicate(tmp_path):
    with pytest.raises(MetadataError, match="run=1"):
        stacked(tmp_path, coords={"run": [1, 2, 1]})


def test_dates_after_the_conventions(tmp_path):
    parts = [dataset(0, 2, units="days since 2000-01-01", shape=(40, 60)),
             dataset(24, 2, units="hours since 2000-02-01", shape=(40, 60))]  # fmt: skip
    sets = scanned(tmp_path, parts, (1, 40, 60))
    cube = refmaker.combine(sets, coords={"time": "cf:time"})
    found = refmaker.open_dataset(cube)["time"].values.astype("M8[h]").astype(str)
    assert found.tolist() == [
        "2000-01-01T00", "2000-01-02T00", "2000-02-02T00", "2000-02-02T01",
    ]  # fmt: skip
    with pytest.raises(MetadataError, match="cf:time"):
        refmaker.combine(sets, coords={"time": "data:time"}, times="keep")


def test_variables_that_are_to_stay_without_the_new_dimension(tmp_path):
    parts = [part.assign(area=(("lat", "lon"), np.ones((4, 6)))) for part in STACK]
    sets = scanned(tmp_path, parts, CHUNKS)
    coords = {"run": "index"}
    assert refmaker.combine(sets, coords=coords).group["area"].shape == (3, 4, 6)
    cube = refmaker.combine(sets, coords=coords, identical_variables="area")
    assert cube.group["area"].shape == (4, 6)
    parts[1]["area"][0, 0] = 2
    differing = scanned(tmp_path, parts, CHUNKS)
    with pytest.raises(MetadataError, match=r"area: .*values differ"):
        refmaker.combine(differing, coords=coords, identical_variables="area")
    with pytest.raises(MetadataError, match="'nothing', which no input has"):
        refmaker.combine(sets, coords=coords, identical_variables="nothing")


def test_variables_of_different_files_are_merged(tmp_path):
    one, other = dataset(0, 4, shape=(40, 60)), dataset(0, 4, name="w", shape=(40, 60), seed=3)
    parts = [one.isel(time=slice(0, 2)), one.isel(time=slice(2, 4)), other]
    cube = refmaker.combine(scanned(tmp_path, parts, (2, 40, 60)))
    same(cube, xr.merge([one, other]))


def test_several_dimensions_at_once(tmp_path):
    whole = dataset(0, 4, shape=(40, 60))
    whole["bnds"] = ("time", "nv"), np.arange(8.0).reshape(4, 2)
    parts = [whole.isel(time=slice(a, a + 2), lat=slice(b, b + 20))
             for a in (0, 2) for b in (0, 20)]  # fmt: skip
    sets = scanned(tmp_path, parts, (2, 10, 60))
    same(refmaker.combine(sets[::-1]), whole)
    same(refmaker.combine(sets, concat=["time", "lat"]), whole)
    with pytest.raises(MetadataError, match="no input has it at time=2, lat="):
        refmaker.combine(sets[:3])
    parts[1] = parts[1].copy(deep=True)
    parts[1]["bnds"][0, 0] = 17
    with pytest.raises(MetadataError, match=r"bnds: .*different values"):
        refmaker.combine(scanned(tmp_path, parts, (2, 10, 60)))


def test_runs_and_times_from_names_and_coordinates(tmp_path):
    parts, sets = [], []
    for run in range(2):
        for k in range(2):
            part = dataset(k * 2, 2, seed=run, shape=(40, 60))
            parts.append(part)
            path = write(tmp_path / f"r{run}_{k}.nc", part, (2, 40, 60))
            sets.append(refmaker.scan(path))
    cube = refmaker.combine(sets, concat="time", coords={"run": "r{run:d}_{part:d}.nc"})
    expected = np.stack([joined(parts[:2])["v"].values, joined(parts[2:])["v"].values])
    np.testing.assert_array_equal(open_stock(cube)["v"][...], expected)


def test_groups_are_combined_alike(tmp_path):
    paths = []
    for k in range(2):
        tree = xr.DataTree.from_dict(
            {"/": dataset(k * 2, 2)[["time"]], "/deep/inner": dataset(k * 2, 2, shape=(40, 60))}
        )
        path = tmp_path / f"{k}.nc"
        chunked = {"/deep/inner": {"v": {"chunksizes": (2, 40, 60), "zlib": True}}}
        tree.to_netcdf(path, engine="h5netcdf", encoding=chunked)
        paths.append(path)
    cube = refmaker.combine([refmaker.scan(path) for path in paths], concat="time")
    expected = joined([dataset(0, 2, shape=(40, 60)), dataset(2, 2, shape=(40, 60))])
    group = open_stock(cube)
    np.testing.assert_array_equal(group["deep/inner/v"][...], expected["v"].values)
    np.testing.assert_array_equal(group["time"][...], np.arange(4))
    tree = refmaker.open_datatree(cube)
    assert tree["deep/inner"]["v"].sizes["time"] == 4


def test_names_that_hold_a_dimension_of_another_group(tmp_path):
    # The coordinate of time lies in the root alone, as netCDF lets groups inherit it.
    paths = []
    for k in range(2):
        inner = dataset(k * 2, 2, shape=(40, 60)).drop_vars("time")
        tree = xr.DataTree.from_dict({"/": dataset(k * 2, 2)[["time"]], "/g": inner})
        tree.to_netcdf(tmp_path / f"{k}.nc", engine="h5netcdf")
        paths.append(tmp_path / f"{k}.nc")
    sets = [refmaker.scan(path) for path in paths[::-1]]
    cube = refmaker.combine(sets, concat="time")
    expected = joined([dataset(0, 2, shape=(40, 60)), dataset(2, 2, shape=(40, 60))])
    np.testing.assert_array_equal(open_stock(cube)["g/v"][...], expected["v"].values)


@pytest.fixture
def theirs(tmp_path):
    """Return kerchunk's own references of three files, and what the files hold."""
    parts = [dataset(k * 2, 2, shape=(40, 60)) for k in range(3)]
    paths = [write(tmp_path / f"{k}.nc", part, (2, 40, 60)) for k, part in enumerate(parts)]
    return [SingleHdf5ToZarr(path, inline_threshold=300).translate() for path in paths], parts


@pytest.mark.filterwarnings("ignore")
def test_references_that_kerchunk_made(tmp_path, theirs):
    import json

    refs, parts = theirs
    names = []
    for k, document in enumerate(refs):
        names.append(tmp_path / f"{k}.json")
        names[-1].write_text(json.dumps(document))
    same(refmaker.combine(names[::-1], concat="time"), joined(parts))
    made = MultiZarrToZarr(
        [str(name) for name in names[:2]], concat_dims=["time"], identical_dims=["lat", "lon"]
    ).translate()
    (tmp_path / "cube.json").write_text(json.dumps(made))
    done = refmaker.append(tmp_path / "cube.json", names[2:], concat="time")
    assert len(done.added) == 1
    same(refmaker.read(tmp_path / "cube.json"), joined(parts))
    again = refmaker.combine([tmp_path / "0.json", tmp_path / "1.json"], concat="time")
    again.write(tmp_path / "p.parquet")
    same(refmaker.combine([tmp_path / "p.parquet", names[2]], concat="time"), joined(parts))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("fill", [-1.0, np.nan])
def test_our_own_scans_are_appended_to_references_of_kerchunk(tmp_path, fill):
    import json

    parts = [dataset(k * 2, 2, shape=(40, 60)) for k in range(3)]
    encoding = {"v": {"_FillValue": np.float32(fill)}}
    paths = [write(tmp_path / f"{k}.nc", part, (2, 40, 60), encoding=encoding)
             for k, part in enumerate(parts)]  # fmt: skip
    sets = [SingleHdf5ToZarr(path, inline_threshold=300).translate() for path in paths[:2]]
    made = MultiZarrToZarr(
        sets, concat_dims=["time"], identical_dims=["lat", "lon"], remote_protocol="file"
    ).translate()
    (tmp_path / "cube.json").write_text(json.dumps(made))
    refmaker.append(tmp_path / "cube.json", [refmaker.scan(paths[2])], concat="time")
    same(refmaker.read(tmp_path / "cube.json"), joined(parts))


def test_a_function_that_changes_every_input_first(tmp_path):
    parts = [dataset(k * 2, 2).assign_attrs(n=k) for k in range(2)]

    def renamed(refs):
        members = {"w" if name == "v" else name: node for name, node in refs.group.members.items()}
        return ReferenceSet(type(refs.group)(members), refs.report)

    cube = refmaker.combine(scanned(tmp_path, parts, CHUNKS), concat="time", preprocess=renamed)
    assert {"w", "time"} <= set(cube.group.members)
    assert "n" not in cube.group.attributes


def test_the_report_accounts_for_all_inputs(tmp_path):
    parts = [dataset(k * 2, 2).assign_attrs(n=k) for k in range(2)]
    sets = scanned(tmp_path, parts, CHUNKS)
    sets[1].report.add("/lost", "skipped", "no codec", "filter-unknown")
    cube = refmaker.combine(sets, concat="time")
    assert [row.path for row in cube.report.rows] == ["/v", "/time", "/lat", "/lon", "/lost"]
    assert "f1.nc" in cube.report.rows[-1].reason
    assert list(cube.report.sources) == [refs.report.url for refs in sets]
    assert any("n" in warning for warning in cube.report.warnings)
    with pytest.raises(MetadataError, match="attribute n"):
        refmaker.combine(sets, concat="time", combine_attrs="error")
    assert refmaker.combine(sets, concat="time", combine_attrs="first").group.attributes["n"] == 0


@pytest.mark.parametrize("given", [[], iter(())])
def test_nothing_cannot_be_combined(given):
    with pytest.raises(MetadataError, match="nothing to combine"):
        refmaker.combine(given)


def test_what_is_no_option_is_refused(tmp_path):
    sets = scanned(tmp_path, [dataset(0, 2)], CHUNKS)
    with pytest.raises(ValueError, match="duplicates is 'latest'"):
        refmaker.combine(sets, duplicates="latest")
    with pytest.raises(TypeError):
        refmaker.combine(sets, nonsense=1)
    with pytest.raises(MetadataError, match="no input has such a dimension"):
        refmaker.combine(sets, concat="nothing")
    with pytest.raises(MetadataError, match="neither a reference set nor a path"):
        refmaker.combine([3])


@pytest.mark.parametrize("threshold", [0, 1 << 20])
def test_two_new_dimensions_and_variables_without_any(threshold):
    sets = []
    for number in range(6):
        run, member = divmod(number, 3)
        members = {}
        for name, shape in (("scalar", ()), ("plain", (2,))):
            values = np.full(shape, number, "<f4")
            chunks = ChunkTable.inline((1,) * len(shape), {0: values.tobytes()})
            members[name] = Array(shape, shape, values.dtype, chunks)
        name = f"/r{run}/m{member}.nc"
        sets.append(ReferenceSet(Group(members), ScanReport(name)))
    pattern = "r{run:d}/m{member:d}.nc"
    coords = {"run": pattern, "member": pattern}
    cube = refmaker.combine(sets[::-1], coords=coords, inline_threshold=threshold)
    numbers = np.arange(6).reshape(2, 3)
    np.testing.assert_array_equal(decode_array(cube.group["scalar"]), numbers)
    np.testing.assert_array_equal(decode_array(cube.group["plain"])[..., 1], numbers)
    assert cube.group["plain"].dimension_names == ("run", "member", "plain_0")
    with pytest.raises(MetadataError, match="no input has it at run=1, member=2"):
        refmaker.combine(sets[:5], coords=coords, inline_threshold=threshold)

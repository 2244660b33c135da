"""Where other tools combine without a word and get it wrong: right here, or refused."""

from __future__ import annotations

import sys
from dataclasses import replace

import h5py
import numpy as np
import pytest
import xarray as xr

import refmaker
from refmaker.combine.rechunk import can_split_chunks, split_chunks
from refmaker.errors import MetadataError, MissingDependencyError
from refmaker.model import Array, ChunkTable, Group
from refmaker.storage.reference_set import ReferenceSet
from refmaker.testing import open_stock
from tests.combine.files import dataset, joined, same, scanned, write

CHUNKS = (2, 4, 6)
OLD = {"concat": "time", "zarr_format": 2}
"""Version 3 of Zarr has chunks of different lengths, and refuses less."""


def refused(sets, *words, **options):
    with pytest.raises(MetadataError) as caught:
        refmaker.combine(sets, **options)
    for word in words:
        assert str(word) in str(caught.value), str(caught.value)
    return str(caught.value)


def test_a_partial_chunk_in_the_middle_is_refused_and_explained(tmp_path):
    parts = [dataset(0, 3, shape=(40, 60)), dataset(3, 3, shape=(40, 60))]
    sets = scanned(tmp_path, parts, (2, 40, 60))
    text = refused(sets, "v:", "f0.nc", "partial", "3 elements in chunks of 2", **OLD)
    assert "chunks='common'" not in text  # it cuts nothing that is compressed
    assert "drop='v'" in text


def test_a_partial_chunk_at_the_end_is_fine(tmp_path):
    parts = [dataset(0, 4, shape=(40, 60)), dataset(4, 3, shape=(40, 60))]
    cube = refmaker.combine(scanned(tmp_path, parts, (2, 40, 60)), concat="time")
    same(cube, joined(parts))
    assert cube.group["v"].chunks.referenced == 4


def test_partial_chunks_of_uncompressed_data_are_cut_when_asked(tmp_path):
    parts = [dataset(0, 3, shape=(40, 60)), dataset(3, 3, shape=(40, 60))]
    sets = scanned(tmp_path, parts, (2, 40, 60), zlib=False)
    refused(sets, "partial", **OLD)
    cube = refmaker.combine(sets, concat="time", chunks="common")
    same(cube, joined(parts))
    assert cube.group["v"].chunk_shape == (1, 40, 60)


@pytest.mark.parametrize(
    ("key", "one", "other"),
    [("missing_value", -1, -2), ("valid_max", 100, 200), ("units", "K", "degC")],
)
def test_attributes_that_decide_what_values_mean_must_agree(tmp_path, key, one, other):
    parts = [dataset(0, 2, dtype="i2", shape=(40, 60), attrs={key: one}),
             dataset(2, 2, dtype="i2", shape=(40, 60), attrs={key: other})]  # fmt: skip
    sets = scanned(tmp_path, parts, (2, 40, 60))
    refused(sets, "v:", f"attribute {key}", one, other, "f0.nc", "f1.nc", concat="time")


@pytest.mark.parametrize(
    ("key", "one", "other"), [("scale_factor", 0.5, 0.25), ("add_offset", 292.17, 288.44)]
)
def test_packing_of_one_file_never_decodes_another(tmp_path, key, one, other):
    """Zarr 3 keeps the packing of every file; Zarr 2, which has one for all, refuses."""
    parts = [dataset(0, 2, dtype="i2", shape=(40, 60), attrs={key: one}),
             dataset(2, 2, dtype="i2", shape=(40, 60), attrs={key: other})]  # fmt: skip
    sets = scanned(tmp_path, parts, (2, 40, 60))
    refused(sets, "v:", f"attribute {key}", one, other, "f0.nc", "f1.nc", **OLD)
    refmaker.combine(sets, concat="time").write(tmp_path / "cube.json")
    found = refmaker.open_dataset(tmp_path / "cube.json").v
    true = xr.concat([xr.decode_cf(part).v for part in parts], "time")
    assert (found.dtype, key in found.attrs) == (true.dtype, False)
    np.testing.assert_array_equal(found, true)


def test_packing_in_one_file_only_is_a_difference(tmp_path):
    parts = [dataset(0, 2, dtype="i2"), dataset(2, 2, dtype="i2", attrs={"scale_factor": 0.5})]
    refused(scanned(tmp_path, parts, CHUNKS), "scale_factor", None, 0.5, concat="time")


def test_differing_packing_is_split_into_eras_when_asked(tmp_path):
    parts = [dataset(k * 2, 2, dtype="i2", shape=(40, 60), attrs={"scale_factor": s})
             for k, s in enumerate([0.5, 0.5, 0.25])]  # fmt: skip
    cube = refmaker.combine(
        scanned(tmp_path, parts, (2, 40, 60)), concat="time", incompatible="split"
    )
    assert list(cube.group.members) == ["encoding_0", "encoding_1"]
    for name, expected in (("encoding_0", joined(parts[:2])), ("encoding_1", parts[2])):
        same(ReferenceSet(cube.group[name]), expected)


def test_differing_packing_is_written_anew_where_that_is_exact(tmp_path):
    parts = [dataset(k * 2, 2, dtype="i2", attrs={"scale_factor": s})
             for k, s in enumerate([0.5, 0.5, 1.0])]  # fmt: skip
    sets = scanned(tmp_path, parts, CHUNKS)
    cube = refmaker.combine(sets, concat="time", mismatched="inline")
    assert cube.group["v"].attributes["scale_factor"] == 0.5
    true = np.concatenate([part["v"].values * part["v"].attrs["scale_factor"] for part in parts])
    np.testing.assert_array_equal(open_stock(cube)["v"][...] * 0.5, true)
    parts[2]["v"].attrs["scale_factor"] = 0.3
    sets = scanned(tmp_path, parts, CHUNKS)
    refused(sets, "scale_factor", concat="time", mismatched="inline")


def test_coordinates_along_other_dimensions_must_be_the_same(tmp_path):
    parts = [dataset(0, 2), dataset(2, 2)]
    parts[1] = parts[1].assign_coords(lat=parts[1]["lat"] + 0.01)
    refused(scanned(tmp_path, parts, CHUNKS), "lat:", "values differ", "f1.nc", concat="time")


def test_static_variables_are_compared_by_value(tmp_path):
    parts = [dataset(0, 2), dataset(2, 2)]
    for k, part in enumerate(parts):
        part["mask"] = ("lat", "lon"), np.full((4, 6), 0 if k < 1 else 1, "i1")
    sets = scanned(tmp_path, parts, CHUNKS)
    refused(sets, "mask:", "values differ", "f0.nc", "f1.nc", concat="time")
    cube = refmaker.combine(sets, concat="time", compat="first")
    assert (open_stock(cube)["mask"][...] == 0).all()


def test_static_variables_that_are_compressed_are_read_and_compared(tmp_path):
    parts = [dataset(0, 2, shape=(40, 60)), dataset(2, 2, shape=(40, 60))]
    for part in parts:
        part["lat2"] = ("lat", "lon"), np.arange(2400.0).reshape(40, 60)
    chunked = {"lat2": {"chunksizes": (10, 60), "zlib": True}}
    sets = scanned(tmp_path, parts, (2, 40, 60), encoding=chunked)
    same(refmaker.combine(sets, concat="time"), joined(parts))
    parts[1]["lat2"][39, 59] += 1e-9
    sets = scanned(tmp_path, parts, (2, 40, 60), encoding=chunked)
    refused(sets, "lat2:", "values differ", concat="time")


def test_chunk_shapes_that_differ_are_named_with_file_and_variable(tmp_path):
    one = write(tmp_path / "a.nc", dataset(0, 2, shape=(40, 60)), (1, 40, 60))
    other = write(tmp_path / "b.nc", dataset(2, 2, shape=(40, 60)), (2, 40, 60))
    sets = [refmaker.scan(path) for path in (one, other)]
    refused(sets, "v:", "chunk shape", (1, 40, 60), (2, 40, 60), "a.nc", "b.nc", **OLD)


@pytest.mark.parametrize("years", [(366, 365, 365), (365, 366, 365)])
def test_leap_years_of_whole_year_chunks(tmp_path, years):
    starts = np.cumsum([0, *years])
    parts = [dataset(s, n, shape=(2, 3)) for s, n in zip(starts[:-1], years, strict=True)]
    sets = scanned(tmp_path, parts, (400, 2, 3), zlib=False)
    refused(sets, "chunk shape", 366, 365, **OLD)
    same(refmaker.combine(sets, concat="time", chunks="common"), joined(parts))
    refused(scanned(tmp_path, parts, (400, 2, 3)), "chunk shape", chunks="common", **OLD)


def test_overlapping_coordinates_are_an_error_unless_one_is_to_be_kept(tmp_path):
    parts = [dataset(0, 2, seed=1, shape=(40, 60)), dataset(1, 2, seed=2, shape=(40, 60))]
    sets = scanned(tmp_path, parts, (1, 40, 60))
    refused(sets, "time=1", "f0.nc", "f1.nc", "duplicates", concat="time")
    first = refmaker.combine(sets, concat="time", duplicates="first")
    same(first, joined([parts[0], parts[1].isel(time=[1])]))
    last = refmaker.combine(sets, concat="time", duplicates="last")
    same(last, joined([parts[0].isel(time=[0]), parts[1]]))


def test_overlaps_inside_of_chunks_are_refused(tmp_path):
    parts = [dataset(0, 2, seed=1, shape=(40, 60)), dataset(1, 2, seed=2, shape=(40, 60))]
    sets = scanned(tmp_path, parts, (2, 40, 60))
    for policy in ("error", "first", "last"):
        refused(sets, "chunk", concat="time", duplicates=policy)


def test_an_absent_chunk_of_the_file_that_is_kept_stays_absent(tmp_path):
    paths = []
    for k, filled in enumerate((False, True)):
        path = tmp_path / f"{k}.h5"
        with h5py.File(path, "w") as file:
            data = file.create_dataset("v", (2, 300), "f4", chunks=(1, 300), fillvalue=-1)
            file["t"] = np.arange(2)
            file["t"].make_scale("t")
            data.dims[0].attach_scale(file["t"])
            if filled:
                data[...] = 5
            else:
                data[0] = 3
        paths.append(path)
    sets = [refmaker.scan(path) for path in paths]
    cube = refmaker.combine(sets, concat="t", duplicates="first")
    assert open_stock(cube)["v"][:, 0].tolist() == [3, -1]


@pytest.mark.parametrize("change", ["zlib", "shuffle", "dtype", "fill", "byteorder"])
def test_types_codecs_and_fill_values_must_agree(tmp_path, change):
    encodings = [{"v": {"zlib": True, "complevel": 4}}, {"v": {"zlib": True, "complevel": 4}}]
    parts = [dataset(0, 2, shape=(40, 60)), dataset(2, 2, shape=(40, 60))]
    word = "codec"
    if change == "zlib":
        encodings[1]["v"] = {"zlib": False}
    elif change == "shuffle":
        encodings[0]["v"]["shuffle"], encodings[1]["v"]["shuffle"] = True, False
    elif change == "fill":
        encodings[0]["v"]["_FillValue"], encodings[1]["v"]["_FillValue"] = -1.0, -2.0
        word = "_FillValue"
    else:
        parts[1]["v"] = parts[1]["v"].astype("f8" if change == "dtype" else ">f4")
        word = "dtype"
    paths = [
        write(tmp_path / f"{k}.nc", part, (2, 40, 60), encoding=encoding)
        for k, (part, encoding) in enumerate(zip(parts, encodings, strict=True))
    ]
    refused([refmaker.scan(path) for path in paths], "v:", word, "1.nc", concat="time")


def test_codecs_that_differ_are_kept_in_the_set_when_asked(tmp_path):
    parts = [dataset(k * 2, 2, shape=(40, 60)) for k in range(3)]
    paths = [
        write(tmp_path / f"{k}.nc", part, (2, 40, 60), zlib=k != 1) for k, part in enumerate(parts)
    ]
    sets = [refmaker.scan(path) for path in paths]
    cube = refmaker.combine(sets, concat="time", mismatched="inline")
    same(cube, joined(parts))
    assert cube.group["v"].chunks.referenced == 2
    assert len(cube.group["v"].chunks.inlined) == 1


def test_an_odd_last_file_with_smaller_chunks_is_kept_in_the_set_when_asked(tmp_path):
    parts = [dataset(0, 12, shape=(40, 60)), dataset(12, 12, shape=(40, 60)),
             dataset(24, 5, shape=(40, 60))]  # fmt: skip
    sets = scanned(tmp_path, parts, (12, 40, 60))
    refused(sets, "chunk shape", **OLD)
    same(refmaker.combine(sets, concat="time", mismatched="inline"), joined(parts))


def test_coordinates_that_fall_keep_falling(tmp_path):
    parts = [dataset(k, 2).isel(time=[1, 0]) for k in (0, 2)]
    cube = refmaker.combine(scanned(tmp_path, parts, CHUNKS), concat="time")
    same(cube, joined(parts[::-1]))


def test_unsorted_coordinates_inside_a_file_are_refused(tmp_path):
    parts = [dataset(0, 3).isel(time=[1, 0, 2]), dataset(3, 3)]
    sets = scanned(tmp_path, parts, (3, 4, 6))
    refused(sets, "time:", "not sorted", "f0.nc", concat="time")
    cube = refmaker.combine(sets, concat="time", order="given", monotonic=False)
    same(cube, joined(parts))


def test_rising_and_falling_files_do_not_mix(tmp_path):
    parts = [dataset(0, 2), dataset(2, 2).isel(time=[1, 0])]
    refused(scanned(tmp_path, parts, CHUNKS), "direction", "f1.nc", concat="time")


def test_the_order_of_the_inputs_does_not_matter(tmp_path):
    parts = [dataset(k * 2, 2, shape=(40, 60)) for k in range(5)]
    sets = scanned(tmp_path, parts, (2, 40, 60))
    cube = refmaker.combine([sets[k] for k in (3, 0, 4, 2, 1)], concat="time")
    same(cube, joined(parts))


def test_a_given_order_that_is_not_monotonic_is_refused(tmp_path):
    sets = scanned(tmp_path, [dataset(k, 1) for k in (0, 2, 1)], CHUNKS)
    refused(sets, "rises", concat="time", order="given")


@pytest.mark.parametrize("chunks", [(2, 4, 6), (2, 40, 60)])
def test_units_of_times_that_differ(tmp_path, chunks):
    shape = chunks[1:]
    parts = [dataset(0, 2, shape=shape, units="days since 2000-01-01"),
             dataset(0, 2, shape=shape, units="days since 2000-02-01")]  # fmt: skip
    sets = scanned(tmp_path, parts, chunks)
    refused(sets, "units", "2000-01-01", "2000-02-01", "reencode", concat="time", times="keep")
    cube = refmaker.combine(sets, concat="time", times="reencode")
    assert open_stock(cube)["time"][...].tolist() == [0, 1, 31, 32]
    expected = np.concatenate([part["v"].values for part in parts])
    np.testing.assert_array_equal(open_stock(cube)["v"][...], expected)


def test_times_of_other_calendars_need_cftime(tmp_path, monkeypatch):
    parts = [dataset(0, 2), dataset(2, 2, units="days since 2000-02-01")]
    sets = scanned(tmp_path, parts, CHUNKS)
    monkeypatch.setitem(sys.modules, "cftime", None)
    cube = refmaker.combine(sets, concat="time", times="reencode")
    assert open_stock(cube)["time"][...].tolist() == [0, 1, 33, 34]
    for part in parts:
        part["time"].attrs["calendar"] = "noleap"
    (tmp_path / "other").mkdir()
    sets = scanned(tmp_path / "other", parts, CHUNKS)
    with pytest.raises(MissingDependencyError, match=r"refmaker\[combine\]"):
        refmaker.combine(sets, concat="time", times="reencode")
    # Times that are in the same units need nothing.
    same(refmaker.combine(sets[:1], concat="time", times="reencode"), parts[0])


def test_times_are_written_in_finer_units_where_that_is_needed(tmp_path):
    parts = [dataset(0, 1, units="days since 2000-01-01"),
             dataset(30, 1, units="hours since 2000-01-01")]  # fmt: skip
    cube = refmaker.combine(scanned(tmp_path, parts, CHUNKS), concat="time", times="reencode")
    opened = refmaker.open_dataset(cube)
    assert opened["time"].values.astype("M8[h]").astype(str).tolist() == [
        "2000-01-01T00", "2000-01-02T06",
    ]  # fmt: skip


def test_boundaries_change_with_their_times(tmp_path):
    parts = [dataset(0, 2, units="days since 2000-01-01"),
             dataset(0, 2, units="days since 2000-02-01")]  # fmt: skip
    for part in parts:
        part["time"].attrs["bounds"] = "time_bnds"
        part["time_bnds"] = ("time", "nv"), np.array([[0.0, 1], [1, 2]])
    cube = refmaker.combine(scanned(tmp_path, parts, CHUNKS), concat="time", times="reencode")
    assert open_stock(cube)["time_bnds"][...].tolist() == [[0, 1], [1, 2], [31, 32], [32, 33]]


def test_calendars_that_differ_cannot_be_brought_together(tmp_path):
    parts = [dataset(0, 2), dataset(2, 2)]
    parts[1]["time"].attrs["calendar"] = "360_day"
    sets = scanned(tmp_path, parts, CHUNKS)
    for times in ("same", "reencode"):
        refused(sets, "calendar", "360_day", "standard", concat="time", times=times)


def test_a_variable_that_a_file_lacks_is_a_hole(tmp_path):
    parts = [dataset(0, 2, shape=(40, 60)), dataset(2, 2, shape=(40, 60))]
    parts[0]["w"] = parts[0]["v"] * 2
    sets = scanned(tmp_path, parts, (2, 40, 60))
    refused(sets, "w:", "no input has it at time=2", "join='outer'", concat="time")
    cube = refmaker.combine(sets, concat="time", join="outer")
    same(cube, xr.concat(parts, "time", data_vars="minimal", coords="minimal", compat="equals"))
    assert cube.group["w"].chunks.absent == 1


def test_holes_in_integers_without_a_missing_value_are_refused(tmp_path):
    parts = [dataset(0, 2, dtype="i4", shape=(40, 60)), dataset(2, 2, dtype="i4", shape=(40, 60))]
    parts[0]["w"] = parts[0]["v"]
    sets = scanned(tmp_path, parts, (2, 40, 60))
    without = [_without_fill(refs) for refs in sets]
    refused(without, "w:", "gaps", "int32", concat="time", join="outer")


def _without_fill(refs):
    members = {
        name: replace(node, fill_value=None) if isinstance(node, Array) else node
        for name, node in refs.group.members.items()
    }
    return replace(refs, group=replace(refs.group, members=members))


def test_gaps_stay_absent_on_a_regular_axis(tmp_path):
    parts = [dataset(k, 1, shape=(40, 60)) for k in (0, 1, 4, 2)]
    sets = scanned(tmp_path, parts, (1, 40, 60))
    cube = refmaker.combine(sets, concat="time", regular="time")
    values = open_stock(cube)["v"][...]
    assert open_stock(cube)["time"][...].tolist() == [0, 1, 2, 3, 4]
    assert np.isnan(values[3]).all()
    np.testing.assert_array_equal(values[[0, 1, 4, 2]], joined(parts)["v"].values)
    odd = scanned(tmp_path, [dataset(k, 1) for k in (0, 2, 5)], (1, 4, 6))
    refused(odd, "gaps that are no multiples of 2", concat="time", regular="time")


def test_the_union_of_grids_moves_whole_chunks(tmp_path):
    whole = dataset(0, 2, shape=(80, 60))
    parts = [whole.isel(lat=slice(0, 40)), whole.isel(lat=slice(40, 80))]
    sets = scanned(tmp_path, parts, (2, 20, 60))
    refused(sets, "lat", concat="time")
    same(refmaker.combine(sets, concat="time", join="outer"), whole)
    same(refmaker.combine(sets), whole)
    inside = [whole.isel(lat=slice(0, 40)), whole.isel(lat=slice(30, 80))]
    refused(scanned(tmp_path, inside, (2, 20, 60)), "lat", duplicates="first")


def test_coordinates_that_are_not_numbers_are_refused(tmp_path):
    parts = [dataset(0, 2), dataset(2, 2)]
    parts[1] = parts[1].assign_coords(time=("time", [2.0, np.nan], parts[1]["time"].attrs))
    parts[0] = parts[0].assign_coords(time=("time", [0.0, 1.0], parts[0]["time"].attrs))
    refused(scanned(tmp_path, parts, CHUNKS), "time:", "not a number", "f1.nc", concat="time")


def test_oversized_chunks_of_unlimited_dimensions(tmp_path):
    # As many archives have them: chunks of 512 times in files of one.
    parts = [dataset(k, 1, shape=(40, 60)) for k in range(3)]
    paths = []
    for k, part in enumerate(parts):
        path = tmp_path / f"{k}.nc"
        with h5py.File(path, "w") as file:
            for name, variable in part.variables.items():
                chunks = {1: None, 3: (4, 40, 60)}[variable.ndim]
                limit = (None, *variable.shape[1:])
                if name == "time":
                    chunks, limit = (512,), (None,)
                made = file.create_dataset(
                    name, data=variable.values, chunks=chunks, maxshape=limit if chunks else None,
                )  # fmt: skip
                made.attrs.update(variable.attrs)
                if variable.ndim == 1:
                    made.make_scale(name)
            for axis, name in enumerate(("time", "lat", "lon")):
                file["v"].dims[axis].attach_scale(file[name])
        paths.append(path)
    sets = [refmaker.scan(path, inline_threshold=0) for path in paths]
    assert sets[0].group["time"].chunk_shape == (512,)
    refused(sets, "v:", "partial", **OLD)
    same(refmaker.combine(sets, concat="time", chunks="common"), joined(parts))


def test_chunks_of_uncompressed_data_are_cut_along_dimensions(tmp_path):
    parts = [dataset(0, 4, shape=(40, 60)), dataset(4, 4, shape=(40, 60))]
    for part in parts:
        part["z"] = part["v"] + 1
    sets = scanned(tmp_path, parts, (2, 40, 60), zlib=False, encoding={"z": {"zlib": True}})
    cube = refmaker.combine(sets, concat="time", chunks={"time": 1, "lat": 10})
    same(cube, joined(parts))
    assert cube.group["v"].chunk_shape == (1, 10, 60)
    assert cube.group["z"].chunk_shape == (2, 40, 60)
    assert any("z is compressed" in warning for warning in cube.report.warnings)
    alone = refmaker.combine(sets[:1], chunks={"time": 1})
    same(alone, parts[0])
    assert alone.group["v"].chunk_shape == (1, 40, 60)
    refused(sets, "cannot be seen as chunks", concat="time", chunks={"lat": 7, "time": 1})
    refused(sets, "cannot be seen as chunks", concat="time", chunks={"lat": 10})


def test_compressed_chunks_are_never_cut():
    table = ChunkTable.from_columns((1,), ("f",), offset=[0], length=[80])
    array = Array((10,), (10,), np.dtype("f8"), table, filters=({"id": "zlib", "level": 1},))
    assert not can_split_chunks(array, (5,))
    with pytest.raises(MetadataError):
        split_chunks(array, (5,))


def test_dropping_a_name_drops_nothing_that_begins_like_it(tmp_path):
    parts = [dataset(0, 2), dataset(2, 2)]
    for part in parts:
        part["v_error"] = part["v"] * 0
    cube = refmaker.combine(scanned(tmp_path, parts, CHUNKS), concat="time", drop="v")
    assert {"v_error", "time"} <= set(cube.group.members)
    assert "v" not in cube.group.members


def test_all_differences_are_told_at_once(tmp_path):
    parts = [dataset(0, 2, attrs={"units": "K", "scale_factor": 1.0}),
             dataset(2, 2, dtype="f8", attrs={"units": "C", "scale_factor": 2.0})]  # fmt: skip
    parts[1] = parts[1].assign_coords(lon=parts[1]["lon"] + 1)
    sets = scanned(tmp_path, parts, CHUNKS)
    refused(sets, "attribute units", "scale_factor", "dtype", "lon:", concat="time")


def test_every_value_is_told_with_the_number_of_inputs_that_have_it(tmp_path):
    parts = [dataset(k, 1, attrs={"add_offset": offset})
             for k, offset in enumerate([292.17, 292.17, 288.44, 288.44, 288.75])]  # fmt: skip
    sets = scanned(tmp_path, parts, (1, 4, 6))
    refused(sets, "292.17 in", "f0.nc, but 288.44 in", "f2.nc and 1 more, 288.75 in", "f4.nc",
            concat="time")  # fmt: skip


def test_inputs_are_not_changed(tmp_path):
    sets = scanned(tmp_path, [dataset(0, 2), dataset(2, 2)], CHUNKS)
    before = [[(path, repr(array), array.chunks) for path, array in s.group.arrays()] for s in sets]
    options = {"coords": {"time": "data:time"}}
    refmaker.combine(sets, **options)
    after = [[(path, repr(array), array.chunks) for path, array in s.group.arrays()] for s in sets]
    assert options == {"coords": {"time": "data:time"}}
    for old, new in zip(before, after, strict=True):
        assert [row[:2] for row in old] == [row[:2] for row in new]
        assert all(a[2] is b[2] for a, b in zip(old, new, strict=True))


def test_variables_with_numbers_for_names(tmp_path):
    parts = [dataset(0, 2, name="1"), dataset(2, 2, name="1")]
    same(refmaker.combine(scanned(tmp_path, parts, CHUNKS), concat="time"), joined(parts))


def test_sizes_that_differ_along_a_dimension_without_coordinate(tmp_path):
    sets = []
    for k, size in enumerate((3, 4)):
        table = ChunkTable.inline((1,), {0: np.arange(size, dtype="f8").tobytes()})
        array = Array((size,), (size,), np.dtype("f8"), table, dimension_names=("x",))
        sets.append(ReferenceSet(Group({"v": array}, {"n": k})))
    refused(sets, "v:", 3, 4)
    cube = refmaker.combine(sets, concat="x")
    assert open_stock(cube)["v"][...].tolist() == [0, 1, 2, 0, 1, 2, 3]
    assert any("as given" in warning for warning in cube.report.warnings)

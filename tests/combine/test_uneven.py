"""Months and years whose lengths are no multiples of their chunks: as xarray joins them."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import event, given, settings
from hypothesis import strategies as st

import refmaker
from refmaker.codecs.zarr3 import register_codec
from refmaker.errors import (
    CodecError,
    MetadataError,
    MissingDependencyError,
    UnsupportedError,
)
from refmaker.storage.icechunk import open_repository
from refmaker.testing import decode_array
from tests.combine.files import READS_UNEVEN

DAYS = (31, 28, 31, 30)
GZIP = {"compression": "gzip", "shuffle": True}
KINDS = {
    "whole": ((0, 2, 6), 0, GZIP),
    "part": ((10, 2, 6), 0, GZIP),
    "week": ((7, 2, 6), 0, GZIP),
    "plain": ((10, 2, 6), 0, {}),
    "contig": (None, 0, {}),
    "mid": ((2, 10, 6), 1, GZIP),
    "last": ((2, 6, 10), 2, {}),
    "lat": ((10, 3, 4), 0, GZIP),
}
"""Chunks (0: the whole extent), the axis of time, and filters."""
EDGES = {
    "whole": [31, 28, 31, 30],
    "part": [10, 10, 10, 1, 10, 10, 8, 10, 10, 10, 1, 10, 10, 10],
    "week": [7, 7, 7, 7, 3, 7, 7, 7, 7, 7, 7, 7, 7, 3, 7, 7, 7, 7, 2],
    "contig": [31, 28, 31, 30],
}
STOCK = ("whole", "plain", "contig")
"""Those that need no codec of this package."""
quiet = pytest.mark.filterwarnings(
    "ignore:.*[Nn]umcodecs.*", "ignore:.*[Cc]onsolidated.*", "ignore:.*rectilinear.*"
)
pytestmark = quiet


def truth(days=DAYS):
    rng = np.random.default_rng(7)
    return rng.integers(-500, 500, (sum(days), 4, 6)).astype("f4") / 8


def write_parts(folder, kind, days=DAYS, values=None):
    """Write a file for each part; returns their paths, and the values joined."""
    chunks, axis, options = KINDS[kind] if isinstance(kind, str) else kind
    values = truth(days) if values is None else values
    start, paths = 0, []
    for number, n in enumerate(days, 1):
        part = np.moveaxis(values[start : start + n], 0, axis)
        path = Path(folder) / f"part_{number:02d}.nc"
        with h5py.File(path, "w", track_order=True) as file:
            names = [f"d{k}" for k in range(values.ndim - 1)]
            names.insert(axis, "time")
            for name, size in zip(names, part.shape, strict=True):
                labels = np.arange(size, dtype="f8")
                if name == "time":
                    labels = np.arange(start, start + n, dtype="i4")
                file.create_dataset(name, data=labels).make_scale(name)
            file["time"].attrs["units"] = "days since 2021-01-01"
            cut = chunks and tuple(
                min(c, s) if c else s for c, s in zip(chunks, part.shape, strict=True)
            )
            v = file.create_dataset("v", data=part, chunks=cut, **options)
            for k, name in enumerate(names):
                v.dims[k].attach_scale(file[name])
        paths.append(path)
        start += n
    return paths, np.moveaxis(values, 0, axis)


def opened(path):
    """Open a set by stock fsspec and zarr."""
    with zarr.config.set({"array.rectilinear_chunks": True}):
        return zarr.open_group("reference://", mode="r", storage_options={"fo": str(path)})


def check(array, expected, axis=0):
    """Compare slices, steps and chosen places of an array with those of the truth."""
    assert array.dtype == expected.dtype
    np.testing.assert_array_equal(array[...], expected)
    moved = [slice(None)] * expected.ndim
    for part in (slice(25, 60), slice(3, 100, 7), slice(31, 31)):
        moved[axis] = part
        np.testing.assert_array_equal(array[tuple(moved)], expected[tuple(moved)])
    moved[axis] = [5, 31, 59, 119]
    np.testing.assert_array_equal(array.oindex[tuple(moved)], expected[tuple(moved)])


@pytest.mark.parametrize("kind", KINDS)
def test_months_are_joined_as_xarray_joins_them(tmp_path, kind):
    paths, expected = write_parts(tmp_path, kind)
    axis = KINDS[kind][1]
    cube = refmaker.combine([refmaker.scan(path) for path in paths])
    array = cube.group["v"]
    np.testing.assert_array_equal(decode_array(array), expected)
    if kind in EDGES:
        assert array.edges[axis].lengths.tolist() == EDGES[kind]
    (warning,) = cube.report.warnings
    assert "different lengths along time (v)" in warning
    assert ("where refmaker is installed" in warning) == (kind not in STOCK)
    out = tmp_path / "cube.json"
    cube.write(out)
    codecs = json.loads(json.loads(out.read_text())["refs"]["v/zarr.json"])["codecs"]
    assert ("refmaker.crop" in {codec["name"] for codec in codecs}) == (kind not in STOCK)
    again = refmaker.read(out)
    assert again.group["v"].chunks.same(array.chunks)
    assert again.group["v"].edges[axis].same(array.edges[axis])
    again.write(tmp_path / "again.json")
    twice = [json.loads((tmp_path / n).read_text())["refs"] for n in ("cube.json", "again.json")]
    assert twice[0].keys() == twice[1].keys()
    if not READS_UNEVEN:
        for read in (refmaker.open_dataset, refmaker.open_group):
            with pytest.raises(MissingDependencyError, match=r"zarr 3\.2 or later"):
                read(out)
        return
    check(opened(out)["v"], expected, axis)
    with xr.open_mfdataset(paths, engine="h5netcdf") as native:
        for refs in (out, cube):
            xr.testing.assert_identical(refmaker.open_dataset(refs).load(), native.load())
    lazy = refmaker.open_dataset(out, chunks={})["v"]
    assert list(lazy.chunks[axis]) == array.edges[axis].lengths.tolist()
    np.testing.assert_array_equal(lazy.compute(scheduler="threads"), expected)
    assert all(check.different == 0 for check in refmaker.verify(out, sample=None, isolate="never"))
    assert sum(check.equal for check in refmaker.verify(out, sample=None, isolate="never")) > 4


@pytest.mark.parametrize("kind", ["whole", "part", "mid"])
def test_months_in_icechunk(tmp_path, kind):
    paths, expected = write_parts(tmp_path, kind)
    cube = refmaker.combine([refmaker.scan(path) for path in paths])
    if not READS_UNEVEN:
        with pytest.raises(MissingDependencyError, match="icechunk 2"):
            cube.write(tmp_path / "r.icechunk")
        return
    cube.write(tmp_path / "r.icechunk")
    store = open_repository(tmp_path / "r.icechunk").readonly_session("main").store
    check(zarr.open_group(store, mode="r")["v"], expected, KINDS[kind][1])
    dataset = xr.open_zarr(store, consolidated=False, chunks={})
    np.testing.assert_array_equal(dataset["v"].compute(scheduler="threads"), expected)


_ALONE = """
import sys, numpy as np, zarr
zarr.config.set({"array.rectilinear_chunks": True})
group = zarr.open_group("reference://", mode="r", storage_options={"fo": sys.argv[1]})
assert np.array_equal(group["v"][...], np.load(sys.argv[2]))
assert "refmaker" not in sys.modules
"""


@pytest.mark.parametrize("kind", STOCK)
def test_whole_chunks_need_nothing_of_this_package(tmp_path, kind):
    """Neither its codecs nor its import: another process reads them by fsspec and zarr alone."""
    paths, expected = write_parts(tmp_path, kind)
    out = tmp_path / "cube.json"
    refmaker.combine([refmaker.scan(path) for path in paths]).write(out)
    np.save(tmp_path / "truth.npy", expected)
    command = [sys.executable, "-c", _ALONE, str(out), str(tmp_path / "truth.npy")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == READS_UNEVEN, done.stderr
    assert READS_UNEVEN or "Unknown chunk grid" in done.stderr


def changed(out, change):
    """Change the document of the array in a set; returns where the other set is."""
    document = json.loads(out.read_text())
    array = json.loads(document["refs"]["v/zarr.json"])
    change(array)
    root = json.loads(document["refs"]["zarr.json"])
    root["consolidated_metadata"]["metadata"]["v"] = array
    document["refs"]["v/zarr.json"] = json.dumps(array)
    document["refs"]["zarr.json"] = json.dumps(root)
    other = out.with_name("changed.json")
    other.write_text(json.dumps(document))
    return other


def parts_set(tmp_path, kind="part"):
    paths, expected = write_parts(tmp_path, kind)
    out = tmp_path / "cube.json"
    refmaker.combine([refmaker.scan(path) for path in paths]).write(out)
    return out, expected


def verified(path):
    """Compare a set with its files, as far as this zarr can open it."""
    if not READS_UNEVEN:
        with pytest.raises(MissingDependencyError, match=r"zarr 3\.2"):
            refmaker.verify(path, sample=None, isolate="never")
        return None
    return any(
        check.different or check.uncompared
        for check in refmaker.verify(path, sample=None, isolate="never")
    )


def test_without_the_crop_nothing_is_read(tmp_path):
    """The grid alone would take padded chunks for whole ones; readers notice."""
    out, _ = parts_set(tmp_path)

    def uncropped(array):
        array["codecs"] = [c for c in array["codecs"] if c["name"] != "refmaker.crop"]

    other = changed(out, uncropped)
    stored = refmaker.read(other).group["v"].edges[0].stored
    assert stored[:4].tolist() == [10, 10, 10, 1]
    assert verified(other) in (True, None)
    if READS_UNEVEN:
        with pytest.raises(ValueError, match="reshape"):
            opened(other)["v"][...]
        with pytest.raises(CodecError, match="reshape"):
            refmaker.open_group(other)["v"][...]


def test_verify_finds_wrong_edges_and_crops(tmp_path):
    out, _ = parts_set(tmp_path)
    assert verified(out) in (False, None)

    def swapped(array):
        array["chunk_grid"]["configuration"]["chunk_shapes"][0] = [
            [10, 2], 1, 10, [10, 2], 8, [10, 3], 1, [10, 3],
        ]  # fmt: skip

    def larger(array):
        crop = array["codecs"][1]
        assert crop["name"] == "refmaker.crop"
        crop["configuration"]["chunk_shape"][0] = 12

    for change in (swapped, larger):
        assert verified(changed(out, change)) in (True, None), change


def test_latitudes_are_padded_too(tmp_path):
    values = np.random.default_rng(0).random((12, 5, 7)).astype("f4")
    paths, expected = write_parts(tmp_path, ((2, 2, 3), 0, GZIP), (5, 3, 4), values)
    sets = [refmaker.scan(path, inline_threshold=1) for path in paths]
    cube = refmaker.combine(sets, inline_threshold=1)
    out = tmp_path / "cube.json"
    cube.write(out)
    grid = json.loads(json.loads(out.read_text())["refs"]["v/zarr.json"])["chunk_grid"]
    assert grid["configuration"]["chunk_shapes"] == [[[2, 2], 1, 2, 1, [2, 2]], [[2, 3]], [[3, 3]]]
    np.testing.assert_array_equal(decode_array(refmaker.read(out).group["v"]), expected)
    if READS_UNEVEN:
        np.testing.assert_array_equal(opened(out)["v"][...], expected)


@pytest.mark.parametrize(("size", "edges"), [(61, [61] * 5 + [60] + [61] * 6), (31, None)])
def test_years(tmp_path, size, edges):
    days = (365, 366, 365)
    paths, expected = write_parts(tmp_path, ((size, 4, 6), 0, GZIP), days, truth(days))
    cube = refmaker.combine([refmaker.scan(path) for path in paths])
    lengths = cube.group["v"].edges[0].lengths.tolist()
    assert lengths[:12] == (edges or [31] * 11 + [24])
    out = tmp_path / "cube.json"
    cube.write(out)
    np.testing.assert_array_equal(decode_array(cube.group["v"]), expected)
    if READS_UNEVEN:
        np.testing.assert_array_equal(refmaker.open_dataset(out)["v"], expected)


@pytest.mark.parametrize("kind", ["whole", "part", "plain", "mid"])
def test_a_month_is_appended(tmp_path, kind):
    paths, expected = write_parts(tmp_path, kind)
    axis = KINDS[kind][1]
    sets = [refmaker.scan(path) for path in paths]
    once = refmaker.combine(sets).group["v"]
    out = tmp_path / "cube.json"
    refmaker.combine(sets[:3]).write(out)
    refmaker.append(out, sets[3:])
    grown = refmaker.read(out)
    assert grown.zarr_format == 3
    assert grown.group["v"].edges[axis].same(once.edges[axis])
    assert grown.group["v"].chunks.same(once.chunks)
    np.testing.assert_array_equal(decode_array(grown.group["v"]), expected)
    # A set of one month is a regular one; in version 3 it may become another.
    refmaker.combine(sets[:1]).write(out, zarr_format=3)
    for one in sets[1:]:
        refmaker.append(out, [one])
    np.testing.assert_array_equal(decode_array(refmaker.read(out).group["v"]), expected)


@pytest.mark.parametrize("kind", ["whole", "part", "plain", "mid"])
def test_a_month_is_appended_to_icechunk(tmp_path, kind):
    paths, expected = write_parts(tmp_path, kind)
    axis = KINDS[kind][1]
    sets = [refmaker.scan(path) for path in paths]
    out = tmp_path / "1.icechunk"
    refmaker.combine(sets[:1]).write(out)
    if not READS_UNEVEN:
        with pytest.raises(MissingDependencyError, match="icechunk 2"):
            refmaker.append(out, sets[1:])
        return
    refmaker.combine(sets[:3]).write(tmp_path / "3.icechunk")
    for first in (1, 3):
        out = tmp_path / f"{first}.icechunk"
        before = open_repository(out).readonly_session("main")
        for one in sets[first:]:
            refmaker.append(out, [one])
        store = open_repository(out).readonly_session("main").store
        check(zarr.open_group(store, mode="r")["v"], expected, axis)
        old = zarr.open_group(before.store, mode="r")["v"][...]
        np.testing.assert_array_equal(old, np.take(expected, range(sum(DAYS[:first])), axis))


def test_version_2_refuses_and_says_what_helps(tmp_path):
    paths, _ = write_parts(tmp_path, "part")
    sets = [refmaker.scan(path) for path in paths]
    with pytest.raises(MetadataError, match="partial") as caught:
        refmaker.combine(sets, zarr_format=2)
    assert "zarr_format=3" in caught.value.hint
    assert "split" not in caught.value.hint
    cube = refmaker.combine(sets)
    for form in ("compact", "parquet"):
        with pytest.raises(UnsupportedError, match="version 2, which has no chunks of different"):
            cube.write(tmp_path / f"cube.{form}", format=form)
    with pytest.raises(UnsupportedError, match="version 2"):
        cube.write(tmp_path / "cube.json", zarr_format=2)
    assert not (tmp_path / "cube.json").exists()
    refmaker.combine(sets[:1]).write(tmp_path / "cube.json")
    with pytest.raises(MetadataError, match="different lengths") as caught:
        refmaker.append(tmp_path / "cube.json", sets[1:])
    assert "--zarr-format 3" in caught.value.hint


def test_what_is_regular_stays_regular(tmp_path):
    """Months of thirty days in chunks of ten, and one that ends partially at the end."""
    days = (30, 60, 25)
    paths, expected = write_parts(tmp_path, "part", days, truth(days))
    cube = refmaker.combine([refmaker.scan(path) for path in paths])
    assert cube.group["v"].edges is None
    assert cube.report.warnings == []
    cube.write(tmp_path / "cube.json")
    assert refmaker.read(tmp_path / "cube.json").zarr_format == 2
    np.testing.assert_array_equal(refmaker.open_dataset(cube)["v"], expected)


def placed(tmp_path, boxes, values, sizes):
    """Scan files that hold parts of the truth, by slices of days and rows and chunks of days."""
    sets = []
    for number, ((days, rows), size) in enumerate(zip(boxes, sizes, strict=True)):
        folder = tmp_path / str(number)
        folder.mkdir()
        part = values[days, rows]
        (path,), _ = write_parts(folder, ((size, 2, 6), 0, GZIP), (part.shape[0],), part)
        with h5py.File(path, "r+") as file:
            file["time"][...] += days.start
            file["d0"][...] += rows.start
        sets.append(refmaker.scan(path, inline_threshold=1))
    return sets


def test_files_chunked_by_10_and_by_7(tmp_path):
    values, rows = truth(), slice(0, 4)
    boxes = [(slice(*days), rows) for days in ((0, 31), (31, 59), (59, 120))]
    cube = refmaker.combine(placed(tmp_path, boxes, values, (10, 7, 10)))
    cube.write(tmp_path / "cube.json")
    array = refmaker.read(tmp_path / "cube.json").group["v"]
    assert array.edges[0].lengths[:9].tolist() == [10, 10, 10, 1, 7, 7, 7, 7, 10]
    np.testing.assert_array_equal(decode_array(array), values)
    if READS_UNEVEN:
        check(refmaker.open_group(tmp_path / "cube.json")["v"], values)
        check(opened(tmp_path / "cube.json")["v"], values)


def test_tiles_by_months(tmp_path):
    """Two dimensions with chunks of different lengths at once."""
    values = truth()
    months, tiles = (slice(0, 31), slice(31, 59)), (slice(0, 3), slice(3, 4))
    boxes = [(days, rows) for rows in tiles for days in months]
    cube = refmaker.combine(placed(tmp_path, boxes, values, (10,) * 4), inline_threshold=1)
    array = cube.group["v"]
    assert array.edges[0].lengths.tolist() == [10, 10, 10, 1, 10, 10, 8]
    assert array.edges[1].lengths.tolist() == [2, 1, 1]
    np.testing.assert_array_equal(decode_array(array), values[:59])
    cube.write(tmp_path / "cube.json")
    if READS_UNEVEN:
        np.testing.assert_array_equal(opened(tmp_path / "cube.json")["v"][...], values[:59])


def test_chunks_that_reach_into_others_are_refused(tmp_path):
    """Two files with some days in common, which begin inside of chunks."""
    rows = slice(0, 4)
    sets = placed(tmp_path, [(slice(0, 31), rows), (slice(25, 59), rows)], truth(), (10, 10))
    for duplicates in ("error", "first"):
        with pytest.raises(MetadataError, match="overlap, and do not begin and end together"):
            refmaker.combine(sets, duplicates=duplicates)


def test_a_hole_is_one_chunk(tmp_path):
    rows, values = slice(0, 4), truth()
    sets = placed(tmp_path, [(slice(0, 31), rows), (slice(59, 90), rows)], values, (10, 10))
    cube = refmaker.combine(sets, regular="time")
    array = cube.group["v"]
    assert array.edges[0].lengths.tolist() == [10, 10, 10, 1, 28, 10, 10, 10, 1]
    expected = values[:90].copy()
    expected[31:59] = np.nan
    np.testing.assert_array_equal(decode_array(array), expected)
    if READS_UNEVEN:
        np.testing.assert_array_equal(refmaker.open_dataset(cube)["v"], expected)


@st.composite
def parts(draw):
    """Return values, the axis of time, lengths of parts, chunks and filters."""
    axis = draw(st.integers(0, 2))
    days = draw(st.lists(st.integers(1, 9), min_size=1, max_size=5))
    shape = (sum(days), draw(st.integers(1, 5)), draw(st.integers(1, 4)))
    dtype = draw(st.sampled_from(["<i2", ">f4", "<f8", "|u1"]))
    values = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    chunks = draw(st.none() | st.tuples(*(st.integers(1, 5) for _ in shape)))
    options = {} if chunks is None else draw(st.sampled_from([{}, GZIP, {"fletcher32": True}]))
    return values, axis, days, chunks, options


@settings(max_examples=40)
@given(parts())
def test_random_lengths_and_chunks(made):
    """The cube is numpy's, in values and type, in memory and as it is written."""
    values, axis, days, chunks, options = made
    with tempfile.TemporaryDirectory() as folder:
        paths, expected = write_parts(folder, (chunks, axis, options), days, values)
        sets = [refmaker.scan(path, inline_threshold=0) for path in paths]
        cube = refmaker.combine(sets, concat="time", inline_threshold=0)
        out = Path(folder) / "cube.json"
        cube.write(out)
        event(f"version {refmaker.read(out).zarr_format}")
        for refs in (cube, refmaker.read(out)):
            array = refs.group["v"]
            found = decode_array(array)
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)
        if READS_UNEVEN or array.edges is None:
            found = opened(out)["v"][...] if READS_UNEVEN else refmaker.open_group(out)["v"][...]
            np.testing.assert_array_equal(found, expected)
            np.testing.assert_array_equal(refmaker.open_dataset(out)["v"], expected)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_types_of_attributes_survive_in_either_version(tmp_path, zarr_format):
    """A factor that is a float of four bytes decodes to such floats."""
    path = tmp_path / "a.nc"
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(2000, dtype="i2")
        file["x"].attrs["scale_factor"] = np.float32(0.1)
        file["x"].attrs["add_offset"] = np.float32(273)
        file["x"].attrs["valid_max"] = np.int16(7)
    refmaker.scan(path).write(tmp_path / "a.json", zarr_format=zarr_format)
    with xr.open_dataset(path, engine="h5netcdf", phony_dims="sort") as native:
        found = refmaker.open_dataset(tmp_path / "a.json")["x"].load()
        np.testing.assert_array_equal(found.values, native["x"].values)
        assert found.dtype == native["x"].dtype == np.float32
        assert found.attrs["valid_max"].dtype == np.int16
        assert list(found.attrs) == list(native["x"].attrs)
    again = refmaker.read(tmp_path / "a.json")
    assert again.group["x"].attributes == refmaker.scan(path).group["x"].attributes
    assert refmaker.open_dataset(again)["x"].dtype == np.float32


def test_batches_of_months_give_what_all_at_once_gives(tmp_path):
    paths, expected = write_parts(tmp_path, "part")
    sets = [refmaker.scan(path) for path in paths]
    cube = refmaker.combine(sets, batch=2, concat="time")
    assert cube.group["v"].edges[0].lengths.tolist() == EDGES["part"]
    np.testing.assert_array_equal(decode_array(cube.group["v"]), expected)


def test_codecs_of_version_3_are_registered():
    register_codec()
    assert zarr.registry.get_codec_class("refmaker.crop").__name__ == "Crop"

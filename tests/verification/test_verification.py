"""Sets of many files, and sets that others made."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import xarray as xr

import refmaker
from refmaker.model import Array, ChunkTable, Group
from refmaker.storage.reference_set import ReferenceSet

verify = partial(refmaker.verify, isolate="never")


@pytest.fixture
def days(tmp_path):
    """Write three days of compressed, and of contiguous data."""
    paths = []
    for day in range(3):
        rng = np.random.default_rng(day)
        data = xr.Dataset(
            {
                "t": (("time", "x"), rng.normal(size=(8, 30))),
                "plain": (("time", "x"), rng.integers(0, 99, (8, 30))),
            },
            {"time": np.arange(8) + 8 * day, "x": np.arange(30)},
        )
        path = tmp_path / f"{day}.nc"
        encoding = {"t": {"zlib": True, "shuffle": True, "chunksizes": (4, 30)}}
        data.to_netcdf(path, engine="h5netcdf", encoding=encoding)
        paths.append(str(path))
    return paths


def joined(paths):
    """Concatenate by hand what one scan of each file gives."""
    groups = [refmaker.scan(path, chunk_bytes=960, inline_threshold=0).group for path in paths]
    members = {}
    for name in ("t", "plain"):
        first = groups[0][name]
        table = ChunkTable.concatenate([group[name].chunks for group in groups], axis=0)
        shape = (sum(group[name].shape[0] for group in groups), *first.shape[1:])
        members[name] = replace(first, shape=shape, chunks=table)
    members["x"] = groups[0]["x"]
    return ReferenceSet(Group(members))


def test_a_set_of_many_files(days, tmp_path):
    refs = joined(days)
    for given in (refs, _written(refs, tmp_path)):
        checks = {check.path: check for check in verify(given, sample=None)}
        assert all(check.ok for check in checks.values()), checks
        assert (checks["t"].compared, checks["plain"].compared) == (6, 6)
        assert checks["x"].compared == 1


def _written(refs, tmp_path):
    refs.write(tmp_path / "set.json")
    return tmp_path / "set.json"


def test_a_wrong_place_in_one_of_many_files(days):
    refs = joined(days)
    table = refs.group["t"].chunks
    offset = table.offset.copy()
    offset[[2, 3]] = offset[[3, 2]]
    length = table.length.copy()
    length[[2, 3]] = length[[3, 2]]
    # Both are whole chunks of one file: only their order tells that something is wrong.
    swapped = replace(refs.group["t"], chunks=replace(table, offset=offset, length=length))
    refs = replace(refs, group=Group({**refs.group.members, "t": swapped}))
    checks = {check.path: check for check in verify(refs, sample=None)}
    assert not checks["t"].ok
    assert "out of line" in checks["t"].reason
    # Places that are no chunk of any array have nothing to compare with, and that is told.
    offset, length = table.offset.copy(), table.length
    offset[0] += 8
    broken = replace(refs.group["t"], chunks=replace(table, offset=offset, length=length))
    refs = replace(refs, group=Group({**refs.group.members, "t": broken}))
    checks = {check.path: check for check in verify(refs, sample=None)}
    assert (checks["t"].verdict, checks["t"].uncompared) == ("not compared", 1)
    assert "no array has bytes" in checks["t"].reason


def test_inlined_chunks_that_no_file_has_are_not_compared(days):
    refs = joined(days)
    x = Array((3,), (3,), np.dtype("u1"), ChunkTable.inline((1,), {0: b"\1\2\3"}))
    refs = replace(refs, group=Group({**refs.group.members, "n": x}))
    checks = {check.path: check for check in verify(refs)}
    assert (checks["n"].compared, checks["n"].uncompared, checks["n"].ok) == (0, 1, False)
    assert checks["n"].verdict == "not compared"
    assert "none of its files" in checks["n"].reason


def test_a_combined_set(days, tmp_path):
    sets = [refmaker.scan(path) for path in days]
    cube = refmaker.combine(sets, concat="time")
    cube.write(tmp_path / "cube.json")
    checks = {check.path: check for check in verify(tmp_path / "cube.json", sample=None)}
    assert all(check.ok for check in checks.values()), checks
    assert checks["t"].compared == 6
    assert all(check.ok for check in refmaker.check_sources(tmp_path / "cube.json"))


@pytest.mark.filterwarnings("ignore")
def test_sets_of_kerchunk(days, tmp_path):
    from kerchunk.combine import MultiZarrToZarr
    from kerchunk.hdf import SingleHdf5ToZarr

    singles = [SingleHdf5ToZarr(path).translate() for path in days]
    (tmp_path / "one.json").write_text(json.dumps(singles[0]))
    cube = MultiZarrToZarr(singles, concat_dims=["time"], identical_dims=["x"]).translate()
    (tmp_path / "cube.json").write_text(json.dumps(cube))
    for name, chunks in (("one.json", 2), ("cube.json", 6)):
        checks = {check.path: check for check in verify(tmp_path / name, sample=None)}
        assert checks["t"].ok
        assert checks["t"].compared == chunks
        assert all(not check.different for check in checks.values())


def test_jobs_must_be_positive(days):
    with pytest.raises(ValueError, match="jobs"):
        verify(joined(days), jobs=0)


def test_progress(days):
    seen = []
    verify(joined(days), sample=None, on_progress=lambda *at: seen.append(at))
    assert seen[-1] == (13, 13)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_files_are_looked_at(days, tmp_path):
    refs = joined(days)
    assert [check.ok for check in refmaker.check_sources(refs)] == [True] * 3
    with open(days[1], "r+b") as file:
        file.truncate(100)
    (tmp_path / "2.nc").unlink()
    one, two, three = refmaker.check_sources(_written(refs, tmp_path))
    assert one.ok
    assert "the file has 100" in two.problem
    assert "no such file" in three.problem
    assert (three.size, two.size) == (None, 100)


def test_sets_as_virtualizarr_writes_them(days, tmp_path):
    """Compression among the filters, no consolidated metadata, bare NaN in attributes."""
    group = refmaker.scan(days[0]).group
    array = group["t"]
    codecs = [dict(config) for config in array.codecs]
    zarray = {
        "shape": list(array.shape), "chunks": list(array.chunk_shape), "dtype": "<f8",
        "fill_value": None, "order": "C", "filters": codecs, "compressor": None,
        "dimension_separator": ".", "attributes": {}, "zarr_format": 2,
    }  # fmt: skip
    rows = zip(array.chunks.offset.tolist(), array.chunks.length.tolist(), strict=True)
    refs = {
        ".zgroup": json.dumps({"zarr_format": 2}),
        "t/.zarray": json.dumps(zarray),
        "t/.zattrs": '{"_FillValue": NaN, "range": [-Infinity, 1.5], '
        '"_ARRAY_DIMENSIONS": ["a", "b"]}',
        **{f"t/{n}.0": [f"file://{days[0]}", *row] for n, row in enumerate(rows)},
    }
    (tmp_path / "v.json").write_text(json.dumps({"version": 1, "refs": refs}))
    (check,) = verify(tmp_path / "v.json", sample=None)
    assert (check.ok, check.compared) == (True, 2)
    read = refmaker.read(tmp_path / "v.json")
    assert np.isnan(read.group["t"].fill_value)
    assert read.group["t"].attributes == {"range": ["-Infinity", 1.5]}
    read.write(tmp_path / "again.json")
    ours = refmaker.open_dataset(tmp_path / "again.json").load()
    theirs = refmaker.open_dataset(tmp_path / "v.json", consolidated=False).load()
    assert np.array_equal(ours.t, theirs.t)

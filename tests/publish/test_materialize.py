"""A virtual store made real, in one go and in several."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import fsspec
import numpy as np
import pytest
import xarray as xr
import zarr

import refmaker
from refmaker.errors import MetadataError, PolicyError, SourceError
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.zarr_v2 import documents
from refmaker.publish.materialize import JOURNAL
from refmaker.storage.reference_set import ReferenceSet
from refmaker.testing.http import RangeServer


@pytest.fixture
def scanned(tmp_path):
    """Write a netCDF4 file; return what was scanned, and its values."""
    values = np.random.default_rng(1).normal(size=(40, 30)).astype("f4")
    data = xr.Dataset(
        {"t": (("time", "x"), values, {"units": "K"})}, {"time": np.arange(40), "x": np.arange(30)}
    )
    path = tmp_path / "a.nc"
    encoding = {"t": {"zlib": True, "chunksizes": (4, 30)}}
    data.to_netcdf(path, engine="h5netcdf", encoding=encoding, unlimited_dims=["time"])
    return refmaker.scan(path, inline_threshold=16), data


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in Path(folder).rglob("*")
        if path.is_file()
    }


def test_a_real_store(scanned, tmp_path):
    refs, data = scanned
    seen = []
    done = refmaker.materialize(refs, tmp_path / "out", on_progress=lambda d: seen.append(d.copied))
    assert (done.complete, done.copied, done.kept, done.failed) == (True, done.chunks, 0, 0)
    assert seen[-1] == done.chunks >= 12
    os.unlink(tmp_path / "a.nc")
    xr.testing.assert_identical(xr.open_zarr(tmp_path / "out").load(), data)
    assert not (tmp_path / "out" / JOURNAL).exists()


def test_the_same_without_consolidated_metadata(scanned, tmp_path):
    refs, data = scanned
    refmaker.materialize(refs, tmp_path / "out")
    os.unlink(tmp_path / "out" / ".zmetadata")
    group = zarr.open_group(tmp_path / "out", mode="r", zarr_format=2)
    assert np.array_equal(group["t"][:], data.t.values)


@pytest.mark.parametrize("form", ["set.json", "set.parquet"])
def test_from_a_written_set(scanned, tmp_path, form):
    refs, data = scanned
    refs.write(tmp_path / form)
    refmaker.materialize(tmp_path / form, tmp_path / "out")
    refmaker.materialize(refs, tmp_path / "other")
    chunks = {key: data for key, data in files(tmp_path / "out").items() if "/.z" not in key}
    others = {key: data for key, data in files(tmp_path / "other").items() if "/.z" not in key}
    del chunks[".zmetadata"], others[".zmetadata"]
    assert chunks == others
    xr.testing.assert_identical(xr.open_zarr(tmp_path / "out").load(), data)


def test_elsewhere(scanned):
    refs, data = scanned
    done = refmaker.materialize(refs, "memory://real/out.zarr")
    assert done.complete
    mapper = fsspec.get_mapper("memory://real/out.zarr")
    assert JOURNAL not in mapper
    xr.testing.assert_identical(xr.open_zarr("memory://real/out.zarr").load(), data)


def test_what_is_there_is_not_touched(scanned, tmp_path):
    refs, _ = scanned
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    with pytest.raises(SourceError, match="not empty"):
        refmaker.materialize(refs, tmp_path / "out")
    assert files(tmp_path / "out") == {"mine": b"x"}
    refmaker.materialize(refs, tmp_path / "done")
    with pytest.raises(SourceError, match="not empty"):
        refmaker.materialize(refs, tmp_path / "done")


def test_a_missing_source_leaves_no_store_and_can_be_made_up_for(scanned, tmp_path):
    refs, data = scanned
    os.rename(tmp_path / "a.nc", tmp_path / "b.nc")
    done = refmaker.materialize(refs, tmp_path / "out")
    assert not done.complete
    assert done.failed == len(done.failures) >= 10
    assert {error.path.partition("/")[0] for error in done.failures} >= {"t"}
    # Nothing that could be opened, and read as fill values.
    assert not list(tmp_path.glob("out/**/.z*"))
    with pytest.raises(FileNotFoundError):
        xr.open_zarr(tmp_path / "out")
    os.rename(tmp_path / "b.nc", tmp_path / "a.nc")
    again = refmaker.materialize(refs, tmp_path / "out")
    assert (again.complete, again.kept) == (True, done.copied)
    xr.testing.assert_identical(xr.open_zarr(tmp_path / "out").load(), data)


def test_only_what_is_missing_or_cut_off_is_fetched_again(scanned, tmp_path):
    refs, _ = scanned
    refmaker.materialize(refs, tmp_path / "whole")
    os.rename(tmp_path / "a.nc", tmp_path / "b.nc")
    refmaker.materialize(refs, tmp_path / "out")
    os.rename(tmp_path / "b.nc", tmp_path / "a.nc")
    for key in ("t/0.0", "t/1.0"):
        shutil.copy(tmp_path / "whole" / key, _made(tmp_path / "out" / key))
    (tmp_path / "out/t/1.0").write_bytes(b"cut")
    (tmp_path / "out/t/.2.0.abcd.part").write_bytes(b"left")
    before = os.stat(tmp_path / "out/t/0.0").st_mtime_ns
    assert refmaker.materialize(refs, tmp_path / "out").complete
    assert os.stat(tmp_path / "out/t/0.0").st_mtime_ns == before
    assert files(tmp_path / "out") == files(tmp_path / "whole")


def _made(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def test_an_unfinished_store_of_other_references(scanned, tmp_path):
    refs, _ = scanned
    os.rename(tmp_path / "a.nc", tmp_path / "b.nc")
    refmaker.materialize(refs, tmp_path / "out")
    other = refmaker.scan(tmp_path / "b.nc")
    with pytest.raises(SourceError, match="other references"):
        refmaker.materialize(other, tmp_path / "out")
    (tmp_path / "out" / JOURNAL).write_text("{")
    with pytest.raises(SourceError, match="other references"):
        refmaker.materialize(refs, tmp_path / "out")


def test_names_that_lead_elsewhere(tmp_path):
    table = ChunkTable.inline((1,), {0: b"\0"})
    array = Array((1,), (1,), np.dtype("u1"), table)
    refs = ReferenceSet(Group({"a\\..\\b": array}))
    with pytest.raises((MetadataError, PolicyError)):
        refmaker.materialize(refs, tmp_path / "out")


def test_neighbours_are_fetched_together(scanned, tmp_path):
    _, data = scanned
    with RangeServer(tmp_path) as server:
        refs = refmaker.scan(server.url("a.nc"), inline_threshold=16)
        server.reset()
        done = refmaker.materialize(refs, tmp_path / "out")
        asked = server.requests
    assert done.complete
    assert asked <= 3 < done.chunks
    xr.testing.assert_identical(xr.open_zarr(tmp_path / "out").load(), data)


SCRIPT = """
import sys, time
import refmaker
if __name__ == "__main__":
    import refmaker.publish.materialize
    module = sys.modules["refmaker.publish.materialize"]
    module._BATCH_KEYS = 20
    refmaker.materialize(*sys.argv[1:3], on_progress=lambda done: time.sleep(0.02))
"""


def test_killed_again_and_again(tmp_path):
    count = 600
    values = np.random.default_rng(2).integers(0, 256, (count, 64), "u1")
    (tmp_path / "data.bin").write_bytes(values.tobytes())
    table = ChunkTable.from_columns(
        (count,),
        (str(tmp_path / "data.bin"),),
        offset=np.arange(count) * 64,
        length=np.full(count, 64),
    )
    refs = ReferenceSet(Group({"x": Array((count * 64,), (64,), np.dtype("u1"), table)}))
    refs.write(tmp_path / "set.json")
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "set.json"), str(tmp_path / "out")]
    killed = 0
    for wait in (20, 150, 300, 450):
        with subprocess.Popen(command) as process:
            while process.poll() is None and len(list(tmp_path.glob("out/x/*"))) < wait:
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
        killed += process.returncode == -signal.SIGKILL
        assert killed == 0 or not (tmp_path / "out/.zmetadata").exists()
    assert killed >= 2
    done = refmaker.materialize(tmp_path / "set.json", tmp_path / "out")
    assert (done.complete, done.chunks) == (True, count)
    assert done.kept >= 150
    assert np.array_equal(zarr.open_group(tmp_path / "out", mode="r")["x"][:], values.reshape(-1))
    expected = {key for key, _ in documents(refs.group)} | {f"x/{i}" for i in range(count)}
    assert {*files(tmp_path / "out")} - {".zmetadata"} == expected - {".zmetadata"}


def test_command(scanned, tmp_path, monkeypatch, capsys):
    from refmaker.cli import main

    refs, data = scanned
    monkeypatch.chdir(tmp_path)
    refs.write("set.json")
    os.rename("a.nc", "b.nc")
    assert _run(main, "materialize", "set.json", "out", "--json") == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out)["status"] == "partial"
    assert "a.nc" in printed.err
    os.rename("b.nc", "a.nc")
    assert _run(main, "materialize", "set.json", "out") == 0
    assert "copied" in capsys.readouterr().out
    xr.testing.assert_identical(xr.open_zarr("out").load(), data)
    assert _run(main, "materialize", "set.json", "out") == 1
    assert "not empty" in capsys.readouterr().err


def _run(main, *words):
    try:
        main(list(words), standalone_mode=True)
    except SystemExit as end:
        return end.code or 0
    return 0

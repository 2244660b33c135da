"""More files to a set that is stored."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import zarr

import refmaker
from refmaker.errors import MetadataError, SourceChangedError
from refmaker.storage import json_writer
from refmaker.storage.icechunk import open_repository
from tests.combine.files import dataset, joined, same, scanned, write

CHUNKS = (1, 40, 60)


@pytest.fixture
def parts():
    return [dataset(k * 2, 2, shape=(40, 60)) for k in range(4)]


@pytest.fixture
def sets(tmp_path, parts):
    return scanned(tmp_path, parts, CHUNKS)


@pytest.mark.parametrize("form", ["json", "parquet"])
def test_appending_gives_what_combining_all_gives(tmp_path, parts, sets, form):
    out = tmp_path / f"cube.{form}"
    refmaker.combine(sets[:2], concat="time").write(out)
    done = refmaker.append(out, sets[2:], concat="time")
    assert [Path(name).name for name in done.added] == ["f2.nc", "f3.nc"]
    found = refmaker.read(out)
    same(found, joined(parts))
    everything = refmaker.combine(sets, concat="time")
    assert found.report.sources == everything.report.sources
    for path, array in everything.group.arrays():
        assert array.chunks.same(found.group[path].chunks), path
        assert array.attributes == found.group[path].attributes


@pytest.mark.parametrize("form", ["json", "parquet"])
def test_the_same_file_twice_is_one(tmp_path, sets, form):
    out = tmp_path / f"cube.{form}"
    refmaker.combine(sets[:2], concat="time").write(out)
    refmaker.append(out, [sets[2]], concat="time")
    before = _content(out)
    done = refmaker.append(out, [sets[2], sets[0], sets[2]], concat="time")
    assert (done.added, len(done.known)) == ([], 3)
    assert _content(out) == before
    done = refmaker.append(out, [sets[3], sets[3]], concat="time")
    assert (len(done.added), len(done.known)) == (1, 1)


def _content(out):
    if out.is_file():
        return out.read_bytes()
    return {p.relative_to(out): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def test_a_file_that_has_changed_since_is_an_error(tmp_path, parts, sets):
    out = tmp_path / "cube.json"
    refmaker.combine(sets[:3], concat="time").write(out)
    before = out.read_bytes()
    write(tmp_path / "f2.nc", parts[2] + 1, CHUNKS, zlib=False)
    with pytest.raises(SourceChangedError, match=r"f2\.nc"):
        refmaker.append(out, [refmaker.scan(tmp_path / "f2.nc")], concat="time")
    assert out.read_bytes() == before


def test_what_is_appended_has_to_agree_with_what_is_there(tmp_path, sets):
    out = tmp_path / "cube.json"
    refmaker.combine(sets[:2], concat="time").write(out)
    before = out.read_bytes()
    other = dataset(4, 2, shape=(40, 60), attrs={"units": "K"})
    odd = refmaker.scan(write(tmp_path / "odd.nc", other, CHUNKS))
    with pytest.raises(MetadataError, match="attribute units"):
        refmaker.append(out, [odd], concat="time")
    again = refmaker.scan(write(tmp_path / "again.nc", dataset(3, 2, shape=(40, 60)), CHUNKS))
    with pytest.raises(MetadataError, match=r"time=3, .*cube\.json and .*again\.nc both"):
        refmaker.append(out, [again], concat="time")
    assert out.read_bytes() == before


def test_a_partial_last_chunk_cannot_be_appended_to_in_version_2(tmp_path):
    parts = [dataset(0, 4, shape=(40, 60)), dataset(4, 3, shape=(40, 60)),
             dataset(7, 2, shape=(40, 60))]  # fmt: skip
    sets = scanned(tmp_path, parts, (2, 40, 60))
    out = tmp_path / "cube.json"
    refmaker.combine(sets[:2], concat="time").write(out)
    with pytest.raises(MetadataError, match="different lengths") as caught:
        refmaker.append(out, sets[2:], concat="time")
    assert "--zarr-format 3" in caught.value.hint


def test_new_dimensions_grow_too(tmp_path):
    parts = [dataset(0, 2, seed=k, shape=(40, 60)) for k in range(3)]
    paths = [write(tmp_path / f"run_{k:02d}.nc", part, CHUNKS) for k, part in enumerate(parts)]
    sets = [refmaker.scan(path) for path in paths]
    coords = {"run": "run_{run:d}.nc"}
    out = tmp_path / "cube.json"
    refmaker.combine(sets[:2], coords=coords).write(out)
    refmaker.append(out, [sets[2]], coords=coords)
    found = refmaker.read(out)
    assert found.group["v"].shape == (3, 2, 40, 60)
    values = refmaker.open_group(found)["v"][...]
    np.testing.assert_array_equal(values, np.stack([part["v"].values for part in parts]))
    assert refmaker.open_group(found)["run"][...].tolist() == [0, 1, 2]


def test_attributes_that_were_left_out_stay_out(tmp_path):
    parts = [dataset(k, 1).assign_attrs(history=f"made {k}") for k in range(3)]
    sets = scanned(tmp_path, parts, (1, 4, 6))
    out = tmp_path / "cube.json"
    refmaker.combine(sets[:2], concat="time").write(out)
    refmaker.append(out, sets[2:], concat="time")
    assert "history" not in refmaker.read(out).group.attributes


def test_relative_and_compact_sets_stay_what_they_are(tmp_path, parts, sets):
    for name, kind in (("r.json", {"relative": True}), ("c.json", {"format": "compact"})):
        refmaker.combine(sets[:2], concat="time").write(tmp_path / name, **kind)
        refmaker.append(tmp_path / name, sets[2:], concat="time")
        same(refmaker.read(tmp_path / name), joined(parts))
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in [*tmp_path.glob("f*.nc"), tmp_path / "r.json"]:
        shutil.move(path, moved)
    same(refmaker.read(moved / "r.json"), joined(parts))


def test_sets_of_others_without_fingerprints(tmp_path, parts, sets):
    out = tmp_path / "theirs.json"
    with out.open("wb") as file:
        json_writer.write(refmaker.combine(sets[:2], concat="time").group, file)
    done = refmaker.append(out, sets[1:], concat="time")
    assert (len(done.added), len(done.known)) == (2, 1)
    same(refmaker.read(out), joined(parts))


def test_a_set_that_somebody_else_changes_meanwhile_is_left_alone(tmp_path, sets):
    out = tmp_path / "cube.json"
    refmaker.combine(sets[:2], concat="time").write(out)

    def meddle(refs):
        refmaker.combine(sets[:3], concat="time").write(out)
        return refs

    # The inputs are made before the set is read; so what meddles comes with the options.
    with pytest.raises(SourceChangedError):
        _append_while(out, sets[3], meddle)
    assert refmaker.read(out).group["time"].shape == (6,)


def _append_while(out, refs, meddle):
    from refmaker.combine import appending

    extend = appending.extend

    def later(*args):
        done = extend(*args)
        meddle(None)
        return done

    appending.extend = later
    try:
        refmaker.append(out, [refs], concat="time")
    finally:
        appending.extend = extend


def test_two_processes_append_one_after_the_other(tmp_path, parts, sets):
    out = tmp_path / "cube.json"
    refmaker.combine(sets[:1], concat="time").write(out)
    program = textwrap.dedent("""
        import sys, refmaker
        refmaker.append(sys.argv[1], [refmaker.scan(sys.argv[2])], concat="time")
    """)
    env = {**os.environ, "PYTHONPATH": str(Path(refmaker.__file__).parents[1])}
    running = [
        subprocess.Popen([sys.executable, "-c", program, out, tmp_path / f"f{k}.nc"], env=env)
        for k in (1, 2, 3)
    ]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    same(refmaker.read(out), joined(parts))


@pytest.mark.parametrize("form", ["json", "parquet"])
def test_a_killed_append_leaves_the_old_set_or_the_new_one(tmp_path, sets, form):
    out = tmp_path / f"cube.{form}"
    refmaker.combine(sets[:2], concat="time").write(out)
    program = textwrap.dedent("""
        import sys, refmaker
        new = refmaker.scan(sys.argv[2])
        print("ready", flush=True)
        refmaker.append(sys.argv[1], [new], concat="time")
    """)
    env = {**os.environ, "PYTHONPATH": str(Path(refmaker.__file__).parents[1])}
    command = [sys.executable, "-c", program, out, tmp_path / "f2.nc"]
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE)
    with process.stdout as pipe:
        assert pipe.readline() == b"ready\n"
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    assert refmaker.read(out).group["time"].shape in ((4,), (6,))
    refmaker.append(out, [sets[2]], concat="time")
    assert refmaker.read(out).group["time"].shape == (6,)


@pytest.mark.filterwarnings("ignore::zarr.errors.ZarrUserWarning")
def test_icechunk_grows_by_a_commit_and_the_same_file_twice_is_one(tmp_path, parts):
    for part in parts:
        part["mask"] = ("lat", "lon"), np.arange(2400, dtype="i2").reshape(40, 60)
    sets = scanned(tmp_path, parts, CHUNKS)
    out = tmp_path / "cube.icechunk"
    refmaker.combine(sets[:2], concat="time").write(out)
    done = refmaker.append(out, sets[2:], concat="time")
    assert len(done.added) == 2
    assert refmaker.append(out, sets[1:], concat="time").known == [r.report.url for r in sets[1:]]
    group = zarr.open_group(open_repository(out).readonly_session("main").store, mode="r")
    expected = joined(parts)
    for name in expected.variables:
        np.testing.assert_array_equal(group[name][...], expected[name].values)
    assert len(list(open_repository(out).ancestry(branch="main"))) == 3
    parts[3]["mask"][0, 0] = 9
    odd = parts[3].assign_coords(time=("time", np.array([8, 9], "i4"), parts[3]["time"].attrs))
    with pytest.raises(MetadataError, match=r"mask: .*values differ"):
        refmaker.append(out, [refmaker.scan(write(tmp_path / "odd.nc", odd, CHUNKS))],
                        concat="time")  # fmt: skip


def test_eras_are_not_appended_to(tmp_path, sets):
    out = tmp_path / "cube.json"
    refmaker.combine(sets[:2], concat="time").write(out)
    with pytest.raises(MetadataError, match="incompatible"):
        refmaker.append(out, sets[2:], concat="time", incompatible="split")

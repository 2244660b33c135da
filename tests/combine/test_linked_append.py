"""More files to a local set as Parquet, by linked records: the same as by reading all of it."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import refmaker
from refmaker.errors import RefmakerError, SourceChangedError
from refmaker.storage import parquet, parquet_reader
from tests.combine.files import dataset, joined, same, scanned

linked = importlib.import_module("refmaker.combine.linked_append")
appending = importlib.import_module("refmaker.combine.appending")

CHUNKS = (1, 20, 20)
SHAPE = (40, 40)
"""Four chunks for each time."""


@pytest.fixture(autouse=True)
def small_records(monkeypatch):
    """Let records hold seven chunks, so that times begin anywhere in them."""
    monkeypatch.setattr(parquet, "_RECORD", 7)


def files_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def both_ways(tmp_path, base, new, monkeypatch, **options):
    """Append in both ways; return whether records were linked, and what each gave or raised."""
    base.write(tmp_path / "linked.parquet")
    shutil.copytree(tmp_path / "linked.parquet", tmp_path / "read.parquet")
    taken = []
    append = linked.append_linked

    def watched(*args):
        done = append(*args)
        taken.append(done is not None)
        return done

    found = []
    for name, way in (("linked", watched), ("read", lambda *_: None)):
        monkeypatch.setattr(linked, "append_linked", way)
        try:
            done = refmaker.append(tmp_path / f"{name}.parquet", new, **options)
            found.append((done.added, done.known))
        except RefmakerError as error:
            found.append((type(error), error.path))
    monkeypatch.setattr(linked, "append_linked", append)
    assert found[0] == found[1]
    # What is refused is refused by who reads all of it.
    assert isinstance(found[0][0], list) or not taken[0]
    assert files_of(tmp_path / "linked.parquet") == files_of(tmp_path / "read.parquet")
    return taken[0]


@pytest.mark.parametrize(
    ("old", "steps", "chunk"),
    [(5, 1, 1), (4, 2, 1), (9, 1, 1), (3, 3, 1), (3, 4, 2), (5, 2, 2), (6, 15, 5)],
)
def test_it_gives_the_files_that_reading_all_of_it_gives(tmp_path, monkeypatch, old, steps, chunk):
    parts = [dataset(k * steps, steps, shape=SHAPE) for k in range(old + 3)]
    sets = scanned(tmp_path, parts, (chunk, *CHUNKS[1:]))
    base = refmaker.combine(sets[:old], concat="time")
    assert both_ways(tmp_path, base, sets[old:], monkeypatch, concat="time")
    same(refmaker.read(tmp_path / "linked.parquet"), joined(parts))


def test_records_that_stay_are_the_same_files(tmp_path, monkeypatch):
    parts = [dataset(k, 1, shape=SHAPE) for k in range(12)]
    sets = scanned(tmp_path, parts, CHUNKS)
    out = tmp_path / "cube.parquet"
    refmaker.combine(sets[:10], concat="time").write(out)
    before = {path.name: path.stat().st_ino for path in (out / "v").iterdir()}
    read = []
    read_record = parquet_reader.read_record
    monkeypatch.setattr(
        parquet_reader, "read_record", lambda *args: (read.append(1), read_record(*args))[1]
    )
    assert len(refmaker.append(out, sets[10:], concat="time").added) == 2
    after = {path.name: path.stat().st_ino for path in (out / "v").iterdir()}
    # 40 chunks in six records; the last time begins at chunk 36, in the last of them.
    assert len(before) == 6
    stays = {name for name, number in before.items() if after[name] == number}
    assert stays == {f"refs.{k}.parq" for k in range(5)}
    assert len(after) == 7
    # One of `v`, one of each coordinate.
    assert len(read) == 4


def test_where_links_are_impossible_records_are_copied(tmp_path, monkeypatch):
    def refused(*_):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refused)
    parts = [dataset(k, 1, shape=SHAPE) for k in range(7)]
    sets = scanned(tmp_path, parts, CHUNKS)
    base = refmaker.combine(sets[:6], concat="time")
    assert both_ways(tmp_path, base, sets[6:], monkeypatch, concat="time")


def bounded(part):
    """Add a variable along time alone, boundaries, and a mask without time."""
    edges = np.stack([part.time.values, part.time.values + 1], 1)
    return part.assign(
        time_bnds=(("time", "two"), edges.astype("f8")),
        flag=("time", part.time.values.astype("i2") % 3),
        mask=(("lat", "lon"), np.eye(*SHAPE, dtype="i1")),
    )


@pytest.mark.parametrize("change", [
    lambda parts: [bounded(part) for part in parts],
    lambda parts: [p.assign(v=p.v.assign_attrs(history=str(k))) for k, p in enumerate(parts)],
    lambda parts: [p.assign(w=p.v * 2) for p in parts],
], ids=["companions", "attributes", "two variables"])  # fmt: skip
def test_kinds_of_sets(tmp_path, monkeypatch, change):
    parts = change([dataset(k, 1, shape=SHAPE) for k in range(8)])
    sets = scanned(tmp_path, parts, CHUNKS)
    base = refmaker.combine(sets[:7], concat="time")
    assert both_ways(tmp_path, base, sets[7:], monkeypatch, concat="time")


def test_a_coordinate_that_falls(tmp_path, monkeypatch):
    parts = [at(-k) for k in range(7)]
    sets = scanned(tmp_path, parts, CHUNKS)
    base = refmaker.combine(sets[:6], concat="time", order="given")
    how = {"concat": "time", "order": "given"}
    assert both_ways(tmp_path, base, sets[6:], monkeypatch, **how)


def at(start, **how):
    return dataset(start, 1, **{"shape": SHAPE, **how})


@pytest.mark.parametrize(("new", "options"), [
    (at(-1), {}),
    (at(3), {}),
    (at(3), {"duplicates": "last"}),
    (at(9, dtype="f8"), {}),
    (at(9, name="other"), {}),
    (at(9).assign(other=at(9).v), {}),
    (at(9, shape=(40, 60)), {}),
    (at(9, units="days since 2001-01-01"), {}),
    (at(9), {"regular": ["time"]}),
    (at(9), {"tolerance": 1e-6}),
    (at(9).assign_coords(lat=np.linspace(-60, 61, 40)), {}),
    (at(9, attrs={"units": "m"}), {}),
], ids=["before", "there", "instead", "dtype", "lacking", "more", "grid", "units", "regular",
        "tolerance", "coordinate", "attribute"])  # fmt: skip
def test_what_does_not_only_follow_is_judged_by_all_of_it(tmp_path, monkeypatch, new, options):
    parts = [at(k) for k in range(8)]
    (tmp_path / "new").mkdir()
    sets = scanned(tmp_path, parts, CHUNKS)
    extra = scanned(tmp_path / "new", [new], CHUNKS)
    base = refmaker.combine(sets, concat="time")
    both_ways(tmp_path, base, extra, monkeypatch, concat="time", **options)


def test_a_time_among_those_that_are_not_read_is_not_overlooked(tmp_path, monkeypatch):
    """Behind the last, but also there before: only all the coordinate tells."""
    parts = [at(k) for k in (5, 1, 2, 3, 4)]
    (tmp_path / "new").mkdir()
    sets = scanned(tmp_path, parts, CHUNKS)
    (new,) = scanned(tmp_path / "new", [at(5, seed=1)], CHUNKS)
    how = {"concat": "time", "order": "given", "monotonic": False}
    base = refmaker.combine(sets, **how)
    assert not both_ways(tmp_path, base, [new], monkeypatch, **how)


def test_a_file_that_is_there_and_one_that_has_changed(tmp_path):
    parts = [at(k) for k in range(6)]
    sets = scanned(tmp_path, parts, CHUNKS)
    out = tmp_path / "cube.parquet"
    refmaker.combine(sets[:5], concat="time").write(out)
    before = files_of(out)
    # The first file's chunks are not among those that are read.
    done = refmaker.append(out, [sets[0], sets[4]], concat="time")
    assert (done.added, len(done.known)) == ([], 2)
    assert files_of(out) == before
    parts[0].to_netcdf(tmp_path / "f0.nc", engine="h5netcdf")
    with pytest.raises(SourceChangedError):
        refmaker.append(out, [refmaker.scan(tmp_path / "f0.nc")], concat="time")


def test_groups_and_a_dimension_of_their_own(tmp_path, monkeypatch):
    for k in range(7):
        at(k).to_netcdf(tmp_path / f"{k}.nc", engine="h5netcdf", encoding={
            "v": {"chunksizes": CHUNKS}, "time": {"_FillValue": None}})  # fmt: skip
        at(k, seed=1).to_netcdf(
            tmp_path / f"{k}.nc", engine="h5netcdf", group="inner", mode="a",
            encoding={"v": {"chunksizes": CHUNKS}, "time": {"_FillValue": None}},
        )  # fmt: skip
    sets = [refmaker.scan(tmp_path / f"{k}.nc", chunk_bytes=None) for k in range(7)]
    base = refmaker.combine(sets[:6], concat="time")
    assert both_ways(tmp_path, base, sets[6:], monkeypatch, concat="time")


PROGRAM = textwrap.dedent("""
    import importlib, os, shutil, signal, sys
    import refmaker
    from refmaker.io import folders
    from refmaker.storage import parquet

    # What each copy of this process needs is loaded once.
    for name in ("refmaker.combine.cube", "refmaker.combine.linked_append", "pyarrow.parquet"):
        importlib.import_module(name)
    parquet._RECORD = 7
    folder, file = sys.argv[1:]
    new = refmaker.scan(file, chunk_bytes=None)

    def killed_before(step):
        left = step

        def watch(module, name):
            real = getattr(module, name)

            def call(*args, **kwargs):
                nonlocal left
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **kwargs)

            setattr(module, name, call)

        for name in ("mkdir", "makedirs", "link", "rename", "fsync"):
            watch(os, name)
        watch(folders, "_swapped")
        watch(folders.shutil, "rmtree")
        refmaker.append(f"{folder}/{step}/cube.parquet", [new], concat="time")

    for step in range(100):
        shutil.copytree(f"{folder}/kept", f"{folder}/{step}/cube.parquet")
        pid = os.fork()
        if pid == 0:
            try:
                killed_before(step)
            except BaseException:
                os._exit(1)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        print(code, flush=True)
        if code != -signal.SIGKILL:
            break
""")


def test_a_kill_at_any_step_leaves_the_old_set_or_the_new_one(tmp_path):
    """Killed before the n-th thing that is done to the disk, for every n."""
    sets = scanned(tmp_path, [at(k) for k in range(6)], CHUNKS)
    kept, out = tmp_path / "kept", tmp_path / "cube.parquet"
    refmaker.combine(sets[:5], concat="time").write(kept, format="parquet")
    shutil.copytree(kept, out)
    refmaker.append(out, sets[5:], concat="time")
    old, new = files_of(kept), files_of(out)
    env = {**os.environ, "PYTHONPATH": str(Path(refmaker.__file__).parents[1])}
    command = [sys.executable, "-c", PROGRAM, tmp_path, tmp_path / "f5.nc"]
    told = subprocess.run(command, env=env, timeout=120, check=True, capture_output=True).stdout
    *killed, last = map(int, told.split())
    assert set(killed) == {-signal.SIGKILL}
    assert last == 0
    found = [files_of(tmp_path / f"{step}/cube.parquet") for step in range(len(killed) + 1)]
    assert len(found) > 20
    assert all(files in (old, new) for files in found)
    # Old up to some step, new from there on.
    changed = [files == new for files in found]
    assert changed == sorted(changed)
    assert changed[-1]

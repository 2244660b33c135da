"""Icechunk repositories that grow: from new folders, by several at once, under readers' eyes."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import xarray as xr
import zarr
from click.testing import CliRunner

import refmaker
from refmaker.cli import main
from refmaker.combine import icechunk_append
from refmaker.combine.members import members
from refmaker.errors import MetadataError, SourceChangedError
from refmaker.storage.icechunk import open_repository
from tests.combine.files import dataset, joined, write

pytestmark = pytest.mark.filterwarnings("ignore::zarr.errors.ZarrUserWarning")
SHAPE, CHUNKS = (40, 60), (1, 40, 60)


def files(tmp_path, folders):
    """Write a day of two times to each folder; return their paths, and the days."""
    days, paths = [], []
    for k, folder in enumerate(folders):
        (tmp_path / folder).mkdir(exist_ok=True, parents=True)
        days.append(dataset(2 * k, 2, shape=SHAPE))
        paths.append(write(tmp_path / folder / f"day{k}.nc", days[-1], CHUNKS))
    return paths, days


def read(out, at="main"):
    repository = open_repository(out)
    session = (
        repository.readonly_session(at) if at == "main"
        else repository.readonly_session(snapshot_id=at)
    )  # fmt: skip
    return xr.open_zarr(session.store, consolidated=False, decode_times=False)


def started(tmp_path, path):
    out = tmp_path / "cube.icechunk"
    refmaker.combine([refmaker.scan(path)], concat="time").write(out)
    return out


def unguarded(out, refs):
    """Append as another machine would, which the lock in the folder does not hold up."""
    options = refmaker.CombineOptions(concat="time")
    icechunk_append.append_icechunk(out, members([refs]), options, None)


def test_a_folder_that_no_container_covers(tmp_path):
    paths, days = files(tmp_path, ["old", "new/deep", "other", "old"])
    out = started(tmp_path, paths[0])
    before = next(iter(open_repository(out).ancestry(branch="main"))).id
    prefixes = set(open_repository(out).config.virtual_chunk_containers)
    for path in paths[1:]:
        assert refmaker.append(out, [refmaker.scan(path)], concat="time").added == [path]
    xr.testing.assert_equal(read(out).load(), joined(days))
    xr.testing.assert_equal(read(out, before).load(), days[0])
    added = set(open_repository(out).config.virtual_chunk_containers) - prefixes
    assert added == {f"file://{tmp_path}/{folder}/" for folder in ("new/deep", "other")}


def test_a_refused_append_leaves_the_containers_alone(tmp_path):
    paths, days = files(tmp_path, ["old", "new"])
    out = started(tmp_path, paths[0])
    prefixes = list(open_repository(out).config.virtual_chunk_containers)
    days[1]["lat"] = days[1]["lat"] + 1
    odd = write(tmp_path / "new" / "odd.nc", days[1], CHUNKS)
    with pytest.raises(MetadataError, match="lat"):
        refmaker.append(out, [refmaker.scan(odd)], concat="time")
    assert list(open_repository(out).config.virtual_chunk_containers) == prefixes


def test_the_command_appends_from_anywhere(tmp_path):
    paths, days = files(tmp_path, ["old", "new"])
    out = started(tmp_path, paths[0])
    done = CliRunner().invoke(main, ["append", str(out), paths[1], "--concat", "time"])
    assert done.exit_code == 0, done.output
    xr.testing.assert_equal(read(out).load(), joined(days))


@pytest.mark.parametrize("several", [2, 4])
def test_several_append_at_once(tmp_path, several):
    """Whoever comes second finds what the first one left; nothing is lost, nothing twice."""
    paths, days = files(tmp_path, ["old", *[f"new{k}" for k in range(several)]])
    out = started(tmp_path, paths[0])
    sets = [refmaker.scan(path) for path in paths[1:]]
    ready = threading.Barrier(several)
    done, failed = [], []

    def add(refs):
        ready.wait()
        try:
            done.append(refmaker.append(out, [refs], concat="time", order="given", monotonic=False))
        except Exception as error:  # noqa: BLE001 - looked at below
            failed.append(error)

    threads = [threading.Thread(target=add, args=(refs,)) for refs in sets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not failed
    found = read(out).load()
    xr.testing.assert_equal(found.sortby("time"), joined(days))
    assert len(done) == several
    assert refmaker.append(out, sets, concat="time").added == []


def test_who_comes_second_appends_to_what_is_there_now(tmp_path, monkeypatch):
    paths, days = files(tmp_path, ["all"] * 3)
    out = started(tmp_path, paths[0])
    second, third = (refmaker.scan(path) for path in paths[1:])
    put = icechunk_append.put
    others = [lambda: unguarded(out, second)]

    def interrupted(*args):
        put(*args)
        if others:
            others.pop()()

    monkeypatch.setattr(icechunk_append, "put", interrupted)
    refmaker.append(out, [third], concat="time")
    xr.testing.assert_equal(read(out).load(), joined(days))


def test_the_same_file_by_two_is_there_once(tmp_path, monkeypatch):
    paths, days = files(tmp_path, ["all"] * 2)
    out = started(tmp_path, paths[0])
    put = icechunk_append.put
    others = [lambda: unguarded(out, refmaker.scan(paths[1]))]

    def interrupted(*args):
        put(*args)
        if others:
            others.pop()()

    monkeypatch.setattr(icechunk_append, "put", interrupted)
    done = refmaker.append(out, [refmaker.scan(paths[1])], concat="time")
    assert (done.added, done.known) == ([], [paths[1]])
    xr.testing.assert_equal(read(out).load(), joined(days))


def test_endless_conflicts_are_refused_without_loss(tmp_path, monkeypatch):
    paths, days = files(tmp_path, ["all"] * 2)
    out = started(tmp_path, paths[0])
    put = icechunk_append.put

    def interrupted(store, documents):
        put(store, documents)
        session = open_repository(out).writable_session("main")
        zarr.open_group(session.store).attrs["touched"] = str(np.random.default_rng().random())
        session.commit("somebody else")

    monkeypatch.setattr(icechunk_append, "put", interrupted)
    monkeypatch.setattr(icechunk_append, "_TRIES", 3)
    with pytest.raises(SourceChangedError, match="append again"):
        refmaker.append(out, [refmaker.scan(paths[1])], concat="time")
    xr.testing.assert_equal(read(out).load(), days[0])


def test_readers_see_whole_snapshots_meanwhile(tmp_path):
    paths, days = files(tmp_path, ["all"] * 5)
    out = started(tmp_path, paths[0])
    early = read(out)
    whole = joined(days)
    stop, wrong, sizes = threading.Event(), [], set()

    def look():
        while not stop.is_set():
            found = read(out)
            size = found.sizes["time"]
            sizes.add(size)
            if size % 2 or not found.load().equals(whole.isel(time=slice(0, size))):
                wrong.append(size)

    reader = threading.Thread(target=look)
    reader.start()
    for path in paths[1:]:
        refmaker.append(out, [refmaker.scan(path)], concat="time")
    stop.set()
    reader.join(60)
    assert not wrong
    assert sizes <= {2, 4, 6, 8, 10}
    xr.testing.assert_equal(early.load(), days[0])  # opened before, read now
    xr.testing.assert_equal(read(out).load(), whole)


def test_what_is_there_is_never_moved(tmp_path):
    paths, days = files(tmp_path, ["all"] * 3)
    out = tmp_path / "cube.icechunk"
    refmaker.combine([refmaker.scan(paths[k]) for k in (0, 2)], concat="time").write(out)
    middle = refmaker.scan(paths[1])
    with pytest.raises(MetadataError, match="before or between") as caught:
        refmaker.append(out, [middle], concat="time")
    assert "order='given'" in caught.value.hint
    assert read(out).sizes["time"] == 4
    refmaker.append(out, [middle], concat="time", order="given", monotonic=False)
    xr.testing.assert_equal(read(out).load(), joined([days[0], days[2], days[1]]))


def test_coordinates_that_jitter_are_those_that_are_there(tmp_path):
    paths, days = files(tmp_path, ["all"])
    out = started(tmp_path, paths[0])
    later = dataset(2, 2, shape=SHAPE)
    later["lat"] = later["lat"] + 1e-9
    refs = refmaker.scan(write(tmp_path / "l.nc", later, CHUNKS))
    with pytest.raises(MetadataError, match="tolerance"):
        refmaker.append(out, [refs], concat="time")
    refmaker.append(out, [refs], tolerance=1e-8)
    xr.testing.assert_equal(
        read(out).load(), joined([days[0], later.assign_coords(lat=days[0].lat)])
    )


def test_times_in_other_units_are_appended(tmp_path):
    paths, days = files(tmp_path, ["all"])
    out = started(tmp_path, paths[0])
    later = dataset(0, 2, shape=SHAPE, units="hours since 2000-03-01", seed=1)
    refmaker.append(out, [refmaker.scan(write(tmp_path / "l.nc", later, CHUNKS))], concat="time")
    expected = xr.concat(
        [xr.decode_cf(part) for part in (days[0], later)], "time", data_vars="minimal",
        coords="minimal", compat="override",
    )  # fmt: skip
    xr.testing.assert_equal(xr.decode_cf(read(out)).load(), expected)

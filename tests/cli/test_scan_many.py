"""``refmaker scan`` of many files: resumed, collected, combined, with its progress."""

from __future__ import annotations

import os
import pty
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

import refmaker
from refmaker.cli.progress import progress_line
from tests.scanners.dicom.image_files import save_all, slice_of

ROOT = Path(__file__).parent.parent.parent
Progress = refmaker.Progress


def command(*arguments, cache, **kwargs):
    """Start the command as a shell does, with a cache of its own."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "REFMAKER_CACHE_DIR": str(cache)}
    program = [sys.executable, "-m", "refmaker", *map(str, arguments)]
    return subprocess.Popen(program, env=env, start_new_session=True, **kwargs)


def archive(folder, count):
    """Write HDF5 files, and among them every kind that cannot be scanned."""
    folder.mkdir()
    for number in range(count):
        path = folder / f"{number:05d}.h5"
        with h5py.File(path, "w") as file:
            file.attrs["number"] = number
            data = np.arange(64, dtype="f4").reshape(8, 8) + number
            file.create_dataset("x", data=data, chunks=(2, 8), compression="gzip")
        if number % 50 == 7:
            path.write_bytes(path.read_bytes()[: 100 + number % 1000])
        elif number % 50 == 17:
            path.unlink()
            path.symlink_to(folder / "vanished")
        elif number % 50 == 27:
            path.unlink()
            os.mkfifo(path)
        elif number % 50 == 37:
            path.write_bytes(bytes(500))
    (folder / "README").write_text("not one of them")
    return folder


def content(folder):
    """Return the bytes of all outputs; what a killed process was writing is hidden."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if not p.name.startswith(".")}


def killed_and_resumed(tmp_path, count, kills):
    data = archive(tmp_path / "data", count)
    whole = command("scan", data, "-o", tmp_path / "whole", "--json", cache=tmp_path / "c1",
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
    started = time.perf_counter()
    told, errors = whole.communicate(timeout=600)
    took = time.perf_counter() - started
    assert whole.returncode == 1
    rng = random.Random(count)
    for _ in range(kills):
        run = command("scan", data, "-o", tmp_path / "resumed", "--overwrite", "-q",
                      cache=tmp_path / "c2", stderr=subprocess.DEVNULL)  # fmt: skip
        time.sleep(rng.uniform(0.3, max(0.6, took)))
        # The command alone, or everything that it has started.
        if rng.random() < 0.5:
            run.kill()
        else:
            os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    last = command("scan", data, "-o", tmp_path / "resumed", "--overwrite", "--json",
                   cache=tmp_path / "c2", stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                   text=True)  # fmt: skip
    again, _ = last.communicate(timeout=600)
    assert last.returncode == 1
    assert content(tmp_path / "resumed") == content(tmp_path / "whole")
    return told, errors, again


def records(text):
    import json

    *found, last = [json.loads(line) for line in text.splitlines()]
    assert last["summary"]["inputs"] == len(found)
    return found


def check_records(told, again, count):
    assert len(told) == len(again) == count + 1
    bad = [7, 17, 27, 37]
    for record, other in zip(told, again, strict=True):
        assert (record["input"], record["status"]) == (other["input"], other["status"])
        name = Path(record["input"]).stem
        expected = "ignored" if name == "README" else "failed" if int(name) % 50 in bad else "ok"
        assert record["status"] == expected, record
        assert (record["error"] is None) == (expected == "ok")
    assert any(record["cached"] for record in again)
    assert not any(record["cached"] for record in told)


def test_a_run_that_is_killed_and_resumed_gives_the_same_bytes(tmp_path):
    told, errors, again = killed_and_resumed(tmp_path, 200, 3)
    check_records(records(told), records(again), 200)
    assert errors.count("error: ") == 16
    assert errors.count("ignored: ") == 1


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_five_thousand_files_killed_and_resumed(tmp_path):
    told, _, again = killed_and_resumed(tmp_path, 5000, 8)
    check_records(records(told), records(again), 5000)


@pytest.fixture
def folder(toy, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(4):
        toy.write_toy(folder / f"{number}.toy", {"x": np.arange(10, dtype="i4") + number})
    time.sleep(0.05)
    return folder


def test_a_folder_gives_a_set_for_each_file(run, folder, tmp_path):
    ran = run("scan", folder, "-o", "refs")
    assert sorted(p.name for p in (tmp_path / "refs").iterdir()) == [
        f"{number}.refs.json" for number in range(4)
    ]
    assert ran.out.count(" -> ") == 4
    again = run("scan", folder, "-o", "refs", "--overwrite", "--json")
    assert [record["cached"] for record in again.records] == [True] * 4
    fresh = run("scan", folder, "-o", "refs", "--overwrite", "--json", "--no-cache")
    assert [record["cached"] for record in fresh.records] == [False] * 4


def test_patterns_and_lists(run, folder, tmp_path):
    run("scan", folder / "[01].toy", "-o", "a", "--jobs", "1")
    (tmp_path / "list.txt").write_text(f"{folder / '2.toy'}\n{folder / '3.toy'}\n")
    run("scan", "@list.txt", "-o", "a", "--isolate", "never")
    assert len(list((tmp_path / "a").iterdir())) == 4
    assert "no file fits" in run("scan", folder / "*.nc", "-o", "a", code=1).err


def test_other_things_in_a_folder_are_named_and_cost_nothing(run, folder):
    (folder / "README").write_text("read me")
    ran = run("scan", folder, "-o", "refs")
    assert ran.err.startswith(f"ignored: {folder / 'README'}: ")
    assert run("scan", folder, "-o", "refs", "--overwrite", "-q").err == ""
    run("scan", folder, "-o", "refs", "--overwrite", "--strict", code=1)
    run("scan", folder / "README", folder / "0.toy", "-o", "refs", "--overwrite", code=1)
    for path in folder.glob("*.toy"):
        path.unlink()
    run("scan", folder, "-o", "refs", "--overwrite", code=1)


def test_scanning_on_dask(run, folder, tmp_path):
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=2, processes=True, dashboard_address=None
    ) as cluster:
        ran = run("scan", folder, "-o", "refs", "--dask", cluster.scheduler_address, "--json")
    assert [record["status"] for record in ran.records] == ["ok"] * 4
    run("scan", folder, "-o", "here", "--no-cache")
    assert content(tmp_path / "refs") == content(tmp_path / "here")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--jobs", "2", "--dask", "tcp://h:1"], "exclude one another"),
        (["--jobs", "2", "--isolate", "never"], "--isolate never forbids"),
        (["--jobs", "0"], "--jobs"),
        (["--combine"], "add -o OUT"),
        (["--concat", "time"], "add -o OUT"),
    ],
)
def test_wrong_usage(run, folder, arguments, message):
    assert message in " ".join(run("scan", folder, *arguments, code=2).err.split())


class TestSettings:
    def test_each_is_an_option(self, run, folder, monkeypatch):
        assert "--tone [quiet|loud]" in run("scan", "--help-all").out
        run("scan", folder / "0.toy", "-o", "a.json", "--tone", "loud")
        assert refmaker.read("a.json").group.attributes == {"tone": "loud"}
        run("scan", folder, "-o", "refs", "--tone", "loud")
        assert refmaker.read("refs/2.refs.json").group.attributes == {"tone": "loud"}
        run("scan", folder / "0.toy", "-o", "b.json")
        assert refmaker.read("b.json").group.attributes == {}
        monkeypatch.setenv("REFMAKER_SCAN_TONE", "loud")
        run("scan", folder / "0.toy", "-o", "c.json")
        assert refmaker.read("c.json").group.attributes == {"tone": "loud"}

    def test_a_wrong_one_is_wrong_usage(self, run, folder):
        assert "shrill" in run("scan", folder / "0.toy", "--tone", "shrill", code=2).err

    def test_results_with_other_settings_are_others(self, run, folder):
        run("scan", folder, "-o", "refs")
        ran = run("scan", folder, "-o", "refs", "--overwrite", "--tone", "loud", "--json")
        assert not any(record["cached"] for record in ran.records)


class TestCollections:
    @pytest.fixture
    def series(self, toy, tmp_path):
        folder = tmp_path / "series"
        folder.mkdir()
        for number in range(3):
            path = toy.write_toy(folder / f"{number}", {"x": np.full((4, 2), number, "i2")})
            path.write_bytes(path.read_bytes().replace(toy.MAGIC, toy.PART_MAGIC, 1))
        return folder

    def test_a_folder_to_one_file_is_one_object(self, run, series):
        (told,) = run("scan", series, "-o", "one.json", "--json").records
        assert told["status"] == "ok"
        assert "3 files" in told["input"]
        refs = refmaker.read("one.json")
        assert refs.group["x"].shape == (12, 2)
        assert refmaker.scan(series).group["x"].shape == (12, 2)
        parts = sorted(series.iterdir())
        assert refmaker.scan(parts[1:]).group["x"].shape == (8, 2)
        assert refmaker.scan(series, isolate="always").group["x"].shape == (12, 2)

    def test_a_folder_to_a_folder_is_many(self, run, series, tmp_path):
        run("scan", series, "-o", "refs")
        assert len(list((tmp_path / "refs").iterdir())) == 3

    def test_what_is_of_no_format_is_a_row_of_the_report(self, run, series):
        (series / "notes").write_text("nothing")
        (told,) = run("scan", series, "-o", "one.json", "--json").records
        assert told["status"] == "partial"
        assert [row["code"] for row in told["skipped"]] == ["unknown-format"]

    def test_mixed_files_are_refused_unless_a_format_is_named(self, run, series, folder):
        ran = run("scan", series, folder, "-o", "one.json", code=2)
        words = " ".join(ran.err.split())
        assert "4 toy, 3 parts" in words
        assert "--format" in words
        (told,) = run(
            "scan", series, folder, "-o", "one.json", "--format", "parts", "--json"
        ).records
        assert len(told["skipped"]) == 4
        assert told["status"] == "partial"

    def test_a_folder_with_a_single_file_is_that_file(self, run, folder):
        for number in range(1, 4):
            (folder / f"{number}.toy").unlink()
        run("scan", folder, "-o", "one.json")
        assert refmaker.read("one.json").group["x"].shape == (10,)

    def test_files_that_are_no_object_together_are_refused(self, run, folder):
        ran = run("scan", folder, "-o", "one.json", code=2)
        assert "not parts of one object" in " ".join(ran.err.split())
        with pytest.raises(refmaker.errors.UnsupportedError, match="not parts of one object"):
            refmaker.scan(folder)


class TestCubes:
    @pytest.fixture
    def days(self, tmp_path):
        folder = tmp_path / "days"
        folder.mkdir()
        for day in range(3):
            xr.Dataset(
                {"t": (("time", "x"), np.full((2, 5), day, "f4"))},
                {"time": [2 * day, 2 * day + 1], "x": np.arange(5)},
            ).to_netcdf(folder / f"{day}.nc", engine="h5netcdf")
        return folder

    @pytest.mark.parametrize("how", [["--concat", "time"], ["--combine"]])
    def test_many_files_straight_to_one(self, run, days, how):
        run("scan", days, "-o", "cube.json", *how)
        with refmaker.open_dataset("cube.json") as found:
            assert found["time"].values.tolist() == list(range(6))
            assert found["t"].values[:, 0].tolist() == [0, 0, 1, 1, 2, 2]

    def test_what_cannot_be_scanned_is_left_out_and_named(self, run, days):
        (days / "1.nc").write_bytes(b"broken")
        ran = run("scan", days, "-o", "cube.json", "--concat", "time", "--json", code=1)
        assert [record["status"] for record in ran.records] == ["failed", "ok"]
        assert "1.nc is not in the cube" in ran.records[1]["warnings"][0]
        with refmaker.open_dataset("cube.json") as found:
            assert found["time"].values.tolist() == [0, 1, 4, 5]

    def test_slices_are_joined_by_their_own_scanner(self, run, tmp_path):
        folder = tmp_path / "series"
        folder.mkdir()
        save_all(folder, [slice_of((0, 0, 2.5 * n), n + 1) for n in range(4)])
        (folder / "readme.txt").write_text("no slice")
        run("scan", folder, "-o", "volume.json", "--combine")
        with refmaker.open_dataset("volume.json") as found:
            assert found["z"].values.tolist() == [0, 2.5, 5, 7.5]
            assert found["image"].dims == ("z", "y", "x")
        for number in range(10):
            (folder / f"{number}.nc").write_bytes(b"CDF\1" + bytes(40))
        ran = run("scan", folder, "-o", "other.json", "--combine", "-f", "dicom", "--json")
        assert ran.records[0]["referenced"] == 1

    def test_slices_among_files_of_another_format_are_refused(self, run, days, tmp_path):
        save_all(tmp_path, [slice_of((0, 0, n), n) for n in range(9)])
        ran = run("scan", *sorted(tmp_path.glob("00*")), days / "0.nc", "-o", "x.json", "--combine",
                  code=2)  # fmt: skip
        assert "9 dicom, 1 hdf5" in ran.err

    def test_a_refusal(self, run, days):
        ran = run("scan", days, days / "0.nc", "-o", "cube.json", "--concat", "none", code=1)
        assert ran.err.startswith("error: ")
        assert not Path("cube.json").exists()


class TestProgress:
    def test_lines_now_and_then(self, run, folder, monkeypatch):
        monkeypatch.setattr("refmaker.cli.progress.INTERVAL", 0.0)
        ran = run("scan", folder, "-o", "refs")
        assert "4 of 4 files, " in ran.err
        assert " a second, 0 s left\n" in ran.err
        assert run("scan", folder, "-o", "refs", "--overwrite", "-q").err == ""

    def test_few_files_say_how_they_ended_and_no_more(self, run, folder):
        (line,) = run("scan", folder, "-o", "refs").err.splitlines()
        assert line.endswith(" ok")

    @pytest.mark.parametrize(
        ("progress", "seconds", "line"),
        [
            (Progress(0, 5, 0, 0), 0.0, "0 of 5 files"),
            (Progress(120, 5000, 0, 0), 10, "120 of 5,000 files, 12.0 a second, 6 min 47 s left"),
            (
                Progress(1500, 500_000, 1, 500),
                100,
                "1,500 of 500,000 files, 500 cached, 1 failed, 10.0 a second, 13 h 50 min left",
            ),
        ],
    )
    def test_the_line(self, progress, seconds, line):
        assert progress_line(progress, seconds) == line

    @pytest.mark.parametrize("quiet", [False, True])
    def test_a_bar_on_a_terminal(self, folder, tmp_path, quiet):
        ours, theirs = pty.openpty()
        arguments = ["scan", folder, "-o", tmp_path / "refs", *(["-q"] if quiet else [])]
        site = next(path for path in sys.path if "site" in Path(path).name and "pytest" in path)
        env = {"PYTHONPATH": f"{ROOT}:{site}", "TERM": "xterm", "COLUMNS": "100"}
        ran = subprocess.Popen(
            [sys.executable, "-m", "refmaker", *map(str, arguments)],
            env={**os.environ, **env},
            stderr=theirs,
            stdout=subprocess.PIPE,
        )
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 65536):
                shown += part
        except OSError:
            pass  # Linux says so when the other end is closed
        out, _ = ran.communicate()
        os.close(ours)
        assert ran.returncode == 0
        assert out.count(b" -> ") == (0 if quiet else 4)
        assert (b"4/4" in shown) == (not quiet)
        assert (b"/s" in shown) == (not quiet)


def test_the_cache_verb(run, folder):
    run("scan", folder, "-o", "refs")
    (told,) = run("cache", "info", "--json").records
    assert told["entries"] == 4
    assert told["bytes"] > 0
    assert "4 results" in run("cache", "info").out
    (dropped,) = run("cache", "clear", "--json").records
    assert dropped["dropped"] == 4
    assert "0 results dropped" in run("cache", "clear").out
    assert "0 results" in run("cache", "info").out

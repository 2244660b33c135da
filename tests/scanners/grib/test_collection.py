"""Many files as one tree: whatever the order of files, and whether at once or one after another."""

from __future__ import annotations

import dataclasses
import itertools
import json
import random
import time

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import refmaker
from refmaker.cli import main
from refmaker.errors import FormatError
from refmaker.scanners.grib import GRIBScanner
from refmaker.scanning.options import ScanOptions
from tests.scanners.grib.messages import message

RUNS, HOURS = (0, 12), (0, 3, 6, 9, 12)


def interval(begin, end, **keys):
    return message(
        productDefinitionTemplateNumber=8, shortName="tp", forecastTime=begin, stepType="accum",
        lengthOfTimeRange=end - begin, **keys,
    )  # fmt: skip


def forecast(run, hour):
    """Return a file as GFS writes them: hour 0 has no sums, hours 3 and 9 the bucket twice."""
    process = 81 if hour == 0 else 96
    keys = {
        "dataDate": 20240115, "dataTime": run * 100, "centre": 7,
        "generatingProcessIdentifier": process,
    }  # fmt: skip
    parts = [
        message(shortName=name, level=level, forecastTime=hour, seed=hour + level, **keys)
        for name, level in itertools.product("tu", (1000, 850, 500))
    ]
    parts.append(message(shortName="2t", forecastTime=hour, **keys))
    if hour:
        bucket = hour - (hour % 6 or 6)
        parts += [interval(bucket, hour, seed=hour, **keys), interval(0, hour, seed=hour, **keys)]
    return b"".join(parts)


@pytest.fixture
def archive(tmp_path):
    paths = []
    for run, hour in itertools.product(RUNS, HOURS):
        paths.append(tmp_path / f"gfs.t{run:02}z.f{hour:03}.grib2")
        paths[-1].write_bytes(forecast(run, hour))
    return paths


def written(folder, name, paths, *options):
    out = folder / name
    result = CliRunner().invoke(main, ["scan", *map(str, paths), "-o", str(out), *options])
    assert result.exit_code == 0, result.output
    return out


def test_one_tree(archive, tmp_path):
    refs = refmaker.read(written(tmp_path, "cube.json", archive))
    counts = refs.group.attributes["refmaker:fields"]
    assert counts == {"found": 86, "placed": 86, "duplicates": 0, "unsorted": 0}
    arrays = dict(refs.group.arrays())
    assert arrays["isobaricInhPa/instant/t"].shape[:3] == (2, 5, 3)
    assert arrays["isobaricInhPa/instant/t"].chunks.absent == 0
    present = {
        path.split("/")[-2]: array.chunks.present
        for path, array in arrays.items()
        if "/accum" in path and (array.compressor or {}).get("id") == "refmaker.grib"
    }
    assert present == {"accum": 8, "accum_3h": 4, "accum_6h": 4}
    checks = refmaker.verify(refs, sample=None, isolate="never")
    assert [check.reason for check in checks if not check.ok] == []


def test_values_through_the_tree(archive, tmp_path):
    data = refmaker.open_dataset(
        str(written(tmp_path, "cube.json", archive)), group="isobaricInhPa/instant"
    )
    field = data.t.sel(time="2024-01-15T12:00", step=np.timedelta64(6, "h"), isobaricInhPa=850)
    true = np.random.default_rng(856).normal(280, 10, 84).reshape(7, 12)
    np.testing.assert_allclose(field.squeeze().values, true, atol=1e-2)


def test_any_order_gives_equal_bytes(archive, tmp_path):
    first = written(tmp_path, "a.json", archive).read_bytes()
    turned = list(archive)
    random.Random(3).shuffle(turned)
    assert written(tmp_path, "b.json", turned).read_bytes() == first
    assert written(tmp_path, "c.json", [*turned, turned[0]]).read_bytes() == first


@pytest.mark.parametrize("split", [1, 5, 7])
def test_appending_gives_what_all_at_once_gives(archive, tmp_path, split):
    whole = written(tmp_path, "whole.json", archive).read_bytes()
    target = written(tmp_path, "part.json", archive[:split])
    names = [str(path) for path in archive[split:]]
    result = CliRunner().invoke(main, ["append", str(target), *names])
    assert result.exit_code == 0, result.output
    assert target.read_bytes() == whole
    again = CliRunner().invoke(main, ["append", str(target), names[0]])
    assert "0 files added" in again.output
    assert target.read_bytes() == whole


@pytest.mark.parametrize("form", ["json", "parquet"])
def test_appending_reads_no_file_again(archive, tmp_path, form):
    whole = refmaker.read(written(tmp_path, f"whole.{form}", archive))
    target = written(tmp_path, f"part.{form}", archive[:-1])
    for path in archive[:-1]:
        path.unlink()
    result = CliRunner().invoke(main, ["append", str(target), str(archive[-1])])
    assert result.exit_code == 0, result.output
    found = refmaker.read(target)
    arrays = dict(whole.group.arrays())
    assert {path for path, _ in found.group.arrays()} == set(arrays)
    assert all(array.chunks.same(arrays[path].chunks) for path, array in found.group.arrays())
    assert found.report.sources == whole.report.sources


def test_appending_to_a_set_that_was_moved(archive, tmp_path):
    whole = written(tmp_path, "whole.json", archive)
    target = written(tmp_path, "part.json", archive[:4])
    names = {str(tmp_path): "s3://bucket/runs"}
    refmaker.read(target).rewrite(names).write(target)
    others = [refmaker.scan(path) for path in archive[4:]]
    refmaker.append(target, [one.rewrite(names) for one in others])
    refmaker.read(whole).rewrite(names).write(tmp_path / "moved.json")
    assert target.read_bytes() == (tmp_path / "moved.json").read_bytes()


def test_a_set_that_was_changed_is_made_anew(archive, tmp_path):
    # What it remembers is no longer what it holds, so the files are read again.
    whole = written(tmp_path, "whole.json", archive).read_bytes()
    refs = refmaker.read(written(tmp_path, "part.json", archive[:5]))
    members = dict(refs.group.members)
    members.pop("heightAboveGround")
    out = tmp_path / "changed.json"
    dataclasses.replace(refs, group=dataclasses.replace(refs.group, members=members)).write(out)
    refmaker.append(out, [refmaker.scan(path) for path in archive[5:]])
    assert out.read_bytes() == whole


def test_a_set_that_was_combined_goes_on_as_it_began(archive, tmp_path):
    sets = [refmaker.scan(path) for path in archive]
    out = tmp_path / "runs.json"
    how = {
        "concat": "run", "coords": {"run": "gfs.t{run:d}z.f000.grib2"},
        "varying": ("time", "valid_time"),
    }  # fmt: skip
    refmaker.combine(sets[:1], **how).write(out)
    refmaker.append(out, sets[5:6], **how)
    array = dict(refmaker.read(out).group.arrays())["isobaricInhPa/instant/t"]
    assert array.dimension_names[0] == "run"
    assert array.shape[0] == 2


@pytest.mark.parametrize(
    "options", [("--concat", "time"), ("--coord", "run=a{run:d}"), ("--combine", "--drop", "t")]
)
def test_options_of_combining_are_refused(archive, tmp_path, options):
    names = [*map(str, archive), "-o", str(tmp_path / "cube.json")]
    result = CliRunner().invoke(main, ["scan", *names, *options])
    assert result.exit_code == 2
    given = options[0] if options[0] != "--combine" else "--drop"
    assert f"{given} does not go with files of grib" in " ".join(result.output.split())
    # What it says helps.
    assert CliRunner().invoke(main, ["scan", *names]).exit_code == 0
    target = written(tmp_path, "part.json", archive[:2])
    before = target.read_bytes()
    given = [option for option in options if option != "--combine"]
    result = CliRunner().invoke(main, ["append", str(target), str(archive[3]), *given])
    assert result.exit_code == 1
    assert f"error: {given[0]}" in result.output
    assert "does not go with a set of grib files" in " ".join(result.output.split())
    assert target.read_bytes() == before


def test_combining_without_saying_how_is_joining(archive, tmp_path):
    first = written(tmp_path, "a.json", archive).read_bytes()
    assert written(tmp_path, "b.json", archive, "--combine").read_bytes() == first


@pytest.mark.parametrize("harm", ["version", "bodies", "files", "kinds"])
def test_what_a_set_remembers_may_be_anything(archive, tmp_path, harm):
    whole = written(tmp_path, "whole.json", archive).read_bytes()
    target = written(tmp_path, "part.json", archive[:5])
    document = json.loads(target.read_text())
    parts = document["refmaker"]["parts"]
    parts[harm] = {
        "version": 99, "bodies": "0rr910000", "files": [[0, 0]] * 5, "kinds": [[1, 2**40, []]] * 5,
    }[harm]  # fmt: skip
    target.write_text(json.dumps(document))
    refmaker.append(target, [refmaker.scan(path) for path in archive[5:]])
    assert target.read_bytes() == whole


def test_parts_of_killed_runs_are_kept(archive, tmp_path):
    options = {"cache": tmp_path / "cache", "parts": True, "jobs": 0}
    time.sleep(0.1)  # so that the next change of a file would show in its time
    first = list(itertools.islice(refmaker.scan_many(archive, **options), 4))
    assert [file.cached for file in first] == [False] * 4
    again = list(refmaker.scan_many(archive, **options))
    assert [file.cached for file in again] == [True] * 4 + [False] * 6
    group, _ = GRIBScanner().join([file.part() for file in again], ScanOptions())
    whole = refmaker.read(written(tmp_path, "cube.json", archive))
    assert group.attributes == whole.group.attributes
    for path, array in group.arrays():
        assert array.chunks.same(dict(whole.group.arrays())[path].chunks)


def test_any_number_of_processes_gives_equal_bytes(archive, tmp_path):
    first = written(tmp_path, "a.json", archive, "--no-cache", "--jobs", "1").read_bytes()
    two = written(tmp_path, "b.json", archive, "--no-cache", "--jobs", "2").read_bytes()
    here = written(tmp_path, "c.json", archive, "--no-cache", "--isolate", "never").read_bytes()
    assert first == two == here


def test_a_file_that_fails_is_named_and_the_next_run_adds_it(archive, tmp_path):
    bad = tmp_path / "gfs.zz.grib2"
    bad.write_bytes(b"GRIB" + bytes(2000))
    out = tmp_path / "cube.json"
    names = [*map(str, archive), str(bad)]
    result = CliRunner().invoke(main, ["scan", *names, "-o", str(out)])
    assert result.exit_code == 1
    assert str(bad) in result.output
    assert refmaker.read(out).group.attributes["refmaker:fields"]["placed"] == 86
    bad.write_bytes(forecast(0, 15))
    result = CliRunner().invoke(main, ["append", str(out), str(bad)])
    assert result.exit_code == 0, result.output
    assert out.read_bytes() == written(tmp_path, "whole.json", names).read_bytes()


def test_appending_keeps_the_layout(archive, tmp_path):
    whole = written(tmp_path, "whole.json", archive, "--grib-grouping", "flat").read_bytes()
    target = written(tmp_path, "part.json", archive[:3], "--grib-grouping", "flat")
    CliRunner().invoke(main, ["append", str(target), *map(str, archive[3:])])
    assert target.read_bytes() == whole


def test_a_changed_file_is_not_appended(archive, tmp_path):
    target = written(tmp_path, "part.json", archive[:3])
    before = target.read_bytes()
    archive[1].write_bytes(forecast(0, 15))
    result = CliRunner().invoke(main, ["append", str(target), str(archive[1])])
    assert result.exit_code != 0
    assert target.read_bytes() == before


def test_a_file_that_fails_costs_itself(archive, tmp_path):
    bad = tmp_path / "gfs.bad.grib2"
    bad.write_bytes(b"GRIB" + bytes(2000))
    urls = [str(path) for path in (*archive, bad)]
    group, report = GRIBScanner().collect(urls, None, ScanOptions())
    assert group.attributes["refmaker:fields"]["placed"] == 86
    assert [row.path for row in report.rows if str(bad) in row.path] == [str(bad)]
    with pytest.raises(FormatError):
        GRIBScanner().collect([str(bad)], None, ScanOptions())


def test_one_file_is_as_by_itself(archive):
    alone = refmaker.scan(archive[2]).group
    together, _ = GRIBScanner().collect([str(archive[2])], None, ScanOptions())
    assert [path for path, _ in alone.arrays()] == [path for path, _ in together.arrays()]
    assert alone.attributes == together.attributes


def test_copies_of_a_file_are_duplicates(archive, tmp_path):
    copy = tmp_path / "zcopy.grib2"
    copy.write_bytes(archive[0].read_bytes())
    group, report = GRIBScanner().collect([str(archive[0]), str(copy)], None, ScanOptions())
    counts = group.attributes["refmaker:fields"]
    assert (counts["placed"], counts["duplicates"]) == (7, 7)
    assert len([row for row in report.rows if row.code == "duplicate"]) == 3


@given(st.randoms(use_true_random=False), st.integers(1, 4))
def test_cut_anyhow(tmp_path_factory, random_, files):
    # Fields of an ensemble over any number of files give the tree of one file that holds all.
    parts = [
        message(
            productDefinitionTemplateNumber=1, shortName=name, level=level, forecastTime=step,
            typeOfEnsembleForecast=kind, perturbationNumber=number,
        )
        for name, level, step in itertools.product("tu", (850, 500), (0, 6))
        for kind, number in ((1, 0), (2, 1), (3, 1))
    ]  # fmt: skip
    random_.shuffle(parts)
    folder = tmp_path_factory.mktemp("cut")
    whole = folder / "whole.grib2"
    whole.write_bytes(b"".join(parts))
    names = [folder / f"{number}.grib2" for number in range(files)]
    for number, name in enumerate(names):
        name.write_bytes(b"".join(parts[number::files]))
    one = dict(refmaker.scan(whole).group.arrays())
    many, _ = GRIBScanner().collect([str(name) for name in names], None, ScanOptions())
    assert {path: array.shape for path, array in many.arrays()} == {
        path: array.shape for path, array in one.items()
    }
    for path, array in many.arrays():
        if (array.compressor or {}).get("id") != "refmaker.grib":
            assert array.chunks.same(one[path].chunks)
            continue
        for chunk in np.ndindex(*array.chunks.grid):
            ours, theirs = array.chunks.get(chunk), one[path].chunks.get(chunk)
            data = []
            for found in (ours, theirs):
                with open(found.url, "rb") as file:
                    file.seek(found.offset)
                    data.append(file.read(found.length))
            assert data[0] == data[1]

"""Many files from their lists: equal to what reading them gives, or read."""

from __future__ import annotations

import os
import pickle
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import refmaker
from refmaker.cli import main
from refmaker.errors import MetadataError
from refmaker.scanners.grib import GRIBScanner
from refmaker.scanning.options import ScanOptions
from refmaker.testing.http import RangeServer
from tests.scanners.grib import archives, messages

RUNS, HOURS = (0, 12), (0, 3, 6, 9, 12, 24)


def collect(paths, use, **settings):
    options = ScanOptions(settings={"index-files": use, **settings})
    return GRIBScanner().collect([str(path) for path in paths], None, options)


def same(one, other):
    """Assert that two trees have the same arrays, chunk by chunk."""
    assert one.attributes == other.attributes
    arrays, others = dict(one.arrays()), dict(other.arrays())
    assert list(arrays) == list(others)
    for path, array in arrays.items():
        assert array.shape == others[path].shape, path
        assert array.attributes == others[path].attributes, path
        assert array.chunks.same(others[path].chunks), path


def from_lists(report):
    return {
        row.path.rpartition("/")[2]: row.reason for row in report.rows if row.code == "from-list"
    }


def compared(paths, **settings):
    """Map files, compare with a walk, and return the report."""
    true, _ = collect(paths, "ignore")
    group, report = collect(paths, "map", **settings)
    same(true, group)
    assert report.sources.keys() == {str(path) for path in paths}
    return report


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return one folder of an archive as GFS writes it."""
    folder = tmp_path_factory.mktemp("gfs")
    for run in RUNS:
        for hour in HOURS:
            name = f"gfs.t{run:02}z.f{hour:03}.grib2"
            archives.write_inventory(folder, name, archives.gfs(run, hour), f"20240115{run:02}")
    return folder


@pytest.fixture
def gfs(made, tmp_path):
    folder = tmp_path / "gfs"
    shutil.copytree(made, folder)
    return sorted(folder.glob("*.grib2"))


def test_gfs(gfs):
    report = compared(gfs)
    # One file of an analysis and one of a forecast teach all others.
    assert len(from_lists(report)) == len(gfs) - 2
    assert not report.warnings


def noaa(folder):
    return [
        archives.write_inventory(
            folder, f"t{run:02}.f{hour:02}.grib2", archives.gfs(run, hour, pairs=True),
            f"20240115{run:02}",
        )
        for run in RUNS for hour in (0, 3, 6, 24)
    ]  # fmt: skip


def noaa1(folder):
    return [
        archives.write_inventory(
            folder, f"t{run:02}.f{hour:02}.grb", archives.reanalysis(run, hour), f"240115{run:02}"
        )
        for run in RUNS for hour in (0, 6, 12)
    ]  # fmt: skip


def ensemble(folder):
    return [
        archives.write_inventory(
            folder, f"m{member}.f{hour}.grib2", archives.gefs(member, hour), "2007032312"
        )
        for member in range(3) for hour in (0, 6)
    ]  # fmt: skip


def ecmwf(folder):
    return [
        archives.write_rows(folder, f"202401150{run}-{step}h", archives.ifs(run, step, (0, 1, 2)))
        for run in (0, 6) for step in (0, 3, 6, 9)
    ]  # fmt: skip


@pytest.mark.parametrize("centre", [noaa, noaa1, ensemble, ecmwf])
def test_every_field_is_that_of_eccodes(centre, tmp_path):
    paths = centre(tmp_path)
    out = tmp_path / "cube.json"
    command = ["scan", *map(str, paths), "-o", str(out), "--index-files", "map"]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    refs = refmaker.read(out)
    counts = refs.group.attributes["refmaker:fields"]
    assert counts["found"] == sum(messages.count(path) for path in paths)
    assert counts["unsorted"] == 0
    checks = refmaker.verify(refs, sample=None, isolate="never")
    assert [check.reason for check in checks if not check.ok] == []


def test_the_tree_of_the_command(gfs, tmp_path):
    out = tmp_path / "cube.json"
    command = ["scan", *map(str, gfs), "-o", str(out), "--index-files", "map"]
    assert CliRunner().invoke(main, command).exit_code == 0
    refs = refmaker.read(out)
    groups = {path.rpartition("/")[0] for path, _ in refs.group.arrays()}
    assert {"isobaricInhPa/instant", "heightAboveGround/instant"} <= groups
    assert sum("/accum" in path for path in groups) == 3
    again = CliRunner().invoke(main, ["append", str(out), str(gfs[0])])
    assert "0 files added" in again.output


def test_one_hour_of_many_runs(tmp_path):
    paths = [
        archives.write_inventory(tmp_path, f"t{day}.grib2", [
            archives.Line(line.text, line.message) for line in _of_day(day)
        ], f"202401{day:02}00")
        for day in range(15, 21)
    ]  # fmt: skip
    assert len(from_lists(compared(paths))) == len(paths) - 1


def _of_day(day):
    keys = {"dataDate": 20240100 + day, "dataTime": 0, "centre": 7}
    yield archives.Line(
        "TMP:850 mb:6 hour fcst:", messages.message(forecastTime=6, level=850, **keys)
    )
    yield archives.Line("APCP:surface:0-6 hour acc fcst:", archives.interval(0, 6, **keys))


def test_members(tmp_path):
    paths = [
        archives.write_inventory(
            tmp_path, f"m{member}.f{hour}.grib2", archives.gefs(member, hour), "20070323" + "12"
        )
        for member in range(4) for hour in (0, 6)
    ]  # fmt: skip
    report = compared(paths)
    assert len(from_lists(report)) == len(paths) - 2


@pytest.mark.parametrize("numbers", [True, False])
@pytest.mark.parametrize("ending", [".idx", ".inv"])
def test_edition_1(tmp_path, numbers, ending):
    paths = [
        archives.write_inventory(
            tmp_path, f"{run}.f{hour:02}.grb", archives.reanalysis(run, hour, numbers=numbers),
            f"240115{run:02}", ending,
        )
        for run in RUNS for hour in (0, 6, 12)
    ]  # fmt: skip
    report = compared(paths)
    # Whether there was something to sum up differs, and analyses are called so without numbers.
    assert len(from_lists(report)) >= len(paths) - 2


def test_edition_1_decimal_scale_and_bitmap(tmp_path):
    paths = []
    for hour, keys in ((6, {}), (12, {"decimalScaleFactor": 2}), (18, {"bitmapPresent": 1})):
        lines = archives.reanalysis(0, hour)
        lines.pop()
        handle = {"indicatorOfParameter": 61, "indicatorOfTypeOfLevel": 1, "level": 0}
        times = {"timeRangeIndicator": 4, "P1": 0, "P2": hour, "dataDate": 20240115, "dataTime": 0}
        values = np.arange(84.0)
        if "bitmapPresent" in keys:
            values[3:9] = 9999
        data = messages.message(1, values, **handle, **times, centre=7, table2Version=2, **keys)
        octets = f"kpds5=61:kpds6=1:kpds7=0:TR=4:P1=0:P2={hour}:TimeU=1:"
        lines.append(archives.Line(f"APCP:{octets}sfc:0-{hour}hr acc:NAve=0", data))
        paths.append(archives.write_inventory(tmp_path, f"{hour}.grb", lines, "24011500"))
    assert len(from_lists(compared(paths))) == 2


@pytest.mark.parametrize("members", [(), (0, 1, 2)])
def test_ecmwf(tmp_path, members):
    paths = [
        archives.write_rows(tmp_path, f"202401150{run}-{step}h", archives.ifs(run, step, members))
        for run in (0, 6) for step in (0, 3, 6, 9)
    ]  # fmt: skip
    report = compared(paths)
    mapped = from_lists(report)
    assert len(mapped) == len(paths) - 1
    # Hour 3 leaves open whether sums begin at 0 or three hours before: one more file is asked.
    assert sum("were read" in reason for reason in mapped.values()) <= 1


def test_two_fields_of_one_message_are_read(tmp_path):
    paths = [
        archives.write_inventory(tmp_path, f"f{hour}.grib2", archives.gfs(0, hour, pairs=True))
        for hour in (3, 6, 9)
    ]  # fmt: skip
    report = compared(paths)
    mapped = from_lists(report)
    assert len(mapped) == 2
    assert all("1 of its messages were read" in reason for reason in mapped.values())


def test_two_fields_in_the_last_message(tmp_path):
    paths = []
    for hour in (3, 6, 9):
        lines = archives.gfs(0, hour, pairs=True)
        lines = [*lines[:4], *lines[6:], *lines[4:6]]
        paths.append(archives.write_inventory(tmp_path, f"f{hour}.grib2", lines))
    assert len(from_lists(compared(paths))) == 2


def test_minutes_that_lists_do_not_tell(tmp_path):
    paths = []
    for number, minute in enumerate((0, 15, 0, 15, 30)):
        keys = {"dataDate": 20240115, "dataTime": 1200 + minute, "centre": 7}
        lines = [
            archives.Line(
                f"TMP:{level} mb:anl:", messages.message(shortName="t", level=level, **keys)
            )
            for level in (850, 500, 250)
        ]
        name = f"rtma{number}.grib2"
        paths.append(archives.write_inventory(tmp_path, name, lines, "2024011512"))
    # A file of each minute is read, and no other.
    assert len(from_lists(compared(paths))) == 2


def with_one_more(hour, **keys):
    """Return the lines of a file, and one of a field that has something of its own."""
    lines = archives.gfs(0, hour)
    keys = {"dataDate": 20240115, "dataTime": 0, "centre": 7, **keys}
    odd = messages.message(shortName="t", level=250, forecastTime=hour, **keys)
    return [*lines[:2], archives.Line(f"TMP:250 mb:{hour} hour fcst:", odd), *lines[2:]]


def test_what_stands_for_two_things_is_read(tmp_path):
    # Files that are read contradict one another in the process of one field, and only there.
    paths = []
    for hour, process in ((3, 96), (6, 96), (9, 105), (12, 105)):
        lines = with_one_more(hour, generatingProcessIdentifier=process)
        if hour == 9:
            rest = messages.message(dataDate=20240115, dataTime=0, shortName="q", forecastTime=hour)
            lines[:0] = [archives.Line("SPFH:850 mb:9 hour fcst:", rest)]
        paths.append(archives.write_inventory(tmp_path, f"f{hour:02}.grib2", lines))
    report = compared(paths)
    mapped = from_lists(report)
    assert all("1 of its messages were read" in reason for reason in mapped.values())
    assert len(mapped) == 2


def test_a_message_of_another_time_than_its_list_says(tmp_path):
    paths = [
        archives.write_inventory(tmp_path, f"f{hour}.grib2", with_one_more(hour, dataTime=1200))
        for hour in (3, 6, 9)
    ]
    mapped = from_lists(compared(paths))
    assert all("1 of its messages were read" in reason for reason in mapped.values())
    assert len(mapped) == 2


def test_lists_of_unlike_files(gfs, tmp_path):
    # Lists that share nothing teach nothing: all files are read.
    other = archives.write_inventory(tmp_path, "m.grib2", archives.gefs(1, 6), "2007032312")
    report = compared([gfs[1], other])
    assert not from_lists(report)


def test_files_without_lists(gfs):
    for path in gfs[3:]:
        path.with_name(f"{path.name}.idx").unlink()
    report = compared(gfs)
    assert set(from_lists(report)) <= {path.name for path in gfs[:3]}


def replaced(data, at, more):
    return data[:at] + more + data[at:]


def changed(data, at, bits):
    return data[:at] + bytes((data[at] ^ bits,)) + data[at + 1 :]


def last_message(data):
    return data.rindex(b"GRIB")


STALE = {
    "the third message is longer": lambda data: replaced(data, 400, bytes(9)),
    "cut": lambda data: data[:-100],
    "longer": lambda data: data + b"x" * 50,
    "one message more": lambda data: data + messages.message(),
    "another grid": lambda data: changed(data, last_message(data) + 37 + 30, 8),
    "another reference time": lambda data: changed(data, last_message(data) + 16 + 15, 1),
    "another process": lambda data: changed(data, last_message(data) + 37 + 72 + 13, 1),
    "another local section": lambda data: changed(data, last_message(data) + 16 + 7, 1),
    "no file": lambda data: b"",
}


@pytest.mark.parametrize("what", STALE)
def test_a_list_that_is_not_of_the_file_is_found(gfs, what):
    path = gfs[4]
    path.write_bytes(STALE[what](path.read_bytes()))
    true, account = collect(gfs, "ignore")
    group, report = collect(gfs, "map")
    same(true, group)
    assert path.name not in from_lists(report)
    told = [*report.warnings, *(row.path for row in report.rows if row.code != "from-list")]
    assert any(path.name in text for text in told)
    damaged = [row for row in account.rows if "_damaged" in row.path]
    assert damaged == [row for row in report.rows if "_damaged" in row.path]


LISTS = {
    "nothing": (True, lambda _: ""),
    "a page": (True, lambda _: "<html><title>404</title></html>"),
    "another thing": (True, lambda _: '{"offset": 0, "length": 5, "variable": "t"}\n'),
    "a pickle": (True, lambda _: pickle.dumps({"index": 1}, 0).decode("ascii")),
    "the first line is missing": (True, lambda lines: "".join(lines[1:])),
    "a line is missing": (True, lambda lines: "".join(lines[:2] + lines[3:])),
    "the last line is missing": (True, lambda lines: "".join(lines[:-1])),
    "cut in a line": (True, lambda lines: "".join(lines)[:-60]),
    "cut in the last line": (True, lambda lines: "".join(lines)[:-40]),
    "turned round": (True, lambda lines: "".join(lines[::-1])),
    "a line twice": (True, lambda lines: "".join([*lines, lines[-1]])),
    "another day": (True, lambda lines: "".join(lines).replace("d=20240115", "d=20240116")),
    "another hour": (True, lambda lines: "".join(lines).replace("6 hour", "9 hour")),
    "farther on": (True, lambda lines: "".join(_shifted(line, 7) for line in lines)),
    "beyond the end": (True, lambda lines: "".join(_shifted(line, 10**9) for line in lines)),
    "offsets without end": (True, lambda lines: "".join(_shifted(line, 10**30) for line in lines)),
}  # fmt: skip


def _shifted(line, by):
    number, offset, rest = line.split(":", 2)
    return f"{number}:{int(offset) + by}:{rest}"


@pytest.mark.parametrize("what", LISTS)
def test_a_wrong_list_is_found(gfs, what):
    named, change = LISTS[what]
    path = gfs[2]
    listed = path.with_name(f"{path.name}.idx")
    listed.write_text(change(listed.read_text().splitlines(keepends=True)))
    report = compared(gfs)
    assert path.name not in from_lists(report)
    assert any(listed.name in text for text in report.warnings) == named


def test_more_probes_find_what_lies_in_the_middle(gfs):
    # Two messages of one length change places: what a list and the last message cannot show.
    path = gfs[4]
    data = path.read_bytes()
    ends = [at for at in range(len(data)) if data.startswith(b"GRIB", at)]
    first, second = data[: ends[1]], data[ends[1] : ends[2]]
    assert len(first) == len(second)
    path.write_bytes(second + first + data[ends[2] :])
    report = compared(gfs, probes="7")
    assert path.name not in from_lists(report)
    assert any("is another one by its product" in text for text in report.warnings)
    assert len(from_lists(report)) == len(gfs) - 3


@pytest.mark.parametrize("count", ["0", "-1", "many", ""])
def test_a_number_of_probes_that_is_none(gfs, count):
    with pytest.raises(MetadataError, match="probes"):
        collect(gfs, "map", probes=count)


def test_the_list_of_another_file(gfs):
    # Messages of f006 and f012 are equally long: offsets and size fit.
    one, other = gfs[2], gfs[4]
    shutil.copy(f"{other}.idx", f"{one}.idx")
    report = compared(gfs)
    assert one.name not in from_lists(report)
    assert any(f"{one.name}.idx is not used" in text for text in report.warnings)


def test_a_list_that_is_older_than_the_file(gfs):
    path = gfs[3]
    written = path.stat().st_mtime - 86400
    os.utime(f"{path}.idx", (written, written))
    report = compared(gfs)
    assert path.name not in from_lists(report)
    assert any("hours before the file" in text for text in report.warnings)


def test_a_file_that_is_gone(gfs):
    gfs[3].unlink()
    group, report = collect(gfs, "map")
    true, _ = collect([*gfs[:3], *gfs[4:]], "ignore")
    same(true, group)
    assert any(row.path == str(gfs[3]) for row in report.skipped)


def test_a_file_of_another_kind_far_away(gfs, tmp_path):
    # Of remote files the first few tell the format; what is not of it is named all the same.
    folder = gfs[0].parent
    (folder / "zz.grib2").write_text("<html><title>503</title></html>" + " " * 5000)
    (folder / "zy.grib2").write_bytes(b"CDF\1" + bytes(28))
    with RangeServer(folder) as server:
        urls = [server.url(path.name) for path in sorted(folder.glob("*.grib2"))]
        out = tmp_path / "cube.json"
        result = CliRunner().invoke(main, ["scan", *urls, "-o", str(out), "--index-files", "map"])
    assert "zz.grib2" in result.output
    assert "it looks like HTML or XML" in result.output
    assert "its format is netcdf3" in result.output
    assert refmaker.read(out).group.attributes["refmaker:fields"]["placed"] > 0


def test_two_requests_a_file(gfs):
    folder = gfs[0].parent
    few, many = gfs[:6], gfs

    def asked(paths):
        with RangeServer(folder) as server:
            urls = [server.url(path.name) for path in paths]
            group, report = collect(urls, "map")
            assert server.requests == report.requests
            assert server.counts.bodies == report.bytes_read
            assert len(from_lists(report)) == len(paths) - 2
            assert group.attributes["refmaker:fields"]["unsorted"] == 0
            return server.requests

    assert asked(many) - asked(few) == 2 * (len(many) - len(few))


def test_names_of_lists_are_learned(tmp_path):
    paths = [
        archives.write_rows(tmp_path, f"202401150{run}-{step}h", archives.ifs(run, step))
        for run in range(6) for step in (3, 6)
    ]  # fmt: skip
    paths[0].with_suffix(".index").unlink()
    with RangeServer(tmp_path) as server:
        _, report = collect([server.url(path.name) for path in paths], "map")
        assert len(from_lists(report)) == len(paths) - 2
        # All names for the first two, then one: this list and this message of each other file.
        assert server.requests <= 2 * 6 + 2 * (len(paths) - 2) + 8


def test_the_command_asks_no_more(gfs, tmp_path):
    folder = gfs[0].parent
    for number in range(3):
        for path in list(gfs):
            copy = folder / f"copy{number}.{path.name}"
            shutil.copy2(path, copy)
            shutil.copy2(f"{path}.idx", f"{copy}.idx")
    paths = sorted(folder.glob("*.grib2"))
    with RangeServer(folder) as server:
        urls = [server.url(path.name) for path in paths]
        command = ["scan", *urls, "-o", str(tmp_path / "cube.json"), "--index-files", "map"]
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 0, result.output
        # A few are looked at to tell the format, and two are read.
        assert server.requests <= 2 * len(paths) + 30


def test_of_one_file_the_list_helps_as_ever(gfs):
    with refmaker.io.source.Source(gfs[1]) as source:
        options = ScanOptions(settings={"index-files": "map"})
        group, _ = GRIBScanner().scan(source, options)
    assert group.attributes["refmaker:fields"]["found"] == messages.count(gfs[1])


FIELDS = [archives.gfs(run, hour) for run in RUNS for hour in HOURS]


@given(st.data())
def test_any_lists_beside_any_files(tmp_path_factory, data):
    """Whatever lists lie beside files, what comes out is what reading the files gives.

    Lists of other files may fit in all that one probe shows, when messages of one length only
    change places; where every message is probed, they do not.
    """
    folder = tmp_path_factory.mktemp("any")
    count = data.draw(st.integers(2, 5))
    paths, lists = [], []
    for number in range(count):
        lines = data.draw(st.sampled_from(FIELDS))
        keep = data.draw(st.sets(st.integers(0, len(lines) - 1), min_size=1))
        lines = [lines[at] for at in sorted(keep)]
        order = data.draw(st.permutations(lines))
        run = RUNS[FIELDS.index(next(f for f in FIELDS if lines[0] in f)) // len(HOURS)]
        path = folder / f"{number}.grib2"
        path.write_bytes(b"".join(line.message for line in order))
        paths.append(path)
        lists.append(archives.inventory(order, f"20240115{run:02}"))
    foreign = data.draw(st.booleans())
    for path, own in zip(paths, lists, strict=True):
        text = data.draw(st.sampled_from(lists)) if foreign else own
        if data.draw(st.booleans()) and data.draw(st.booleans()):
            lines = text.splitlines(keepends=True)
            at = data.draw(st.integers(0, len(lines) - 1))
            change = data.draw(st.sampled_from(["drop", "cut", "shift", "noise"]))
            if change == "drop":
                del lines[at]
            elif change == "cut":
                lines = ["".join(lines)[: data.draw(st.integers(0, len(text)))]]
            elif change == "shift":
                lines[at:] = [_shifted(line, 1) for line in lines[at:]]
            else:
                lines[at:at] = [data.draw(st.text("abc:0123=d\n", max_size=20)) + "\n"]
            text = "".join(lines)
        path.with_name(f"{path.name}.idx").write_text(text)
    compared(paths, probes="99" if foreign else "1")

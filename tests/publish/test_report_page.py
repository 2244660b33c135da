"""What the page that shows a reference set says, and what it costs."""

from __future__ import annotations

import re

import numpy as np
import pytest
import xarray as xr

import refmaker
from refmaker.cli import main
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.report import Fingerprint, ScanReport
from refmaker.publish.html_report.access import accesses
from refmaker.publish.html_report.bars import bar
from refmaker.publish.html_report.byte_map import FREE, SHARED, byte_maps
from refmaker.publish.html_report.gallery import gallery
from refmaker.publish.html_report.tables import summary_table
from refmaker.publish.pictures import Source, subjects
from refmaker.publish.pictures.axes import Surroundings
from refmaker.storage.reference_set import ReferenceSet
from refmaker.testing.http import RangeServer

HOSTILE = '"><script>alert(1)</script>'


@pytest.fixture
def refs(tmp_path):
    """Scan a file with lines, fields, pictures, texts and a group."""
    values = np.random.default_rng(0).normal(280, 10, (8, 60, 80)).astype("f4")
    data = xr.Dataset(
        {
            "t2m": (("time", "lat", "lon"), values, {"units": "K", "long_name": HOSTILE}),
            "mask": (("lat", "lon"), values[0] > 280),
            "rgb": (("row", "column", "c"), np.full((20, 30, 3), 90, "u1")),
            "$x^{$": ("time", np.arange(8), {"units": "$\\frac$"}),
            "names": ("time", np.array(list("abcdefgh"), object)),
        },
        {"time": np.arange(8)},
    )
    tree = xr.DataTree.from_dict({"/": data, "/inner": xr.Dataset({"v": ("n", np.zeros(0))})})
    encoding = {"/": {"t2m": {"zlib": True, "chunksizes": (1, 30, 40)}}}
    tree.to_netcdf(tmp_path / "a.nc", engine="h5netcdf", encoding=encoding)
    return refmaker.scan(tmp_path / "a.nc")


def test_what_the_page_says(refs, tmp_path):
    refmaker.report(refs, tmp_path / "a.html", title=HOSTILE)
    text = (tmp_path / "a.html").read_text()
    assert "<script" not in text
    assert "http://" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", text)
    for words in (
        "t2m",
        "inner/",
        "numcodecs",
        "widest gap",
        "one point along all of time",
        "a.nc",
    ):
        assert words in text
    numbers = re.sub("<[^>]*>", " ", text.partition('class="numbers"')[2].partition("</ul>")[0])
    assert "1 file " in " ".join(numbers.split())
    # The same set gives the same page.
    refmaker.report(refs, tmp_path / "b.html", title=HOSTILE)
    assert (tmp_path / "b.html").read_text() == text


def test_trouble_with_one_array_is_told(refs, tmp_path):
    (tmp_path / "a.nc").unlink()
    refmaker.report(refs, tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text()
    assert "Not drawn: MissingTargetError" in text
    # What stands in the set itself is drawn all the same.
    assert 'aria-label="t2m' not in text
    refmaker.report(refs, tmp_path / "b.html", looks=False)
    assert "Not drawn" not in (tmp_path / "b.html").read_text()


def test_files_that_cannot_be_reached_are_not_all_tried(tmp_path, monkeypatch):
    members = {}
    for number in range(6):
        chunks = table((1, 1), str(tmp_path / f"gone{number}"), [0], [400])
        members[f"v{number}"] = Array((20, 20), (20, 20), np.dtype("u1"), chunks)
    cards = gallery(subjects(Group(members)), Source(Group(members)))
    assert [card.trouble.partition(":")[0] for card in cards] == ["MissingTargetError"] * 3 + [
        "not tried, as 3 others could not be reached"
    ] * 3


def table(grid, url, offset, length, **more):
    return ChunkTable.from_columns(
        grid, (url,), offset=np.asarray(offset), length=np.asarray(length), **more
    )


def test_the_map_of_a_file():
    one = Array((4,), (2,), np.dtype("u1"), table((2,), "f", [0, 500], [100, 100]))
    two = Array((2,), (2,), np.dtype("u1"), table((1,), "f", [550], [150]))
    report = ScanReport("f")
    report.sources["f"] = Fingerprint(1000)
    (found,), kinds = byte_maps(ReferenceSet(Group({"one": one, "two": two}), report))
    assert (found.alike, kinds) == (1, 1)
    assert (found.size, found.owned, found.gaps, found.shared) == (1000, 300, 700, 50)
    assert found.widest_gap == (100, 400)
    assert found.owners == ("one", "two")
    parts = (np.array([10, 200, 520, 570, 650, 900]) * found.cells.size) // 1000
    assert found.cells[parts].tolist() == [0, FREE, 0, SHARED, 1, FREE]
    drawn = bar(found, {"one": "#111111", "two": "#222222"})
    assert drawn.count('fill="#111111"') == 2
    assert "one: 0 B to 100 B" in drawn
    assert re.search(r"several: 5\d\d B to 6\d\d B", drawn)


def test_files_alike_are_told_once():
    """A year of days, each with the same two arrays, and one file of another kind."""
    days, urls = 365, [f"s3://b/day{day}.nc" for day in range(365)]
    columns = {"offset": np.full(days, 100), "url": np.arange(days)}
    members = {
        name: Array(
            (days, 10), (1, 10), np.dtype("f4"),
            ChunkTable.from_columns(
                (days, 1), tuple(urls), length=np.arange(days) + start, **columns
            ),
        )
        for name, start in (("a", 40), ("b", 1000))
    }  # fmt: skip
    members["mask"] = Array((9,), (9,), np.dtype("u1"), table((1,), "s3://b/mask.nc", [0], [9]))
    found, kinds = byte_maps(ReferenceSet(Group(members)))
    assert kinds == 2
    assert [(one.alike, one.smallest, one.largest) for one in found] == [
        (365, 1040, 1040 + 2 * 364), (1, 9, 9),
    ]  # fmt: skip
    assert found[0].url == urls[182]
    assert found[0].owners == ("a", "b")


def test_what_reads_cost(refs):
    array = refs.group["t2m"]
    costs = {one.what: one for one in accesses(array, Surroundings(refs.group).axes("t2m", array))}
    lengths = array.chunks.length.reshape(array.chunks.grid)
    assert list(costs) == [
        "one value", "everything at one time", "one point along all of time", "everything",
    ]  # fmt: skip
    assert costs["one value"].used == 1 / 1200
    one = costs["everything at one time"]
    assert (one.cost.chunks, one.used) == (4, 1)
    assert one.cost.stored == lengths[4].sum()
    series = costs["one point along all of time"].cost
    assert (series.chunks, series.stored) == (8, lengths[:, 1, 1].sum())
    assert costs["everything"].cost.stored == lengths.sum()
    empty = refs.group["inner/v"]
    assert accesses(empty, Surroundings(refs.group).axes("inner/v", empty)) == []


def test_verification_is_told(refs, tmp_path):
    refmaker.report(refs, tmp_path / "a.html", verification=refmaker.verify(refs))
    text = (tmp_path / "a.html").read_text()
    assert "bit for bit: 7 arrays equal." in text
    assert "Not everything is as in the files" not in text
    record = {"path": "t2m", "verdict": "different", "chunks": 9, "compared": 5, "reason": HOSTILE}
    refmaker.report(refs, tmp_path / "b.html", verification=[record, {"summary": {}}])
    text = (tmp_path / "b.html").read_text()
    assert "Not everything is as in the files: 1 array different" in text
    assert "5 of 9" in text
    assert "<script" not in text


def test_a_summary_leaves_out_columns_that_say_nothing():
    rows = [
        {"path": "p", "name": "u", "levels": 1, "steps": 2, "first_step": 6.0, "last_step": 12.0},
        {"path": "p", "name": "v", "levels": 1, "steps": 1, "first_step": 6.0, "last_step": 6.0},
    ]
    assert summary_table(rows) == (
        ["name", "steps"], [["u", "2 (6 to 12 h)"], ["v", "1 (6 h)"]], 0,
    )  # fmt: skip
    assert summary_table([]) is None


def many(count, **more):
    chunks = table((1, 1), "s3://b/f", [0], [400])
    return Group(
        {f"v{n}": Array((20, 20), (20, 20), np.dtype("u1"), chunks, **more) for n in range(count)}
    )


@pytest.mark.parametrize("looks", [False, True])
def test_the_page_stays_small(tmp_path, looks):
    """Whatever is in a set: arrays, references, long names and attributes, endless shapes."""
    rng = np.random.default_rng(0)
    (tmp_path / "noise").write_bytes(rng.bytes(1 << 20))
    noise = Array(
        (1024, 1024), (1024, 1024), np.dtype("u1"),
        table((1, 1), str(tmp_path / "noise"), [0], [1 << 20]), dimension_names=("y", "x"),
    )  # fmt: skip
    million = ChunkTable.from_columns(
        (1000, 1000),
        tuple(f"s3://b/{n}" for n in range(100)),
        offset=np.arange(10**6) * 10,
        length=np.full(10**6, 10),
        url=np.arange(10**6) % 100,
    )
    endless = ChunkTable.empty((2**20, 2**20))
    long = {f"{'k' * 1000}{n}": "v" * 10_000 for n in range(100)}
    members = {
        **many(2000, attributes={"long_name": "n" * 1000}).members,
        **{f"noise{n}": noise for n in range(20)},
        "t": Array((1000, 1000), (1, 1), np.dtype("u1"), million),
        "endless": Array((2**50, 2**50), (2**30, 2**30), np.dtype("u1"), endless),
        "w" * 50_000: Group(many(2).members, attributes=long),
    }
    refs = ReferenceSet(Group(members, attributes=long))
    refmaker.report(refs, tmp_path / "a.html", looks=looks)
    assert (tmp_path / "a.html").stat().st_size < 2_000_000


def test_advice():
    grid = (20_000, 1)
    rows = np.arange(20_000)
    small = Array(
        (20_000, 500),
        (1, 500),
        np.dtype("f8"),
        table(grid, "s3://b/f", rows * 3000, rows * 0 + 3000),
    )
    huge = Array((40_000_000,), (40_000_000,), np.dtype("f8"), table((1,), "g", [0], [9]))
    holes = Array(
        (4,), (1,), np.dtype("u1"), table((4,), "s3://b/f", [0], [1], index=np.array([2]))
    )
    told = refmaker.describe(ReferenceSet(Group({"s": small, "h": huge, "o": holes})))["advice"]
    text = "\n".join(told)
    assert "s: 20,000 chunks of 2.9 KiB" in text
    assert "h: chunks of 305.2 MiB" in text
    assert "o: 3 of 4 chunks (75 %) are absent" in text
    assert "along all of dimension 0 takes 20,000 chunks" in text
    assert "1 file of this machine and 1 remote" in text
    quiet = Array((4,), (4,), np.dtype("f8"), table((1,), "g", [0], [32]))
    assert refmaker.describe(ReferenceSet(Group({"q": quiet})))["advice"] == []


def test_command(refs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    refs.write("a.json")
    with pytest.raises(SystemExit) as end:
        main(["report", "a.json", "-o", "a.html", "--title", "Mine"])
    assert not end.value.code
    assert capsys.readouterr().out == "a.json -> a.html\n"
    text = (tmp_path / "a.html").read_text()
    assert "<title>Mine</title>" in text
    assert 'refmaker.open_datatree("a.json")' in text


def test_command_tells_what_comparing_came_to(refs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    refs.write("a.json")
    with pytest.raises(SystemExit):
        main(["verify", "a.json", "--json"])
    (tmp_path / "checks").write_text(capsys.readouterr().out)
    for more in (["--verified", "checks"], ["--verify"]):
        with pytest.raises(SystemExit) as end:
            main(["report", "a.json", "-o", "a.html", "--no-looks", *more])
        assert not end.value.code
        assert "bit for bit: 7 arrays equal." in (tmp_path / "a.html").read_text()
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main(["report", "a.json", "--verified", "a.nc"])
    assert end.value.code == 2
    assert "does not hold what 'refmaker verify --json' prints" in capsys.readouterr().err


def test_a_set_from_afar_is_drawn_by_few_requests(tmp_path):
    """A thousand days of which pictures take one; a server that is down costs no page."""
    days = 1000
    (tmp_path / "d").write_bytes(np.random.default_rng(0).bytes(days * 1600))
    with RangeServer(tmp_path) as server:
        chunks = ChunkTable.from_columns(
            (days, 1, 1),
            (server.url("d"),),
            offset=np.arange(days) * 1600,
            length=np.full(days, 1600),
        )
        names = ("time", "lat", "lon")
        array = Array((days, 20, 20), (1, 20, 20), np.dtype("<f4"), chunks, dimension_names=names)
        refs = ReferenceSet(Group({f"v{n}": array for n in range(40)}))
        refmaker.report(refs, tmp_path / "a.html")
        assert server.counts.requests.total() <= 12
        assert server.counts.bodies <= 12 * 1600
    assert (tmp_path / "a.html").read_text().count("<article") == 12

"""The page that shows a reference set, in a real browser and by what it says."""

from __future__ import annotations

import base64
import re

import numpy as np
import pytest
import xarray as xr

import refmaker
from refmaker.cli import main
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.report import Fingerprint, ScanReport
from refmaker.publish.html_report.access import accesses
from refmaker.publish.html_report.byte_map import FREE, SHARED, byte_maps
from refmaker.publish.html_report.quick_look import look_at
from refmaker.storage.reference_set import ReferenceSet
from tests.browser import browser, complaints, dark, requests

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


def test_in_a_browser(refs, tmp_path):
    refs.write(tmp_path / "a.json")
    refmaker.report(tmp_path / "a.json", tmp_path / "a.html")
    url = (tmp_path / "a.html").as_uri()
    with browser() as running:
        running.get(url)
        assert running.title == "a.json"
        assert complaints(running) == []
        assert {found for found in requests(running) if not found.startswith("data:")} == {url}
        light = running.execute_script("return getComputedStyle(document.body).backgroundColor")
        drawn = running.find_elements("css selector", "#arrays svg")
        assert len(drawn) >= 4
        assert all(element.size["height"] > 20 for element in drawn)
        assert running.find_elements("css selector", "script") == []
        dark(running)
        shade = "return getComputedStyle(document.body).backgroundColor"
        assert running.execute_script(shade) != light
        # Text inside figures has the colour of the page.
        colour = "return getComputedStyle(document.querySelector('svg text')).fill"
        ink = "return getComputedStyle(document.body).color"
        assert running.execute_script(colour) == running.execute_script(ink)
        running.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True},
        )
        # Nothing sticks out of a phone's screen.
        width = "return document.documentElement.scrollWidth"
        assert running.execute_script(width) <= 360
        printed = running.execute_cdp_cmd("Page.printToPDF", {})
        assert base64.b64decode(printed["data"]).startswith(b"%PDF")


def test_what_the_page_says(refs, tmp_path):
    refmaker.report(refs, tmp_path / "a.html", title=HOSTILE)
    text = (tmp_path / "a.html").read_text()
    assert "<script" not in text
    assert "http://" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", text)
    for words in ("t2m", "inner/", "numcodecs", "widest gap", "one series along time", "a.nc"):
        assert words in text
    # The same set gives the same page.
    refmaker.report(refs, tmp_path / "b.html", title=HOSTILE)
    assert (tmp_path / "b.html").read_text() == text


def test_trouble_with_one_array_is_told(refs, tmp_path):
    (tmp_path / "a.nc").unlink()
    refmaker.report(refs, tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text()
    assert "No quick look: " in text
    assert "MissingTargetError" in text
    refmaker.report(refs, tmp_path / "b.html", looks=False)
    assert "No quick look" not in (tmp_path / "b.html").read_text()


def table(grid, url, offset, length, **more):
    return ChunkTable.from_columns(
        grid, (url,), offset=np.asarray(offset), length=np.asarray(length), **more
    )


def test_the_map_of_a_file():
    one = Array((4,), (2,), np.dtype("u1"), table((2,), "f", [0, 500], [100, 100]))
    two = Array((2,), (2,), np.dtype("u1"), table((1,), "f", [550], [150]))
    report = ScanReport("f")
    report.sources["f"] = Fingerprint(1000)
    (found,) = byte_maps(ReferenceSet(Group({"one": one, "two": two}), report))
    assert (found.size, found.owned, found.gaps, found.shared) == (1000, 300, 700, 50)
    assert found.widest_gap == (100, 400)
    assert found.owners == ("one", "two")
    kinds = found.cells[np.array([10, 200, 520, 570, 650, 900])]
    assert kinds.tolist() == [0, FREE, 0, SHARED, 1, FREE]


def test_what_reads_cost(refs):
    entries = {entry["path"]: entry for entry in refmaker.describe(refs)["arrays"]}
    costs = {cost.what: cost for cost in accesses(entries["t2m"])}
    assert costs["one value"].chunks == 1
    assert costs["one value"].used == 1 / 1200
    assert (costs["all at one time"].chunks, costs["all at one time"].used) == (4, 1)
    assert costs["all at one lat"].chunks == 16
    assert costs["one series along time"].chunks == 8
    assert costs["everything"].stored == entries["t2m"]["stored"]
    assert accesses(entries["inner/v"]) == []


def test_a_look_reads_a_few_chunks_only(refs, tmp_path):
    store = refmaker.open_store(refs)
    look = look_at(store, "t2m", refs.group["t2m"])
    assert look.where == "[4, :, :]"
    assert look.values.shape == (60, 80)
    assert look_at(store, "names", refs.group["names"]) is None
    assert look_at(store, "inner/v", refs.group["inner/v"]) is None
    big = Array((4096, 4096), (4096, 4096), np.dtype("f8"), ChunkTable.empty((1, 1)))
    assert look_at(store, "big", big) is None


def test_a_look_finds_the_only_chunk_that_is_there(tmp_path):
    (tmp_path / "d").write_bytes(np.arange(100, dtype="u1").tobytes())
    chunks = table((10, 1), str(tmp_path / "d"), [0], [100], index=np.array([9]))
    array = Array((100, 10), (10, 10), np.dtype("u1"), chunks, fill_value=0)
    refs = ReferenceSet(Group({"x": array}))
    assert look_at(refmaker.open_store(refs), "x", array).values.max() == 99


def test_missing_values_are_not_drawn(tmp_path):
    stored = np.array([[0, -999], [10, 20]], "<i2")
    (tmp_path / "d").write_bytes(stored.tobytes())
    known = {"_FillValue": -999, "scale_factor": 0.5, "add_offset": 1.0}
    chunks = table((1, 1), str(tmp_path / "d"), [0], [8])
    array = Array((2, 2), (2, 2), np.dtype("<i2"), chunks, attributes=known)
    look = look_at(refmaker.open_store(ReferenceSet(Group({"x": array}))), "x", array)
    assert np.array_equal(look.values, [[1, np.nan], [6, 11]], equal_nan=True)
    assert look.scaled


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
        main(["report", "a.json", "-o", "a.html"])
    assert not end.value.code
    assert capsys.readouterr().out == "a.json -> a.html\n"
    assert (tmp_path / "a.html").stat().st_size > 10_000

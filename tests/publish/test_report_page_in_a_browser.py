"""The report page as people see it: in a browser, wide and narrow, light and dark, on paper."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
import tifffile
import xarray as xr
from phantom.study import write_study
from PIL import Image
from rasterio.transform import from_origin

import refmaker
from tests.browser import browser, clipped, complaints, dark, light, requests, shot, width

pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")
EXAMPLES = Path(__file__).parents[2] / "examples"
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
SHOTS = os.environ.get("REFMAKER_SHOTS", "")
"""Folder that pictures of the pages are kept in, to be looked at."""


def climate(_):
    return EXAMPLES / "air.nc"


def forecast(_):
    return EXAMPLES / "wind.grb"


def radiology(folder):
    return write_study(folder) / "ct"


def microscopy(folder):
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:512, :512]
    image = np.zeros((3, 512, 512))
    for channel in range(3):
        for y, x, size in zip(*rng.uniform(0, 512, (2, 30)), rng.uniform(8, 30, 30), strict=True):
            image[channel] += np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * size**2))
    image = (image * 20_000 + rng.poisson(300, image.shape)).clip(0, 65_535).astype("u2")
    known = {"axes": "CYX", "Channel": {"Name": ["DAPI", "GFP", "mCherry"]}}
    for side in "XY":
        known |= {f"PhysicalSize{side}": 0.25, f"PhysicalSize{side}Unit": "µm"}
    common = {"tile": (128, 128), "compression": "zlib"}
    with tifffile.TiffWriter(folder / "cells.ome.tif", ome=True) as file:
        file.write(image, subifds=2, metadata=known, **common)
        file.write(image[:, ::2, ::2], subfiletype=1, **common)
        file.write(image[:, ::4, ::4], subfiletype=1, **common)
    return folder / "cells.ome.tif"


def remote_sensing(folder):
    y, x = np.mgrid[:1024, :1024] / 1024
    height = np.sin(9 * x + 3 * np.cos(7 * y)) + np.cos(11 * x * y)
    values = (1500 + 900 * height).astype("f4")
    values[:100, :150] = -9999
    known = {"driver": "GTiff", "width": 1024, "height": 1024, "count": 1, "dtype": "float32"}
    place = {"crs": "EPSG:32633", "transform": from_origin(399_960, 5_300_040, 10, 10)}
    with rasterio.open(
        folder / "dem.tif", "w", **known, **place, nodata=-9999, tiled=True,
        blockxsize=256, blockysize=256, compress="deflate",
    ) as file:  # fmt: skip
        file.write(values[None])
        file.build_overviews([2, 4])
    return folder / "dem.tif"


def station(folder):
    """Return lines, a table of texts, and names that would be markup."""
    time = np.arange(5000)
    data = xr.Dataset(
        {
            "pressure": ("time", 1000 + 20 * np.sin(time / 300), {"units": "hPa"}),
            "hostile": ("time", np.cos(time / 50), {"long_name": HOSTILE, "units": HOSTILE}),
            "names": ("site", np.array([HOSTILE, "Æsir", "x" * 200], object)),
        },
        {"time": ("time", time, {"units": "hours since 2020-01-01"})},
        {"title": HOSTILE},
    )
    data.to_netcdf(folder / "station.nc", engine="h5netcdf")
    return folder / "station.nc"


SETS = {
    maker.__name__: maker
    for maker in (climate, forecast, radiology, microscopy, remote_sensing, station)
}
SEEN = {
    "climate": (
        "Air temperature near the surface",
        "2014-10-01 00:00",
        "110°W to 60°W",
        "2014-10-31 18:00:006 hours",
    ),
    "forecast": ("10 metre U wind component", "27 (6 to 162 h)", "sphere of 6,367.470 km"),
    "radiology": (
        "CT image [HU]",
        "5 x 3.75 x 3.75 mm",
        "40 files alike",
        "z to superior, y to posterior, x to left",
    ),
    "microscopy": ("DAPI, GFP, mCherry", "c 3, y 512, x 512", "0.25 x 0.25 µm"),
    "remote_sensing": ("WGS 84 / UTM zone 33N (EPSG:32633)", "10 x 10 m", "y 512, x 512"),
    "station": ("pressure [hPa]", "2020-07-27", "Æsir"),
}
"""What the page of each set says."""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Write the pages of all sets."""
    found = {}
    for name, maker in SETS.items():
        folder = tmp_path_factory.mktemp(name)
        refs = refmaker.scan(maker(folder))
        refmaker.report(refs, folder / "page.html", title=name)
        found[name] = folder / "page.html"
    return found


@pytest.fixture(scope="module")
def running():
    with browser() as started:
        yield started


@pytest.mark.parametrize("name", SETS)
def test_nothing_is_clipped_or_fetched(name, pages, running):
    url = pages[name].as_uri()
    requests(running)
    for pixels, phone, shade in (
        (1200, False, light), (1200, False, dark), (390, True, light), (390, True, dark),
    ):  # fmt: skip
        width(running, pixels, phone=phone)
        shade(running)
        running.get(url)
        # What is folded up is looked at as well.
        running.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert clipped(running) == []
        assert complaints(running) == []
        assert {one for one in requests(running) if not one.startswith("data:")} == {url}
        if SHOTS:
            kept = f"{name}-{pixels}-{shade.__name__}.png"
            Image.fromarray(shot(running)).save(Path(SHOTS) / kept)


@pytest.mark.parametrize("name", SETS)
def test_it_begins_with_a_picture(name, pages, running):
    width(running, 1200)
    running.get(pages[name].as_uri())
    first = running.find_element("css selector", "section")
    assert first.get_attribute("id") == "pictures"
    drawn = first.find_elements("css selector", ".card svg")
    assert drawn
    assert drawn[0].size["height"] > 100
    assert running.find_elements("css selector", ".card .warn") == []
    text = running.find_element("css selector", "body").get_attribute("textContent")
    plain = " ".join(text.split())
    for words in SEEN[name]:
        assert words in plain


def test_hostile_names_stay_texts(pages, running):
    running.get(pages["station"].as_uri())
    assert HOSTILE in running.find_element("css selector", "#arrays").get_attribute("textContent")
    for element in ("script", "img", "iframe", "object", "embed", "link[rel=stylesheet]"):
        assert running.find_elements("css selector", element) == []
    handlers = "return [...document.querySelectorAll('*')].flatMap(e => e.getAttributeNames())"
    assert [one for one in running.execute_script(handlers) if one.startswith("on")] == []


def test_links_lead_somewhere(pages, running):
    for page in pages.values():
        running.get(page.as_uri())
        lost = (
            "return [...document.querySelectorAll('a')].map(a => a.getAttribute('href'))"
            ".filter(h => !h.startsWith('#') || !document.getElementById(h.slice(1)))"
        )
        assert running.execute_script(lost) == []


def test_colours_follow_the_reader(pages, running):
    width(running, 1200)
    running.get(pages["climate"].as_uri())
    ground = "return getComputedStyle(document.body).backgroundColor"
    colour = "return getComputedStyle(document.querySelector('.card svg text')).fill"
    ink = "return getComputedStyle(document.body).color"
    seen = []
    for shade in (light, dark):
        shade(running)
        seen.append(running.execute_script(ground))
        assert running.execute_script(colour) == running.execute_script(ink)
    assert seen[0] != seen[1]
    light(running)


def test_the_map_is_there_to_be_seen(pages, running):
    """The north is colder: the top of the map is darker than its bottom."""
    width(running, 1200)
    light(running)
    running.get(pages["climate"].as_uri())
    box = running.find_element("css selector", ".card svg image").rect
    seen = shot(running)[
        int(box["y"]) : int(box["y"] + box["height"]), int(box["x"]) : int(box["x"] + box["width"])
    ].mean(axis=(1, 2))
    assert seen[: seen.size // 5].mean() < seen[-seen.size // 5 :].mean() - 20


def test_it_can_be_printed(pages, running):
    running.get(pages["radiology"].as_uri())
    printed = base64.b64decode(running.execute_cdp_cmd("Page.printToPDF", {})["data"])
    assert printed.startswith(b"%PDF")
    assert printed.count(b"/Type /Page\n") < 8

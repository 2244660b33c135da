"""The pages of the documentation in a real browser, read from a folder as they are built."""

from __future__ import annotations

import importlib.util
import io
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import refmaker
from tests.browser import browser, complaints, dark, requests

ROOT = Path(__file__).parent.parent
PHONE = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
CLIPPED = """
const wide = innerWidth + 1, found = [];
for (const element of document.querySelectorAll("article > *, article img, article .md-button")) {
  const box = element.getBoundingClientRect();
  if (box.width && (box.right > wide || box.left < -1)) found.push(element.outerHTML.slice(0, 80));
}
return found;
"""


@pytest.fixture(scope="module")
def running():
    """Start one browser for all pages."""
    with browser(width=1280, height=900) as found:
        yield found


def outside(running):
    """Return what pages have asked for that is no file of the site."""
    return [url for url in requests(running) if not url.startswith(("file:", "data:"))]


def opened(running, site, page, scheme="light", width=None):
    """Open a page as if for the first time."""
    requests(running), complaints(running)
    dark(running, scheme)
    if width is None:
        running.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    else:
        running.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", width)
    running.get((site / page).as_uri())


@pytest.mark.parametrize("width", [None, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_first_page(running, site, scheme, width):
    opened(running, site, "index.html", scheme, width)
    shade = "return getComputedStyle(document.body).backgroundColor"
    colours = [int(part) for part in running.execute_script(shade)[4:-1].split(",")]
    assert (max(colours) < 80) if scheme == "dark" else (min(colours) > 240)
    pictures = running.find_elements("css selector", "article img")
    pictures = [picture for picture in pictures if picture.is_displayed()]
    assert len(pictures) == 3
    assert pictures[1].get_attribute("src").endswith(f"landing-viewer-{scheme}.png#only-{scheme}")
    for picture in pictures:
        assert running.execute_script("return arguments[0].naturalWidth", picture) > 0
        assert picture.get_attribute("alt")
    assert running.execute_script(CLIPPED) == []
    assert running.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    # The tree of a notebook is there, and opens.
    tree = running.find_element("css selector", ".notebook")
    assert "u10" in tree.text
    assert "standard_name" not in tree.text
    marks = tree.find_elements("css selector", "summary")
    (name,) = [mark for mark in marks if "u10" in mark.text]
    running.execute_script("arguments[0].click()", name)
    assert "eastward_wind" in tree.text
    assert str(ROOT) not in tree.get_attribute("innerHTML")
    assert complaints(running) == []
    assert outside(running) == []


@pytest.mark.parametrize("page", ["index.html", "tasks/study.html"])
def test_search_works_from_a_folder(running, site, page):
    opened(running, site, page)
    box = running.find_element("css selector", ".md-search__input")
    box.click()
    box.send_keys("fletcher32")
    until, links = time.monotonic() + 60, []
    while not links and time.monotonic() < until:
        time.sleep(0.1)
        links = running.find_elements("css selector", ".md-search-result__link")
    found = [link.get_attribute("href").partition("?")[0] for link in links]
    assert (site / "hdf5.html").as_uri() in found
    assert complaints(running) == []
    assert outside(running) == []


def test_no_page_knows_where_it_was_made(site):
    assert [page.name for page in site.rglob("*.html") if f"{ROOT}/" in page.read_text()] == []


def test_every_page_fits_a_phone_and_is_quiet(running, site):
    requests(running), complaints(running)
    dark(running)
    running.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    pages = sorted(path for path in site.rglob("*.html") if path.name != "404.html")
    assert len(pages) > 50
    wide = {}
    for page in pages:
        running.get(page.as_uri())
        width = running.execute_script("return document.documentElement.scrollWidth")
        if width > PHONE["width"]:
            wide[page.name] = width
    assert wide == {}
    assert complaints(running) == []
    assert outside(running) == []


@pytest.fixture(scope="module")
def landing():
    """Import the script that draws the pictures."""
    path = ROOT / "docs" / "scripts" / "landing.py"
    spec = importlib.util.spec_from_file_location("docs_landing", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def started(landing, tmp_path_factory):
    """Write what the first page starts from."""
    folder = tmp_path_factory.mktemp("landing")
    landing.write_data(folder)
    return folder


def test_the_page_counts_its_files(started):
    page = (ROOT / "docs" / "index.md").read_text()
    assert f"in {len(list((started / 'archive').iterdir()))} netCDF files" in page
    assert f"{len(list((started / 'study').rglob('*.dcm')))} DICOM files" in page


def test_the_lines_beside_the_map_draw_it(landing, started):
    with landing.inside(started):
        drawn = landing.drawn_map({"refmaker": refmaker})
    path = landing.FIGURES / "landing-map.png"
    assert path.stat().st_size < 200_000
    kept, now = (
        np.asarray(Image.open(file).convert("RGBA"), float) for file in (path, io.BytesIO(drawn))
    )
    assert kept.shape == now.shape, "run: python docs/scripts/pictures.py"
    # Other versions of matplotlib may place a letter otherwise.
    assert abs(kept - now).mean() < 2


def test_the_lines_about_the_tree_run(landing, started):
    space = {"refmaker": refmaker}
    with landing.inside(started):
        landing.run("tree", space)
        assert "<svg" in (started / "wind-report.html").read_text()
    assert "u10" in space["refs"]._repr_html_()


def test_the_viewer_opens_what_was_scanned(landing, started, running):
    for scheme in ("light", "dark"):
        path = landing.FIGURES / f"landing-viewer-{scheme}.png"
        assert path.stat().st_size < 200_000
        made_of = Image.open(path).text["made_of"]
        assert made_of == landing.made_of(), "run: python docs/scripts/pictures.py"
    with landing.inside(started):
        (viewed,) = landing.run("viewer", {})
        assert viewed.split() == ["refmaker", "view", "study.json"]
        with refmaker.view("study.json") as page:
            running.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
            running.get(page.url)
            until, text = time.monotonic() + 60, ""
            while "CT image" not in text and time.monotonic() < until:
                time.sleep(0.1)
                text = running.find_element("css selector", "body").text
            running.get("about:blank")
    assert "CT image" in text
    assert "study-1/series-1/labels/series-4" in text

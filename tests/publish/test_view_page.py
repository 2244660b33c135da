"""The page for looking at sets in a real browser: what it shows, says and asks for."""

from __future__ import annotations

import io
import time

import numpy as np
import pytest
import tifffile
from PIL import Image
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import refmaker
from refmaker.publish.viewer.colours import colour_table
from tests.browser import browser, clipped, complaints, dark, requests, width

RENDERING = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader")
WAIT = 120
"""Seconds until something has to be there; software rendering is slow."""
LOOKED_FOR = "0/.zarray - Failed to load resource"
"""Whether a group is an array is what neuroglancer asks first; browsers tell of each answer."""


@pytest.fixture(scope="module")
def running():
    with browser(width=1200, height=900, more=RENDERING) as found:
        yield found


@pytest.fixture
def opened(running):
    """Open a page, and look at the end that it said nothing and asked nobody else."""
    pages = []

    def show(refs, variable="", phone=False):
        page = refmaker.view(refs, variable=variable)
        pages.append(page)
        running.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        running.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        if phone:
            width(running, 360, phone=True)
        running.get("about:blank")
        complaints(running), requests(running)
        running.get(page.url)
        return running

    yield show
    said = [
        text
        for text in complaints(running)
        if LOOKED_FOR not in text
        and "GL Driver Message" not in text
        and "python state event source connected" not in text
    ]
    assert said == []
    asked = {url for url in requests(running) if not url.startswith(("data:", "blob:", "about:"))}
    own = tuple(page.url.partition("#")[0] for page in pages)
    assert asked
    assert [url for url in asked if not url.startswith(own)] == []
    running.get("about:blank")
    for page in pages:
        page.close()


def until(running, script, *arguments):
    """Return what a script gives, as soon as that is true."""
    end = time.monotonic() + WAIT
    while not (found := running.execute_script(f"return {script}", *arguments)):
        assert time.monotonic() < end, script
        time.sleep(0.05)
    return found


def drawn(running):
    until(running, "document.getElementById('picture').naturalWidth")
    until(running, "!document.getElementById('busy').textContent")


def ground(running):
    return running.execute_script("return getComputedStyle(document.body).backgroundColor")


def told(running):
    return running.find_element(By.ID, "value").text


@pytest.mark.parametrize("way", ["light", "dark", "phone"])
def test_a_climate_set(opened, way):
    running = opened("examples/air.nc", phone=way == "phone")
    if way == "dark":
        light = ground(running)
        dark(running)
        assert ground(running) != light
    drawn(running)
    assert running.find_element(By.TAG_NAME, "h1").text == "air.nc"
    assert running.find_element(By.TAG_NAME, "h2").text == "Air temperature near the surface"
    slider = running.find_element(By.CSS_SELECTOR, ".slider output")
    until(running, "document.querySelector('.slider output').textContent")
    assert slider.text == "2014-10-01 00:00"
    ticks = [one.text for one in running.find_elements(By.CSS_SELECTOR, "#axes text")]
    assert "60\N{DEGREE SIGN}N" in ticks
    assert any(tick.endswith("\N{DEGREE SIGN}W") for tick in ticks)
    assert clipped(running) == []
    # The colours that are seen are those of the values.
    opened_set = refmaker.open_dataset("examples/air.nc")["air"]
    row, column, size = 5, 10, opened_set.shape[1:]
    picture = running.find_element(By.ID, "picture")
    running.execute_script("arguments[0].scrollIntoView({block: 'center'})", picture)
    low, high = (
        float(running.find_element(By.ID, end).get_property("value")) for end in ("low", "high")
    )
    value = float(opened_set[0, row, column])
    expected = colour_table("viridis")[round((value - low) / (high - low) * 255)]
    shot = np.asarray(Image.open(io.BytesIO(picture.screenshot_as_png)).convert("RGB"))
    at = [
        int((i + 0.5) / n * extent)
        for i, n, extent in zip((row, column), size, shot.shape[:2], strict=True)
    ]
    np.testing.assert_allclose(shot[tuple(at)], expected, atol=4)
    # A click tells the value, and draws the line of all times.
    across, along = ((i + 0.5) / n - 0.5 for i, n in zip((column, row), size[::-1], strict=True))
    offset = round(across * picture.size["width"]), round(along * picture.size["height"])
    ActionChains(running).move_to_element_with_offset(picture, *offset).click().perform()
    until(running, "document.getElementById('value').textContent")
    until(running, "document.querySelector('#chart .line')")
    assert told(running).startswith(f"{value:.7g} K at lat 62.5")
    assert f"row {row}, column {column}" in told(running)
    assert clipped(running) == []


def test_keys_and_sliders(opened):
    running = opened("examples/wind.grb")
    drawn(running)
    body = running.find_element(By.TAG_NAME, "body")
    output = "document.querySelector('.slider output').textContent"
    until(running, f"{output} === '6 h'")
    body.send_keys(Keys.ARROW_RIGHT)
    until(running, f"{output} === '12 h'")
    until(running, "document.getElementById('caption').textContent.includes('2026-03-01 12:00')")
    body.send_keys(Keys.ARROW_LEFT)
    body.send_keys(Keys.ARROW_LEFT)
    until(running, f"{output} === '162 h'")
    assert running.find_element(By.ID, "colours").get_property("value") == "blue to red"
    # The other component is a click away, and what was chosen is in the address.
    running.find_element(By.CSS_SELECTOR, "[title='heightAboveGround/instant/v10']").click()
    until(running, "document.querySelector('h2').textContent === '10 metre V wind component'")
    assert running.current_url.endswith("#heightAboveGround%2Finstant%2Fv10")


@pytest.mark.parametrize("way", ["light", "dark", "phone"])
def test_a_forecast(opened, way):
    running = opened("examples/wind.grb", phone=way == "phone")
    if way == "dark":
        dark(running)
    drawn(running)
    until(running, "document.getElementById('caption').textContent.includes('valid time')")
    assert clipped(running) == []
    if way == "phone":
        running.find_element(By.ID, "menu").click()
        assert running.find_element(By.ID, "side").is_displayed()
        assert clipped(running) == []


def frame(running):
    """Return the picture that neuroglancer has drawn: none of its controls."""
    shot = Image.open(io.BytesIO(running.get_screenshot_as_png())).convert("RGB")
    return np.asarray(shot)


def test_a_volume(opened):
    running = opened("examples/ct")
    until(running, "document.querySelector('#volume iframe').src")
    end = time.monotonic() + WAIT
    # A ring of bone around something softer, in the first of four panels and in the others.
    while not _shows_a_ring(frame(running)):
        assert time.monotonic() < end
        time.sleep(0.5)
    assert running.find_element(By.ID, "problem").text == ""
    assert clipped(running) == []


def _shows_a_ring(shot):
    white = (shot > 250).all(axis=2)
    height, width = white.shape
    left = width // 4
    panels = white[height // 5 : height * 3 // 5, left : width // 2 + width // 8]
    return panels.mean() > 0.02


def test_a_pyramid(opened, tmp_path):
    image = (np.add.outer(np.arange(512), np.arange(512)) // 4).astype("u1")
    told = {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm"}
    told |= {"PhysicalSizeY": 0.5, "PhysicalSizeYUnit": "µm"}
    with tifffile.TiffWriter(tmp_path / "p.ome.tif", ome=True) as file:
        file.write(image, subifds=1, metadata=told, tile=(128, 128), compression="zlib")
        file.write(image[::2, ::2], subfiletype=1, tile=(128, 128), compression="zlib")
    running = opened(tmp_path / "p.ome.tif")
    source = until(running, "document.querySelector('#volume iframe').src")
    assert "zarr2" in source
    end = time.monotonic() + WAIT
    while not _brighter_to_the_end(frame(running)):
        assert time.monotonic() < end
        time.sleep(0.5)
    assert clipped(running) == []


def _brighter_to_the_end(shot):
    grey = shot.mean(axis=2)
    inside = grey[200:, 280:]
    rows, columns = (np.flatnonzero((inside > 20).mean(axis=axis) > 0.2) for axis in (1, 0))
    if rows.size < 100 or columns.size < 100:
        return False
    part = inside[rows[0] : rows[-1], columns[0] : columns[-1]]
    height, width = part.shape
    first = part[: height // 4, : width // 4].mean()
    last = part[-height // 4 :, -width // 4 :].mean()
    beside = part[: height // 4, -width // 4 :].mean()
    return bool(first < beside < last)


def test_what_is_wrong_is_told_on_the_page(opened, tmp_path):
    import h5py

    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in ("a", "<img src=x onerror=alert(1)>"):
            file.create_dataset(name, data=np.ones((20, 20)), chunks=(20, 20), compression="gzip")
        place = file["a"].id.get_chunk_info(0)
    with open(tmp_path / "a.h5", "r+b") as file:
        file.seek(place.byte_offset)
        file.write(b"\xff" * place.size)
    running = opened(tmp_path / "a.h5", variable="a")
    until(running, "document.getElementById('problem').textContent")
    assert "a: " in running.find_element(By.ID, "problem").text
    running.find_element(By.CSS_SELECTOR, "#tree button:not([title=a])").click()
    drawn(running)
    assert running.find_element(By.ID, "problem").text == ""
    assert running.find_elements(By.TAG_NAME, "img")[-1].get_attribute("id")
    # Browsers tell of every answer that is no success.
    assert all("422" in text for text in complaints(running))

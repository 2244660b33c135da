"""A real browser without a window."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager

import pytest

SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-quic",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


@contextmanager
def browser(*, width=1200, height=1600, more=()):
    """Start Chromium; the test is skipped where there is none."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium and chromedriver are not installed")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for switch in (*SWITCHES, *more, f"--window-size={width},{height}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    running = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield running
    finally:
        running.quit()


def requests(running):
    """Return the URLs that pages have asked for since the last call."""
    found = []
    for entry in running.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            found.append(message["params"]["request"]["url"])
    return found


def complaints(running):
    """Return what the browser's console says."""
    return [entry["message"] for entry in running.get_log("browser")]


def dark(running, scheme="dark"):
    """Prefer dark colours from now on, or light ones."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    running.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def light(running):
    """Prefer light colours from now on."""
    features = [{"name": "prefers-color-scheme", "value": "light"}]
    running.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def width(running, pixels, *, phone=False):
    """Make the window as wide as this, as that of a phone if asked for."""
    size = {"width": pixels, "height": 844, "deviceScaleFactor": 1, "mobile": phone}
    running.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


CLIPPED = """
const found = [];
const wide = document.documentElement;
if (wide.scrollWidth > wide.clientWidth) found.push(`page: ${wide.scrollWidth}`);
for (const box of document.body.querySelectorAll("*")) {
  const style = getComputedStyle(box);
  const scrolls = ["auto", "scroll"].includes(style.overflowX);
  if (box instanceof SVGElement) {
    if (box.tagName !== "text") continue;
    const outer = box.ownerSVGElement.getBoundingClientRect(), inner = box.getBoundingClientRect();
    const sticks = Math.max(outer.left - inner.left, inner.right - outer.right,
                            outer.top - inner.top, inner.bottom - outer.bottom);
    if (sticks > 1) found.push(`${box.textContent}: ${sticks} pixels out of its figure`);
    for (const other of box.ownerSVGElement.querySelectorAll("text")) {
      if (other === box) break;
      const place = other.getBoundingClientRect();
      const across = Math.min(place.right, inner.right) - Math.max(place.left, inner.left);
      const down = Math.min(place.bottom, inner.bottom) - Math.max(place.top, inner.top);
      if (across > 2 && down > 2) found.push(`${box.textContent} over ${other.textContent}`);
    }
  } else if (box.clientWidth && !scrolls && box.scrollWidth > box.clientWidth + 1) {
    found.push(`${box.tagName} ${box.className} "${box.textContent.trim().slice(0, 40)}": `
               + `${box.scrollWidth} > ${box.clientWidth}`);
  }
}
return found;
"""


def clipped(running):
    """Return what sticks out of the page, out of its box or out of its figure."""
    return running.execute_script(CLIPPED)


def shot(running):
    """Return a picture of the whole page, as an array of rows, columns and colours."""
    import base64
    import io

    import numpy as np
    from PIL import Image

    taken = running.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(taken["data"]))).convert("RGB"))

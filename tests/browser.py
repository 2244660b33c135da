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

"""What the page on other languages says can be run is run, and prints what it shows."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import refmaker
from refmaker.testing.http import RangeServer
from tests.storage.interop import zarrita

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "languages.md"
_BLOCK = re.compile(
    r"^<!-- runs: ([\w-]+) -->\n```(\w+)\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)
BLOCKS = {name: (text, shown) for name, _, text, shown in _BLOCK.findall(PAGE.read_text())}
PUBLISHED, SERVED = "https://example.org/archive/", "http://127.0.0.1:8080/"


@pytest.fixture(scope="module", autouse=True)
def _zarrita_goes():
    yield
    zarrita.remove()


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Work where the examples are."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def typed(name, **instead):
    """Run the command of a block."""
    (line,) = re.findall(r"^\$ refmaker (.*)$", BLOCKS[name][0], re.MULTILINE)
    words = [instead.get(word, word) for word in line.split()]
    command = [sys.executable, "-m", "refmaker", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def printed(name, **names):
    """Return what the Python of a block prints."""
    text, out = BLOCKS[name][0], io.StringIO()
    for old, new in names.items():
        text = text.replace({"served": SERVED}[old], new)
    with contextlib.redirect_stdout(out):
        exec(compile(text, str(PAGE), "exec"), {})  # noqa: S102 - our own page
    return out.getvalue()


def test_the_page_has_these_blocks():
    assert BLOCKS.keys() == {
        "publish", "references", "serve", "served", "for-gdal", "gdal", "gdal-served",
        "tensorstore", "materialize", "netcdf",
    }  # fmt: skip
    packages = re.findall(r"^\$ npm install (.*)$", PAGE.read_text(), re.MULTILINE)
    assert packages == [" ".join(zarrita.PACKAGES)]


@pytest.mark.parametrize("name", ["references", "served"] if zarrita.zarrita_folder() else [])
def test_javascript(name, place):
    folder = zarrita.zarrita_folder()
    text, shown = BLOCKS[name]
    shutil.copy(ROOT / "examples" / "air.nc", place)
    with RangeServer(place) as published:
        there = published.url("")
        typed("publish", **{f"{PUBLISHED}air.nc": f"{there}air.nc"})
        with refmaker.serving("air.json") as served:
            script = folder / f"{name}.mjs"
            script.write_text(text.replace(PUBLISHED, there).replace(SERVED, served))
            done = subprocess.run(
                ["node", script.name],  # noqa: S607
                cwd=folder, env=os.environ, capture_output=True, text=True, check=False,
            )  # fmt: skip
    assert (done.stdout, done.stderr) == (shown, "")


def test_gdal(place):
    import rasterio

    typed("for-gdal")
    if tuple(map(int, rasterio.__gdal_version__.split(".")[:2])) >= (3, 11):
        assert printed("gdal") == BLOCKS["gdal"][1]
    else:
        with pytest.raises(rasterio.errors.RasterioIOError):
            printed("gdal")


def test_gdal_reads_what_is_served(place):
    text, shown = BLOCKS["gdal-served"]
    refmaker.scan("examples/air.nc").write("air.json")
    with refmaker.serving("air.json") as served:
        # In a process of its own: rasterio lets no other thread run while it waits.
        command = [sys.executable, "-c", text.replace(SERVED, served)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == shown, done.stderr


def test_tensorstore(place):
    assert BLOCKS["serve"][0] == "$ refmaker serve air.json\n"
    refmaker.scan("examples/air.nc").write("air.json")
    with refmaker.serving("air.json") as served:
        assert printed("tensorstore", served=served) == BLOCKS["tensorstore"][1]


def test_netcdf(place):
    typed("for-gdal")
    typed("materialize")
    assert printed("netcdf") == BLOCKS["netcdf"][1]

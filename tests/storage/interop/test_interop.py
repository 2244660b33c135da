"""Sets of every kind, as they are given and as this package writes them, in other readers."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pytest

import refmaker
from refmaker.storage.readers import READERS, obstacles
from tests.storage.interop import cases, zarrita
from tests.storage.interop.expected import EXPECTED
from tests.storage.interop.read import told
from tests.storage.interop.zarrita import zarrita_folder

HERE = Path(__file__).parent
ROOT = HERE.parent.parent.parent
NEEDED = {
    "fsspec": ("fsspec", "2025.2"), "zarrs": ("zarrs", "0.2"), "kerchunk": ("kerchunk", "0.2.8"),
    "virtualizarr": ("virtualizarr", "2.8"), "virtualizarr_xarray": ("virtualizarr", "2.8"),
    "icechunk": ("virtualizarr", "2.8"), "tensorstore": ("tensorstore", "0.1.80"),
    "xarray": ("xarray", "2024.10"),
}  # fmt: skip
"""Distributions that columns need, and the first version that the table speaks of."""


def _numbers(text):
    return tuple(int(part) for part in text.split(".")[:3] if part.isdigit())


def available(column):
    """Tell whether a reader is installed here, in a version that the table speaks of."""
    if column == "zarrita":
        return zarrita_folder() is not None
    if column.startswith("gdal"):
        import rasterio

        return _numbers(rasterio.__gdal_version__) >= (3, 12)
    name, least = NEEDED[column]
    try:
        return _numbers(version(name)) >= _numbers(least)
    except PackageNotFoundError:
        return False


COLUMNS = [column for column in EXPECTED if available(column)]


@pytest.fixture(scope="module", autouse=True)
def _zarrita_goes():
    yield
    zarrita.remove()


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """Sets as tools of all kinds spell them."""
    return cases.make(tmp_path_factory.mktemp("given"))


@pytest.fixture(scope="module")
def written(given, tmp_path_factory):
    """The same sets in this package's spelling: the folder, and what the table says of each."""
    found = {}
    for name, how in (("plain", "never"), ("named", "always")):
        folder = tmp_path_factory.mktemp(name)
        for path in given.folder.glob("*.json"):
            if path.stem == "path_relative":
                continue  # its data lie beside it
            if name == "named" and path.stem not in NAMED:
                continue
            refs = refmaker.read(path)
            refs.write(folder / path.name, templates=how)
        found[name] = folder
    return found


NAMED = ("plain", "group", "codec_zlib", "inline_text", "fill_number", "type_O_null")
"""Sets that are tried with templates, too."""


@functools.cache
def _read(column, folder):
    with tempfile.TemporaryDirectory() as out:
        target = Path(out) / "values.json"
        command = [sys.executable, str(HERE / "read.py"), column, folder, str(target)]
        here = None
        if column == "zarrita":
            here = zarrita_folder()
            command = ["node", "read_zarrita.mjs", folder, str(target)]
        environment = {**os.environ, "PYTHONWARNINGS": "ignore", "CPL_LOG": os.devnull}
        done = subprocess.run(
            command, cwd=here, env=environment, capture_output=True, text=True, timeout=250,
            check=False,
        )  # fmt: skip
        assert target.exists(), done.stderr[-2000:]
        return json.loads(target.read_text())


def cell(column, found, expected):
    """Return what a reader made of a set: ``y``, ``e``, or ``W`` for other values."""
    if "error" in found:
        return "e"
    if column == "zarrita":
        return "y" if _same_texts(found["values"], expected) else "W"
    if not found or column == "virtualizarr_xarray":
        return "y"
    want = told(expected)
    if "items" in want:
        return "y" if found.get("items") == want["items"] else "W"
    if "bytes" not in found:
        return "W"
    values = np.frombuffer(bytes.fromhex(found["bytes"]), found["str"])
    wanted = np.frombuffer(bytes.fromhex(want["bytes"]), want["str"])
    exact = values.dtype.kind not in "fcM" or wanted.dtype.kind not in "fcM"
    return "y" if np.array_equal(values, wanted, equal_nan=not exact) else "W"


def _same_texts(found, expected):
    if expected.dtype.kind in "biuf":
        words = [{"true": 1, "false": 0}.get(word, word) for word in found]
        return np.array_equal(np.array(words, "f8"), expected.ravel().astype("f8"), equal_nan=True)
    texts = [t.decode() if isinstance(t, bytes) else str(t) for t in expected.ravel().tolist()]
    return found == texts


@pytest.mark.parametrize("column", COLUMNS)
def test_each_cell_is_as_the_table_says(given, column):
    found = _read(column, str(given.folder))
    # By name GDAL opens the one image of a set at once, whose own cell stands in another column.
    names = given.spellings if column == "gdal_by_name" else list(given.sets)
    got = {name: cell(column, found[name], given.values[name]) for name in names}
    wanted = {name: EXPECTED[column].get(name, "y") for name in names}
    if column != "zarrita" and _numbers(version("zarr")) < (3, 2):
        # Records in records came to zarr later.
        wanted["record_nested"] = "e"
    assert got == wanted


TABLE = {
    "fsspec": "fsspec", "zarrs": "fsspec", "kerchunk": "fsspec", "virtualizarr": "virtualizarr",
    "gdal": "gdal", "tensorstore": "tensorstore", "zarrita": "zarrita",
}  # fmt: skip
"""Columns by the reader of `READERS` that they are."""


def said(folder, reader):
    """Return what the table says of every set in a folder: whether a reader reads ``v``."""
    told = {}
    for path in folder.glob("*.json"):
        refs = refmaker.read(path)
        array = "sub/v" if path.stem == "group" else "v"
        found = obstacles(refs.group, refs.stored, reader)
        told[path.stem] = not any(one.whole or one.path == array for one in found)
    return told


@pytest.mark.parametrize("how", ["plain", "named"])
@pytest.mark.parametrize("column", [column for column in COLUMNS if column in TABLE])
def test_what_is_written_is_read_as_the_table_says(given, written, column, how):
    found = _read(column, str(written[how]))
    marks = _read("virtualizarr_xarray", str(written[how])) if column == "virtualizarr" else {}
    got = {
        name: cell(column, found[name], given.values[name]) == "y"
        and "error" not in marks.get(name, {})
        for name in found
    }
    wanted = said(written[how], TABLE[column])
    if column != "zarrita" and _numbers(version("zarr")) < (3, 2) and how == "plain":
        wanted["record_nested"] = wanted["record_nested"] and TABLE[column] != "fsspec"
    assert got == wanted


@pytest.mark.parametrize("column", [name for name in COLUMNS if name == "gdal_by_name"])
def test_gdal_opens_what_is_written_by_name(written, column):
    found = _read(column, str(written["plain"]))
    readable = said(written["plain"], "gdal")
    assert readable["plain"]
    assert readable["foreign_before"]
    assert not [name for name, one in found.items() if "error" in one and readable[name]]


@pytest.mark.parametrize("column", [c for c in ("virtualizarr_xarray", "icechunk") if available(c)])
def test_missing_values_are_the_same_everywhere(given, written, column):
    """What xarray masks of stock references, it masks behind VirtualiZarr and in Icechunk."""
    stock = _read("xarray", str(written["plain"]))
    found = _read(column, str(written["plain"]))
    readable = said(written["plain"], "virtualizarr")
    # Of booleans with a fill value xarray makes objects in version 2, which nobody writes.
    odd = {"type_bool_false", *(name for name, one in stock.items() if "error" in one)}
    compared = [name for name in found if readable[name] and name not in odd]
    assert {"fill_number", "fill_NaN", "i2_number_number", "absent_number"} <= set(compared)
    assert {n: found[n] for n in compared} == {n: stock[n] for n in compared}
    for name in ("fill_number", "fill_number_double", "fill_number_number", "fill_null_number"):
        values = np.frombuffer(bytes.fromhex(found[name]["bytes"]), found[name]["str"])
        assert int(np.isnan(values).sum()) == 2
        assert found[name]["shape"] == list(given.values[name].shape)


@pytest.mark.parametrize("column", [c for c in ("virtualizarr",) if available(c)])
def test_parquet_in_virtualizarr(given, tmp_path, column):
    code = (
        "import sys, zarr; from virtualizarr.parsers import KerchunkParquetParser as P;"
        "from obspec_utils.registry import ObjectStoreRegistry as R;"
        "from obstore.store import LocalStore; r = R({'file://': LocalStore()});"
        "print(zarr.open_group(P()(sys.argv[1], r), mode='r', zarr_format=3)['v'][...].tolist())"
    )
    for name in ("fill_number", "scalar_inlined", "group", "type_O_null"):
        refmaker.read(given.folder / f"{name}.json").write(tmp_path / "a.parquet")
        back = refmaker.read(tmp_path / "a.parquet")
        command = [sys.executable, "-W", "ignore", "-c", code, str(tmp_path / "a.parquet")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wanted = str(given.values[name].tolist()) if name != "group" else None
        assert (done.stdout.strip() == wanted) == (not obstacles(back.group, back.stored, column))


@pytest.mark.parametrize("reader", READERS)
def test_the_page_says_what_the_table_says(given, reader):
    page = (ROOT / "docs" / "readers.md").read_text().split("\n## ")
    (section,) = [part for part in page if part.startswith(READERS[reader].title + "\n")]
    section = " ".join(section.split())
    assert all(number in section for number in READERS[reader].version.split(" and ")[-1:])
    for path in given.folder.glob("*.json"):
        refs = refmaker.read(path)
        for one in obstacles(refs.group, refs.stored, reader):
            words = one.what.removeprefix("the codec ").removesuffix(" as a filter")
            words = words.replace("its _FillValue", "its `_FillValue`")
            assert words.lower() in section.lower(), one


def test_some_readers_are_there():
    assert {"fsspec", "kerchunk"} <= set(COLUMNS)

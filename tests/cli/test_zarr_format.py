"""``--zarr-format``: what the verbs write, what they say of it, and where they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import refmaker
from refmaker.testing import decode_array
from tests.combine.files import READS_UNEVEN
from tests.combine.test_uneven import truth, write_parts


@pytest.fixture
def months(tmp_path):
    """Return files of 31 and 28 days in chunks of ten, and what they hold."""
    return write_parts(tmp_path, "part", (31, 28), truth()[:59])


def version(path):
    return refmaker.read(path).zarr_format


def test_scans_of_months_are_version_3_and_say_so(run, months):
    paths, expected = months
    ran = run("scan", *paths, "-o", "cube.json", "--concat", "time", "-j", "1")
    assert "different lengths along time (v)" in ran.err
    assert "zarr 3.2" in ran.err
    assert version("cube.json") == 3
    np.testing.assert_array_equal(decode_array(refmaker.read("cube.json").group["v"]), expected)
    shown = run("info", "cube.json")
    assert "chunks (1..10, 2, 6)" in shown.out
    assert "different lengths along time (v)" in shown.out
    assert "packages needed to decode: numcodecs, refmaker" in shown.out
    (told,) = run("info", "cube.json", "--json").records
    assert told["zarr_format"] == 3
    page = run("report", "cube.json", "-o", "page.html", code=0 if READS_UNEVEN else 1)
    if READS_UNEVEN:
        assert "1..10 x 2 x 6" in Path("page.html").read_text()
    else:
        assert "need zarr 3.2 or later" in page.err
    ran = run("scan", *paths, "-o", "2.json", "--concat", "time", "--zarr-format", "2", code=1)
    assert "--zarr-format 3" in ran.err
    assert "is partial" in ran.err
    ran = run("scan", *paths, "-o", "cube.parquet", "--concat", "time", code=1)
    assert "Parquet holds Zarr version 2, which has no chunks of different lengths" in ran.err
    assert not Path("cube.parquet").exists()


def test_single_files_and_conversions(run, months):
    paths, expected = months
    run("scan", paths[0], "-o", "a.json")
    assert version("a.json") == 2
    run("convert", "a.json", "b.json", "--zarr-format", "3")
    assert version("b.json") == 3
    keys = json.loads(Path("b.json").read_text())["refs"]
    assert "v/c/0/0/0" in keys
    assert "v/zarr.json" in keys
    np.testing.assert_array_equal(refmaker.open_dataset("b.json")["v"], expected[:31])
    ran = run("append", "a.json", paths[1], code=1)
    assert "--zarr-format 3" in ran.err
    run("append", "b.json", paths[1])
    assert version("b.json") == 3
    np.testing.assert_array_equal(decode_array(refmaker.read("b.json").group["v"]), expected)
    # What is in version 3 stays in it, and goes back where version 2 can say the same.
    run("scan", paths[0], "-o", "c.json", "--zarr-format", "3")
    run("convert", "c.json", "d.json")
    run("convert", "c.json", "e.json", "--zarr-format", "2")
    run("convert", "c.json", "f.parquet")
    assert [version(name) for name in ("c.json", "d.json", "e.json")] == [3, 3, 2]
    for name in ("d.json", "e.json", "f.parquet"):
        array = refmaker.read(name).group["v"]
        assert array.chunks.same(refmaker.read("a.json").group["v"].chunks)
        np.testing.assert_array_equal(refmaker.open_dataset(name)["v"], expected[:31])
    ran = run("convert", "b.json", "g.json", "--zarr-format", "2", code=1)
    assert "no chunks of different lengths" in ran.err


@pytest.mark.parametrize(
    ("verb", "out", "given", "says"),
    [
        ("convert", "x.parquet", "3", "parquet is a form of Zarr version 2"),
        ("convert", "x.icechunk", "2", "an Icechunk repository is Zarr version 3"),
        ("combine", "x.parquet", "3", "parquet is a form of Zarr version 2"),
        ("scan", "x.parquet", "3", "parquet is a form of Zarr version 2"),
        ("scan", "x.json", "4", "'4' is not one of 'auto', '2', '3'"),
    ],
)
def test_forms_of_another_version_are_refused_at_once(run, files, verb, out, given, says):
    run("scan", files["a"], "-o", "a.json")
    source = files["a"] if verb == "scan" else "a.json"
    where = ["-o", out] if verb != "convert" else [out]
    ran = run(verb, source, *where, "--zarr-format", given, code=2)
    assert says in ran.err

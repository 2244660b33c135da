"""``refmaker convert``."""

from __future__ import annotations

import json
import os
from pathlib import Path

import fsspec
import numpy as np
import pytest

import refmaker
from refmaker.model.zarr_v2 import documents


@pytest.fixture
def scanned(run, files):
    """Scan a file; give the reference file's name and the set."""
    run("scan", files["a"], "-o", "a.json", "--inline-threshold", "0B", "--chunk-bytes", "none")
    return "a.json", refmaker.read("a.json")


def same(one, other):
    assert list(documents(one.group)) == list(documents(other.group))
    tables = dict(other.group.arrays())
    assert all(array.chunks.same(tables[path].chunks) for path, array in one.group.arrays())
    assert one.report.sources == other.report.sources
    assert one.report.format == other.report.format == "toy"


def test_there_and_back(run, scanned):
    name, refs = scanned
    run("convert", name, "b.parquet")
    assert os.path.isdir("b.parquet")
    run("convert", "b.parquet", "c.json", "--out-format", "compact")
    assert json.loads(Path("c.json").read_text())["version"] != 1
    ran = run("convert", "c.json", "d.json", "--json")
    assert ran.records[0]["format"] == "json"
    assert ran.records[0]["arrays"] == 2
    assert Path(name).read_bytes() == Path("d.json").read_bytes()
    for other in ("b.parquet", "c.json", "d.json"):
        same(refs, refmaker.read(other))


def test_what_it_says(run, scanned):
    assert run("convert", scanned[0], "b.parquet").out == (
        "a.json: 2 arrays, 153 chunks -> b.parquet (parquet)\n"
    )
    assert run("convert", scanned[0], "c.json", "-q").out == ""


def test_standard_streams(run, scanned):
    text = Path(scanned[0]).read_text()
    ran = run("convert", "-", "-", input=text)
    assert ran.out == text
    assert "2 arrays" in ran.err
    run("convert", scanned[0], "-", "--json", code=2)


def test_nothing_is_overwritten_unasked(run, scanned):
    name, refs = scanned
    for out in ("b.json", "b.parquet"):
        run("convert", name, out)
        before = os.stat(out).st_ino
        assert "exists already" in run("convert", name, out, code=1).err
        assert os.stat(out).st_ino == before
        run("convert", name, out, "--overwrite")
        same(refs, refmaker.read(out))
    run("convert", name, "c.json", "--out-format", "compact")
    run("convert", name, "c.json", "--overwrite")


def test_what_is_no_reference_set_is_never_replaced(run, scanned, tmp_path):
    (tmp_path / "notes").write_text("precious")
    (tmp_path / "folder.parquet").mkdir()
    (tmp_path / "folder.parquet/part.0.parquet").write_text("precious")
    for out in ("notes", "folder.parquet"):
        ran = run("convert", scanned[0], out, "--overwrite", code=1)
        assert "not a reference file" in ran.err
    assert (tmp_path / "notes").read_text() == "precious"
    assert (tmp_path / "folder.parquet/part.0.parquet").read_text() == "precious"


def test_in_place(run, scanned):
    name, _ = scanned
    run("convert", name, name, "--overwrite", "--rewrite", f"{os.getcwd()}=/elsewhere")
    assert list(refmaker.read(name).report.sources) == ["/elsewhere/a.toy"]


def test_rewriting(run, scanned):
    name, refs = scanned
    here = os.getcwd()
    ran = run("convert", name, "b.json", "--rewrite", f"{here}=s3://b/x", "--rewrite", "/=/y")
    assert ran.code == 0
    found = refmaker.read("b.json")
    assert list(found.report.sources) == ["s3://b/x/a.toy"]
    assert found.group["x"].chunks.urls == ("s3://b/x/a.toy",)
    run("convert", "b.json", "c.json", "--rewrite", f"s3://b/x={here}")
    same(refs, refmaker.read("c.json"))
    ran = run("convert", name, "d.json", "--rewrite", "/nowhere=/x", code=1)
    assert "/nowhere" in ran.err
    assert not os.path.exists("d.json")
    run("convert", name, "d.json", "--rewrite", "nonsense", code=2)


def test_relative(run, scanned, tmp_path):
    run("convert", scanned[0], "b.json", "--relative")
    assert json.loads(Path("b.json").read_text())["templates"] == {"u": "a.toy"}
    same(scanned[1], refmaker.read("b.json"))
    assert fsspec.filesystem("reference", fo="b.json").cat_file("x/0") == bytes(
        np.arange(4, dtype="i4").tobytes()
    )


def test_bad_input(run, tmp_path):
    (tmp_path / "x.json").write_text('{"version": 1, "refs": {"a/.zarray": "{}"}}')
    ran = run("convert", "x.json", "y.parquet", code=1)
    assert "x.json: a" in ran.err
    assert os.listdir(tmp_path) == ["x.json"]
    run("convert", "absent.json", "y.json", code=1)
    assert "create the folder" in run("convert", "x.json", "absent/y.json", code=1).err


def test_scan_writes_every_form(run, files):
    run(
        "scan",
        files["a"],
        "-o",
        "c.json",
        "--compact",
        "--inline-threshold",
        "0B",
        "--chunk-bytes",
        "none",
    )
    assert json.loads(Path("c.json").read_text())["gen"]
    assert "--compact" in run("scan", files["a"], "-o", "x.parquet", "--compact", code=2).err
    for _ in range(2):
        run("scan", files["b"], "-o", "c.parquet", "--overwrite")
        assert sorted(os.listdir("c.parquet")) == [".zmetadata", "z"]
    assert "exists already" in run("scan", files["b"], "-o", "c.parquet", code=2).err
    run("verify", "c.json")
    run("verify", "c.parquet")
    assert run("info", "c.parquet", "--json").records[0]["arrays"]


@pytest.mark.filterwarnings("ignore:.*numcodecs.*")
def test_icechunk(run, scanned):
    import zarr

    from refmaker.storage.icechunk import open_repository

    name, _ = scanned
    run("convert", name, "a.icechunk")
    store = open_repository("a.icechunk").readonly_session("main").store
    assert zarr.open_group(store, mode="r")["x"][:].tolist() == list(range(10))
    assert "not a reference file" in run("convert", name, "a.icechunk", "--overwrite", code=1).err
    assert "relative" in run("convert", name, "b.icechunk", "--relative", code=1).err

"""``refmaker verify`` and ``refmaker formats``."""

from __future__ import annotations

import json
from functools import partial

import pytest

import refmaker


@pytest.fixture
def refs(run, files, tmp_path):
    run("scan", files["a"], "-o", "a.json")
    return tmp_path / "a.json"


@pytest.fixture(autouse=True)
def _in_this_process(request, monkeypatch):
    """Compare values here, but where processes are what is tested."""
    if request.node.name not in ("test_equal", "test_several_processes"):
        monkeypatch.setattr(refmaker, "verify", partial(refmaker.verify, isolate="never"))


def test_equal(run, refs):
    ran = run("verify", refs)
    assert ran.out.splitlines() == [
        "equal         x  3 of 3 chunks compared",
        "equal         g/y  16 of 150 chunks compared",
    ]
    assert run("verify", refs, "-q").out == ""


def test_records(run, refs):
    file, x, y = run("verify", refs, "--json", "--sample", "5").records
    assert (file["problem"], file["chunks"]) == ("", 153)
    assert file["end"] <= file["size"]
    assert x == {
        "path": "x", "verdict": "equal", "chunks": 3, "compared": 3, "equal": 3, "different": 0,
        "not_compared": 0, "passed_over": 0, "reason": "", "metadata": "",
        "given": 0, "edited": [],
    }  # fmt: skip
    assert (y["chunks"], y["compared"], y["equal"]) == (150, 5, 5)
    _, *arrays = run("verify", refs, "--json", "--all").records
    assert [told["compared"] for told in arrays] == [3, 150]


def test_a_difference_fails(run, refs, files):
    data = bytearray(files["a"].read_bytes())
    data[16384 + 5] ^= 1
    files["a"].write_bytes(data)
    # The reference set still describes the file; what is compared with is what changed.
    text = refs.read_text().replace(",16384,", ",16400,")
    refs.write_text(text)
    ran = run("verify", refs, code=1)
    file, difference, _ = ran.out.splitlines()
    assert file.startswith("FILE")
    assert "time of modification" in file
    assert difference.startswith(
        "DIFFERENT     x  3 of 3 chunks compared, 1 differ: [0:4] has other"
    )
    assert "2 arrays: 1 equal, 1 different" in ran.err
    (x, y) = run("verify", refs, "--json", "--no-sources", code=1).records
    assert (x["equal"], x["different"]) == (2, 1)
    assert y["different"] == 0


def test_what_cannot_be_compared_fails(run, toy, tmp_path):
    import numpy as np

    path = toy.write_toy(tmp_path / "n.toy", {"x": np.arange(400)}, broken=True)
    run("scan", path, "-o", "n.json")
    ran = run("verify", "n.json", code=1)
    assert ran.out.startswith(
        "NOT COMPARED  x  0 of 100 chunks compared, 16 could not be: no native values: OSError"
    )
    assert "1 array: 0 equal, 1 not compared" in ran.err
    assert run("verify", "n.json", "--allow-uncompared").out == ran.out
    [*_, x] = run("verify", "n.json", "--json", code=1).records
    assert (x["verdict"], x["not_compared"]) == ("not compared", 16)


def test_a_file_that_is_too_short_fails(run, refs, files):
    data = files["a"].read_bytes()
    files["a"].write_bytes(data[:-100])
    file = run("verify", refs, "--json", code=1).records[0]
    assert "and the file has" in file["problem"]
    assert file["end"] > file["size"]


def test_several_processes(run, refs):
    one = run("verify", refs, "--json", "--all").out
    assert run("verify", refs, "--json", "--all", "--jobs", "2").out == one


def test_standard_input(run, refs):
    assert run("verify", "-", input=refs.read_bytes()).out.startswith("equal")


def test_a_missing_source(run, refs, files):
    files["a"].unlink()
    assert run("verify", refs, code=1).err == (
        f"error: {files['a']}: no such file "
        "(if files have moved: 'refmaker convert SET NEW.json --rewrite OLD=NEW')\n"
    )


@pytest.mark.parametrize("arguments", [["--sample", "0"], ["--sample", "x"], ["--what"]])
def test_wrong_usage(run, refs, arguments):
    run("verify", refs, *arguments, code=2)


def test_a_set_that_points_nowhere(run, tmp_path):
    path = tmp_path / "e.json"
    path.write_text(json.dumps({"version": 1, "refs": {".zgroup": '{"zarr_format":2}'}}))
    assert "does not say which file was scanned" in run("verify", path, code=1).err


def test_formats(run):
    told = run("formats", "--json").records
    formats = {entry["name"]: entry for entry in told if entry["kind"] == "format"}
    assert formats["toy"] == {"kind": "format", "name": "toy", "suffixes": [".toy"]}
    codecs = {entry["name"]: entry for entry in told if entry["kind"] == "codec"}
    assert codecs["zlib"]["package"] == "numcodecs"
    assert codecs["zlib"]["installed"]
    lines = run("formats").out.splitlines()
    assert any(line.split() == ["toy", ".toy"] for line in lines)


def test_formats_tells_what_is_not_installed(run, monkeypatch):
    import refmaker.codecs

    monkeypatch.setitem(refmaker.codecs.PACKAGES, "madeup", "no-such-package")
    told = run("formats", "--json").records
    assert {
        "kind": "codec",
        "name": "madeup",
        "package": "no-such-package",
        "installed": None,
        "note": "",
    } in told
    [b3d] = [entry for entry in told if entry["name"] == "refmaker.b3d"]
    assert "never tried on files that a GPU wrote" in b3d["note"]
    assert any(
        line.split() == ["madeup", "no-such-package", "not", "installed"]
        for line in run("formats").out.splitlines()
    )


def test_formats_tells_which_extras_are_missing(run, monkeypatch):
    told = {entry["name"]: entry for entry in run("formats", "--json").records}
    assert told["hdf5"]["kind"] in ("format", "extra")
    extras = {e["name"]: e for e in run("formats", "--json").records if e["kind"] == "extra"}
    assert extras["s3"] == {"kind": "extra", "name": "s3", "packages": ["s3fs"], "missing": []}
    assert not {"test", "bench", "all"} & set(extras)
    module = __import__("refmaker.cli.formats", fromlist=["_version"])
    known = module._version
    monkeypatch.setattr(module, "_version", lambda name: None if name == "s3fs" else known(name))
    assert "without s3fs: pip install 'refmaker[s3]'" in run("formats").out


def test_the_last_record_sums_up(run, files):
    run("scan", files["a"], "-o", "a.json")
    assert run("verify", "a.json", "--json").summary == {"ok": True, "arrays": 2, "equal": 2}
    assert run("verify", "a.json").err.splitlines()[-1] == "2 arrays: 2 equal"


def test_scan_sums_up(run, files):
    both = run("scan", files["a"], files["b"], "-o", "out/")
    assert both.err.splitlines()[-1] == "2 inputs: 2 ok"
    told = run("scan", files["a"], files["broken"], "-o", "out/", "--overwrite", "--json", code=1)
    assert told.summary == {"inputs": 2, "ok": 1, "failed": 1}
    assert "input" not in run("scan", files["b"], "-o", "b.json").err


@pytest.mark.parametrize(("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colour_is_for_terminals_that_allow_it(run, files, env, coloured):
    run("scan", files["a"], "-o", "a.json")
    told = run("verify", "a.json", color=True, env={"NO_COLOR": None, **env})
    assert ("\x1b[32m\x1b[1mequal\x1b[0m" in told.out) is coloured
    failed = run("verify", "none.json", code=1, color=True, env={"NO_COLOR": None, **env})
    assert failed.err.startswith("\x1b[31m\x1b[1merror:\x1b[0m " if coloured else "error: ")
    assert "\x1b" not in run("verify", "a.json").out

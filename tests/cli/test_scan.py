"""``refmaker scan``: what it writes, prints and returns."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import refmaker
from refmaker.cli.options import SIZE, STORAGE_OPTION

KEYS = {
    "input", "output", "status", "referenced", "inlined", "skipped", "warnings",
    "seconds", "requests", "bytes_read", "error",
}  # fmt: skip


def test_one_file_to_one_file(run, files):
    ran = run("scan", files["a"], "-o", "out.json")
    told, readers = ran.out.splitlines()
    assert told == f"{files['a']}: 2 referenced, 0 inlined -> out.json"
    # A line more since sets say who reads them.
    assert readers.startswith("read by: ")
    assert ran.err == ""
    refs = refmaker.read("out.json")
    assert [path for path, _ in refs.group.arrays()] == ["x", "g/y"]
    assert refs.report.format == "toy"


def test_the_default_output_lies_in_the_current_folder(run, files, tmp_path):
    elsewhere = tmp_path / "deep" / "d.v1.toy"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(files["a"].read_bytes())
    run("scan", elsewhere)
    assert (tmp_path / "d.v1.refs.json").exists()


def test_standard_output_holds_the_references_alone(run, files):
    ran = run("scan", files["lossy"], "-o", "-")
    assert set(json.loads(ran.raw)) >= {"version", "refs"}
    assert "1 skipped -> -" in ran.err


def test_a_record_says_everything(run, files):
    (told,) = run("scan", files["lossy"], "-o", "out.json", "--json").records
    assert set(told) >= KEYS
    assert told["input"] == str(files["lossy"])
    assert told["output"] == "out.json"
    assert told["status"] == "partial"
    assert (told["referenced"], told["inlined"]) == (1, 0)
    (skipped,) = told["skipped"]
    assert skipped.keys() == {"path", "reason", "code"}
    assert skipped["path"] == "odd"
    assert told["requests"] > 0
    assert told["bytes_read"] > 0
    assert told["error"] is None


def test_a_failure_is_told_and_leaves_nothing(run, files, tmp_path):
    before = set(tmp_path.iterdir())
    ran = run("scan", files["broken"], "-o", "out.json", "--json", code=1)
    (told,) = ran.records
    assert set(told) >= KEYS
    assert told["status"] == "failed"
    assert told["output"] is None
    assert set(told["error"]) == {"type", "message", "url", "path", "offset", "hint"}
    assert told["error"]["type"] == "TruncatedError"
    assert ran.err.startswith(f"error: {files['broken']}: byte 12: ")
    assert set(tmp_path.iterdir()) == before


def test_one_bad_input_never_costs_the_others(run, files, tmp_path):
    inputs = [files["a"], files["broken"], tmp_path / "absent.toy", files["b"]]
    ran = run("scan", *inputs, "-o", "refs", "--json", code=1)
    assert [told["status"] for told in ran.records] == ["ok", "failed", "failed", "ok"]
    assert [told["input"] for told in ran.records] == [str(path) for path in inputs]
    assert sorted(path.name for path in (tmp_path / "refs").iterdir()) == [
        "a.refs.json",
        "b.refs.json",
    ]
    assert ran.err.count("error: ") == 2


def test_strict_writes_the_file_and_fails(run, files, tmp_path):
    run("scan", files["lossy"], "-o", "kind.json")
    run("scan", files["lossy"], "-o", "strict.json", "--strict", code=1)
    assert (tmp_path / "kind.json").read_bytes() == (tmp_path / "strict.json").read_bytes()
    run("scan", files["a"], "-o", "whole.json", "--strict")


def test_what_is_skipped_is_named_unless_quiet(run, files):
    ran = run("scan", files["lossy"], "-o", "out.json")
    assert ran.err.startswith(f"skipped: {files['lossy']}: odd: ")
    assert ran.err.endswith("[dtype-unknown]\n")
    quiet = run("scan", files["lossy"], "-o", "again.json", "-q")
    assert (quiet.out, quiet.err) == ("", "")
    assert run("scan", files["broken"], "-q", code=1).err.startswith("error: ")


def test_stats_add_the_costs(run, files):
    ran = run("scan", files["a"], "--stats")
    assert " requests, " in ran.out
    assert " s, " in ran.out


def test_a_cube_costs_what_its_files_cost(run, files, tmp_path):
    def record(*arguments):
        return json.loads(run("scan", *arguments, "--json").out.splitlines()[0])

    copy = shutil.copy(files["a"], tmp_path / "copy.toy")
    alone = [record(file, "-o", f"{n}.json") for n, file in enumerate((files["a"], copy))]
    joined = record(files["a"], copy, "-o", "c.json", "--concat", "t", "--coord", "t=index")
    for cost in ("requests", "bytes_read"):
        assert joined[cost] == sum(one[cost] for one in alone) > 0
    assert joined["seconds"] > 0


def test_names_come_from_standard_input(run, files, tmp_path):
    listed = f"{files['a']}\n\n{files['b']}\n"
    run("scan", "-", "-o", "refs", input=listed)
    assert len(list((tmp_path / "refs").iterdir())) == 2
    assert "standard input is empty" in run("scan", "-", input="", code=2).err


def test_options_reach_the_scanner(run, files, monkeypatch):
    given = []

    def scan(url, storage_options, **kwargs):
        given.append((storage_options, kwargs))
        raise refmaker.errors.FormatError("enough")

    monkeypatch.setattr("refmaker.scan", scan)
    run(
        "scan", files["a"], "-f", "toy", "--chunk-bytes", "1MB", "--inline-threshold", "2k",
        "--inline-budget", "1GiB", "--follow-external", "--verify-index", "--isolate", "never",
        "-S", "anon=true", "-S", "key=abc", code=1,
    )  # fmt: skip
    options = refmaker.ScanOptions(
        inline_threshold=2048,
        inline_budget=2**30,
        chunk_bytes=10**6,
        follow_external=True,
        verify_index=True,
    )
    assert given == [
        (
            {"anon": True, "key": "abc"},
            {"format": "toy", "options": options, "isolate": "never"},
        )
    ]


def test_options_come_from_the_environment(run, files, monkeypatch):
    monkeypatch.setenv("REFMAKER_SCAN_INLINE_THRESHOLD", "1MiB")
    monkeypatch.setenv("REFMAKER_SCAN_JSON", "1")
    (told,) = run("scan", files["a"], "-o", "one.json").records
    assert told["inlined"] == 0
    monkeypatch.setenv("REFMAKER_SCAN_FORMAT", "nonsense")
    (told,) = run("scan", files["a"], "-o", "two.json", code=1).records
    assert "no scanner named 'nonsense'" in told["error"]["message"]


@pytest.mark.parametrize("isolate", ["always", "auto", "never"])
def test_scanning_apart_gives_the_same(run, files, isolate):
    (alone,) = run("scan", files["a"], "-o", "x.json", "--isolate", isolate, "--json").records
    assert alone["status"] == "ok"
    x, y = refmaker.read("x.json"), refmaker.scan(files["a"])
    y.write("y.json")
    assert x.report.sources == y.report.sources
    assert Path("x.json").read_bytes() == Path("y.json").read_bytes()


def test_a_worker_that_dies_is_replaced(run, files, toy, tmp_path):
    # The toy library aborts in the worker only: the entry point loads a copy of the module there.
    module = Path(toy.__file__)
    text = module.read_text()
    abort = '        if "kill" in source.url:\n            import os\n            os.abort()\n'
    marker = "        report = ScanReport(source.url, self.name)\n"
    assert marker in text
    module.write_text(text.replace(marker, abort + marker))
    killer = tmp_path / "kill.toy"
    killer.write_bytes(files["a"].read_bytes())
    ran = run("scan", files["a"], killer, files["b"], "-o", "refs", "--json", code=1)
    assert [told["status"] for told in ran.records] == ["ok", "failed", "ok"]
    assert ran.records[1]["error"]["type"] == "WorkerError"


def test_a_scan_that_hangs_is_given_up(run, files, toy, tmp_path):
    module = Path(toy.__file__)
    text = module.read_text()
    hang = "        import time\n        time.sleep(600)\n"
    marker = "        report = ScanReport(source.url, self.name)\n"
    module.write_text(text.replace(marker, hang + marker))
    ran = run("scan", files["a"], "--timeout", "3", code=1)
    assert "did not end within 3 s" in ran.err


def test_a_bug_costs_one_input(run, files, monkeypatch):
    def fail(*args, **kwargs):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("refmaker.scan", fail)
    ran = run("scan", files["a"], "--json", code=1)
    assert ran.records[0]["error"]["type"] == "ZeroDivisionError"
    assert "this is a bug in refmaker" in ran.err


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0), ("4096", 4096), ("1k", 1024), ("1KiB", 1024), ("1kB", 1000), ("4MB", 4 * 10**6),
        ("1.5 MiB", 3 * 2**19), ("2G", 2**31), ("1TiB", 2**40), ("none", None),
    ],
)  # fmt: skip
def test_sizes(text, size):
    assert SIZE.convert(text, None, None) == size


@pytest.mark.parametrize("text", ["", "big", "-1", "1QB", "1e6", "MiB", "0x10"])
def test_bad_sizes_are_usage_errors(run, files, text, tmp_path):
    assert "is not a size" in run("scan", files["a"], f"--chunk-bytes={text}", code=2).err
    assert not list(tmp_path.glob("*.json"))


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("anon=true", ("anon", True)),
        ("key=a=b", ("key", "a=b")),
        ('client={"a": 1}', ("client", {"a": 1})),
        ("empty=", ("empty", "")),
    ],
)
def test_storage_options(text, pair):
    assert STORAGE_OPTION.convert(text, None, None) == pair


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.toy", "--chunk-bytes", "0"], "0 bytes are no chunk"),
        (["a.toy", "--inline-threshold", "none"], "a size is needed"),
        (["a.toy", "-S", "anon"], "not of the form key=value"),
        (["a.toy", "--isolate", "perhaps"], "perhaps"),
        (["a.toy", "--isolate", "never", "--timeout", "1"], "--isolate never forbids"),
        (["a.toy", "--timeout", "0"], "--timeout"),
        (["a.toy", "-o", "-", "--json"], "cannot both go to standard output"),
        (["a.toy", "b.toy", "-o", "-"], "several inputs cannot be written to standard output"),
        (["a.toy", "b.toy", "-o", "b.toy"], "several inputs need a folder"),
        (["a.toy", "-o", "absent/out.json"], "its folder does not exist"),
        ([], "Missing argument"),
    ],
)
def test_wrong_usage(run, files, tmp_path, arguments, message):
    before = set(tmp_path.iterdir())
    ran = run("scan", *arguments, code=2)
    assert message in " ".join(ran.err.split())
    assert ran.out == ""
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.toy", None, "no such file"),
        ("empty.toy", b"", "the file is empty"),
        ("unknown.toy", b"what is this", "not a format that is known here"),
        ("folder", "folder", "it is a directory"),
    ],
)
def test_bad_inputs(run, tmp_path, name, content, message):
    path = tmp_path / name
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    before = set(tmp_path.iterdir())
    ran = run("scan", path, "-o", "out.json", code=1)
    assert ran.err.startswith(f"error: {path}: ")
    assert message in ran.err
    assert ran.err.count("\n") == 1
    assert set(tmp_path.iterdir()) == before

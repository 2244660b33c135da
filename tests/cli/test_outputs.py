"""Where outputs go, and that nobody's work is lost."""

from __future__ import annotations

import os

import fsspec
import pytest

import refmaker


@pytest.fixture
def reference(files, tmp_path):
    path = tmp_path / "old.json"
    refmaker.scan(files["b"]).write(path)
    return path


def test_names_in_a_folder(run, files, tmp_path):
    run(
        "scan",
        files["a"],
        files["b"],
        "-o",
        "refs",
        "--name-template",
        "{n:03d}-{stem}-{name}.json",
    )
    names = sorted(path.name for path in (tmp_path / "refs").iterdir())
    assert names == ["001-a-a.toy.json", "002-b-b.toy.json"]


def test_one_input_into_an_existing_folder(run, files, tmp_path):
    (tmp_path / "refs").mkdir()
    run("scan", files["a"], "-o", "refs")
    assert (tmp_path / "refs" / "a.refs.json").exists()


@pytest.mark.parametrize(
    "name",
    ["{stem", "{other}", "{stem.__class__}", "{}", "../{stem}", "a/../{n}", "/a/{n}", "a//{n}", ""],
)
def test_bad_names_are_usage_errors(run, files, name, tmp_path):
    before = set(tmp_path.iterdir())
    run("scan", files["a"], files["b"], "-o", "refs", "--name-template", name, code=2)
    assert set(tmp_path.iterdir()) == before


def test_folders_in_names_tell_files_of_one_name_apart(run, files, tmp_path):
    other = tmp_path / "deep" / "a.toy"
    other.parent.mkdir()
    other.write_bytes(files["b"].read_bytes())
    name = "{parent}/{stem}.json"
    run("scan", files["a"], other, "-o", "refs", "--name-template", name)
    assert (tmp_path / "refs" / "deep" / "a.json").exists()
    assert (tmp_path / "refs" / tmp_path.name / "a.json").exists()


def test_two_inputs_to_one_output(run, files, tmp_path):
    other = tmp_path / "deep" / "a.toy"
    other.parent.mkdir()
    other.write_bytes(files["b"].read_bytes())
    ran = run("scan", files["a"], other, "-o", "refs", code=2)
    assert "both be written" in " ".join(ran.err.split())
    assert not (tmp_path / "refs").exists()
    run("scan", files["a"], other, "-o", "refs", "--name-template", "{n}-{stem}.json")


def test_the_same_input_twice(run, files):
    run("scan", files["a"], files["a"], "-o", "refs", code=2)


@pytest.mark.parametrize("how", ["same", "symbolic", "hard", "relative"])
def test_an_output_that_is_an_input(run, files, how, tmp_path):
    whole = files["a"].read_bytes()
    out = {"same": files["a"], "relative": "deep/../a.toy"}.get(how, tmp_path / "other.toy")
    (tmp_path / "deep").mkdir()
    if how == "symbolic":
        out.symlink_to(files["a"])
    elif how == "hard":
        os.link(files["a"], out)
    ran = run("scan", files["a"], "-o", out, "--overwrite", code=2)
    assert "is an input" in " ".join(ran.err.split())
    assert files["a"].read_bytes() == whole


def test_an_output_that_is_another_input(run, files):
    whole = files["b"].read_bytes()
    run(
        "scan", files["a"], files["b"], "-o", ".", "--name-template", "b.toy", "--overwrite", code=2
    )
    assert files["b"].read_bytes() == whole


def test_a_reference_file_needs_overwrite(run, files, reference):
    before = reference.read_bytes()
    ran = run("scan", files["a"], "-o", reference, code=2)
    assert "add --overwrite" in " ".join(ran.err.split())
    assert reference.read_bytes() == before
    run("scan", files["a"], "-o", reference, "--overwrite")
    assert "x" in refmaker.read(reference).group.members


@pytest.mark.parametrize(
    "text", ['{".zgroup": "{}", "x/0": ["a", 0, 1]}', '{"version": 1, "refs": {"a/.zarray": ""}}']
)
def test_reference_files_of_others_can_be_replaced(run, files, tmp_path, text):
    out = tmp_path / "kerchunk.json"
    out.write_text(text)
    run("scan", files["a"], "-o", out, code=2)
    run("scan", files["a"], "-o", out, "--overwrite")
    assert refmaker.read(out).report.format == "toy"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"notes",
        b"{}",
        b'{"type": "FeatureCollection", "features": []}',
        b'{"version": 1, "refs": {}}',
        b'{"version": 1, "refs": []}',
        b'{"version": 1, "data": {".zgroup": ""}}',
        b"[1, 2]",
        b'{"version": 1, "refs": {".zgro',
        b"\x89HDF\r\n\x1a\n",
    ],
)
def test_nothing_else_is_ever_replaced(run, files, tmp_path, content):
    out = tmp_path / "precious"
    out.write_bytes(content)
    ran = run("scan", files["a"], "-o", out, "--overwrite", code=2)
    assert "is not a reference file" in " ".join(ran.err.split())
    assert out.read_bytes() == content


@pytest.mark.parametrize("form", [["--zarr-format", "3"], ["--plain"], []])
def test_a_set_is_known_by_its_beginning(run, files, tmp_path, monkeypatch, form):
    def never(*_):
        raise AssertionError("read whole")

    out = tmp_path / "out.json"
    run("scan", files["a"], "-o", out, *form)
    monkeypatch.setattr("refmaker.cli.targets.read_file", never)
    run("scan", files["a"], "-o", out, *form, "--overwrite")
    assert refmaker.read(out).report.format == "toy"


def test_devices_folders_and_dangling_links_are_not_replaced(run, files, tmp_path):
    run("scan", files["a"], "-o", os.devnull, "--overwrite", code=2)
    assert not os.path.isfile(os.devnull)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    run("scan", files["a"], "-o", link, "--overwrite", code=2)
    assert link.is_symlink()


def test_one_taken_output_stops_before_anything_is_written(run, files, tmp_path):
    (tmp_path / "refs").mkdir()
    (tmp_path / "refs" / "b.refs.json").write_text("mine")
    run("scan", files["a"], files["b"], "-o", "refs", code=2)
    assert [path.name for path in (tmp_path / "refs").iterdir()] == ["b.refs.json"]


def test_an_output_that_appears_meanwhile_is_not_replaced(run, files, tmp_path, monkeypatch):
    inner = refmaker.scan

    def scan(*args, **kwargs):
        (tmp_path / "out.json").write_text("mine")
        return inner(*args, **kwargs)

    monkeypatch.setattr("refmaker.scan", scan)
    run("scan", files["a"], "-o", "out.json", code=1)
    assert (tmp_path / "out.json").read_text() == "mine"


def test_an_unwritable_folder(run, files, tmp_path, monkeypatch):
    closed = tmp_path / "closed"
    closed.mkdir()
    # Rights do not stop root, under whom tests may run.
    inner = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != str(closed) and inner(path, mode))
    ran = run("scan", files["a"], "-o", closed / "out.json", code=2)
    assert "cannot be written" in " ".join(ran.err.split())


def test_a_full_disk_leaves_nothing(run, files, tmp_path, monkeypatch):
    def fail(*args):
        raise OSError(28, "No space left on device")

    before = set(tmp_path.iterdir())
    monkeypatch.setattr(os, "fsync", fail)
    ran = run("scan", files["a"], "-o", "out.json", code=1)
    assert ran.err == "error: out.json: cannot be written: No space left on device\n"
    assert set(tmp_path.iterdir()) == before


def test_remote_inputs_and_outputs(run, files):
    memory = fsspec.filesystem("memory")
    memory.pipe("/in/a.toy", files["a"].read_bytes())
    try:
        here = ("--isolate", "never")  # another process has another memory
        run("scan", "memory://in/a.toy", files["b"], "-o", "memory://out", *here)
        assert sorted(memory.ls("/out", detail=False)) == ["/out/a.refs.json", "/out/b.refs.json"]
        run("scan", "memory://in/a.toy", "-o", "memory://out/a.refs.json", code=2)
        run("scan", "memory://in/a.toy", "-o", "memory://out/a.refs.json", "--overwrite")
        memory.pipe("/out/mine", b"precious")
        run("scan", "memory://in/a.toy", "-o", "memory://out/mine", "--overwrite", code=2)
        assert memory.cat("/out/mine") == b"precious"
    finally:
        memory.rm("/in", recursive=True)
        memory.rm("/out", recursive=True)


def test_names_of_urls(run, files):
    memory = fsspec.filesystem("memory")
    memory.pipe("/in/a.toy", files["a"].read_bytes())
    try:
        ran = run("scan", "memory://in/a.toy")
        assert ran.out.splitlines()[0].endswith("-> a.refs.json")
    finally:
        memory.rm("/in", recursive=True)


def test_every_command_that_writes_sums_up_in_a_line(run, files, monkeypatch):
    # What was given, how much there is, and where it went; one record of the same with --json.
    run("scan", files["b"], "-o", "b.json")
    run("scan", files["a"], "-o", "cube.json")
    writes = {
        "scan": (files["a"], "-o", "s.json"),
        "combine": ("cube.json", "b.json", "-o", "c.json"),
        "append": ("cube.json", files["a"]),
        "convert": ("cube.json", "v.json"),
        "edit": ("cube.json", "e.json", "--drop", "x"),
        "materialize": ("cube.json", "m.zarr"),
        "catalog": ("add", "k.yaml", "cube.json"),
        "report": ("cube.json", "-o", "r.html", "--no-looks"),
    }
    for verb, arguments in writes.items():
        line, *rest = run(verb, *arguments).out.splitlines()
        assert " -> " in line, verb
        assert all(text.startswith("read by: ") for text in rest), verb
        again = ("--overwrite",) if verb in ("scan", "combine", "convert", "edit") else ()
        again = ("--name", "other") if verb == "catalog" else again
        given = ["cube.json", "again.zarr"] if verb == "materialize" else arguments
        (record,) = run(verb, *given, *again, "--json").records
        assert record["status"] == "ok", verb
        assert record["output"], verb
        assert record.keys() & {"input", "inputs"}, verb


def test_checking_a_catalog_sums_up(run, files):
    run("scan", files["a"], "-o", "a.json")
    run("catalog", "add", "k.yaml", "a.json")
    ran = run("catalog", "check", "k.yaml")
    assert ran.err.splitlines()[-1] == "1 entry: 1 ok"
    files["a"].unlink()
    ran = run("catalog", "check", "k.yaml", code=1)
    assert ran.err.splitlines()[-1] == "1 entry: 0 ok, 1 failed"
    assert run("catalog", "check", "k.yaml", "--json", code=1).summary == {
        "entries": 1, "ok": 0, "failed": 1,
    }  # fmt: skip

"""Whatever goes wrong for a newcomer gives one clear line, and says what to do."""

from __future__ import annotations

import base64
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest
from click.testing import CliRunner

import refmaker
from refmaker.cli import main
from refmaker.errors import MetadataError
from refmaker.testing.http import RangeServer

BLOCKED = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocked())
from refmaker.cli import main
main({arguments!r})
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Make a folder with files that are right, wrong and cut off."""
    monkeypatch.chdir(tmp_path)
    with h5py.File("good.h5", "w") as file:
        file["x"] = np.arange(4000.0)
    with netCDF4.Dataset("classic.nc", "w", format="NETCDF3_CLASSIC") as file:
        file.createDimension("x", 5000)
        file.createVariable("v", "f8", ("x",))[:] = 1
    Path("cut.h5").write_bytes(Path("good.h5").read_bytes()[:3000])
    Path("cut.nc").write_bytes(Path("classic.nc").read_bytes()[:30])
    Path("notes.txt").write_text("hello\n")
    Path("empty.h5").write_bytes(b"")
    Path("packed.h5.gz").write_bytes(gzip.compress(Path("good.h5").read_bytes()))
    Path("page.nc").write_bytes(b"<!DOCTYPE html><html>Please log in</html>")
    Path("nothing").mkdir()
    part("a.nc", 0)
    part("b.nc", 3)
    part("late.nc", 4)
    part("wide.nc", 6, x=7)
    part("gone.nc", 0, x=5000)
    for name, source in (("set", "a.nc"), ("moved", "gone.nc")):
        refmaker.scan(source).write(f"{name}.json")
    Path("gone.nc").rename("there.nc")
    return tmp_path


def part(name, start, x=5):
    """Write three steps of a variable, as archives have them."""
    with h5py.File(name, "w") as file:
        for axis, values in (("time", start + np.arange(3.0)), ("x", np.arange(float(x)))):
            file[axis] = values
            file[axis].make_scale(axis)
        file["time"].attrs["units"] = "hours since 2000-01-01"
        data = file.create_dataset("v", data=start + np.arange(3 * x).reshape(3, x), chunks=(1, x))
        for place, axis in enumerate(("time", "x")):
            data.dims[place].attach_scale(file[axis])


CASES = {
    "a wrong path": (["scan", "god.h5"], "god.h5: no such file (check the path"),
    "a glob that fits nothing": (["scan", "*.tiff"], "*.tiff: no file fits"),
    "an empty folder": (["scan", "nothing", "-o", "o.json"], "without files"),
    "not a known format": (["scan", "notes.txt"], "known formats: "),
    "an empty file": (["scan", "empty.h5"], "the file is empty"),
    "a compressed file": (["scan", "packed.h5.gz"], "not a format that is known here"),
    "a login page in place of a file": (["scan", "page.nc"], "not a format that is known here"),
    "a truncated download": (["scan", "cut.h5"], "truncated"),
    "a truncated classic file": (["scan", "cut.nc"], "incomplete or damaged"),
    "a folder that is not there": (["scan", "good.h5", "-o", "no/o.json"], "create the folder"),
    "an output that is a data file": (["scan", "good.h5", "-o", "good.h5"], "good.h5"),
    "a verb with a typo": (["scna", "good.h5"], "Did you mean 'scan'?"),
    "an option with a typo": (["scan", "--chunk", "1M", "good.h5"], "--chunk-bytes"),
    "a size that is none": (["scan", "--chunk-bytes", "big", "good.h5"], "4096, 64k, 1MiB or 4MB"),
    "verifying a data file": (["verify", "good.h5"], "refmaker scan"),
    "a catalog that is none": (["catalog", "list", "notes.txt"], "not a catalog of intake"),
    "an unknown format's name": (["scan", "good.h5", "-f", "hdf"], "known: "),
    "nobody at the other end": (["scan", "http://127.0.0.1:9/x.nc"], "127.0.0.1:9"),
    "a protocol that is none": (["scan", "htp://host/x.nc"], "htp"),
    "combining data files": (["combine", "a.nc", "b.nc", "-o", "c.json"], "refmaker scan a.nc"),
    "two files to one set": (["scan", "a.nc", "b.nc", "-o", "c.json"], "--concat"),
    "a dimension with a typo": (
        ["scan", "a.nc", "b.nc", "--concat", "tiem", "-o", "c.json"], "no input has such a dim"
    ),
    "steps that overlap": (
        ["scan", "b.nc", "late.nc", "--concat", "time", "-o", "c.json"], "--duplicates first"
    ),
    "grids that differ": (
        ["scan", "a.nc", "wide.nc", "--concat", "time", "-o", "c.json"], "inputs cannot be combined"
    ),
    "appending to a data file": (["append", "a.nc", "b.nc"], "scan it first"),
    "converting a data file": (["convert", "a.nc", "a.parquet"], "scan it first"),
    "a page of a data file": (["report", "a.nc", "-o", "r.html"], "scan it first"),
    "a set that is not there": (["info", "nothing.json"], "nothing.json: no such file"),
    "nothing to scan": (["scan"], "Missing argument 'INPUT...'"),
    "an output that is not named": (["scan", "a.nc", "-o"], "requires an argument"),
    "an option for storage that is half": (["scan", "a.nc", "-S", "anon"], "key=value"),
    "a list that is not there": (["scan", "@list.txt", "-o", "out/"], "list.txt: no such file"),
    "a form that is none": (["convert", "a.nc", "a", "--out-format", "parqet"], "'parquet'"),
    "a reader that is none": (["scan", "a.nc", "--for", "gdl", "-o", "c.json"], "'gdal'"),
    "a number out of range": (["verify", "a.nc", "--sample", "0"], "x>=1"),
    "a form of messages that is none": (["info", "a.nc", "--log-format", "xml"], "'json'"),
    "an output among the inputs": (["scan", "a.nc", "out.json"], "to write to it: -o out.json"),
    "an option before the verb": (["-q", "scan", "a.nc"], "refmaker scan -q"),
    "braces in quotes": (["scan", "{a,b}.nc", "-o", "out/"], "leave out the quotes"),
    "a set named as a Zarr store": (
        ["scan", "a.nc", "-o", "a.zarr"], "refmaker materialize a.json a.zarr"
    ),
    "a set named as a data file": (["scan", "a.nc", "-o", "copy.nc"], "name the set copy.json"),
    "converting to a Zarr store": (
        ["convert", "set.json", "set.zarr"], "refmaker materialize set.json set.zarr"
    ),
    "a set behind the catalog": (
        ["catalog", "add", "set.json", "catalog.yaml"], "refmaker catalog add catalog.yaml set.json"
    ),
    "a data file in a catalog": (["catalog", "add", "catalog.yaml", "a.nc"], "scan it first"),
    "a set whose file has moved": (["verify", "moved.json"], "--rewrite OLD=NEW"),
    "a place with a dash": (
        ["edit", "set.json", "part.json", "--isel", "time=0-2"], "START:STOP"
    ),
    "a variable with a typo": (
        ["edit", "set.json", "part.json", "--select", "w"], "there are time, v, x"
    ),
    "a date that is not in the name": (
        ["scan", "a.nc", "a.nc", "--coord", "day={day:%Y}.nc", "-o", "c.json"], "day=index"
    ),
    "an option of another verb": (["scan", "a.nc", "--chunks", "time=1"], "--combine or --concat"),
    "one name for two sets": (["scan", "a.nc", "a.nc", "-o", "o/"], "--name-template"),
    "reading with no extension": (["info", "set"], "set: no such file (check the path"),
}  # fmt: skip


def run(arguments):
    ran = CliRunner().invoke(main, arguments, prog_name="refmaker")
    code = ran.exit_code
    return subprocess.CompletedProcess(arguments, code, ran.stdout, ran.stderr)


def check_told(ran, words):
    assert ran.returncode in (1, 2), ran
    assert "Traceback" not in ran.stderr
    told = [line for line in ran.stderr.splitlines() if line.lower().startswith("error: ")]
    assert len(told) == 1, ran.stderr
    assert words in told[0]


@pytest.mark.parametrize("case", CASES)
def test_one_clear_line(folder, case):
    arguments, words = CASES[case]
    before = {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    check_told(run(arguments), words)
    after = {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    assert after == before


def test_an_output_that_is_there(folder):
    assert run(["scan", "good.h5", "-o", "o.json"]).returncode == 0
    written = Path("o.json").read_bytes()
    check_told(run(["scan", "good.h5", "-o", "o.json"]), "--overwrite")
    assert Path("o.json").read_bytes() == written


def test_joined_coordinates_are_compared(folder):
    # Values that stand in the set itself are read again from the files.
    part("p.nc", 0, x=300)
    part("q.nc", 3, x=300)
    assert run(["scan", "p.nc", "q.nc", "--concat", "time", "-o", "ab.json"]).returncode == 0
    document = json.loads(Path("ab.json").read_text())
    refs = document["refs"]
    (key,) = (key for key in refs if key.startswith("time/0"))
    length = len(np.arange(6.0).tobytes())
    metadata = json.loads(refs["time/.zarray"])
    metadata |= {"filters": None, "compressor": None, "chunks": [6]}
    refs["time/.zarray"] = json.dumps(metadata)
    whole = json.loads(refs[".zmetadata"])
    whole["metadata"]["time/.zarray"] = metadata
    refs[".zmetadata"] = json.dumps(whole)
    wrong = base64.b64encode(np.full(6, 12345.0).tobytes()).decode()
    assert len(base64.b64decode(wrong)) == length
    refs[key] = f"base64:{wrong}"
    Path("wrong.json").write_text(json.dumps(document))
    ran = run(["verify", "--all", "wrong.json"])
    assert ran.returncode == 1
    assert "DIFFERENT     time" in ran.stdout
    assert "scan the files again" in ran.stderr


def test_what_other_readers_need_is_said_and_done(folder):
    part("p.nc", 0, x=300)
    ran = run(["scan", "p.nc", "-o", "p.json"])
    assert "GDAL (templates)" in ran.stdout
    ran = run(["scan", "p.nc", "-o", "plain.json", "--for", "gdal"])
    assert "GDAL" in ran.stdout.partition("not by")[0]
    assert "templates" not in json.loads(Path("plain.json").read_text())


def test_a_tree_is_not_opened_as_an_empty_dataset(folder):
    with h5py.File("tree.h5", "w") as file:
        file["one/x"] = file["two/x"] = np.arange(3.0)
    assert run(["scan", "tree.h5", "-o", "tree.json"]).returncode == 0
    with pytest.raises(MetadataError, match="choose one, such as `group='one'`"):
        refmaker.open_dataset("tree.json")
    ran = run(["catalog", "stac", "tree.json", "--times", "2024-01-01"])
    assert ran.returncode == 1
    assert "--group /one" in ran.stderr
    assert run(["catalog", "stac", "tree.json", "--times", "2024-01-01", "--group", "/one"]
               ).returncode == 0  # fmt: skip


def test_times_of_each_files_own_are_written_in_one_unit(folder):
    part("later.nc", 0)
    with h5py.File("later.nc", "r+") as file:
        file["time"].attrs["units"] = "hours since 2000-01-02"
    joined = ["scan", "a.nc", "later.nc", "--concat", "time", "-o", "t.json"]
    ran = run(joined)
    assert ran.returncode == 0
    assert "(--times keep refuses)" in ran.stderr
    check_told(run([*joined, "--overwrite", "--times", "keep"]), "--times reencode")


def test_a_data_file_is_opened_as_a_set_of_it(folder):
    assert refmaker.open_dataset("a.nc")["v"].shape == (3, 5)


REMEDIES = {
    "two files to one set": ["scan", "a.nc", "b.nc", "-o", "c.json", "--concat", "time"],
    "combining data files": ["scan", "a.nc", "-o", "refs.json"],
    "steps that overlap": [*CASES["steps that overlap"][0], "--duplicates", "first"],
    "grids that differ": [*CASES["grids that differ"][0], "--join", "outer", "--fill", "v=-1"],
    "a folder that is not there": ["scan", "good.h5", "-o", "made/"],
    "a size that is none": ["scan", "--chunk-bytes", "1MiB", "good.h5", "-o", "o.json"],
    "verifying a data file": ["scan", "good.h5", "-o", "refs.json"],
    "an output among the inputs": ["scan", "a.nc", "-o", "out.json"],
    "an option before the verb": ["scan", "-q", "a.nc"],
    "braces in quotes": ["scan", "a.nc", "b.nc", "-o", "out/"],
    "a set named as a Zarr store": ["scan", "a.nc", "-o", "a.json"],
    "a set named as a data file": ["scan", "a.nc", "-o", "copy.json"],
    "converting to a Zarr store": ["materialize", "set.json", "set.zarr"],
    "a set behind the catalog": ["catalog", "add", "catalog.yaml", "set.json"],
    "a set whose file has moved": [
        "convert", "moved.json", "new.json", "--rewrite", "{here}/gone.nc={here}/there.nc",
    ],
    "a place with a dash": ["edit", "set.json", "part.json", "--isel", "time=0:2"],
    "a variable with a typo": ["edit", "set.json", "part.json", "--select", "v"],
    "a date that is not in the name": [
        "scan", "a.nc", "a.nc", "--coord", "day=index", "-o", "c.json",
    ],
    "an option of another verb": [
        "scan", "a.nc", "--chunks", "time=1", "--concat", "time", "-o", "c.json",
    ],
    "one name for two sets": [
        "scan", "a.nc", "a.nc", "-o", "o/", "--name-template", "{n}-{stem}.refs.json",
    ],
}  # fmt: skip
"""What an error advises, as it is typed then."""


@pytest.mark.parametrize("case", REMEDIES)
def test_what_is_advised_works(folder, case):
    # Files that lie on one grid and have other columns are joined to the union.
    ran = run([word.replace("{here}", str(folder)) for word in REMEDIES[case]])
    assert ran.returncode == 0, ran.stderr


def test_a_set_that_followed_its_file_reads(folder):
    assert run(["verify", "moved.json"]).returncode == 1
    run([word.replace("{here}", str(folder)) for word in REMEDIES["a set whose file has moved"]])
    assert run(["verify", "new.json"]).returncode == 0
    with pytest.raises(refmaker.errors.MissingTargetError, match="--rewrite OLD=NEW"):
        refmaker.open_dataset("moved.json").v.load()


def test_there_are_thirty_and_more():
    assert len(CASES) >= 50
    assert CASES.keys() >= REMEDIES.keys()


@pytest.mark.parametrize(
    ("missing", "arguments", "words"),
    [
        ({"s3fs"}, ["scan", "s3://bucket/x.nc"], "pip install 'refmaker[s3]'"),
        ({"aiohttp"}, ["scan", "https://host/x.nc"], "pip install 'refmaker[http]'"),
        ({"gcsfs"}, ["scan", "gs://bucket/x.nc"], "pip install 'refmaker[gcs]'"),
        ({"pyarrow"}, ["scan", "good.h5", "-o", "o.parquet"], "refmaker[parquet]"),
        ({"icechunk"}, ["scan", "good.h5", "-o", "o.icechunk"], "refmaker[icechunk]"),
        ({"matplotlib"}, ["report", "good.json"], "refmaker[report]"),
        ({"uvicorn"}, ["serve", "good.json", "--port", "0"], "refmaker[serve]"),
        ({"ruamel"}, ["catalog", "add", "c.yaml", "good.json"], "refmaker[catalog]"),
        ({"netCDF4"}, ["verify", "classic.json"], "refmaker[netcdf3]"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(folder, missing, arguments, words):
    run(["scan", "good.h5", "-o", "good.json"])
    run(["scan", "classic.nc", "-o", "classic.json"])
    program = BLOCKED.format(names=missing, arguments=arguments)
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    check_told(ran, words)


@pytest.mark.parametrize(
    ("behaviour", "words"), [({"status": 403}, "403"), ({"status": 404}, "no such file")]
)
def test_a_private_and_a_missing_remote_file(folder, behaviour, words):
    with RangeServer(folder, **behaviour) as server:
        check_told(run(["scan", server.url("good.h5"), "-o", "o.json"]), words)


def test_shell_completion(folder):
    for shell in ("bash", "zsh", "fish"):
        environment = {**os.environ, "_REFMAKER_COMPLETE": f"{shell}_source"}
        command = [
            sys.executable,
            "-c",
            "from refmaker.cli import main; main(prog_name='refmaker')",
        ]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if shell == "bash" and ran.returncode:
            assert "not supported" in ran.stderr + ran.stdout
        else:
            assert "_refmaker_completion" in ran.stdout
    environment = {
        **os.environ,
        "_REFMAKER_COMPLETE": "bash_complete",
        "COMP_WORDS": "refmaker ma",
        "COMP_CWORD": "1",
    }
    command = [sys.executable, "-c", "from refmaker.cli import main; main(prog_name='refmaker')"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert "materialize" in ran.stdout

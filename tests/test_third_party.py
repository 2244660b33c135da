"""A package of somebody else: a scanner, its declaration and its codec, installed as usual."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import refmaker
from refmaker.errors import RefmakerError

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "scanner"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Install the example into a folder of its own, with pip."""
    folder = tmp_path_factory.mktemp("third-party")
    source = shutil.copytree(EXAMPLE, folder / "source")
    command = ["pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run(
        [sys.executable, "-m", *command, "--target", str(folder / "site"), str(source)],
        capture_output=True,
        check=True,
    )
    return folder / "site"


@pytest.fixture
def python(site, tmp_path):
    """Return a function that runs Python where the package is installed, in an empty folder."""

    def run(*arguments, code=0):
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture
def command(python):
    return lambda *arguments, code=0: python("-m", "refmaker", *arguments, code=code)


VALUES = np.random.default_rng(3).integers(0, 2**16, (50, 7)).astype("u2")


@pytest.fixture
def files(python, tmp_path):
    """Write three stripe files with the format's own library."""
    np.save(tmp_path / "values.npy", VALUES)
    python(
        "-c",
        "import numpy as np, pathlib\n"
        "from refmaker_stripes.library import write\n"
        "values = np.load('values.npy')\n"
        "for name in 'abc':\n"
        "    write(pathlib.Path(f'{name}.stripes'), values, 8, differences=True)\n",
    )
    return ["a.stripes", "b.stripes", "c.stripes"]


def test_the_contract_holds(python):
    python("-m", "pytest", "-q", "-p", "no:cacheprovider", EXAMPLE / "tests")


def test_it_is_listed_with_its_codec(command):
    records = [json.loads(line) for line in command("formats", "--json").splitlines()]
    assert {"kind": "format", "name": "stripes", "suffixes": [".stripes"]} in records
    codec = next(one for one in records if one["name"] == "refmaker_stripes.differences")
    assert (codec["package"], codec["installed"]) == ("refmaker-stripes", "1.0")


def test_scan_info_verify_and_open(command, python, files):
    command("scan", files[0], "-o", "a.json", "--isolate", "always", "--stripe-axes", "lat-lon")
    told = json.loads(command("info", "a.json", "--json"))
    assert told["format"] == "stripes"
    assert told["packages"] == ["refmaker-stripes"]
    assert told["arrays"][0]["dimensions"] == ["lat", "lon"]
    told = command("verify", "a.json", "--all", "--json", "-j", "2", "--no-sources")
    assert json.loads(told.splitlines()[0])["equal"] == 7
    python(
        "-c",
        "import numpy as np, refmaker\n"
        "values = np.load('values.npy')\n"
        "for how in ('a.json', refmaker.scan('a.stripes')):\n"
        "    assert (refmaker.open_dataset(how).image.values == values).all()\n"
        "assert refmaker.open_group('a.json')['image'].metadata.compressor is not None\n",
    )


def test_many_files_in_worker_processes(command, files, tmp_path):
    command("scan", *files, "-o", "refs/", "-j", "2")
    assert sorted(path.name for path in (tmp_path / "refs").iterdir()) == [
        f"{name}.refs.json" for name in ("a", "b", "c")
    ]
    command("verify", "refs/b.refs.json", "--all")


def test_a_copy_and_stock_readers_find_the_codec(command, python, files):
    command("scan", files[0], "-o", "a.json")
    command("materialize", "a.json", "copy.zarr")
    python(
        "-c",
        "import fsspec, numpy as np, zarr\n"
        "values = np.load('values.npy')\n"
        "assert (zarr.open_group('copy.zarr', mode='r')['image'][:] == values).all()\n"
        "stock = fsspec.filesystem('reference', fo='a.json', asynchronous=True)\n"
        "store = zarr.storage.FsspecStore(stock, read_only=True)\n"
        "assert (zarr.open_group(store, mode='r', zarr_format=2)['image'][:] == values).all()\n",
    )


def test_the_declaration_is_light(python, files):
    found = python(
        "-c",
        "import sys\n"
        "from refmaker.cli import main\n"
        "try:\n"
        "    main(['scan', '--help-all'])\n"
        "except SystemExit:\n"
        "    pass\n"
        "print('loaded', *sys.modules)\n",
    )
    shown, _, modules = found.rpartition("loaded ")
    assert "--stripe-axes" in shown
    assert "refmaker_stripes.declared" in modules.split()
    assert not {"refmaker_stripes.scanner", "numpy"} & set(modules.split())


def test_where_it_is_not_installed_the_codec_is_named(command, files, tmp_path):
    command("scan", files[0], "-o", "a.json")
    refs = refmaker.read(tmp_path / "a.json")
    assert refmaker.describe(refs)["packages"] == ["refmaker_stripes"]
    with pytest.raises(RefmakerError, match=r"refmaker_stripes\.differences"):
        refmaker.open_group(tmp_path / "a.json")

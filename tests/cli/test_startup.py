"""What a command loads, and what that costs beside loading Python and numpy alone."""

from __future__ import annotations

import importlib.util
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import json, os, sys
from refmaker.cli import main
code = 0
try:
    main(json.loads(sys.argv[1]), prog_name="refmaker")
except SystemExit as done:
    code = done.code
assert not code, code
print("\\nloaded", *sys.modules)
print("threads", os.environ["OPENBLAS_NUM_THREADS"])
"""
NEVER = {
    *("ssl", "socket", "urllib.request", "http.client", "email", "email.message", "xml.sax"),
    *("importlib.metadata", "multiprocessing", "concurrent.futures", "asyncio", "lzma", "numpy.ma"),
    *("numcodecs", "imagecodecs", "fsspec", "zarr", "xarray", "tifffile", "pydicom", "netCDF4"),
    *("rich", "pyarrow", "refmaker.templates", "refmaker.publish.html_report.page"),
    *("ipaddress", "urllib.parse", "refmaker.io.policy", "refmaker.io.hosts"),
    *("refmaker.scanners.hdf5.scan_reuse", "refmaker.scanners.hdf5.structure"),
}
"""What no scan of a small local file needs."""
FORMATS = {"dicom": "dicom", "netcdf3": "netcdf3", "netcdf4": "hdf5", "tiff": "tiff"}


def loaded(*arguments, **environment):
    """Return the modules that a command has loaded when it ends, and what else it says."""
    env = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(list(map(str, arguments)))],
        capture_output=True,
        text=True,
        check=True,
        env=env | environment,
    ).stdout
    modules, threads = ran.rpartition("\nloaded ")[2].split("\nthreads ")
    return set(modules.split()), threads.strip()


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Write a small file of each format, those of the benchmark."""
    path = Path(__file__).parents[2] / "benchmarks" / "startup.py"
    spec = importlib.util.spec_from_file_location("benchmark_startup", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.inputs(tmp_path_factory.mktemp("small"))


@pytest.mark.parametrize("case", ["tiff", "dicom", "netcdf3", "netcdf4"])
def test_a_scan_loads_what_it_needs(small, tmp_path, case):
    out, name = tmp_path / "out.json", FORMATS[case]
    found, threads = loaded("scan", small[case], "-o", out, "--isolate", "never")
    assert json.loads(out.read_text())["refmaker"]["format"] == name
    assert f"refmaker.scanners.{name}.scanner" in found
    assert not NEVER & (found - _site())
    assert ("h5py" in found) == (name == "hdf5")
    others = {
        module
        for module in found
        for other in {*FORMATS.values(), "grib"} - {name}
        if module.startswith(f"refmaker.scanners.{other}.") and not module.endswith(".declared")
    }
    assert not others
    assert threads == "1"


def test_threads_that_were_asked_for_stay(small, tmp_path):
    _, threads = loaded("scan", small["tiff"], "-o", tmp_path / "o", OPENBLAS_NUM_THREADS="2")
    assert threads == "2"


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["scan", "--help"], ["scan", "--help-all"], ["combine", "--help"]],
    ids=" ".join,
)
def test_help_loads_no_numpy_and_no_scanner(arguments):
    found, _ = loaded(*arguments)
    assert "click" in found
    assert not {"numpy", "h5py", "importlib.metadata"} & (found - _site())
    assert not [
        name for name in found if name.startswith("refmaker.") and name.endswith(".scanner")
    ]
    if arguments == ["--help"]:
        assert not [name for name in found if name.startswith("refmaker.cli.scan")]


WATCHED = """
import os, sys
fork = os.fork
def watched():
    print("forked", "numpy" in sys.modules, len(os.listdir("/proc/self/task")), file=sys.stderr)
    return fork()
os.fork = watched
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no process is forked")
@pytest.mark.parametrize("inputs", [["netcdf4"], ["dicom", "dicom"]], ids=["one", "collection"])
def test_what_both_processes_need_is_loaded_before_the_fork(small, tmp_path, inputs):
    files = [shutil.copy(small[name], tmp_path / f"{i}_{name}") for i, name in enumerate(inputs)]
    out = tmp_path / "out.json"
    arguments = json.dumps(["scan", *map(str, files), "-o", str(out)])
    ran = subprocess.run(
        [sys.executable, "-c", WATCHED + PROGRAM, arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line for line in ran.stderr.splitlines() if line.startswith("forked")] == [
        "forked True 1"
    ]
    assert out.exists()


def test_a_command_seldom_looks_for_rubbish():
    program = "import gc; import refmaker; print(gc.get_threshold()[0]); import refmaker.cli; "
    program += "print(gc.get_threshold()[0])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    library, command = map(int, done.stdout.split())
    assert library < 10_000 < command


def _site():
    """Return what Python has loaded before anything runs; an editable install loads much."""
    done = subprocess.run(
        [sys.executable, "-c", "import sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def _cost(*arguments):
    """Return the CPU seconds of a Python process, the least of three."""
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(seconds)


def test_help_costs_little_more_than_click():
    # Two thirds of the bound when this was written.
    assert _cost("-m", "refmaker", "--help") < 3 * _cost("-c", "import click, logging") + 0.02


def test_one_file_costs_a_small_multiple_of_numpy(small, tmp_path):
    arguments = ("scan", str(small["tiff"]), "-q", "--overwrite", "-o", str(tmp_path / "o.json"))
    _cost("-m", "refmaker", *arguments)  # writes bytecode
    assert _cost("-m", "refmaker", *arguments) < 4 * _cost("-c", "import numpy")

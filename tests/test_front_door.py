"""What ``import refmaker`` gives, and what it costs."""

from __future__ import annotations

import importlib
import inspect
import logging
import os
import pickle
import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import refmaker

ROOT = Path(__file__).parent.parent
HEAVY = {"numpy", "h5py", "zarr", "xarray", "fsspec", "numcodecs", "click", "ujson", "asyncio"}


def python(program):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=env
    ).stdout.strip()


def test_importing_loads_nothing_heavy():
    loaded = set(python("import refmaker, sys; print(*sys.modules)").split())
    assert "refmaker.errors" in loaded
    assert not HEAVY & loaded
    # Each name is imported when it is asked for.
    assert loaded & {name for name in loaded if name.startswith("refmaker.")} <= {
        "refmaker._moved",
        "refmaker._version",
        "refmaker.errors",
    }


def test_everything_named_is_there_and_nothing_else():
    assert refmaker.__all__ == sorted(refmaker.__all__)
    modules = {module.name for module in pkgutil.iter_modules(refmaker.__path__)}
    visible = {
        name
        for name in dir(refmaker)
        for value in [getattr(refmaker, name)]
        if (not name.startswith("_") or name == "__version__")
        and not (inspect.ismodule(value) and name in modules - {"errors"})
        and getattr(value, "__module__", "refmaker").startswith("refmaker")
        and name not in ("annotations", "logging", "sys", "TYPE_CHECKING")
    }
    assert visible == set(refmaker.__all__)


@pytest.mark.parametrize("name", refmaker.__all__)
def test_everything_public_is_documented(name):
    thing = getattr(refmaker, name)
    if name == "__version__":
        return
    assert inspect.getdoc(thing)
    if inspect.isfunction(thing):
        for parameter in inspect.signature(thing).parameters:
            assert parameter in inspect.getdoc(thing), parameter
        given = {"Returns\n-------", "Yields\n------"}
        nothing = inspect.signature(thing).return_annotation == "None"
        documented = any(words in inspect.getdoc(thing) for words in given)
        assert documented or nothing


def test_the_version_is_the_packages():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert refmaker.__version__ == project["version"]


def test_the_package_can_be_pickled():
    """Functions that use it travel to other processes with their globals."""
    assert pickle.loads(pickle.dumps(refmaker)) is refmaker


@pytest.mark.parametrize(
    "order",
    [
        "import refmaker; import refmaker.scanning.one_file; import refmaker.verification.verify",
        "from refmaker.scanning.one_file import ScanOptions; import refmaker",
        "import importlib; importlib.import_module('refmaker.scanning.one_file'); import refmaker",
        "import refmaker; from refmaker import scan; from refmaker.scanning.one_file import Worker",
        "import pickle, refmaker; pickle.loads(pickle.dumps(refmaker.ScanOptions))",
    ],
)
def test_functions_are_never_replaced_by_modules(order):
    program = f"{order}; print(callable(refmaker.scan), callable(refmaker.verify))"
    assert python(program) == "True True"


def test_the_library_is_silent_unless_asked():
    handlers = logging.getLogger("refmaker").handlers
    assert any(isinstance(handler, logging.NullHandler) for handler in handlers)


@pytest.fixture
def file(toy, tmp_path):
    return toy.write_toy(tmp_path / "a.toy", {"x": np.arange(3.0), "y": np.arange(5)})


def test_scan_write_read(file, tmp_path):
    refs = refmaker.scan(file)
    assert isinstance(refs, refmaker.ReferenceSet)
    assert refs.report.lossless
    refmaker.write(refs, tmp_path / "one.json")
    refs.write(str(tmp_path / "two.json"))
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    again = refmaker.read(tmp_path / "one.json")
    assert list(again.group.members) == ["x", "y"]
    assert again.report.format == "toy"
    assert again.report.sources == refs.report.sources


def test_options_as_fields(file):
    inlined = refmaker.scan(file)
    assert inlined.group["x"].chunks.inlined
    assert not refmaker.scan(file, inline_threshold=0).group["x"].chunks.inlined
    options = refmaker.ScanOptions(inline_threshold=0, chunk_bytes=None)
    assert not refmaker.scan(file, options=options).group["x"].chunks.inlined
    assert refmaker.scan(file, options=options, inline_threshold=99).group["x"].chunks.inlined
    with pytest.raises(TypeError, match="inline_treshold"):
        refmaker.scan(file, inline_treshold=0)


@pytest.mark.parametrize(
    "wrong", [{"isolate": "perhaps"}, {"isolate": "never", "timeout": 1.0}], ids=str
)
def test_wrong_isolation_is_refused(file, wrong):
    with pytest.raises(ValueError, match="isolate"):
        refmaker.scan(file, **wrong)


def test_a_time_limit_takes_a_process(file, monkeypatch):
    module, given = importlib.import_module("refmaker.scanning.one_file"), []
    monkeypatch.setattr(module, "scan", lambda *_, **kwargs: given.append(kwargs) or (1, 2))
    refmaker.scan(file, timeout=5.0)
    refmaker.scan(file)
    assert [kwargs["isolate"] for kwargs in given] == ["always", "auto"]


def test_odd_files_are_scanned_apart(toy, tmp_path, monkeypatch):
    worked = []
    module = importlib.import_module("refmaker.scanning.one_file")
    inner = module.Worker.run
    monkeypatch.setattr(
        module.Worker, "run", lambda *args, **kw: worked.append(1) or inner(*args, **kw)
    )
    plain = toy.write_toy(tmp_path / "plain.toy", {"x": np.arange(3)})
    odd = toy.write_toy(tmp_path / "odd.toy", {"odd": np.arange(3)})
    assert refmaker.scan(plain).report.lossless
    assert not worked
    assert refmaker.scan(odd).report.lossless
    assert worked


def test_formats(file):
    assert "toy" in refmaker.formats()
    assert refmaker.formats() == sorted(refmaker.formats())


def test_errors_are_what_callers_catch_already(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        refmaker.scan(tmp_path / "absent")
    assert isinstance(caught.value, refmaker.RefmakerError)
    assert issubclass(refmaker.errors.UnknownFormatError, ValueError)


def test_functions_are_not_hidden_by_modules_of_their_names():
    """Commands have twins here, and some of these are called as a module is."""
    program = (
        "import refmaker, refmaker.report, refmaker.scan, refmaker.verify, refmaker.materialize\n"
        "import refmaker.publish.serve, refmaker.combine\n"
        "names = 'report scan verify materialize serve combine'.split()\n"
        "assert all(callable(getattr(refmaker, name)) for name in names)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)

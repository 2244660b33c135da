"""Formats are known by what they declare; scanners are loaded when they scan."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest

from refmaker.errors import MetadataError, MissingDependencyError, UnknownFormatError
from refmaker.scanning.options import ScanOptions
from refmaker.scanning.protocol import (
    Setting,
    all_settings,
    choose,
    declarations,
    load,
    scanners,
    setting_values,
)

MODULE = """
from refmaker.scanning.declaration import FormatDeclaration, Setting

def sniff(head, url):
    if head.startswith(b"RAISE"):
        raise RuntimeError("no such thing")
    return 0.7 if head.startswith((b"OTHER", b"CDF")) else 0.0

FORMAT = FormatDeclaration("other", (".nc", ".other"), sniff, (Setting("pace", "slow", "How."),))
"""
SCANNER = """
import other_declared
{broken}

class Other:
    name, suffixes = "other", (".nc", ".other")
    settings = other_declared.FORMAT.settings

    def sniff(self, head, url):
        return other_declared.sniff(head, url)

    def scan(self, source, options): ...

    def native(self, source): ...
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that installs a package with a scanner, and a declaration or none."""

    def install(*, declared=True, broken=""):
        (tmp_path / "other_declared.py").write_text(MODULE)
        (tmp_path / "other_scanner.py").write_text(SCANNER.format(broken=broken))
        info = tmp_path / "other-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1\n")
        text = "[refmaker.scanners]\nother = other_scanner:Other\n"
        text += "[refmaker.formats]\nother = other_declared:FORMAT\n" if declared else ""
        (info / "entry_points.txt").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)

    yield install
    for name in ("other_declared", "other_scanner"):
        sys.modules.pop(name, None)


def test_declared_formats_need_no_scanner(install):
    install()
    assert declarations()["other"].suffixes == (".nc", ".other")
    assert all_settings()["pace"][1] == ("other",)
    assert choose(b"CDF\1", "a.nc").name == "netcdf3"
    assert "other_scanner" not in sys.modules
    assert choose(b"OTHER", "a").name == "other"
    assert "other_scanner" in sys.modules
    assert load("other") is choose(b"", "", "other")
    assert type(scanners()["other"]).__name__ == "Other"


def test_without_a_declaration_the_scanner_says_the_same(install):
    install(declared=False)
    assert declarations()["other"].suffixes == (".nc", ".other")
    assert all_settings()["pace"][0].default == "slow"
    assert choose(b"OTHER", "a").name == "other"


@pytest.mark.parametrize("declared", [True, False])
def test_the_surest_is_taken_whoever_it_belongs_to(install, declared):
    install(declared=declared)
    # 1.0 of netCDF beats the 0.7 of another package, whatever the ending.
    assert choose(b"CDF\1" + bytes(60), "a.other").name == "netcdf3"
    assert choose(b"CDF\7" + bytes(60), "a.nc").name == "other"


def test_a_sniff_that_raises_costs_its_own_format(install, caplog):
    install()
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(UnknownFormatError, match="not a format that is known"),
    ):
        choose(b"RAISE", "x")
    assert "no such thing" in caplog.text
    assert "x" in caplog.text


@pytest.mark.parametrize("broken", ["import a_module_that_is_nowhere", "raise RuntimeError('x')"])
def test_a_scanner_that_cannot_be_loaded(install, broken, caplog):
    install(broken=broken)
    assert choose(b"CDF\1", "a.nc").name == "netcdf3"
    assert "other" in declarations()
    with pytest.raises(MissingDependencyError, match="the scanner other of the package other"):
        choose(b"OTHER", "a")
    with caplog.at_level(logging.WARNING):
        assert "other" not in scanners()
    assert "the scanner other" in caplog.text


def test_without_a_declaration_it_is_left_out(install, caplog):
    install(declared=False, broken="raise RuntimeError('x')")
    with caplog.at_level(logging.WARNING):
        assert "other" not in declarations()
    assert "other cannot be loaded" in caplog.text


def test_names_that_are_none():
    with pytest.raises(UnknownFormatError, match="no scanner named 'nothing'"):
        load("nothing")


class TestFormerSettings:
    @pytest.mark.parametrize(
        ("given", "name", "value"),
        [("trust-stride", "infer-ifds", "yes"), ("missing-siblings", "missing-files", "fill")],
    )
    def test_are_understood(self, given, name, value):
        values = setting_values(load("tiff"), ScanOptions(settings={given: value}))
        assert values[name] == value
        assert given not in values

    def test_their_values_are_checked(self):
        with pytest.raises(MetadataError, match="infer-ifds"):
            setting_values(load("tiff"), ScanOptions(settings={"trust-stride": "perhaps"}))

    def test_nobody_knows_others(self):
        with pytest.raises(MetadataError, match="no format has a setting 'trust'"):
            setting_values(load("tiff"), ScanOptions(settings={"trust": "yes"}))


@pytest.mark.parametrize(
    "name", ["dicom", "envi", "grib", "hdf5", "mrc", "netcdf3", "nifti", "nrrd", "tiff"]
)
def test_declarations_are_light(name):
    program = (
        "import sys\n"
        "from refmaker.scanning.declaration import FormatDeclaration\n"
        "before = set(sys.modules)\n"
        f"from refmaker.scanners.{name}.declared import FORMAT\n"
        "assert isinstance(FORMAT, FormatDeclaration)\n"
        "FORMAT.sniff(bytes(4096), 'x')\n"
        "print(*set(sys.modules) - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    own = {"refmaker.scanners", f"refmaker.scanners.{name}", f"refmaker.scanners.{name}.declared"}
    assert set(done.stdout.split()) == own


def test_settings_are_values():
    assert Setting("a", "b", "c") == Setting("a", "b", "c", (), ())

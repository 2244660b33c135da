"""An installation without ecCodes: GRIB still scans, and what needs the library says so."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import refmaker
from tests.scanners.grib.messages import message

BLOCKED = "import sys; sys.modules.update(dict.fromkeys(('eccodes', 'gribapi', 'cfgrib')))\n"
SCAN = """
import json
import refmaker, numpy as np

refs = refmaker.scan(sys.argv[1], isolate="never")
group = refmaker.open_group(refs)
values = {}
for path, _ in refs.group.arrays():
    try:
        values[path] = np.asarray(group[path][...]).tobytes().hex()
    except Exception as error:
        values[path] = [type(error).__name__, str(error)]
print(json.dumps([values, refs.report.warnings, len(refs.report.skipped)]))
"""


def without(program, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED + program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_names_and_values_need_no_library(tmp_path):
    path = tmp_path / "a.grib"
    parts = [message(shortName=name, level=850, seed=3) for name in ("t", "u")]
    parts += [message(1, shortName="q", level=500), message(shortName="2t")]
    path.write_bytes(b"".join(parts))
    values, warnings, skipped = without(SCAN, path)
    refs = refmaker.scan(path)
    assert set(values) == {name for name, _ in refs.group.arrays()}
    group = refmaker.open_group(refs)
    for name, held in values.items():
        assert held == np.asarray(group[name][...]).tobytes().hex(), name
    assert not warnings
    assert not skipped


def test_names_that_only_the_library_knows_are_said_to_be_missing(tmp_path):
    path = tmp_path / "a.grib"
    # A template of section 4 with several time ranges is not in the table.
    keys = {"productDefinitionTemplateNumber": 8, "numberOfTimeRange": 2}
    path.write_bytes(message(shortName="t", level=850) + message(**keys))
    _, warnings, _ = without(SCAN, path)
    told = [text for text in warnings if "ecCodes" in text]
    assert len(told) == 1
    assert told[0].startswith("1 of 2 kinds of fields")
    assert "pip install 'refmaker[grib]'" in told[0]
    assert not [text for text in refmaker.scan(path).report.warnings if "ecCodes" in text]


def test_packings_that_only_the_library_decodes_are_refused_by_name(tmp_path):
    path = tmp_path / "a.grib"
    path.write_bytes(message(sample="sh_ml_grib2"))
    values, _, _ = without(SCAN, path)
    refused = [held for held in values.values() if isinstance(held, list)]
    assert refused
    for kind, text in refused:
        assert kind == "MissingDependencyError"
        assert "decoded by ecCodes, which is not installed" in text
        assert "pip install 'refmaker[grib]'" in text


@pytest.mark.parametrize(
    ("call", "purpose"),
    [
        (
            "refmaker.scan(sys.argv[1], settings={'grib-grouping': 'cfgrib'}, isolate='never')",
            "layout",
        ),
        ("GRIBScanner().native(Source(sys.argv[1])).__enter__()", "reading GRIB natively"),
    ],
)
def test_what_needs_the_library_names_the_extra(tmp_path, call, purpose):
    (tmp_path / "a.grib").write_bytes(message(shortName="t", level=850))
    program = f"""
import json, refmaker
from refmaker.io.source import Source
from refmaker.scanners.grib import GRIBScanner

try:
    found = str({call})
except refmaker.errors.MissingDependencyError as error:
    found = str(error)
print(json.dumps(found))
"""
    found = without(program, tmp_path / "a.grib")
    assert purpose in found
    assert "pip install 'refmaker[grib]'" in found


def test_listing_engines_loads_no_ecCodes_of_ours():  # noqa: N802 - its name
    """What xarray loads of this package when it lists its engines, and what opening takes."""
    program = """
import json
from importlib.metadata import entry_points

for point in entry_points(group="xarray.backends", name="refmaker"):
    point.load()
import refmaker.reading.open, refmaker.scanners.grib.scanner, refmaker.codecs
print(json.dumps(sorted({"eccodes", "gribapi", "cfgrib", "findlibs"} & set(sys.modules))))
"""
    done = subprocess.run(
        [sys.executable, "-c", "import sys\n" + program], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == []

"""Scanning a generated file and holding everything in it against h5py."""

from __future__ import annotations

import ctypes
from pathlib import Path

import h5py
import pytest

from refmaker.model.report import Outcome
from refmaker.scanning.one_file import scan
from refmaker.scanning.options import ScanOptions
from refmaker.testing import open_stock
from tests.scanners.hdf5 import oracle

VARIANTS = (
    {},
    {"inline_threshold": 0, "chunk_bytes": 64, "verify_index": True},
    {"chunk_bytes": None, "inline_threshold": 2**20},
)


class Scanned:
    """A reference set, its account, and the values that stock readers get."""

    def __init__(self, group, report):
        self.group = group
        self.report = report
        self.stock = open_stock(group)

    def __getitem__(self, path):
        return self.stock[path][...]

    @property
    def skipped(self):
        return {row.path: row.code for row in self.report.skipped}

    @property
    def outcomes(self):
        return {row.path: row.outcome for row in self.report.rows}


def complain(path, options, refused, scanner):
    """Scan once; return the result and everything that is wrong with it."""
    result = Scanned(*scan(path, options=ScanOptions(**options), format=scanner))
    wrong = []
    with h5py.File(path, "r", locking=False) as file:
        expected = oracle.names(file)
        missing = expected - set(result.outcomes)
        if missing:
            wrong.append(f"no row for {sorted(missing)}")
        objects = {at: code for at, code in result.skipped.items() if code != "attribute"}
        if objects != refused:
            wrong.append(f"refused {result.report.skipped}, expected {refused}")
        for name, array in result.group.arrays():
            values = result.stock[name][...]
            outcome = result.outcomes[f"/{name}"]
            if outcome not in (Outcome.REFERENCED, Outcome.INLINED, Outcome.DUPLICATED):
                wrong.append(f"{name} is an array and a row says {outcome}")
            if told := oracle.difference(file, name, values):
                wrong.append(f"{name} ({array.dtype}, {array.codecs}): {told}")
    return result, [f"{options}: {text}" for text in wrong]


@pytest.fixture(scope="session")
def hdf5():
    """Give the HDF5 library as h5py has loaded it, for what h5py does not offer."""
    with Path("/proc/self/maps").open() as lines:
        names = {line.split()[-1] for line in lines if "libhdf5" in line}
    [name] = [name for name in names if "_hl" not in name and "h5py" in name]
    return ctypes.CDLL(name)


@pytest.fixture
def check():
    """Give a function that scans a file with several options and compares all of it with h5py.

    It takes the file, and the code of everything that must be refused, by path; it returns what
    the default options gave.
    """

    def compare(path, refused=None, *, scanner=None):
        results = [complain(path, options, refused or {}, scanner) for options in VARIANTS]
        assert [text for _, wrong in results for text in wrong] == []
        return results[0][0]

    return compare

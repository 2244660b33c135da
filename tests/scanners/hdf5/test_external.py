"""Raw data in files beside the HDF5 file."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from refmaker.scanning.one_file import scan
from refmaker.scanning.options import ScanOptions
from refmaker.testing import open_stock

DATA = np.arange(1200, dtype=">i4").reshape(40, 30)


def make(path, files, dtype=">i4", shape=(40, 30), **options):
    with h5py.File(path, "w") as f:
        f.create_dataset("raw", shape, dtype, external=files, **options)
        f["inside"] = np.arange(1000)


def test_one_file(check, tmp_path):
    (tmp_path / "a.raw").write_bytes(DATA.tobytes())
    make(tmp_path / "f.h5", [("a.raw", 0, DATA.nbytes)])
    found = check(tmp_path / "f.h5")
    np.testing.assert_array_equal(found["raw"], DATA)
    assert set(found.report.sources) == {str(tmp_path / "f.h5"), str(tmp_path / "a.raw")}


def test_unlimited_size_and_offset(check, tmp_path):
    (tmp_path / "a.raw").write_bytes(b"header!" + DATA.tobytes() + b"rest")
    make(tmp_path / "f.h5", [("a.raw", 7, h5py.h5f.UNLIMITED)])
    np.testing.assert_array_equal(check(tmp_path / "f.h5")["raw"], DATA)


@pytest.mark.parametrize("rows", [10, 8, 1])
def test_several_files_on_rows(check, tmp_path, rows):
    files = []
    for i in range(0, 40, rows):
        name = f"part{i}.raw"
        part = DATA[i : i + rows].tobytes()
        (tmp_path / name).write_bytes(b"x" * i + part)
        files.append((name, i, len(part)))
    make(tmp_path / "f.h5", files)
    np.testing.assert_array_equal(check(tmp_path / "f.h5")["raw"], DATA)


def test_files_that_end_inside_an_element_are_refused(check, tmp_path):
    raw = DATA.tobytes()
    (tmp_path / "a.raw").write_bytes(raw[:1001])
    (tmp_path / "b.raw").write_bytes(raw[1001:])
    make(tmp_path / "f.h5", [("a.raw", 0, 1001), ("b.raw", 0, len(raw) - 1001)])
    check(tmp_path / "f.h5", {"/raw": "external-split"})


def test_missing_file(tmp_path):
    make(tmp_path / "f.h5", [("a.raw", 0, DATA.nbytes)])
    group, report = scan(tmp_path / "f.h5")
    assert set(dict(group.arrays())) == {"inside"}
    [row] = report.skipped
    assert (row.path, row.code) == ("/raw", "source")
    assert "no such file" in row.reason
    assert "a.raw" in row.reason


def test_short_file(tmp_path):
    (tmp_path / "a.raw").write_bytes(DATA.tobytes()[:-1])
    make(tmp_path / "f.h5", [("a.raw", 0, DATA.nbytes)])
    group, report = scan(tmp_path / "f.h5")
    assert set(dict(group.arrays())) == {"inside"}
    assert {row.path: row.code for row in report.skipped} == {"/raw": "truncated"}


@pytest.mark.parametrize("absolute", [False, True])
def test_outside_of_its_directory(tmp_path, absolute):
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "a.raw").write_bytes(DATA.tobytes())
    name = str(tmp_path / "a.raw") if absolute else "../a.raw"
    make(home / "f.h5", [(name, 0, DATA.nbytes)])
    group, report = scan(home / "f.h5")
    assert set(dict(group.arrays())) == {"inside"}
    assert {row.path: row.code for row in report.skipped} == {"/raw": "external-outside"}
    group, _ = scan(home / "f.h5", options=ScanOptions(follow_external=True))
    np.testing.assert_array_equal(open_stock(group)["raw"][...], DATA)


def test_small(check, tmp_path):
    (tmp_path / "a.raw").write_bytes(DATA.tobytes())
    make(tmp_path / "f.h5", [("a.raw", 4, 12)], shape=(3,))
    assert check(tmp_path / "f.h5")["raw"].tolist() == [1, 2, 3]

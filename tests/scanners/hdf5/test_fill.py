"""Elements that were never written, and values that mark missing data: two things."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import xarray as xr

from refmaker.scanning.one_file import scan
from refmaker.scanning.options import ScanOptions
from refmaker.testing.reading import document


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.h5"


def opened(path, **options):
    group, _ = scan(path, options=ScanOptions(**options))
    return xr.open_dataset(
        "reference://", engine="zarr",
        backend_kwargs={"storage_options": {"fo": document(group)}, "consolidated": True},
    )  # fmt: skip


FILLS = {"none": None, "zero": 0, "same": -9, "other": 7}
MARKS = {"none": None, "zero": 0, "minus": -9}


@pytest.mark.parametrize("stored", FILLS)
@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("dtype", ["<i2", ">f8", "u1"])
@pytest.mark.parametrize("written", ["all", "part", "none"])
def test_values_and_missing_ones(check, path, stored, mark, dtype, written):
    number = {-9: 9}.get(FILLS[stored], FILLS[stored]) if dtype == "u1" else FILLS[stored]
    missing = {-9: 9}.get(MARKS[mark], MARKS[mark]) if dtype == "u1" else MARKS[mark]
    with h5py.File(path, "w") as f:
        f["x"] = np.arange(2000)
        f["x"].make_scale("x")
        d = f.create_dataset("d", (2000,), dtype, chunks=(500,), fillvalue=number)
        if written != "none":
            d[: 2000 if written == "all" else 700] = (
                np.arange(2000 if written == "all" else 700) % 11
            )
        if missing is not None:
            d.attrs["_FillValue"] = np.array([missing], dtype)
        d.dims[0].attach_scale(f["x"])
    check(path)
    with opened(path) as ours, xr.open_dataset(path, engine="h5netcdf") as theirs:
        np.testing.assert_array_equal(ours["d"].values, theirs["d"].values)
        assert ours["d"].dtype == theirs["d"].dtype


def test_nan(check, path):
    with h5py.File(path, "w") as f:
        d = f.create_dataset("d", (3000,), "f4", chunks=(500,), fillvalue=np.nan)
        d[:700] = 1
        e = f.create_dataset("e", (3000,), "f4", chunks=(500,), fillvalue=np.inf)
        e[:700] = 1
        e.attrs["_FillValue"] = np.float32(np.nan)
        f.create_dataset("c", (3000,), "c8", chunks=(500,), fillvalue=1 + 2j)[:700] = 1
        f.create_dataset("b", (3000,), "?", chunks=(500,), fillvalue=True)[:700] = False
    check(path)


def test_fill_value_larger_than_json_numbers(check, path):
    with h5py.File(path, "w") as f:
        f.create_dataset("u8", (3000,), "u8", chunks=(500,), fillvalue=2**64 - 1)[:3] = 1
        f.create_dataset("i8", (3000,), "i8", chunks=(500,), fillvalue=-(2**63))[:3] = 1
        f.create_dataset("f4", (3000,), "f4", chunks=(500,), fillvalue=np.float32(1e35))[:3] = 1
    check(path)


def test_filtered_absent_chunks_that_have_to_be_inlined(check, path):
    with h5py.File(path, "w") as f:
        d = f.create_dataset("d", (30, 40), "i4", chunks=(8, 8), fillvalue=5, shuffle=True,
                             compression="gzip", fletcher32=True)  # fmt: skip
        d[:9] = 1
        d.attrs["_FillValue"] = np.int32(-1)
    found = check(path)
    array = dict(found.group.arrays())["d"]
    assert array.fill_value == -1
    assert array.chunks.absent == 0


def test_too_many_absent_chunks_warn(path):
    with h5py.File(path, "w") as f:
        d = f.create_dataset("d", (9000, 10), "i4", chunks=(1, 10), fillvalue=5)
        d[7] = 1
        d.attrs["_FillValue"] = np.int32(-1)
    group, report = scan(path)
    array = dict(group.arrays())["d"]
    assert array.fill_value == 5
    assert any("missing" in text for text in report.warnings)

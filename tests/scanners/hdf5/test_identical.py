"""What refmaker opens is what xarray's engines for netCDF open, and can be written as theirs."""

from __future__ import annotations

import csv

import h5py
import netCDF4
import numpy as np
import pytest
import xarray as xr

import refmaker
from refmaker.scanning.one_file import scan
from refmaker.scanning.options import ScanOptions
from tests.corpora import CORPUS

# xarray warns of what is odd in the files, with every engine.
pytestmark = pytest.mark.filterwarnings("ignore")
RNG = np.random.default_rng(14)


def packed(path, code, kind, *, attributes=("scale_factor", "add_offset"), fill=True, form=None):
    """Write integers with packing of one type of float."""
    with netCDF4.Dataset(path, "w", format=form or "NETCDF4") as f:
        f.createDimension("t", None)
        f.createDimension("x", 7)
        t = f.createVariable("t", "f8", ("t",))
        t.units, t.calendar, t[:] = "days since 2000-01-01", "standard", np.arange(5)
        v = f.createVariable("v", code, ("t", "x"), fill_value=99 if fill else None)
        v.set_auto_maskandscale(False)
        for name, value in (("scale_factor", 0.1), ("add_offset", 273.15)):
            if name in attributes:
                v.setncattr(name, np.dtype(kind).type(value))
        v.valid_range = np.array([1, 100], code)
        v.long_name = "packed"
        values = RNG.integers(0, 100, (5, 7)).astype(code)
        values[1, 1] = 99
        v[:] = values


def bare(path, dtype, **attributes):
    """Write one dataset of plain HDF5 with attributes."""
    with h5py.File(path, "w") as f:
        d = f.create_dataset("v", data=np.array([0, 1, 2, 3]).astype(dtype))
        for name, value in attributes.items():
            d.attrs[name] = value


def listed(path):
    with h5py.File(path, "w") as f:
        for name in ("time", "lat2", "u", "v"):
            f[name] = np.arange(5, dtype="i1" if name == "u" else "f8")
        f["time"].make_scale("time")
        for name in ("lat2", "u", "v"):
            f[name].dims[0].attach_scale(f["time"])
        f["time"].attrs["units"] = ["days since 2001-01-01"]
        f["time"].attrs["calendar"] = np.array([b"noleap"])
        f["v"].attrs["coordinates"] = ["lat2"]
        f["v"].attrs["scale_factor"] = np.array([0.5], "f4")
        f["v"].attrs["numbers"] = np.array([3], "i2")
        f["u"].attrs["_Unsigned"] = ["true"]
        f["u"].attrs["_FillValue"] = np.array([-1], "i1")


def groups(path):
    with netCDF4.Dataset(path, "w") as f:
        f.createDimension("x", 3)
        f.createVariable("x", "f4", ("x",))[:] = [1, 2, 3]
        f.number = np.int16(4)
        g = f.createGroup("g")
        g.ratio = np.float32(0.1)
        g.createDimension("y", 2)
        g.createVariable("w", "i2", ("y", "x"), zlib=True, fill_value=-1)[:] = np.ones((2, 3))
        g.createGroup("h").createVariable("z", "f8", ("y",))[:] = [np.nan, 1]


def texts(path):
    with netCDF4.Dataset(path, "w") as f:
        f.createDimension("n", 3)
        f.createDimension("width", 4)
        f.createVariable("long", str, ("n",))[:] = np.array(["a", "ää", ""], object)
        c = f.createVariable("chars", "S1", ("n", "width"))
        c._Encoding = "utf-8"
        c[:] = np.array(["ab", "cdef", ""])


def characters(path):
    """Write characters that are UTF-8 to HDF5, and of no encoding to netCDF, as newer netCDF-C."""
    with netCDF4.Dataset(path, "w") as f:
        f.createDimension("n", 2)
        f.createDimension("width", 3)
    kind = h5py.h5t.C_S1.copy()
    kind.set_cset(h5py.h5t.CSET_UTF8)
    with h5py.File(path, "r+") as f:
        d = h5py.Dataset(h5py.h5d.create(f.id, b"c", kind, h5py.h5s.create_simple((2, 3))))
        values = np.array([[b"a", b"b", b""], [b"c", b"d", b"e"]])
        d.id.write(h5py.h5s.ALL, h5py.h5s.ALL, values, kind)
        for axis, name in enumerate(("n", "width")):
            d.dims[axis].attach_scale(f[name])


def nameless(path, first):
    with h5py.File(path, "w") as f:
        if first:
            f["x"] = np.arange(3.0)
            f["x"].make_scale("x")
        f["a"], f["b"], f["c"] = np.zeros(3), np.zeros((4, 3)), np.zeros((3, 3))
        f.create_dataset("open", data=np.zeros(3), maxshape=(None,))
        f["g/d"], f["g/e"] = np.zeros((5, 3)), np.zeros(5)


CASES = {
    **{
        f"packed {code} {kind} {form or ''}": lambda p, c=code, k=kind, m=form: packed(
            p, c, k, form=m
        )
        for code, form in (
            ("i1", None),
            ("u1", None),
            ("i2", None),
            ("i4", None),
            ("i2", "NETCDF3_CLASSIC"),
            ("i2", "NETCDF3_64BIT_DATA"),
        )
        for kind in ("f4", "f8")
    },
    **{
        f"only {name} {kind}": lambda p, n=name, k=kind: packed(p, "i2", k, attributes=(n,))
        for name in ("scale_factor", "add_offset")
        for kind in ("f4", "f8")
    },
    "packed without fill": lambda p: packed(p, "i2", "f4", fill=False),
    "packed u2 without fill": lambda p: packed(p, "u2", "f4", fill=False),
    **{
        f"fill {name}": lambda p, d=dtype, v=value, m=mark: bare(p, d, **{m: v})
        for name, mark, dtype, value in (
            ("nan on int", "_FillValue", "i2", np.float32("nan")),
            ("nan missing on int", "missing_value", "i2", np.float32("nan")),
            ("out of range", "_FillValue", "u1", np.int16(300)),
            ("negative on unsigned", "_FillValue", "u1", np.int16(-1)),
            ("missing out of range", "missing_value", "u1", np.int16(-1)),
            ("float on int", "_FillValue", "i2", np.float32(1)),
            ("half on int", "_FillValue", "i2", np.float32(1.5)),
            ("nan on float", "_FillValue", "f4", np.float32("nan")),
            ("f8 on f4", "_FillValue", "f4", np.float64(1)),
            ("f8 between f4", "_FillValue", "f4", np.float64(0.1)),
            ("beyond f4", "_FillValue", "f4", np.float64(1e300)),
            ("big endian", "_FillValue", ">i4", np.array(2, ">i4")),
            ("list", "_FillValue", "i2", np.array([1], "i2")),
            ("two missing", "missing_value", "f4", np.array([1, 2], "f4")),
            ("infinite missing", "missing_value", "f8", np.inf),
        )
    },
    "fill of the other sign": lambda p: bare(
        p, "i1", _FillValue=np.uint8(255), _Unsigned="true", scale_factor=np.float32(0.5)
    ),
    "nan and scale": lambda p: bare(
        p, "i2", _FillValue=np.float32("nan"), scale_factor=np.float32(0.5)
    ),
    "times": lambda p: bare(p, "i4", units="hours since 1900-01-01", calendar="gregorian"),
    "lists": listed,
    "groups": groups,
    "texts": texts,
    "characters": characters,
    "nameless": lambda p: nameless(p, first=False),
    "nameless beside x": lambda p: nameless(p, first=True),
}


def test_there_are_forty():
    assert len(CASES) >= 40


@pytest.fixture(params=CASES)
def path(request, tmp_path):
    name = tmp_path / "file.nc"
    CASES[request.param](name)
    return name


def trees(path, **options):
    """Return what refmaker and the netCDF library's engine make of a file."""
    return (
        refmaker.open_datatree(scan(path, options=ScanOptions(**options))[0]),
        xr.open_datatree(path, engine="netcdf4"),
    )


def dtypes(tree):
    return {
        f"{node.path}/{name}": v.dtype.newbyteorder("=")
        for node in tree.subtree
        for name, v in node.variables.items()
        if v.dtype.kind in "biufc"
    }


IMPOSSIBLE = frozenset({"fill out of range", "fill negative on unsigned",
                        "fill missing out of range", "fill beyond f4"})  # fmt: skip
"""What marks nothing is left out; xarray makes floats of integers for its sake."""


@pytest.mark.parametrize("threshold", [0, 4096])
def test_identical(path, threshold, request):
    ours, native = trees(path, inline_threshold=threshold)
    xr.testing.assert_identical(ours, native)
    if request.node.callspec.params["path"] not in IMPOSSIBLE:
        assert dtypes(ours) == dtypes(native)
    for node in ours.subtree:
        unlimited = native[node.path].encoding.get("unlimited_dims", set())
        assert node.encoding.get("unlimited_dims", set()) == unlimited


@pytest.mark.parametrize("path", sorted(CASES.keys() - {"fill two missing"}), indirect=True)
def test_written_back(path, tmp_path):
    # xarray itself writes no variable with two missing values, and rounds a fill value of 1.5.
    ours, native = (tree.to_dataset() for tree in trees(path))
    for name, dataset in (("ours", ours), ("native", native)):
        dataset.to_netcdf(tmp_path / f"{name}.nc")
        for version in (2, 3):
            out = tmp_path / f"{name}{version}"
            dataset.to_zarr(out, zarr_format=version, consolidated=False)
    with (
        xr.open_dataset(tmp_path / "ours.nc") as back,
        xr.open_dataset(tmp_path / "native.nc") as other,
    ):
        xr.testing.assert_identical(back, other)
    for version in (2, 3):
        with (
            xr.open_zarr(tmp_path / f"ours{version}", consolidated=False) as back,
            xr.open_zarr(tmp_path / f"native{version}", consolidated=False) as other,
        ):
            xr.testing.assert_identical(back, other)


def real():
    """Return the netCDF files of other people's making that the netCDF library opens."""
    found = []
    home = CORPUS
    table = home / "INDEX.tsv"
    if table.exists():
        with table.open(newline="") as lines:
            rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
            found.extend(
                home / row["path"]
                for row in rows
                if row["format"] in ("hdf5", "netcdf3") and row["path"].endswith((".nc", ".nc4"))
            )
    return found


@pytest.mark.parametrize("path", real(), ids=lambda path: path.name)
def test_real_files(path):
    try:
        group, report = scan(path)
        native = xr.open_datatree(path, engine="netcdf4")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, NotImplementedError):
        # Neither tree nor dataset for xarray: nothing to compare with.
        return
    with native:
        if not any(row.code != "attribute" for row in report.skipped):
            xr.testing.assert_identical(refmaker.open_datatree(group), native)

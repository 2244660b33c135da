"""netCDF4 files look to xarray through references as they do to h5netcdf.

One thing cannot be the same: JSON has one kind of number, so attributes lose their numpy types.
xarray compares attributes by value, so that they are still identical where the values are.
"""

from __future__ import annotations

import h5py
import netCDF4
import numpy as np
import pytest
import xarray as xr

import refmaker
from refmaker.scanning.one_file import scan
from refmaker.scanning.options import ScanOptions
from refmaker.testing import open_stock
from refmaker.testing.reading import document

RNG = np.random.default_rng(6)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.nc"


def options(path, **fields):
    group, report = scan(path, options=ScanOptions(**fields))
    assert report.skipped == []
    storage = {"fo": document(group)}
    return {"engine": "zarr", "backend_kwargs": {"storage_options": storage, "consolidated": True}}


def identical(path, *, groups=(None,), attributes=True, **decoding):
    for fields in ({}, {"inline_threshold": 0, "chunk_bytes": 400}):
        how = options(path, **fields)
        for group in groups:
            with (
                xr.open_dataset("reference://", group=group, **how, **decoding) as ours,
                xr.open_dataset(path, engine="h5netcdf", group=group, **decoding) as theirs,
            ):
                compare = xr.testing.assert_identical if attributes else xr.testing.assert_equal
                compare(ours.load(), theirs.load())
                for name in theirs.variables:
                    # Text has several types in numpy; which one is up to xarray.
                    if theirs[name].dtype.kind not in "OUT":
                        assert ours[name].dtype == theirs[name].dtype, name


DECODING = [{}, {"mask_and_scale": False}, {"decode_cf": False}]


def climate(path, **storage):
    with netCDF4.Dataset(path, "w") as f:
        f.title, f.Conventions, f.version = "größe", "CF-1.8", np.int32(3)
        f.createDimension("time", None)
        f.createDimension("lat", 19)
        f.createDimension("lon", 36)
        f.createDimension("bnds", 2)
        time = f.createVariable("time", "f8", ("time",))
        time.units, time.calendar, time.bounds = "days since 2000-01-01", "noleap", "time_bnds"
        time[:] = np.arange(40)
        f.createVariable("time_bnds", "f8", ("time", "bnds"))[:] = np.ones((40, 2))
        for name, n in (("lat", 19), ("lon", 36)):
            f.createVariable(name, "f4", (name,))[:] = np.linspace(0, 90, n)
        f["lat"].units = "degrees_north"
        t = f.createVariable("t", "f4", ("time", "lat", "lon"), chunksizes=(7, 19, 36),
                             fill_value=1e20, **storage)  # fmt: skip
        t.units, t.valid_range = "K", np.array([0, 400], "f4")
        t[:] = np.ma.masked_greater(RNG.random((40, 19, 36)) * 300, 290)
        p = f.createVariable("p", "i2", ("time", "lat", "lon"), chunksizes=(7, 10, 20),
                             fill_value=-32768, **storage)  # fmt: skip
        p.scale_factor, p.add_offset = 0.01, 273.15
        p[:] = 273 + RNG.random((40, 19, 36))
        f.createVariable("crs", "i4").grid_mapping_name = "latitude_longitude"


@pytest.mark.parametrize("decoding", DECODING, ids=str)
def test_climate(path, decoding):
    climate(path, compression="zlib", shuffle=True)
    identical(path, **decoding)


@pytest.mark.parametrize(
    "storage",
    [
        {"compression": "zlib", "fletcher32": True},
        {"fletcher32": True},
        {"compression": "zstd"},
        {"compression": "bzip2"},
        {"compression": "blosc_lz4"},
        {"compression": "blosc_zstd", "blosc_shuffle": 2},
        {"compression": "blosc_zlib"},
        {"compression": "szip", "szip_coding": "nn", "szip_pixels_per_block": 8},
        {"compression": "zlib", "significant_digits": 3},
        {"compression": "zlib", "significant_digits": 5, "quantize_mode": "GranularBitRound"},
        {"compression": "zlib", "shuffle": True, "endian": "big"},
    ],
    ids=str,
)
def test_filters(path, storage):
    import hdf5plugin  # noqa: F401 - for h5netcdf

    with netCDF4.Dataset(path, "w") as f:
        f.createDimension("x", 100)
        f.createDimension("y", 90)
        order = ">" if "endian" in storage else "<"
        for dtype in ("f4", "f8", "i2") if "significant_digits" not in storage else ("f4", "f8"):
            v = f.createVariable(dtype, order + dtype, ("x", "y"), chunksizes=(30, 40), **storage)
            v[:] = RNG.random((100, 90)) * 100
    identical(path)


def test_data_never_written(path):
    with netCDF4.Dataset(path, "w") as f:
        f.createDimension("x", 3000)
        f.createDimension("y", 20)
        for dtype in ("f4", "f8", "i1", "u1", "i2", "i4", "i8", "u8", "S1"):
            f.createVariable(f"never_{dtype}", dtype, ("x", "y"), chunksizes=(500, 20))
            v = f.createVariable(f"part_{dtype}", dtype, ("x", "y"), chunksizes=(500, 20))
            v[3] = 1 if dtype != "S1" else b"a"
            f.createVariable(f"own_{dtype}", dtype, ("x", "y"), chunksizes=(500, 20),
                             fill_value=7 if dtype != "S1" else b"x")  # fmt: skip
            f.createVariable(f"contiguous_{dtype}", dtype, ("x", "y"), contiguous=True)
            f.createVariable(f"unfilled_{dtype}", dtype, ("x", "y"), chunksizes=(500, 20),
                             fill_value=False)  # fmt: skip
    for decoding in DECODING:
        identical(path, **decoding)


def test_dimensions(path):
    with netCDF4.Dataset(path, "w") as f:
        f.createDimension("x", 5)
        f.createDimension("same", 5)
        f.createDimension("t", None)
        f.createDimension("unused", 9)
        f.createDimension("lonely", None)
        f.createVariable("a", "f4", ("same", "x"))[:] = RNG.random((5, 5))
        f.createVariable("b", "f4", ("t", "same"))[:] = RNG.random((8, 5))
        f.createVariable("x", "i4", ("x",))[:] = np.arange(5)
        f.createVariable("t", "f4", ("x",))[:] = RNG.random(5)
        f.createVariable("scalar", "f8")[...] = 2.5
    identical(path)


def test_coordinates_of_many_dimensions(path):
    with netCDF4.Dataset(path, "w") as f:
        f.createDimension("y", 6)
        f.createDimension("x", 7)
        f.createVariable("y", "f4", ("y", "x"))[:] = RNG.random((6, 7))
        f.createVariable("x", "f4", ("x",))[:] = RNG.random(7)
        v = f.createVariable("v", "f4", ("y", "x"))
        v.coordinates = "lat"
        v[:] = RNG.random((6, 7))
        f.createVariable("lat", "f4", ("y", "x"))[:] = RNG.random((6, 7))
    group, _ = scan(path)
    arrays = dict(group.arrays())
    with netCDF4.Dataset(path) as f:
        for name, variable in f.variables.items():
            assert arrays[name].dimension_names == variable.dimensions


def grouped(path, *, shadowed=True):
    with netCDF4.Dataset(path, "w") as f:
        f.createDimension("time", None)
        f.createDimension("x", 5)
        f.createVariable("x", "i4", ("x",))[:] = np.arange(5)
        f.title = "root"
        a = f.createGroup("a")
        a.level = np.float64(1.5)
        a.createDimension("y", 4)
        a.createVariable("v", "f4", ("time", "y", "x"))[:] = RNG.random((3, 4, 5))
        b = a.createGroup("b")
        if shadowed:
            b.createDimension("x", 7)
        b.createVariable("w", "f4", ("y", "x"))[:] = RNG.random((4, 7 if shadowed else 5))
        c = f.createGroup("c/d")
        c.createVariable("u", "i2", ("x",))[:] = np.arange(5)
        f.createGroup("empty")


def test_groups(path):
    grouped(path)
    identical(path, groups=(None, "a", "a/b", "c/d", "c", "empty"))


def test_tree(path):
    # A tree of xarray cannot have a dimension twice on the way to its root.
    grouped(path, shadowed=False)
    with (
        xr.open_datatree("reference://", **options(path)) as ours,
        xr.open_datatree(path, engine="h5netcdf") as theirs,
    ):
        assert set(ours.groups) == set(theirs.groups)
        for name in theirs.groups:
            xr.testing.assert_identical(ours[name].to_dataset(), theirs[name].to_dataset())


def test_unlimited_dimensions_are_remembered(path):
    grouped(path)
    group, _ = scan(path)
    assert "time" in str(group.attributes) + str(group["a"].attributes)


def test_text(path):
    with netCDF4.Dataset(path, "w") as f:
        f.createDimension("n", 3)
        f.createDimension("strlen", 8)
        f.createVariable("words", str, ("n",))[:] = np.array(["a", "größe", ""], object)
        f.createVariable("one", str)[...] = "alone"
        chars = f.createVariable("chars", "S1", ("n", "strlen"))
        chars._Encoding = "utf-8"
        chars[:] = np.array(["abc", "größe", ""], "U8")
        f.createVariable("raw", "S1", ("n", "strlen"))[:] = b"x"
        f.setncattr_string("texts", ["a", "bc"])
    identical(path)


def test_user_defined_types(path):
    with netCDF4.Dataset(path, "w") as f:
        f.createDimension("n", 300)
        kind = f.createEnumType(np.int8, "cloud", {"clear": 0, "some": 1, "missing": 127})
        f.createVariable("enum", kind, ("n",), fill_value=127)[:] = RNG.integers(0, 2, 300)
        pair = np.dtype([("a", "i4"), ("b", "f8")])
        compound = f.createCompoundType(pair, "pair")
        v = f.createVariable("pairs", compound, ("n",))
        data = np.zeros(300, pair)
        data["a"], data["b"] = np.arange(300), RNG.random(300)
        v[:] = data
    group, report = scan(path)
    assert report.skipped == []
    arrays = dict(group.arrays())
    assert arrays["enum"].attributes["flag_values"] == [0, 1, 127]
    stock = open_stock(group)
    for name in pair.names:
        np.testing.assert_array_equal(stock["pairs"][...][name], data[name])
    with netCDF4.Dataset(path) as f:
        f.set_auto_mask(False)
        np.testing.assert_array_equal(stock["enum"][...], f["enum"][...])


def test_renamed(path):
    with netCDF4.Dataset(path, "w") as f:
        f.createDimension("x", 5)
        f.createDimension("other", 5)
        f.createVariable("before", "i4", ("x",))[:] = np.arange(5)
        f.renameVariable("before", "after")
        f.renameDimension("other", "another")
        f.createVariable("v", "f4", ("another",))[:] = RNG.random(5)
    identical(path)


def test_written_by_xarray(path):
    times = np.arange("2020-01-01", "2020-01-11", dtype="M8[D]").astype("M8[ns]")
    dataset = xr.Dataset(
        {
            "t": (("time", "x"), RNG.random((10, 50)).astype("f4"), {"units": "K"}),
            "flag": (("x",), RNG.random(50) > 0.5),
            "name": (("x",), np.array([f"n{i}" for i in range(50)], object)),
            "fixed": (("x",), np.array([b"ab"] * 50)),
            "delta": (("time",), times - times[0]),
            "n": ((), 3),
        },
        coords={"time": times, "x": np.arange(50), "lat": (("x",), RNG.random(50))},
        attrs={"history": "made", "numbers": [1, 2, 3]},
    )
    encoding = {"t": {"zlib": True, "dtype": "i2", "scale_factor": 0.1, "_FillValue": -1}}
    for engine in ("h5netcdf", "netcdf4"):
        dataset.to_netcdf(path, engine=engine, encoding=encoding, unlimited_dims=["time"])
        identical(path)


def test_anonymous_dimensions(path):
    with h5py.File(path, "w") as f:
        f["a"] = RNG.random((4, 6))
        f["b"] = RNG.random((6, 4))
        f["square"] = RNG.random((4, 4))
        f["g/c"] = RNG.random((9, 4))
        f["g/d"] = RNG.random(6)
        f.create_dataset("u", data=RNG.random((6, 4)), maxshape=(None, 4))
    group, _ = scan(path)
    arrays = dict(group.arrays())
    with netCDF4.Dataset(path) as f:
        for name in ("a", "b", "square", "u"):
            assert arrays[name].dimension_names == f[name].dimensions, name
        for name in ("c", "d"):
            assert arrays[f"g/{name}"].dimension_names == f["g"][name].dimensions, name


def test_scales_of_hdf5(path):
    with h5py.File(path, "w") as f:
        f["x"], f["y"], f["z"] = np.arange(6.0), np.arange(4.0), np.arange(4.0)
        for name in "xyz":
            f[name].make_scale(name)
        f["d"] = RNG.random((4, 6))
        f["d"].dims[0].attach_scale(f["y"])
        f["d"].dims[0].attach_scale(f["z"])
        f["d"].dims[1].attach_scale(f["x"])
        f["half"] = RNG.random((4, 6))
        f["half"].dims[1].attach_scale(f["x"])
        f["g/in"] = RNG.random(6)
        f["g/in"].dims[0].attach_scale(f["x"])
        f["h/x"] = np.arange(6)
        f["h/x"].make_scale("x")
        f["h/uncle"] = RNG.random(6)
        f["h/uncle"].dims[0].attach_scale(f["x"])
        f["k/own"] = np.arange(6)
        f["k/own"].make_scale("own")
        f["cousin"] = RNG.random(6)
        f["cousin"].dims[0].attach_scale(f["k/own"])
    group, report = scan(path)
    names = {name: array.dimension_names for name, array in group.arrays()}
    assert names["d"] == ("y", "x")
    assert names["half"][1] == "x"
    # As netCDF does: a dimension of the group that is equally long.
    assert names["half"][0] == "y"
    assert names["g/in"] == ("x",)
    assert names["h/uncle"] != names["h/x"]
    assert names["cousin"] != ("own",)
    assert any("2 scales" in text for text in report.warnings)


def test_single_precision_packing(path):
    # JSON does not tell a scale factor of single precision from one of double precision, so
    # xarray unpacks to double precision; the packed values are the same, and so are the
    # unpacked ones but for the rounding that h5netcdf's single precision adds.
    with netCDF4.Dataset(path, "w") as f:
        f.createDimension("x", 3000)
        v = f.createVariable("v", "i2", ("x",), chunksizes=(500,), fill_value=-1)
        v.set_auto_maskandscale(False)
        v.scale_factor, v.add_offset = np.float32(0.01), np.float32(273.15)
        v[:] = RNG.integers(-1, 30_000, 3000)
    identical(path, mask_and_scale=False)
    with (
        xr.open_dataset("reference://", **options(path)) as ours,
        xr.open_dataset(path, engine="h5netcdf") as theirs,
    ):
        assert (ours["v"].dtype, theirs["v"].dtype) == (np.float64, np.float32)
        np.testing.assert_allclose(ours["v"], theirs["v"], rtol=1e-6)
        np.testing.assert_array_equal(np.isnan(ours["v"]), np.isnan(theirs["v"]))


def test_labels_name_dimensions_without_scale(path):
    with h5py.File(path, "w") as f:
        for name, shape, labels in (
            ("image", (3, 4), ("row", "column")),
            ("again", (3, 4), ("row", "column")),
            ("half", (3, 6), ("row", "")),
            ("twice", (5, 5), ("side", "side")),
            ("one", (7,), ("odd",)),
            ("other", (8,), ("odd",)),
            ("below/line", (4,), ("column",)),
            ("slash", (2,), ("a/b",)),
        ):
            f[name] = np.zeros(shape)
            for axis, label in enumerate(labels):
                f[name].dims[axis].label = label
    group, report = scan(path)
    names = {name: array.dimension_names for name, array in group.arrays()}
    assert names["image"] == names["again"] == ("row", "column")
    assert names["half"][0] == "row"
    assert names["below/line"] == ("column",)
    assert len(set(names["twice"])) == 2
    # Labels with several extents, or that no name can be, are none.
    assert names["one"] != names["other"]
    assert not {"odd", "a/b"} & {name for found in names.values() for name in found}
    assert any("odd" in text for text in report.warnings)
    assert refmaker.open_datatree(group)["below/line"].dims == ("column",)


def test_one_element_stands_for_itself_where_cf_reads_it(path):
    with h5py.File(path, "w") as f:
        f["time"] = np.arange(5.0)
        f["time"].make_scale("time")
        f["u"] = np.array([0, 1, -1, 3, 4], "i1")
        f["u"].dims[0].attach_scale(f["time"])
        f["time"].attrs["units"] = ["days since 2001-01-01"]
        f["u"].attrs["_Unsigned"] = np.array([b"true"])
        f["u"].attrs["scale_factor"] = np.array([2.0])
        f["u"].attrs["column-order"] = ["a"]
    group, _ = scan(path)
    assert group["u"].attributes["column-order"] == ["a"]
    with xr.open_dataset("reference://", **options(path)) as stock:
        assert stock["time"].dtype.kind == "M"
        assert stock["u"].values.tolist() == [0, 2, 510, 6, 8]

"""Data files where a reference set is expected, through xarray and through the functions."""

from __future__ import annotations

import io
import os
import pickle
import shutil
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
import xarray as xr

import refmaker
from refmaker.errors import MetadataError, SourceNotFoundError, UnknownFormatError, UnsupportedError
from refmaker.scanning import scan as scanning
from tests.scanners.dicom.image_files import save_all, slice_of
from tests.scanners.grib.messages import message

SOME = {"dtype": "i2", "scale_factor": 0.5, "add_offset": 3.0, "_FillValue": -999, "zlib": True}


def climate(start=0, days=6):
    generator = np.random.default_rng(start)
    values = np.round(generator.random((days, 5, 7)) * 50) * 0.5 + 3
    values[0, 0, 0] = np.nan
    return xr.Dataset(
        {
            "tas": (("time", "lat", "lon"), values, {"units": "K", "valid": np.float32([1, 2])}),
            "name": (("lat",), np.array(list("abcde"), object)),
            "flag": ((), np.int8(3)),
        },
        coords={
            "time": np.datetime64("2000-01-01", "ns")
            + np.arange(start, start + days) * 86400 * 10**9,
            "lat": np.linspace(-60, 60, 5),
            "lon": np.arange(7.0),
        },
        attrs={"title": "made", "version": np.int32(2)},
    )


@pytest.fixture
def netcdf(tmp_path):
    path = tmp_path / "a.nc"
    encoding = {
        "tas": {**SOME, "chunksizes": (2, 5, 7)},
        "time": {"units": "hours since 1999-01-01"},
    }
    climate().to_netcdf(path, engine="h5netcdf", encoding=encoding, unlimited_dims=["time"])
    climate().to_netcdf(path, engine="h5netcdf", mode="a", group="inner/most")
    return path


def same_as(engine, path, **how):
    theirs = xr.open_dataset(path, engine=engine, **how)
    ours = xr.open_dataset(path, engine="refmaker", **how)
    xr.testing.assert_identical(ours.load(), theirs.load())
    for name in theirs.variables:
        if name != "name":  # texts come in whatever dtype for them is at hand
            assert ours[name].dtype == theirs[name].dtype, name
            kept, told = (found[name].encoding.get("dtype") for found in (ours, theirs))
            assert (kept and kept.newbyteorder("=")) == told, name
    assert ours.encoding["source"] == theirs.encoding["source"]
    if "group" not in how:  # whose unlimited dimension is the root's
        unlimited = ours.encoding.get("unlimited_dims", set())
        assert unlimited == theirs.encoding.get("unlimited_dims")
    return ours


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"group": "inner/most"},
        {"drop_variables": ["name", "tas"]},
        {"mask_and_scale": False, "decode_times": False},
        {"chunks": {}},
        {"chunks": {"lat": -1}, "decode_coords": "all"},
    ],
    ids=str,
)
def test_netcdf4_is_as_through_h5netcdf(netcdf, how):
    opened = same_as("h5netcdf", netcdf, **how)
    assert isinstance(opened["flag"].data, np.ndarray) or "chunks" in how


def test_netcdf_classic(tmp_path):
    made = climate().drop_vars("name")
    made.to_netcdf(tmp_path / "a.nc", engine="netcdf4", format="NETCDF3_64BIT")
    same_as("netcdf4", tmp_path / "a.nc")


def test_the_functions_take_data_files_too(netcdf):
    native = xr.open_dataset(netcdf, engine="h5netcdf").load()
    for given in (str(netcdf), netcdf, f"file://{netcdf}"):
        xr.testing.assert_identical(refmaker.open_dataset(given).load(), native)
    assert set(refmaker.open_datatree(netcdf).groups) == {"/", "/inner", "/inner/most"}
    ours, theirs = (
        xr.open_datatree(netcdf, engine=engine)["/inner/most"].to_dataset(inherit=False)
        for engine in ("refmaker", "h5netcdf")
    )
    xr.testing.assert_identical(ours.load(), theirs.load())
    assert refmaker.open_group(netcdf)["tas"].shape == (6, 5, 7)
    opened = refmaker.open_dataset(netcdf, scan={"inline_threshold": 0, "format": "hdf5"})
    xr.testing.assert_identical(opened.load(), native)


def test_it_travels_to_other_processes(netcdf):
    opened = xr.open_dataset(netcdf, engine="refmaker", chunks={})
    again = pickle.loads(pickle.dumps(opened))
    xr.testing.assert_identical(again.load(), xr.open_dataset(netcdf, engine="h5netcdf").load())


def test_many_files_are_one_dataset(tmp_path):
    for start in range(0, 30, 6):
        climate(start).drop_vars("name").to_netcdf(tmp_path / f"d{start:02}.nc", engine="h5netcdf")
    files = f"{tmp_path}/*.nc"
    how = {"data_vars": "minimal", "coords": "minimal", "compat": "override"}
    theirs = xr.open_mfdataset(files, engine="h5netcdf", **how)
    ours = xr.open_mfdataset(files, engine="refmaker", **how)
    xr.testing.assert_identical(ours.load(), theirs.load())
    # Without xarray's help they are no one object, and what is said then works.
    for given in (files, str(tmp_path)):
        with pytest.raises(UnsupportedError) as raised:
            xr.open_dataset(given, engine="refmaker")
        call = raised.value.hint.removeprefix("join them: ").strip("`")
        joined = eval(call.replace("'refmaker')", "'refmaker', **how)"), {"xarray": xr, "how": how})  # noqa: S307
        xr.testing.assert_identical(joined.load(), theirs.load())


def grib(path, **keys):
    steps = [message(shortName="t", level=850, step=step, seed=step, **keys) for step in (0, 6, 12)]
    path.write_bytes(b"".join(steps))
    return path


@pytest.mark.filterwarnings("ignore")
def test_grib_is_as_through_cfgrib(tmp_path):
    path = grib(tmp_path / "a.grib2")
    theirs = xr.open_dataset(path, engine="cfgrib", backend_kwargs={"indexpath": ""})
    for scan in (None, {"settings": {"grib-grouping": "cfgrib"}}):
        ours = xr.open_dataset(path, engine="refmaker", scan=scan)
        values = np.squeeze(ours["t"].values)  # which cfgrib rounds to single precision
        np.testing.assert_array_equal(values.astype(theirs["t"].dtype), theirs["t"].values)
        np.testing.assert_allclose(ours["latitude"].values, theirs["latitude"].values)


def test_a_pattern_of_parts_is_one_object(tmp_path):
    for hour in (0, 6):
        data = message(shortName="t", level=850, step=hour, seed=hour)
        (tmp_path / f"f{hour:03}.grib2").write_bytes(data)
    (tmp_path / "all.grib2").write_bytes(
        b"".join(path.read_bytes() for path in sorted(tmp_path.glob("f*.grib2")))
    )
    one = xr.open_dataset(tmp_path / "all.grib2", engine="refmaker").load()
    parts = xr.open_dataset(f"{tmp_path}/f*.grib2", engine="refmaker").load()
    np.testing.assert_array_equal(parts["t"], one["t"])
    named = sorted(tmp_path.glob("f*.grib2"))
    np.testing.assert_array_equal(refmaker.open_dataset(named)["t"], one["t"])
    # A file of just such a name is that file.
    (tmp_path / "f[0].grib2").write_bytes((tmp_path / "all.grib2").read_bytes())
    alone = xr.open_dataset(f"{tmp_path}/f[0].grib2", engine="refmaker")
    np.testing.assert_array_equal(alone["t"], one["t"])
    with pytest.raises(SourceNotFoundError, match="no file fits"):
        xr.open_dataset(f"{tmp_path}/g*.grib2", engine="refmaker")


@pytest.mark.filterwarnings("ignore")
def test_a_raster_is_as_through_rioxarray(tmp_path):
    import rasterio
    import rioxarray

    values = np.random.default_rng(3).integers(0, 999, (64, 48)).astype("u2")
    profile = {"driver": "GTiff", "width": 48, "height": 64, "count": 1, "dtype": "uint16"}
    profile |= {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate"}
    profile |= {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 5e6)}
    with rasterio.open(tmp_path / "a.tif", "w", **profile) as file:
        file.write(values, 1)
    theirs = rioxarray.open_rasterio(tmp_path / "a.tif").squeeze()
    ours = xr.open_dataset(tmp_path / "a.tif", engine="refmaker")
    array = next(iter(ours.data_vars.values()))
    np.testing.assert_array_equal(np.squeeze(array.values), theirs.values)
    np.testing.assert_array_equal(ours["x"], theirs["x"])
    np.testing.assert_array_equal(ours["y"], theirs["y"])
    assert ours.rio.crs == theirs.rio.crs


def test_a_folder_of_slices_is_a_volume(tmp_path):
    folder = tmp_path / "ct"
    folder.mkdir()
    save_all(folder, [slice_of((0, 0, 2.5 * number), number) for number in range(4)])
    opened = xr.open_dataset(folder, engine="refmaker")
    refs = refmaker.scan(folder)
    xr.testing.assert_identical(opened.load(), refmaker.open_dataset(refs).load())


def test_a_root_without_arrays(tmp_path):
    with h5py.File(tmp_path / "one.h5", "w") as file:
        file["a/b/x"] = np.arange(5)
        file.create_group("empty")
    with h5py.File(tmp_path / "two.h5", "w") as file:
        file["a/x"] = np.arange(5)
        file["b\x1b/x"] = np.arange(6)
        file["b\x1b/c/x"] = np.arange(7)
    with h5py.File(tmp_path / "none.h5", "w") as file:
        file.attrs["title"] = "nothing"
    for name in ("one.h5", "two.h5", "none.h5"):
        refmaker.scan(tmp_path / name).write(tmp_path / f"{name}.json")
    for end in ("", ".json"):
        opened = xr.open_dataset(tmp_path / f"one.h5{end}", engine="refmaker")
        np.testing.assert_array_equal(opened["x"], np.arange(5))
        assert not xr.open_dataset(tmp_path / f"one.h5{end}", engine="refmaker", group="/")
        assert xr.open_dataset(tmp_path / f"none.h5{end}", engine="refmaker").attrs["title"]
        with pytest.raises(MetadataError) as raised:
            xr.open_dataset(tmp_path / f"two.h5{end}", engine="refmaker")
        text = str(raised.value)
        assert all(part in text for part in ("'a'", "two.h5", "group='a'", "open_datatree"))
        assert "\x1b" not in text
        opened = refmaker.open_dataset(tmp_path / f"two.h5{end}", group="b\x1b/c")
        np.testing.assert_array_equal(opened["x"], np.arange(7))


def test_what_is_left_out_is_named(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.arange(5)
        file["lost"] = h5py.ExternalLink("absent.h5", "/x")
    with pytest.warns(UserWarning, match=r"a\.h5: left out are /lost: "):
        opened = xr.open_dataset(tmp_path / "a.h5", engine="refmaker")
    assert "x" in opened


def test_what_cannot_be_opened_says_why(tmp_path):
    (tmp_path / "a.txt").write_text("words\n" * 100)
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / ".zgroup").write_text('{"zarr_format":2}')
    with pytest.raises(UnknownFormatError, match="text"):
        xr.open_dataset(tmp_path / "a.txt", engine="refmaker")
    with pytest.raises(MetadataError, match="open_zarr"):
        xr.open_dataset(tmp_path / "a.zarr", engine="refmaker")
    with pytest.raises(FileNotFoundError):
        xr.open_dataset(tmp_path / "absent.nc", engine="refmaker")
    (tmp_path / "mixed").mkdir()
    (tmp_path / "mixed" / "a.nc").write_bytes(b"CDF\x01" + bytes(100))
    grib(tmp_path / "mixed" / "b.grib2")
    with pytest.raises(UnsupportedError, match=r"scan=\{'format'"):
        xr.open_dataset(tmp_path / "mixed", engine="refmaker")
    with pytest.raises(TypeError, match="colour"):
        xr.open_dataset(tmp_path / "mixed" / "b.grib2", engine="refmaker", scan={"colour": 1})


@pytest.mark.parametrize(
    "given",
    [b"CDF", None, 5, io.BytesIO(b"CDF"), [b"a"], {"a.nc": 1}],
    ids=["bytes", "none", "number", "file", "list", "dict"],
)
def test_what_has_no_name_is_refused(given):
    with pytest.raises(TypeError, match="has to have a name"):
        refmaker.open_dataset(given)


def test_a_list_of_one_file_is_that_file(netcdf):
    native = xr.open_dataset(netcdf, engine="h5netcdf").load()
    xr.testing.assert_identical(refmaker.open_dataset([netcdf]).load(), native)
    with pytest.raises(SourceNotFoundError, match="no input"):
        refmaker.open_dataset([])


def test_a_file_far_away(netcdf, server, tmp_path):
    native = xr.open_dataset(netcdf, engine="h5netcdf").load()
    url = server.url("a.nc")
    xr.testing.assert_identical(xr.open_dataset(url, engine="refmaker").load(), native)
    xr.testing.assert_identical(refmaker.open_dataset(url).load(), native)
    xr.testing.assert_identical(
        xr.open_dataset(f"refmaker::{url}", engine="refmaker").load(), native
    )
    # Options by prefix, as for the files of a reference set.
    options = {server.url(""): {"headers": {"X-Key": "secret"}}}
    opened = xr.open_dataset(url, engine="refmaker", storage_options=options)
    xr.testing.assert_identical(opened.load(), native)
    # A set without an ending that tells is looked at first.
    refmaker.scan(url).write(tmp_path / "untold")
    xr.testing.assert_identical(refmaker.open_dataset(server.url("untold")).load(), native)


def test_memory(netcdf):
    import fsspec

    fsspec.filesystem("memory").pipe("/made/a.nc", netcdf.read_bytes())
    opened = xr.open_dataset("memory://made/a.nc", engine="refmaker")
    xr.testing.assert_identical(opened.load(), xr.open_dataset(netcdf, engine="h5netcdf").load())
    with pytest.raises(FileNotFoundError):
        xr.open_dataset("memory://made/b.nc", engine="refmaker")


def test_scans_are_kept_and_renewed(netcdf, tmp_path, monkeypatch):
    monkeypatch.setattr(scanning, "_QUICK", -1.0)
    past = time.time() - 100
    os.utime(netcdf, (past, past))
    folder = tmp_path / "kept"
    calls = []
    from refmaker.scanning import one_file

    original = one_file.scan

    def counted(*args, **kwargs):
        calls.append(args)
        return original(*args, **kwargs)

    monkeypatch.setattr(one_file, "scan", counted)
    # The state of a file that has just been changed is not to be trusted.
    monkeypatch.setattr("refmaker.scanning.cache._FINE", 0.0)
    monkeypatch.setattr("refmaker.scanning.cache._COARSE", 0.0)
    with xr.open_dataset(netcdf, engine="h5netcdf") as opened:
        native = opened.load()
    for _ in range(3):
        opened = xr.open_dataset(netcdf, engine="refmaker", scan={"cache": folder})
        xr.testing.assert_identical(opened.load(), native)
    assert len(calls) == 1
    assert refmaker.scan(netcdf, cache=folder).report.format == "hdf5"
    assert len(calls) == 1
    refmaker.scan(netcdf)
    xr.open_dataset(netcdf, engine="refmaker", scan={"cache": False})
    xr.open_dataset(netcdf, engine="refmaker", scan={"cache": folder, "inline_threshold": 1})
    assert len(calls) == 4
    climate(100).drop_vars("name").to_netcdf(tmp_path / "b.nc", engine="h5netcdf")
    shutil.copy(tmp_path / "b.nc", netcdf)
    opened = xr.open_dataset(netcdf, engine="refmaker", scan={"cache": folder})
    xr.testing.assert_identical(
        opened.load(), xr.open_dataset(tmp_path / "b.nc", engine="h5netcdf").load()
    )


def test_quick_scans_leave_nothing_behind(netcdf, monkeypatch):
    monkeypatch.setattr(scanning, "_QUICK", 600.0)
    from refmaker.scanning.cache import open_cache

    xr.open_dataset(netcdf, engine="refmaker")
    assert open_cache().info()["entries"] == 0


def test_other_engines_keep_their_files(netcdf, tmp_path):
    """Unasked, data files are left to the engines whose they are."""
    from xarray.backends.plugins import guess_engine

    grib(tmp_path / "b.grib2")
    for path in (netcdf, tmp_path / "b.grib2", tmp_path):
        assert not xr.backends.list_engines()["refmaker"].guess_can_open(str(path))
    assert guess_engine(str(netcdf)) in ("netcdf4", "h5netcdf")


def test_a_script_without_a_main_guard(netcdf):
    program = f"import refmaker\nprint(float(refmaker.open_dataset({str(netcdf)!r}).tas.sum()))\n"
    script = netcdf.parent / "script.py"
    script.write_text(program)
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=True, cwd=netcdf.parent
    )
    assert float(done.stdout) == float(xr.open_dataset(netcdf, engine="h5netcdf").tas.sum())

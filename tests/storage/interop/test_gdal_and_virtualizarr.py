"""What is scanned from files, in GDAL by name, in VirtualiZarr and in Icechunk behind it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import netCDF4
import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio.transform import Affine

import refmaker
from tests.storage.interop.test_interop import HERE, available

pytestmark = pytest.mark.filterwarnings("ignore")
PLACE = Affine(10, 0, 5e5, 0, -10, 5e6)
GDAL = [name for name in ("gdal",) if available(name)]
OTHERS = [name for name in ("virtualizarr_xarray", "icechunk") if available(name)]
DEFAULT = float(np.float32(9.96921e36))


def cog(path):
    data = np.arange(700 * 600, dtype="u2").reshape(700, 600)
    data[0, :5] = 9999
    with rasterio.open(
        path, "w", driver="COG", width=600, height=700, count=1, dtype="uint16", nodata=9999,
        crs="EPSG:32633", transform=PLACE, blocksize=256, compress="deflate",
    ) as file:  # fmt: skip
        file.write(data, 1)
    return data


@pytest.mark.parametrize("reader", GDAL)
def test_a_pyramid_opens_by_name_with_its_place(tmp_path, reader):
    data = cog(tmp_path / "a.tif")
    refs = refmaker.scan(tmp_path / "a.tif")
    refs.write(tmp_path / "a.json", for_reader=reader)
    with rasterio.open(tmp_path / "a.json") as found:
        levels = found.subdatasets
    images = {name.rpartition(":/")[2] for name in levels}
    largest = max(refs.group.arrays(), key=lambda item: item[1].nbytes)[0]
    assert largest in images
    name = next(name for name in levels if name.endswith(f":/{largest}"))
    with rasterio.open(name) as image:
        assert image.crs.to_epsg() == 32633
        assert image.transform == PLACE
        assert image.nodata == 9999
        np.testing.assert_array_equal(image.read(1), data)


def netcdf(path):
    """Write variables of the kinds of missing values; return what h5netcdf reads."""
    rng = np.random.default_rng(1)
    kinds = [("large", "f4", DEFAULT), ("nan", "f4", np.nan), ("whole", "i2", -999),
             ("none", "f4", None), ("big", "f8", 1e20)]  # fmt: skip
    with netCDF4.Dataset(path, "w") as file:
        for name, size in (("time", 6), ("lat", 16), ("lon", 32)):
            file.createDimension(name, size)
        file.createVariable("time", "f8", ("time",))[:] = range(6)
        file["time"].units = "days since 2000-01-01"
        for name, dtype, missing in kinds:
            variable = file.createVariable(
                name, dtype, ("time", "lat", "lon"), fill_value=missing, chunksizes=(1, 16, 32),
                zlib=True, endian="big" if name == "big" else "native",
            )  # fmt: skip
            values = rng.integers(0, 100, (6, 16, 32)).astype(dtype)
            variable[:] = np.ma.masked_where(values < 3, values)
        crs = file.createVariable("crs", "i4", ())
        crs.grid_mapping_name = "latitude_longitude"
        crs[...] = 0
    with xr.open_dataset(path, engine="h5netcdf", decode_times=False) as found:
        return found.load()


@pytest.mark.parametrize("templates", ["auto", "never"])
def test_stock_readers_give_what_the_file_gives(tmp_path, templates):
    expected = netcdf(tmp_path / "a.nc")
    refmaker.scan(tmp_path / "a.nc").write(tmp_path / "a.json", templates=templates)
    options = {"fo": str(tmp_path / "a.json"), "remote_protocol": "file"}
    for consolidated in (False, True):
        found = xr.open_dataset(
            "reference://", engine="zarr", decode_times=False,
            backend_kwargs={"storage_options": options, "consolidated": consolidated},
        )  # fmt: skip
        for name in expected.variables:
            np.testing.assert_array_equal(found[name].values, expected[name].values)


@pytest.mark.parametrize("reader", GDAL)
def test_gdal_knows_missing_values(tmp_path, reader):
    expected = netcdf(tmp_path / "a.nc")
    refmaker.scan(tmp_path / "a.nc").write(tmp_path / "a.json", for_reader=reader)
    with rasterio.open(tmp_path / "a.json") as file:
        images = {name.rpartition(":/")[2]: name for name in file.subdatasets}
    for name, missing in (("large", DEFAULT), ("nan", np.nan), ("whole", -999), ("big", 1e20)):
        with rasterio.open(images[name]) as image:
            np.testing.assert_equal(image.nodata, missing)
            values = image.read().astype("f8")
        values[values == missing] = np.nan
        np.testing.assert_array_equal(values, expected[name].values)
    with rasterio.open(images["none"]) as image:
        assert image.nodata is None


@pytest.mark.parametrize("column", OTHERS)
def test_virtualizarr_gives_what_the_file_gives(tmp_path, column):
    expected = netcdf(tmp_path / "a.nc")
    (tmp_path / "sets").mkdir()
    for name in ("large", "nan", "whole", "none", "big"):
        refs = refmaker.scan(tmp_path / "a.nc")
        group = refmaker.combine([refs], drop=[n for n in expected.data_vars if n != name]).group
        renamed = {("v" if key == name else key): node for key, node in group.members.items()}
        refmaker.ReferenceSet(type(group)(renamed, group.attributes), refs.report).write(
            tmp_path / "sets" / f"{name}.json", for_reader="virtualizarr"
        )
    command = [sys.executable, str(HERE / "read.py"), column, str(tmp_path / "sets")]
    subprocess.run(
        [*command, str(tmp_path / "out")],
        check=True,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    for name, found in json.loads((tmp_path / "out").read_text()).items():
        assert "error" not in found, found
        values = np.frombuffer(bytes.fromhex(found["bytes"]), found["str"])
        wanted = expected[name].values
        np.testing.assert_array_equal(values.reshape(wanted.shape), wanted)

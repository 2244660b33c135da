"""The parser: every format in VirtualiZarr, equal to what refmaker itself reads."""

from __future__ import annotations

import pickle

import boto3
import h5py
import numpy as np
import pytest
import rasterio
import virtualizarr
import xarray as xr
import zarr
from obspec_utils.registry import ObjectStoreRegistry
from obstore.store import HTTPStore, S3Store

import refmaker
from refmaker.errors import MetadataError, UnsupportedError
from refmaker.virtualizarr import Parser, from_store
from tests.scanners.dicom.image_files import save, slice_of
from tests.scanners.grib.messages import message
from tests.virtualizarr.files import JOIN, day

pytestmark = pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning")


def netcdf(path):
    with h5py.File(path, "w") as file:
        file["plain"] = np.arange(300.0)
        packed = np.arange(60, dtype=">i2").reshape(6, 10)
        how = {"chunks": (3, 5), "compression": "gzip", "shuffle": True, "fletcher32": True}
        file.create_dataset("packed", data=packed, fillvalue=-999, **how)
        file.create_dataset("sparse", (8,), "f4", chunks=(2,), fillvalue=np.nan)[2:4] = 7
        file["text"] = np.array(["a", "bc", "日本"], object)
        file["fixed"] = np.array([b"one", b"three"])
        file["number"] = 5
        file["deep/er/x"] = np.arange(12).reshape(3, 4)
        file["deep"].attrs["title"] = "made"
        file.create_dataset("nothing", (0, 3), "i4")
    return path


def netcdf3(path):
    day(0).to_netcdf(path, engine="scipy", format="NETCDF3_CLASSIC")
    return path


def raster(path):
    values = np.arange(64 * 48, dtype="u2").reshape(64, 48)
    how = {"driver": "GTiff", "width": 48, "height": 64, "count": 1, "dtype": "uint16",
           "compress": "lzw", "tiled": True, "blockxsize": 16, "blockysize": 16}  # fmt: skip
    where = {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 5e6)}
    with rasterio.open(path, "w", nodata=9, **how, **where) as file:
        file.write(values, 1)
    return path


def grib(path):
    path.write_bytes(b"".join(message(shortName="t", level=p, seed=p) for p in (850, 500)))
    return path


def dicom(path):
    save(slice_of((0, 0, 1), 1), path)
    return path


MAKERS = {"a.h5": netcdf, "a.nc": netcdf3, "a.tif": raster, "a.grib2": grib, "a.dcm": dicom}


def values_of(array):
    return np.asarray(array[...])


@pytest.mark.parametrize("name", MAKERS)
def test_every_array_is_equal(name, tmp_path, registry):
    path = MAKERS[name](tmp_path / name)
    refs = refmaker.scan(path)
    parser = Parser(strict=True)
    store = parser(f"file://{path}", registry)
    group = refmaker.open_group(refs)
    names = [where for where, _ in refs.group.arrays()]
    assert names
    for where in names:
        true = values_of(group[where])
        read = values_of(zarr.open_array(store, path=where, mode="r", zarr_format=3))
        assert read.shape == true.shape
        assert read.tobytes() == true.tobytes() or read.tolist() == true.tolist(), where
    assert [row.path for row in parser.report.rows] == [row.path for row in refs.report.rows]
    # And back: the same tables, and what is read is the same.
    back = from_store(store)
    assert {where for where, _ in back.group.arrays()} == set(names)
    again = refmaker.open_group(back)
    for where in names:
        assert back.group[where].chunks.same(refs.group[where].chunks), where
        true, read = values_of(group[where]), values_of(again[where])
        assert read.tobytes() == true.tobytes() or read.tolist() == true.tolist(), where


def test_groups_and_variables_are_chosen(tmp_path, registry):
    url = f"file://{netcdf(tmp_path / 'a.h5')}"
    deep = Parser("deep/er")(url, registry)
    assert list(deep._group.arrays) == ["x"]
    some = Parser(skip_variables=["packed", "deep/er/x", "number"])(url, registry)._group
    assert not {"packed", "number"} & set(some.arrays)
    assert "er" in some["deep"].groups
    assert not some["deep"]["er"].arrays
    assert not Parser(skip_variables=["deep"])(url, registry)._group.groups
    for wrong in ("absent", "plain"):
        with pytest.raises(MetadataError, match="'deep', 'deep/er'"):
            Parser(group=wrong)(url, registry)


def test_datasets_and_trees(tmp_path, registry):
    path = tmp_path / "a b%20c.nc"
    day(0).to_netcdf(path, engine="h5netcdf")
    day(0).to_netcdf(path, engine="h5netcdf", group="inner", mode="a")
    native = xr.open_dataset(path, engine="h5netcdf").load()
    # VirtualiZarr percent-encodes a path that has no protocol.
    for url in (str(path), f"file://{path}"):
        opened = virtualizarr.open_virtual_dataset(url, registry, Parser())
        for name in native.variables:
            assert name in opened.variables
        np.testing.assert_array_equal(opened["time"], native["time"])
    tree = virtualizarr.open_virtual_datatree(f"file://{path}", registry=registry, parser=Parser())
    assert set(tree.groups) == {"/", "/inner"}


def test_what_is_left_out_is_told(tmp_path, registry):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.arange(3)
        file["lost"] = h5py.ExternalLink("absent.h5", "/x")
        file["record"] = np.zeros(1200, [("a", ">i4"), ("b", "<f8")])
    url = f"file://{tmp_path}/a.h5"
    parser = Parser(inline_threshold=0)
    with pytest.warns(UserWarning) as told:  # noqa: PT030 - both texts are looked at
        store = parser(url, registry)
    texts = " ".join(str(warning.message) for warning in told)
    assert "left out are /lost: " in texts
    assert "left out are record: " in texts
    assert list(store._group.arrays) == ["x"]
    assert {row.path for row in parser.report.skipped} == {"/lost", "record"}
    with pytest.raises(UnsupportedError, match="lost"):
        Parser(strict=True)(url, registry)
    with h5py.File(tmp_path / "a.h5", "a") as file:
        del file["lost"]
    with pytest.raises(UnsupportedError, match="record"):
        Parser(strict=True)(url, registry)


def test_names_and_options(tmp_path, registry):
    path = netcdf(tmp_path / "a#1.h5")
    with pytest.raises(UnsupportedError, match="rename the file"):
        Parser(strict=True)(f"file://{path}", registry)
    with pytest.raises(TypeError, match="colour"):
        Parser(colour="red")(f"file://{path}", registry)
    parser = pickle.loads(pickle.dumps(Parser("g", ["x"], inline_threshold=3)))
    assert (parser.group, parser.skip_variables) == ("g", {"x"})
    assert parser.scan_options == {"inline_threshold": 3}
    assert "g" in repr(parser)


def test_many_files_over_http(tmp_path, server):
    for number in range(3):
        day(number).to_netcdf(tmp_path / f"d{number}.nc", engine="h5netcdf")
    base = server.url("").rstrip("/")
    store = HTTPStore.from_url(base, client_options={"allow_http": True})
    registry = ObjectStoreRegistry({base: store})
    urls = [server.url(f"d{number}.nc") for number in range(3)]
    opened = virtualizarr.open_virtual_mfdataset(urls, registry, Parser(), **JOIN)
    refs = refmaker.virtualizarr.from_dataset(opened)
    files = [tmp_path / f"d{number}.nc" for number in range(3)]
    with xr.open_mfdataset(files, engine="h5netcdf", **JOIN) as native:
        xr.testing.assert_equal(refmaker.open_dataset(refs).load(), native.load())


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_files_in_a_bucket(tmp_path, monkeypatch):
    from moto.server import ThreadedMotoServer

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    moto.start()
    try:
        host, port = moto.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
        client.create_bucket(Bucket="bucket")
        day(0).to_netcdf(tmp_path / "d.nc", engine="h5netcdf")
        client.upload_file(str(tmp_path / "d.nc"), "bucket", "data/d.nc")
        store = S3Store(
            "bucket", endpoint=endpoint, region="us-east-1", access_key_id="test",
            secret_access_key="test", client_options={"allow_http": True},  # noqa: S106
            virtual_hosted_style_request=False,
        )  # fmt: skip
        registry = ObjectStoreRegistry({"s3://bucket": store})
        options = {"endpoint_url": endpoint, "client_kwargs": {"region_name": "us-east-1"}}
        parser = Parser(storage_options=options)
        found = parser("s3://bucket/data/d.nc", registry)
        native = xr.open_dataset(tmp_path / "d.nc", engine="h5netcdf")
        read = zarr.open_array(found, path="tas", mode="r", zarr_format=3)[...]
        raw = xr.open_dataset(tmp_path / "d.nc", engine="h5netcdf", decode_cf=False)
        np.testing.assert_array_equal(read, raw["tas"].values)
        assert set(found._group.arrays) == set(native.variables)
    finally:
        moto.stop()

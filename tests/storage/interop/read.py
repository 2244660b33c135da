"""Read sets with one reader, in a process of its own: ``python read.py READER FOLDER OUT``.

The array ``v`` of every ``<name>.json`` in FOLDER goes to OUT as JSON: its shape, dtype and bytes,
or the error. Kept free of this package's code, as its users are.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import numpy as np

warnings.simplefilter("ignore")


def fsspec_zarr(path, group):
    """Stock fsspec and zarr, values as they are stored."""
    return opened(path)[f"{group}v"][...]


def opened(path, **more):
    import fsspec
    import zarr
    from zarr.storage import FsspecStore

    fs = fsspec.filesystem(
        "reference",
        fo=str(path) if isinstance(path, Path) else path,
        remote_protocol="file",
        asynchronous=True,
        skip_instance_cache=True,
    )
    store = FsspecStore(fs, read_only=True)
    return zarr.open_group(store, mode="r", zarr_format=2, use_consolidated=False, **more)


def zarrs(path, group):
    """The codec pipeline of zarrs below stock fsspec and zarr."""
    import zarr

    with zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"}):
        return opened(path)[f"{group}v"][...]


def xarray_fsspec(path, group):
    """Stock fsspec, zarr and xarray, values decoded."""
    import xarray as xr

    options = {"fo": str(path), "remote_protocol": "file", "skip_instance_cache": True}
    return xr.open_dataset(
        "reference://", engine="zarr", chunks=None, group=group or None, decode_timedelta=False,
        backend_kwargs={"storage_options": options, "consolidated": False},
    )["v"].values  # fmt: skip


def virtual(path, group):
    from obspec_utils.registry import ObjectStoreRegistry
    from obstore.store import LocalStore
    from virtualizarr.parsers import KerchunkJSONParser

    registry = ObjectStoreRegistry({"file://": LocalStore()})
    parser = KerchunkJSONParser(group=group.strip("/") or None)
    return path.as_uri(), parser, registry


def virtualizarr(path, group):
    """VirtualiZarr's own store over its parser of kerchunk JSON, values as they are stored."""
    import zarr

    url, parser, registry = virtual(path, group)
    return zarr.open_group(parser(url, registry), mode="r", zarr_format=3)["v"][...]


def virtualizarr_xarray(path, group):
    """What VirtualiZarr loads, values decoded."""
    from virtualizarr import open_virtual_dataset

    url, parser, registry = virtual(path, group)
    found = open_virtual_dataset(
        url, registry=registry, parser=parser, loadable_variables=["v"], decode_times=False
    )
    return found["v"].values


def icechunk(path, group):
    """From VirtualiZarr to Icechunk, and out of that by xarray, values decoded."""
    import icechunk as ice
    import xarray as xr
    from virtualizarr import open_virtual_dataset

    url, parser, registry = virtual(path, group)
    found = open_virtual_dataset(
        url, registry=registry, parser=parser, loadable_variables=[], decode_times=False
    )
    above = path.parent.parent
    here = above.as_uri() + "/"
    config = ice.RepositoryConfig.default()
    store = ice.local_filesystem_store(str(above))
    config.set_virtual_chunk_container(ice.VirtualChunkContainer(here, store))
    repository = ice.Repository.create(
        ice.in_memory_storage(), config, authorize_virtual_chunk_access={here: None}
    )
    session = repository.writable_session("main")
    found.vz.to_icechunk(session.store)
    return xr.open_zarr(session.store, consolidated=False, chunks=None, decode_times=False)[
        "v"
    ].values


def gdal(path, group):
    """GDAL's classic API through rasterio."""
    import rasterio

    name = f'ZARR:"/vsikerchunk_json_ref/{{{path}}}":/{group}v'
    with rasterio.Env(GDAL_PAM_ENABLED="NO"), rasterio.open(name) as source:
        return source.read()


def gdal_by_name(path, group):
    """Whether GDAL recognises the file by itself."""
    import rasterio

    with rasterio.Env(GDAL_PAM_ENABLED="NO"), rasterio.open(str(path)) as source:
        names = source.subdatasets or [f":/{group}v"]
        assert any(name.endswith(f":/{group}v") for name in names), names


def kerchunk(path, group):
    """Through kerchunk's MultiZarrToZarr, then as stock fsspec and zarr read."""
    from kerchunk.combine import MultiZarrToZarr

    found = MultiZarrToZarr(
        [str(path)], remote_protocol="file", concat_dims=["file"], coo_map={"file": "INDEX"},
        identical_dims=["time", "lat", "lon"],
    ).translate()  # fmt: skip
    return opened(found)[f"{group}v"][...][0]


def tensorstore(path, group):
    """TensorStore over the same keys with the bytes themselves, as they are served."""
    import fsspec
    import tensorstore

    fs = fsspec.filesystem("reference", fo=str(path), remote_protocol="file")
    store = {f"x/{key}": fs.cat(key) for key in fs.references if not key.startswith(".zmeta")}
    context = tensorstore.Context()
    memory = tensorstore.KvStore.open("memory://", context=context).result()
    for key, data in store.items():
        memory.write(key, data).result()
    spec = {"driver": "zarr", "kvstore": {"driver": "memory", "path": f"x/{group}v/"}}
    values = tensorstore.open(spec, context=context, open=True).result().read().result()
    # Of texts of fixed length it makes a dimension of letters.
    if values.dtype.kind != "S":
        return values
    return np.ascontiguousarray(values).view(f"S{values.shape[-1]}")[..., 0]


READERS = {
    "fsspec": fsspec_zarr,
    "zarrs": zarrs,
    "xarray": xarray_fsspec,
    "virtualizarr": virtualizarr,
    "virtualizarr_xarray": virtualizarr_xarray,
    "icechunk": icechunk,
    "gdal": gdal,
    "gdal_by_name": gdal_by_name,
    "kerchunk": kerchunk,
    "tensorstore": tensorstore,
}


def told(values):
    """Return values in JSON: bytes where they have any of their own."""
    values = np.asarray(values)
    head = {"shape": values.shape, "dtype": str(values.dtype), "kind": values.dtype.kind}
    if values.dtype.kind in "OTV":
        return {**head, "items": [_item(item) for item in values.ravel().tolist()]}
    plain = values.astype(values.dtype.newbyteorder("<"))
    return {**head, "str": plain.dtype.str, "bytes": plain.tobytes().hex()}


def _item(item):
    if isinstance(item, tuple):
        return [_item(part) for part in item]
    return item.hex() if isinstance(item, bytes) else str(item)


def main(reader, folder, out):
    found = {}
    for path in sorted(Path(folder).resolve().glob("*.json")):
        group = "sub/" if path.stem.startswith("group.") or path.stem == "group" else ""
        try:
            values = READERS[reader](path, group)
            found[path.stem] = {} if values is None else told(values)
        except BaseException as error:  # noqa: BLE001 - pyo3's panics are no exceptions
            found[path.stem] = {"error": f"{type(error).__name__}: {str(error)[:200]}"}
    Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])

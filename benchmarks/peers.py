"""What each tool does with an input: the same work, from a path to something written.

Run as ``python benchmarks/peers.py TOOL INPUT OUTPUT`` for the work as a command, or as ``...
--warm TINY TOOL INPUT OUTPUT`` for the CPU seconds of the work alone, after the same was done once
with a tiny input, so that imports count nowhere. Where a tool has a choice, it is given what is
cheapest for it: kerchunk inlines nothing, VirtualiZarr loads no variable.

Each function returns how many references the largest array has, or how many messages, headers or
values it read: what is compared has to be the same work.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["WORK", "packages"]


def refmaker(path: str, out: str) -> int:
    import refmaker as package

    refs = package.scan(path)
    refs.write(out)
    return max(array.chunks.present for _, array in refs.group.arrays())


def refmaker_combine(path: str, out: str) -> int:
    import refmaker as package

    refs = package.combine(map(package.scan, _files(path)), concat="time")
    refs.write(out)
    return int(refs.group["sst"].chunks.present)


def refmaker_open(path: str, _: str) -> int:
    import refmaker as package

    return _members(package.open_group(path))


def refmaker_read(path: str, _: str) -> int:
    import refmaker as package

    return int(package.open_group(path)["v"][:].size)


def stock_open(path: str, _: str) -> int:
    return _members(_stock(path))


def stock_read(path: str, _: str) -> int:
    return int(_stock(path)["v"][:].size)


def _stock(path: str) -> Any:
    import zarr

    options = {"fo": path, "remote_protocol": "file"}
    return zarr.open_group("reference://", mode="r", zarr_format=2, storage_options=options)


def _members(group: Any) -> int:
    return sum(1 for _ in group.array_keys())


def h5py_read(path: str, _: str) -> int:
    import h5py

    with h5py.File(Path(path).with_suffix(".nc")) as file:
        return int(file["v"][:].size)


def kerchunk_hdf(path: str, out: str) -> int:
    from kerchunk.hdf import SingleHdf5ToZarr

    return _dumped(SingleHdf5ToZarr(path, inline_threshold=0).translate(), out)


def kerchunk_combine(path: str, out: str) -> int:
    from kerchunk.combine import MultiZarrToZarr
    from kerchunk.hdf import SingleHdf5ToZarr

    found = [SingleHdf5ToZarr(name, inline_threshold=1024).translate() for name in _files(path)]
    return _dumped(
        MultiZarrToZarr(
            found, concat_dims=["time"], identical_dims=["lat", "lon"], remote_protocol="file"
        ).translate(),
        out,
    )


def kerchunk_grib(path: str, out: str) -> int:
    import ujson
    from kerchunk.grib2 import scan_grib

    found = scan_grib(path)
    with open(out, "w") as file:
        ujson.dump(found, file)
    return len(found)


def kerchunk_hdf4(path: str, out: str) -> int:
    from kerchunk.hdf4 import HDF4ToZarr

    return _dumped(HDF4ToZarr(path).translate(), out)


def kerchunk_fits(path: str, out: str) -> int:
    from astropy.io import fits
    from kerchunk.fits import process_file

    with fits.open(path) as file:  # without a list of units it takes the first one alone
        units = [number for number, unit in enumerate(file) if unit.is_image and unit.shape]
    return _dumped(process_file(path, extension=units), out)


def virtualizarr_hdf4(path: str, _: str) -> int:
    """Its manifests alone."""
    from virtualizarr.parsers import HDF4Parser

    return _manifests(HDF4Parser(), path)


def virtualizarr_fits(path: str, _: str) -> int:
    """Its manifests alone."""
    from virtualizarr.parsers import FITSParser

    return _manifests(FITSParser(), path)


def _manifests(parser: Any, path: str) -> int:
    store = parser(f"file://{path}", _registry())
    arrays = store._group.arrays.values()  # noqa: SLF001 - nothing public tells it
    return max(len(array.manifest.dict()) for array in arrays)


def _dumped(found: dict[str, Any], out: str) -> int:
    import ujson

    refs = found.get("refs", found)
    texts = {key: row.decode() if isinstance(row, bytes) else row for key, row in refs.items()}
    with open(out, "w") as file:
        ujson.dump(found | {"refs": texts} if refs is not found else texts, file)
    return _most(refs)


def _most(keys: Iterable[str]) -> int:
    """Return how many references the array has that has most."""
    split = (key.rpartition("/") for key in keys)
    return max(Counter(array for array, _, key in split if not key.startswith(".z")).values())


def _files(folder: str) -> list[str]:
    return sorted(str(path) for path in Path(folder).glob("*.nc"))


def virtualizarr(path: str, out: str) -> int:
    from virtualizarr.parsers import HDFParser

    return _virtual(HDFParser(), path, out)


def virtualizarr_dmrpp(path: str, out: str) -> int:
    from virtualizarr.parsers import DMRPPParser

    return _virtual(DMRPPParser(), path, out)


def virtualizarr_zarr(path: str, _: str) -> int:
    """Its manifests alone: arrays without names of dimensions are not written by it."""
    from virtualizarr.parsers import ZarrParser

    return _manifests(ZarrParser(), path)


def _virtual(parser: Any, path: str, out: str) -> int:
    store = parser(f"file://{path}", _registry())
    dataset = store.to_virtual_dataset(loadable_variables=[])
    dataset.vz.to_kerchunk(out, format="json")
    return max(_refs(dataset[name]) for name in dataset.variables)


def _refs(variable: Any) -> int:
    import numpy as np

    return int(np.prod(variable.data.manifest.shape_chunk_grid))


def _registry() -> Any:
    from obspec_utils.registry import ObjectStoreRegistry
    from obstore.store import LocalStore

    return ObjectStoreRegistry({"file://": LocalStore()})


def virtualizarr_combine(path: str, out: str) -> int:
    import virtualizarr as package
    from virtualizarr.parsers import HDFParser

    found = package.open_virtual_mfdataset(
        [f"file://{name}" for name in _files(path)], registry=_registry(), parser=HDFParser(),
        concat_dim="time", combine="nested", data_vars="minimal", coords="minimal",
        compat="override", join="exact", combine_attrs="override",
    )  # fmt: skip
    found.vz.to_kerchunk(out, format="json")
    return _refs(found["sst"])


def tifffile(path: str, out: str) -> int:
    import tifffile as package
    import tifffile.zarr

    with package.TiffFile(path) as file, file.series[0].aszarr() as store:
        store.write_fsspec(out, url="")
    return _most(json.loads(Path(out).read_text()))


def virtual_tiff(path: str, _: str) -> int:
    from virtual_tiff import VirtualTIFF

    groups = [VirtualTIFF(ifd_layout="nested")(f"file://{path}", _registry())._group]  # noqa: SLF001
    total = 0
    while groups:
        group = groups.pop()
        groups += group.groups.values()
        total += sum(len(array.manifest.dict()) for array in group.arrays.values())
    return total


def gribberish(path: str, out: str) -> int:
    """Its mapping alone, and the JSON of it."""
    from gribberish import parse_grib_mapping

    found = parse_grib_mapping(Path(path).read_bytes())
    Path(out).write_text(json.dumps({name: list(row)[:2] for name, row in found.items()}))
    return len(found)


def eccodes(path: str, out: str) -> int:
    import eccodes as ec

    keys = ("paramId", "shortName", "typeOfLevel", "level", "dataDate", "endStep", "stepType",
            "md5GridSection")  # fmt: skip
    count = 0
    with open(path, "rb") as file, open(out, "w") as lines:
        while (handle := ec.codes_grib_new_from_file(file, headers_only=True)) is not None:
            print(*(ec.codes_get(handle, key) for key in keys), file=lines)
            ec.codes_release(handle)
            count += 1
    return count


def cfgrib(path: str, out: str) -> int:
    import pickle

    from cfgrib import dataset, messages

    index = dataset.open_fileindex(messages.FileStream(path), indexpath="")
    with open(out, "wb") as file:
        pickle.dump(index, file)
    return sum(len(ids) for _, ids in index.field_ids_index)


def gribscan(path: str, out: str) -> int:
    import gribscan as package

    package.write_index(path, Path(out), force=True)
    with open(out) as lines:
        return sum(1 for _ in lines)


def pydicom(path: str, _: str) -> int:
    """Headers alone: nothing is sorted or written."""
    import pydicom as package

    names = sorted(Path(path).glob("*.dcm"))
    return sum(bool(package.dcmread(name, stop_before_pixels=True)) for name in names)


def simpleitk(path: str, _: str) -> int:
    """Finding the series and the order of its slices alone."""
    import SimpleITK

    reader = SimpleITK.ImageSeriesReader()
    return sum(
        len(reader.GetGDCMSeriesFileNames(path, series)) for series in reader.GetGDCMSeriesIDs(path)
    )


WORK: dict[str, Callable[[str, str], int]] = {
    found.__name__.replace("_", "-"): found
    for found in (
        refmaker, refmaker_combine, refmaker_open, refmaker_read, stock_open, stock_read,
        h5py_read, kerchunk_hdf, kerchunk_hdf4, kerchunk_fits, kerchunk_grib, kerchunk_combine,
        virtualizarr, virtualizarr_hdf4, virtualizarr_fits, virtualizarr_dmrpp, virtualizarr_zarr,
        virtualizarr_combine, tifffile, virtual_tiff, gribberish, eccodes, cfgrib, gribscan,
        pydicom, simpleitk,
    )
}  # fmt: skip


def packages() -> dict[str, str]:
    """Return the versions of what is measured, as far as it is installed."""
    from importlib.metadata import PackageNotFoundError, version

    names = ("numpy", "h5py", "zarr", "fsspec", "kerchunk", "virtualizarr", "tifffile",
             "virtual-tiff", "gribberish", "eccodes", "cfgrib", "gribscan", "pydicom",
             "SimpleITK")  # fmt: skip
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def main() -> None:
    warnings.simplefilter("ignore")
    given = sys.argv[1:]
    if given[0] != "--warm":
        tool, path, out = given
        WORK[tool](path, out)
        return
    _, tiny, tool, path, out = given
    WORK[tool](tiny, out)
    started = _spent()
    count = WORK[tool](path, out)
    print(json.dumps({"cpu": _spent() - started, "count": count}))


def _spent() -> float:
    """CPU seconds of this process, and of those of its children that have ended."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


if __name__ == "__main__":
    main()

"""What `run.py` measures: inputs, and the commands that do the same work with them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

from documents import LAYOUTS
from measure import run

__all__ = ["CASES", "FORMATS", "Case", "Input", "command", "input_path", "path_of"]

HERE = Path(__file__).parent


class Input(NamedTuple):
    """What an input is made of; see `inputs.py`."""

    kind: str
    name: str
    count: float
    least: int
    suffix: str


class Case(NamedTuple):
    """One input, and the tools that it is given to."""

    name: str
    format: str
    title: str
    input: Input
    tools: tuple[str, ...]
    """Functions of `peers.py`; the first one is refmaker's."""
    targets: dict[str, float]
    """How many times as much CPU time each peer should need at least."""
    tiny: str
    """The case whose input is done first where imports are not to count."""


def path_of(case: Case, folder: Path, scale: float) -> Path:
    """Return the input of a case, which is made unless it is there."""
    full = case.input.count * scale
    exact = case.input.kind in ("hdf5", "tiff")
    count = max(case.input.least, full if exact else int(full))
    return input_path(case.input._replace(count=count), folder)


def input_path(of: Input, folder: Path) -> Path:
    """Return an input, which is made unless it is there."""
    path = folder / f"{of.kind}-{of.name}-{of.count:g}{of.suffix}"
    if not path.exists():
        run("inputs.py", of.kind, of.name, of.count, path)
    return path


def command(tool: str, path: Path, out: Path) -> list[str]:
    """Return the command: refmaker's as users type it, where it is one."""
    scan = [sys.executable, "-m", "refmaker", "scan", "-q", "--overwrite", "-o", str(out)]
    if tool == "refmaker":
        return [*scan, str(path)]
    if tool == "refmaker-combine":
        return [*scan, *sorted(map(str, path.glob("*.nc"))), "--concat", "time", "-j", "1"]
    return [sys.executable, str(HERE / "peers.py"), tool, str(path), str(out)]


FORMATS = {
    "hdf5": "HDF5, netCDF4", "hdf4": "HDF4", "tiff": "TIFF", "grib": "GRIB", "dicom": "DICOM",
    "fits": "FITS", "zarr": "Zarr", "dmrpp": "DMR++", "combine": "files to a cube",
    "open": "opening a set", "read": "reading",
}  # fmt: skip


def _cases() -> tuple[Case, ...]:
    hdf5 = ("refmaker", "kerchunk-hdf", "virtualizarr")
    hdf4 = ("refmaker", "kerchunk-hdf4", "virtualizarr-hdf4")
    fits = ("refmaker", "kerchunk-fits", "virtualizarr-fits")
    pages = ("refmaker", "tifffile", "virtual-tiff")
    indexes = ("refmaker", "gribberish", "eccodes", "cfgrib")
    slices = ("refmaker", "pydicom", "simpleitk")
    cubes = ("refmaker-combine", "kerchunk-combine", "virtualizarr-combine")
    opens = ("refmaker-open", "stock-open")
    stores = ("refmaker", "virtualizarr-zarr")
    none: dict[str, float] = {}
    small = Input("hdf5", "climate", 1 / 176, 0, ".nc")
    days, message, document = ("days", "", 3, 3, ""), ("grib", "small"), ("document", "interleaved")
    rows = (
        ("climate-small", "hdf5", "a climate file of 30 chunks", small, hdf5, none, ""),
        ("climate", "hdf5", "an ordinary climate file, 5,280 chunks",
         ("hdf5", "climate", 1, 0, ".nc"), hdf5, {"kerchunk-hdf": 3}, "climate-small"),
        ("variables", "hdf5", "2,000 variables of 50 chunks",
         ("hdf5", "variables", 1, 0, ".nc"), hdf5, none, "climate-small"),
        ("chunks-200k", "hdf5", "200,000 chunks",
         ("hdf5", "btree-v1", 0.2, 0, ".h5"), hdf5, {"kerchunk-hdf": 8}, "climate-small"),
        ("chunks-1m", "hdf5", "a million chunks",
         ("hdf5", "btree-v1", 1, 0, ".h5"), hdf5, none, "climate-small"),
        ("hdf4-few", "hdf4", "14 data sets of 4 chunks", ("hdf4", "few", 4, 4, ".hdf"), hdf4, none,
         ""),
        ("hdf4", "hdf4", "200 data sets of 30 chunks", ("hdf4", "many", 30, 2, ".hdf"), hdf4,
         {"kerchunk-hdf4": 6, "virtualizarr-hdf4": 8}, "hdf4-few"),
        ("pages-few", "tiff", "20 pages", ("tiff", "pages", 0.0004, 0, ".tif"), pages, none, ""),
        ("pages", "tiff", "50,000 pages", ("tiff", "pages", 1, 0, ".tif"), pages,
         {"tifffile": 5}, "pages-few"),
        ("tiles", "tiff", "an image of 30,000 tiles", ("tiff", "tiles", 1, 0, ".tif"), pages,
         none, "pages-few"),
        ("messages-50", "grib", "50 messages", (*message, 50, 50, ".grib2"),
         (*indexes, "gribscan", "kerchunk-grib"), none, ""),
        ("messages-2k", "grib", "2,000 small messages", (*message, 2000, 50, ".grib2"),
         indexes, none, "messages-50"),
        ("messages-20k", "grib", "20,000 small messages", (*message, 20000, 50, ".grib2"),
         indexes[:3], {"gribberish": 1}, "messages-50"),
        ("messages-large", "grib", "200 messages of 721 x 1440 values",
         ("grib", "large", 200, 50, ".grib2"), indexes, none, "messages-50"),
        ("slice", "dicom", "one slice", ("dicom", "series", 1, 1, ""), slices, none, ""),
        ("slices", "dicom", "a series of 2,000 slices", ("dicom", "series", 2000, 2, ""), slices,
         {"pydicom": 4}, "slice"),
        ("fits", "fits", "one image of 64 MiB", ("fits", "image", 1, 1, ".fits"), fits,
         {"virtualizarr-fits": 4}, ""),
        ("fits-many", "fits", "200 images", ("fits", "many images", 1, 1, ".fits"), fits,
         {"virtualizarr-fits": 4}, "fits"),
        ("zarr-2", "zarr", "version 2, 10,000 chunks",
         ("store", "v2-dots", 10000, 16, ".zarr"), stores, {"virtualizarr-zarr": 4}, ""),
        ("zarr-3", "zarr", "version 3, 10,000 chunks",
         ("store", "v3-slashes", 10000, 16, ".zarr"), stores, {"virtualizarr-zarr": 4}, ""),
        ("dmrpp", "dmrpp", "100,000 chunks", ("dmrpp", "three-dimensions", 100_000, 100, ".dmrpp"),
         ("refmaker", "virtualizarr-dmrpp"), {"virtualizarr-dmrpp": 5}, ""),
        ("days-few", "combine", "3 files of 100 chunks", days, cubes, none, ""),
        ("days", "combine", "300 files of 100 chunks", ("days", "", 300, 3, ""), cubes, none,
         "days-few"),
        ("open-1k", "open", "a thousand references", (*document, 1000, 1000, ".json"), opens,
         none, ""),
        ("open-100k", "open", "100,000 references", (*document, 100_000, 1000, ".json"), opens,
         none, "open-1k"),
        *(
            (f"open-{layout}", "open", f"a million references, {layout.replace('-', ' ')}",
             ("document", layout, 1_000_000, 1000, ".json"), opens, {"stock-open": 2}, "open-1k")
            for layout in LAYOUTS
        ),
        ("read", "read", "a compressed variable of 250 MB", ("values", "", 120, 2, ".json"),
         ("refmaker-read", "stock-read", "h5py-read"), none, ""),
    )  # fmt: skip
    return tuple(
        Case(name, kind, title, Input(*given), tools, targets, tiny or name)
        for name, kind, title, given, tools, targets, tiny in rows
    )


CASES = _cases()

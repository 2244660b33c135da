"""What one command on one small file costs: whole processes, as multiples of loading numpy.

That is `import numpy` with one thread for BLAS, the least that any command here can cost. Run as
``python benchmarks/startup.py``. Every command starts Python anew, imports what it needs and ends,
as it does when it is typed; what it uses is user and system time, of processes that it starts,
too. Commands take turns, round after round, and of each the cheapest round counts.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NUMPY = "import numpy"
REFERENCE = "numpy, one BLAS thread"
FLOOR = "numpy, click, ujson"
TARGETS = {"tiff": 2.2, "dicom": 2.2, "netcdf4": 2.4, "netcdf3": 2.2, "grib": 2.4}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--check", action="store_true", help="end with 1 if a target is missed")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cost = measured(commands(inputs(Path(folder)), Path(folder)), given.rounds)
    unit = cost[REFERENCE]
    short = [name for name, most in TARGETS.items() if cost[name] > most * unit]
    if given.json:
        print(json.dumps({"cpu": cost, "targets": TARGETS, "short": short}))
    else:
        print(f"{'command':<26} {'CPU s':>7} {'x numpy':>8}  target")
        for name, seconds in cost.items():
            most = TARGETS.get(name)
            said = "" if most is None else f"{most:g}: {'FALLS SHORT' if name in short else 'PASS'}"
            print(f"{name:<26} {seconds:7.3f} {seconds / unit:8.2f}  {said}".rstrip())
    return int(given.check and bool(short))


def commands(files: Mapping[str, Path], folder: Path) -> dict[str, list[str]]:
    """Return the arguments of Python for each command."""
    tool = ["-m", "refmaker"]
    out = ["-q", "--overwrite", "-o", str(folder / "out.json")]
    scans = {name: [*tool, "scan", str(path), *out] for name, path in files.items()}
    return {
        "python": ["-c", "pass"],
        NUMPY: ["-c", "import numpy"],
        REFERENCE: ["-c", "import numpy"],
        FLOOR: ["-c", "import numpy, click, ujson, logging"],
        "import refmaker": ["-c", "import refmaker"],
        "refmaker --version": [*tool, "--version"],
        "refmaker --help": [*tool, "--help"],
        "refmaker scan --help": [*tool, "scan", "--help"],
        **scans,
    }


def measured(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, float]:
    """Return the least CPU seconds of each command."""
    from commands import cost, environment

    kept = environment()
    alone = {**kept, "OPENBLAS_NUM_THREADS": "1"}
    found: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds + 1):
        for name, arguments in commands.items():
            own = alone if name in (REFERENCE, FLOOR) else kept
            found[name].append(cost([sys.executable, *arguments], own).cpu)
    # The first round writes bytecode.
    return {name: min(seconds[1:]) for name, seconds in found.items()}


def inputs(folder: Path) -> dict[str, Path]:
    """Write a small file of each format, as the usual library writes it."""
    import eccodes
    import h5py
    import pydicom
    import tifffile
    from pydicom.dataset import FileDataset, FileMetaDataset

    values = np.arange(256, dtype="<u2").reshape(16, 16)
    paths = {
        "tiff": folder / "one.tif",
        "dicom": folder / "one.dcm",
        "netcdf4": folder / "one.nc",
        "netcdf3": folder / "classic.nc",
        "grib": folder / "one.grib2",
    }
    tifffile.imwrite(paths["tiff"], values)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    image = FileDataset(str(paths["dicom"]), {}, file_meta=meta, preamble=bytes(128))
    image.SOPClassUID, image.SOPInstanceUID = meta.MediaStorageSOPClassUID, "1.2.3"
    image.Rows = image.Columns = 16
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit, image.PixelRepresentation, image.SamplesPerPixel = 15, 0, 1
    image.Modality, image.PhotometricInterpretation = "CT", "MONOCHROME2"
    image.PixelData = values.tobytes()
    image.save_as(paths["dicom"], enforce_file_format=True)
    with h5py.File(paths["netcdf4"], "w") as file:
        shape = {"time": 6, "lat": 32, "lon": 48}
        noise = np.random.default_rng(0).random(tuple(shape.values())).astype("f4")
        data = file.create_dataset("t", data=noise, chunks=(1, 32, 48), compression="gzip")
        data.attrs["units"] = "K"
        for axis, (name, extent) in enumerate(shape.items()):
            scale = file.create_dataset(name, data=np.arange(extent, dtype="f8"))
            scale.make_scale(name)
            data.dims[axis].attach_scale(scale)
    paths["netcdf3"].write_bytes(_classic())
    message = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib2")
    paths["grib"].write_bytes(eccodes.codes_get_message(message))
    eccodes.codes_release(message)
    return paths


def _classic() -> bytes:
    """Return a file of netCDF classic with one variable (its specification, "The grammar")."""

    def word(number: int) -> bytes:
        return number.to_bytes(4, "big")

    head = b"CDF\1" + word(0)
    head += word(10) + word(1) + word(1) + b"x\0\0\0" + word(8)
    head += word(0) * 2
    head += word(11) + word(1) + word(1) + b"v\0\0\0" + word(1) + word(0)
    head += word(0) * 2 + word(5) + word(32)
    return head + word(len(head) + 4) + np.arange(8, dtype=">f4").tobytes()


if __name__ == "__main__":
    sys.exit(main())

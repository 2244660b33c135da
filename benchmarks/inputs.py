"""The inputs of `cases.py`, each made in a process of its own by the script that knows how.

Run as ``python benchmarks/inputs.py KIND NAME COUNT PATH``.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

__all__ = ["write"]


def hdf5(name: str, count: float, path: Path) -> None:
    from files import FILES

    FILES[name](path, count)


def tiff(name: str, count: float, path: Path) -> None:
    from tiff import FILES

    FILES[name](path, count)


def grib(name: str, count: float, path: Path) -> None:
    from grib import CASES, generate

    generate(next(case for case in CASES if case.name == name), int(count), path)


def dicom(name: str, count: float, path: Path) -> None:
    from dicom_files import write_enhanced, write_series

    {"series": write_series, "frames": write_enhanced}[name](path, int(count))


def days(_: str, count: float, path: Path) -> None:
    from combine import write_files

    path.mkdir()
    write_files(path, int(count))


def store(name: str, count: float, path: Path) -> None:
    from stores import make_store

    make_store(name, int(count), path)


def dmrpp(name: str, count: float, path: Path) -> None:
    from stores import make_document

    make_document(name, int(count), path)


def hdf4(name: str, count: float, path: Path) -> None:
    from hdf4 import make

    make(path, *{"many": (200, int(count)), "few": (14, int(count))}[name])


def fits(name: str, count: float, path: Path) -> None:
    from fits import make

    del count
    make(name, path)


def document(name: str, count: float, path: Path) -> None:
    from documents import document as text

    path.write_text(text(name, int(count)))


def values(_: str, count: float, path: Path) -> None:
    """Write a compressed netCDF4 file of some steps, and references to it."""
    from reading import climate

    import refmaker

    file = path.with_suffix(".nc")
    climate(file, int(count), (1, 512, 1024))
    refmaker.scan(file).write(path)


def write(kind: str, name: str, count: float, path: Path) -> None:
    """Write an input; whoever ends this half-way leaves nothing that looks finished."""
    if kind in ("dmrpp", "values"):
        KINDS[kind](name, count, path)
        return
    part = path.with_name(f"part-{path.name}")
    shutil.rmtree(part, ignore_errors=True)
    KINDS[kind](name, count, part)
    os.replace(part, path)


KINDS = {
    found.__name__: found
    for found in (hdf5, hdf4, tiff, grib, dicom, fits, days, store, dmrpp, document, values)
}

if __name__ == "__main__":
    write(sys.argv[1], sys.argv[2], float(sys.argv[3]), Path(sys.argv[4]))

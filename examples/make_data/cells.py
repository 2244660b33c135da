"""Wells with cells in two channels, OME-TIFFs with a pyramid: ``python cells.py FOLDER``."""

import sys
from pathlib import Path

import numpy as np
import tifffile

WELLS = ("A1", "A2", "B1", "B2")
SIZE, LEVELS, PIXEL = 512, 3, 0.325
"""Pixels along a side, levels of the pyramid, micrometres of a pixel."""


def values(well: str) -> np.ndarray:
    """Return nuclei and the cells around them, of shape (channel, row, column)."""
    rng = np.random.default_rng([ord(letter) for letter in well])
    rows, columns = np.mgrid[:SIZE, :SIZE]
    light = np.zeros((2, SIZE, SIZE))
    count = 30 if well.startswith("A") else 12
    for row, column in rng.uniform(20, SIZE - 20, (count, 2)):
        turn, long, short = rng.uniform(0, np.pi), rng.uniform(16, 22), rng.uniform(10, 14)
        along = (rows - row) * np.cos(turn) + (columns - column) * np.sin(turn)
        across = (columns - column) * np.cos(turn) - (rows - row) * np.sin(turn)
        far = np.hypot(along / long, across / short)
        light[0] = np.maximum(light[0], 3000 / (1 + np.exp(8 * (far - 1))))
        light[1] = np.maximum(light[1], 1800 * np.exp(-((far / 2) ** 2)))
    return (200 + light + rng.normal(0, 40, light.shape)).clip(0).astype("u2")


def write(folder: Path) -> list[Path]:
    """Write A1.ome.tif and the others."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{well}.ome.tif" for well in WELLS]
    options = {"photometric": "minisblack", "tile": (128, 128), "compression": "zlib"}
    metadata = {
        "axes": "CYX", "Channel": {"Name": ["nuclei", "cells"]},
        "PhysicalSizeX": PIXEL, "PhysicalSizeY": PIXEL,
    }  # fmt: skip
    for well, path in zip(WELLS, paths, strict=True):
        image = values(well)
        with tifffile.TiffWriter(path, ome=True) as tiff:
            tiff.write(image, subifds=LEVELS - 1, metadata=metadata, **options)
            for level in range(1, LEVELS):
                step = 2**level
                tiff.write(image[:, ::step, ::step], subfiletype=1, **options)
    return paths


if __name__ == "__main__":
    write(Path(sys.argv[1]))

"""A stack of planes with blobs in it, as microscopes see nuclei: a TIFF of ImageJ."""

from pathlib import Path

import numpy as np
import tifffile

SHAPE = (30, 32, 32)
"""Planes, rows, columns."""


def values() -> np.ndarray:
    """Return brightness, from 0 to 255."""
    rng = np.random.default_rng(2)
    grid = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    light = np.zeros(SHAPE)
    for centre, radius in zip(rng.uniform(0, SHAPE, (18, 3)), rng.uniform(2, 4, 18), strict=True):
        distance = np.linalg.norm((grid - centre) * (0.6, 1, 1), axis=-1)
        light = np.maximum(light, np.exp(-((distance / radius) ** 2)))
    return np.clip(225 * light + rng.poisson(8, SHAPE), 0, 255).astype("u1")


def write(path: Path) -> None:
    """Write the file."""
    tifffile.imwrite(
        path,
        values(),
        imagej=True,
        resolution=(4, 4),
        metadata={"axes": "ZYX", "spacing": 1.0, "unit": "um"},
    )

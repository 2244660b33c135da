"""Satellite scenes of six dates, as cloud-optimised GeoTIFFs: ``python scenes.py FOLDER``."""

import sys
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin

DATES = ("20240105", "20240217", "20240402", "20240516", "20240630", "20240813")
SIZE, NODATA = 512, -9999


def values(number: int) -> np.ndarray:
    """Return an index of vegetation times 10,000: fields that get green, a river, clouds."""
    rng = np.random.default_rng(4)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    kind = rng.integers(0, 3, (8, 8))[rows // 64, columns // 64]
    spring, summer = np.sin(np.pi * np.clip(number / 4, 0, 1)), np.sin(np.pi * number / 6)
    green = np.choose(kind, [0.55, 0.15 + 0.6 * spring, 0.2 + 0.5 * summer])
    river = abs(columns - 260 - 90 * np.sin(rows / 90)) < 9
    green = np.where(river, -0.1, green) + rng.normal(0, 0.03, rows.shape)
    row, column = np.random.default_rng(number).integers(60, SIZE - 60, 2)
    cloud = np.hypot(rows - row, 0.6 * (columns - column)) < 55
    return np.where(cloud, NODATA, 10_000 * green).astype("i2")


def write(folder: Path) -> list[Path]:
    """Write the scenes, scene_20240105.tif and so on: tiles, overviews, UTM zone 33 north."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"scene_{date}.tif" for date in DATES]
    for number, path in enumerate(paths):
        with rasterio.open(
            path, "w", driver="COG", width=SIZE, height=SIZE, count=1, dtype="int16",
            crs="EPSG:32633", transform=from_origin(500_000, 5_400_000, 10, 10), nodata=NODATA,
            compress="deflate", blocksize=256,
        ) as scene:  # fmt: skip
            scene.write(values(number), 1)
    return paths


if __name__ == "__main__":
    write(Path(sys.argv[1]))

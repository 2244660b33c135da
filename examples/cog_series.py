"""Cloud-optimised GeoTIFFs of several dates become one cube in time, with its projection."""

from tempfile import TemporaryDirectory

import numpy as np
import rasterio
import rioxarray  # noqa: F401 - adds .rio to what xarray opens
from rasterio.transform import from_origin

import refmaker

DATES = ("20240105", "20240117", "20240210")
NODATA = -9999


def write_scenes(folder: str) -> None:
    """Write a scene for each date: tiles, overviews, UTM zone 33 north."""
    rng = np.random.default_rng(0)
    for date in DATES:
        values = rng.integers(0, 4000, (512, 512), dtype="int16")
        values[:40, :60] = NODATA
        with rasterio.open(
            f"{folder}/scene_{date}.tif",
            "w",
            driver="COG",
            width=512,
            height=512,
            count=1,
            dtype="int16",
            crs="EPSG:32633",
            transform=from_origin(500_000, 5_400_000, 10, 10),
            nodata=NODATA,
            compress="deflate",
            blocksize=256,
        ) as scene:
            scene.write(values, 1)


def main() -> None:
    with TemporaryDirectory() as folder:
        write_scenes(folder)

        # The date stands in the files' names, and becomes a dimension.
        scenes = [refmaker.scan(f"{folder}/scene_{date}.tif") for date in DATES]
        cube = refmaker.combine(scenes, concat="date", coords={"date": "scene_{date:%Y%m%d}.tif"})
        cube.write(f"{folder}/cube.json")

        # Each level of the overviews is a group, of which 0 is full resolution. The dates stand
        # above them all; a tree passes them down.
        found = refmaker.open_datatree(f"{folder}/cube.json")["0"].to_dataset()
        print(dict(found.sizes), found.rio.crs)

        window = found.image.rio.clip_box(500_000, 5_399_000, 501_000, 5_400_000)
        print("pixels with values:", int(window.notnull().sum()), "of", window.size)
        with rasterio.open(f"{folder}/scene_{DATES[1]}.tif") as scene:
            native = scene.read(1, masked=True).filled(NODATA)
        stored = found.image.sel(date="2024-01-17").fillna(NODATA).values
        assert np.array_equal(stored.squeeze(), native)
        print("equal to what rasterio reads")


if __name__ == "__main__":
    main()

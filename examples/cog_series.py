"""Cloud-optimised GeoTIFFs of several dates become one cube in time, with its projection."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import rasterio
import rioxarray  # noqa: F401 - adds .rio to what xarray opens
from make_data import scenes

import refmaker


def main() -> None:
    with TemporaryDirectory() as folder:
        paths = scenes.write(Path(folder))

        # The date stands in the files' names, and becomes a dimension.
        found = [refmaker.scan(path) for path in paths]
        cube = refmaker.combine(found, concat="date", coords={"date": "scene_{date:%Y%m%d}.tif"})
        cube.write(f"{folder}/cube.json")

        # Each level of the overviews is a group, of which 0 is full resolution. The dates stand
        # above them all; a tree passes them down.
        data = refmaker.open_datatree(f"{folder}/cube.json")["0"].to_dataset()
        print(dict(data.sizes), data.rio.crs)

        window = data.image.rio.clip_box(502_000, 5_396_000, 504_000, 5_398_000)
        print("pixels with values:", int(window.notnull().sum()), "of", window.size)
        for path, image in zip(paths, data.image, strict=True):
            with rasterio.open(path) as scene:
                native = scene.read(1)
            assert np.array_equal(image.fillna(scenes.NODATA).values, native)
        print("equal to what rasterio reads")


if __name__ == "__main__":
    main()

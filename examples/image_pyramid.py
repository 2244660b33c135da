"""A pyramid in an OME-TIFF is read as OME-NGFF: by ome-zarr, and so by napari."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tifffile
import zarr
from ome_zarr.format import FormatV04
from ome_zarr.io import ZarrLocation
from ome_zarr.reader import Reader

import refmaker

SOURCE = Path(__file__).with_name("blobs.tif")
LEVELS = 3


def write_pyramid(path: str) -> None:
    """Write a stack of planes as microscopes do: an OME-TIFF of tiles, with smaller levels."""
    stack = tifffile.imread(SOURCE)
    options = {"photometric": "minisblack", "tile": (16, 16), "compression": "zlib"}
    metadata = {
        "axes": "ZYX",
        "PhysicalSizeX": 0.25,
        "PhysicalSizeY": 0.25,
        "PhysicalSizeZ": 1.0,
    }
    with tifffile.TiffWriter(path, ome=True) as tiff:
        tiff.write(stack, subifds=LEVELS - 1, metadata=metadata, **options)
        for level in range(1, LEVELS):
            step = 2**level
            tiff.write(stack[:, ::step, ::step], subfiletype=1, **options)


def main() -> None:
    with TemporaryDirectory() as folder:
        write_pyramid(f"{folder}/blobs.ome.tif")
        refmaker.scan(f"{folder}/blobs.ome.tif").write(f"{folder}/blobs.json")

        # ome-zarr reads the references like any other image; refmaker is not needed.
        opened = zarr.open_group(
            "reference://", mode="r", storage_options={"fo": f"{folder}/blobs.json"}
        )
        (image,) = Reader(ZarrLocation(opened.store, fmt=FormatV04()))()
        for level in image.data:
            print(level.shape)
        print([axis["name"] for axis in image.metadata["axes"]])

        found = np.asarray(image.data[0])
        assert np.array_equal(found.squeeze(), tifffile.imread(SOURCE))
        print("equal to what tifffile reads")


if __name__ == "__main__":
    main()

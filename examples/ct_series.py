"""The files of a CT series become one volume, with the affine that says where it lies."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import refmaker

SOURCE = Path(__file__).with_name("ct")


def main() -> None:
    # A folder of files that are one object together; their order does not matter.
    references = refmaker.scan(SOURCE)

    with TemporaryDirectory() as folder:
        references.write(f"{folder}/ct.json")
        series = refmaker.open_dataset(f"{folder}/ct.json")

        image = series.image  # Hounsfield units: the file's rescaling is applied by xarray
        print(image.dims, image.shape, image.attrs["units"])

        # Index (z, y, x, 1) to millimetres, in DICOM's patient coordinates (LPS).
        affine = np.array(image.attrs["affine"])
        corner = affine @ [0, 0, 0, 1]
        print("first voxel at", corner[:3].round(2).tolist(), "mm")
        print("distance of slices:", round(float(np.linalg.norm(affine[:3, 0])), 2), "mm")
        assert np.allclose(series.position[0], corner[:3])

        # No name, date or identifier of the headers is written unless somebody asks for it.
        assert "Doe" not in Path(f"{folder}/ct.json").read_text()


if __name__ == "__main__":
    main()

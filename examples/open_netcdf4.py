"""Scan a netCDF4 file, write its references, and open them: with refmaker, and without."""

from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import xarray as xr

import refmaker

SOURCE = Path(__file__).with_name("air.nc")


def main() -> None:
    references = refmaker.scan(SOURCE)
    for row in references.report.rows:
        print(f"{row.path:8} {row.outcome}")

    with TemporaryDirectory() as folder:
        path = Path(folder) / "air.refs.json"
        references.write(path)

        # With refmaker.
        ours = refmaker.open_dataset(path)
        print(ours["air"].mean("time").values.round(2)[:2, :4])

        # With what every Zarr user has.
        stock = xr.open_dataset(
            "reference://",
            engine="zarr",
            backend_kwargs={"storage_options": {"fo": str(path)}, "consolidated": True},
        )
        xr.testing.assert_identical(stock.load(), ours.load())

        # The integers that the file holds, before scale and offset.
        raw = refmaker.open_dataset(path, mask_and_scale=False)
        with h5py.File(SOURCE) as native:
            assert np.array_equal(raw["air"], native["air"])
        print("identical to what h5py reads")


if __name__ == "__main__":
    main()

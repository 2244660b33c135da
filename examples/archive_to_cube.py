"""An archive of netCDF files becomes one cube: scanned, combined, grown by a day, verified."""

from pathlib import Path
from tempfile import TemporaryDirectory

import xarray as xr

import refmaker

SOURCE = Path(__file__).with_name("air.nc")


def write_archive(folder: Path) -> list[Path]:
    """Cut the month of data into files of one day, as an archive has them."""
    paths = []
    with xr.open_dataset(SOURCE, engine="h5netcdf", decode_cf=False) as month:
        for start in range(0, month.sizes["time"], 4):
            paths.append(folder / f"air_{start // 4 + 1:02d}.nc")
            day = month.isel(time=slice(start, start + 4))
            encoding = {name: {"zlib": True} for name in ("air",)}
            day.to_netcdf(paths[-1], engine="h5netcdf", encoding=encoding)
    return paths


def main() -> None:
    with TemporaryDirectory() as folder:
        *paths, last = write_archive(Path(folder))

        # One reference set for each file; a file that fails costs nothing but itself.
        files = list(refmaker.scan_many(paths, cache=False))
        assert not any(file.error for file in files)

        # Chunks are moved into one table. What does not fit together is refused by name.
        cube = refmaker.combine([file.references() for file in files], concat="time")
        cube.write(f"{folder}/cube.json")

        # The next day arrives.
        grown = refmaker.append(f"{folder}/cube.json", [refmaker.scan(last)], concat="time")
        print("added", len(grown.added), "file")

        # References against h5py, bit for bit.
        checks = refmaker.verify(f"{folder}/cube.json")
        print("verified", sum(check.ok for check in checks), "of", len(checks), "arrays")

        found = refmaker.open_dataset(f"{folder}/cube.json")
        with xr.open_mfdataset([*paths, last], engine="h5netcdf") as native:
            xr.testing.assert_identical(found["air"].load(), native["air"].load())
        print(dict(found.sizes))
        print(f"mean {float(found.air.mean()):.2f} K")


if __name__ == "__main__":
    main()

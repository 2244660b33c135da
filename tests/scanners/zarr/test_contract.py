"""The tests that every scanner has to pass, for Zarr stores."""

import zarr

from refmaker.scanners.zarr import ZarrScanner
from refmaker.testing import ScannerContract
from tests.scanners.zarr.stores import below, document_of, members, pack, values, write


class TestZarr(ScannerContract):
    def scanner(self):
        return ZarrScanner()

    def files(self, folder):
        made = {}
        for version, consolidated in ((2, True), (3, False)):
            store = write(folder / f"v{version}.zarr", version, consolidated=consolidated)
            made[f"v{version}"] = document_of(store)
        made["slashes"] = document_of(write(folder / "slashes.zarr", 2, separator="/"))
        for version in (2, 3):
            path = folder / f"alone{version}.zarr"
            array = zarr.create_array(
                str(path), shape=(40, 3), chunks=(9, 2), dtype="f8", zarr_format=version
            )
            array[...] = values((40, 3), "f8")
            made[f"alone{version}"] = document_of(path)
        return made

    def companions(self, path):
        return below(path)

    def native_objects(self, path):
        return members(path.parent)


class TestZipped(ScannerContract):
    def scanner(self):
        return ZarrScanner()

    def files(self, folder):
        made = {}
        for version in (2, 3):
            store = write(folder / f"v{version}.zarr", version, consolidated=True)
            made[f"v{version}"] = pack(store, folder / f"v{version}.zarr.zip")
        store = write(folder / "in.zarr", 3)
        made["inside"] = pack(store, folder / "inside.zip", prefix="some/in.zarr/")
        made["metadata"] = pack(store, folder / "metadata.zip", compress=("zarr.json",))
        return made

    def native_objects(self, path):
        name = {"inside": "in", "metadata": "in"}.get(path.stem, path.stem.removesuffix(".zarr"))
        return members(path.parent / f"{name}.zarr")

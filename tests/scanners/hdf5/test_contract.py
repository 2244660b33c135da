"""The tests that every scanner has to pass, for HDF5."""

import h5py
import numpy as np

from refmaker.scanners.hdf5 import HDF5Scanner
from refmaker.testing import ScannerContract

RNG = np.random.default_rng(1)


def fill(file):
    """Write a bit of everything."""
    file.attrs["title"] = "größe"
    file["time"] = np.arange(20.0)
    file["time"].make_scale("time")
    cube = RNG.integers(0, 50, (20, 9, 11)).astype(">i2")
    file.create_dataset("cube", data=cube, chunks=(7, 4, 5), compression="gzip", shuffle=True,
                        fletcher32=True, maxshape=(None, 9, 11))  # fmt: skip
    file["cube"].dims[0].attach_scale(file["time"])
    file["cube"].attrs["valid_range"] = np.array([0, 50], ">i2")
    sparse = file.create_dataset("deep/er/sparse", (40, 40), "f4", chunks=(8, 8), fillvalue=-1)
    sparse[3, 3] = 5
    file["plain"] = RNG.random((50, 60))
    file["names"] = ["a", "bc", ""]
    file["fixed"] = np.array([b"x", b"yz"] * 300)
    file["table"] = np.zeros(300, [("a", "i4"), ("b", ">f8"), ("c", "S3")])
    file["scalar"] = np.float32(2.5)
    file["nothing"] = h5py.Empty("i4")
    file["refs"] = file["time"].ref
    file["alias"] = file["deep"]
    file["soft"] = h5py.SoftLink("/cube")
    file["dangling"] = h5py.SoftLink("/gone")
    file["type"] = np.dtype("f4")
    file.create_dataset("ragged", (3,), h5py.vlen_dtype("i4"))


def names(group, path="", above=()):
    """Yield every name below a group, links to a group above it not followed."""
    for name in group:
        below = f"{path}/{name}"
        yield below
        member = group.get(name)
        if isinstance(member, h5py.Group) and member not in above:
            yield from names(member, below, (*above, member))


class TestHDF5(ScannerContract):
    crashes = True

    def scanner(self):
        return HDF5Scanner()

    def files(self, folder):
        made = {}
        for libver in ("earliest", "latest"):
            made[libver] = folder / f"{libver}.h5"
            with h5py.File(made[libver], "w", libver=libver) as file:
                fill(file)
        made["empty"] = folder / "empty.h5"
        h5py.File(made["empty"], "w").close()
        made["block"] = folder / "block.h5"
        with h5py.File(made["block"], "w", userblock_size=512, track_order=True) as file:
            fill(file)
        return made

    def native_objects(self, path):
        with h5py.File(path) as file:
            return {"/", *names(file)}

"""The tests that every scanner has to pass, for N5."""

import numpy as np

from refmaker.scanners.n5 import N5Scanner
from refmaker.testing import ScannerContract
from tests.scanners.n5.containers import group, write


class TestN5(ScannerContract):
    def scanner(self):
        return N5Scanner()

    def files(self, folder):
        values = np.random.default_rng(0).integers(0, 200, (11, 9, 7))
        made = {}
        for name, dtype, blocks, compression in (
            ("even", "u2", (11, 3, 7), "gzip"), ("uneven", "f4", (4, 4, 4), "zstd"),
            ("raw", "i8", (5, 9, 7), "raw"),
        ):  # fmt: skip
            top = group(folder / f"{name}.n5", n5="4.0.0", kept={"a": 1})
            group(top / "g", said=True)
            write(top / "g" / "a", values.astype(dtype), blocks, compression, unit="nm")
            write(top / "b", values[0].astype("u1"), (9, 7), "raw")
            made[name] = top / "attributes.json"
        return made

    def companions(self, path):
        return [file for file in path.parent.rglob("*") if file.is_file() and file != path]

    def native_objects(self, path):
        found = {"/"}
        for document in path.parent.rglob("attributes.json"):
            found.add(document.parent.relative_to(path.parent).as_posix().replace(".", "/", 1))
        return found

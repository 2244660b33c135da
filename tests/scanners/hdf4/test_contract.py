"""The tests that every scanner has to pass, for HDF4."""

from pyhdf import HDF, SD
from pyhdf.HDF import HC

from refmaker.io.source import Source
from refmaker.scanners.hdf4 import HDF4Scanner
from refmaker.testing import ScannerContract
from tests.scanners.hdf4 import eos_files, files
from tests.scanners.hdf4.test_eos import structures


class TestHDF4(ScannerContract):
    def scanner(self):
        return HDF4Scanner()

    def files(self, folder):
        files.nbit(folder / "nbit.hdf")
        return {
            "codings": files.codings(folder / "codings.hdf"),
            "special": files.special(folder / "special.hdf"),
            "chunked": files.chunked(folder / "chunked.hdf"),
            "nbit": folder / "nbit.hdf",
            "little": files.little(folder / "little.hdf"),
            "external": files.external(folder / "external.hdf"),
            "tables": files.tables(folder / "tables.hdf"),
            "images": files.images(folder / "images.hdf"),
            "eos": eos_files.write(folder / "eos.hdf", structures()),
        }

    def companions(self, path):
        return [path.with_name("outside.bin")] if path.name == "external.hdf" else []

    def native_objects(self, path):
        if path.name == "eos.hdf":
            return {"/"} | {
                f"/{said.get('GridName', said.get('SwathName')).strip(chr(34))}/{field.name}"
                for _, said, fields, _ in structures()
                for field in fields
            }
        found = {"/"}
        datasets = SD.SD(str(path))
        found.update(f"/{name}" for name in datasets.datasets())
        datasets.end()
        if path.name == "images.hdf":
            with Source(path) as source, HDF4Scanner().native(source) as native:
                found.update(f"/{name}" for name in native.images.names)
        if path.name == "tables.hdf":
            file = HDF.HDF(str(path), HC.READ)
            tables = file.vstart()
            for name, kind, ref, *_ in tables.vdatainfo():
                if kind == "Attr0.0":
                    continue
                table = tables.attach(ref)
                fields = [field[0] for field in table.fieldinfo()]
                table.detach()
                several = len(fields) > 1
                found.update({f"/{name}/{field}" for field in fields} if several else {f"/{name}"})
            tables.end()
            file.close()
        return found

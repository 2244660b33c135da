"""HDF4 by the HDF library: what ``verify`` compares with.

Data sets are found by the names and Vgroups that the library gives, Vdatas likewise. The library is
called through pyhdf, and directly for what that does not pass on: records of Vdatas as bytes, and
the folder of external files.
"""

from __future__ import annotations

import ctypes
import os
import re
import tempfile
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from refmaker.errors import FormatError, MissingDependencyError
from refmaker.scanners.hdf4.pyhdf_images import ImageReader
from refmaker.scanning.names import key_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from refmaker.io.source import Source
    from refmaker.model import Array

__all__ = ["HDF4Reader", "open_hdf4"]

_PLAIN: Final = 0xFFF
"""The part of a number type that tells what a number is, whatever its order of bytes."""
_NUMBERS: Final = {
    3: "S1", 4: "S1", 5: "f4", 6: "f8", 20: "i1", 21: "u1", 22: "i2", 23: "u2", 24: "i4", 25: "u4"
}  # fmt: skip
_STRUCTURES: Final = ("GRID", "SWATH")
_NDG, _VH, _VG = 720, 1962, 1965


@contextmanager
def open_hdf4(source: Source) -> Iterator[HDF4Reader]:
    """Open a file with the HDF library.

    Parameters
    ----------
    source : Source
        A local file is opened in place, any other is copied to a temporary one.

    Raises
    ------
    MissingDependencyError
        If pyhdf is not installed.
    FormatError
        If the library does not open the file.
    """
    try:
        from pyhdf import HDF, SD, VS, V, error, hdfext  # noqa: F401 - V and VS add to HDF
    except ImportError as missing:
        raise MissingDependencyError(
            "reading HDF4 natively needs pyhdf", hint="pip install pyhdf, or 'refmaker[hdf4]'"
        ) from missing
    with ExitStack() as stack:
        path = source.path
        if path is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            path = os.path.join(folder, "file.hdf")
            with open(path, "wb") as copy:
                copy.write(source.read(0, source.size))
        library = ctypes.CDLL(hdfext._hdfext.__file__)  # noqa: SLF001 - its file
        try:
            library.HXsetdir(os.fsencode(os.path.dirname(path)))
        except AttributeError as hidden:
            raise MissingDependencyError(
                "this build of pyhdf hides the HDF library", hint="use another build of pyhdf"
            ) from hidden
        try:
            datasets = SD.SD(path)
            stack.callback(datasets.end)
            file = HDF.HDF(path)
            stack.callback(file.close)
            groups = file.vgstart()
            stack.callback(groups.end)
            tables = file.vstart()
            stack.callback(tables.end)
        except error.HDF4Error as refused:
            raise FormatError(f"the HDF library refuses it: {refused}", url=source.url) from refused
        images = ImageReader(library, os.fsencode(path))
        stack.callback(images.close)
        yield HDF4Reader(datasets, groups, tables, images, library)


class HDF4Reader:
    """A file opened by the HDF library.

    Parameters
    ----------
    datasets, groups, tables : object
        pyhdf's interfaces to data sets, Vgroups and Vdatas.
    images : ImageReader
        The images.
    library : ctypes.CDLL
        The library itself.

    Attributes
    ----------
    images : ImageReader
        The images.
    """

    def __init__(
        self, datasets: Any, groups: Any, tables: Any, images: ImageReader, library: Any
    ) -> None:
        self._library, self.images = library, images
        self._datasets, self._tables = datasets, tables
        self._inside, self._names = _vgroups(groups)
        self._known: dict[int, tuple[str, int]] = {}
        """Name and index of each data set, by its reference number."""
        for index in range(datasets.info()[0]):
            one = datasets.select(index)
            self._known[one.ref()] = one.info()[0], index
            one.endaccess()
        self._vdatas = {ref: name for name, _, ref, *_ in tables.vdatainfo()}

    def read(self, path: str, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        """Return the true values of a region of one array, in the array's dtype."""
        parts = path.strip("/").split("/")
        made = self._made(parts, array)
        if made is not None:
            return made[region or ...]
        if 0 in array.shape:
            return np.empty(array.shape, array.dtype)[region or ...]
        index = self._index(parts)
        if index is not None:
            return self._dataset(index, array, region)
        image = self.images.read(parts[-1], array)
        found = self._field(parts, array) if image is None else image
        return found[region or ...]

    # Data sets

    def _index(self, parts: list[str]) -> int | None:
        """Return which data set a path stands for; None if it is none."""
        found = [ref for ref, (name, _) in self._known.items() if key_name(name) == parts[-1]]
        if not found:
            told = re.fullmatch(r"(.*)_([0-9]+)", parts[-1])
            ref = int(told[2]) if told else -1
            found = [ref] if ref in self._known else []
        if len(found) > 1:
            group = parts[-2] if len(parts) > 1 else ""
            within = [ref for ref in found if group in self._around(_NDG, ref)]
            found = within or found
        return self._known[found[0]][1] if found else None

    def _around(self, tag: int, ref: int) -> set[str]:
        """Return the names of all Vgroups that an element lies in; a name of nothing if in none."""
        names: set[str] = set()
        layer = {(tag, ref)}
        while layer:
            groups = {own for own, members in self._inside.items() if layer & members}
            layer = {(_VG, own) for own in groups if key_name(self._names[own]) not in names}
            names.update(key_name(self._names[own]) for own in groups)
        return names or {""}

    def _dataset(self, index: int, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        """Return a region of a data set, as the library converts it.

        pyhdf's own reading refuses little-endian numbers; the library itself leaves a value without
        dimensions as it was.
        """
        one = self._datasets.select(index)
        try:
            name, rank, _, code, _ = one.info()
            kind = np.dtype(_NUMBERS[code & _PLAIN])
            if not rank:
                raise FormatError("the HDF library reads none without dimensions", path=name)
            if rank != len(array.shape) or kind.itemsize != array.dtype.itemsize:
                raise FormatError(f"the HDF library sees {rank} dimensions of {kind}", path=name)
            bounds = [
                part.indices(size)[:2] for part, size in zip(region, array.shape, strict=True)
            ]
            extents = [stop - start for start, stop in bounds]
            values = np.empty(extents, kind)
            many = ctypes.c_int32 * rank
            start, edges = many(*(first for first, _ in bounds)), many(*extents)
            into = values.ctypes.data_as(ctypes.c_void_p)
            ident = one._id  # noqa: SLF001 - nothing else tells it
            if self._library.SDreaddata(ident, start, None, edges, into) != 0:
                raise FormatError("the HDF library does not read it", path=name)
        finally:
            one.endaccess()
        return values.astype(array.dtype, copy=False)

    # Vdatas

    def _field(self, parts: list[str], array: Array) -> NDArray[Any]:
        """Return all values of a field of a Vdata."""
        for single in (True, False):
            ref = self._vdata(parts if single else parts[:-1])
            if ref is None:
                continue
            table = self._tables.attach(ref)
            try:
                fields = [one[0] for one in table.fieldinfo()]
                name = next((one for one in fields if key_name(one) == parts[-1]), None)
                if single and len(fields) == 1:
                    name = fields[0]
                if name is not None:
                    return self._records(table, name, array)
            finally:
                table.detach()
        raise FormatError("the HDF library has no such object", path="/".join(parts))

    def _vdata(self, parts: list[str]) -> int | None:
        if not parts:
            return None
        found = [ref for ref, name in self._vdatas.items() if key_name(name) == parts[-1]]
        if not found:
            told = re.fullmatch(r"(.*)_([0-9]+)", parts[-1])
            ref = int(told[2]) if told else -1
            found = [ref] if ref in self._vdatas else []
        if len(found) > 1 and len(parts) > 1:
            found = [ref for ref in found if parts[-2] in self._around(_VH, ref)] or found
        return found[0] if found else None

    def _records(self, table: Any, name: str, array: Array) -> NDArray[Any]:
        """Return one field of all records, as the library converts them."""
        rows, field = table.inquire()[0], table.field(name)
        kind = np.dtype(_NUMBERS[field._type & _PLAIN])  # noqa: SLF001 - nothing else tells it
        buffer = ctypes.create_string_buffer(rows * kind.itemsize * field._order)  # noqa: SLF001
        if self._library.VSsetfields(table._id, name.encode()) < 0:  # noqa: SLF001
            raise FormatError("the HDF library does not know the field", path=name)
        if self._library.VSread(table._id, buffer, rows, 0) != rows:  # noqa: SLF001
            raise FormatError("the HDF library does not read its records", path=name)
        values = np.frombuffer(buffer.raw, kind)
        if array.dtype.kind == "S":
            return values.view(array.dtype).reshape(array.shape)
        return values.reshape(array.shape).astype(array.dtype, copy=False)

    # What follows from the structural metadata

    def _made(self, parts: list[str], array: Array) -> NDArray[Any] | None:
        """Return coordinates of a grid, by a reading of the metadata as plain as can be."""
        if parts[-1] == "spatial_ref" and not array.shape:
            return np.zeros((), array.dtype)
        if parts[-1] not in ("x", "y") or len(parts) != 2:
            return None
        said = self._grid(parts[0])
        if said is None:
            return None
        corners = [
            [float(number) for number in re.findall(r"-?[\d.]+(?:[eE][-+]?\d+)?", said[name])]
            for name in ("UpperLeftPointMtrs", "LowerRightMtrs")
        ]
        axis = "xy".index(parts[-1])
        if "GCTP_GEO" in said["Projection"]:
            corners = [[_degrees(number) for number in corner] for corner in corners]
        elif "GCTP_BCEA" in said["Projection"]:
            raise FormatError("its corners need a projection", path="/".join(parts))
        first, last = corners[0][axis], corners[1][axis]
        count = int(said[("XDim", "YDim")[axis]])
        step = (last - first) / count
        if "HDFE_CORNER" in said.get("PixelRegistration", ""):
            first -= 0.5 * step
        values: NDArray[Any] = np.arange(count) * step + (step * 0.5 + first)
        return values.astype(array.dtype)

    def tolerance(self, path: str, array: Array) -> Any:
        """Return how far coordinates may be off, which are computed in another order here."""
        from refmaker.scanning.protocol import Tolerance

        if path.rpartition("/")[2] not in ("x", "y") or array.dtype.kind != "f":
            return None
        step = np.spacing(4e7)
        return Tolerance(float(step))

    def _grid(self, name: str) -> dict[str, str] | None:
        parts = {
            key: value
            for key, value in self._datasets.attributes().items()
            if key.startswith("StructMetadata.") and isinstance(value, str)
        }
        order = sorted(parts, key=lambda key: int(key.rpartition(".")[2] or 0))
        text = "".join(parts[key] for key in order).replace("\0", "")
        for block in re.findall(r"GROUP=GRID_\d+\s(.*?)END_GROUP=GRID_\d+", text, re.DOTALL):
            head = block.partition("GROUP=Dimension")[0]
            said = dict(re.findall(r"(\w+)=(\"[^\"]*\"|\([^)]*\)|\S+)", head))
            own = key_name(said.get("GridName", "").strip('"'))
            if name in (own, f"{own}_grid"):
                return said
        return None


def _degrees(packed: float) -> float:
    """Return degrees of DDDMMMSSS.SS by its digits."""
    sign = -1 if packed < 0 else 1
    whole, hundredths = divmod(round(abs(packed) * 1e6), 10**6)
    degrees, rest = divmod(whole, 10**6)
    minutes, seconds = divmod(rest, 1000)
    return sign * (degrees + minutes / 60 + (seconds + hundredths / 1e6) / 3600)


def _vgroups(groups: Any) -> tuple[dict[int, set[tuple[int, int]]], dict[int, str]]:
    """Return members and names of all Vgroups but those of variables and dimensions."""
    from pyhdf.error import HDF4Error

    inside: dict[int, set[tuple[int, int]]] = {}
    names: dict[int, str] = {}
    ref = -1
    while True:
        try:
            ref = groups.getid(ref)
        except HDF4Error:  # the end of the list
            return inside, names
        group = groups.attach(ref)
        if group._class not in ("CDF0.0", "Var0.0", "Dim0.0", "UDim0.0"):  # noqa: SLF001
            names[ref] = group._name  # noqa: SLF001
            inside[ref] = {(tag, own) for tag, own in group.tagrefs()}
        group.detach()

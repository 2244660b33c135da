"""Data sets without Vgroups, as the single-file interface (DFSD) and its predecessors wrote them.

Implements DFTAG_SDG, DFTAG_NDG and what they list (HDF Specification 4.2, section 3.3.3): labels,
units, formats, scales, ranges, calibration. What stands there gets the names that the library
gives it (``hdfsds.c``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from refmaker.errors import FormatError, RefmakerError
from refmaker.model.report import Outcome
from refmaker.scanners.hdf4.attributes import Attributes, text_of
from refmaker.scanners.hdf4.datasets import NDG, NUMBER_TYPE, SDG, Dataset, read_geometry
from refmaker.scanners.hdf4.number_types import dtype_of_element

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from refmaker.scanners.hdf4.datasets import FileTables, Geometry

__all__ = ["Predecessors"]

_SCALES, _RANGE, _SYSTEM, _CALIBRATION, _FILL = 703, 707, 708, 731, 732
_TEXTS: Final = ((704, "long_name"), (705, "units"), (706, "format"))
_CALIBRATED: Final = ("scale_factor", "scale_factor_err", "add_offset", "add_offset_err")


class Predecessors:
    """The data sets of a file that no Vgroup describes.

    Parameters
    ----------
    tables : FileTables
        The file.
    known : list of Dataset
        Those that Vgroups describe.

    Attributes
    ----------
    scales : dict of str to (ndarray, Attributes)
        Values of dimensions, shape (n,), and what is said of them.
    """

    def __init__(self, tables: FileTables, known: list[Dataset]) -> None:
        self._tables = tables
        self._taken = {dataset.ref for dataset in known}
        self._data = {dataset.data for dataset in known if dataset.data is not None}
        self._unnamed = 0
        self.scales: dict[str, tuple[NDArray[Any], Attributes]] = {}

    def datasets(self) -> Iterator[Dataset]:
        """Yield them in file order; a group of the older kind beside a newer one is passed over."""
        for tag in (NDG, SDG):
            for ref in self._tables.elements.descriptors.refs(tag):
                if tag == NDG and ref in self._taken:
                    continue
                found = self._dataset(tag, ref)
                if found is not None:
                    yield found

    def _dataset(self, tag: int, ref: int) -> Dataset | None:
        name = f"Data-Set-{ref}"
        found = Dataset(name, ref, Attributes(f"/{name}", self._tables.report))
        try:
            geometry = read_geometry(self._tables.elements, tag, ref)
        except RefmakerError as error:
            found.refused = error
            return found
        if tag == SDG and geometry.data in self._data:
            return None
        if geometry.data is not None:
            self._data.add(geometry.data)
        found.shape, found.dtype, found.data = geometry.shape, geometry.dtype, geometry.data
        first = self._unnamed
        self._unnamed += len(found.shape)
        found.dimensions = tuple(f"fakeDim{first + axis}" for axis in range(len(found.shape)))
        self._describe(found, geometry)
        return found

    def _describe(self, dataset: Dataset, geometry: Geometry) -> None:
        """Add the attributes of a data set and of its dimensions; damage costs those behind it."""
        axes = [Attributes(f"/{name}", self._tables.report) for name in dataset.dimensions]
        try:
            for tag, name in _TEXTS:
                raw = self._read(geometry, tag)
                for target, text in zip(
                    (dataset.attributes, *axes), raw.split(b"\0"), strict=False
                ):
                    if text:
                        target.add(name, text_of(text))
            system = self._read(geometry, _SYSTEM)
            if text_of(system):
                dataset.attributes.add("coordsys", text_of(system))
            self._numbers(dataset, geometry)
            self._scales(dataset, geometry, axes)
        except RefmakerError as error:
            where = f"/{dataset.name}@description"
            self._tables.report.add(where, Outcome.SKIPPED, str(error), "hdf4-attribute")

    def _read(self, geometry: Geometry, tag: int) -> bytes:
        ref = geometry.members.get(tag)
        return b"" if ref is None else self._tables.elements.read(tag, ref)

    def _numbers(self, dataset: Dataset, geometry: Geometry) -> None:
        size = geometry.dtype.itemsize
        raw = self._read(geometry, _RANGE)
        if len(raw) >= 2 * size and geometry.dtype.kind != "S":
            for name, at in (("valid_max", 0), ("valid_min", size)):
                dataset.attributes.add(name, np.frombuffer(raw, geometry.dtype, 1, at))
        raw = self._read(geometry, _CALIBRATION)
        if len(raw) >= 36:
            for at, name in enumerate(_CALIBRATED):
                dataset.attributes.add(name, np.frombuffer(raw, ">f8", 1, 8 * at))
            dataset.attributes.add("calibrated_nt", np.frombuffer(raw, ">i4", 1, 32))
        raw = self._read(geometry, _FILL)
        if len(raw) >= size:
            dataset.attributes.add("_FillValue", np.frombuffer(raw, geometry.dtype, 1))

    def _scales(self, dataset: Dataset, geometry: Geometry, axes: list[Attributes]) -> None:
        """Keep the values of dimensions: a flag for each, then those that there are."""
        raw = self._read(geometry, _SCALES)
        rank = len(dataset.shape)
        if not raw or len(geometry.scale_types) != rank:
            return
        at = rank
        for axis, extent in enumerate(dataset.shape):
            if not raw[axis : axis + 1].strip(b"\0"):
                continue
            kind = self._tables.elements.read(NUMBER_TYPE, geometry.scale_types[axis])
            dtype = dtype_of_element(kind)
            if len(raw) < at + extent * dtype.itemsize:
                raise FormatError(f"scales of {len(raw)} bytes for the shape {dataset.shape}")
            values = np.frombuffer(raw, dtype, extent, at)
            self.scales[dataset.dimensions[axis]] = values, axes[axis]
            at += extent * dtype.itemsize

"""Attributes: Vdatas of one field that hang at data sets, Vgroups, Vdatas, and the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from refmaker.errors import RefmakerError
from refmaker.model.attribute_types import MISSING, TYPES, number_type, with_types
from refmaker.model.dtypes import json_number
from refmaker.model.report import Outcome
from refmaker.model.zarr_v2 import DIMENSIONS, UNLIMITED
from refmaker.scanners.hdf4.vdata import vdata_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from refmaker.model.report import ScanReport
    from refmaker.scanners.hdf4.elements import Elements
    from refmaker.scanners.hdf4.vdata import VData

__all__ = ["ATTRIBUTE_KINDS", "Attributes", "text_of"]

ATTRIBUTE_KINDS: Final = ("Attr0.0", "RIATTR0.0N", "RIATTR0.0C")
"""Classes of the Vdatas that are attributes."""
_UNNAMED: Final = "RIATTR0.0"
"""Name of all Vdatas that hold attributes of images."""
_OWN: Final = (DIMENSIONS, UNLIMITED, TYPES)


class Attributes:
    """The attributes of one object, as they are found.

    Parameters
    ----------
    path : str
        The object, for messages.
    report : ScanReport
        Gets a row for each that has no place.

    Attributes
    ----------
    numbers : dict of str to ndarray
        Those that are numbers, shape (n,), as the file has them.
    values : dict of str to object
        All, as JSON values.
    """

    def __init__(self, path: str, report: ScanReport) -> None:
        self._path = path
        self._report = report
        self.numbers: dict[str, NDArray[Any]] = {}
        self.values: dict[str, Any] = {}
        self._types: dict[str, str] = {}
        self._twice: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def add(self, name: str, values: NDArray[Any] | str) -> None:
        """Add an attribute: numbers, characters, or a text.

        Parameters
        ----------
        name : str
            Its name; the first of two of one name is kept.
        values : ndarray, shape (n,), or str
            Characters have the type ``S1``.
        """
        where = f"{self._path}@{name}"
        if name in _OWN or not name:
            reason = "references use an attribute of this name themselves"
            self._report.add(where, Outcome.SKIPPED, reason, "name")
            return
        if name in self.values:
            if where not in self._twice:
                self._twice.add(where)
                reason = "the second attribute of this name"
                self._report.add(where, Outcome.SKIPPED, reason, "name")
            return
        if isinstance(values, str):
            self.values[name] = values
            return
        if values.dtype.kind == "S":
            self.values[name] = self._text(where, values.tobytes(), name)
            return
        self.numbers[name] = values
        found = [json_number(value) for value in values.tolist()]
        if any(isinstance(value, str) for value in found) and name not in MISSING:
            self._report.warn(
                f"{where} has values that JSON cannot hold; readers see text such as 'NaN'"
            )
        value = found[0] if len(found) == 1 else found
        self.values[name] = value
        code = number_type(values.dtype, value)
        if code is not None:
            self._types[name] = code

    def add_vdatas(
        self, elements: Elements, vdatas: Mapping[int, VData], refs: Iterable[int]
    ) -> None:
        """Add those that Vdatas hold; others are passed over.

        Each is named like its Vdata, those of images like its field.
        """
        for ref in refs:
            vdata = vdatas.get(ref)
            if vdata is None or len(vdata.fields) != 1 or vdata.kind not in ATTRIBUTE_KINDS:
                continue
            try:
                values = vdata_values(elements, vdata).reshape(-1)
            except RefmakerError as error:
                where = f"{self._path}@{vdata.name}"
                self._report.add(where, Outcome.SKIPPED, str(error), "hdf4-attribute")
            else:
                named = not vdata.name.startswith(_UNNAMED)
                self.add(vdata.name if named else vdata.fields[0].name, values)

    def replace(self, name: str, value: float) -> None:
        """Give an attribute another value, a number of 8 bytes."""
        self.values[name] = value
        self._types.pop(name, None)
        self.numbers[name] = np.array([value])

    def remove(self, name: str) -> None:
        """Leave an attribute out."""
        self.values.pop(name, None)
        self._types.pop(name, None)
        self.numbers.pop(name, None)

    def get(self, name: str) -> Any:
        """Return the value of an attribute; None if there is none of that name."""
        return self.values.get(name)

    def document(self) -> dict[str, Any]:
        """Return all as JSON values, with a record of the types of numbers."""
        return with_types(self.values, self._types)

    def _text(self, where: str, raw: bytes, name: str) -> str:
        # Writers in C count the terminating null; a fill value may be a null itself.
        raw = raw if name == "_FillValue" else raw.rstrip(b"\0")
        try:
            return raw.decode()
        except UnicodeDecodeError:
            self._report.warn(f"{where} is not UTF-8 and was read as Latin-1")
            return raw.decode("latin-1")


def text_of(raw: bytes) -> str:
    """Return a text without the nulls behind it."""
    text = raw.partition(b"\0")[0]
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")

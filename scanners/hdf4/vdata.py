"""Vdatas: tables of records with named fields.

Implements DFTAG_VH and DFTAG_VS of the HDF Specification 4.2, section 3.3.8, as ``vio.c`` writes
them.
"""

from __future__ import annotations

import struct
from operator import add
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from refmaker.errors import FormatError, RefmakerError
from refmaker.model.report import Outcome
from refmaker.scanners.hdf4.number_types import dtype_of_code
from refmaker.scanners.hdf4.vgroups import VDATA, attribute_pairs, counted_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from refmaker.model.report import ScanReport
    from refmaker.scanners.hdf4.elements import Elements

__all__ = ["RECORDS", "Field", "VData", "read_vdatas", "vdata_values"]

RECORDS: Final = 1963
"""Tag of the records; a Vdata's header and records have the same reference number."""
_FIXED = struct.Struct(">HiHH")
_BY_FIELD: Final = 1
"""Interlace of Vdatas that hold all values of one field before those of the next."""
_WITH_ATTRIBUTES: Final = 4


class Field(NamedTuple):
    """A field of a Vdata.

    Parameters
    ----------
    name : str
    code : int
        Number type.
    start, width : int
        First byte in a record, and bytes of all its values there.
    order : int
        Values in a record.
    """

    name: str
    code: int
    start: int
    width: int
    order: int

    def dtype(self) -> np.dtype[Any]:
        """Return the type of its values.

        Raises
        ------
        UnsupportedError
            If it is native to some machine.
        FormatError
            If it has another size than the header tells.
        """
        found = dtype_of_code(self.code)
        if found.itemsize * self.order != self.width:
            raise FormatError(f"{self.order} values of {found} in {self.width} bytes")
        return found


class VData(NamedTuple):
    """The header of a Vdata.

    Parameters
    ----------
    ref : int
        Its reference number.
    name, kind : str
        Its name, and the class that tells what it is for.
    rows, width : int
        Number of records, and bytes of each.
    by_field : bool
        Whether all values of a field lie together.
    fields : tuple of Field
        In order.
    attributes : tuple of (int, int)
        Field, -1 for the whole, and reference number of the Vdatas that hold its attributes.
    """

    ref: int
    name: str
    kind: str
    rows: int
    width: int
    by_field: bool
    fields: tuple[Field, ...]
    attributes: tuple[tuple[int, int], ...] = ()


def read_vdatas(elements: Elements, report: ScanReport) -> Mapping[int, VData]:
    """Return the headers of all Vdatas by reference number; one that is damaged gets a row.

    Parameters
    ----------
    elements : Elements
        The elements of the file.
    report : ScanReport
        Told of those that are damaged.
    """
    found = {}
    for ref in elements.descriptors.refs(VDATA):
        try:
            found[ref] = _header(ref, elements.read(VDATA, ref))
        except RefmakerError as error:
            report.add(f"/Vdata {ref}", Outcome.SKIPPED, str(error), "hdf4-vdata")
    return found


def _header(ref: int, raw: bytes) -> VData:
    try:
        interlace, rows, width, count = _FIXED.unpack_from(raw)
        numbers = struct.unpack_from(f">{4 * count}H", raw, _FIXED.size)
        at, names = _FIXED.size + 8 * count, []
        for _ in range(count):
            name, at = counted_text(raw, at)
            names.append(name)
        title, at = counted_text(raw, at)
        kind, at = counted_text(raw, at)
    except struct.error as error:
        raise FormatError(f"the header of a Vdata of {len(raw)} bytes") from error
    if rows < 0:
        raise FormatError(f"a Vdata of {rows} records")
    codes, widths, starts, orders = (numbers[i * count : (i + 1) * count] for i in range(4))
    fields = tuple(map(Field, names, codes, starts, widths, orders))
    if max(map(add, starts, widths), default=0) > width:
        raise FormatError("a field of a Vdata that reaches past its record")
    pairs: list[tuple[int, int]] = []
    if len(raw) >= at + 8:
        (version,) = struct.unpack_from(">H", raw, at + 4)
        if version == _WITH_ATTRIBUTES:
            pairs = attribute_pairs(raw, at + 8, fields=True)
    by_field = interlace == _BY_FIELD
    return VData(ref, title, kind, rows, width, by_field, fields, tuple(pairs))


def vdata_values(elements: Elements, vdata: VData, number: int = 0) -> NDArray[Any]:
    """Return the values of one field of a small Vdata, shape (rows, order).

    Raises
    ------
    RefmakerError
        If it is damaged, or of a type that is not known.
    """
    field = vdata.fields[number]
    dtype = field.dtype()
    raw = elements.read(RECORDS, vdata.ref) if vdata.rows else b""
    if len(raw) < vdata.rows * vdata.width:
        raise FormatError(f"{len(raw)} bytes for {vdata.rows} records of {vdata.width}")
    if vdata.by_field:
        first = vdata.rows * field.start
        part = np.frombuffer(raw, np.uint8, vdata.rows * field.width, first)
    else:
        whole = np.frombuffer(raw, np.uint8, vdata.rows * vdata.width)
        table = whole.reshape(vdata.rows, vdata.width)
        part = np.ascontiguousarray(table[:, field.start : field.start + field.width])
    return part.reshape(-1).view(dtype).reshape(vdata.rows, field.order)

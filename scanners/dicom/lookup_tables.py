"""Tables that pixels are looked up in: palettes, and modality tables that are no straight line.

Implements PS3.3, C.7.6.3.1.5 and C.7.6.3.1.6 (palettes) and C.11.1 (modality LUT). Pixels stay
as they are stored; the table stands beside them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refmaker.model.inline import inline_array
from refmaker.scanners.dicom.tags import PIXEL_REPRESENTATION

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from refmaker.model import Array
    from refmaker.scanners.dicom.values import Dataset

__all__ = ["lookup_tables"]

_DESCRIPTORS = (0x00281101, 0x00281102, 0x00281103)
_DATA = (0x00281201, 0x00281202, 0x00281203)
_SEGMENTED = 0x00281221
_MODALITY_SEQUENCE, _LUT_DESCRIPTOR, _LUT_DATA = 0x00283000, 0x00283002, 0x00283006
_TABLES = frozenset({*_DESCRIPTORS, *_DATA, _MODALITY_SEQUENCE})
_ALL = 1 << 16


def lookup_tables(
    headers: Sequence[Dataset], varying: Collection[int]
) -> tuple[dict[str, Array], tuple[str, ...]]:
    """Return the tables of an image as arrays, and what a reader should know of them.

    Parameters
    ----------
    headers : sequence of Dataset
        The instances; they have to agree.
    varying : collection of int
        Tags of elements in which they do not.

    Returns
    -------
    dict of str to Array
        ``palette``, shape (entries, 3), and ``modality_lut``, shape (entries,); the attribute
        ``first_value`` tells which pixel value the first entry is for. Lower values have the
        first entry, higher ones the last.
    tuple of str
        Warnings.
    """
    found: dict[str, Array] = {}
    notes: list[str] = []
    header = headers[0]
    signed = header.raw(PIXEL_REPRESENTATION) in (b"\1\0", b"\0\1")
    if not _TABLES.isdisjoint(varying):
        return {}, ("its pixels are to be looked up in tables that differ between instances",)
    if _DESCRIPTORS[0] in header:
        planes = [
            _table(header, d, data, signed=signed)
            for d, data in zip(_DESCRIPTORS, _DATA, strict=True)
        ]
        colours = [plane for plane in planes if plane is not None]
        alike = {(first, values.size, values.dtype) for first, values in colours}
        if len(colours) == len(planes) and len(alike) == 1:
            table = np.stack([values for _, values in colours], axis=1)
            about = {"first_value": colours[0][0]}
            found["palette"] = inline_array(table, ("palette_entry", "palette_c"), about)
        elif _SEGMENTED in header:
            notes.append("its palette is written in segments, and is not here")
        else:
            notes.append("its palette is damaged, and is not here")
    if _MODALITY_SEQUENCE in header:
        item = next(iter(header.iter_items(_MODALITY_SEQUENCE)), None)
        one = None if item is None else _table(item, _LUT_DESCRIPTOR, _LUT_DATA, signed=signed)
        if one is None:
            notes.append("its values go through a table, which is damaged and is not here")
        else:
            about = {"first_value": one[0]}
            found["modality_lut"] = inline_array(one[1], ("modality_lut_entry",), about)
            notes.append("its values are to be looked up in modality_lut")
    return found, tuple(notes)


def _table(
    header: Dataset, descriptor: int, data: int, *, signed: bool
) -> tuple[int, NDArray[np.uint16]] | None:
    """Return the first pixel value and the entries of one table, None if it is damaged."""
    head, raw = header.raw(descriptor), header.raw(data)
    if head is None or raw is None or len(head) != 6:
        return None
    order = ">" if header.big else "<"
    entries, first, bits = np.frombuffer(head, f"{order}u2").tolist()
    entries = entries or _ALL
    # It is of the type that pixels are (C.11.1.1.1).
    first = first - _ALL if signed and first >= _ALL // 2 else first
    if len(raw) in (entries, entries + entries % 2) and bits <= 8:
        if header.big:
            raw = np.frombuffer(raw, ">u2").astype("<u2").tobytes() if len(raw) % 2 == 0 else raw
        values = np.frombuffer(raw, np.uint8)[:entries].astype(np.uint16)
    elif len(raw) >= 2 * entries:
        values = np.frombuffer(raw, f"{order}u2")[:entries].astype(np.uint16)
    else:
        return None
    return first, values

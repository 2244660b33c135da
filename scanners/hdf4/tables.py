"""Vdatas as arrays: one for every field, whose chunks are runs of whole records.

Where a Vdata has several fields, the codec ``refmaker.table_column`` takes the bytes of one out of
the records of a chunk.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refmaker.errors import FormatError, UnsupportedError
from refmaker.model import Array, ChunkTable
from refmaker.scanners.hdf4.arrays import Meaning
from refmaker.scanners.hdf4.vdata import RECORDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refmaker.scanners.hdf4.arrays import ArrayMaker
    from refmaker.scanners.hdf4.elements import Element, Elements
    from refmaker.scanners.hdf4.vdata import Field, VData

__all__ = ["Table"]


class Table(NamedTuple):
    """A Vdata whose fields become arrays.

    Parameters
    ----------
    elements : Elements
        The elements of the file.
    maker : ArrayMaker
        Makes arrays of them.
    vdata : VData
        The Vdata.
    """

    elements: Elements
    maker: ArrayMaker
    vdata: VData

    def array(
        self,
        number: int,
        name: str,
        dimensions: tuple[str, ...] | None,
        attributes: Mapping[str, Any],
    ) -> Array:
        """Return a field as an array, shape (rows,) or (rows, order).

        Parameters
        ----------
        number : int
            Which of the fields.
        name : str
            What it is called here.
        dimensions : tuple of str or None
            Names of its dimensions, or some that no other array has.
        attributes : mapping
            JSON values.

        Raises
        ------
        FormatError, TruncatedError
            If the records are not all there.
        UnsupportedError
            If the field is of a type that cannot be read, or the records cannot be referenced.
        """
        field = self.vdata.fields[number]
        dtype, inner = _type(field)
        shape = (self.vdata.rows, *inner)
        names = dimensions if dimensions is not None and len(dimensions) == len(shape) else None
        if names is None:
            names = (f"{self.vdata.name or name}_records", *(f"{name}_values" for _ in inner))
        meaning = Meaning(shape, dtype, dimensions=names, attributes=attributes)
        if not meaning.nbytes:
            return self.maker.make(None, meaning)
        element = self._records()
        if self.vdata.by_field:
            start = self.vdata.rows * field.start
            return self.maker.make(element.part(start, meaning.nbytes), meaning)
        if field.width == self.vdata.width:
            return self.maker.make(element, meaning)
        return self._column(element, field, meaning)

    def _records(self) -> Element:
        element = self.elements.locate(RECORDS, self.vdata.ref)
        if element.coder is not None or element.chunked is not None:
            raise UnsupportedError("its records are compressed", code="hdf4-special")
        needed = self.vdata.rows * self.vdata.width
        if element.size < needed:
            raise FormatError(f"its records have {element.size} bytes, {needed} are needed")
        return element

    def _column(self, element: Element, field: Field, meaning: Meaning) -> Array:
        """Return the array of one field of several, whose values lie apart."""
        width = self.vdata.width
        records = Meaning((self.vdata.rows,), np.dtype(f"V{width}"))
        whole = self.maker.make(element, records)
        inner = meaning.shape[1:]
        found = replace(
            whole,
            shape=meaning.shape,
            chunk_shape=(*whole.chunk_shape, *inner),
            dtype=meaning.dtype,
            chunks=replace(whole.chunks, grid=(*whole.chunks.grid, *(1,) * len(inner))),
            dimension_names=meaning.dimensions,
            attributes=dict(meaning.attributes or {}),
        )
        if not whole.chunks.referenced:
            table = {
                number: _cut(data, width, field) for number, data in whole.chunks.inlined.items()
            }
            return replace(found, chunks=ChunkTable.inline(found.chunks.grid, table))
        codec = {
            "id": "refmaker.table_column",
            "row": width,
            "start": field.start,
            "width": field.width,
        }
        return replace(found, compressor=codec)


def _type(field: Field) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Return the type of a field's values, and the extents of what a record holds of them."""
    dtype = field.dtype()
    if not field.order:
        raise FormatError("a field without values")
    if dtype.kind == "S":
        return np.dtype(f"S{field.order}"), ()
    return dtype, (field.order,) if field.order > 1 else ()


def _cut(data: bytes, width: int, field: Field) -> bytes:
    rows = np.frombuffer(data, np.uint8).reshape(-1, width)
    return rows[:, field.start : field.start + field.width].tobytes()

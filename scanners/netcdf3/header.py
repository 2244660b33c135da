"""The header of netCDF classic files, read from a source piece by piece.

Implements "The NetCDF Classic Format Specification" (netCDF User's Guide, appendix "File
Format Specifications"): ``header = magic numrecs dim_list gatt_list var_list`` of CDF-1
(classic), CDF-2 (64-bit offset) and CDF-5 (64-bit data).
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from refmaker.errors import FormatError, LimitError, TruncatedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refmaker.io.source import Source

__all__ = ["CHAR", "Attribute", "Dimension", "Header", "Variable", "read_header"]

CHAR: Final = 2
"""The type ``NC_CHAR``."""
_TYPES: Final = {
    code: np.dtype(name)
    for code, name in enumerate(
        ("|i1", "|S1", ">i2", ">i4", ">f4", ">f8", "|u1", ">u2", ">u4", ">i8", ">u8"), start=1
    )
}
"""External types by ``nc_type``; those from 7 on exist in CDF-5 alone."""
_ABSENT, _DIMENSION, _VARIABLE, _ATTRIBUTE = 0, 10, 11, 12
_FIRST_BLOCK, _LARGEST_BLOCK = 64 * 1024, 1024 * 1024
_STRUCTURE_LIMIT = 16 * 1024**2
"""Bytes of header, attribute values aside; Python objects take some thirty times as much."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """A dimension; length 0 in the file marks the record dimension.

    Parameters
    ----------
    name : str
        Its name.
    length : int
        Elements, as stored.
    """

    name: str
    length: int


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute with its values as stored.

    Parameters
    ----------
    name : str
        Its name.
    type : int
        ``nc_type`` of the values.
    dtype : numpy.dtype
        Element type of the values, big-endian.
    count : int
        Number of values.
    raw : bytes, optional
        The values; None if they take more bytes than may be read.
    """

    name: str
    type: int
    dtype: np.dtype[Any]
    count: int
    raw: bytes | None


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable as the header describes it; its redundant ``vsize`` is not kept.

    Parameters
    ----------
    name : str
        Its name.
    dimensions : tuple of int
        Positions in the header's dimensions.
    attributes : sequence of Attribute
        In file order.
    type : int
        ``nc_type`` of the elements.
    dtype : numpy.dtype
        Element type, big-endian.
    begin : int
        First byte of the data, of the first record for a record variable.
    """

    name: str
    dimensions: tuple[int, ...]
    attributes: Sequence[Attribute]
    type: int
    dtype: np.dtype[Any]
    begin: int


@dataclass(frozen=True, slots=True)
class Header:
    """Everything before the data.

    Parameters
    ----------
    version : int
        1, 2 or 5.
    records : int or None
        Length of the record dimension; None where the file says ``STREAMING``.
    dimensions : sequence of Dimension
    attributes : sequence of Attribute
        Of the file itself.
    variables : sequence of Variable
    record_dimension : int or None
        Position of the record dimension.
    size : int
        Bytes of the header; data cannot begin before.
    latin : sequence of str
        Names that are not UTF-8 and were read as Latin-1.
    """

    version: int
    records: int | None
    dimensions: Sequence[Dimension]
    attributes: Sequence[Attribute]
    variables: Sequence[Variable]
    record_dimension: int | None
    size: int
    latin: Sequence[str]


def read_header(source: Source, attribute_bytes: int) -> Header:
    """Read the header of a netCDF classic file.

    Parameters
    ----------
    attribute_bytes : int
        Attribute values that are read at most, in bytes of the whole file.

    Raises
    ------
    FormatError
        If it is no netCDF classic file, or breaks the grammar; tells the byte.
    TruncatedError
        If it ends inside the header, or a count is larger than the rest of the file.
    LimitError
        If names and definitions alone take more than 16 MiB.
    """
    magic = source.read_upto(0, 4)
    if magic[:3] != b"CDF" or magic[3:] not in (b"\1", b"\2", b"\5"):
        raise FormatError(f"not a netCDF classic file: it starts with {magic!r}", offset=0)
    return _Reader(source, magic[3], attribute_bytes).header()


class _Reader:
    """A position in the header, and the rules by which each version writes integers."""

    def __init__(self, source: Source, version: int, attribute_bytes: int) -> None:
        self._source = source
        self._version = version
        self._attribute_bytes = attribute_bytes
        self._structure_bytes = _STRUCTURE_LIMIT
        self._at = 4
        self._start = 0
        self._buffer = b""
        self._block = _FIRST_BLOCK
        self._count_format = struct.Struct(">Q" if version == 5 else ">I")
        self._offset_format = struct.Struct(">i" if version == 1 else ">q")
        self._latin: list[str] = []

    def header(self) -> Header:
        records: int | None = self._number(self._count_format)
        if records == 256**self._count_format.size - 1:
            records = None
        dimensions = [self._dimension() for _ in range(self._list(_DIMENSION, "dimensions"))]
        unlimited = [at for at, found in enumerate(dimensions) if found.length == 0]
        if len(unlimited) > 1:
            raise self._error(f"{len(unlimited)} record dimensions, where one is allowed")
        self._distinct([found.name for found in dimensions], "dimension")
        attributes = self._attributes()
        variables = [
            self._variable(len(dimensions)) for _ in range(self._list(_VARIABLE, "variables"))
        ]
        self._distinct([found.name for found in variables], "variable")
        return Header(
            self._version,
            records,
            dimensions,
            attributes,
            variables,
            unlimited[0] if unlimited else None,
            self._at,
            self._latin,
        )

    def _dimension(self) -> Dimension:
        return Dimension(self._name(), self._number(self._count_format))

    def _attributes(self) -> list[Attribute]:
        return [self._attribute() for _ in range(self._list(_ATTRIBUTE, "attributes"))]

    def _attribute(self) -> Attribute:
        name = self._name()
        kind, dtype = self._type()
        count = self._count("values", dtype.itemsize)
        length = count * dtype.itemsize
        raw = None
        if length <= self._attribute_bytes:
            self._attribute_bytes -= length
            raw = self._bytes(length)
        else:
            self._at += length
        self._pad(length)
        return Attribute(name, kind, dtype, count, raw)

    def _variable(self, dimensions: int) -> Variable:
        name = self._name()
        start = self._at
        rank = self._count("dimensions of a variable", self._count_format.size)
        raw = self._structure(rank * self._count_format.size)
        ids = tuple(number for (number,) in self._count_format.iter_unpack(raw))
        if ids and max(ids) >= dimensions:
            raise FormatError(
                f"dimension number {max(ids)}, where there are {dimensions}",
                path=name,
                offset=start,
            )
        attributes = self._attributes()
        kind, dtype = self._type()
        self._number(self._count_format)  # vsize: too small for large variables, often wrong
        return Variable(name, ids, attributes, kind, dtype, self._number(self._offset_format))

    def _name(self) -> str:
        length = self._count("characters of a name", 1)
        # Renamed objects have names padded with nulls; the libraries read them as C strings.
        raw = self._structure(length).rstrip(b"\0")
        self._pad(length)
        try:
            return raw.decode()
        except UnicodeDecodeError:
            name = raw.decode("latin-1")
            self._latin.append(name)
            return name

    def _type(self) -> tuple[int, np.dtype[Any]]:
        kind = self._number(_TAG)
        if kind not in _TYPES or (kind > 6 and self._version != 5):
            raise self._error(f"type {kind} does not exist in CDF-{self._version}", back=4)
        return kind, _TYPES[kind]

    def _list(self, tag: int, what: str) -> int:
        """Read the start of a list: its tag and how many members follow."""
        found = self._number(_TAG)
        count = self._count(what, 2 * self._count_format.size)
        if found != tag and (found != _ABSENT or count):
            raise self._error(
                f"the list of {what} starts with tag {found}, expected {tag}",
                back=4 + self._count_format.size,
            )
        return count

    def _count(self, what: str, smallest: int) -> int:
        """Read a number of things, each of which takes `smallest` bytes or more."""
        count = self._number(self._count_format)
        left = self._source.size - self._at
        if count * smallest > left:
            raise TruncatedError(
                f"{count} {what} do not fit in the {left} bytes that are left of the file",
                offset=self._at - self._count_format.size,
                hint="the file is incomplete or damaged",
            )
        return count

    def _number(self, form: struct.Struct) -> int:
        number: int = form.unpack(self._structure(form.size))[0]
        return number

    def _structure(self, length: int) -> bytes:
        self._structure_bytes -= length
        if self._structure_bytes < 0:
            raise LimitError(
                f"the header's definitions take more than {_STRUCTURE_LIMIT} bytes",
                offset=self._at,
            )
        return self._bytes(length)

    def _bytes(self, length: int) -> bytes:
        """Return the next bytes, reading on in growing blocks."""
        first = self._at - self._start
        if first + length > len(self._buffer):
            if self._at + length > self._source.size:
                raise TruncatedError(
                    "the file ends inside its header",
                    offset=self._at,
                    hint="the file is incomplete or damaged",
                )
            self._buffer = self._source.read_upto(self._at, max(length, self._block))
            self._start, first = self._at, 0
            self._block = min(2 * self._block, _LARGEST_BLOCK)
        self._at += length
        return self._buffer[first : first + length]

    def _pad(self, length: int) -> None:
        """Pass over the bytes up to the next multiple of four."""
        self._bytes(-length % 4)

    def _distinct(self, names: list[str], what: str) -> None:
        if len(set(names)) < len(names):
            twice = Counter(names).most_common(1)[0][0]
            raise self._error(f"two {what}s are named {twice!r}")

    def _error(self, message: str, back: int = 0) -> FormatError:
        return FormatError(message, offset=self._at - back)


_TAG: Final = struct.Struct(">I")

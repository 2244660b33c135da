"""Attribute messages by their bytes: what of them is the same in all files of a kind, and what not.

HDF5 File Format Specification, IV.A.2.m "The Attribute Message", IV.A.2.b and IV.A.2.d.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from enum import Enum
from typing import Any

import h5py
import numpy as np

from refmaker.scanners.hdf5.structure_error import StructureMismatchError

__all__ = ["Attribute", "Part", "Values", "decode", "split_attribute"]

Values = bytes | tuple[bytes, ...]
"""The values as they stand in the file: those in the message itself, or sequences elsewhere."""

_SPECIAL = frozenset(
    [b"CLASS", b"NAME", b"_FillValue", b"missing_value", b"DIMENSION_LIST", b"DIMENSION_LABELS"]
)
_SPECIAL_STARTS = (b"_Netcdf4", b"_NCProperties", b"_nc3_")
_FIXED, _FLOAT, _STRING, _BITS, _OPAQUE, _REFERENCE, _SEQUENCE = 0, 1, 3, 4, 5, 7, 9
_HERE = frozenset([_FIXED, _FLOAT, _STRING, _BITS, _OPAQUE])
_KNOWN_MOST, _KNOWN_BYTES = 4096, 1024


class Attribute(Enum):
    """Where the values of an attribute lie."""

    KEY = "in the head: they decide how the file is expressed"
    HERE = "in the message"
    TEXTS = "in the global heap, as strings"
    REFERENCES = "in the global heap, as references to objects"


@dataclass(frozen=True, slots=True)
class Part:
    """An attribute message, taken apart.

    Parameters
    ----------
    name : bytes
        The attribute's name.
    head : bytes
        What is compared: name, type and space, and of attributes that decide, the values.
    pieces : Attribute
        Where the values lie.
    data : bytes
        What follows name, type and space.
    count : int
        Number of elements.
    special : bool
        Whether the values decide how the file is expressed.
    """

    name: bytes
    head: bytes
    pieces: Attribute
    data: bytes = b""
    count: int = 0
    special: bool = False

    def sequences(self, width: int) -> list[tuple[int, int, int]]:
        """Return bytes, heap and index of each sequence of elements of a width."""
        if len(self.data) < 16 * self.count:
            raise StructureMismatchError("an attribute that is too short")
        found = struct.iter_unpack("<IQI", self.data[: 16 * self.count])
        return [(count * width, heap, index) for count, heap, index in found]


_known: dict[bytes, Part] = {}


def split_attribute(body: bytes) -> Part:
    """Take an attribute message apart; the same bytes need it once.

    Raises
    ------
    StructureMismatchError
        If its values cannot be compared as bytes.
    """
    part = _known.get(body)
    if part is None:
        part = _split(body)
        if len(body) <= _KNOWN_BYTES:
            if len(_known) >= _KNOWN_MOST:
                _known.clear()
            _known[body] = part
    return part


def _split(body: bytes) -> Part:
    version = body[0]
    if version not in (1, 2, 3) or (version > 1 and body[1] & 3):
        raise StructureMismatchError("an attribute with a shared type")
    name, kind, space, end = _bounds(body)
    if end > len(body) or kind.stop - kind.start < 8:
        raise StructureMismatchError("an attribute that is too short")
    head, data, of = body[:end], body[end:], body[kind.start]
    title = body[name].split(b"\0")[0]
    if title == b"REFERENCE_LIST":
        # Nobody asks who refers to a dimension; the others say so themselves.
        return Part(title, title, Attribute.KEY)
    special = title in _SPECIAL or title.startswith(_SPECIAL_STARTS)
    count = math.prod(_extents(body[space]))
    if of & 15 == _SEQUENCE:
        part = _sequence(body[kind])
        if part is Attribute.REFERENCES and title != b"DIMENSION_LIST":
            raise StructureMismatchError("an attribute of references")
        return Part(title, head, part, data, count, special)
    if of & 15 not in _HERE:
        raise StructureMismatchError("an attribute of another type")
    nbytes = count * int.from_bytes(body[kind.start + 4 : kind.start + 8], "little")
    if len(data) < nbytes:
        raise StructureMismatchError("an attribute that is too short")
    data = data[:nbytes]
    if special:
        return Part(title, head + data, Attribute.KEY)
    return Part(title, head, Attribute.HERE, data, count)


def _bounds(body: bytes) -> tuple[slice, slice, slice, int]:
    """Return where name, type and space lie, and where the values begin."""
    sizes = struct.unpack_from("<HHH", body, 2)
    at = 9 if body[0] == 3 else 8
    slices = []
    for size in sizes:
        slices.append(slice(at, at + size))
        at += size + (-size % 8 if body[0] == 1 else 0)
    return slices[0], slices[1], slices[2], at


def _extents(space: bytes) -> tuple[int, ...]:
    """Return the extents that a dataspace message gives; ``(0,)`` if it has no elements at all."""
    version, rank = space[0], space[1]
    if version not in (1, 2) or rank > 32:
        raise StructureMismatchError("another version of dataspace")
    if version == 2 and space[3] == 2:
        return (0,)
    return struct.unpack_from(f"<{rank}Q", space, 8 if version == 1 else 4)


def _sequence(kind: bytes) -> Attribute:
    """Tell strings of varying length from sequences of references to objects."""
    if kind[1] & 15 == 1:
        return Attribute.TEXTS
    if kind[8] & 15 == _REFERENCE and kind[9:12] == b"\0\0\0" and kind[12] == 8:
        return Attribute.REFERENCES
    raise StructureMismatchError("an attribute of sequences")


def _plain_types() -> dict[bytes, np.dtype[Any]]:
    """Return the types of numbers that numpy has, by their messages without the version."""
    found = {}
    for code in "iuf":
        for size in (1, 2, 4, 8):
            if code == "f" and size < 4:
                continue
            for order in "<>":
                dtype = np.dtype(f"{order}{code}{size}")
                found[h5py.h5t.py_create(dtype).encode()[3:]] = dtype
    return found


_TYPES = _plain_types()


def decode(head: bytes, values: Values, *, scalars: bool) -> Any:
    """Return an attribute's value as `AttributeReader.read` does, for the commonest types.

    Parameters
    ----------
    head : bytes
        The message up to the values.
    scalars : bool
        Whether one-element arrays stand for scalars.

    Raises
    ------
    StructureMismatchError
        If the type is none of these, or the value needs a second look.
    """
    _, kind, space, _ = _bounds(head)
    shape = _extents(head[space])
    alone = shape == () or (scalars and shape == (1,))
    if isinstance(values, tuple):
        if not alone:
            raise StructureMismatchError("many strings")
        return _text(values[0])
    message = head[kind]
    if message[0] & 15 == _STRING:
        if not alone:
            raise StructureMismatchError("many strings")
        return _text(values.rstrip(b" " if message[1] & 15 == 2 else b"\0"))
    dtype = _TYPES.get(message[1:])
    if dtype is None:
        raise StructureMismatchError("an uncommon number")
    array = np.frombuffer(values, dtype).reshape(shape)
    if dtype.kind == "f" and not np.isfinite(array).all():
        raise StructureMismatchError("an infinite number")
    value = array.tolist()
    return value[0] if shape == (1,) and scalars else value


def _text(raw: bytes) -> str:
    try:
        return raw.split(b"\0")[0].decode("utf-8")
    except UnicodeDecodeError as error:
        raise StructureMismatchError("text that is not UTF-8") from error

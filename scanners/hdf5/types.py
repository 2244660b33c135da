"""HDF5 datatypes as Zarr version 2 can express them.

HDF5 File Format Specification, IV.A.2.d "The Datatype Message". Each class either becomes
a numpy dtype in the file's byte order, perhaps with more dimensions or a codec, or is
resolved to strings while scanning, or is refused with its reason.
"""

from __future__ import annotations

import base64
import math
import re
import struct
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from refmaker.errors import UnsupportedError
from refmaker.model.record_dtypes import RECORD, record_document

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Element", "ValueStorage", "element_of", "holds_region_references"]

_FIELD_LIMIT = 1024
"""Most fields of a flattened compound; more make metadata that no reader copes with."""
_ORDERS = {h5py.h5t.ORDER_LE: "<", h5py.h5t.ORDER_BE: ">", h5py.h5t.ORDER_NONE: "|"}
_IEEE = {
    # size: (precision, sign bit, exponent position and size, mantissa position and size, bias)
    2: (16, 15, 10, 5, 0, 10, 15),
    4: (32, 31, 23, 8, 0, 23, 127),
    8: (64, 63, 52, 11, 0, 52, 1023),
}
_NORM_NONE = h5py.h5t.NORM_NONE
_NUMPY_TAG = re.compile(rb"NUMPY:([<>|]?[mM]8\[\w+\])")


class ValueStorage(Enum):
    """How values get into a reference set."""

    RAW = "raw"
    STRINGS = "strings"
    COLUMNS = "columns"
    REFERENCES = "references"


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a dataset.

    Parameters
    ----------
    dtype : numpy.dtype
        Its type in the Zarr array; ``object`` for what becomes strings.
    itemsize : int
        Bytes of one HDF5 element in the file.
    form : ValueStorage
        Whether chunks hold the values themselves.
    dims : tuple of int
        Dimensions that an HDF5 array type adds behind those of the dataset.
    codecs : tuple of dict
        Codec configurations that stand before the filters.
    attributes : mapping
        What the datatype says and a Zarr dtype cannot.
    """

    dtype: np.dtype[Any]
    itemsize: int
    form: ValueStorage = ValueStorage.RAW
    dims: tuple[int, ...] = ()
    codecs: tuple[Mapping[str, Any], ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def stored(self) -> int:
        """Bytes in the file of one element of the Zarr array; its dtype may be wider."""
        return self.itemsize // math.prod(self.dims)


def element_of(kind: Any) -> Element:
    """Return how elements of a datatype are expressed.

    Parameters
    ----------
    kind : h5py.h5t.TypeID
        The datatype, as it stands in the file.

    Raises
    ------
    UnsupportedError
        If they cannot be; the code starts with ``dtype-``.
    """
    of = kind.get_class()
    make = _CLASSES.get(of)
    if of in _COMPOSED and _leads_elsewhere(kind):
        make = _scattered
    if make is None:
        raise _unsupported(_NAMES.get(of, f"datatype class {of}"), _CODES.get(of, "dtype-other"))
    return make(kind, int(kind.get_size()))


def _unsupported(what: str, code: str = "dtype-other") -> UnsupportedError:
    return UnsupportedError(f"Zarr has no type for {what}", code=code)


def _order(kind: Any) -> str:
    order = _ORDERS.get(kind.get_order())
    if order is None:
        raise _unsupported("VAX or mixed byte order")
    return "|" if kind.get_size() == 1 else order


def _integer(kind: Any, size: int) -> Element:
    signed = kind.get_sign() != h5py.h5t.SGN_NONE
    if size > 8:
        raise _unsupported(f"integers of {size} bytes", "dtype-integer")
    if size not in (1, 2, 4, 8):
        wide = 4 if size < 4 else 8
        return _converted(kind, size, np.dtype(f"<{'i' if signed else 'u'}{wide}"))
    dtype = np.dtype(f"{_order(kind)}{'i' if signed else 'u'}{size}")
    precision, offset = int(kind.get_precision()), int(kind.get_offset())
    if precision == 8 * size and offset == 0:
        return Element(dtype, size)
    return Element(dtype, size, codecs=(_bits(dtype, precision, offset),))


def _bits(dtype: np.dtype[Any], precision: int, offset: int) -> dict[str, Any]:
    return {
        "id": "refmaker.hdf5_bits",
        "dtype": dtype.str,
        "precision": precision,
        "offset": offset,
    }


def _float(kind: Any, size: int) -> Element:
    sign, exponent_at, exponent, mantissa_at, mantissa = (int(n) for n in kind.get_fields())
    found = (int(kind.get_precision()), sign, exponent_at, exponent, mantissa_at, mantissa)
    plain = kind.get_norm() == h5py.h5t.NORM_IMPLIED and kind.get_offset() == 0
    order = _ORDERS.get(kind.get_order())
    if plain and order is not None and _IEEE.get(size) == (*found, int(kind.get_ebias())):
        return Element(np.dtype(f"{order}f{size}"), size)
    if exponent > _IEEE[8][3] or mantissa > _IEEE[8][5] or kind.get_norm() == _NORM_NONE:
        raise _unsupported(
            f"a float of {found[0]} bits with {exponent} of exponent and {mantissa} of mantissa",
            "dtype-float",
        )
    # Every value of a narrower float is a float of 8 bytes; HDF5 itself converts.
    return _converted(kind, size, np.dtype("<f8"))


def _converted(kind: Any, size: int, dtype: np.dtype[Any]) -> Element:
    encoded = base64.b64encode(kind.encode()).decode("ascii")
    config = {"id": "refmaker.hdf5_convert", "type": encoded, "dtype": dtype.str}
    return Element(dtype, size, codecs=(config,))


def _bitfield(kind: Any, size: int) -> Element:
    if size not in (1, 2, 4, 8):
        raise _unsupported(f"a bit field of {size} bytes")
    dtype = np.dtype(f"{_order(kind)}u{size}")
    # h5py does not tell; the message has them behind its header, class, flags and size.
    offset, precision = struct.unpack_from("<HH", kind.encode(), 10)
    if precision == 8 * size and offset == 0:
        return Element(dtype, size)
    return Element(dtype, size, codecs=(_bits(dtype, precision, offset),))


def _opaque(kind: Any, size: int) -> Element:
    tag = _NUMPY_TAG.fullmatch(kind.get_tag())
    return Element(np.dtype(tag[1].decode() if tag else f"V{size}"), size)


def _reference(kind: Any, size: int) -> Element:
    if not kind.equal(h5py.h5t.STD_REF_OBJ):
        raise _unsupported("references to regions or of a newer kind", "dtype-reference")
    return Element(np.dtype(object), size, ValueStorage.REFERENCES)


def _string(kind: Any, size: int) -> Element:
    if kind.is_variable_str():
        return Element(np.dtype(object), size, ValueStorage.STRINGS)
    # xarray decodes fixed-length strings by this attribute; single bytes are netCDF's characters,
    # which it would join to strings, and decode, where netCDF's own attribute does not say so.
    utf8 = kind.get_cset() == h5py.h5t.CSET_UTF8 and size > 1
    element = Element(np.dtype(f"S{size}"), size)
    padding = kind.get_strpad()
    if padding == h5py.h5t.STR_SPACEPAD or (padding == h5py.h5t.STR_NULLTERM and size > 1):
        # numpy pads with zeros: it takes spaces, and what lies behind a first zero, for text.
        element = _converted(kind, size, element.dtype)
    return replace(element, attributes={"_Encoding": "utf-8"}) if utf8 else element


def _enumeration(kind: Any, size: int) -> Element:
    base = element_of(kind.get_super())
    members = [
        (kind.get_member_name(i).decode("utf-8", "replace"), kind.get_member_value(i))
        for i in range(kind.get_nmembers())
    ]
    if size == 1 and dict(members) == {"FALSE": 0, "TRUE": 1}:
        return Element(np.dtype(bool), size)
    attributes = {
        "flag_values": [int(value) for _, value in members],
        "flag_meanings": " ".join(re.sub(r"\s+", "_", name) for name, _ in members),
    }
    return Element(base.dtype, size, codecs=base.codecs, attributes=attributes if members else {})


def _array(kind: Any, size: int) -> Element:
    base = element_of(kind.get_super())
    if base.form is not ValueStorage.RAW:
        raise _unsupported("arrays of strings or references", "dtype-array")
    dims = tuple(int(extent) for extent in kind.get_array_dims())
    return Element(
        base.dtype, size, dims=(*dims, *base.dims), codecs=base.codecs, attributes=base.attributes
    )


def _compound(kind: Any, size: int) -> Element:
    try:
        plain = np.dtype(kind.dtype)
    except (TypeError, ValueError, RuntimeError):
        plain = None
    if plain is not None and plain.kind == "c" and plain.itemsize == size:
        return Element(plain, size)
    fields: list[tuple[str, str]] = []
    end = _flatten(kind, "", 0, fields)
    _pad(fields, end, size)
    names = [name for name, _ in fields]
    if len(set(names)) != len(names):
        raise _unsupported("a compound whose flattened fields share a name", "dtype-compound")
    flat = np.dtype(fields)
    seen = {RECORD: record_document(plain)} if plain is not None and plain != flat else {}
    codecs = _converted(kind, size, np.dtype(f"V{size}")).codecs if _has_ends(kind) else ()
    return Element(flat, size, codecs=codecs, attributes=seen)


def _flatten(kind: Any, prefix: str, start: int, fields: list[tuple[str, str]]) -> int:
    """Append a compound's fields with their gaps, in file order; returns where they end.

    Zarr has neither structures in structures nor arrays in them: a member ``b`` of ``a``
    becomes ``a.b``, element 2 of an array ``c`` becomes ``c.2``.
    """
    end = start
    order = sorted(range(kind.get_nmembers()), key=kind.get_member_offset)
    for i in order:
        member = kind.get_member_type(i)
        name = prefix + kind.get_member_name(i).decode("utf-8", "replace")
        at = start + int(kind.get_member_offset(i))
        if at < end:
            raise _unsupported("a compound with overlapping members", "dtype-compound")
        _pad(fields, end, at)
        end = _member(member, name, at, fields)
    return end


def _member(member: Any, name: str, at: int, fields: list[tuple[str, str]]) -> int:
    size = int(member.get_size())
    if len(fields) >= _FIELD_LIMIT:
        raise _unsupported(f"a compound of more than {_FIELD_LIMIT} fields", "dtype-compound")
    if member.get_class() == h5py.h5t.COMPOUND and not _is_complex(member):
        end = _flatten(member, f"{name}.", at, fields)
        _pad(fields, end, at + size)
        return at + size
    element = element_of(member)
    if element.form is not ValueStorage.RAW or (element.codecs and not _is_text(member)):
        raise _unsupported(
            "a compound with strings of varying length, references or packed integers",
            "dtype-compound",
        )
    if not element.dims:
        fields.append((name, element.dtype.str))
        return at + size
    count = int(np.prod(element.dims))
    if element.dtype.names is not None or len(fields) + count > _FIELD_LIMIT:
        raise _unsupported("a compound with arrays of compounds or large arrays", "dtype-compound")
    fields.extend((f"{name}.{i}", element.dtype.str) for i in range(count))
    return at + size


def _is_text(kind: Any) -> bool:
    if kind.get_class() == h5py.h5t.ARRAY:
        return _is_text(kind.get_super())
    return bool(kind.get_class() == h5py.h5t.STRING and not kind.is_variable_str())


def _has_ends(kind: Any) -> bool:
    """Whether texts in a type end before their fields do, with a zero or with spaces."""
    if kind.get_class() == h5py.h5t.COMPOUND:
        return any(_has_ends(kind.get_member_type(i)) for i in range(kind.get_nmembers()))
    if kind.get_class() == h5py.h5t.ARRAY:
        return _has_ends(kind.get_super())
    return _is_text(kind) and bool(element_of(kind).codecs)


def _is_complex(kind: Any) -> bool:
    try:
        return bool(np.dtype(kind.dtype).kind == "c")
    except (TypeError, ValueError, RuntimeError):
        return False


def _pad(fields: list[tuple[str, str]], end: int, at: int) -> None:
    if at > end:
        fields.append((f"_gap{end}", f"V{at - end}"))


def holds_region_references(kind: Any, *, inside_sequence: bool = False) -> bool:
    """Whether reading values of a type makes HDF5 copy region references out of sequences."""
    of = kind.get_class()
    if of == h5py.h5t.REFERENCE:
        return inside_sequence and bool(kind.equal(h5py.h5t.STD_REF_DSETREG))
    if of == h5py.h5t.VLEN:
        return holds_region_references(kind.get_super(), inside_sequence=True)
    if of == h5py.h5t.ARRAY:
        return holds_region_references(kind.get_super(), inside_sequence=inside_sequence)
    if of == h5py.h5t.COMPOUND:
        members = (kind.get_member_type(i) for i in range(kind.get_nmembers()))
        return any(holds_region_references(m, inside_sequence=inside_sequence) for m in members)
    return False


def _scattered(kind: Any, size: int) -> Element:
    if holds_region_references(kind):
        raise _unsupported("sequences of region references", "dtype-reference")
    return Element(np.dtype(object), size, ValueStorage.COLUMNS)


def _leads_elsewhere(kind: Any) -> bool:
    """Whether values of a type have parts outside of the chunks."""
    of = kind.get_class()
    if of == h5py.h5t.COMPOUND:
        return any(_leads_elsewhere(kind.get_member_type(i)) for i in range(kind.get_nmembers()))
    if of == h5py.h5t.ARRAY:
        return _leads_elsewhere(kind.get_super())
    text = of == h5py.h5t.STRING and kind.is_variable_str()
    return bool(text or of in (h5py.h5t.VLEN, h5py.h5t.REFERENCE))


_COMPOSED = frozenset([h5py.h5t.COMPOUND, h5py.h5t.ARRAY, h5py.h5t.VLEN])
_CLASSES: dict[int, Callable[[Any, int], Element]] = {
    h5py.h5t.INTEGER: _integer,
    h5py.h5t.FLOAT: _float,
    h5py.h5t.BITFIELD: _bitfield,
    h5py.h5t.STRING: _string,
    h5py.h5t.OPAQUE: _opaque,
    h5py.h5t.ENUM: _enumeration,
    h5py.h5t.ARRAY: _array,
    h5py.h5t.REFERENCE: _reference,
    h5py.h5t.COMPOUND: _compound,
    # HDF5 2.0 has complex numbers of its own.
    getattr(h5py.h5t, "COMPLEX", -2): _compound,
}
_NAMES = {
    h5py.h5t.VLEN: "sequences of varying length",
    h5py.h5t.TIME: "the obsolete time class",
}
_CODES = {h5py.h5t.VLEN: "dtype-vlen", h5py.h5t.TIME: "dtype-time"}

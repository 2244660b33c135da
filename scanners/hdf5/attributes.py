"""HDF5 attributes as JSON values: one encoder for everything that an attribute can hold.

Shapes are kept, but for the one-element arrays in which netCDF keeps its scalars. Numbers
that JSON lacks become the strings that Zarr uses for them, references become paths,
complex numbers pairs, compounds objects.
"""

from __future__ import annotations

import base64
import math
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from refmaker.errors import UnsupportedError
from refmaker.model.attribute_types import number_type
from refmaker.model.zarr_v2 import json_number
from refmaker.scanners.hdf5.types import holds_region_references
from refmaker.scanners.hdf5.walk import address_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["SQUEEZED", "AttributeReader"]

SQUEEZED = frozenset(
    [
        "_FillValue", "_Unsigned", "_Encoding", "add_offset", "ancillary_variables", "axis",
        "bounds", "calendar", "cell_measures", "cell_methods", "cf_role", "climatology",
        "compress",
        "Conventions", "coordinates", "dtype", "external_variables", "featureType", "flag_masks",
        "flag_meanings", "flag_values", "formula_terms", "grid_mapping", "grid_mapping_name",
        "instance_dimension", "leap_month", "leap_year", "long_name", "missing_value", "positive",
        "sample_dimension", "scale_factor", "standard_name", "units", "units_metadata", "valid_max",
        "valid_min",
    ]
)  # fmt: skip
"""Attributes that CF reads as one value (CF conventions, appendix A)."""
_PLAIN = frozenset([h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.STRING])
_NUMBERS = frozenset([h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.ENUM])
_LIMIT = 8 * 1024**2
"""Bytes of one attribute, in memory, that are read at most."""


class AttributeReader:
    """Reads attributes of the objects of one file.

    Parameters
    ----------
    file : h5py.File
        The open file, in which references are resolved.
    names : mapping of int to str
        Path of each object, by address.
    scalars : bool
        Whether one-element arrays stand for scalars, as in netCDF4 files.
    warn : callable
        Is told about doubtful text.
    """

    def __init__(
        self,
        file: h5py.File,
        names: Mapping[int, str],
        warn: Callable[[str], None],
        *,
        scalars: bool = False,
    ) -> None:
        self._file = file
        self._names = names
        self._warn = warn
        self.scalars = scalars

    @staticmethod
    def names(identifier: Any) -> list[bytes]:
        """Return the names of an object's attributes, the oldest first if that is known."""
        found: list[bytes] = []
        if not h5py.h5a.get_num_attrs(identifier):
            return found
        tracked = identifier.get_create_plist().get_attr_creation_order()
        by_age = tracked & h5py.h5p.CRT_ORDER_TRACKED
        order = h5py.h5.INDEX_CRT_ORDER if by_age else h5py.h5.INDEX_NAME
        # A callback that returns something ends the iteration.
        h5py.h5a.iterate(identifier, lambda name, *_: found.append(name), index_type=order)
        return found

    def read(self, identifier: Any, name: bytes) -> Any:
        """Return an attribute's value in JSON terms; see `read_typed`."""
        return self.read_typed(identifier, name)[0]

    def squeezes(self, name: bytes) -> bool:
        """Tell whether a list of one element stands for that element."""
        return self.scalars or name.decode("utf-8", "replace") in SQUEEZED

    def read_typed(self, identifier: Any, name: bytes) -> tuple[Any, str | None]:
        """Return an attribute's value in JSON terms, and its type if that is to be recorded.

        Raises
        ------
        UnsupportedError
            If it has a type that cannot be read safely, or is too large.
        OSError, RuntimeError, TypeError, ValueError, KeyError
            What h5py raises for damaged attributes.
        """
        attribute = h5py.h5a.open(identifier, name)
        kind = attribute.get_type()
        of = kind.get_class()
        if of not in _PLAIN and holds_region_references(kind):
            raise UnsupportedError(
                "the HDF5 library aborts when it reads sequences of region references",
                code="attribute",
            )
        space = attribute.get_space()
        if space.get_simple_extent_type() == h5py.h5s.NULL:
            return ("" if of == h5py.h5t.STRING else []), None
        shape = space.get_simple_extent_dims()
        if math.prod(shape) * kind.get_size() > _LIMIT:
            raise UnsupportedError(f"larger than {_LIMIT} bytes", code="attribute")
        scalar = shape == (1,) and self.squeezes(name)
        if of == h5py.h5t.STRING and (scalar or shape == ()) and not kind.is_variable_str():
            return self._text(attribute, kind, str(name)), None
        dtype = kind.dtype
        values = np.empty(shape, dtype)
        memory = None
        if of == h5py.h5t.OPAQUE:
            # Between opaque types with different tags there is no conversion, not even to the same.
            memory = kind
        elif of == h5py.h5t.ARRAY:
            # In numpy their dimensions are the array's, of which HDF5 knows nothing.
            memory = h5py.h5t.py_create(dtype)
        attribute.read(values, memory)
        value = self._encode(values, str(name), kind)
        code = number_type(dtype, value) if of in _NUMBERS and dtype.kind in "iuf" else None
        one = scalar and isinstance(value, list) and len(value) == 1
        return (value[0] if one else value), code

    def _text(self, attribute: Any, kind: Any, where: str) -> str:
        """Return one fixed-length string, the commonest attribute of all."""
        raw = np.empty(attribute.shape, f"S{kind.get_size()}")
        # Read in its own type, its bytes are not converted.
        attribute.read(raw, kind)
        return self._decode(raw.tobytes().rstrip(_padding(kind)), where)

    def references(self, identifier: Any, name: bytes) -> list[list[int]]:
        """Return the addresses that an attribute of sequences of object references names.

        Parameters
        ----------
        name : bytes
            Such as ``DIMENSION_LIST``.
        """
        attribute = h5py.h5a.open(identifier, name)
        values = np.empty(attribute.shape, dtype=attribute.dtype)
        attribute.read(values)
        return [
            [self.address(reference) for reference in (row if row is not None else ())]
            for row in values.reshape(-1).tolist()
        ]

    def address(self, reference: Any) -> int:
        """Return the address of a referenced object, -1 for a null reference."""
        target = h5py.h5r.dereference(reference, self._file.id) if reference else None
        return -1 if target is None else address_of(target)

    def _encode(self, value: Any, where: str, kind: Any = None) -> Any:
        """Encode arrays, numpy scalars and the objects that h5py puts into arrays."""
        if isinstance(value, np.ndarray):
            return self._array(value, where, kind)
        if isinstance(value, np.void):
            return self._void(value, where)
        if isinstance(value, bytes):
            return self._decode(value, where)
        if isinstance(value, h5py.h5r.Reference):
            return self._path(value)
        if isinstance(value, np.datetime64 | np.timedelta64):
            return str(value)
        if value is None or isinstance(value, str | bool | np.bool_ | int | np.integer):
            return value.item() if isinstance(value, np.generic) else value
        return self._inexact(value, where)

    def _void(self, value: np.void, where: str) -> Any:
        if value.dtype.names is None:
            return "base64:" + base64.b64encode(value.tobytes()).decode("ascii")
        return {name: self._encode(value[name], where) for name in value.dtype.names}

    def _path(self, reference: Any) -> str | None:
        if isinstance(reference, h5py.h5r.RegionReference):
            raise UnsupportedError("region references have no JSON form", code="attribute")
        return self._names.get(self.address(reference)) if reference else None

    def _inexact(self, value: Any, where: str) -> Any:
        if isinstance(value, complex | np.complexfloating):
            return [json_number(float(value.real)), json_number(float(value.imag))]
        if not isinstance(value, float | np.floating):
            raise UnsupportedError(f"a {type(value).__name__} has no JSON form", code="attribute")
        narrow = float(value)
        if np.isfinite(value) and np.longdouble(value) != narrow:
            self._warn(f"attribute {where}: a long double was rounded to 8 bytes")
        return json_number(narrow)

    def _array(self, values: np.ndarray[Any, Any], where: str, kind: Any) -> Any:
        if values.dtype.kind in "biu":
            return values.tolist()
        if values.dtype.kind == "f" and values.dtype.itemsize <= 8 and np.isfinite(values).all():
            return values.astype(np.float64).tolist()
        if values.dtype.kind == "S" and kind is not None and kind.get_class() == h5py.h5t.STRING:
            pad = _padding(kind)
            values = np.array(
                [v.rstrip(pad) for v in values.reshape(-1).tolist()] or [b""], object
            )[: values.size].reshape(values.shape)
        if values.ndim == 0:
            return self._encode(values[()], where)
        return [self._encode(part, where) for part in values]

    def _decode(self, value: bytes, where: str) -> str:
        value = value.split(b"\0")[0] if b"\0" in value else value
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            self._warn(f"attribute {where}: not UTF-8, read as Latin-1")
            return value.decode("latin-1")


def _padding(kind: Any) -> bytes:
    """Return what fills up the strings of a fixed-length type."""
    return b" " if kind.get_strpad() == h5py.h5t.STR_SPACEPAD else b"\0"

"""Attributes and coordinates that the user gives."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import MetadataError
from refmaker.model.attribute_types import TYPES, number_type
from refmaker.model.dtypes import json_number
from refmaker.model.editing.companions import coordinate_names, with_coordinate
from refmaker.model.editing.places import at_group, dimension_sizes, group_of, unknown
from refmaker.model.inline import inline_array
from refmaker.model.origin import Origin
from refmaker.model.tree import Array, Group, joined_path
from refmaker.model.zarr_v2 import DIMENSIONS, dumps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["assign_attrs", "assign_coords", "coordinate_array"]

_FILL = "_FillValue"
_UNITS = {
    "D": "days", "h": "hours", "m": "minutes", "s": "seconds", "ms": "milliseconds",
    "us": "microseconds", "ns": "nanoseconds",
}  # fmt: skip


def assign_attrs(root: Group, path: str, attributes: Mapping[str, Any]) -> Group:
    """Return the tree with other attributes of an array or a group.

    Parameters
    ----------
    path : str
        The array or group; empty for the root.
    attributes : mapping
        Values in JSON terms, or numpy's numbers and arrays; None removes an attribute.

    Raises
    ------
    MetadataError
        If there is no such array or group, a value has no place in JSON, or an attribute is one
        that other fields of an array stand for.
    """
    path = path.strip("/")
    nodes = dict(root.walk())
    if path not in nodes:
        raise unknown(path, [name for name in nodes if name])
    for name in (DIMENSIONS, TYPES):
        if name in attributes:
            raise MetadataError(f"{name!r} is no attribute that can be set", path=path or "/")
    given = {name: _plain(name, value) for name, value in attributes.items()}
    if not path:
        return replace(root, attributes=_merged(root.attributes, given))
    home, _, last = path.rpartition("/")

    def change(group: Group) -> Group:
        node = group.members[last]
        new: Array | Group = replace(node, attributes=_merged(node.attributes, given))
        if isinstance(new, Array):
            if _FILL in given:
                new = _with_fill(path, new, given[_FILL][0])
            new = replace(new, origin=new.origin and new.origin.edited(given))
        return replace(group, members={**group.members, last: new})

    return at_group(root, home, change)


def _plain(name: str, value: Any) -> tuple[Any, str | None]:
    """Return an attribute in JSON terms, and its number type where JSON does not tell it."""
    if not isinstance(value, np.generic | np.ndarray):
        if isinstance(value, float):
            value = json_number(value)
        dumps(value)
        return value, None
    if value.dtype.kind not in "biufSU":
        raise MetadataError(f"attribute {name!r} is {value.dtype}, which JSON cannot say")
    listed = value.tolist()
    plain = [
        json_number(v) if isinstance(v, float) else v for v in np.ravel(np.asarray(value)).tolist()
    ]
    if value.dtype.kind == "S":
        plain = [text.decode("utf-8", "replace") for text in plain]
    found = plain if isinstance(listed, list) else plain[0]
    return found, number_type(value.dtype, found) if value.dtype.kind in "iuf" else None


def _merged(old: Mapping[str, Any], given: Mapping[str, tuple[Any, str | None]]) -> dict[str, Any]:
    merged = {**old, **{name: value for name, (value, _) in given.items()}}
    found = {name: value for name, value in merged.items() if not (name in given and value is None)}
    record = old.get(TYPES)
    types = record.get("types") if isinstance(record, dict) else None
    known = {k: v for k, v in types.items() if k not in given} if isinstance(types, dict) else {}
    known |= {name: code for name, (_, code) in given.items() if code is not None}
    found.pop(TYPES, None)
    if isinstance(record, dict):
        found[TYPES] = {**record, "types": known}
    elif known:
        found[TYPES] = {"types": known}
    return found


def _with_fill(path: str, array: Array, value: Any) -> Array:
    """Return an array with another value that marks what is missing.

    It is the storage's value for chunks that were never written, too, and so it may only change
    where there are none.
    """
    try:
        fill = (
            None if value is None else np.asarray(value).astype(array.dtype, casting="unsafe")[()]
        )
        exact = value is None or value in ("NaN", "Infinity", "-Infinity") or bool(fill == value)
    except (TypeError, ValueError, OverflowError) as error:
        raise MetadataError(f"{_FILL} {value!r} is no value of {array.dtype}", path=path) from error
    if not exact:
        raise MetadataError(f"{_FILL} {value!r} is no value of {array.dtype}", path=path)
    if array.chunks.absent and _differ(array.fill_value, fill):
        raise MetadataError(
            f"{array.chunks.absent} chunks were never written, and read as {array.fill_value}:"
            f" with another {_FILL} they would have other values",
            path=path,
        )
    return replace(array, fill_value=fill)


def _differ(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is not other
    return not bool(np.array_equal(np.asarray(one), np.asarray(other), equal_nan=_is_float(one)))


def _is_float(value: Any) -> bool:
    return np.asarray(value).dtype.kind in "fc"


def assign_coords(root: Group, coords: Mapping[str, Any], group: str = "") -> Group:
    """Return the tree with coordinates that are kept in the set itself.

    Parameters
    ----------
    coords : mapping
        By name: a scalar; values along the dimension of that name; or a tuple of dimensions,
        values and, if wanted, attributes. Dates become times of the CF conventions.

    Raises
    ------
    MetadataError
        If values do not fit the dimensions, or are none that are kept in a set.
    """
    here = group_of(root, group)
    sizes = dimension_sizes(here)
    made = here
    for name, value in coords.items():
        dims, values, attributes = _parsed(name, value)
        path = joined_path(group, name)
        array = coordinate_array(name, values, dims, attributes)
        for dim, size in zip(dims, array.shape, strict=True):
            if sizes.get(dim, size) != size:
                raise MetadataError(
                    f"{size} values were given for the {sizes[dim]} elements of {dim}", path=path
                )
        if isinstance(made.members.get(name), Group):
            raise MetadataError("there is a group of this name", path=path)
        if name in sizes and dims != (name,):
            raise MetadataError(
                "it is the name of a dimension, along which it has to lie", path=path
            )
        made = replace(made, members={**made.members, name: array})
        if dims != (name,):
            others = coordinate_names(made) | {name}
            data = [
                other
                for other, node in made.members.items()
                if isinstance(node, Array)
                and other not in others
                and set(dims) <= set(node.dimension_names or ())
            ]
            made = with_coordinate(made, name, data)
    return at_group(root, group, lambda _: made)


def _parsed(name: str, value: Any) -> tuple[tuple[str, ...], Any, Mapping[str, Any]]:
    if hasattr(value, "dims") and hasattr(value, "values"):
        return tuple(map(str, value.dims)), value.values, dict(getattr(value, "attrs", {}))
    if isinstance(value, tuple) and len(value) in (2, 3) and not np.isscalar(value[1]):
        dims = (value[0],) if isinstance(value[0], str) else tuple(value[0])
        return dims, value[1], value[2] if len(value) == 3 else {}
    return (() if np.ndim(value) == 0 else (name,)), value, {}


def coordinate_array(
    name: str, values: Any, dims: Sequence[str], attributes: Mapping[str, Any] | None = None
) -> Array:
    """Return given values as an array that is kept in the set itself.

    Raises
    ------
    MetadataError
        If they are of a type that is not kept, or of another number of dimensions.
    """
    given = {key: _plain(key, value) for key, value in (attributes or {}).items()}
    found, more = _encoded(name, np.asarray(values))
    if found.ndim != len(dims):
        raise MetadataError(f"{found.ndim} dimensions of values for {len(dims)} names", path=name)
    array = inline_array(found, tuple(dims), _merged(more, given))
    return replace(array, origin=Origin.given())


def _encoded(name: str, values: NDArray[Any]) -> tuple[NDArray[Any], dict[str, Any]]:
    """Return values as they are stored, and what says how to decode them."""
    if values.dtype.kind == "O":
        from datetime import date

        if all(isinstance(value, str) for value in values.flat):
            values = values.astype(str)
        elif values.size and all(isinstance(value, date) for value in values.flat):
            values = values.astype("M8[us]")
    if values.dtype.kind == "M":
        return _times(name, values)
    if values.dtype.kind not in "biufSU":
        raise MetadataError(
            f"values of {values.dtype} are not kept in a set", path=name,
            hint="give numbers, texts or dates",
        )  # fmt: skip
    return values, {}


def _times(name: str, values: NDArray[Any]) -> tuple[NDArray[Any], dict[str, Any]]:
    if bool(np.isnat(values).any()):
        raise MetadataError("a time is missing (NaT)", path=name)
    # The coarsest unit in which they are the same.
    unit = next(u for u in _UNITS if bool((values.astype(f"M8[{u}]") == values).all()))
    attributes = {"units": f"{_UNITS[unit]} since 1970-01-01", "calendar": "proleptic_gregorian"}
    return values.astype(f"M8[{unit}]").astype(np.int64), attributes

"""Values that stand for what is missing, where inputs declare none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.combine.agreement import same_fill
from refmaker.model.dtypes import encode_fill_value
from refmaker.model.missing_values import FILL
from refmaker.model.tree import joined_path

if TYPE_CHECKING:
    from refmaker.combine.context import Context, Trees
    from refmaker.model import Array

    Item = tuple[int, Array]

__all__ = ["filled", "free_value"]

_OTHERWISE = "leave it out of `fill`"


def filled(trees: Trees, context: Context) -> Trees:
    """Give variables the fill values that `CombineOptions.fill` names, and NaN where some have it.

    Parameters
    ----------
    context : Context
        The inputs, and how to combine them; its findings get values that do not fit.
    """
    wanted = context.options.fill
    arrays = {
        path: {name: _nan_in_all(items) for name, items in names.items()}
        for path, names in trees.arrays.items()
    }
    for path, names in arrays.items():
        for name, items in names.items() if wanted else ():
            inner = joined_path(path, name)
            if name in wanted or inner in wanted:
                value = wanted.get(inner, wanted.get(name))
                names[name] = [(i, _with(inner, i, array, value, context)) for i, array in items]
    return type(trees)(trees.groups, arrays)


def _nan_in_all(items: list[Item]) -> list[Item]:
    """Declare NaN as missing in floats of all inputs if some do: it is in the others as well."""
    if len(items) < 2 or items[0][1].dtype.kind != "f" or not any(_is_nan(a) for _, a in items):
        return items
    return [
        (i, replace(array, fill_value=array.dtype.type(np.nan)) if _undeclared(array) else array)
        for i, array in items
    ]


def _is_nan(array: Array) -> bool:
    fill = array.fill_value
    return array.dtype.kind == "f" and fill is not None and bool(np.isnan(fill))


def _undeclared(array: Array) -> bool:
    """Whether floats declare nothing as missing, and no chunk reads as what is not known."""
    return (
        array.dtype.kind == "f"
        and array.fill_value is None
        and not array.chunks.absent
        and array.attributes.keys().isdisjoint((FILL, "missing_value"))
    )


def _with(path: str, number: int, array: Array, value: Any, context: Context) -> Array:
    dtype = array.dtype
    fill = _as_type(value, dtype)
    if fill is None:
        text = f"{value!r} is no value of {dtype}, so that it stands for nothing"
        context.found.say(path, text, _OTHERWISE)
        return array
    declared = array.attributes.get("_FillValue")
    there = array.fill_value if array.fill_value is not None else declared
    if there is not None and not same_fill(_as_type(there, dtype), fill):
        text = f"{there!r} in {context.name(number)} stands for what is missing already"
        context.found.say(path, f"{text}: {value!r} cannot, too", _OTHERWISE)
        return array
    if array.chunks.absent and array.fill_value is None:
        text = f"chunks are absent in {context.name(number)}, and what they read as is not known"
        context.found.say(path, text, _OTHERWISE)
        return array
    attributes = {**array.attributes, "_FillValue": encode_fill_value(fill, dtype)}
    return replace(array, fill_value=fill, attributes=attributes)


def _as_type(value: Any, dtype: np.dtype[Any]) -> Any:
    """Return a value as one of a type; None where that is another value."""
    if isinstance(value, str) and dtype.kind in "fc":
        value = {"NaN": np.nan, "nan": np.nan}.get(value, value)
    if dtype.kind == "b" and not isinstance(value, bool | np.bool_):
        return None
    if dtype.kind in "iuf" and isinstance(value, bool | str):
        return None
    try:
        with np.errstate(all="ignore"):
            made = np.asarray(value).astype(dtype)[()]
        same = made == value or (made != made and value != value)  # noqa: PLR0124 - NaN
    except (TypeError, ValueError, OverflowError):
        return None
    return made if bool(same) else None


def free_value(dtype: np.dtype[Any]) -> Any:
    """Return the value that is mostly taken for what is missing; None for types without one."""
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return int(limits.min if dtype.kind == "i" else limits.max)
    return False if dtype.kind == "b" else None

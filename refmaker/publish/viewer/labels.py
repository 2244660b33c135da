"""Values as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.model.attributes import text_of
from refmaker.model.times import time_texts
from refmaker.publish.pictures.places import degrees

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["is_time", "value_text", "value_texts"]

_LONGEST = 200


def value_text(value: Any) -> str:
    """Return a value as text: numbers with as many digits as a reader wants, texts, records."""
    if isinstance(value, np.bool_ | bool):
        return "true" if value else "false"
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, float | np.floating):
        return f"{float(value):.7g}"
    if isinstance(value, complex | np.complexfloating):
        return f"{value:.6g}"
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def is_time(attributes: Mapping[str, Any]) -> bool:
    """Whether values are times since one."""
    return " since " in text_of(attributes, "units")


def value_texts(values: NDArray[Any], attributes: Mapping[str, Any]) -> list[str]:
    """Return the values of a coordinate or a column as texts: times, places, numbers with units.

    Parameters
    ----------
    values : ndarray, shape (n,)
        As they are meant.
    attributes : mapping
        Of the array.
    """
    units = text_of(attributes, "units")
    if values.dtype.kind == "f" and is_time(attributes):
        known = np.isfinite(values)
        times = time_texts(values[known].tolist(), units, attributes.get("calendar", "standard"))
        if times is not None:
            found = np.full(values.shape, "no time", object)
            found[known] = [time.replace("T", " ").removesuffix(":00") for time in times]
            return list(found)
    if values.dtype.kind in "iuf" and units.startswith("degree"):
        role = {"degrees_north": "y", "degrees_east": "x"}.get(units, "")
        return [degrees(float(value), role) for value in values]
    return [value_text(value) for value in values]

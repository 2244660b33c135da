"""From where to where coordinates go, so far as a reference set itself knows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from refmaker.codecs.chunk_values import inlined_values
from refmaker.errors import RefmakerError
from refmaker.model.times import time_texts

if TYPE_CHECKING:
    from refmaker.model import Array, Group

__all__ = ["spans"]

_MISSING = ("_FillValue", "missing_value")


def spans(group: Group) -> list[dict[str, Any]]:
    """Return first and last value of each coordinate of a dimension whose values are in the set.

    Parameters
    ----------
    group : Group
        The root.

    Returns
    -------
    list of dict
        ``path``, ``size``, ``first``, ``last`` as JSON values, and ``units``; times that CF
        conventions describe (section 4.4) are texts of ISO 8601, and have no units.
    """
    found = []
    for path, array in group.arrays():
        name = path.rpartition("/")[2]
        whole = array.shape and array.chunks.present == array.chunks.size
        if array.dimension_names != (name,) or not whole or array.chunks.referenced:
            continue
        ends = _ends(array)
        if ends is not None:
            first, last, units = ends
            size = array.shape[0]
            found.append({"path": path, "size": size, "first": first, "last": last, "units": units})
    return found


def _ends(array: Array) -> tuple[Any, Any, str] | None:
    try:
        values = inlined_values(array)
    except RefmakerError:
        # What a damaged set cannot tell, `verify` says; here it is left out.
        return None
    if values.dtype.kind not in "iufSU" or not values.size:
        return None
    ends = [values[0].item(), values[-1].item()]
    if values.dtype.kind in "SU":
        texts = [end.decode(errors="replace") if isinstance(end, bytes) else end for end in ends]
        return texts[0], texts[1], ""
    # Zero as a fill value is mostly nobody's choice, and a usual beginning of coordinates.
    known = {array.fill_value or None, *(_single(array, name) for name in _MISSING)}
    if "_Unsigned" in array.attributes or any(end in known for end in ends):
        return None
    scale = array.attributes.get("scale_factor", 1)
    offset = array.attributes.get("add_offset", 0)
    if (scale, offset) != (1, 0):
        if not isinstance(scale, int | float) or not isinstance(offset, int | float):
            return None
        ends = [end * scale + offset for end in ends]
    if not all(map(math.isfinite, ends)):
        return None
    units = array.attributes.get("units")
    text = units if isinstance(units, str) else ""
    times = time_texts(ends, text, array.attributes.get("calendar", "standard"))
    if times is not None:
        return times[0], times[1], ""
    return ends[0], ends[1], text


def _single(array: Array, name: str) -> Any:
    """Return an attribute that is a number, else None: other values cannot be compared."""
    value = array.attributes.get(name)
    return value if isinstance(value, int | float) else None

"""From where to where coordinates go: those in a set, and those in files where it is wished."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.codecs.chunk_values import assembled, inlined_values
from refmaker.errors import RefmakerError
from refmaker.io.source import local_path
from refmaker.model import Array
from refmaker.model.attributes import number_in
from refmaker.model.packing import is_missing, reinterpreted
from refmaker.model.roles import role_of
from refmaker.model.times import needs_cftime, time_texts
from refmaker.publish.description.relations import coordinates_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.model import Group
    from refmaker.storage.reference_set import ReferenceSet

__all__ = ["Coordinates", "coordinates"]

_CALENDAR = "standard"
_LISTED = 64
"""Values of a coordinate that are listed."""
_LARGEST = 8 * 1024**2
"""Bytes of the values of a coordinate that is looked at."""
_STORED = 2 * 1024**2
"""Bytes of a coordinate that are read of files."""
_READ = 64
"""Coordinates that are read of files."""
_TOTAL = 16 * 1024**2
"""Bytes of all of them."""
_EVEN = 1e-5
"""What steps may differ by, as a part of the mean, to be called even."""


@dataclass(frozen=True, slots=True)
class Coordinates:
    """What is known of the coordinates of a set.

    Parameters
    ----------
    spans : list of dict
        See `refmaker.describe`.
    unread : list of dict
        ``path`` and ``why``, of those whose values lie in files and were not looked at.
    """

    spans: list[dict[str, Any]] = field(default_factory=list)
    unread: list[dict[str, Any]] = field(default_factory=list)


def coordinates(
    refs: ReferenceSet,
    nodes: dict[str, Array | Group],
    storage_options: Mapping[str, Any] | None,
    reading: str,
) -> Coordinates:
    """Return first, last, least and greatest values of each coordinate.

    Parameters
    ----------
    refs : ReferenceSet
        The set.
    nodes : dict of str to Array or Group
        Its groups and arrays by path.
    storage_options : mapping, optional
        Passed to fsspec for the files.
    reading : {"no", "local", "all"}
        Which files may be read.
    """
    found = Coordinates()
    chosen = _chosen(nodes)
    values: dict[str, NDArray[Any] | None] = {}
    wanted: dict[str, Array] = {}
    policy = refs.policy
    alike: dict[Any, NDArray[Any] | None] = {}
    for path, array in chosen.items():
        table = array.chunks
        if table.present != table.size or not table.size:
            continue
        if array.nbytes > _LARGEST or array.dtype.hasobject:
            continue
        unknown = policy.untrusted(array.codecs)
        if unknown:
            why = f"the codec {unknown!r} is not known to be safe"
            found.unread.append({"path": path, "why": why})
            continue
        if not table.referenced:
            key = (_likeness(array), frozenset(table.inlined.items()))
            if key not in alike:
                alike[key] = _inlined(array)
            values[path] = alike[key]
            continue
        why = _refusal(array, reading, list(wanted.values()))
        if why:
            found.unread.append({"path": path, "why": why})
        else:
            wanted[path] = array
    values |= _read(refs, wanted, storage_options, found)
    for path, array in chosen.items():
        known = values.get(path)
        span = None if known is None else _span(array, known)
        if span is not None:
            found.spans.append({"path": path, **span})
    return found


def _chosen(nodes: dict[str, Array | Group]) -> dict[str, Array]:
    """Return the coordinates of dimensions, and those others that tell time, level or place."""
    named: dict[str, None] = {}
    for path, array in nodes.items():
        if not isinstance(array, Array):
            continue
        if array.dimension_names == (path.rpartition("/")[2],):
            named[path] = None
        elif len(array.dimension_names or ()) or "coordinates" in array.attributes:
            named.update(dict.fromkeys(coordinates_of(nodes, path, array)))
    found = {}
    for path, node in nodes.items():
        if path not in named or not isinstance(node, Array):
            continue
        own = node.dimension_names == (path.rpartition("/")[2],)
        role = role_of(node.attributes)
        flat = len(node.shape) < 2
        if own or (role and flat) or role in ("latitude", "longitude", "time"):
            found[path] = node
    return found


def _likeness(array: Array) -> Any:
    codecs = repr(array.codecs)
    return array.shape, array.chunk_shape, array.dtype.str, array.order, codecs, repr(array.edges)


def _inlined(array: Array) -> NDArray[Any] | None:
    try:
        return inlined_values(array)
    except RefmakerError:
        # What a damaged set cannot tell, `verify` says; here it is left out.
        return None


def _refusal(array: Array, reading: str, taken: Sequence[Array]) -> str:
    """Return why the values of an array are not read of its files; empty if they are."""
    table = array.chunks
    remote = any(local_path(url) is None for url in table.urls)
    if reading == "no" or (remote and reading != "all"):
        return "its values are in remote files" if remote else "its values are in files"
    if int(table.length.sum()) > _STORED:
        return "its values are many"
    if not table.length.all():
        return "its values are whole files"
    total = sum(int(other.chunks.length.sum()) for other in (*taken, array))
    return "others were read before it" if len(taken) >= _READ or total > _TOTAL else ""


def _read(
    refs: ReferenceSet,
    wanted: Mapping[str, Array],
    storage_options: Mapping[str, Any] | None,
    found: Coordinates,
) -> dict[str, NDArray[Any] | None]:
    from refmaker.codecs import register
    from refmaker.reading.chunk_bytes import fetch_chunks

    register()
    names = list(wanted)
    try:
        fetched = fetch_chunks([(refs, array, storage_options) for array in wanted.values()])
    except (RefmakerError, OSError) as error:
        if len(wanted) == 1:
            found.unread.append({"path": names[0], "why": str(error)})
            return {}
        parts = [_read(refs, {name: wanted[name]}, storage_options, found) for name in names]
        return {name: values for part in parts for name, values in part.items()}
    values: dict[str, NDArray[Any] | None] = {}
    for name, chunks in zip(names, fetched, strict=True):
        try:
            if len(chunks) == wanted[name].chunks.size:
                values[name] = assembled(wanted[name], chunks)
        except RefmakerError as error:
            found.unread.append({"path": name, "why": str(error)})
    return values


def _span(array: Array, values: NDArray[Any]) -> dict[str, Any] | None:
    """Return what `refmaker.describe` says of a coordinate, but for its path; None if nothing."""
    if values.dtype.kind not in "iufSU" or not values.size:
        return None
    told: dict[str, Any] = {
        "size": int(values.size), "role": role_of(array.attributes), "first": None, "last": None,
        "min": None, "max": None, "units": "", "calendar": None, "step": None, "step_units": "",
        "values": None, "note": None,
    }  # fmt: skip
    if values.dtype.kind in "SU":
        return _texts(told, values)
    numbers = _numbers(array, values)
    if numbers is None:
        return None
    units = array.attributes.get("units")
    text = units if isinstance(units, str) else ""
    ends = _plain([numbers.min(), numbers.max()])
    flat = numbers.reshape(-1) if values.ndim < 2 else numbers[:0]
    listed = _plain(flat) if flat.size <= _LISTED else []
    sides = _plain([flat[0], flat[-1]]) if flat.size else []
    calendar = array.attributes.get("calendar", _CALENDAR)
    step = _step(flat)
    times = time_texts([*ends, *sides, *listed], text, calendar)
    if times is not None:
        told |= {"calendar": str(calendar), "step": step}
        told["step_units"] = text.partition(" since ")[0].strip() if step is not None else ""
        ends, sides, listed = times[:2], times[2 : 2 + len(sides)], times[2 + len(sides) :]
        text, step = "", None
    elif needs_cftime(text):
        told["note"] = f"as dates of the calendar {calendar} after: pip install cftime"
    told |= {"min": ends[0], "max": ends[1], "units": text}
    if step is not None:
        told |= {"step": step, "step_units": text}
    if sides:
        told |= {"first": sides[0], "last": sides[1], "values": listed or None}
    return told


def _texts(told: dict[str, Any], values: NDArray[Any]) -> dict[str, Any] | None:
    if values.ndim > 1:
        return None
    flat = values.reshape(-1)
    listed = [_text(one) for one in flat[: _LISTED + 1].tolist()]
    told |= {"first": _text(flat[0].item()), "last": _text(flat[-1].item())}
    told["values"] = listed if len(listed) <= _LISTED else None
    return told


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _numbers(array: Array, values: NDArray[Any]) -> NDArray[Any] | None:
    """Return unpacked values; of places in several dimensions those that are not missing.

    None where any is missing, or nobody can tell what the values are.
    """
    # Zero as a fill value is mostly nobody's choice, and a usual beginning of coordinates.
    good = np.isfinite(values) & ~is_missing(values, array, fill=bool(array.fill_value))
    values = reinterpreted(values, array.attributes)
    if not good.all():
        if values.ndim < 2 or not good.any():
            return None
        values = values[good]
    parts = [name for name in ("scale_factor", "add_offset") if name in array.attributes]
    known = {name: number_in(array.attributes, name) for name in parts}
    if None in known.values():
        return None
    scale, offset = known.get("scale_factor", 1), known.get("add_offset", 0)
    if (scale, offset) != (1, 0):
        with np.errstate(over="ignore", invalid="ignore"):
            values = values * float(scale) + float(offset)
    return values if np.isfinite(values).all() else None


def _plain(values: Any) -> list[Any]:
    """Return numbers; of single precision those of the fewest digits that mean them."""
    return [float(str(one)) if one.dtype == np.float32 else one.item() for one in values]


def _step(values: NDArray[Any]) -> float | None:
    """Return the distance of values that are evenly spaced."""
    if values.size < 2:
        return None
    numbers = values.astype(np.float64)
    apart = np.diff(numbers)
    mean = float(numbers[-1] - numbers[0]) / (numbers.size - 1)
    if not math.isfinite(mean) or mean == 0:
        return None
    # Coordinates of single precision are even as far as that goes.
    rounding = 0.0
    if values.dtype.kind == "f":
        rounding = 2 * float(np.finfo(values.dtype).eps) * float(abs(numbers).max())
    even = bool(abs(apart - mean).max() <= abs(mean) * _EVEN + rounding)
    return float(f"{mean:.9g}") if even else None

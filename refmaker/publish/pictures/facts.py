"""What is known of a subject beside its picture: times, extent, reference system, levels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.publish.pictures.axes import SHORT
from refmaker.publish.pictures.places import degrees

if TYPE_CHECKING:
    from refmaker.publish.pictures.axes import Axis
    from refmaker.publish.pictures.source import Source
    from refmaker.publish.pictures.subjects import Subject

__all__ = ["facts"]

_KILOMETRE = 1000.0
_CHANNELS = 8


def facts(subject: Subject, source: Source) -> list[tuple[str, str]]:
    """Return names and texts of what is known of a subject.

    Parameters
    ----------
    subject : Subject
        One of `subjects`.
    source : Source
        The set; of it coordinates are read.
    """
    if subject.columns:
        shape = source.array(subject.columns[0]).shape
        return [("rows", f"{shape[0]:,}"), ("columns", f"{len(subject.columns):,}")]
    extents = ", ".join(f"{axis.name} {axis.size:,}" for axis in subject.axes)
    found = [("size", extents)]
    for axis in subject.axes:
        if axis.role in ("time", "z") and axis.coordinate and axis.size > 1:
            first, last = source.texts(axis, [0, axis.size - 1])
            name = (axis.label or axis.name).replace("_", " ")
            name = axis.name if axis.role == "time" else name
            found.append((name, f"{first} to {last}"))
    found += [(name, text) for name in subject.at if (text := source.scalar(subject.at[name]))]
    found += _extent(subject, source)
    if subject.crs:
        found.append(("reference system", subject.crs))
    if len(subject.levels) > 1:
        found.append(("levels", str(len(subject.levels))))
    labels = [label for label, _ in subject.channels if label]
    if len(labels) > 1:
        more = f" and {len(labels) - _CHANNELS} more" if len(labels) > _CHANNELS else ""
        found.append(("channels", ", ".join(labels[:_CHANNELS]) + more))
    return found


def _extent(subject: Subject, source: Source) -> list[tuple[str, str]]:
    """Return from where to where a map goes, and how far apart its cells or planes are."""
    if subject.ground is not None:
        sides = zip("yx", subject.ground, ("latitude", "longitude"), strict=True)
        return [
            (name, _range(values, "degrees", role))
            for role, path, name in sides
            if (values := source.coordinate(path)) is not None and values.size
        ]
    found, steps = [], []
    for at in (*subject.drawn[2:], *subject.drawn[:2]):
        axis = subject.axes[at]
        values = source.coordinate(axis.coordinate) if axis.coordinate else None
        numeric = values is not None and values.dtype.kind in "iuf" and values.size > 1
        if values is None or not numeric or axis.role not in ("x", "y", "z"):
            continue
        step = float(values[-1] - values[0]) / (values.size - 1)
        even = np.abs(np.diff(values) - step).max() <= abs(step) * 0.01
        unit = "°" if axis.units.startswith("degree") else SHORT.get(axis.units, axis.units)
        steps.append((f"{abs(step):.4g}" if even else "uneven", unit))
        if subject.kind in ("map", "pyramid") and axis.role != "z":
            found.append((_called(axis), _range(values, axis.units, axis.role)))
    units = {unit for _, unit in steps}
    if len(steps) > 1 and len(units) == 1:
        (unit,) = units
        unit = unit if unit == "°" else f" {unit}".rstrip()
        found.append(("spacing", " x ".join(step for step, _ in steps) + unit))
    return found


def _called(axis: Axis) -> str:
    if axis.units.startswith("degree"):
        return (axis.label or axis.name).replace("_", " ")
    return axis.role


def _range(values: Any, units: str, role: str) -> str:
    """Return the least and the greatest place."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if units.startswith("degree"):
        return f"{degrees(low, role)} to {degrees(high, role)}"
    unit = SHORT.get(units, units)
    if unit == "m" and high - low > 20 * _KILOMETRE:
        low, high, unit = low / _KILOMETRE, high / _KILOMETRE, "km"
    return f"{low:,.9g} to {high:,.9g} {unit}".strip()

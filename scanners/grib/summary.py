"""What a reference set of GRIB fields holds, as a table for people: one row per variable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.model import Group

if TYPE_CHECKING:
    from refmaker.model import Array

__all__ = ["summary"]

_SECONDS = {"seconds": 1, "hours": 3600}


def summary(root: Group) -> list[dict[str, Any]]:
    """Return one row for each variable of a reference set.

    Returns
    -------
    list of dict
        ``path``, ``name``, ``long_name``, ``units``, ``level`` (type of level), ``levels``,
        ``times``, ``steps`` and ``members`` (how many), ``first_step`` and ``last_step`` in
        hours, ``grid``, ``shape`` of a field, ``fields`` (how many there are) and ``absent``
        (how many of all combinations there are not).
    """
    return [
        _row(path, node, _parent(root, path))
        for path, node in root.arrays()
        if (node.compressor or {}).get("id") == "refmaker.grib"
    ]


def _parent(root: Group, path: str) -> Group:
    above = path.rpartition("/")[0]
    found = root[above] if above else root
    return found if isinstance(found, Group) else root


def _row(path: str, array: Array, group: Group) -> dict[str, Any]:
    told = array.attributes
    level = str(told.get("GRIB_typeOfLevel", ""))
    extents = dict(zip(array.dimension_names or (), array.shape, strict=False))

    def extent(name: str) -> int:
        return next((n for key, n in extents.items() if _base(key, name)), 1)

    steps = _steps(array, group)
    return {
        "path": path,
        "name": path.rpartition("/")[2],
        "long_name": told.get("long_name", ""),
        "units": told.get("units", ""),
        "level": level,
        "levels": extent(level),
        "times": extent("time"),
        "steps": extent("step"),
        "members": extent("number"),
        "first_step": None if steps is None else float(steps.min()),
        "last_step": None if steps is None else float(steps.max()),
        "grid": told.get("GRIB_gridType", ""),
        "shape": list((array.compressor or {}).get("shape", ())),
        "fields": array.chunks.present,
        "absent": array.chunks.absent,
    }


def _base(key: str, name: str) -> bool:
    """Whether a dimension is of this kind, its number put aside."""
    return key == name or (key.startswith(f"{name}_") and key.rpartition("_")[2].isdigit())


def _steps(array: Array, group: Group) -> np.ndarray[Any, Any] | None:
    names = (*(array.dimension_names or ()), *str(array.attributes.get("coordinates", "")).split())
    name = next((name for name in names if _base(name, "step")), None)
    found = group.members.get(name) if name else None
    if found is None or isinstance(found, Group) or found.codecs:
        return None
    data = found.chunks.inlined.get(0)
    if not data:
        return None
    unit = _SECONDS.get(str(found.attributes.get("units")), 1)
    return np.frombuffer(data, found.dtype).astype(np.float64) * unit / 3600

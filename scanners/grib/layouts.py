"""Where fields are placed: the groups and names of each layout, from the fields' metadata alone.

A layout gives each distinct pair of template and grid a place; fields of one place become one
array, or several where that would put two fields on one chunk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from refmaker.scanners.grib.templates import template_octets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from refmaker.scanners.grib.geometry import FieldGrid
    from refmaker.scanners.grib.names import Names, Sections

__all__ = ["PLACES", "ArrayPath", "grid_labels", "interval_label", "subtype"]

_DERIVED = {
    0: "ensmean", 1: "ensmean_weighted", 2: "spread_cluster", 3: "spread_cluster_normalized",
    4: "spread", 5: "large_anomaly_index", 6: "cluster_mean", 7: "interquartile_range",
    8: "ensmin", 9: "ensmax", 10: "mode",
}  # fmt: skip
_PROBABILITY = {
    0: "probability_below_lower", 1: "probability_above_upper", 2: "probability_between",
    3: "probability_above_lower", 4: "probability_below_upper",
}  # fmt: skip


class ArrayPath(NamedTuple):
    """Where fields go.

    Parameters
    ----------
    path : tuple of str
        Names of the groups, from the root.
    name : str
        Name of the array.
    step : int
        Position in `path` of the kind of step, to which the length of an interval is added
        where fields differ in nothing else; -1 where it goes to the name.
    """

    path: tuple[str, ...]
    name: str
    step: int = -1

    def labelled(self, label: str) -> ArrayPath:
        """Return the place of fields whose name tells more of them."""
        return self._replace(name=f"{self.name}_{label}") if label else self

    def with_interval(self, label: str) -> ArrayPath:
        """Return the place of fields that process an interval of this length."""
        if self.step < 0:
            return self._replace(name=f"{self.name}_{label}")
        path = list(self.path)
        path[self.step] += f"_{label}"
        return self._replace(path=tuple(path))


def tree(names: Names, sections: Sections, grid: str) -> ArrayPath:
    """Return ``/<typeOfLevel>/<stepKind>[/<grid>][/<subtype>]/<name>``."""
    rest = tuple(filter(None, (grid, subtype(sections))))
    return ArrayPath((names.type_of_level, names.step_type, *rest), names.name, 1)


def kerchunk(names: Names, sections: Sections, grid: str) -> ArrayPath:
    """Return ``/<name>/<stepType>/<typeOfLevel>/<name>``, as kerchunk's ``grib_tree`` has it."""
    rest = tuple(filter(None, (grid, subtype(sections))))
    return ArrayPath((names.name, names.step_type, names.type_of_level, *rest), names.name, 1)


def flat(names: Names, sections: Sections, grid: str) -> ArrayPath:
    """Return a name in the root group that says all that `tree` has in a path."""
    step = "" if names.step_type == "instant" else names.step_type
    parts = (names.name, names.type_of_level, step, grid, subtype(sections))
    return ArrayPath((), "_".join(filter(None, parts)))


PLACES: Mapping[str, Callable[[Names, Sections, str], ArrayPath]] = {
    "tree": tree,
    "kerchunk": kerchunk,
    "flat": flat,
}
"""By name of the layout: the place of fields of a template on a grid."""


def subtype(sections: Sections) -> str:
    """Return what a field says of an ensemble or a distribution; empty for a plain field."""
    if sections.edition == 1:
        return ""
    octets = template_octets(sections.what)
    if octets is None:
        return ""
    if octets.derived:
        code = sections.what[octets.derived - 1]
        return _DERIVED.get(code, f"derived_{code}")
    if octets.percentile:
        return "percentile"
    if octets.limits:
        code = sections.what[octets.limits - 1]
        return _PROBABILITY.get(code, f"probability_{code}")
    return ""


def grid_labels(grids: Sequence[FieldGrid]) -> list[str]:
    """Return a short name of each distinct grid, of none if there is but one.

    Parameters
    ----------
    grids : sequence of FieldGrid
        Grids that differ in their keys.
    """
    if len(grids) < 2:
        return [""] * len(grids)
    plain = [f"{grid.kind}_{'x'.join(map(str, grid.shape))}" for grid in grids]
    return [
        label if plain.count(label) == 1 else f"{label}_{grid.key[:6]}"
        for label, grid in zip(plain, grids, strict=True)
    ]


def interval_label(seconds: int) -> str:
    """Return the length of an interval in words: ``1h``, ``30min``, ``7d``."""
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds and seconds % unit == 0 and (unit < 86400 or seconds > 86400):
            return f"{seconds // unit}{name}"
    return f"{seconds}s"

"""From variables to arrays and groups: shared dimensions, coordinates, chunks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.model import Array, ChunkTable, Group
from refmaker.model.distinct import distinct
from refmaker.model.inline import inline_array
from refmaker.scanners.grib.coordinates import (
    NAMED,
    axis_array,
    bounds_array,
    generated_array,
    level_name,
    numbers_array,
    valid_array,
)
from refmaker.scanners.grib.times import UNKNOWN
from refmaker.scanners.grib.vertical import HYBRID, coefficient_arrays

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.scanners.grib.geometry import FieldGrid
    from refmaker.scanners.grib.message_table import MessageTable
    from refmaker.scanners.grib.variables import DimensionCoordinate, Variable

__all__ = ["Builder", "nested"]

_METHODS = {
    "accum": "sum", "avg": "mean", "max": "maximum", "min": "minimum", "diff": "range",
    "sd": "standard_deviation", "rms": "root_mean_square",
}  # fmt: skip
_ALONG_GRID = {
    f"{prefix}{side}ward_{what}": name.format(axis)
    for side, axis in (("east", "x"), ("north", "y"))
    for prefix, what, name in (
        ("", "wind", "{}_wind"),
        ("", "sea_water_velocity", "sea_water_{}_velocity"),
        ("", "sea_ice_velocity", "sea_ice_{}_velocity"),
        ("surface_downward_", "stress", "surface_downward_{}_stress"),
    )
}
"""Standard names of components towards east and north, and of those along the grid."""


@dataclass(slots=True)
class Builder:
    """Makes the members of groups.

    Parameters
    ----------
    table : MessageTable
        All fields.
    grids : sequence of FieldGrid
        By number.
    grid_places : sequence of (int, int, int)
        File, offset and length of the definition of each; length 0 where it is in no file.
    urls : sequence of str
        The files.
    dtype : str
        Of values: ``"<f8"`` or ``"<f4"``.
    inline : int
        Bytes of a grid definition that are inlined at most.
    """

    table: MessageTable
    grids: Sequence[FieldGrid]
    grid_places: Sequence[tuple[int, int, int]]
    urls: Sequence[str]
    dtype: str = "<f8"
    inline: int = 1024
    _known: dict[int, dict[str, Array]] = field(default_factory=dict)

    def members(self, variables: Sequence[Variable]) -> dict[str, Array]:
        """Return the arrays of one group: its variables, and what coordinates they share."""
        shared = _Shared()
        taken = {variable.place.name for variable in variables}
        names = shared.axis_names(variables, taken)
        made: dict[str, Array] = {}
        coordinates: dict[str, Array] = {}
        grids = list(dict.fromkeys(variable.grid for variable in variables))
        # In the order of names, so that coordinates are called alike in whatever order fields come.
        pairs = sorted(zip(variables, names, strict=True), key=lambda pair: pair[0].place.name)
        for variable, axes in pairs:
            suffix = f"_{grids.index(variable.grid) + 1}" if variable.grid != grids[0] else ""
            made[variable.place.name] = self._variable(variable, axes, suffix, coordinates)
        made = {one.place.name: made[one.place.name] for one in variables}
        return {**made, **_with_formula(coordinates, made)}

    def points(self, number: int, name: str) -> Callable[[tuple[str, ...]], Array] | None:
        """Return what makes the latitudes or longitudes of all points of a grid, if known.

        Parameters
        ----------
        name : {"latitude", "longitude"}
            Which.

        Returns
        -------
        callable or None
            From the names of the dimensions to the array; one name stands for all points in a
            row.
        """
        grid = self.grids[number]
        if name not in grid.generated:
            return None
        array = self._of_grid(number, "")[name]

        def make(names: tuple[str, ...]) -> Array:
            shape = array.shape if len(names) == len(array.shape) else (grid.points,)
            return replace(
                array, shape=shape, chunk_shape=shape, dimension_names=names,
                chunks=replace(array.chunks, grid=(1,) * len(shape)),
            )  # fmt: skip

        return make

    def chunks(
        self, grid: tuple[int, ...], rows: NDArray[np.int64], index: NDArray[np.int64]
    ) -> ChunkTable:
        """Return the chunks of an array.

        Parameters
        ----------
        rows : ndarray of int64, shape (n,)
            Rows of the table.
        index : ndarray of int64, shape (n,)
            Flat position of each in the grid.
        """
        files, url = self.table.files(rows)
        return ChunkTable.from_columns(
            grid,
            tuple(self.urls[file] for file in files.tolist()),
            offset=self.table.offset[rows],
            length=self.table.length[rows],
            index=index,
            url=url if len(files) > 1 else None,
        )

    def _variable(
        self,
        variable: Variable,
        axes: Sequence[tuple[str, DimensionCoordinate, NDArray[np.int64]]],
        suffix: str,
        coordinates: dict[str, Array],
    ) -> Array:
        grid = self.grids[variable.grid]
        told: list[str] = []
        dimensions: list[str] = []
        shape: list[int] = []
        at: list[NDArray[np.int64]] = []
        by_name: dict[str, tuple[str, DimensionCoordinate, NDArray[np.int64]]] = {}
        for name, axis, positions in axes:
            along = name if len(axis.values) > 1 else None
            told.append(name)
            by_name[axis.name] = name, axis, positions
            if along is not None:
                dimensions.append(name)
                shape.append(len(axis.values))
                at.append(positions)
            if name not in coordinates:
                coordinates |= self._of_axis(variable, axis, name, along)
            suffix_ = name.removeprefix(axis.name)
            kept = [f"{key}{suffix_}" for key in ("ap", "b")] if axis.name == HYBRID else []
            kept += [] if axis.numbers is None else [f"{axis.name}Number{suffix_}"]
            told += [key for key in kept if key in coordinates]
        told.append(self._valid_time(variable, by_name, coordinates))
        names = tuple(f"{name}{suffix}" for name in grid.dimension_names)
        attributes = self._attributes(variable, grid)
        for name, array in self._of_grid(variable.grid, suffix).items():
            coordinates.setdefault(name, array)
            if len(array.shape) and name not in names:
                told.append(name)
            elif not array.shape:
                attributes["grid_mapping"] = name
                told.append(name)  # rioxarray looks for it among the coordinates
        hidden = [name for name in told if name not in dimensions]
        attributes["coordinates"] = " ".join(hidden)
        rows = variable.rows
        index = np.ravel_multi_index(tuple(at), shape) if shape else np.zeros(1, np.int64)
        table = self.chunks((*shape, *(1,) * len(grid.shape)), rows, index)
        return Array(
            (*shape, *grid.shape),
            (*(1,) * len(shape), *grid.shape),
            np.dtype(self.dtype),
            table,
            fill_value=np.dtype(self.dtype).type(np.nan),
            compressor={"id": "refmaker.grib", "dtype": self.dtype, **grid.codec},
            dimension_names=(*dimensions, *names),
            attributes=attributes,
        )

    def _of_axis(
        self, variable: Variable, axis: DimensionCoordinate, name: str, along: str | None
    ) -> dict[str, Array]:
        """Return the coordinate of an axis, and those that go with it."""
        made = {name: axis_array(axis, name, along)}
        if axis.bounds is not None:
            made[f"{name}_bounds"] = bounds_array(axis, along)
        if axis.name == HYBRID:
            made |= self._coefficients(variable, axis, name, along)
        if axis.numbers is not None:
            numbers = f"{axis.name}Number{name.removeprefix(axis.name)}"
            made[numbers] = numbers_array(axis, numbers, along)
        return made

    def _coefficients(
        self, variable: Variable, axis: DimensionCoordinate, name: str, along: str | None
    ) -> dict[str, Array]:
        """Return the coefficients of hybrid levels, if the fields have one list of them."""
        found = self._distinct("coefficients", variable)
        if len(found) != 1 or not found[0]:
            return {}
        lists = self.table.shared.lists
        return dict(coefficient_arrays(axis, name, along, *lists[int(found[0])]))

    def _distinct(self, column: str, variable: Variable) -> NDArray[Any]:
        """Return the distinct values of a column that counts no times."""
        used, _ = self.table.distinct(variable.rows)
        return distinct(getattr(self.table.shared, column)[used])

    def _valid_time(
        self,
        variable: Variable,
        axes: Mapping[str, tuple[str, DimensionCoordinate, NDArray[np.int64]]],
        coordinates: dict[str, Array],
    ) -> str:
        """Add the coordinate of valid times; return its name."""
        (time_name, time, time_at), (step_name, step, step_at) = axes["time"], axes["step"]
        reference, end = (np.asarray(axis.values, np.int64) for axis in (time, step))
        values = reference[:, None] + end[None, :]
        until = self.table.column("until", variable.rows)
        known = until != UNKNOWN
        values[time_at[known], step_at[known]] = until[known]
        dimensions = []
        for axis, name in enumerate((time_name, step_name)):
            if values.shape[axis] > 1:
                dimensions.append(name)
            else:
                values = values.take([0], axis=axis)
        values = values.reshape([extent for extent in values.shape if extent > 1])
        array = valid_array(values, tuple(dimensions))
        return _agreed("valid_time", array, coordinates)

    def _of_grid(self, number: int, suffix: str) -> dict[str, Array]:
        """Return the coordinates and the mapping of a grid by name."""
        grid = self.grids[number]
        if number not in self._known:
            file, offset, length = self.grid_places[number]
            place = (self.urls[file], offset, length) if length > self.inline else None
            made = {
                name: inline_array(item.values, (name,), item.attributes)
                for name, item in grid.coordinates.items()
            }
            for name, item in grid.generated.items():
                made[name] = generated_array(item, grid, grid.dimension_names, place)
            if grid.mapping is not None:
                made["crs"] = inline_array(np.zeros((), np.int32), (), grid.mapping)
            self._known[number] = made
        if not suffix:
            return self._known[number]
        return {f"{name}{suffix}": _renamed(a, suffix) for name, a in self._known[number].items()}

    def _attributes(self, variable: Variable, grid: FieldGrid) -> dict[str, Any]:
        used = self._distinct("template", variable).tolist()
        names = [self.table.shared.names[template] for template in used]
        attributes = dict(names[0].attributes)
        for other in names[1:]:
            attributes = {k: v for k, v in attributes.items() if other.attributes.get(k) == v}
        attributes |= variable.told
        attributes["GRIB_typeOfLevel"] = names[0].type_of_level
        attributes["GRIB_stepType"] = names[0].step_type
        attributes["GRIB_gridType"] = grid.kind
        attributes |= self._level(variable)
        attributes |= self._direction(variable, grid, str(attributes.get("standard_name")))
        if names[0].step_type in _METHODS:
            attributes["cell_methods"] = f"step: {_METHODS[names[0].step_type]}"
        if grid.note:
            attributes["comment"] = grid.note
        return {key: value for key, value in attributes.items() if value is not None}

    def _direction(self, variable: Variable, grid: FieldGrid, name: str) -> dict[str, Any]:
        """Return what components of vectors are called that go along x and y of their grid."""
        from refmaker.scanners.grib.geometry import of_section

        if name not in _ALONG_GRID or grid.dimension_names != ("y", "x"):
            return {}
        sections = [self.table.shared.grids[n] for n in self._distinct("grid", variable).tolist()]
        along = {of_section(*section).winds_along_grid for section in sections}
        if along == {True}:
            return {"standard_name": _ALONG_GRID[name], "GRIB_uvRelativeToGrid": 1}
        mixed = "some of its fields go along x or y of the grid, others towards east or north"
        return {"standard_name": None, "comment": mixed} if len(along) > 1 else {}

    def _level(self, variable: Variable) -> dict[str, float]:
        top, bottom = (self._distinct(column, variable) for column in ("level", "bottom"))
        if len(top) != 1 or np.isnan(top[0]):
            return {}
        if len(bottom) != 1 or np.isnan(bottom[0]) or bottom[0] == top[0]:
            return {"GRIB_level": float(top[0])}
        return {"GRIB_topLevel": float(top[0]), "GRIB_bottomLevel": float(bottom[0])}


def _renamed(array: Array, suffix: str) -> Array:
    return replace(
        array, dimension_names=tuple(f"{name}{suffix}" for name in array.dimension_names or ())
    )


def _with_formula(
    coordinates: dict[str, Array], variables: Mapping[str, Array]
) -> dict[str, Array]:  # fmt: skip
    """Say how pressures follow from hybrid levels, where the surface pressure is in the group."""
    pressures = sorted(
        name for name, array in variables.items()
        if array.attributes.get("standard_name") == "surface_air_pressure"
        and array.attributes.get("GRIB_typeOfLevel") == "surface"
    )  # fmt: skip
    made = dict(coordinates)
    for name, array in coordinates.items():
        suffix = name.removeprefix(HYBRID)
        if pressures and name.startswith(HYBRID) and f"ap{suffix}" in coordinates:
            terms = f"ap: ap{suffix} b: b{suffix} ps: {pressures[0]}"
            made[name] = replace(array, attributes={**array.attributes, "formula_terms": terms})
    return made


def _agreed(name: str, array: Array, coordinates: dict[str, Array]) -> str:
    """Add a coordinate under a name that no other one has; return it."""
    count, chosen = 1, name
    while chosen in coordinates:
        other = coordinates[chosen]
        if other.dimension_names == array.dimension_names and other.chunks.same(array.chunks):
            return chosen
        count += 1
        chosen = f"{name}_{count}"
    coordinates[chosen] = array
    return chosen


class _Shared:
    """The axes that the variables of a group share, and what they are called."""

    def axis_names(
        self, variables: Sequence[Variable], taken: set[str]
    ) -> list[list[tuple[str, DimensionCoordinate, NDArray[np.int64]]]]:
        """Return, per variable and axis, its name in the group, the axis and the positions.

        Axes of equal coordinates are one; one that holds at least half of another's is laid
        upon that, and chunks are absent where the variable has no field.
        """
        chosen: dict[tuple[str, tuple[bytes, bytes]], tuple[str, DimensionCoordinate]] = {}
        found: dict[str, dict[tuple[bytes, bytes], DimensionCoordinate]] = {}
        for variable in variables:
            for axis in variable.axes:
                found.setdefault(axis.name, {}).setdefault(axis.key, axis)
        for kind, sets in found.items():
            kept: list[tuple[str, DimensionCoordinate]] = []
            for key, axis in sorted(sets.items(), key=lambda item: _rank(item[1])):
                host = next((item for item in kept if _fits(axis, item[1])), None)
                if host is None:
                    name = kind if not kept else f"{kind}_{len(kept) + 1}"
                    if len(sets) > 1 and len(axis.values) == 1 and kind not in NAMED:
                        name = level_name(axis)
                    while name in taken:
                        name += "_axis"
                    host = name, axis
                    kept.append(host)
                chosen[kind, key] = host
        named = []
        for variable in variables:
            row = []
            for axis, at in zip(variable.axes, variable.at, strict=True):
                called, shared = chosen[axis.name, axis.key]
                row.append((called, shared, _positions(axis, shared)[at]))
            named.append(row)
        return named


def _rank(axis: DimensionCoordinate) -> tuple[Any, ...]:
    """Return where an axis stands among those of its kind, whatever the order of fields."""
    bounds = [] if axis.bounds is None else axis.bounds.tolist()
    return -len(axis.values), axis.values.tolist(), bounds


def _codes(axis: DimensionCoordinate) -> list[Any]:
    values: list[Any] = axis.values.tolist()
    if axis.bounds is None:
        return values
    return [(value, *pair) for value, pair in zip(values, axis.bounds.tolist(), strict=True)]


def _fits(axis: DimensionCoordinate, host: DimensionCoordinate) -> bool:
    """Whether an axis is laid upon another."""
    if axis.key == host.key:
        return True
    if len(axis.values) < 2 or 2 * len(axis.values) < len(host.values):
        return False
    if (axis.bounds is None) != (host.bounds is None):
        return False
    return set(_codes(axis)) <= set(_codes(host))


def _positions(axis: DimensionCoordinate, host: DimensionCoordinate) -> NDArray[np.int64]:
    if axis.key == host.key:
        return np.arange(len(axis.values))
    where = {code: i for i, code in enumerate(_codes(host))}
    return np.array([where[code] for code in _codes(axis)], np.int64)


def nested(groups: Iterable[tuple[tuple[str, ...], Group]]) -> dict[str, Array | Group]:
    """Return the members of the root group.

    Parameters
    ----------
    groups : iterable of (path, group)
        Groups whose members are arrays; those of one path have members of different names.
    """
    tree: dict[str, Any] = {}
    for path, group in groups:
        at, attributes = tree, group.attributes
        for name in path:
            below = at.setdefault(name, ({}, {}))
            if isinstance(below, Array):
                # A group and an array of one name: the group gives way.
                below = at.setdefault(f"{name}_group", ({}, {}))
            below[1].update(attributes if name is path[-1] else {})
            at = below[0]
        at.update(group.members)
    return {name: _node(node) for name, node in tree.items()}


def _node(node: Any) -> Array | Group:
    if isinstance(node, Array):
        return node
    members, attributes = node
    return Group({name: _node(below) for name, below in members.items()}, attributes)

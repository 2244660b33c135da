"""Which dimensions inputs are joined along, and the axes that they make."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.combine import remedies, selectors
from refmaker.combine.agreement import compare_arrays
from refmaker.combine.concat_dimensions import ConcatDimension, counted_axis, labelled_axis
from refmaker.combine.tolerance import apart
from refmaker.combine.values import inline_like, read_values
from refmaker.combine.variables import equal_values
from refmaker.model.tree import joined_path

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.combine.context import Context, Trees
    from refmaker.model import Array

    Item = tuple[int, Array]

__all__ = ["CubeAxes", "plan"]


@dataclass(slots=True)
class CubeAxes:
    """The axes of the cube.

    Parameters
    ----------
    axes : dict of (str, str) to ConcatDimension
        Along dimensions that inputs have, by the group of the coordinate and their name.
    new : dict of str to ConcatDimension
        Along dimensions that no input has.
    made : dict of (str, str) to Array
        The coordinates of all of them.
    """

    axes: dict[tuple[str, str], ConcatDimension] = field(default_factory=dict)
    new: dict[str, ConcatDimension] = field(default_factory=dict)
    made: dict[tuple[str, str], Array] = field(default_factory=dict)

    def new_axes(self) -> tuple[ConcatDimension, ...]:
        """Return the axes that variables get as their first dimensions."""
        return tuple(self.new.values())

    def new_coordinates(self, path: str, known: Collection[str]) -> dict[str, Array]:
        """Return the coordinates that a group gets, besides those of names that it has."""
        return {
            name: array
            for (home, name), array in self.made.items()
            if home == path and (name in self.new or name not in known)
        }

    def coordinate(self, path: str, name: str) -> Array | None:
        """Return the coordinate that takes the place of a variable, if one does."""
        return self.made.get((path, name)) if (path, name) in self.axes else None


@dataclass(slots=True)
class _Dimension:
    """A dimension that inputs have, with its size in each and the arrays of its coordinate."""

    sizes: dict[int, int] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)


def plan(trees: Trees, context: Context) -> CubeAxes:
    """Return the axes; what is wrong goes to the context's findings.

    Parameters
    ----------
    context : Context
        The inputs, and how to combine them.
    """
    options, found = context.options, context.found
    dimensions = _dimensions(trees, context)
    made = CubeAxes()
    wanted = dict.fromkeys((*(options.concat or ()), *options.coords))
    there = {name for _, name in dimensions}
    context.labelled |= {name for (_, name), dimension in dimensions.items() if dimension.items}
    for key, dimension in dimensions.items():
        name = key[1]
        if name in options.coords:
            _selected(key, dimension, trees, made, context)
        elif name in wanted or (
            _differs(key, dimension, context) and not _nearly(key, dimension, context)
        ):
            _existing(key, dimension, trees, made, context)
    for name in wanted:
        if name not in there:
            _new(name, trees, made, context)
    for name in options.regular:
        if name not in wanted and all(name != key[1] for key in made.axes):
            text = "no inputs are joined along it, so it cannot be made regular"
            found.say(name, text, f"join along it (`concat={name!r}`)")
    return made


def _dimensions(trees: Trees, context: Context) -> dict[tuple[str, str], _Dimension]:
    """Return the dimensions of all inputs, by the group of their coordinate and their name."""
    known: dict[tuple[str, str], _Dimension] = {}
    homes: dict[tuple[str, str], _Dimension] = {}
    for path, names in trees.arrays.items():
        for name, items in names.items():
            inner = joined_path(path, name)
            for i, array in items:
                for n, extent in zip(array.dimension_names or (), array.shape, strict=False):
                    dimension = homes.get((path, n))
                    if dimension is None:
                        home = trees.home(path, n)
                        key = (path if home is None else home, n)
                        dimension = homes[path, n] = known.setdefault(key, _Dimension())
                    if dimension.sizes.setdefault(i, extent) != extent:
                        context.found.say(
                            inner,
                            f"{extent} elements along {n} in {context.name(i)}, where another"
                            f" variable has {dimension.sizes[i]}",
                            remedies.drop(inner),
                        )
    for (path, name), dimension in known.items():
        arrays = trees.arrays[path].get(name, ())
        dimension.items = [item for item in arrays if item[1].dimension_names == (name,)]
    return known


def _differs(key: tuple[str, str], dimension: _Dimension, context: Context) -> bool:
    """Whether inputs are to be joined along a dimension that nobody named."""
    options = context.options
    if (options.concat is not None and options.join != "outer") or len(dimension.items) < 2:
        return False
    first = dimension.items[0]
    path = "/".join(filter(None, key))
    return any(not equal_values(path, first, item, context) for item in dimension.items[1:])


def _nearly(key: tuple[str, str], dimension: _Dimension, context: Context) -> bool:
    """Tell of coordinates that differ by so little that nobody would join along them."""
    path = "/".join(filter(None, key))
    first = dimension.items[0]
    for item in dimension.items[1:]:
        if equal_values(path, first, item, context):
            continue
        far, hint = apart(path, first, item, context)
        if not far:
            return False
        context.found.say(
            path,
            f"its coordinate differs{far} between {context.name(first[0])} and"
            f" {context.name(item[0])}",
            f"{hint}, join along it (`concat={key[1]!r}`)",
        )
        return True
    return False


def _existing(
    key: tuple[str, str],
    dimension: _Dimension,
    trees: Trees,
    made: CubeAxes,
    context: Context,
) -> None:
    """Add the axis along a dimension that inputs have."""
    name = key[1]
    count = len(context.members)
    if not dimension.items:
        if context.options.coords or len(context.options.concat or ()) > 1:
            context.found.say(
                name, "it has no coordinate, which joining along several dimensions needs",
                hint=_source(name, trees.arrays[key[0]], context),
            )  # fmt: skip
            return
        made.axes[key] = counted_axis(name, [dimension.sizes.get(i) for i in range(count)])
        context.warnings[f"{name} has no coordinate: inputs follow one another as given"] = None
        return
    missing = dimension.sizes.keys() - {i for i, _ in dimension.items}
    inner = "/".join(filter(None, key))
    for i, array in trees.arrays[key[0]][name]:
        if i not in dimension.sizes and array.dimension_names != (name,):
            context.found.say(
                inner,
                f"{context.name(i)} has it with the dimensions {array.dimension_names or ()}, and"
                f" nothing along {name}",
                remedies.drop(inner),
            )
            return
    if missing:
        i = min(missing)
        context.found.say(
            inner, f"{context.name(i)} has the dimension, but no coordinate of it",
            remedies.drop(inner),
        )  # fmt: skip
        return
    before = len(context.found.lines)
    attributes = context.attributes(inner, dimension.items, False)
    if len({array.dtype.newbyteorder("=") for _, array in dimension.items}) > 1:
        compare_arrays(
            inner, dimension.items, context.found, ("dtype",),
            {"dtype": remedies.of_storage(inner)},
        )  # fmt: skip
    if len(context.found.lines) > before:
        return
    values = read_values([(context.members[i], inner, array) for i, array in dimension.items])
    vectors: list[NDArray[Any] | None] = [None] * count
    for (i, _), vector in zip(dimension.items, values, strict=True):
        vectors[i] = vector
    axis = labelled_axis(name, vectors, context.options, context.found)
    if axis is None or axis.labels is None:
        return
    made.axes[key] = axis
    like = replace(dimension.items[0][1], attributes=attributes)
    made.made[key] = inline_like(axis.labels, like, (name,))


def _selected(
    key: tuple[str, str], dimension: _Dimension, trees: Trees, made: CubeAxes, context: Context
) -> None:
    """Add the axis along a dimension that inputs have, with a coordinate from elsewhere."""
    name = key[1]
    selected = selectors.select(name, context.options.coords[name], context, trees)
    if selected is None:
        return
    vectors = selected.vectors
    for i, size in dimension.sizes.items():
        if vectors[i].size != size:
            context.found.say(
                name, f"{vectors[i].size} values for {size} elements in {context.name(i)}",
                _source(name, trees.arrays[key[0]], context),
            )  # fmt: skip
            return
    if selected.path != "/".join(filter(None, key)):
        _refuse_boundaries(key, dimension.items, trees, context)
    own = [vectors[i] if i in dimension.sizes else None for i in range(len(vectors))]
    axis = labelled_axis(name, own, context.options, context.found)
    if axis is not None and axis.labels is not None:
        made.axes[key] = axis
        made.made[key] = selected.array(axis.labels, name)


def _refuse_boundaries(
    key: tuple[str, str], items: Sequence[Item], trees: Trees, context: Context
) -> None:
    """Refuse boundaries that would be left in the units of a coordinate that is replaced."""
    path, name = key
    there = trees.arrays[path]
    for word in ("bounds", "climatology"):
        for bounds in {array.attributes.get(word) for _, array in items} & there.keys():
            if any("units" not in array.attributes for _, array in there[str(bounds)]):
                context.found.say(
                    str(bounds),
                    f"it is in the units of {name}, which gets another coordinate",
                    f"write all times in the same units (`times='reencode'`),"
                    f" {remedies.drop(str(bounds))}",
                )


def _source(name: str, there: Mapping[str, Sequence[Item]], context: Context) -> str:
    """Return the remedy that says where the coordinate along a dimension may come from."""
    count = len(context.members)
    for other, items in there.items():
        arrays = [array for _, array in items]
        if len(arrays) == count and all(array.dimension_names == (name,) for array in arrays):
            return f"take a variable for it (`coords={{{name!r}: 'data:{other}'}}`)"
    return "leave it out of `concat`"


def _new(name: str, trees: Trees, made: CubeAxes, context: Context) -> None:
    """Add the axis along a dimension that no input has."""
    scalar = trees.arrays[""].get(name, [])
    if name in context.options.coords:
        selected = selectors.select(name, context.options.coords[name], context, trees)
    elif scalar:
        selected = selectors.select(name, f"data:{name}", context, trees)
    else:
        context.found.say(
            name, "no input has such a dimension, nor a variable of that name",
            hint=f"count the inputs (`coords={{{name!r}: 'index'}}`), say where in their names it"
            f" stands (`coords={{{name!r}: '*{{{name}}}.nc'}}`)",
        )  # fmt: skip
        return
    if selected is None:
        return
    if selected.path != name:
        _refuse_boundaries(("", name), scalar, trees, context)
    vectors = selected.vectors
    if any(vector.size != 1 for vector in vectors):
        i = next(i for i, vector in enumerate(vectors) if vector.size != 1)
        text = f"{vectors[i].size} values for the new dimension in {context.name(i)}, expected one"
        context.found.say(name, text, remedies.counting(name))
        return
    axis = labelled_axis(name, list(vectors), context.options, context.found)
    if axis is None or axis.labels is None:
        return
    made.new[name] = axis
    made.made["", name] = selected.array(np.asarray(axis.labels), name)

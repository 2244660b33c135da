"""Small variables: their values are joined and kept in the set itself, as one chunk."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.combine import remedies
from refmaker.combine.chunk_placement import filled_positions
from refmaker.combine.missing import free_value
from refmaker.combine.values import inline_like, read_values, same_bytes
from refmaker.model.chunk_table import count as product

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from refmaker.combine.chunk_placement import Item, VariableGrid
    from refmaker.combine.context import Context
    from refmaker.combine.options import CombineOptions
    from refmaker.model import Array

__all__ = ["gap_fill", "is_small", "join", "tell_unknown", "worth_it"]


def is_small(items: Sequence[Item], options: CombineOptions) -> bool:
    """Whether every input's values are few enough to be kept in the set, and can be."""
    limit = options.inline_threshold
    return all(array.nbytes <= limit and array.dtype.names is None for _, array in items)


def worth_it(items: Sequence[Item], layout: VariableGrid, options: CombineOptions) -> bool:
    """Whether a small variable is better joined by value than by moving chunks.

    That is so if its chunks are inlined anyway, or are none of the cube's, as the chunks of 512
    times that hold a single one.
    """
    first = items[0][1]
    if product(layout.shape) * first.dtype.itemsize > options.inline_budget:
        return False
    if all(not array.chunks.referenced for _, array in items):
        return True
    for j in layout.joined:
        axis, size = layout.axes[j], layout.chunk_shape[j]
        if axis is None:
            continue
        for i, _ in items:
            start, end = int(axis.start[i]), int(axis.start[i] + axis.count[i])
            if i in axis.scattered or start % size or (end % size and end != axis.size):
                return True
    fields = {(array.chunk_shape, array.order, str(array.codecs)) for _, array in items}
    return len(fields) > 1


def gap_fill(array: Array, *, absent: bool) -> tuple[bool, Any]:
    """Return whether there is a value that means that nothing is there, and that value.

    Parameters
    ----------
    absent : bool
        Whether chunks are absent in an input; then what they read as must not change.
    """
    if array.fill_value is not None:
        return True, array.fill_value
    if absent:
        return False, None
    for name in ("_FillValue", "missing_value"):
        value = array.attributes.get(name)
        if isinstance(value, str) and array.dtype.kind == "f":
            value = {"NaN": np.nan}.get(value)
        if isinstance(value, int | float) and array.dtype.kind in "iuf":
            stored = np.asarray(value).astype(array.dtype)[()]
            if stored == value or value != value:  # noqa: PLR0124 - NaN
                return True, stored
    if array.dtype.kind == "f":
        return True, array.dtype.type(np.nan)
    return False, None


def join(
    path: str,
    items: Sequence[Item],
    layout: VariableGrid,
    like: Array,
    context: Context,
    *,
    crossed: bool,
) -> Array | None:
    """Read the values of all inputs, and return them joined.

    Parameters
    ----------
    path, items, context, crossed
        As for `refmaker.combine.variables.combine_variable`.
    like : Array
        Gives dtype, fill value and attributes.

    Returns
    -------
    Array or None
        None if inputs contradict each other, or leave a hole; the findings tell it.
    """
    members = context.members
    parts = read_values([(members[i], path, array) for i, array in items])
    dims = layout.joined
    if len(dims) == 1 and dims[0] == 0:
        whole = _in_a_row(items, parts, layout)
        if whole is not None:
            return inline_like(whole, like, layout.names)
    values = np.zeros(layout.shape, like.dtype)
    if like.dtype.hasobject:
        values[...] = ""
    taken = np.zeros([layout.shape[j] if j in dims else 1 for j in range(len(layout.shape))], bool)
    owner = np.zeros(taken.shape, np.int32)
    policy = context.options.duplicates
    for place, ((i, _), part) in enumerate(zip(items, parts, strict=True)):
        region, claimed = _region(i, layout)
        shaped = part.reshape([1 if k < 0 else part.shape[k] for k in layout.local])
        mine = taken[claimed]
        if bool(mine.any()):
            same = same_bytes(values[region][_spread(mine, shaped)], shaped[_spread(mine, shaped)])
            if not same and (policy == "error" or crossed):
                pair = int(owner[claimed][mine][0]), place
                _tell(path, items, layout, pair, context, crossed=crossed)
                return None
            if policy != "last" or same:
                shaped = np.where(mine, values[region], shaped)
        values[region] = shaped
        taken[claimed] = True
        owner[claimed] = place
    if not bool(taken.all()):
        filled = _filled(path, values, taken, layout, like, items, context)
        if filled is None:
            return None
        like = filled
    return inline_like(values, like, layout.names)


def _spread(mine: NDArray[np.bool_], shaped: NDArray[Any]) -> NDArray[np.bool_]:
    return np.broadcast_to(mine, shaped.shape)


def _in_a_row(
    items: Sequence[Item], parts: Sequence[NDArray[Any]], layout: VariableGrid
) -> NDArray[Any] | None:
    """Return the values of inputs that follow one another without gap along dimension 0."""
    axis = layout.axes[0]
    if axis is None or axis.scattered:
        return None
    numbers = np.array([i for i, _ in items], np.int64)
    order = np.argsort(axis.start[numbers], kind="stable")
    start, count = axis.start[numbers][order], axis.count[numbers][order]
    end = np.cumsum(count)
    if not bool(np.all(start == end - count)) or int(end[-1]) != axis.size:
        return None
    shaped = parts
    if layout.local[0] < 0:
        shaped = [part[None] for part in parts]
    return np.concatenate([shaped[k] for k in order.tolist()])


def _region(member: int, layout: VariableGrid) -> tuple[Any, Any]:
    """Return the places of an input's elements, in the values and in the joined dimensions."""
    region, claimed = [], []
    for axis, extent in zip(layout.axes, layout.shape, strict=True):
        if axis is None:
            region.append(np.arange(extent))
            claimed.append(np.arange(1))
        else:
            at = axis.positions(member)
            region.append(at)
            claimed.append(at)
    return np.ix_(*region), np.ix_(*claimed)


def _tell(
    path: str,
    items: Sequence[Item],
    layout: VariableGrid,
    pair: tuple[int, int],
    context: Context,
    *,
    crossed: bool,
) -> None:
    one, other = (items[k][0] for k in pair)
    axes = [axis for axis in layout.axes if axis is not None]
    shared = (np.intersect1d(axis.positions(one), axis.positions(other)) for axis in axes)
    where = ", ".join(
        axis.label(int(at[0])) for axis, at in zip(axes, shared, strict=True) if at.size
    )
    context.found.say(
        path,
        f"{context.name(one)} and {context.name(other)} have different values at {where}",
        f"let what differs have the dimension (`compat='vary'`), {remedies.drop(path)}"
        if crossed
        else "keep the first (`duplicates='first'`), keep the last (`duplicates='last'`)",
    )


def _filled(
    path: str,
    values: NDArray[Any],
    taken: NDArray[np.bool_],
    layout: VariableGrid,
    like: Array,
    items: Sequence[Item],
    context: Context,
) -> Array | None:
    """Fill the places that no input has."""
    if context.options.join == "exact":
        dims = layout.joined
        shape = [layout.shape[j] if j in dims else 1 for j in range(len(layout.shape))]
        gaps = filled_positions(layout, context.options.regular, by_element=True).reshape(shape)
        lost = np.argwhere(~taken & ~gaps)
        if lost.size:
            axes = ((j, layout.axes[j]) for j in dims)
            where = ", ".join(axis.label(int(lost[0][j])) for j, axis in axes if axis is not None)
            hint = f"leave holes empty (`join='outer'`), {remedies.drop(path)}"
            context.found.say(path, f"no input has it at {where}", hint)
            return None
    known, fill = gap_fill(like, absent=any(array.chunks.absent for _, array in items))
    if not known:
        tell_unknown(path, like, context)
        return None
    values[np.broadcast_to(~taken, values.shape)] = fill
    return replace(like, fill_value=fill)


def tell_unknown(path: str, array: Array, context: Context) -> None:
    """Note that there is no value for the holes of a variable."""
    value = free_value(array.dtype)
    say = "" if value is None else f"say what stands for them (`fill={{{path!r}: {value!r}}}`), "
    context.found.say(
        path,
        f"there are gaps, and no value of {array.dtype} is declared for them",
        f"{say}{remedies.drop(path)}",
    )

"""One variable of many inputs."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.combine import (
    agreement,
    chunk_placement,
    joining,
    packed_pieces,
    rechunk,
    reencode,
    remedies,
    uneven,
)  # fmt: skip
from refmaker.combine.chunk_placement import VariableGrid
from refmaker.combine.tolerance import apart
from refmaker.combine.values import read_values, same_bytes
from refmaker.errors import LimitError
from refmaker.model.chunk_table import count as product

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.combine.concat_dimensions import ConcatDimension
    from refmaker.combine.context import Context
    from refmaker.model import Array

    Item = tuple[int, Array]

__all__ = ["combine_variable", "equal_values", "static_variable"]

_ALIKE = ("dtype", "fill_value")
_ENCODED = ("codecs", "order")


def _can_be_cut(items: Sequence[Item]) -> bool:
    return not any(array.codecs or array.order != "C" for _, array in items)


def _can_be_encoded(items: Sequence[Item]) -> bool:
    """Tell whether codecs encode: those of this package only decode."""
    return not any(c["id"].startswith("refmaker.") for _, array in items for c in array.codecs)


def _hints(path: str, items: Sequence[Item]) -> dict[str, str]:
    """Return what helps where a field of arrays differs."""
    cut = _can_be_cut(items)
    inline = _can_be_encoded(items)
    stored = remedies.of_storage(path, inline=inline)
    return {
        "dtype": remedies.of_storage(path),
        "fill_value": remedies.of_storage(path),
        "dimension_names": remedies.drop(path),
        "chunk_shape": remedies.of_storage(path, inline=inline, cut=cut, uneven=True),
        **dict.fromkeys(("codecs", "order"), stored),
    }


def combine_variable(
    path: str,
    items: list[Item],
    axes: Sequence[ConcatDimension | None],
    new: Sequence[ConcatDimension],
    context: Context,
    *,
    crossed: bool = False,
) -> Array | None:
    """Join a variable along the dimensions of the cube.

    Parameters
    ----------
    items : sequence of (int, Array)
        The inputs that have it, in order, and their arrays.
    axes : sequence of ConcatDimension or None
        For each of its dimensions the axis, if inputs are joined along it.
    new : sequence of ConcatDimension
        The axes that it gets as its first dimensions.
    context : Context
        The inputs, and how to combine them.
    crossed : bool
        Whether inputs are joined along other dimensions, which this variable lacks: what several
        inputs say of one place has to be the same then.

    Returns
    -------
    Array or None
        None if the inputs differ, which the context's findings tell.
    """
    found, options = context.found, context.options
    before = len(found.lines)
    layout = _layout(path, items, axes, new, context)
    if layout is None:
        return None
    packing: Collection[int] = ()
    if options.mismatched == "inline":
        items, packing = reencode.repacked(path, items, context)
    packed = packed_pieces.taken_apart(path, items, context)
    items = items if packed is None else packed.items
    attributes = context.attributes(path, items, all_of_them=False)
    small = packed is None and joining.is_small(items, options)
    fields = _ALIKE
    if small:
        # Values are read and written anew: their order of bytes does not matter.
        items = [(i, _native(array, items[0][1])) for i, array in items]
    agreement.compare_arrays(path, items, found, fields, _hints(path, items))
    if len(found.lines) > before:
        return None
    like = replace(items[0][1], attributes=attributes)
    if small and joining.worth_it(items, layout, options):
        return joining.join(path, items, layout, like, context, crossed=crossed)
    return _placed(path, items, layout, like, context, set(packing), crossed=crossed, packed=packed)


def _native(array: Array, like: Array) -> Array:
    if array.dtype == like.dtype or array.dtype.newbyteorder("=") != like.dtype.newbyteorder("="):
        return array
    fill = array.fill_value
    if fill is not None:
        fill = np.asarray(fill).astype(like.dtype)[()]
    return replace(array, fill_value=fill)


def _layout(
    path: str,
    items: Sequence[Item],
    axes: Sequence[ConcatDimension | None],
    new: Sequence[ConcatDimension],
    context: Context,
) -> VariableGrid | None:
    """Return the geometry, after a look at names and extents of every input's dimensions."""
    found = context.found
    first, base = items[0]
    before = len(found.lines)
    agreement.compare_arrays(path, items, found, ("dimension_names",), _hints(path, items))
    if len(found.lines) > before:
        return None
    leaf = path.rpartition("/")[2]
    names = base.dimension_names or tuple(f"{leaf}_{k}" for k in range(len(base.shape)))
    for k, (name, axis) in enumerate(zip(names, axes, strict=True)):
        for i, array in items:
            expected = base.shape[k] if axis is None else int(axis.count[i])
            if array.shape[k] == expected:
                continue
            if axis is None:
                others = [(n, a.shape[k]) for n, a in items if a.shape[k] != expected]
                found.differ(
                    path, f"size of dimension {name}", (first, expected), others,
                    remedies.of_size(path, name, labelled=name in context.labelled, alone=False),
                )  # fmt: skip
            else:
                found.say(
                    path, f"{array.shape[k]} elements along {name} in {context.name(i)}, whose"
                    f" coordinate has {expected}", remedies.drop(path),
                )  # fmt: skip
            return None
    for axis in new:
        if any(axis.count[i] != 1 for i, _ in items):
            text = f"an input has no place, or several, along {axis.name}"
            found.say(path, text, remedies.drop(path))
            return None
    sizes = (base.shape[k] if axis is None else axis.size for k, axis in enumerate(axes))
    return VariableGrid(
        (*(axis.name for axis in new), *names),
        (*new, *axes),
        (*(-1 for _ in new), *range(len(names))),
        (*(axis.size for axis in new), *sizes),
        (*(1 for _ in new), *base.chunk_shape),
    )


def _placed(  # noqa: PLR0913 - what one variable needs
    path: str,
    items: list[Item],
    layout: VariableGrid,
    like: Array,
    context: Context,
    inlined: set[int],
    *,
    crossed: bool,
    packed: packed_pieces.PackedItems | None,
) -> Array | None:
    """Join by moving chunks."""
    options, found = context.options, context.found
    if options.chunks == "common":
        items = rechunk.split_to_common(items, layout)
    if options.mismatched == "inline":
        items = reencode.reencoded(path, items, context, inlined)
    else:
        items = reencode.kept_as_others(path, items, context)
    # Either may have changed how the first input's chunks are.
    like = replace(items[0][1], attributes=like.attributes)
    lead = layout.chunk_shape[: len(layout.shape) - len(like.shape)]
    layout = replace(layout, chunk_shape=(*lead, *like.chunk_shape))
    fitted = _fitted(path, items, layout, context)
    if fitted is None:
        return None
    items, layout = fitted
    claims = chunk_placement.claims(items, layout)
    lost = _settled(path, items, layout, claims, context, crossed=crossed)
    if lost is None:
        return None
    known, fill = _fill_of_holes(path, items, layout, like, claims, context)
    if not known:
        return None
    made = replace(
        like,
        shape=layout.shape,
        chunk_shape=layout.chunk_shape,
        chunks=chunk_placement.place(items, layout, lost),
        fill_value=fill,
        dimension_names=layout.names,
        edges=layout.edges,
    )
    if packed is not None:
        pieces = packed_pieces.in_pieces(path, made, layout, packed, context)
        if pieces is None:
            return None
        made = pieces
    if made.edges is not None and not uneven.can_be_said(path, made, found):
        return None
    return made


def _fill_of_holes(
    path: str,
    items: Sequence[Item],
    layout: VariableGrid,
    like: Array,
    claims: chunk_placement.CellOwners,
    context: Context,
) -> tuple[bool, Any]:
    """Return whether the cube can be without what no input has, and its fill value."""
    options = context.options
    missing = chunk_placement.missing(claims, layout)
    if not missing.size:
        return True, like.fill_value
    if options.join == "exact":
        missing = missing[
            ~chunk_placement.filled_positions(layout, options.regular).reshape(-1)[missing]
        ]
        if missing.size:
            _tell_hole(path, layout, missing, context)
            return False, None
    absent = any(array.chunks.absent for _, array in items)
    known, fill = joining.gap_fill(like, absent=absent)
    if not known:
        joining.tell_unknown(path, like, context)
    return known, fill


def _fitted(
    path: str, items: list[Item], layout: VariableGrid, context: Context
) -> tuple[list[Item], VariableGrid] | None:
    """Return the inputs and the geometry whose grid their chunks fit into; None if there is none.

    That is a regular one where there is one, else one with chunks of different lengths.
    """
    found = context.found
    before = len(found.lines)
    hints = _hints(path, items)
    agreement.compare_arrays(path, items, found, _ENCODED, hints)
    if len(found.lines) > before:
        return None
    arrays = [array for _, array in items]
    even = all(a.edges is None and a.chunk_shape == arrays[0].chunk_shape for a in arrays)
    hint = remedies.of_placement(path, cut=_can_be_cut(items))
    if even and not chunk_placement.misaligned(path, items, layout, None, hint):
        return items, layout
    if context.options.zarr_format != 2:
        return uneven.uneven_grid(path, items, layout, found, cut=_can_be_cut(items))
    agreement.compare_arrays(path, items, found, ("chunk_shape",), hints)
    if len(found.lines) == before and any(array.edges is not None for array in arrays):
        found.say(path, "its chunks are of different lengths", hint)
    elif len(found.lines) == before:
        chunk_placement.misaligned(path, items, layout, found, hint)
    return None


def _tell_hole(
    path: str, layout: VariableGrid, missing: NDArray[np.int64], context: Context
) -> None:
    """Name the first place of the cube that no input has."""
    total = product(layout.cells)
    context.found.say(
        path,
        f"no input has it at {layout.where(int(missing[0]))} ({missing.size} of {total} places"
        " along the joined dimensions are empty)",
        f"leave holes empty (`join='outer'`), {remedies.drop(path)}",
    )


def _settled(
    path: str,
    items: Sequence[Item],
    layout: VariableGrid,
    claims: chunk_placement.CellOwners,
    context: Context,
    *,
    crossed: bool,
) -> NDArray[np.int64] | None:
    """Return which items give up which cells; None if that cannot be said."""
    rows = claims.twice()
    if not rows.size:
        return np.empty((0, 2), np.int64)
    policy = context.options.duplicates
    lost: list[tuple[int, int]] = []
    verdicts: dict[tuple[int, int], bool] = {}
    keeper: dict[int, int] = {}
    for row in rows.tolist():
        cell, later = int(claims.cell[row]), int(claims.item[row])
        earlier = keeper.setdefault(cell, int(claims.item[row - 1]))
        pair = (earlier, later)
        if pair not in verdicts:
            two = items[earlier], items[later]
            verdicts[pair] = _same_data(path, two, layout, context, crossed=crossed)
        if verdicts[pair] or (policy == "first" and not crossed):
            lost.append((later, cell))
        elif policy == "last" and not crossed:
            lost.append((earlier, cell))
            keeper[cell] = later
        else:
            _tell_twice(path, items, layout, cell, pair, context, crossed)
            return None
    return np.array(lost, np.int64)


def _same_data(
    path: str, pair: tuple[Item, Item], layout: VariableGrid, context: Context, *, crossed: bool
) -> bool:
    """Whether two inputs have the same values, as far as that has to be looked at."""
    (i, left), (k, right) = pair
    if left.shape == right.shape and left.chunks.same(right.chunks):
        return True
    same_place = all(
        axis is None or (axis.start[i] == axis.start[k] and axis.count[i] == axis.count[k])
        for axis in layout.axes
    )
    worth = crossed or max(left.nbytes, right.nbytes) <= context.options.inline_threshold
    if not same_place or not worth:
        return False
    return equal_values(path, *pair, context)


def _tell_twice(
    path: str,
    items: Sequence[Item],
    layout: VariableGrid,
    cell: int,
    pair: tuple[int, int],
    context: Context,
    crossed: bool,
) -> None:
    where = layout.where(cell)
    one, other = (items[k][0] for k in pair)
    if crossed:
        hint = f"let what differs have the dimension (`compat='vary'`), {remedies.drop(path)}"
        text = "have different values, and it lacks the dimension that tells them apart"
    else:
        hint = "keep the first (`duplicates='first'`), keep the last (`duplicates='last'`)"
        text = "both have it"
    context.found.say(
        path, f"at {where}, {context.name(one)} and {context.name(other)} {text}", hint,
    )  # fmt: skip


def static_variable(
    path: str,
    items: Sequence[Item],
    context: Context,
    *,
    all_attributes: bool = False,
    joined: bool,
    lacking: bool,
    siblings: Mapping[str, Sequence[Item]],
) -> Array | None:
    """Return a variable that is the same in all inputs, after a look at whether it is.

    Parameters
    ----------
    path, items, context
        As for `combine_variable`.
    all_attributes : bool
        Whether all attributes are its content, as those of a grid mapping are.
    joined, lacking : bool
        Whether inputs are joined along any dimension, and along any that it could have.
    siblings : mapping of str to sequence of (int, Array)
        The variables beside it: one of them may tell the inputs apart.

    Returns
    -------
    Array or None
        The first input's; None if another one differs.
    """
    found = context.found
    before = len(found.lines)
    attributes = context.attributes(path, items, all_attributes)
    names = ("shape", "dimension_names", "fill_value")
    first, base = items[0]
    hints = _hints(path, items) | {"shape": _of_shape(path, base, items, context, joined=joined)}
    agreement.compare_arrays(path, items, found, names, hints)
    if len(found.lines) > before:
        return None
    if context.options.compat != "first":
        for i, array in items[1:]:
            if _same_inlined(base, array) or equal_values(path, (first, base), (i, array), context):
                continue
            far, near = apart(path, (first, base), (i, array), context)
            hint = remedies.differing_static(
                path, base, siblings.items(), joined=joined, lacking=lacking
            )
            found.say(
                path, f"its values differ{far} between {context.name(first)} and"
                f" {context.name(i)}, and no dimension tells them apart",
                ", ".join(filter(None, (near, hint))),
            )  # fmt: skip
            return None
    return replace(base, attributes=attributes)


def _of_shape(
    path: str, base: Array, items: Sequence[Item], context: Context, *, joined: bool
) -> str:
    names = base.dimension_names or ()
    for _, array in items:
        if array.dimension_names == names:
            for name, one, other in zip(names, base.shape, array.shape, strict=True):
                if one != other:
                    there = name in context.labelled
                    return remedies.of_size(path, name, labelled=there, alone=not joined)
    return remedies.drop(path)


def _same_inlined(one: Array, other: Array) -> bool:
    """Whether two arrays are inlined, encoded alike and the same, bytes and all."""
    left, right = one.chunks, other.chunks
    return (
        not left.referenced
        and not right.referenced
        and left.inlined == right.inlined
        and one.dtype == other.dtype
        and one.chunk_shape == other.chunk_shape
        and one.edges is other.edges is None
        and one.codecs == other.codecs
        and one.order == other.order
        and agreement.same_fill(one.fill_value, other.fill_value)
    )


def equal_values(path: str, one: Item, other: Item, context: Context) -> bool:
    """Tell whether two inputs have the same values of a variable; they are read if need be.

    Raises
    ------
    LimitError
        If more would have to be read than is allowed.
    """
    (_, left), (k, right) = one, other
    if left.shape != right.shape or left.dtype.newbyteorder("=") != right.dtype.newbyteorder("="):
        return False
    if _same_inlined(left, right):
        return True
    alike = left.chunk_shape == right.chunk_shape and left.codecs == right.codecs
    alike = alike and left.edges is right.edges is None
    if alike and left.dtype == right.dtype and left.chunks.same(right.chunks):
        return agreement.same_fill(left.fill_value, right.fill_value)
    limit = context.options.compare_budget
    if math.prod(left.shape) * left.dtype.itemsize > limit:
        raise LimitError(
            f"comparing it would read {left.nbytes} bytes of {context.name(k)}",
            url=context.name(k),
            path=path,
            hint="take the first input's unseen (`compat='first'`), or raise the limit"
            f" (`compare_budget={left.nbytes}`)",
        )
    values = read_values([(context.members[n], path, a) for n, a in (one, other)])
    return same_bytes(*values)

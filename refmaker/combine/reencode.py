"""Inputs that differ from the others: their values are kept in the set, encoded as the others."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.codecs import decoding
from refmaker.combine import remedies
from refmaker.combine.agreement import same_fill
from refmaker.combine.values import cut_inline, read_values
from refmaker.errors import CodecError, LimitError
from refmaker.model import Array, chunk_grid
from refmaker.model.amounts import counted
from refmaker.model.chunk_table import count as product
from refmaker.model.zarr_v2 import dumps

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.combine.chunk_placement import Item
    from refmaker.combine.context import Context

__all__ = ["kept_as_others", "reencoded", "repacked"]

_MOST = 1 << 16
"""Chunks of one input that are encoded at most."""
PACKING = ("scale_factor", "add_offset")


def _charge(path: str, arrays: Sequence[Item], context: Context) -> None:
    total = sum(array.nbytes for _, array in arrays)
    if total > context.options.inline_budget:
        raise LimitError(
            f"keeping the values of {len(arrays)} mismatched inputs in the set would take "
            f"{total} bytes",
            path=path,
            hint=f"allow more (`inline_budget={total}`), {remedies.of_storage(path)}",
        )


def _packing(array: Array) -> str:
    return dumps([array.attributes.get(name) for name in PACKING])


def repacked(
    path: str, items: Sequence[Item], context: Context
) -> tuple[list[Item], Collection[int]]:
    """Pack the values of inputs whose packing differs from most others' as those do.

    Parameters
    ----------
    items : sequence of (int, Array)
        The inputs.
    context : Context
        The inputs, and how to combine them.

    Returns
    -------
    list of (int, Array)
        Where every packed value can be written in the others' packing so that it decodes to the
        very same number, changed; else as it was, and found to differ later.
    collection of int
        Numbers of the inputs that were changed.

    Raises
    ------
    LimitError
        If the values take more than may be kept in the set.
    """
    kinds = [_packing(array) for _, array in items]
    counts = Counter(kinds)
    if len(counts) == 1 or any(array.dtype.kind not in "iu" for _, array in items):
        return list(items), ()
    most = max(counts, key=lambda kind: counts[kind])
    like = items[kinds.index(most)][1]
    others = [item for item, kind in zip(items, kinds, strict=True) if kind != most]
    _charge(path, others, context)
    changed: dict[int, Array] = {}
    values = read_values([(context.members[i], path, array) for i, array in others])
    for (i, array), packed in zip(others, values, strict=True):
        made = _repack(packed, array, like)
        if made is None:
            context.found.say(
                path,
                f"values of {context.name(i)} are none of those that the packing of"
                f" {context.name(items[kinds.index(most)][0])} has, so that they cannot be kept"
                " in the set in that",
                remedies.of_storage(path),
            )
        else:
            attributes = {k: v for k, v in array.attributes.items() if k not in PACKING}
            attributes |= {k: like.attributes[k] for k in PACKING if k in like.attributes}
            target = replace(
                like, shape=array.shape, attributes=attributes,
                chunks=cut_inline(made, replace(like, attributes={})),
            )  # fmt: skip
            changed[i] = target
    return [(i, changed.get(i, array)) for i, array in items], set(changed)


def _repack(packed: NDArray[Any], array: Array, like: Array) -> NDArray[Any] | None:
    marks: Mapping[str, Any] = array.attributes
    if not same_fill(array.fill_value, like.fill_value) or any(
        marks.get(name) != like.attributes.get(name)
        for name in ("_FillValue", "missing_value", "_Unsigned")
    ):
        return None
    (scale, offset), (scale2, offset2) = (
        tuple(float(a.attributes.get(n, d)) for n, d in zip(PACKING, (1, 0), strict=True))
        for a in (array, like)
    )
    missing = np.zeros(packed.shape, bool)
    for name in ("_FillValue", "missing_value"):
        if isinstance(marks.get(name), int):
            missing |= packed == marks[name]
    if array.fill_value is not None:
        missing |= packed == array.fill_value
    true = packed.astype(np.float64) * scale + offset
    again = np.rint((true - offset2) / scale2)
    limits = np.iinfo(like.dtype)
    again[missing] = 0
    if bool(np.any((again < limits.min) | (again > limits.max))):
        return None
    made = again.astype(like.dtype)
    exact = made.astype(np.float64) * scale2 + offset2 == true
    taken = np.zeros(packed.shape, bool)
    for mark in (marks.get("_FillValue"), marks.get("missing_value"), like.fill_value):
        if mark is not None:
            taken |= made == mark
    if not bool(np.all(exact | missing)) or bool(np.any(taken & ~missing)):
        return None
    made[missing] = packed[missing].astype(like.dtype)
    return made


def reencoded(
    path: str, items: Sequence[Item], context: Context, done: Collection[int]
) -> list[Item]:
    """Encode the values of inputs whose chunks differ from most others' as those are.

    Parameters
    ----------
    path, items, context
        As for `repacked`.
    done : collection of int
        Inputs whose values are kept in the set already.

    Returns
    -------
    list of (int, Array)
        With chunks of one kind, that of most inputs.

    Raises
    ------
    LimitError
        If the values take more than may be kept in the set.
    CodecError
        If they do not come back from the codecs as they were.
    """
    own = [item for item in items if item[0] not in done] or list(items)
    kinds = [_kind(array) for _, array in items]
    counts = Counter(_kind(array) for _, array in own)
    most = max(counts, key=lambda kind: counts[kind])
    if len(set(kinds)) == 1 or any(array.edges is not None for _, array in items):
        return list(items)
    like = items[kinds.index(most)][1]
    others = [item for item, kind in zip(items, kinds, strict=True) if kind != most]
    if any(product(chunk_grid(array.shape, like.chunk_shape)) > _MOST for _, array in others):
        return list(items)
    _charge(path, others, context)
    values = read_values([(context.members[i], path, array) for i, array in others])
    changed = {}
    for (i, array), part in zip(others, values, strict=True):
        target = replace(like, shape=array.shape, chunks=cut_inline(part, like), attributes={})
        changed[i] = replace(target, attributes=array.attributes, fill_value=array.fill_value)
    told = f"the values of {counted(len(others), 'input')} are kept in the set itself"
    context.warnings[f"{path}: {told}"] = None
    return [(i, changed.get(i, array)) for i, array in items]


def kept_as_others(path: str, items: Sequence[Item], context: Context) -> list[Item]:
    """Encode inputs whose values are in the set anyway as those are that are referenced.

    What is small enough is inlined by the scan of a file, in an encoding of its own: it does not
    differ from larger files of the same series by that.

    Parameters
    ----------
    path, items, context
        As for `repacked`.
    """
    arrays = [array for _, array in items]
    like = next((a for a in arrays if a.chunks.referenced), None)
    like = next((a for a in arrays if a.codecs), None) if like is None else like
    if like is None or not like.codecs:
        return list(items)
    return [
        (i, _as_other(path, i, array, like, context) if _is_kept(array, like, context) else array)
        for i, array in items
    ]


def _is_kept(array: Array, like: Array, context: Context) -> bool:
    """Whether all values are in the set, in another encoding than the others'."""
    options = context.options
    # Beside none that is referenced only what every scan inlines does not differ by that.
    most = options.inline_budget if like.chunks.referenced else options.inline_threshold
    return (
        not array.chunks.referenced
        and not array.chunks.absent
        and array.edges is None
        and array.dtype == like.dtype
        and array.dimension_names == like.dimension_names
        and _encoding(array) != _encoding(like)
        and array.nbytes <= most
        and product(chunk_grid(array.shape, like.chunk_shape)) <= _MOST
    )


def _encoding(array: Array) -> tuple[str, list[Mapping[str, Any]]]:
    return array.order, [decoding(codec) for codec in array.codecs]


def _as_other(path: str, number: int, array: Array, like: Array, context: Context) -> Array:
    (values,) = read_values([(context.members[number], path, array)])
    filled = replace(like, fill_value=array.fill_value)
    try:
        chunks = cut_inline(values, filled)
    except CodecError:
        return array
    attributes = array.attributes
    return replace(filled, shape=array.shape, chunks=chunks, attributes=attributes, edges=None)


def _kind(array: Array) -> tuple[Any, ...]:
    return (
        array.chunk_shape,
        array.order,
        array.dtype.str,
        dumps([decoding(c) for c in array.codecs]),
    )

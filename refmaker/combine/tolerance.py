"""Coordinates that are meant to be the same: by a stated tolerance, or in types of two widths."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.combine.values import inline_like, read_values, widened
from refmaker.errors import LimitError
from refmaker.model.tree import joined_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.combine.context import Context, Trees
    from refmaker.model import Array

    Item = tuple[int, Array]

__all__ = ["apart", "brought_together"]

_PART = 1e-3
"""Part of the smallest step below which coordinates are suspected to be the same."""


def brought_together(trees: Trees, context: Context) -> Trees:
    """Give coordinates one type, and the values of the first input where others are near.

    Parameters
    ----------
    context : Context
        The inputs, and how to combine them; its findings get what is near, but not the same.

    Returns
    -------
    Trees
        With coordinates, their boundaries and auxiliary coordinates replaced.
    """
    arrays = {path: dict(names) for path, names in trees.arrays.items()}
    for path, names in arrays.items():
        owners = _owners(names)
        for name, items in list(names.items()):
            if len(items) < 2:
                continue
            inner = joined_path(path, name)
            near = _tolerance(name, inner, names, owners, context)
            line = all(array.dimension_names == (name,) for _, array in items)
            kinds = {array.dtype.newbyteorder("=") for _, array in items}
            mixed = line and len(kinds) > 1 and {kind.kind for kind in kinds} <= set("iuf")
            if near is None and not mixed:
                continue
            made = _on_one_line if line else _elementwise
            names[name] = made(inner, items, near or 0.0, context)
    return type(trees)(trees.groups, arrays)


def _owners(names: Mapping[str, Sequence[Item]]) -> dict[str, str]:
    """Return the auxiliary coordinates and boundaries of a group, and whose they are."""
    found: dict[str, str] = {}
    for name, items in names.items():
        attributes = items[0][1].attributes
        for word in ("coordinates", "bounds", "climatology"):
            value = attributes.get(word)
            for other in value.split() if isinstance(value, str) else ():
                if other in names and other != name:
                    found[other] = other if word == "coordinates" else name
    return found


def _tolerance(
    name: str,
    path: str,
    names: Mapping[str, Sequence[Item]],
    owners: Mapping[str, str],
    context: Context,
) -> float | None:
    """Return the tolerance of a variable; None if it has none."""
    options = context.options
    owner = owners.get(name, name)
    items = names[name]
    given = options.tolerance_of(path, name, owner)
    if given is None:
        line = any(array.dimension_names == (name,) for _, array in items)
        timed = " since " in str(names[owner][0][1].attributes.get("units"))
        if timed or not (line or name in owners) or not options.common_tolerance:
            return None
        given = options.common_tolerance
    if any(array.dtype.kind not in "iuf" for _, array in items):
        return None
    if any(
        word in array.attributes for word in ("scale_factor", "add_offset") for _, array in items
    ):
        context.warnings[f"{path} is packed: no tolerance counts for it"] = None
        return None
    return given


def _on_one_line(path: str, items: Sequence[Item], near: float, context: Context) -> list[Item]:
    """Return coordinates of one dimension in their widest type, with near values the same."""
    values = read_values([(context.members[i], path, array) for i, array in items])
    dtype = np.result_type(*{part.dtype.newbyteorder("=") for part in values})
    exact = [widened(part, dtype) for part in values]
    wide = [part for part in exact if part is not None]
    if len(wide) < len(exact):
        return list(items)  # with integers that no float holds they differ in type still
    every = np.concatenate(wide)
    made = every
    stated = near
    if near and every.size and not bool(np.isnan(every).any()):
        # What was computed from rounded numbers is no nearer than that.
        near += 2 * float(np.spacing(np.abs(every).max())) if dtype.kind == "f" else 0.0
        own = np.repeat(np.arange(len(wide)), [part.size for part in wide])
        # Of the widest type, so that what was rounded does not count for what was not.
        first = np.argsort(
            [part.dtype.itemsize != dtype.itemsize for part in values], kind="stable"
        )
        rank = np.empty(len(wide), np.int64)
        rank[first] = np.arange(len(wide))
        made = _snapped(path, every, own, rank[own], near, context)
    changed = []
    start = 0
    for (i, array), part, old in zip(items, wide, values, strict=True):
        new = made[start : start + part.size]
        start += part.size
        same = old.dtype.newbyteorder("=") == dtype and bool(np.array_equal(new, old))
        changed.append((i, array if same else _rewritten(new, array)))
    if stated and bool(np.any(made != every)):
        context.warnings[_tolerance_note(path, stated)] = None
    return changed


def _tolerance_note(path: str, near: float) -> str:
    return f"{path}: values that differ by up to {near:g} are those of the first"


def _snapped(
    path: str,
    every: NDArray[Any],
    own: NDArray[np.int64],
    rank: NDArray[np.int64],
    near: float,
    context: Context,
) -> NDArray[Any]:
    """Return values, of those that are near each other the one of the first input."""
    order = np.lexsort((rank, every))
    ordered = every[order]
    cluster = np.concatenate([[0], np.cumsum(np.diff(ordered) > near)])
    # The first of each cluster by rank: sorted by cluster, then rank.
    by_rank = np.lexsort((rank[order], cluster))
    begins = np.flatnonzero(np.diff(cluster[by_rank], prepend=-1))
    chosen = ordered[by_rank[begins]]
    snapped = np.empty_like(every)
    snapped[order] = chosen[cluster]
    names = context.found.members
    pairs = np.stack([cluster, own[order]], 1)
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    twice = np.flatnonzero(np.all(pairs[1:] == pairs[:-1], axis=1))
    if twice.size:
        text = f"{names[int(pairs[twice[0], 1])].name} has several values within {near:g}"
        text += ": the tolerance is larger than its steps"
        context.found.say(path, text, "leave it out of `tolerance`")
        return every
    far = np.abs(every - snapped)
    if bool(np.any(far > near)):
        worst = int(np.argmax(far))
        enough = _round_up(float(far[worst]))
        context.found.say(
            path,
            f"{every[worst]!s} in {names[int(own[worst])].name} is {far[worst]:.3g} from"
            f" {snapped[worst]!s}, and others lie between",
            f"state a larger tolerance (`tolerance={{{path!r}: {enough!r}}}`)",
        )
        return every
    return snapped


def _elementwise(path: str, items: Sequence[Item], near: float, context: Context) -> list[Item]:
    """Return arrays of any shape, those near an earlier one of the same shape replaced by it."""
    total = max(array.nbytes for _, array in items)
    if total > context.options.compare_budget:
        raise LimitError(
            f"comparing it would read {total} bytes of an input", path=path,
            hint=f"raise the limit (`compare_budget={total}`)",
        )  # fmt: skip
    known: dict[tuple[int, ...], list[tuple[NDArray[Any], Array]]] = {}
    changed: list[Item] = []
    moved = False
    for i, array in items:
        (values,) = read_values([(context.members[i], path, array)])
        there = known.setdefault(array.shape, [])
        like = next((a for v, a in there if _near(v, values, near)), None)
        if like is None:
            there.append((values, array))
        else:
            moved = True
        changed.append((i, array if like is None else replace(like, attributes=array.attributes)))
    if moved:
        context.warnings[_tolerance_note(path, near)] = None
    return changed


def _near(one: NDArray[Any], other: NDArray[Any], near: float) -> bool:
    largest = np.nanmax(np.abs(one), initial=0)
    near += 2 * float(np.spacing(largest)) if one.dtype.kind == "f" and largest < np.inf else 0.0
    return bool(np.allclose(one, other, rtol=0.0, atol=near, equal_nan=True))


def _rewritten(values: NDArray[Any], array: Array) -> Array:
    fill = array.fill_value
    if fill is not None:
        fill = np.asarray(fill).astype(values.dtype)[()]
    dtype = values.dtype.newbyteorder("<") if values.dtype.itemsize > 1 else values.dtype
    like = replace(array, dtype=dtype, fill_value=fill)
    return inline_like(values, like, array.dimension_names or ())


def apart(path: str, one: Item, other: Item, context: Context) -> tuple[str, str]:
    """Return by how much two inputs' values differ, and what helps, where they are near.

    Parameters
    ----------
    one, other : (int, Array)
        Inputs, and their arrays, which differ.

    Returns
    -------
    tuple of str
        A text and a remedy; both empty where the values are not near each other.
    """
    left, right = one[1], other[1]
    limit = context.options.compare_budget
    if left.shape != right.shape or {left.dtype.kind, right.dtype.kind} - set("iuf"):
        return "", ""
    if not left.shape or max(left.nbytes, right.nbytes) > limit:
        return "", ""
    a, b = read_values([(context.members[i], path, array) for i, array in (one, other)])
    a, b = a.astype("f8"), b.astype("f8")
    far = float(np.nanmax(np.abs(a - b), initial=0.0))
    steps = np.abs(np.diff(a.reshape(-1)))
    steps = steps[steps > 0]
    step = float(steps.min()) if steps.size else 0.0
    if not 0 < far < _PART * step:
        return "", ""
    amount = _round_up(far)
    return (
        f" by at most {far:.3g}, far less than a step",
        f"state how far they may lie apart (`tolerance={{{path!r}: {amount!r}}}`)",
    )


def _round_up(number: float) -> float:
    """Return a short number that is not smaller."""
    short = float(f"{number:.1e}")
    return short if short >= number else float(f"{number * 1.06:.1e}")

"""Where the voxels of a volume lie when a part of it has been taken."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from refmaker.model.tree import Array

__all__ = ["cut_volume"]

_SPACE = tuple(re.compile(rf"{letter}(_\d+)?") for letter in "zyx")
_AFFINES = ("affine", "affine_ras")
_AS_WRITTEN = ("sform", "qform", "space_origin")
"""Fields of files that say where their own first voxel lies, which is another one now."""


def cut_volume(
    array: Array, bounds: Sequence[tuple[int, int]], single: Collection[int]
) -> Mapping[str, Any]:
    """Return the attributes of a part of a volume; those of any other array as they are.

    Parameters
    ----------
    array : Array
        The whole, with ``affine``, ``affine_ras`` and ``origin``, as far as it has them.
    bounds : sequence of (int, int)
        First element and the one behind the last, of each dimension.
    single : collection of int
        Dimensions that are removed: without three of space there is no affine.
    """
    attributes = dict(array.attributes)
    if not any(name in attributes for name in (*_AFFINES, "origin", "missing_slices")):
        return array.attributes
    axes = _spatial(array)
    if axes is None or all(bounds[axis] == (0, array.shape[axis]) for axis in axes):
        return array.attributes
    first = [bounds[axis][0] for axis in axes]
    if any(first):
        _move(attributes, first)
    missing = attributes.pop("missing_slices", None)
    low, high = bounds[axes[0]]
    if isinstance(missing, list | tuple) and axes[0] not in single:
        left = [place - low for place in missing if low <= place < high]
        attributes |= {"missing_slices": left} if left else {}
    if any(axis in single for axis in axes):
        for name in (*_AFFINES, "affine_dimensions"):
            attributes.pop(name, None)
    return attributes


def _spatial(array: Array) -> list[int] | None:
    """Return which dimensions are z, y and x."""
    names = list(array.dimension_names or ())
    told = array.attributes.get("affine_dimensions")
    if isinstance(told, list | tuple) and len(told) == 3 and set(told) <= set(names):
        return [names.index(name) for name in told]
    found = [[at for at, name in enumerate(names) if one.fullmatch(name)] for one in _SPACE]
    return [at[0] for at in found] if all(len(at) == 1 for at in found) else None


def _move(attributes: dict[str, Any], first: Sequence[int]) -> None:
    """Let a volume begin at another of its voxels, given as (z, y, x)."""
    for name in _AS_WRITTEN:
        attributes.pop(name, None)
    for name in _AFFINES:
        matrix = np.array(attributes.get(name) or [], np.float64)
        if matrix.shape == (4, 4):
            # That of NIfTI is in the order of the file: x, y, z.
            of_file = name == "affine" and "nifti_version" in attributes
            matrix[:, 3] = matrix @ [*(first[::-1] if of_file else first), 1.0]
            attributes[name] = matrix.tolist()
    origin, spacing = attributes.get("origin"), attributes.get("spacing")
    direction = np.array(attributes.get("direction") or [], np.float64)
    if not isinstance(spacing, list | tuple) or direction.shape != (3, 3) or origin is None:
        return
    moves = [step * count if count else 0.0 for step, count in zip(spacing, first, strict=True)
             if step is not None or not count]  # fmt: skip
    if len(moves) == 3:
        attributes["origin"] = (np.array(origin) + direction @ moves).tolist()
    else:
        # Where uneven slices lie, their coordinate says.
        attributes.pop("origin")

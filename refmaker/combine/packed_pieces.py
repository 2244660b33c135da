"""Inputs that differ in nothing but how they pack a variable: each keeps its own packing.

Version 3 of Zarr has codecs that are told which chunk they decode. So a variable whose inputs
have scales and offsets of their own becomes an array of what they stand for, in the type that
xarray gives it, without a byte moved; see `refmaker.codecs.pieces`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.codecs.packing import Packing, packing_of
from refmaker.codecs.pieces import Pieces, pieces_codec, pieces_of
from refmaker.combine import remedies
from refmaker.errors import UnsupportedError
from refmaker.model.attribute_types import TYPES
from refmaker.model.missing_values import FILL
from refmaker.model.zarr_v3 import BYTES_CODECS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.combine.chunk_placement import VariableGrid
    from refmaker.combine.context import Context
    from refmaker.model import Array

    Item = tuple[int, Array]

__all__ = ["PackedItems", "in_pieces", "taken_apart"]

_PACKED = ("scale_factor", "add_offset")
_MARKS = (*_PACKED, FILL, "missing_value", "_Unsigned", TYPES)
_RAW = ("valid_range", "valid_min", "valid_max", "flag_values", "flag_masks", "flag_meanings")
"""Attributes in terms of packed values, which are none of the decoded ones."""
_OURS = ("refmaker.", "imagecodecs_")


@dataclass(frozen=True, slots=True)
class PackedItems:
    """Inputs as packed values, and how each has packed them.

    Parameters
    ----------
    items : list of (int, Array)
        The arrays without the attributes that tell of packing.
    pieces : dict of int to Pieces
        For each input, along the joined dimension: one packing, or those of a set that was
        combined so before.
    """

    items: list[Item]
    pieces: dict[int, Pieces]


def taken_apart(path: str, items: Sequence[Item], context: Context) -> PackedItems | None:
    """Return inputs without their packing, where that is all in which they differ.

    Parameters
    ----------
    items : sequence of (int, Array)
        Number of each input, and its array.
    context : Context
        How to combine; gets a warning.

    Returns
    -------
    PackedItems or None
        None where all are packed alike, or they differ in more; what that is, is told later.
    """
    if context.options.zarr_format == 2 or context.options.mismatched == "inline":
        return None
    arrays = [array for _, array in items]
    if arrays[0].dimension_names == (path.rpartition("/")[2],):
        return None
    if not any(set(_PACKED) & set(a.attributes) or pieces_of(a.codecs) for a in arrays):
        return None
    if any(" since " in str(array.attributes.get("units")) for array in arrays):
        return None
    try:
        pieces = {i: _pieces(array) for i, array in items}
    except UnsupportedError:
        return None
    known = [found for found in pieces.values() if found is not None]
    if len(known) < len(items) or not _differ(known):
        return None
    holes = zip(arrays, known, strict=True)
    if not _same_packing(known) or not all(_holes_are_missing(*one) for one in holes):
        return None
    left = sorted({name for array in arrays for name in _RAW if name in array.attributes})
    if left:
        context.warnings[
            f"{path}: {', '.join(left)} {'was' if len(left) == 1 else 'were'} left out, as they are"
            " in terms of packed values"
        ] = None
    made = [(i, _raw(array, found, left)) for (i, array), found in zip(items, known, strict=True)]
    return PackedItems(made, dict(zip((i for i, _ in items), known, strict=True)))


def _pieces(array: Array) -> Pieces | None:
    """Return the packing of an input's chunks along its first dimension."""
    found = pieces_of(array.codecs)
    if found is not None:
        return found
    packing = packing_of(array.attributes, array.dtype, array.fill_value)
    if packing is None or not _allowed(array):
        return None
    count = np.array([0], np.int64)
    return Pieces(-1, count, array.dtype, array.order, array.codecs, (packing,))


def _allowed(array: Array) -> bool:
    return all(
        codec.get("id") in BYTES_CODECS or str(codec.get("id")).startswith(_OURS)
        for codec in array.codecs
    )


def _differ(pieces: Sequence[Pieces]) -> bool:
    """Whether there are several packings, or any array that is in pieces already."""
    first = pieces[0].packing[0]
    return any(one.axis >= 0 or any(packing != first for packing in one.packing) for one in pieces)


def _same_packing(pieces: Sequence[Pieces]) -> bool:
    """Whether inputs pack in the same kind of way."""

    def kind(packing: Packing) -> Any:
        absent = (packing.scale_factor is None, packing.add_offset is None)
        return packing.raw, packing.missing, absent

    return len({kind(packing) for one in pieces for packing in one.packing}) == 1


def _holes_are_missing(array: Array, pieces: Pieces) -> bool:
    """Whether chunks that were never written read as missing values in the input itself."""
    if not array.chunks.absent or pieces.axis >= 0:
        return True
    fill = array.fill_value
    return fill is not None and int(np.asarray(fill).astype(pieces.packing[0].raw)) in (
        pieces.packing[0].missing
    )


def _raw(array: Array, pieces: Pieces, left: Sequence[str]) -> Array:
    attributes = {
        name: value
        for name, value in array.attributes.items()
        if name not in _MARKS and name not in left
    }
    # What fills holes of packed values; nobody sees it, as the decoded ones get NaN.
    mark = np.array([*pieces.packing[0].missing, 0][0], pieces.packing[0].raw)
    return replace(
        array,
        attributes=attributes,
        dtype=pieces.dtype,
        order=pieces.order,
        filters=tuple(pieces.codecs),
        compressor=None,
        fill_value=mark.view(pieces.dtype.newbyteorder("="))[()],
    )


def in_pieces(
    path: str, made: Array, layout: VariableGrid, packed: PackedItems, context: Context
) -> Array | None:
    """Return the joined array of packed values as one of what they stand for.

    Parameters
    ----------
    made : Array
        The packed values of the cube.
    packed : PackedItems
        How each input has packed them.
    context : Context
        Gets what keeps it from being so.

    Returns
    -------
    Array or None
        None where packing differs along several dimensions, or chunks of inputs are mixed along
        the one; the findings tell it.
    """
    joined = layout.joined
    owner = _owners(layout, packed) if len(joined) == 1 else None
    if owner is None:
        context.found.say(
            path,
            "its inputs are packed each in another way, and are not one behind the other along one"
            " dimension",
            remedies.of_storage(path, inline=True),
        )
        return None
    packing, chunks = _in_a_row(owner, packed)
    pieces = Pieces(joined[0], chunks, made.dtype, made.order, made.codecs, packing)
    dtype = pieces.decoded
    context.warnings[
        f"{path}: its inputs are packed each in another way, so that it was given as decoded"
        f" {dtype} (codec refmaker.pieces): reading it needs refmaker"
    ] = None
    attributes: Mapping[str, Any] = made.attributes
    return replace(
        made,
        dtype=dtype.newbyteorder("<"),
        order="C",
        filters=(pieces_codec(pieces),),
        compressor=None,
        fill_value=dtype.type(np.nan),
        attributes=attributes,
    )


def _owners(layout: VariableGrid, packed: PackedItems) -> list[tuple[int, int]] | None:
    """Return for each chunk along the joined dimension its input, and the chunk's number in that.

    None where inputs overlap, or have positions between those of others.
    """
    (j,) = layout.joined
    axis = layout.axes[j]
    others = {pieces.axis for pieces in packed.pieces.values()} - {-1, layout.local[j]}
    if axis is None or others:
        return None
    numbers = np.array([i for i, _ in packed.items], np.int64)
    if any(i in axis.scattered for i in numbers.tolist()):
        return None
    order = np.argsort(axis.start[numbers], kind="stable")
    first, count = axis.start[numbers][order], axis.count[numbers][order]
    if bool(np.any(first[1:] < (first + count)[:-1])):
        return None
    starts = layout.starts(j)
    place = np.maximum(np.searchsorted(first, starts, side="right") - 1, 0)
    # Chunks of an input are numbered from the first one that begins in it.
    begins = np.searchsorted(starts, first)
    local: NDArray[np.int64] = np.maximum(np.arange(starts.size) - begins[place], 0)
    items = numbers[order][place]
    return list(zip(items.tolist(), local.tolist(), strict=True))


def _in_a_row(
    owner: Sequence[tuple[int, int]], packed: PackedItems
) -> tuple[tuple[Packing, ...], NDArray[np.int64]]:
    """Return the packings in the order of chunks, and how many chunks have each."""
    found: list[Packing] = []
    counts: list[int] = []
    before: tuple[int, Packing] | None = None
    for item, number in owner:
        pieces = packed.pieces[item]
        if pieces.axis < 0:
            packing = pieces.packing[0]
        else:
            packing = pieces.of_chunk(min(number, int(pieces.chunks.sum()) - 1))
        if before is not None and before[1] == packing:
            counts[-1] += 1
        else:
            found.append(packing)
            counts.append(1)
        before = item, packing
    return tuple(found), np.array(counts, np.int64)

"""Which attributes tell frames at one position apart: the dimensions in front of (z, y, x).

A series may hold several frames of each place: time points, echoes, diffusion directions,
magnitude and phase. Nothing in DICOM names these dimensions for ordinary instances, so they
are found: an attribute is a dimension if together with the place it gives every frame a cell
of its own. A dimension that would leave cells empty is taken only if none fills the grid.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Column", "FrameGrid", "coordinates", "discover"]

_COMBINED = 3
"""Attributes that may be dimensions together."""
_FILLED = 0.5
"""Share of the cells that frames must fill, unless empty cells have a meaning."""
_CELLS = 1 << 22
"""Most cells of a grid that frames do not fill."""


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One attribute of every frame.

    Parameters
    ----------
    name : str
        Name of the coordinate, and of the dimension if it becomes one.
    values : ndarray, shape (n,) or (n, k)
        Numbers, NaN where a frame has none; or texts, ``""`` where a frame has none.
    units : str
        CF units, or empty.
    separates : bool
        Whether frames may be told apart by it.
    clock : bool
        Whether it runs on from frame to frame, so that the order of frames at each place
        counts instead of its value.
    tag : int
        The element that it is the number of, 0 if it is none.
    attributes : dict
        Further attributes of the coordinate.
    """

    name: str
    values: NDArray[Any]
    units: str = ""
    separates: bool = True
    clock: bool = False
    tag: int = 0
    attributes: dict[str, Any] = field(default_factory=dict)

    def codes(self) -> NDArray[np.int64]:
        """Return a number for each distinct value, ascending with the values."""
        if self.values.ndim > 1:
            # Rows with NaN in them are never equal to one another.
            rows = np.where(np.isnan(self.values), -np.inf, self.values)
            _, codes = np.unique(rows, axis=0, return_inverse=True)
        elif self.values.dtype.kind in "US":
            kinds, first, codes = np.unique(self.values, return_index=True, return_inverse=True)
            # Texts have no order of their own: the first that is met comes first.
            rank = np.empty(kinds.size, np.int64)
            rank[np.argsort(first)] = np.arange(kinds.size)
            codes = rank[codes]
        else:
            _, codes = np.unique(self.values, return_inverse=True)
        return np.asarray(codes, np.int64).reshape(-1)


@dataclass(frozen=True, slots=True, eq=False)
class FrameGrid:
    """The dimensions in front of the frames' places, and every frame's cell.

    Parameters
    ----------
    names : tuple of str
        One for each dimension; without that of the places.
    shape : tuple of int
        Their extents, then the number of places.
    cell : ndarray of int64, shape (n,)
        Flat C-order number of each frame's cell in `shape`, each a different one.
    guessed : bool
        Whether nothing but the order of the instances tells frames apart.
    unfinished : bool
        Whether all empty cells are at the end of the first dimension, where an acquisition was
        stopped.
    """

    names: tuple[str, ...]
    shape: tuple[int, ...]
    cell: NDArray[np.int64]
    guessed: bool = False
    unfinished: bool = False

    @property
    def empty(self) -> int:
        """Number of cells without a frame."""
        return int(np.prod(self.shape, dtype=np.int64)) - self.cell.size


def discover(
    slot: NDArray[np.int64], places: int, columns: Sequence[Column], *, sparse: bool = False
) -> FrameGrid | None:
    """Return the grid that gives each frame a cell of its own, or None if there is none.

    Parameters
    ----------
    slot : ndarray of int64, shape (n,)
        Place of each frame, 0 to ``places - 1``; some places may have none.
    places : int
        Number of places.
    columns : sequence of Column
        Attributes in the order in which they are tried; frames come in instance order.
    sparse : bool
        Whether frames that are left out have a meaning, as in segmentations; then any number
        of cells may stay empty, and the first dimension is there even if it has one value.
    """
    counts = np.bincount(slot, minlength=places)
    used = int((counts > 0).sum())
    most = int(counts.max(initial=0))
    coded = [(column, column.codes()) for column in columns if column.separates]
    plain = [(c, codes, int(codes.max(initial=0)) + 1) for c, codes in coded if not c.clock]
    if sparse and plain:
        return _sparse(slot, places, plain[:1], 0.0) or _sparse(slot, places, plain, 0.0)
    if most <= 1:
        return FrameGrid((), (places,), slot)
    plain = _different([item for item in plain if item[2] > 1])
    if slot.size == used * most:
        found = _full(slot, places, plain, most)
        found = found or _ranked(slot, places, [c for c, _ in coded if c.clock], most)
        if found is not None:
            return found
    found = _sparse(slot, places, plain, _FILLED)
    if found is None and slot.size != used * most:
        return _unfinished(slot, places, [c for c, _ in coded if c.clock], most)
    if found is None and slot.size == used * most:
        rank = _rank(slot, np.arange(slot.size))
        return FrameGrid(("repeat",), (most, places), rank * places + slot, guessed=True)
    return found


_Coded = tuple[Column, "NDArray[np.int64]", int]


def _different(items: Sequence[_Coded]) -> list[_Coded]:
    """Return the attributes that divide the frames in different ways; of equals the first."""
    kept: list[_Coded] = []
    for item in items:
        if not any(_same_division(item, other) for other in kept):
            kept.append(item)
    return kept


def _same_division(one: _Coded, other: _Coded) -> bool:
    if one[2] != other[2]:
        return False
    return int(np.unique(one[1] * other[2] + other[1]).size) == one[2]


def _cells(slot: NDArray[np.int64], places: int, chosen: Sequence[_Coded]) -> NDArray[np.int64]:
    """Return each frame's cell if its value of each attribute is a position."""
    cell = np.zeros(slot.size, np.int64)
    for _, codes, extent in chosen:
        cell = cell * extent + codes
    return cell * places + slot


def _grid(slot: NDArray[np.int64], places: int, chosen: Sequence[_Coded]) -> FrameGrid | None:
    cell = _cells(slot, places, chosen)
    if np.unique(cell).size != cell.size:
        return None
    names = tuple(column.name for column, _, _ in chosen)
    return FrameGrid(names, (*(extent for _, _, extent in chosen), places), cell)


def _full(
    slot: NDArray[np.int64], places: int, items: Sequence[_Coded], repeats: int
) -> FrameGrid | None:
    """Return a grid of attributes in which every present place has every cell filled."""
    fitting = [item for item in items if repeats % item[2] == 0]
    for number in range(1, _COMBINED + 1):
        for chosen in combinations(fitting, number):
            product = 1
            for _, _, extent in chosen:
                product *= extent
            found = _grid(slot, places, chosen) if product == repeats else None
            if found is not None:
                return found
    return None


def _rank(slot: NDArray[np.int64], values: NDArray[Any]) -> NDArray[np.int64]:
    """Return how many frames at the same place have a smaller value."""
    order = np.lexsort((values, slot))
    starts = np.flatnonzero(np.concatenate([[True], np.diff(slot[order]) != 0]))
    lengths = np.diff(np.concatenate([starts, [slot.size]]))
    rank = np.empty(slot.size, np.int64)
    rank[order] = np.arange(slot.size) - np.repeat(starts, lengths)
    return rank


def _ranked(
    slot: NDArray[np.int64], places: int, clocks: Sequence[Column], repeats: int
) -> FrameGrid | None:
    """Return the grid in which a clock orders the frames of each place."""
    for column in clocks:
        values = column.values
        if bool(np.isnan(values).any()):
            continue
        pairs = np.unique(np.stack([slot.astype(np.float64), values], axis=1), axis=0)
        if pairs.shape[0] == slot.size:
            rank = _rank(slot, values)
            return FrameGrid(("time",), (repeats, places), rank * places + slot)
    return None


def _unfinished(
    slot: NDArray[np.int64], places: int, clocks: Sequence[Column], most: int
) -> FrameGrid | None:
    """Return a grid whose last volume is not full, None if there is none or more than one.

    Only where an order of the frames, by a clock or else by their instance numbers, runs through
    one volume after the other: every frame of a volume comes before those of the next.
    """
    orders = [("time", c.values, False) for c in clocks if not bool(np.isnan(c.values).any())]
    orders.append(("repeat", np.arange(slot.size, dtype=np.float64), True))
    for name, values, guessed in orders:
        rank = _rank(slot, values)
        counts = np.bincount(rank, minlength=most)
        first = np.full(most, np.inf)
        last = np.full(most, -np.inf)
        np.minimum.at(first, rank, values)
        np.maximum.at(last, rank, values)
        if bool(np.all(counts[:-1] == counts[0]) and np.all(last[:-1] < first[1:])):
            cell = rank * places + slot
            return FrameGrid((name,), (most, places), cell, guessed=guessed, unfinished=True)
    return None


def _sparse(
    slot: NDArray[np.int64], places: int, items: Sequence[_Coded], filled: float
) -> FrameGrid | None:
    """Return the smallest grid of attributes that leaves cells empty, but not too many."""
    best: FrameGrid | None = None
    for number in range(1, _COMBINED + 1):
        for chosen in combinations(items, number):
            cells = places
            for _, _, extent in chosen:
                cells *= extent
            if cells > _CELLS + slot.size or slot.size < filled * cells:
                continue
            found = _grid(slot, places, chosen)
            if found is not None and (best is None or found.empty < best.empty):
                best = found
        if best is not None:
            return best
    return None


def coordinates(
    column: Column, cell: NDArray[np.int64], names: Sequence[str], shape: Sequence[int]
) -> tuple[tuple[str, ...], NDArray[Any]] | None:
    """Return an attribute as an array over the dimensions on which it depends.

    Parameters
    ----------
    column : Column
        The attribute of every frame.
    cell : ndarray of int64, shape (n,)
        Each frame's cell.
    names, shape : sequence
        All dimensions of the cells.

    Returns
    -------
    tuple of str
        The dimensions; none if all frames agree.
    ndarray
        The values, shape of the dimensions (and the column's own); NaN or ``""`` in cells
        without a frame. None instead of both if no frame has a value.
    """
    values = column.values
    text = values.dtype.kind in "US"
    if not bool((values != "").any() if text else np.isfinite(values).any()):
        return None
    codes = column.codes()
    at = np.unravel_index(cell, tuple(shape)) if shape else ()
    for number in range(len(names) + 1):
        for axes in combinations(range(len(names)), number):
            flat = np.zeros(cell.size, np.int64)
            total = 1
            for axis in axes:
                flat = flat * shape[axis] + at[axis]
                total *= shape[axis]
            first = np.full(total, -1, np.int64)
            first[flat[::-1]] = np.arange(cell.size)[::-1]
            if number == len(names) or bool(np.all(codes[first[flat]] == codes)):
                return tuple(names[axis] for axis in axes), _spread(
                    values, first, tuple(shape[axis] for axis in axes)
                )
    raise AssertionError("all dimensions together tell all frames apart")


def _spread(values: NDArray[Any], first: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[Any]:
    out = values[np.maximum(first, 0)]
    if bool((first < 0).any()):
        if out.dtype.kind in "iu":
            out = out.astype(np.float64)
        out[first < 0] = "" if out.dtype.kind in "US" else np.nan
    return np.asarray(out.reshape((*shape, *values.shape[1:])))

"""Where the frames of an image lie in the patient, from positions and orientation alone.

Implements the Image Plane Module (PS3.3 C.7.6.2): a frame's first element lies at Image
Position (Patient), its columns and rows along Image Orientation (Patient), Pixel Spacing
apart. Nothing here looks at Slice Thickness or Spacing Between Slices, which say something
else, and no value is a mean: an image whose frames are not evenly spaced has no affine.

Coordinates are millimetres in the patient system of DICOM (LPS: towards left, posterior and
superior). Index order is (z, y, x): frame, row, column.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Stack",
    "affine",
    "attributes",
    "distances",
    "normal",
    "orientation_groups",
    "spacing_groups",
    "stack",
]

SAME = 0.01
"""Millimetres within which two positions are the same place."""
EVEN = 0.01
"""How far a position may be from an even grid, as a share of its step."""
PARALLEL = 1e-4
"""Largest difference between the components of orientations that count as one."""
_UNIT = 1e-2
"""How far the direction cosines may be from unit length and right angles."""
_GROUPS = 256
"""Orientations in one series; a camera that moves freely has no planes to tell apart."""
_TILT = 0.02
"""Degrees between the step and the frames' normal that rounded positions can cause."""
_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """How parallel frames lie one behind the other.

    Parameters
    ----------
    slot : ndarray of int64, shape (n,)
        Place of each frame along the axis.
    offset : ndarray of float64, shape (size,)
        Millimetres from the first place to each, along the step, or along the frames' normal
        where there is no step.
    first : ndarray of float64, shape (3,)
        Position of the first place.
    step : ndarray of float64, shape (3,), or None
        From one place to the next; None if there is but one, or they are not even.
    missing : tuple of int
        Places of an even grid at which there is no frame.
    deviation : float
        Largest distance of a position from the even grid between first and last, millimetres.
    """

    slot: NDArray[np.int64]
    offset: NDArray[np.float64]
    first: NDArray[np.float64]
    step: NDArray[np.float64] | None
    missing: tuple[int, ...] = ()
    deviation: float = 0.0

    @property
    def size(self) -> int:
        """Number of places."""
        return int(self.offset.shape[0])

    @property
    def even(self) -> bool:
        """Whether the places are evenly spaced; one place alone is."""
        return self.size == 1 or self.step is not None


def normal(orientation: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return the unit vector across a frame, or None if the cosines are no orientation.

    Parameters
    ----------
    orientation : ndarray of float64, shape (6,)
        Direction of increasing column number, then of increasing row number.
    """
    row, column = orientation[:3], orientation[3:]
    if not bool(np.isfinite(orientation).all()):
        return None
    lengths = np.array([row @ row, column @ column])
    if bool(np.any(np.abs(lengths - 1) > _UNIT)) or abs(float(row @ column)) > _UNIT:
        return None
    across = np.cross(row, column)
    return np.asarray(across / np.linalg.norm(across))


def orientation_groups(orientation: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return a number for each frame, the same for frames that are parallel.

    Frames without orientation are a group of their own. Groups are numbered in the order in
    which they first occur.

    Parameters
    ----------
    orientation : ndarray of float64, shape (n, 6)
        NaN where a frame has none.
    """
    group = np.full(orientation.shape[0], -1, np.int64)
    known: NDArray[np.bool_] = np.asarray(np.isfinite(orientation).all(axis=1))
    number = 0
    while bool((group < 0).any()):
        first = int(np.argmax(group < 0))
        if known[first]:
            apart = np.asarray(np.abs(orientation - orientation[first]).max(axis=1))
            near = np.logical_and(known, apart <= PARALLEL)
        else:
            near = np.logical_not(known)
        group[near & (group < 0)] = number
        number += 1
        if number > _GROUPS:
            group[group < 0] = number
    return group


def distances(spacing: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distances of rows and of columns, NaN for both where one is not above 0.

    Parameters
    ----------
    spacing : ndarray of float64, shape (n, 2)
        As files tell them; NaN where they do not.
    """
    positive: NDArray[np.bool_] = np.asarray((spacing > 0).all(axis=1))
    return np.where(positive[:, None], spacing, np.nan)


def spacing_groups(spacing: NDArray[np.float64], extent: tuple[int, int]) -> NDArray[np.int64]:
    """Return a number for each frame, the same for frames whose far edges are at one place.

    Parameters
    ----------
    spacing : ndarray of float64, shape (n, 2)
        Distance of rows and of columns, millimetres; NaN where a frame has none.
    extent : tuple of int
        Rows and columns: edges within `SAME` of one another are at one place.
    """
    known = np.where(np.isfinite(spacing), spacing, -1.0)
    kinds, kind = np.unique(known, axis=0, return_inverse=True)
    group = np.full(len(kinds), -1, np.int64)
    for number in range(len(kinds)):
        if group[number] < 0:
            apart = (np.abs(kinds - kinds[number]) * np.array(extent)).max(axis=1)
            near = (apart <= SAME) & ((kinds < 0) == (kinds[number] < 0)).all(axis=1)
            group[near & (group < 0)] = number
        if number > _GROUPS:
            group[group < 0] = number
            break
    return np.asarray(group[kind.reshape(-1)], np.int64)


def stack(position: NDArray[np.float64], orientation: NDArray[np.float64]) -> Stack | None:
    """Return how frames lie along their common normal.

    Parameters
    ----------
    position : ndarray of float64, shape (n, 3)
        Image Position (Patient) of each frame.
    orientation : ndarray of float64, shape (6,)
        Their common orientation.

    Returns
    -------
    Stack or None
        None if a position is not known, or two frames lie beside one another in one plane.
    """
    across = normal(orientation)
    if across is None or not position.size or not bool(np.isfinite(position).all()):
        return None
    along = position @ across
    order = np.argsort(along, kind="stable")
    breaks = np.concatenate([[False], np.diff(along[order]) > SAME])
    rank = np.empty(along.size, np.int64)
    rank[order] = np.cumsum(breaks)
    heads = order[np.concatenate([[True], breaks[1:]])]
    places = position[heads]
    if float(np.abs(position - places[rank]).max()) > SAME:
        return None
    offset = along[heads] - along[heads[0]]
    if heads.size == 1:
        return Stack(rank, np.zeros(1), places[0], None)
    grid = _even_grid(places, offset)
    if grid is None:
        deviation = _deviation(places, np.arange(heads.size))
        return Stack(rank, offset, places[0], None, deviation=deviation)
    step = np.asarray((places[-1] - places[0]) / float(grid[-1]), np.float64)
    length = float(np.linalg.norm(step))
    even = np.arange(int(grid[-1]) + 1, dtype=np.float64) * length
    even[grid] = (places - places[0]) @ (step / length)
    present = np.zeros(even.size, bool)
    present[grid] = True
    missing = tuple(np.flatnonzero(~present).tolist())
    return Stack(grid[rank], even, places[0], step, missing, _deviation(places, grid))


def _even_grid(
    places: NDArray[np.float64], offset: NDArray[np.float64]
) -> NDArray[np.int64] | None:
    """Return the place number of each position on an even grid, or None if they fit none.

    A gap is a missing frame only where more than half of the distances are the same: of two
    different distances nobody can say which one is the rule.
    """
    apart = np.diff(offset)
    ordered = np.sort(apart)
    step = float(ordered[(apart.size - 1) // 2] + ordered[apart.size // 2]) / 2
    usual = np.abs(apart - step) <= max(EVEN * step, SAME)
    if 2 * int(usual.sum()) <= apart.size:
        return None
    jumps = np.rint(apart / step)
    if bool((jumps < 1).any()) or float(jumps.sum()) + 1 > 2 * places.shape[0]:
        return None
    grid = np.concatenate([[0], np.cumsum(jumps)]).astype(np.int64)
    even = max(EVEN * float(offset[-1] / grid[-1]), SAME)
    return grid if _deviation(places, grid) <= even else None


def _deviation(places: NDArray[np.float64], grid: NDArray[Any]) -> float:
    """Return the largest distance of positions from the line of even steps, millimetres."""
    share = np.asarray(grid, np.float64)[:, None] / float(grid[-1])
    even = places[0] + share * (places[-1] - places[0])
    return float(np.linalg.norm(places - even, axis=1).max())


def affine(
    step: NDArray[np.float64],
    orientation: NDArray[np.float64],
    spacing: NDArray[np.float64],
    first: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the matrix that maps (z, y, x, 1) to millimetres in LPS, shape (4, 4).

    Parameters
    ----------
    step : ndarray of float64, shape (3,)
        From one frame to the next; need not be at right angles to the frames.
    orientation : ndarray of float64, shape (6,)
        As for `normal`.
    spacing : ndarray of float64, shape (2,)
        Distance of rows, then of columns.
    first : ndarray of float64, shape (3,)
        Position of the first frame.
    """
    matrix = np.eye(4)
    matrix[:3, 0] = step
    matrix[:3, 1] = orientation[3:] * spacing[0]
    matrix[:3, 2] = orientation[:3] * spacing[1]
    matrix[:3, 3] = first
    return matrix


def attributes(
    found: Stack, orientation: NDArray[np.float64], spacing: NDArray[np.float64]
) -> dict[str, Any]:
    """Return the geometry of an image as attributes.

    Parameters
    ----------
    found : Stack
        How its frames lie.
    orientation : ndarray of float64, shape (6,)
        As for `normal`.
    spacing : ndarray of float64, shape (2,)
        Distance of rows and of columns, NaN where not known.

    Returns
    -------
    dict
        ``affine`` (LPS) and ``affine_ras`` map (z, y, x, 1) to millimetres, null where the
        frames define no such map; ``spacing``, ``origin`` and the unit vectors ``direction``
        (columns z, y, x); ``z_uniform``; ``is_sheared`` and ``gantry_tilt_deg`` where the
        step is not at right angles to the frames; ``missing_slices``.
    """
    across = normal(orientation)
    step = found.step
    sizes = [None if not np.isfinite(value) else float(value) for value in spacing]
    result: dict[str, Any] = {"affine": None, "affine_ras": None}
    if across is None:
        return result
    away = across if step is None else np.asarray(step / np.linalg.norm(step))
    if step is not None and None not in sizes:
        matrix = affine(step, orientation, spacing, found.first)
        result["affine"] = matrix.tolist()
        result["affine_ras"] = (_RAS @ matrix).tolist()
    result["spacing"] = [None if step is None else float(np.linalg.norm(step)), *sizes]
    result["origin"] = found.first.tolist()
    result["direction"] = np.stack([away, orientation[3:], orientation[:3]], axis=1).tolist()
    result["z_uniform"] = found.even
    if step is not None:
        sine = float(np.linalg.norm(np.cross(away, across)))
        # Slices of a mosaic may follow one another against the normal.
        tilt = float(np.degrees(np.arctan2(sine, abs(float(away @ across)))))
        if tilt > _TILT:
            result |= {"is_sheared": True, "gantry_tilt_deg": round(tilt, 4)}
    if found.missing:
        result["missing_slices"] = list(found.missing)
    return result

"""How slices lie in the picture of a mosaic, and where.

Of Siemens, the number of tiles and the direction in which slices follow one another stand in the
CSA header; the position of the picture is that of a slice as large as the whole picture, around
the same centre. United Imaging (``VFRAME``) has a private sequence with an item for each tile, and
no position of the picture. Without these the tiles are slices whose places are not known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from refmaker.errors import FormatError
from refmaker.scanners.dicom.csa import read_csa
from refmaker.scanners.dicom.decimals import one_decimal
from refmaker.scanners.dicom.frame_attributes import POSITION
from refmaker.scanners.dicom.geometry import EVEN, SAME
from refmaker.scanners.dicom.tags import COLUMNS, IMAGE_TYPE, ROWS, is_mosaic
from refmaker.scanners.dicom.values import Dataset
from refmaker.scanners.dicom.vendor_elements import (
    SIEMENS_CSA,
    SIEMENS_TILES,
    UIH_TILE_SEQUENCE,
    UIH_TILES,
    find,
)
from refmaker.scanners.dicom.walk import iter_items

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from refmaker.scanners.dicom.header import Header

__all__ = ["Mosaic", "mosaic", "picture_positions", "tile_items"]

_SPACING_BETWEEN_SLICES = 0x00180088
_MOST = 1024
"""Tiles of one picture."""


@dataclass(frozen=True, slots=True)
class Mosaic:
    """How slices lie in a picture.

    Parameters
    ----------
    down, across : int
        Tiles below one another, and beside one another.
    count : int
        How many of them are slices.
    normal : tuple of float or None
        From one slice to the next, unit length, LPS; None where the file does not say. It need
        not be the cross product of rows and columns, but may be its opposite.
    step : float or None
        Millimetres between two slices.
    first : tuple of float or None
        Where the first slice lies, LPS; None where that follows from the place of the picture.
    """

    down: int
    across: int
    count: int
    normal: tuple[float, ...] | None
    step: float | None
    first: tuple[float, ...] | None = None


def mosaic(header: Header) -> Mosaic | None:
    """Return how the slices of an instance lie in its picture, None if nothing tells."""
    own = find(header.elements, UIH_TILES)
    return _siemens(header) if own is None else _united_imaging(header, own[1][1])


def _united_imaging(header: Header, count: bytes) -> Mosaic | None:
    try:
        told = one_decimal(count)
        items = tile_items(header)
    except FormatError:
        return None
    if told is None or told != int(told) or not 2 <= told <= _MOST:
        return None
    tiles = int(told)
    across = math.ceil(math.sqrt(tiles))
    down = -(-tiles // across)
    if not _divides(header, down, across):
        return None
    places = _places(items)
    if places is None or len(places) != tiles:
        return Mosaic(down, across, tiles, None, None)
    step = (places[-1] - places[0]) / (tiles - 1)
    length = float(np.linalg.norm(step))
    even = places[0] + np.arange(tiles)[:, None] * step
    away = float(np.linalg.norm(places - even, axis=1).max())
    if length == 0 or away > max(EVEN * length, SAME):
        return Mosaic(down, across, tiles, None, None)
    first = tuple(float(part) for part in places[0])
    return Mosaic(down, across, tiles, tuple(float(p) for p in step / length), length, first)


def _places(items: Sequence[Dataset]) -> NDArray[np.float64] | None:
    try:
        found = [item.numbers(POSITION, 3) for item in items]
    except FormatError:
        return None
    return None if not found or None in found else np.array(found, np.float64)


def tile_items(header: Header) -> list[Dataset]:
    """Return what United Imaging says of each tile of a picture; nothing if it says nothing.

    Raises
    ------
    FormatError
        If the sequence is damaged.
    """
    own = find(header.elements, UIH_TILE_SEQUENCE)
    if own is None:
        return []
    vr, raw = own[1]
    implicit = header.implicit or vr == b"UN"
    return [
        Dataset(item, implicit=implicit, big=header.big)
        for item in iter_items(raw, implicit=implicit, big=header.big)
    ]


def picture_positions(
    headers: Sequence[Header], position: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return where pictures lie, those that have no position of their own by their first tile.

    Parameters
    ----------
    headers : sequence of Header
        The instance of each picture.
    position : ndarray of float64, shape (n, 3)
        What they say of themselves, NaN where they say nothing.
    """
    if len(headers) != len(position) or not is_mosaic(headers[0].raw(IMAGE_TYPE)):
        return position
    found = position.copy()
    for row in np.flatnonzero(np.isnan(position).any(axis=1)).tolist():
        tiles = mosaic(headers[row])
        if tiles is not None and tiles.first is not None:
            found[row] = tiles.first
    return found


def _siemens(header: Header) -> Mosaic | None:
    csa = find(header.elements, SIEMENS_CSA)
    raw = b"" if csa is None else csa[1][1]
    try:
        known = read_csa(raw, {"NumberOfImagesInMosaic", "SliceNormalVector"}) if raw else {}
        told = [one_decimal(text.encode()) for text in known.get("NumberOfImagesInMosaic", ())]
        normal = tuple(
            one_decimal(text.encode()) or 0.0 for text in known.get("SliceNormalVector", ())
        )
        step = header.number(_SPACING_BETWEEN_SLICES)
    except FormatError:
        told, normal, step = [], (), None
    count = int(told[0]) if told and told[0] else 0
    if not count:
        own = find(header.elements, SIEMENS_TILES)
        order: Literal["big", "little"] = "big" if header.big else "little"
        count = 0 if own is None else int.from_bytes(own[1][1][:2], order)
    if not 2 <= count <= _MOST:
        return None
    across = math.ceil(math.sqrt(count))
    if not _divides(header, across, across):
        return None
    sound = len(normal) == 3 and abs(math.hypot(*normal) - 1) < 1e-2
    return Mosaic(across, across, count, normal if sound else None, step or None)


def _divides(header: Header, down: int, across: int) -> bool:
    rows, columns = header.integer(ROWS) or 0, header.integer(COLUMNS) or 0
    return rows % down == 0 and columns % across == 0

"""Siemens mosaics: pictures whose tiles are the slices of a volume, left to right, top to bottom.

The number of tiles and the direction in which slices follow one another stand in the CSA header;
the position of the picture is that of a slice as large as the whole picture, around the same
centre. Without the header the tiles are slices whose places are not known.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from refmaker.errors import FormatError
from refmaker.model import ChunkTable
from refmaker.scanners.dicom.csa import read_csa
from refmaker.scanners.dicom.decimals import one_decimal
from refmaker.scanners.dicom.geometry import Stack
from refmaker.scanners.dicom.mosaic_layout import Mosaic
from refmaker.scanners.dicom.tags import COLUMNS, IMAGE_TYPE, ROWS, is_mosaic
from refmaker.scanners.dicom.vendor_elements import SIEMENS_CSA, SIEMENS_TILES, find

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.model import Array
    from refmaker.scanners.dicom.header import Header
    from refmaker.scanners.dicom.series import Image

__all__ = ["common_mosaic", "mosaic", "untiled"]

_SPACING_BETWEEN_SLICES = 0x00180088
_SAME = 1e-4
_MOST = 1024
_ENCODINGS = {
    "imagecodecs_jpeg": "jpeg",
    "imagecodecs_jpegls": "jpegls",
    "imagecodecs_jpeg2k": "jpeg2k",
    "imagecodecs_jpegxl": "jpegxl",
    "imagecodecs_dicomrle": "rle",
}


def mosaic(header: Header) -> Mosaic | None:
    """Return how the slices of an instance lie in its picture, None if nothing tells."""
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
    rows, columns = header.integer(ROWS) or 0, header.integer(COLUMNS) or 0
    if rows % across or columns % across:
        return None
    sound = len(normal) == 3 and abs(math.hypot(*normal) - 1) < 1e-2
    return Mosaic(across, count, normal if sound else None, step or None)


def common_mosaic(image: Image) -> tuple[Mosaic | None, str]:
    """Return how slices lie in all pictures of an image, or what keeps them from being told."""
    used = [image.headers[number] for number in sorted(set(image.source[:, 0].tolist()))]
    if not is_mosaic(image.header.raw(IMAGE_TYPE)):
        return None, ""
    if image.stack is None or image.stack.size != 1:
        return None, "mosaics at different places stay pictures"
    found = {mosaic(header) for header in used}
    if None in found or len({(one.across, one.count) for one in found if one}) != 1:
        note = "a mosaic whose tiles cannot be told apart (the CSA header is missing or damaged)"
        return None, f"{note}: it stays a picture"
    first, *others = (one for one in found if one is not None)
    for other in others:
        vectors = np.array([(*(one.normal or (0, 0, 0)), one.step or 0) for one in (first, other)])
        if float(np.abs(vectors[0] - vectors[1]).max()) > _SAME:
            return None, "mosaics whose slices lie in different directions stay pictures"
    known = first.normal is not None and first.step is not None
    return first, "" if known else "the places of the slices of its mosaics are not known"


def untiled(array: Array, image: Image, tiles: Mosaic) -> tuple[Array, Image]:
    """Return an array of pictures as one of slices, and the image with the places of these.

    Parameters
    ----------
    array : Array
        Shape ``(..., 1, rows, columns)``: pictures in their cells, one chunk each.
    image : Image
        The pictures.
    tiles : Mosaic
        How slices lie in each of them.
    """
    assert image.stack is not None  # noqa: S101 - the caller has looked
    rows, columns = array.shape[-2:]
    tall, wide = rows // tiles.across, columns // tiles.across
    lead = array.shape[:-3]
    codec: dict[str, Any] = dict(array.compressor or {})
    if codec.get("id") != "refmaker.dicom":
        own = {"id": "refmaker.dicom", "shape": [1, rows, columns, 1], "dtype": array.dtype.str}
        codec = own | ({"encoding": _ENCODINGS[codec["id"]]} if codec else {})
    codec["tiles"] = [tiles.across, tiles.across, tiles.count]
    old = array.chunks
    chunks = ChunkTable.from_columns(
        (*lead, 1, 1, 1),
        old.urls,
        offset=old.offset,
        length=old.length,
        url=old.url,
        index=old.numbers().astype(np.int64),
    )
    array = replace(
        array,
        shape=(*lead, tiles.count, tall, wide),
        chunk_shape=(*(1,) * len(lead), tiles.count, tall, wide),
        compressor=codec,
        chunks=chunks,
    )
    return array, replace(image, tiles=tiles, stack=_stack(image, tiles, (rows, columns)))


def _stack(image: Image, tiles: Mosaic, whole: tuple[int, int]) -> Stack | None:
    """Return where the slices lie, None if that is not known."""
    known = bool(np.isfinite(image.spacing).all())
    if tiles.normal is None or tiles.step is None or not known or image.stack is None:
        return None
    row, column = image.orientation[:3], image.orientation[3:]
    rest = [(extent - extent // tiles.across) / 2 for extent in whole]
    shift = row * image.spacing[1] * rest[1] + column * image.spacing[0] * rest[0]
    first: NDArray[np.float64] = np.asarray(image.stack.first + shift, np.float64)
    step: NDArray[np.float64] = np.asarray(np.array(tiles.normal) * tiles.step, np.float64)
    slots = np.arange(tiles.count)
    return Stack(slots, np.asarray(slots * tiles.step, np.float64), first, step)

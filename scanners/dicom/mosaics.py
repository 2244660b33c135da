"""Pictures of mosaics become volumes: tiles are slices, left to right, top to bottom."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.model import ChunkTable
from refmaker.scanners.dicom.geometry import SAME, Stack
from refmaker.scanners.dicom.mosaic_layout import Mosaic, mosaic
from refmaker.scanners.dicom.tags import IMAGE_TYPE, is_mosaic

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.model import Array
    from refmaker.scanners.dicom.series import Image

__all__ = ["common_mosaic", "untiled"]

_SAME = 1e-4
_ENCODINGS = {
    "imagecodecs_jpeg": "jpeg",
    "imagecodecs_jpegls": "jpegls",
    "imagecodecs_jpeg2k": "jpeg2k",
    "imagecodecs_jpegxl": "jpegxl",
    "imagecodecs_dicomrle": "rle",
}


def common_mosaic(image: Image) -> tuple[Mosaic | None, str]:
    """Return how slices lie in all pictures of an image, or what keeps them from being told."""
    used = [image.headers[number] for number in sorted(set(image.source[:, 0].tolist()))]
    if not is_mosaic(image.header.raw(IMAGE_TYPE)):
        return None, ""
    if image.stack is None or image.stack.size != 1:
        return None, "mosaics at different places stay pictures"
    found = {mosaic(header) for header in used}
    if None in found or len({(one.down, one.across, one.count) for one in found if one}) != 1:
        note = (
            "a mosaic whose tiles cannot be told apart (its private header is missing or damaged)"
        )
        return None, f"{note}: it stays a picture"
    first, *others = (one for one in found if one is not None)
    ends = _ends(first)
    for other in others:
        if float(np.abs(_ends(other) - ends).max()) > max(_SAME, SAME if first.first else 0):
            return None, "mosaics whose slices lie in different directions stay pictures"
    known = first.normal is not None and first.step is not None
    return first, "" if known else "the places of the slices of its mosaics are not known"


def _ends(tiles: Mosaic) -> NDArray[np.float64]:
    """Return numbers by which mosaics differ whose slices lie elsewhere."""
    normal, step = np.array(tiles.normal or (0, 0, 0)), tiles.step or 0
    if tiles.first is not None:
        return np.concatenate([tiles.first, tiles.first + normal * step * (tiles.count - 1)])
    return np.array([*normal, step])


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
    tall, wide = rows // tiles.down, columns // tiles.across
    lead = array.shape[:-3]
    codec: dict[str, Any] = dict(array.compressor or {})
    if codec.get("id") != "refmaker.dicom":
        own = {"id": "refmaker.dicom", "shape": [1, rows, columns, 1], "dtype": array.dtype.str}
        codec = own | ({"encoding": _ENCODINGS[codec["id"]]} if codec else {})
    codec["tiles"] = [tiles.down, tiles.across, tiles.count]
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
    rest = [
        (extent - extent // parts) / 2
        for extent, parts in zip(whole, (tiles.down, tiles.across), strict=True)
    ]
    shift = row * image.spacing[1] * rest[1] + column * image.spacing[0] * rest[0]
    first: NDArray[np.float64] = np.asarray(image.stack.first + shift, np.float64)
    if tiles.first is not None:
        first = np.array(tiles.first)
    step: NDArray[np.float64] = np.asarray(np.array(tiles.normal) * tiles.step, np.float64)
    slots = np.arange(tiles.count)
    return Stack(slots, np.asarray(slots * tiles.step, np.float64), first, step)

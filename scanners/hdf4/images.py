"""Raster images: those of the GR interface, raster image groups, and 8-bit images before them.

Implements DFTAG_RIG and what it lists (HDF Specification 4.2, section 3.3.2), and the Vgroups by
which the GR interface names images (``mfgr.c``).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from refmaker.errors import FormatError, RefmakerError, UnsupportedError
from refmaker.model import Array, ChunkTable
from refmaker.scanners.hdf4.arrays import Meaning
from refmaker.scanners.hdf4.coders import REPACK
from refmaker.scanners.hdf4.number_types import dtype_of_element

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from refmaker.scanners.hdf4.arrays import ArrayMaker
    from refmaker.scanners.hdf4.datasets import FileTables
    from refmaker.scanners.hdf4.vgroups import VGroup

__all__ = ["IMAGE", "IMAGES", "Image", "find_images", "image_array", "palette_array"]

IMAGE, _DATA, _COMPRESSED, _GROUP = 300, 302, 303, 306
_PALETTE, _OLD_SIZE, _OLD_PALETTE = 301, 200, 201
_OLD_DATA: Final = {202: 0, 203: 11, 204: 12}
"""Data of 8-bit images, and the compression that each tag means."""
_RLE, _JPEG, _COLOUR_JPEG = 11, 16, 15
_REFUSED: Final = {12: "IMCOMP", 13: "JPEG of version 4", 14: "JPEG of version 4"}
_KIND: Final = "RI0.0"
IMAGES: Final = "RIG0.0"
"""Class of the Vgroup of all images; there is one, which may have attributes."""


@dataclass(slots=True)
class Image:
    """A raster image.

    Parameters
    ----------
    name : str
    members : mapping of int to int
        Reference numbers of what belongs to it, by tag.
    attributes : list of int
        Reference numbers of the Vdatas that hold its attributes.
    """

    name: str
    members: Mapping[int, int]
    attributes: list[int] = field(default_factory=list)

    @property
    def ref(self) -> int:
        """Reference number of its description, or of its size."""
        return self.members.get(IMAGE, self.members.get(_OLD_SIZE, 0))


def find_images(tables: FileTables) -> Iterator[Image]:
    """Yield the images of a file in the order of the library, each once.

    Parameters
    ----------
    tables : FileTables
        The file.
    """
    places: set[Any] = set()
    # The library numbers those without a name before it leaves out what it has met already.
    for number, image in enumerate(_candidates(tables)):
        place = _place(tables, image)
        if place in places:
            continue
        places.add(place)
        image.name = image.name or f"Raster Image #{number}"
        yield image


def _candidates(tables: FileTables) -> Iterator[Image]:
    for vgroup in tables.vgroups.values():
        if vgroup.kind == _KIND:
            yield _named(vgroup)
    known = tables.elements
    for ref in known.descriptors.refs(_GROUP):
        try:
            raw = known.read(_GROUP, ref)
        except RefmakerError:
            raw = b""
        members = dict(struct.iter_unpack(">HH", raw[: len(raw) & ~3]))
        if IMAGE in members:
            yield Image("", members)
    for tag in _OLD_DATA:
        for ref in known.descriptors.refs(tag):
            members = {tag: ref, _OLD_SIZE: ref}
            if known.descriptors.find(_OLD_PALETTE, ref) is not None:
                members[_OLD_PALETTE] = ref
            yield Image("", members)


def _named(vgroup: VGroup) -> Image:
    members = dict(reversed(vgroup.members))
    return Image(vgroup.name, members, [ref for tag, ref in vgroup.members if tag == 1962])


def _place(tables: FileTables, image: Image) -> tuple[int, int] | int:
    """Return what tells the data of an image from those of others: where they lie."""
    for tag in (_DATA, _COMPRESSED, *_OLD_DATA):
        ref = image.members.get(tag)
        found = None if ref is None else tables.elements.descriptors.find(tag, ref)
        if found is not None and found.written:
            return found.offset, found.length
    return image.ref


def image_array(tables: FileTables, maker: ArrayMaker, image: Image, name: str) -> Array:
    """Return the array of an image.

    Parameters
    ----------
    tables : FileTables
        The file.
    maker : ArrayMaker
        Makes arrays of elements.
    image : Image
        One of `find_images`.
    name : str
        What it is called here: no dimension is that of another array.

    Returns
    -------
    Array
        Shape (y, x), or (y, x, components).

    Raises
    ------
    FormatError, TruncatedError
        If its description or its data are damaged.
    UnsupportedError
        If it is compressed in a way that nothing here decodes, code ``hdf4-coder``, or its
        components lie apart, code ``hdf4-interlace``.
    """
    width, height, kind, count, interlace, coder = _description(tables, image)
    if width < 0 or height < 0 or not count:
        raise FormatError(f"an image of {width} by {height}, {count} components")
    if interlace and count > 1:
        raise UnsupportedError(
            "an image whose components lie apart: two interfaces of the HDF library read it in "
            "different ways",
            code="hdf4-interlace",
            hint="write it anew with its components by pixel, by a program that shows it right",
        )
    shape = (height, width, count) if count > 1 else (height, width)
    names = tuple(f"{name}_{axis}" for axis in ("y", "x", "band")[: len(shape)])
    meaning = Meaning(shape, kind, dimensions=names)
    tag = next((one for one in (_DATA, _COMPRESSED, *_OLD_DATA) if one in image.members), None)
    if tag is None or tables.elements.descriptors.find(tag, image.members[tag]) is None:
        return maker.make(None, meaning)
    element = tables.elements.locate(tag, image.members[tag])
    if not coder or element.coder is not None:
        return maker.make(element, meaning)
    return maker.encoded(element, meaning, _codec(coder, meaning))


def _codec(coder: int, meaning: Meaning) -> dict[str, Any]:
    if coder == _RLE:
        return {
            "id": "refmaker.hdf4_rle",
            "size": meaning.nbytes,
            "least_run": 0,
            "least_mix": 0,
        }
    if coder in (_JPEG, _COLOUR_JPEG) and meaning.dtype.itemsize == 1:
        return {"id": "imagecodecs_jpeg"}
    name = _REFUSED.get(coder, f"compression {coder}")
    raise UnsupportedError(
        f"an image compressed by {name}",
        code="hdf4-coder",
        hint=REPACK,
    )


def _description(tables: FileTables, image: Image) -> tuple[int, int, np.dtype[Any], int, int, int]:
    """Return width, height, type, components, interlace and compression of an image."""
    elements = tables.elements
    if IMAGE not in image.members and _OLD_SIZE not in image.members:
        raise FormatError("an image without a description")
    if IMAGE not in image.members:
        width, height = _unpack(">HH", elements.read(_OLD_SIZE, image.members[_OLD_SIZE]))
        coder = next(code for tag, code in _OLD_DATA.items() if tag in image.members)
        return width, height, np.dtype("u1"), 1, 0, coder
    raw = elements.read(IMAGE, image.members[IMAGE])
    width, height, tag, ref, count, interlace, coder, _ = _unpack(">iiHHHHHH", raw)
    number = elements.read(tag, ref)
    if len(number) >= 4 and number[3] == 0:
        # The GR interface writes big-endian numbers with the class 0.
        number = bytes((*number[:3], 1))
    kind = dtype_of_element(number)
    kind = np.dtype("u1") if kind.kind == "S" else kind
    return width, height, kind, count, interlace, coder


def _unpack(form: str, raw: bytes) -> tuple[Any, ...]:
    try:
        return struct.unpack_from(form, raw)
    except struct.error as error:
        raise FormatError(f"the description of an image of {len(raw)} bytes") from error


def palette_array(tables: FileTables, image: Image, name: str) -> Array | None:
    """Return the colours of an image as an array of shape (256, 3); None if it has none.

    Parameters
    ----------
    tables : FileTables
        The file.
    image : Image
        One of `find_images`.
    name : str
        What the palette is called here.
    """
    for tag in (_PALETTE, _OLD_PALETTE):
        ref = image.members.get(tag)
        if ref is None or tables.elements.descriptors.find(tag, ref) is None:
            continue
        raw = tables.elements.read(tag, ref)
        if len(raw) != 768:
            raise FormatError(f"a palette of {len(raw)} bytes, not of 256 colours")
        names = f"{name}_entry", f"{name}_component"
        table = ChunkTable.inline((1, 1), {0: raw})
        return Array((256, 3), (256, 3), np.dtype("u1"), table, dimension_names=names)
    return None

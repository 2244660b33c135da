"""A second reading of OME-XML: which page of which file is which plane.

For sets that tifffile does not put together itself, such as those that are not on local disks.
It shares nothing with the scanner's reading.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.scanners.tiff.image_model import axis_names
from refmaker.scanners.tiff.markup import children, local_name, parse
from refmaker.scanners.tiff.native_images import NativeImage

if TYPE_CHECKING:
    from collections.abc import Callable
    from xml.etree.ElementTree import Element

__all__ = ["binary_only", "first_name", "ome_images", "root_uuid"]

_PLANES = 1 << 22


def root_uuid(text: str) -> str:
    """Return what the file that a document stands in is called; empty if it does not say."""
    return parse(text, "the OME-XML").get("UUID", "")


def binary_only(text: str) -> str:
    """Return the name of the file that has the description of this one; empty if it has its own."""
    root = parse(text, "the OME-XML")
    return next((one.get("MetadataFile", "") for one in children(root, "BinaryOnly")), "")


def first_name(text: str) -> list[str]:
    """Return the names of the files that have pixels, in order."""
    root = parse(text, "the OME-XML")
    found = (one.get("FileName", "") for one in root.iter() if local_name(one) == "UUID")
    return list(dict.fromkeys(name for name in found if name))


def ome_images(text: str, file: Callable[[str, str], Any]) -> list[list[NativeImage]]:
    """Return the images of an OME-XML document, each as its levels.

    Parameters
    ----------
    file : callable
        Returns the tifffile.TiffFile of a UUID and a name; None if it is not there.
    """
    root = parse(text, "the OME-XML")
    found = []
    for image in children(root, "Image"):
        for pixels in children(image, "Pixels"):
            levels = _levels(pixels, file)
            if levels:
                found.append(levels)
    return found


def _levels(pixels: Element, file: Callable[[str, str], Any]) -> list[NativeImage]:
    letters = pixels.get("DimensionOrder", "XYZCT")[:1:-1]
    channel = next(children(pixels, "Channel"), None)
    samples = 1 if channel is None else int(channel.get("SamplesPerPixel", "1"))
    sizes = [int(pixels.get(f"Size{letter}", "1")) for letter in letters]
    if "C" in letters:
        sizes[letters.index("C")] //= max(samples, 1)
    total = math.prod(sizes)
    if not 0 < total <= _PLANES:
        return []
    places: dict[int, tuple[Any, int]] = {}
    for data in children(pixels, "TiffData"):
        uuid = next(children(data, "UUID"), None)
        name = "" if uuid is None else uuid.get("FileName", "")
        tif = file("" if uuid is None else (uuid.text or "").strip(), name)
        if tif is None:
            continue
        start = [int(data.get(f"First{letter}", "0")) for letter in letters]
        if any(at >= size for at, size in zip(start, sizes, strict=True)):
            continue
        first, ifd = int(np.ravel_multi_index(start, sizes)), int(data.get("IFD", "0"))
        count = int(
            data.get("PlaneCount", data.get("NumPlanes", "1" if "IFD" in data.attrib else "0"))
        )
        pages = len(tif.pages)
        for step in range(min(count or pages - ifd, pages - ifd, total - first)):
            places[first + step] = tif, ifd + step
    if not places:
        return []
    tif, ifd = places[min(places)]
    base = _whole(tif, ifd)
    names = axis_names(letters)
    extents = tuple(sizes)
    levels = [NativeImage(names, extents, base, partial(_page, places, -1))]
    for below in range(len(base.subifds or ())):
        keyframe = _page(places, below, min(places))
        levels.append(NativeImage(names, extents, keyframe, partial(_page, places, below)))
    return levels


def _page(places: dict[int, tuple[Any, int]], below: int, number: int) -> Any:
    if number not in places:
        return None
    page = _whole(*places[number])
    if below < 0:
        return page
    from tifffile import TiffPage

    page.parent.filehandle.seek(page.subifds[below])
    return TiffPage(page.parent, (page.index, below))


def _whole(tif: Any, ifd: int) -> Any:
    """Return a page with all its tags, which frames do not have."""
    tif.pages.useframes = False
    return tif.pages[ifd]

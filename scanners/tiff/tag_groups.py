"""Tags that neither storage nor meaning use up: the group ``tiff`` of an image.

What all pages have in common are attributes, what differs from page to page are arrays.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.model import Group
from refmaker.model.inline import inline_array
from refmaker.scanners.tiff.crs import KEY_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.model import Array
    from refmaker.scanners.tiff.pages import Pages

__all__ = ["geo_keys", "json_value", "tag_group", "tag_name"]

_STORAGE = frozenset(
    {
        254, 255, 256, 257, 258, 259, 266, 273, 277, 278, 279, 284, 292, 293, 317, 322, 323, 324,
        325, 330, 338, 339, 347, 512, 513, 514, 515, 519, 520, 521, 529, 530, 531, 532, 32997,
        32998, 34735, 34736, 34737, 42112, 65426,
    }
)  # fmt: skip
"""Tags that the arrays themselves express, or that are kept elsewhere in another form."""
_NAMES = {
    262: "PhotometricInterpretation", 263: "Threshholding", 269: "DocumentName",
    270: "ImageDescription", 271: "Make", 272: "Model", 274: "Orientation",
    280: "MinSampleValue", 281: "MaxSampleValue", 282: "XResolution", 283: "YResolution",
    285: "PageName", 286: "XPosition", 287: "YPosition", 290: "GrayResponseUnit",
    291: "GrayResponseCurve", 296: "ResolutionUnit", 297: "PageNumber", 301: "TransferFunction",
    305: "Software", 306: "DateTime", 315: "Artist", 316: "HostComputer", 318: "WhitePoint",
    319: "PrimaryChromaticities", 320: "ColorMap", 332: "InkSet", 333: "InkNames",
    334: "NumberOfInks", 336: "DotRange", 337: "TargetPrinter", 340: "SMinSampleValue",
    341: "SMaxSampleValue", 700: "XMP", 33432: "Copyright", 33434: "ExposureTime",
    33437: "FNumber", 33445: "MDFileTag", 33446: "MDScalePixel", 33550: "ModelPixelScale",
    33628: "UIC1tag", 33629: "UIC2tag", 33630: "UIC3tag", 33631: "UIC4tag", 33723: "IPTC",
    33922: "ModelTiepoint", 34118: "CZ_SEM", 34264: "ModelTransformation", 34361: "MM_Header",
    34362: "MM_Stamp", 34377: "Photoshop", 34412: "CZ_LSMINFO", 34665: "ExifIFD",
    34675: "ICCProfile", 34682: "FEI_HELIOS", 34853: "GPSIFD", 37510: "UserComment",
    37706: "TVIPS", 42113: "GDAL_NODATA", 50838: "IJMetadataByteCounts", 50839: "IJMetadata",
    50844: "RPCCoefficient", 51123: "MicroManagerMetadata", 65420: "NDPI_FormatFlag",
    65421: "NDPI_Magnification", 65422: "NDPI_XOffsetFromSlideCentre",
    65423: "NDPI_YOffsetFromSlideCentre", 65424: "NDPI_FocalPlane",
}  # fmt: skip
_SHORT = 64
"""Values of a tag up to which they are an attribute, not an array."""
_FAR = 512
"""Pages of a remote file up to which values outside of directories are fetched to compare."""
_MANY = 1 << 16
"""Characters of texts that differ from page to page, at most."""


def tag_name(code: int) -> str:
    """Return a tag's name; of one that has none here ``tag_<code>``."""
    return _NAMES.get(code, f"tag_{code}")


def geo_keys(keys: Mapping[int, Any]) -> dict[str, Any]:
    """Return GeoKeys by name."""
    return {KEY_NAMES.get(key, f"key_{key}"): json_value(value) for key, value in keys.items()}


def json_value(value: Any) -> Any:
    """Return a value as JSON has it: lists, numbers, and text for what JSON has no number for."""
    if isinstance(value, np.ndarray | np.generic):
        return json_value(value.tolist())
    if isinstance(value, bytes):
        return list(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {str(key): json_value(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(one) for one in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)


def tag_group(
    pages: Pages,
    numbers: NDArray[np.int64],
    names: Sequence[str],
    *,
    skip: frozenset[int] = frozenset(),
) -> Group | None:
    """Return the tags of the pages of one image; None if there are none to keep.

    Parameters
    ----------
    numbers : ndarray of int64
        Those of the image over its leading axes; -1 where there is none.
    skip : frozenset of int
        Tags that are kept elsewhere.
    """
    present = numbers[numbers >= 0]
    if present.size == 0:
        return None
    first = int(present.reshape(-1)[0])
    differing = _differing(pages, present) if present.size > 1 else frozenset()
    attributes: dict[str, Any] = {}
    members: dict[str, Array | Group] = {}
    for code, value in pages.tags(first).items():
        if code in _STORAGE or code in skip or code in differing or value is None:
            continue
        name = tag_name(code)
        if not isinstance(value, bytes | np.ndarray) or len(value) <= _SHORT:
            attributes[name] = json_value(value)
            continue
        table = np.frombuffer(value, np.uint8) if isinstance(value, bytes) else value.reshape(-1)
        if table.size and table.dtype.kind in "iuf":
            members[name] = inline_array(table, (f"{name}_value",))
    for code in sorted(differing - _STORAGE - skip):
        flat = numbers.reshape(-1)
        values = pages.values(code, np.maximum(flat, 0))
        values = [None if page < 0 else value for page, value in zip(flat, values, strict=True)]
        same = _common(values)
        if same is not None:
            attributes[tag_name(code)] = same
            continue
        array = _column(values, numbers.shape, names)
        if array is not None:
            members[tag_name(code)] = array
    return Group(members, attributes) if attributes or members else None


def _differing(pages: Pages, present: NDArray[np.int64]) -> frozenset[int]:
    """Return the tags that differ between pages, as far as that is cheap to know."""
    if present.size <= _FAR or all(source.path is not None for source in pages.sources):
        return frozenset(pages.varying(present))
    found = set()
    for code in pages.tags(int(present[0])):
        # The first value stands in the directory, if there is room for it.
        values = pages.column(code, 0)[present] if _within(pages, code, present) else None
        if values is not None and bool((values != values[0]).any()):
            found.add(code)
    return frozenset(found)


def _within(pages: Pages, code: int, present: NDArray[np.int64]) -> bool:
    part = pages.directories[0]
    mine = present[pages.file[present] == 0]
    offset, count, _ = part.place(code, mine)
    # Values inside of an entry lie inside of the directory that it belongs to.
    near = (offset >= part.offset[mine]) & (offset < part.offset[mine] + 2**16)
    return bool((near & (count == 1)).all())


def _common(values: Sequence[Any]) -> str | int | float | None:
    """Return the value that all pages share which have one; None if they differ.

    Writers like to say on the first page alone what is true of all.
    """
    told = {value for value in values if isinstance(value, str | int | float)}
    others = any(value is not None and not isinstance(value, str | int | float) for value in values)
    return told.pop() if len(told) == 1 and not others else None


def _column(values: Sequence[Any], shape: tuple[int, ...], names: Sequence[str]) -> Array | None:
    """Return a tag that differs from page to page; None if it is not one value a page."""
    if all(value is None or isinstance(value, int | float) for value in values):
        table = np.array([np.nan if value is None else value for value in values])
        return inline_array(table.reshape(shape), names) if table.dtype != object else None
    if any(value is not None and not isinstance(value, str) for value in values):
        return None
    texts = ["" if value is None else value for value in values]
    longest = max(map(len, texts), default=0)
    if longest == 0 or longest * len(texts) > _MANY:
        return None
    return inline_array(np.array(texts, f"<U{longest}").reshape(shape), names)

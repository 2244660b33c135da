"""What the segments of a segmentation are: labels, codes, colours.

Implements the Segment Description Macro (PS3.3, C.8.20.4). None of its attributes has an action
in the Basic Application Level Confidentiality Profile (PS3.15, table E.1-1); labels are free text
all the same, and are written only if they look like names of things. Codes are written only of
schemes that everybody can look up.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import FormatError
from refmaker.model.inline import inline_array
from refmaker.scanners.dicom.codes import code_text
from refmaker.scanners.dicom.metadata import presentable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from refmaker.model import Array
    from refmaker.scanners.dicom.header import Header
    from refmaker.scanners.dicom.series import Image
    from refmaker.scanners.dicom.values import Dataset

__all__ = ["is_label_map", "label_flags", "segment_coordinates", "segment_lists", "srgb"]

SEGMENT_SEQUENCE, SEGMENTATION_TYPE = 0x00620002, 0x00620001
_NUMBER, _LABEL, _CATEGORY, _TYPE = 0x00620004, 0x00620005, 0x00620003, 0x0062000F
_CIELAB, _ALGORITHM, _TRACKING_UID = 0x0062000D, 0x00620008, 0x00620021
_WHITE = np.array([0.95047, 1.0, 1.08883])
"""D65, which writers of these colours use, although ICC profiles have D50 (PS3.3, C.10.7.1.1)."""
_TO_RGB = np.array(
    [[3.2404542, -1.5371385, -0.4985314], [-0.9692660, 1.8760108, 0.0415560],
     [0.0556434, -0.2040259, 1.0572252]]
)  # fmt: skip
_FULL = 65535.0


def srgb(cielab: Sequence[float]) -> list[int]:
    """Return a colour as red, green and blue, 0 to 255.

    Parameters
    ----------
    cielab : sequence of float
        L*, a* and b* as DICOM scales them to 16 bits (PS3.3, C.10.7.1.1).
    """
    light = cielab[0] / _FULL * 100
    a, b = (value / _FULL * 255 - 128 for value in cielab[1:3])
    middle = (light + 16) / 116
    roots = np.array([middle + a / 500, middle, middle - b / 200])
    low = (116 * roots - 16) * 27 / 24389
    linear = _TO_RGB @ (np.where(roots**3 > 216 / 24389, roots**3, low) * _WHITE)
    linear = np.clip(linear, 0, 1)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return [int(value) for value in np.rint(curved * 255)]


def segment_lists(
    header: Header, numbers: Sequence[int], uid: Callable[[str], str] | None = None
) -> dict[str, list[Any]]:
    """Return what some segments are.

    Parameters
    ----------
    header : Header
        The segmentation.
    numbers : sequence of int
        Segment Number of each.
    uid : callable, optional
        As for `segment_coordinates`.

    Returns
    -------
    dict of str to list
        ``segment_label``, ``segment_category`` and ``segment_type`` (``SCT:10200004``),
        ``segment_algorithm_type``, with ``""`` for a segment without; ``segment_rgb`` if all
        have a colour.
    """
    if SEGMENT_SEQUENCE not in header:
        return {}
    known = _segments(header)
    listed = [known.get(number, {}) for number in numbers]
    found: dict[str, list[Any]] = {}
    for name in _TEXTS:
        texts = [str(one.get(name, "")) for one in listed]
        if any(texts):
            found[f"segment_{name}"] = texts
    if uid is not None and any(one.get("tracking_uid") for one in listed):
        tracked = [str(one.get("tracking_uid", "")) for one in listed]
        found["segment_tracking_uid"] = [text and uid(text) for text in tracked]
    if listed and all("rgb" in one for one in listed):
        found["segment_rgb"] = [one["rgb"] for one in listed]
    return found


def segment_coordinates(image: Image, uid: Callable[[str], str] | None = None) -> dict[str, Array]:
    """Return what the segments of an image are, along its dimension of segments or of frames.

    Parameters
    ----------
    image : Image
        The frames of a segmentation, or of something else, which has none.
    uid : callable, optional
        How identifiers of what was tracked over several studies are written; they are left out
        without it. Their names are never written.

    Returns
    -------
    dict of str to Array
        As `segment_lists`; ``segment_rgb`` has the shape (segments, 3).
    """
    column = next((column for column in image.columns if column.name == "segment"), None)
    if column is None or column.values.dtype.kind != "i":
        return {}
    if "segment" in image.grid.names:
        name, numbers = "segment", np.unique(column.values)
    elif image.names == ("frame",):
        name, numbers = "frame", column.values[np.argsort(image.grid.cell)]
    else:
        return {}
    found = segment_lists(image.header, numbers.tolist(), uid)
    colours = found.pop("segment_rgb", None)
    arrays = {key: inline_array(np.array(texts), (name,)) for key, texts in found.items()}
    if colours is not None:
        told = {"colour_space": "sRGB"}
        arrays["segment_rgb"] = inline_array(np.array(colours, np.uint8), (name, "rgb"), told)
    return arrays


def is_label_map(header: Header) -> bool:
    """Tell whether the values of an instance's pixels are numbers of segments."""
    return header.text(SEGMENTATION_TYPE).upper() == "LABELMAP"


def label_flags(header: Header) -> dict[str, Any]:
    """Return what the values of a label map are, as attributes of the array of its pixels.

    Returns
    -------
    dict
        ``flag_values`` and ``flag_meanings`` (CF conventions, 3.5), with ``segment_type`` and
        ``segment_rgb`` in the same order where every segment has one; empty for what is no label
        map.
    """
    if not is_label_map(header) or SEGMENT_SEQUENCE not in header:
        return {}
    known = _segments(header)
    if not known:
        return {}
    meanings = [str(one.get("label") or f"segment {number}") for number, one in known.items()]
    found: dict[str, Any] = {
        "flag_values": list(known),
        "flag_meanings": " ".join(re.sub(r"\s+", "_", text.strip()) for text in meanings),
    }
    for name in ("type", "rgb"):
        values = [one.get(name) for one in known.values()]
        if all(values):
            found[f"segment_{name}"] = values
    return found


_TEXTS = ("label", "category", "type", "algorithm_type")


def _segments(header: Header) -> dict[int, dict[str, Any]]:
    """Return what is said of each segment, by its number."""
    found: dict[int, dict[str, Any]] = {}
    try:
        for item in header.iter_items(SEGMENT_SEQUENCE):
            number = item.integer(_NUMBER)
            if number is not None:
                found[number] = _described(item)
    except FormatError:
        # What a segment is called is no reason to lose it.
        return found
    return found


def _described(item: Dataset) -> dict[str, Any]:
    label, algorithm = item.text(_LABEL), item.text(_ALGORITHM)
    told = {
        "label": label if presentable(label) else "",
        "category": _coded(item, _CATEGORY),
        "type": _coded(item, _TYPE),
        "algorithm_type": algorithm if presentable(algorithm) else "",
        "tracking_uid": item.text(_TRACKING_UID),
    }
    colour = item.numbers(_CIELAB)
    return told | (
        {"rgb": srgb(colour)} if colour is not None and len(colour) == len("Lab") else {}
    )


def _coded(item: Dataset, tag: int) -> str:
    """Return the code of a sequence as ``scheme:value``, empty if it is not a public one."""
    return next((code_text(code) for code in item.items(tag)[:1]), "")

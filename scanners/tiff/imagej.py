"""ImageJ: hyperstacks described by ``key=value`` lines, and its binary metadata (tag 50839).

Beyond 4 GB, and when asked to, ImageJ writes one directory for all planes, which then lie
behind each other without a gap.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.scanners.tiff.image_model import Axis, Channel, Image, Level
from refmaker.scanners.tiff.units import number, unit_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.scanners.tiff.pages import Pages

__all__ = ["description_values", "extra_metadata", "is_imagej", "read_image"]

_COUNTS, _METADATA = 50838, 50839
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 282, 283, 296
_PLANES = 1 << 22
_ORDERS = {
    "czt": "TZC", "default": "TZC", "ctz": "ZTC", "zct": "TCZ", "ztc": "CTZ", "tcz": "ZCT",
    "tzc": "CZT",
}  # fmt: skip
"""Axes, slowest first, for ImageJ's name of an order, fastest first."""
_KINDS = {b"labl": "labels", b"luts": "luts", b"rang": "ranges", b"info": "info"}


def is_imagej(description: str) -> bool:
    """Tell whether an image description is ImageJ's."""
    return description[:7] == "ImageJ="


def description_values(text: str) -> dict[str, str]:
    """Return the values of a description by name."""
    pairs = (line.partition("=") for line in text.rstrip("\0").splitlines())
    return {key.strip(): value.strip() for key, found, value in pairs if found}


def extra_metadata(raw: bytes, counts: NDArray[Any], byteorder: str) -> dict[str, Any]:
    """Return labels, lookup tables, display ranges and info of ImageJ's binary metadata.

    Parameters
    ----------
    raw : bytes
        Tag 50839: a header of 4-byte types and counts, then the values.
    counts : ndarray of int
        Tag 50838: bytes of the header and of each value.
    byteorder : {"<", ">"}
        Of the file.

    Returns
    -------
    dict
        ``labels`` (list of str), ``luts`` (list of uint8 arrays of shape (3, 256)), ``ranges``
        (list of float, two a channel), ``info`` (str): as far as they are there and whole.
    """
    sizes = [int(size) for size in np.atleast_1d(counts)]
    if not sizes or sizes[0] < 12 or sizes[0] > len(raw) or raw[:4] not in (b"IJIJ", b"JIJI"):
        return {}
    kinds = [
        (raw[at : at + 4], struct.unpack_from(byteorder + "I", raw, at + 4)[0])
        for at in range(4, sizes[0] - 7, 8)
    ]
    found: dict[str, Any] = {}
    at, entry = sizes[0], 1
    for kind, count in kinds:
        name = _KINDS.get(kind if byteorder == ">" else kind[::-1])
        values = []
        for size in sizes[entry : entry + min(count, len(sizes))]:
            if size < 0 or at + size > len(raw):
                return found
            values.append(raw[at : at + size])
            at += size
        entry += count
        if name is not None and values:
            found[name] = _values(name, values, byteorder)
    return found


def _values(name: str, values: list[bytes], byteorder: str) -> Any:
    encoding = "utf-16-le" if byteorder == "<" else "utf-16-be"
    if name == "labels":
        return [value.decode(encoding, "replace") for value in values]
    if name == "info":
        return values[0].decode(encoding, "replace")
    if name == "ranges":
        whole = len(values[0]) // 8 * 8
        return np.frombuffer(values[0][:whole], byteorder + "f8").tolist()
    return [np.frombuffer(one, np.uint8).reshape(3, 256) for one in values if len(one) == 768]


def read_image(pages: Pages, size: int) -> Image | None:
    """Return the image of an ImageJ file, or None if its description does not fit its pages.

    Parameters
    ----------
    size : int
        Bytes of the file.
    """
    told = description_values(pages.text(0))
    extents = {
        "C": _count(told, "channels"), "Z": _count(told, "slices"), "T": _count(told, "frames"),
    }  # fmt: skip
    declared = _count(told, "images")
    if min(*extents.values(), declared) < 1:
        return None
    samples = int(pages.samples[0])
    if samples > 1 and extents["C"] in (1, samples):
        # The samples of a pixel are the channels.
        extents["C"] = 1
    letters = _ORDERS.get(told.get("order", "czt").lower(), "TZC")
    planes = extents["T"] * extents["Z"] * extents["C"]
    chain = pages.main
    if planes == 1 and chain.size > 1:
        axes: tuple[Axis, ...] = (Axis("page", chain.size),)
        planes = chain.size
    else:
        axes = tuple(_axis(letter, extents[letter], told) for letter in letters)
    stacked = 1 < planes <= _PLANES and chain.size == 1 and _fits(pages, planes, size)
    if not stacked and (chain.size < planes or np.unique(pages.kind[chain[:planes]]).size > 1):
        return None
    numbers = np.arange(planes, dtype=np.int64) if stacked else chain[:planes]
    more = extra_metadata(*_raw(pages))
    axes = _labelled(axes, more)
    return Image(
        "imagej",
        axes,
        (Level(numbers.reshape(tuple(axis.size for axis in axes))),),
        pixels=_pixels(pages, told),
        channels=_channels(told, more, extents["C"] * samples),
        stacked=stacked,
        attributes=_attributes(told, more),
    )


def _raw(pages: Pages) -> tuple[bytes, NDArray[Any], str]:
    raw, counts = pages.tag(0, _METADATA), pages.tag(0, _COUNTS)
    if not isinstance(raw, bytes) or counts is None:
        return b"", np.empty(0, np.int64), pages.byteorder
    return raw, np.atleast_1d(counts), pages.byteorder


def _count(told: dict[str, str], name: str) -> int:
    value = number(told.get(name, "1"))
    return int(value) if value is not None and 0 < value <= _PLANES else 0


def _fits(pages: Pages, planes: int, size: int) -> bool:
    """Tell whether all planes can lie behind the first page's data, uncompressed and whole."""
    from refmaker.scanners.tiff.stacked import data_start

    start = data_start(pages, 0)
    if start is None:
        return False
    plane = int(np.prod(pages.shape(0), dtype=np.int64)) * pages.dtype(0).itemsize
    return start + planes * plane <= size


def _axis(letter: str, extent: int, told: dict[str, str]) -> Axis:
    if letter == "Z":
        step = number(told.get("spacing"))
        unit = unit_name(told.get("zunit", told.get("unit")))
        return Axis("z", extent, abs(step) if step else None, unit if step else None)
    if letter == "T":
        step = number(told.get("finterval"), positive=True)
        unit = unit_name(told.get("tunit", "sec"), time=True)
        return Axis("t", extent, step, unit if step else None)
    return Axis("c", extent)


def _labelled(axes: tuple[Axis, ...], more: dict[str, Any]) -> tuple[Axis, ...]:
    """Return the axes with the labels of slices, if these count a single one."""
    labels = more.get("labels", [])
    longer = [at for at, axis in enumerate(axes) if axis.size > 1]
    if len(longer) != 1 or len(labels) != axes[longer[0]].size or not any(labels):
        return axes
    at = longer[0]
    old = axes[at]
    new = Axis(old.name, old.size, old.scale, old.unit, labels=tuple(labels))
    return (*axes[:at], new, *axes[at + 1 :])


def _pixels(pages: Pages, told: dict[str, str]) -> tuple[Axis, Axis]:
    """Return y and x: ImageJ writes pixels per unit as the resolution."""
    found = []
    for name, code in (("y", _Y_RESOLUTION), ("x", _X_RESOLUTION)):
        per_unit = number(pages.tag(0, code), positive=True)
        unit = unit_name(told.get("yunit" if name == "y" else "unit", told.get("unit")))
        if unit is None and "unit" not in told:
            unit = {2: "inch", 3: "centimeter"}.get(
                next(iter(pages.integers(0, _RESOLUTION_UNIT)), 1)
            )
        if per_unit is None or unit is None:
            found.append(Axis(name))
        else:
            found.append(Axis(name, 0, 1 / per_unit, unit))
    return found[0], found[1]


def _channels(told: dict[str, str], more: dict[str, Any], count: int) -> tuple[Channel, ...]:
    ranges, luts = more.get("ranges", []), more.get("luts", [])
    low, high = number(told.get("min")), number(told.get("max"))
    found = []
    for at in range(min(count, 1024)):
        window = None
        if len(ranges) >= 2 * at + 2:
            window = (ranges[2 * at], ranges[2 * at + 1])
        elif low is not None and high is not None and high > low:
            window = (low, high)
        color = None
        if at < len(luts):
            color = "".join(f"{int(part):02X}" for part in luts[at][:, -1])
        found.append(Channel("", color, window))
    return tuple(found)


def _attributes(told: dict[str, str], more: dict[str, Any]) -> dict[str, Any]:
    """Return what neither axes nor channels say."""
    used = {"images", "channels", "slices", "frames", "spacing", "finterval", "order"}
    found: dict[str, Any] = {key: value for key, value in told.items() if key not in used}
    if "info" in more:
        found["info"] = more["info"]
    if any(more.get("labels", [])):
        found["labels"] = more["labels"]
    return {"imagej": found}

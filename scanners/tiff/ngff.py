"""OME-NGFF metadata: ``multiscales``, ``omero`` and the layout of several images.

Implements NGFF 0.4 and, for output in Zarr version 3, 0.5 and 0.6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.scanners.tiff.image_model import Channel
from refmaker.scanners.tiff.units import TIMES
from refmaker.scanning.ngff import Axis as NGFFAxis
from refmaker.scanning.ngff import Level, image_metadata, multiscale

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refmaker.scanners.tiff.image_model import Axis

__all__ = ["RANK", "channel_labels", "image_attributes", "problem", "series_attributes"]

RANK = {"t": 0, "c": 1, "z": 3}
"""Order of the leading axes: time, then channel or another, then space."""
_SPACE = frozenset("zyx")
_COLORS = ("FF0000", "00FF00", "0000FF", "FF00FF", "00FFFF", "FFFF00", "FFFFFF")
_RGB = (("red", "FF0000"), ("green", "00FF00"), ("blue", "0000FF"), ("alpha", "FFFFFF"))


def problem(names: Sequence[str]) -> str:
    """Return why NGFF cannot describe an image; empty if it can."""
    custom = [name for name in names if name != "t" and name not in _SPACE]
    if len(custom) > 1:
        return f"NGFF has room for one axis besides time and space, not for {', '.join(custom)}"
    return ""


def image_attributes(  # noqa: PLR0913 - what the document is made of
    name: str,
    axes: Sequence[Axis],
    paths: Sequence[str],
    shapes: Sequence[tuple[int, ...]],
    channels: Sequence[Channel],
    dtype: np.dtype[Any],
    *,
    version: str = "0.4",
    bits: int | None = None,
) -> dict[str, Any]:
    """Return the attributes of an image's group.

    Parameters
    ----------
    paths : sequence of str
        Of the arrays, largest level first, below the group.
    channels : sequence of Channel
        One for each place of the channel axis.
    version : {"0.4", "0.5", "0.6"}
        Of NGFF.
    bits : int, optional
        Bits of an element that are in use.
    """
    levels = [
        Level(
            path,
            tuple(
                (axis.scale or 1.0) * (base / extent if extent else 1.0)
                for axis, base, extent in zip(axes, shapes[0], shape, strict=True)
            ),
        )
        for path, shape in zip(paths, shapes, strict=True)
    ]
    image = multiscale(name, [_axis(axis) for axis in axes], levels, version)
    omero: dict[str, Any] = {}
    if channels:
        shown = [_channel(one, at, len(channels), dtype, bits) for at, one in enumerate(channels)]
        model = "greyscale" if len(shown) == 1 else "color"
        omero = {"name": name, "channels": shown, "rdefs": {"model": model}}
    return image_metadata(version, multiscales=[image], omero=omero)


def _axis(axis: Axis) -> NGFFAxis:
    kind = {"t": "time", "c": "channel"}.get(axis.name, "")
    kind = "space" if axis.name in _SPACE else kind
    # A unit of the wrong kind would be no unit of NGFF's.
    fitting = kind in ("time", "space") and (axis.unit in TIMES) == (kind == "time")
    return NGFFAxis(axis.name, kind, axis.unit if axis.unit is not None and fitting else "")


def _channel(
    channel: Channel, at: int, count: int, dtype: np.dtype[Any], bits: int | None
) -> dict[str, Any]:
    low, high = _bounds(dtype, bits)
    start, end = channel.window or (low, high)
    color = channel.color or ("FFFFFF" if count == 1 else _COLORS[at % len(_COLORS)])
    return {
        "label": channel.label or f"Channel {at}",
        "color": color,
        "active": True,
        "coefficient": 1,
        "family": "linear",
        "inverted": False,
        "window": {"min": min(low, start), "max": max(high, end), "start": start, "end": end},
    }


def _bounds(dtype: np.dtype[Any], bits: int | None) -> tuple[float, float]:
    """Return the values between which an element can be; 0 and 1 for what has no such bounds."""
    if dtype.kind == "b":
        return 0.0, 1.0
    if dtype.kind not in "iu":
        return 0.0, 1.0
    limits = np.iinfo(dtype)
    if bits is not None and dtype.kind == "u" and 0 < bits < 8 * dtype.itemsize:
        return 0.0, float(2**bits - 1)
    return float(limits.min), float(limits.max)


def channel_labels(
    channels: Sequence[Channel], count: int, samples: int, *, color: bool
) -> tuple[Channel, ...]:
    """Return one channel for each sample of each channel.

    Parameters
    ----------
    channels : sequence of Channel
        What the file tells: of channels, of all samples, or nothing.
    color : bool
        Whether the samples are red, green and blue.
    """
    if len(channels) == count * samples:
        return tuple(channels)
    known = list(channels) if len(channels) == count else [Channel()] * count
    if samples == 1:
        return tuple(known)
    found = []
    for one in known:
        for at in range(samples):
            label, shade = _RGB[at] if color and at < 4 else (f"sample {at}", None)
            found.append(Channel(f"{one.label} {label}".strip(), shade, one.window))
    return tuple(found)


def series_attributes(names: Sequence[str], version: str) -> tuple[Mapping[str, Any], ...]:
    """Return the attributes of the root and of the group ``OME`` of a file of several images.

    Parameters
    ----------
    version : {"0.4", "0.5", "0.6"}
        Of NGFF.
    """
    if version == "0.4":
        return {"bioformats2raw.layout": 3}, {"series": list(names)}
    root = {"ome": {"version": version, "bioformats2raw.layout": 3}}
    return root, {"ome": {"version": version, "series": list(names)}}

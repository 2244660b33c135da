"""The images of a set: their levels, scales, channels, colours and contrast, values left lazy.

For whatever shows images: napari's reader, and the page that `refmaker view` opens.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from refmaker.model.ngff_images import (
    axes_of,
    channels_of,
    described,
    images_of,
    level_paths,
    placement,
)
from refmaker.model.pyramid import numbered_levels
from refmaker.model.tree import Group, joined_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import xarray as xr

__all__ = [
    "ImageLayer",
    "Picture",
    "image_layers",
    "is_image",
    "pictures",
    "places",
    "plain_picture",
]

_ROW = re.compile(r"(y|lat|latitude)(_\d+)?")
_COLUMN = re.compile(r"(x|lon|longitude)(_\d+)?")
_CHANNEL = re.compile(r"(c|band|s)(_\d+)?")
_UNITS = {
    **dict.fromkeys(("nm", "nanometer"), "nanometer"),
    **dict.fromkeys(("um", "µm", "\u03bcm", "micrometer", "micron"), "micrometer"),
    **dict.fromkeys(("mm", "millimeter"), "millimeter"),
    **dict.fromkeys(("m", "meter", "metre"), "meter"),
    **{name: name for name in ("angstrom", "centimeter", "kilometer", "degree")},
    **{name: name for name in ("second", "millisecond", "minute", "hour", "day")},
    **dict.fromkeys(("degrees_north", "degrees_east"), "degree"),
    "s": "second",
    "ms": "millisecond",
}
"""Units of the formats, and what napari (pint) calls them."""
_INVERTED = frozenset({"miniswhite", "MONOCHROME1"})
_MOST = 32
"""Channels that are layers; of more, such as those of a spectrum, a slider is made."""
_EVEN = 1e-3
"""What places of even coordinates may be off by, as a part of a step."""
_PIXELS = (0.0, 1.0, "pixel")


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One image of a set, with its levels.

    Parameters
    ----------
    name : str
        Path of the array, or what the file calls the image.
    levels : list of xarray.DataArray
        Largest first, all of the same dimensions; lazy.
    scale, translate : list of float
        Of the first level, one number for each dimension.
    units : list of str
        As napari calls them; ``pixel`` where the file tells none.
    channels : list of mapping
        What NGFF's ``omero`` says of each channel; empty if there is none.
    paths : list of str
        Where the levels lie in the set.
    uneven : list of str
        Dimensions whose coordinates are not at even distances; their scale is 1.
    labels : mapping, optional
        NGFF's ``image-label``, of what is a label image.
    """

    name: str
    levels: list[xr.DataArray]
    scale: list[float]
    translate: list[float]
    units: list[str]
    channels: list[Mapping[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    uneven: list[str] = field(default_factory=list)
    labels: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLayer:
    """What is shown as one: an image, or one channel of it.

    Parameters
    ----------
    name : str
        Of the image, and of the channel.
    levels : list of xarray.DataArray
        Largest first; lazy. Colours, if it is `rgb`, are the last dimension.
    axes : list of int
        Dimensions of the image that are those of the layer.
    rgb : bool
        Whether it has three or four colours side by side.
    channel : int, optional
        Which one of the image it is; None if it is all of it.
    colormap : str, optional
        ``#rrggbb``, or ``gray_r`` where small values are bright.
    contrast_limits : list of float, optional
        Values that are black and white, where the file tells them.
    """

    name: str
    levels: list[xr.DataArray]
    axes: list[int]
    rgb: bool = False
    channel: int | None = None
    colormap: str | None = None
    contrast_limits: list[float] | None = None


def pictures(groups: Mapping[str, xr.Dataset], root: Group) -> list[Picture]:
    """Return the images of a set, in its order.

    Parameters
    ----------
    groups : mapping of str to xarray.Dataset
        Its groups, open and lazy, by path; the root's is empty.
    root : Group
        The set.
    """
    taken: set[str] = set()
    found = []
    for name, group in groups.items():
        for told in images_of(group.attrs):
            picture = _ngff(groups, name, told)
            if picture is not None:
                taken.update(picture.paths)
                found.append(picture)
    for name in dict.fromkeys(name.rpartition("/")[0] for name in groups if name):
        home = root[name] if name else root
        for levels in numbered_levels(home) if isinstance(home, Group) else ():
            paths = [joined_path(name, level) for level in levels]
            arrays = [_array(groups, path) for path in paths]
            there = [array for array in arrays if array is not None and is_image(array)]
            if len(there) == len(paths) and not taken.intersection(paths):
                taken.update(paths)
                found.append(plain_picture(paths, there))
    for name, group in groups.items():
        for variable in group.data_vars:
            inside = joined_path(name, str(variable))
            if inside not in taken and is_image(group[variable]):
                found.append(plain_picture([inside], [_without_window(group, group[variable])]))
    return found


def _without_window(group: xr.Dataset, array: xr.DataArray) -> xr.DataArray:
    """Return an image of DICOM without a window, if that is not one of the values shown."""
    if any(str(name).startswith(("rescale_", "modality_lut")) for name in group.variables):
        return array.assign_attrs(window_center=None, window_width=None)
    return array


def _array(groups: Mapping[str, xr.Dataset], path: str) -> xr.DataArray | None:
    group, _, name = path.rpartition("/")
    return groups[group].get(name) if group in groups else None


def is_image(array: xr.DataArray) -> bool:
    """Whether an array has numbers over rows and columns."""
    dims = [str(dim) for dim in array.dims]
    return (
        array.dtype.kind in "biuf"
        and any(map(_ROW.fullmatch, dims))
        and any(map(_COLUMN.fullmatch, dims))
    )


def _ngff(groups: Mapping[str, xr.Dataset], group: str, told: Mapping[str, Any]) -> Picture | None:
    """Return an image by its NGFF metadata; None if none of its levels is there."""
    known = {path: _array(groups, joined_path(group, path)) for path in level_paths(told)}
    there = {path: level for path, level in known.items() if level is not None}
    inner, levels = list(there), list(there.values())
    if not levels:
        return None
    rank = levels[0].ndim
    scale, translate = placement(told, inner[0], rank) or ([1.0] * rank, [0.0] * rank)
    units = [_UNITS.get(str(axis.get("unit")), "pixel") for axis in axes_of(told)]
    attributes = groups[group].attrs
    return Picture(
        name=_title(group, told),
        levels=[_without_window(groups[group], level) for level in levels],
        scale=scale,
        translate=translate,
        units=units if len(units) == rank else ["pixel"] * rank,
        channels=channels_of(attributes),
        paths=[joined_path(group, path) for path in inner],
        labels=described(attributes).get("image-label"),
    )


def _title(group: str, told: Mapping[str, Any]) -> str:
    """Return what an image is called: by its path, if its name is that of its array."""
    name = str(told.get("name") or group or "image")
    return joined_path(group, name) if name == level_paths(told)[0] else name


def plain_picture(paths: list[str], levels: list[xr.DataArray]) -> Picture:
    """Return an image whose scale follows from its coordinates."""
    first = levels[0]
    known = {str(dim): places(first, dim) for dim in first.dims}
    found = [place or _PIXELS for place in known.values()]
    # What counts down, such as northings of rasters, is shown as stored: first row on top.
    downwards = any(step < 0 for _, step, _ in found)
    return Picture(
        name=paths[0],
        levels=levels,
        paths=paths,
        scale=[abs(step) for _, step, _ in found],
        translate=[0.0 if downwards else start for start, _, _ in found],
        units=[unit for _, _, unit in found],
        uneven=[dim for dim, place in known.items() if place is None],
    )


def places(array: xr.DataArray, dim: Any) -> tuple[float, float, str] | None:
    """Return the first place along a dimension, the step and the unit; None if they are uneven.

    Without numbers along it, these are 0, 1 and ``pixel``.
    """
    import numpy as np

    known = array.coords.get(dim)
    if known is None or known.dtype.kind not in "iuf" or known.size < 2:
        return _PIXELS
    values = known.to_numpy().astype(np.float64)
    step = float(values[-1] - values[0]) / (known.size - 1)
    off = abs(values - (values[0] + step * np.arange(known.size)))
    rounding = 0.0 if known.dtype.kind != "f" else 2 * float(np.finfo(known.dtype).eps)
    if step == 0 or not off.max() <= abs(step) * _EVEN + rounding * abs(values).max():
        return None
    return float(values[0]), step, _UNITS.get(str(known.attrs.get("units")), "pixel")


def image_layers(picture: Picture) -> Iterator[ImageLayer]:
    """Yield what an image is shown as: colours side by side as one, up to 32 channels each."""
    first = picture.levels[0]
    dims = [str(dim) for dim in first.dims]
    channel = next((at for at, dim in enumerate(dims) if _CHANNEL.fullmatch(dim)), None)
    if channel is not None and first.shape[channel] > _MOST:
        channel = None
    axes = [at for at in range(len(dims)) if at != channel]
    if channel is None:
        shown = _shown(picture, 0, first) if picture.channels else {}
        # NGFF's is one of stored values; these are scaled.
        shown["contrast_limits"] = _window(first) or shown.get("contrast_limits")
        levels = picture.levels
        yield ImageLayer(name=picture.name, levels=levels, axes=axes, **_given(shown, first))
        return
    name = first.dims[channel]
    # What is stored as YCbCr is decoded to red, green and blue.
    colours = str(first.attrs.get("photometric", "")).lower() in ("rgb", "ycbcr")
    if colours and first.sizes[name] in (3, 4):
        levels = [level.transpose(..., name) for level in picture.levels]
        yield ImageLayer(name=picture.name, levels=levels, axes=axes, rgb=True)
        return
    labels = first.coords.get(name)
    for at in range(first.sizes[name]):
        shown = _shown(picture, at, first)
        label = shown.pop("label", "") or (at if labels is None else labels.to_numpy()[at])
        yield ImageLayer(
            name=f"{picture.name} {label}",
            levels=[level[{name: at}] for level in picture.levels],
            axes=axes,
            channel=at,
            **_given(shown, first),
        )


def _shown(picture: Picture, at: int, array: xr.DataArray) -> dict[str, Any]:
    """Return label, colour and contrast of a channel, as far as NGFF tells them."""
    if at >= len(picture.channels):
        return {}
    told = picture.channels[at]
    found: dict[str, Any] = {"label": told.get("label")}
    colour = str(told.get("color", "")).lstrip("#")
    if re.fullmatch("[0-9A-Fa-f]{6}", colour):
        found["colormap"] = f"#{colour}"
    window = told.get("window") or {}
    low, high = (window.get(end) for end in ("start", "end"))
    # A window over all that the type can hold says nothing of the values.
    wide = array.dtype.itemsize > 1 and (low, high) == (window.get("min"), window.get("max"))
    if isinstance(low, int | float) and isinstance(high, int | float) and low < high and not wide:
        found["contrast_limits"] = [float(low), float(high)]
    return found


def _given(shown: Mapping[str, Any], array: xr.DataArray) -> dict[str, Any]:
    found = {key: value for key, value in shown.items() if value is not None and key != "label"}
    if array.attrs.get("photometric") in _INVERTED:
        found["colormap"] = "gray_r"
    return found


def _window(array: xr.DataArray) -> list[float] | None:
    """Return the first window of DICOM (PS3.3, C.11.2.1.2.1), of values as xarray scales them."""
    centre, width = (array.attrs.get(f"window_{name}") for name in ("center", "width"))
    centre, width = (v[0] if isinstance(v, list) and v else v for v in (centre, width))
    if isinstance(centre, int | float) and isinstance(width, int | float) and width > 1:
        return [centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2]
    return None

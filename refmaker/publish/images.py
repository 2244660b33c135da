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
from refmaker.model.tree import joined_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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


def pictures(groups: Mapping[str, xr.Dataset]) -> list[Picture]:
    """Return the images of a set, in its order.

    Parameters
    ----------
    groups : mapping of str to xarray.Dataset
        Its groups, open and lazy, by path; the root's is empty.
    """
    taken: set[str] = set()
    found = []
    for name, group in groups.items():
        for told in images_of(group.attrs):
            picture = _ngff(groups, name, told)
            if picture is not None:
                taken.update(picture.paths)
                found.append(picture)
    for name in [name for name in groups if (name.rpartition("/")[2] == "0")]:
        found.extend(_pyramids(groups, name.rpartition("/")[0], taken))
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


def _pyramids(groups: Mapping[str, xr.Dataset], parent: str, taken: set[str]) -> Iterator[Picture]:
    """Yield the images whose levels are groups ``0``, ``1``, ... without NGFF: those of GeoTIFF."""
    for variable in groups[joined_path(parent, "0")].data_vars:
        levels: list[xr.DataArray] = []
        while True:
            path = joined_path(parent, f"{len(levels)}/{variable}")
            array = None if path in taken else _array(groups, path)
            if array is None or not is_image(array) or not _is_level(array, levels):
                break
            levels.append(array)
        if len(levels) > 1:
            paths = [joined_path(parent, f"{at}/{variable}") for at in range(len(levels))]
            taken.update(paths)
            yield plain_picture(paths, levels)


def _is_level(array: xr.DataArray, levels: Sequence[xr.DataArray]) -> bool:
    """Whether an array is a further level: smaller, and over the same place on the ground.

    Images of a file that are not levels of one another lie in groups of such names, too.
    """
    place = _ground(array)
    if place is None:
        return False
    if not levels:
        return True
    last = levels[-1]
    before = _ground(last)
    flat = [dim for dim in array.dims if _ROW.fullmatch(str(dim)) or _COLUMN.fullmatch(str(dim))]
    return (
        before is not None
        and place[0] == before[0]
        and all(
            abs(a - b) <= step for a, b, step in zip(place[1], before[1], place[2], strict=True)
        )
        and array.dims == last.dims
        and array.dtype == last.dtype
        and all(array.sizes[dim] == last.sizes[dim] for dim in array.dims if dim not in flat)
        and all(array.sizes[dim] <= last.sizes[dim] for dim in flat)
        and any(array.sizes[dim] < last.sizes[dim] for dim in flat)
    )


def _ground(array: xr.DataArray) -> tuple[str, list[float], list[float]] | None:
    """Return reference system, two corners, and what they may be off by, of what has them."""
    attributes = array.coords["spatial_ref"].attrs if "spatial_ref" in array.coords else {}
    numbers = [float(number) for number in str(attributes.get("GeoTransform", "")).split()]
    sizes = {"x": 0, "y": 0} | {str(dim): size for dim, size in array.sizes.items()}
    if len(numbers) != 6:
        return None
    c, a, b, f, d, e = numbers
    width, height = sizes["x"], sizes["y"]
    corners = [c, f, c + a * width + b * height, f + d * width + e * height]
    # The last column and row of a level may stand for less than a whole pixel.
    off = [abs(a) + abs(b), abs(d) + abs(e)]
    return str(attributes.get("crs_wkt")), corners, off * 2


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

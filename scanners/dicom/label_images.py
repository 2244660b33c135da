"""Segmentations as label images beside the image that they label: the group ``labels`` of NGFF.

A label map is one label image, each segment of binary ones another, whose values are 0 and 1. They
point to the same bytes as the segmentation itself, on all slices of its source. A segmentation is
put beside a series only if it names it (Referenced Series Sequence) or names none, if they share a
frame of reference, if each of its frames lies on one of the slices, pixel by pixel, and if no
other series of the study is such.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refmaker.errors import FormatError
from refmaker.model import Array, ChunkTable, Group, chunk_grid
from refmaker.model.inline import decode_inline
from refmaker.scanners.dicom.dimensions import FrameGrid
from refmaker.scanners.dicom.geometry import PARALLEL, SAME
from refmaker.scanners.dicom.matrix import Tiling
from refmaker.scanners.dicom.segments import SEGMENTATION_TYPE
from refmaker.scanners.dicom.tags import (
    COLUMNS,
    FRAME_OF_REFERENCE_UID,
    ROWS,
    SERIES_INSTANCE_UID,
)
from refmaker.scanning.ngff import image_metadata
from refmaker.scanning.ngff_volumes import volume_multiscale

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from refmaker.scanners.dicom.geometry import Stack
    from refmaker.scanners.dicom.header import Header
    from refmaker.scanners.dicom.series import Image

__all__ = ["REFERENCED_SERIES_SEQUENCE", "Labels", "SeriesMembers", "label_images"]

REFERENCED_SERIES_SEQUENCE = 0x00081115
_PLACE = (
    *("affine", "affine_ras", "spacing", "origin", "direction", "z_uniform"),
    *("is_sheared", "gantry_tilt_deg"),
)
"""Attributes of the source that hold for its label images."""
_KEPT = ("modality", "oddities", "photometric")
_BINARY, _MAP = "BINARY", "LABELMAP"


class SeriesMembers(NamedTuple):
    """One series of a study.

    Parameters
    ----------
    members : mapping of str to Array or Group
        Its arrays.
    origin : mapping of str to Image or Tiling
        By name of an array of pixels, the frames it is made of.
    """

    members: Mapping[str, Array | Group]
    origin: Mapping[str, Image | Tiling]


class Labels(NamedTuple):
    """The label images beside one image.

    Parameters
    ----------
    group : Group
        ``labels``.
    origin : dict of str to Image
        By path below it, the frames of each.
    """

    group: Group
    origin: dict[str, Image]


class _Volume(NamedTuple):
    """The first image of a series, if it is a volume."""

    image: Image
    array: Array
    stack: Stack
    members: Mapping[str, Array | Group]


class _Label(NamedTuple):
    """One label image on the slices of its source."""

    name: str
    image: Image
    array: Array
    told: dict[str, Any]


def label_images(series: Mapping[str, SeriesMembers], version: str) -> dict[str, Labels]:
    """Return the label images of a study.

    Parameters
    ----------
    series : mapping of str to SeriesMembers
        Its series, by name.
    version : {"0.4", "0.5", "0.6", "no"}
        Of NGFF; there are none without.

    Returns
    -------
    dict of str to Labels
        By name of the series that has them.
    """
    if version == "no":
        return {}
    volumes = {name: one for name, one in map(_volume, series.items()) if one is not None}
    segmentations = {name for name, one in volumes.items() if _kind(one.image.header)}
    found: dict[str, list[_Label]] = {}
    for name in sorted(segmentations):
        fitting = [
            (other, slices)
            for other, source in volumes.items()
            if other not in segmentations
            and _may_label(volumes[name].image.header, source.image.header)
            and (slices := _slices(volumes[name].image, source)) is not None
        ]
        if len(fitting) == 1:
            other, slices = fitting[0]
            labels = _labels(name, volumes[name], volumes[other], slices)
            found.setdefault(other, []).extend(labels)
    built = {name: _group(labels, volumes[name], version) for name, labels in found.items()}
    return {name: labels for name, labels in built.items() if labels.origin}


def _volume(named: tuple[str, SeriesMembers]) -> tuple[str, _Volume | None]:
    name, one = named
    image, array = one.origin.get("image"), one.members.get("image")
    if image is None or isinstance(image, Tiling) or not isinstance(array, Array):
        return name, None
    if image.stack is None or image.tiles is not None:
        return name, None
    return name, _Volume(image, array, image.stack, one.members)


def _kind(header: Header) -> str:
    """Return ``BINARY`` or ``LABELMAP``; empty for what is no segmentation with such values."""
    kind = header.text(SEGMENTATION_TYPE).upper()
    return kind if kind in (_BINARY, _MAP) else ""


def _may_label(header: Header, source: Header) -> bool:
    """Whether what headers say of series and frame of reference lets one label the other."""
    frames = [one.text(FRAME_OF_REFERENCE_UID) for one in (header, source)]
    if frames[0] != frames[1]:
        return False
    try:
        named = {
            item.text(SERIES_INSTANCE_UID) for item in header.items(REFERENCED_SERIES_SEQUENCE)
        }
    except FormatError:
        return False
    return not named or source.text(SERIES_INSTANCE_UID) in named


def _slices(image: Image, source: _Volume) -> NDArray[np.int64] | None:
    """Return the slice of the source that each frame lies on; None if one lies on none."""
    stack, extents = source.stack, [_extent(one) for one in (image, source.image)]
    if extents[0] != extents[1] or not bool(np.isfinite(source.image.spacing).all()):
        return None
    off = np.abs(image.spacing - source.image.spacing) * extents[0]
    turned = np.abs(image.orientation - source.image.orientation)
    if not (float(off.max()) <= SAME and float(turned.max()) <= PARALLEL) or not stack.even:
        return None
    away = image.position - stack.first
    step = np.zeros(3) if stack.step is None else stack.step
    slices = np.rint(away @ step / max(float(step @ step), SAME**2)).astype(np.int64)
    if float(np.abs(away - slices[:, None] * step).max()) > SAME:
        return None
    return slices if slices.min() >= 0 and slices.max() < stack.size else None


def _extent(image: Image) -> tuple[int, int]:
    return image.header.integer(ROWS) or 0, image.header.integer(COLUMNS) or 0


def _labels(
    name: str, volume: _Volume, source: _Volume, slices: NDArray[np.int64]
) -> Iterator[_Label]:
    """Yield the label images of one segmentation."""
    array, image = volume.array, volume.image
    names, kind = array.dimension_names or (), _kind(image.header)
    if array.dtype.kind not in "iu" or any(extent != 1 for extent in array.chunk_shape[:-2]):
        return
    if kind == _MAP and names == ("z", "y", "x"):
        placed = _placed(array, volume, source, slices, np.arange(len(slices)))
        yield _Label(name, *placed, _map_labels(array.attributes))
    elif kind == _BINARY and names == ("segment", "z", "y", "x"):
        of_frame = image.grid.cell // array.shape[1]
        for number in range(array.shape[0]):
            rows = np.flatnonzero(of_frame == number)
            placed = _placed(_plane(array, number), volume, source, slices, rows)
            told = _segment_label(volume.members, number)
            yield _Label(f"{name}-segment-{number + 1}", *placed, told)


def _plane(array: Array, number: int) -> Array:
    """Return one place along the first dimension of an array."""
    grid = array.chunks.grid
    table = array.chunks.window((number, *(0,) * (len(grid) - 1)), (number + 1, *grid[1:]))
    return replace(
        array,
        shape=array.shape[1:],
        chunk_shape=array.chunk_shape[1:],
        chunks=replace(table, grid=grid[1:]),
        dimension_names=(array.dimension_names or ())[1:],
    )


def _placed(
    array: Array,
    volume: _Volume,
    source: _Volume,
    slices: NDArray[np.int64],
    rows: NDArray[np.int64],
) -> tuple[Image, Array]:
    """Return some frames of a segmentation on all slices of the source."""
    size = source.stack.size
    where = np.zeros(volume.stack.size, np.int64)
    where[volume.stack.slot] = slices
    table = array.chunks
    at = table.coordinates()
    shape = (size, *array.shape[1:])
    grid = chunk_grid(shape, array.chunk_shape)
    index = np.ravel_multi_index((where[at[0]], *at[1:]), grid)
    chunks = ChunkTable.from_columns(
        grid, table.urls, offset=table.offset, length=table.length, url=table.url, index=index
    )
    kept = {key: array.attributes[key] for key in _KEPT if key in array.attributes}
    kept |= {k: v for k, v in array.attributes.items() if k.startswith(("flag_", "segment"))}
    place = {key: source.array.attributes[key] for key in _PLACE if key in source.array.attributes}
    placed = replace(
        array,
        shape=shape,
        chunks=chunks,
        fill_value=0 if chunks.absent else None,
        attributes={**kept, **place},
    )
    image = volume.image
    part = replace(
        image,
        source=image.source[rows],
        position=image.position[rows],
        stack=source.stack,
        grid=FrameGrid((), (size,), slices[rows]),
    )
    return part, placed


def _map_labels(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``image-label`` of a label map."""
    values = list(attributes.get("flag_values") or ())
    words = str(attributes.get("flag_meanings", "")).split()
    lists = {
        "name": words,
        "type": list(attributes.get("segment_type") or ()),
        "rgb": list(attributes.get("segment_rgb") or ()),
    }
    told = [
        {key: listed[at] for key, listed in lists.items() if len(listed) == len(values)}
        for at in range(len(values))
    ]
    return _image_label(dict(zip(values, told, strict=True)))


def _segment_label(members: Mapping[str, Array | Group], number: int) -> dict[str, Any]:
    """Return ``image-label`` of one segment, whose pixels are 1."""
    told: dict[str, Any] = {}
    for key, name in (("segment", "segment"), ("name", "segment_label"), ("type", "segment_type"),
                      ("rgb", "segment_rgb")):  # fmt: skip
        array = members.get(name)
        if isinstance(array, Array) and array.dimension_names and 0 in array.chunks.inlined:
            data = decode_inline(array, array.chunks.inlined[0])
            value = np.frombuffer(data, array.dtype).reshape(array.shape)[number].tolist()
            if value != "":
                told[key] = value
    return _image_label({1: told})


def _image_label(told: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    colours = [
        {"label-value": value, "rgba": [*one["rgb"], 255]} for value, one in told.items()
        if "rgb" in one
    ]  # fmt: skip
    properties = [
        {"label-value": value, **{key: text for key, text in one.items() if key != "rgb"}}
        for value, one in told.items()
    ]
    found: dict[str, Any] = {"source": {"image": "../../"}}
    if colours:
        found["colors"] = colours
    if properties:
        found["properties"] = properties
    return found


def _group(labels: list[_Label], source: _Volume, version: str) -> Labels:
    """Return the group ``labels``, empty if its image is one that NGFF cannot describe."""
    groups: dict[str, Array | Group] = {}
    origin = {}
    described = volume_multiscale("image", "image", source.array, source.members, version)
    for label in labels if isinstance(described, dict) else ():
        one = volume_multiscale(label.name, "image", label.array, source.members, version)
        if isinstance(one, dict):
            told = image_metadata(version, multiscales=[one], image_label=label.told)
            groups[label.name] = Group({"image": label.array}, told)
            origin[f"{label.name}/image"] = label.image
    return Labels(Group(groups, image_metadata(version, labels=list(groups))), origin)

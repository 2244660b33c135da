"""Whole-slide images: tiles on a grid, levels of a pyramid, label and overview beside it.

Implements the VL Whole Slide Microscopy Image (PS3.3, A.32.8 and C.8.12.4): tiles of
``TILED_FULL`` instances in the order of C.8.12.14 (channel, focal plane, row, column), of others
where their functional groups say. The parts of a concatenation fill one array. Levels make one
multiscale image as in NGFF 0.4, in micrometres.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import FormatError, MetadataError, RefmakerError
from refmaker.model import Array, ChunkTable, Group, chunk_grid
from refmaker.scanners.dicom.frames import instance_array
from refmaker.scanners.dicom.grouping import missing_parts, parts_of_concatenation
from refmaker.scanners.dicom.matrix import Tiling, tiling
from refmaker.scanners.dicom.metadata import attribute_values
from refmaker.scanners.dicom.optical_paths import colour_profile, optical_paths
from refmaker.scanners.dicom.placing import joined
from refmaker.scanners.dicom.probe import probe
from refmaker.scanners.dicom.pyramid import pyramid_attributes
from refmaker.scanners.dicom.segments import label_flags, segment_lists

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from refmaker.scanners.dicom.header import Header
    from refmaker.scanners.dicom.options import DICOMOptions

__all__ = ["Slide", "is_slide", "slide"]

TOTAL_COLUMNS, TOTAL_ROWS = 0x00480006, 0x00480007
IMAGE_TYPE = 0x00080008
_ASSOCIATED = ("LABEL", "OVERVIEW", "THUMBNAIL")
_WHITE = 255


@dataclass(slots=True)
class Slide:
    """What the tiled instances of a series come to.

    Parameters
    ----------
    members : dict
        Groups ``0``, ``1``, ... with an array ``image`` each, largest first, and ``associated``;
        or the array itself, if there is but one.
    attributes : dict
        ``multiscales`` of NGFF, where the axes allow.
    origin : dict of str to Tiling
        By path of an array, where its tiles come from.
    warnings : list of str
        What is odd.
    """

    members: dict[str, Array | Group] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    origin: dict[str, Tiling] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Level:
    tiles: Tiling
    array: Array
    paths: dict[str, Array] = field(default_factory=dict)


def is_slide(header: Header) -> bool:
    """Tell whether an instance is tiled: has a total pixel matrix (C.8.12.4.1.1)."""
    return TOTAL_COLUMNS in header and TOTAL_ROWS in header


def slide(
    headers: Sequence[Header],
    choices: DICOMOptions,
    refuse: Callable[[Header, RefmakerError], None],
) -> Slide:
    """Return the pyramid of a series.

    Parameters
    ----------
    headers : sequence of Header
        Its tiled instances.
    choices : DICOMOptions
        What users chose.
    refuse : callable
        Called with each instance that cannot be part of it, and why.
    """
    found = Slide()
    levels: list[_Level] = []
    others: dict[str, list[_Level]] = {}
    for parts in _parts(headers, refuse):
        try:
            tiles = tiling(parts)
            level = _level(tiles, choices)
        except RefmakerError as error:
            for header in parts:
                refuse(header, error)
            continue
        found.warnings += level.tiles.warnings
        found.warnings += filter(None, (missing_parts(parts),))
        flavor = _flavor(parts[0])
        (others.setdefault(flavor, []) if flavor else levels).append(level)
    levels.sort(key=lambda level: -level.tiles.columns)
    _place(found, levels, others, choices)
    return found


def _parts(
    headers: Sequence[Header], refuse: Callable[[Header, RefmakerError], None]
) -> list[list[Header]]:
    sound = []
    for header in headers:
        try:
            parts_of_concatenation([header])
        except RefmakerError as error:
            refuse(header, error)
        else:
            sound.append(header)
    return parts_of_concatenation(sound)


def _flavor(header: Header) -> str:
    """Return ``label``, ``overview`` or ``thumbnail`` (C.8.12.4.1.1), empty for a level."""
    values = header.text(IMAGE_TYPE).split("\\")
    return values[2].strip().lower() if len(values) > 2 and values[2].strip() in _ASSOCIATED else ""


def _level(tiles: Tiling, choices: DICOMOptions) -> _Level:
    """Return the tiles of one level as an array."""
    parts = [
        instance_array(
            header,
            choices.options,
            storage_options=choices.storage_options,
            per_frame=True,
            trust_bits=choices.trust_bits,
        )
        for header in tiles.headers
    ]
    array = parts[0].array
    if array.chunk_shape[0] != 1:
        note = "tiles share bytes and cannot be put in their places: they stay in a row"
        tiles = replace(tiles, regular=False, warnings=(*tiles.warnings, note))
    array = joined([part.array for part in parts])
    if array.shape[0] != tiles.tile.size:
        raise FormatError(f"{array.shape[0]} frames where {tiles.tile.size} tiles are described")
    placed = _placed(array, tiles) if tiles.regular else _in_a_row(array)
    attributes: dict[str, Any] = {"photometric": parts[0].photometric}
    odd = (*tiles.warnings, *parts[0].warnings)
    attributes |= {"oddities": list(odd)} if odd else {}
    if choices.selection.mode != "none":
        values = attribute_values(tiles.headers[0], list(choices.selection.tags))
        attributes = {choices.selection.name(t): v for t, v in values.items()} | attributes
        if tiles.segments:
            attributes |= segment_lists(
                tiles.headers[0],
                [int(name) for name in tiles.channels],
                choices.uid if choices.uids != "none" else None,
            )
        attributes |= label_flags(tiles.headers[0]) | colour_profile(tiles.headers[0])
    placed = replace(placed, attributes={**placed.attributes, **attributes})
    if array.shape[3:] and tiles.regular and choices.slides == "ngff":
        placed = _samples_first(placed, tiles)
    paths: dict[str, Array] = {}
    if choices.selection.mode != "none" and not tiles.segments and tiles.regular:
        names = placed.dimension_names or ()
        channel = ("path" if "path" in names else "c") if tiles.kept[0] else None
        paths, told = optical_paths(tiles.headers[0], tiles.channels, channel)
        placed = replace(placed, attributes={**placed.attributes, **told})
    probe(placed, choices.probe, choices.storage_options)
    if tiles.segments:
        placed = replace(placed, attributes={**placed.attributes, "segments": list(tiles.channels)})
    return _Level(tiles, placed, paths)


def _in_a_row(array: Array) -> Array:
    return replace(array, dimension_names=("frame", "y", "x", "c")[: len(array.shape)])


def _placed(array: Array, tiles: Tiling) -> Array:
    """Return an array over the total pixel matrix, each frame's chunks in its tile."""
    tall, wide = array.chunk_shape[1:3]
    down, across = array.chunks.grid[1:3]
    if array.shape[1] % tall or array.shape[2] % wide:
        raise MetadataError("tiles are cut into pieces that do not fill them")
    lead = tuple(extent for extent, kept in zip(tiles.lead, tiles.kept, strict=True) if kept)
    names = tuple(name for name, kept in zip(("c", "z"), tiles.kept, strict=True) if kept)
    samples = array.shape[3:]
    if samples and tiles.kept[0]:
        names = tuple("path" if name == "c" else name for name in names)
    shape = (*lead, tiles.rows, tiles.columns, *samples)
    chunk = (*(1,) * len(lead), tall, wide, *array.chunk_shape[3:])
    grid = chunk_grid(shape, chunk)
    high, broad = grid[len(lead)], grid[len(lead) + 1]
    each = down * across * int(np.prod(array.chunks.grid[3:], dtype=np.int64))
    numbers = array.chunks.numbers().astype(np.int64)
    frame, piece = numbers // each, numbers % each
    y = tiles.tile_row[frame] * down + piece // across
    x = tiles.tile_column[frame] * across + piece % across
    # What hangs over the edge of the matrix has no chunk of its own.
    inside = (y < high) & (x < broad)
    index = (tiles.plane[frame] * high + y) * broad + x
    table = array.chunks
    chunks = ChunkTable.from_columns(
        grid,
        table.urls,
        offset=table.offset[inside],
        length=table.length[inside],
        url=None if table.url is None else table.url[inside],
        index=index[inside],
    )
    fill = array.fill_value
    if tiles.segments:
        fill = 0
    elif chunks.absent and samples and array.dtype.itemsize == 1:
        fill = _WHITE
    return replace(
        array,
        shape=shape,
        chunk_shape=chunk,
        chunks=chunks,
        fill_value=fill,
        dimension_names=(*names, "y", "x", *("c",) * len(samples)),
    )


def _samples_first(array: Array, tiles: Tiling) -> Array:
    """Return an array whose samples are its first dimension, as NGFF wants them."""
    if tiles.kept[0] or len(array.chunks.grid) < 3 or array.chunks.grid[-1] != 1:
        return array
    step = {
        "id": "refmaker.tiff_samples_first",
        "samples": array.shape[-1],
        "itemsize": array.dtype.itemsize,
    }
    names = array.dimension_names or ()
    grid = (1, *array.chunks.grid[:-1])
    return replace(
        array,
        shape=(array.shape[-1], *array.shape[:-1]),
        chunk_shape=(array.chunk_shape[-1], *array.chunk_shape[:-1]),
        chunks=replace(array.chunks, grid=grid),
        filters=(step, *array.filters),
        dimension_names=("c", *names[:-1]),
    )


def _place(
    found: Slide, levels: list[_Level], others: dict[str, list[_Level]], choices: DICOMOptions
) -> None:
    """Arrange levels and associated images as members."""
    alone = len(levels) == 1 and not others
    paths = []
    for number, level in enumerate(levels):
        path = "image" if alone else f"{number}/image"
        members = _members(level)
        if alone:
            found.members |= members
        else:
            found.members[str(number)] = Group(members)
        found.origin[path] = level.tiles
        paths.append(path)
    beside: dict[str, Array | Group] = {}
    for flavor, some in others.items():
        for number, level in enumerate(some):
            name = flavor if number == 0 else f"{flavor}-{number}"
            beside[name] = Group(_members(level))
            found.origin[f"associated/{name}/image"] = level.tiles
    if beside:
        found.members["associated"] = Group(beside)
    if choices.slides == "ngff" and levels and all(level.tiles.regular for level in levels):
        arrays = [level.array for level in levels]
        tiles, version = [level.tiles for level in levels], choices.ngff
        told = pyramid_attributes(paths, arrays, tiles, version) if version != "no" else {}
        found.attributes |= told
        if not told and version != "no":
            found.warnings.append("the axes of the slide are none that NGFF knows")


def _members(level: _Level) -> dict[str, Array | Group]:
    from refmaker.scanners.dicom.pyramid import axes

    return {"image": level.array, **axes(level.array, level.tiles), **level.paths}

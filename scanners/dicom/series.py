"""Series to images: which instances belong together, and every frame's place in their array.

Instances of a series that look alike (frame size, encoding, kind, spacing, orientation) make
one image; localisers and views along other axes are images of their own. Multi-frame instances
are images by themselves, or together with the other parts of their concatenation
(PS3.3, C.7.6.16.2.2.4).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import FormatError, RefmakerError
from refmaker.scanners.dicom.dimensions import Column, FrameGrid, discover
from refmaker.scanners.dicom.enhanced import (
    DIMENSION_INDEX_VALUES,
    frame_elements,
    index_pointers,
)
from refmaker.scanners.dicom.frame_attributes import (
    ORIENTATION,
    PIXEL_SPACING,
    POSITION,
    FrameAttributes,
    separating,
)
from refmaker.scanners.dicom.frames import layout_key
from refmaker.scanners.dicom.geometry import Stack, orientation_groups, stack
from refmaker.scanners.dicom.tags import (
    BITS_ALLOCATED,
    BITS_STORED,
    COLUMNS,
    HIGH_BIT,
    NUMBER_OF_FRAMES,
    PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
    PHOTOMETRIC_INTERPRETATION,
    PIXEL_DATA_PROVIDER_URL,
    PIXEL_REPRESENTATION,
    PLANAR_CONFIGURATION,
    ROWS,
    SAMPLES_PER_PIXEL,
    SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
    SOP_CLASS_UID,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from refmaker.scanners.dicom.header import Header
    from refmaker.scanners.dicom.header_templates import HeaderTemplate

__all__ = [
    "Image",
    "frame_count",
    "images",
    "instance_order",
    "is_multiframe",
    "parts_of_concatenation",
]

INSTANCE_NUMBER = 0x00200013
CONCATENATION_UID, CONCATENATION_OFFSET = 0x00209161, 0x00209228
GRID_FRAME_OFFSETS = 0x3004000C
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
_LAYOUT = (
    NUMBER_OF_FRAMES,
    SAMPLES_PER_PIXEL,
    PHOTOMETRIC_INTERPRETATION,
    PLANAR_CONFIGURATION,
    ROWS,
    COLUMNS,
    BITS_ALLOCATED,
    BITS_STORED,
    HIGH_BIT,
    PIXEL_REPRESENTATION,
    PIXEL_DATA_PROVIDER_URL,
)
"""All that decides how pixels are laid out."""
_DECIDING = frozenset(
    {
        *_LAYOUT,
        SOP_CLASS_UID,
        PIXEL_SPACING,
        SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
        PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
    }
)
"""What has to be equal in the slices of one image."""
_SPATIAL = frozenset({POSITION, 0x00209057, 0x00209056, 0x0048021E, 0x0048021F, 0x0040072A})
"""Dimension index pointers that number places: these are found from the places themselves."""
_NUMBERED = frozenset({0x0062000B, 0x00209128, 0x00189087, 0x00189082, 0x00480106})
"""Those that name attributes which are looked at anyway."""


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """The frames of one array, and where each of them goes.

    Parameters
    ----------
    headers : tuple of Header
        The instances.
    source : ndarray of int64, shape (n, 2)
        Each frame's instance, and its number in it.
    records : FrameAttributes
        Each frame's elements.
    orientation : ndarray of float64, shape (6,)
        Of all frames; NaN if they have none in common.
    spacing : ndarray of float64, shape (2,)
        Distance of rows and of columns, millimetres; NaN where not known.
    position : ndarray of float64, shape (n, 3)
        NaN where not known.
    columns : tuple of Column
        What may tell frames apart.
    stack : Stack or None
        How the frames lie; None if they are no stack of planes.
    grid : FrameGrid
        Each frame's cell.
    warnings : tuple of str
        What is odd; no values of headers.
    """

    headers: tuple[Header, ...]
    source: NDArray[np.int64]
    records: FrameAttributes
    orientation: NDArray[np.float64]
    spacing: NDArray[np.float64]
    position: NDArray[np.float64]
    columns: tuple[Column, ...]
    stack: Stack | None
    grid: FrameGrid
    warnings: tuple[str, ...] = ()

    @property
    def header(self) -> Header:
        """The first instance."""
        return self.headers[0]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the dimensions in front of rows and columns."""
        if self.stack is not None:
            return (*self.grid.names, "z")
        return ("frame",) if self.grid.shape else ()

    @property
    def one_run(self) -> bool:
        """Whether there is one dimension of frames, which they fill one after the other."""
        if len(self.grid.shape) != 1:
            return False
        cells = int(np.prod(self.grid.shape, dtype=np.int64))
        return cells == len(self.grid.cell) and bool(np.all(np.diff(self.grid.cell) == 1))

    def flat(self) -> Image:
        """Return the same image with its frames in a row, as they stand in the instances."""
        grid = _in_a_row(len(self.grid.cell))
        note = "frames that share bytes cannot be moved: they stay in the order of the file"
        return replace(self, stack=None, grid=grid, warnings=(*self.warnings, note))


def _in_a_row(frames: int) -> FrameGrid:
    return FrameGrid(("frame",), (frames,), np.arange(frames, dtype=np.int64))


def is_multiframe(header: Header) -> bool:
    """Tell whether an instance describes its frames by functional groups, or has several."""
    if PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE in header:
        return True
    if SHARED_FUNCTIONAL_GROUPS_SEQUENCE in header:
        return True
    return frame_count(header) > 1


def frame_count(header: Header) -> int:
    """Return the number of frames of an instance, which is 1 where it does not say."""
    if NUMBER_OF_FRAMES not in header.elements:
        return 1
    try:
        return max(1, header.integer(NUMBER_OF_FRAMES) or 1)
    except FormatError:
        return 1


def instance_order(headers: Sequence[Header]) -> list[Header]:
    """Return instances by their number, those without one last, else in the order given."""

    def number(header: Header) -> float:
        element = header.elements.get(INSTANCE_NUMBER)
        try:
            return np.inf if element is None else float(element[1].strip(b" \0") or "inf")
        except ValueError:
            return np.inf

    return sorted(headers, key=number)


def images(
    headers: Sequence[Header], refuse: Callable[[Header, RefmakerError], None]
) -> list[Image]:
    """Return the images of one series, the largest first.

    Parameters
    ----------
    headers : sequence of Header
        Its instances that have pixels.
    refuse : callable
        Called with each instance that cannot be part of any, and why.
    """
    found: list[Image] = []
    singles, multi = _sorted_out(instance_order(headers), refuse)
    for group in singles:
        found += _of_frames(group, FrameAttributes.of_headers(group))
    for parts in parts_of_concatenation(multi):
        try:
            found += _of_parts(parts)
        except RefmakerError as error:
            for header in parts:
                refuse(header, error)
    return sorted(found, key=lambda image: -len(image.grid.cell))


def _sorted_out(
    headers: Sequence[Header], refuse: Callable[[Header, RefmakerError], None]
) -> tuple[list[list[Header]], list[Header]]:
    """Return groups of single frames that look alike, and the multi-frame instances."""
    alike: dict[Any, list[Header]] = {}
    multi: list[Header] = []
    layouts: dict[Any, Any] = {}
    together: dict[HeaderTemplate, list[Header]] = {}
    for header in headers:
        # Thousands of slices say the same in the same bytes: these are understood once.
        form = header.form
        if form is not None and form in together:
            together[form].append(header)
            continue
        pixels = header.pixels
        raw = (
            *map(header.elements.get, _LAYOUT),
            header.transfer_syntax,
            pixels and (pixels.tag, pixels.vr, pixels.length),
        )
        if raw not in layouts:
            try:
                layouts[raw] = layout_key(header)
            except RefmakerError as error:
                refuse(header, error)
                continue
        if is_multiframe(header):
            multi.append(header)
            continue
        elements = header.elements
        key = layouts[raw], elements.get(SOP_CLASS_UID), elements.get(PIXEL_SPACING)
        group = alike.setdefault(key, [])
        group.append(header)
        if form is not None and _DECIDING.isdisjoint(form.blanks):
            together[form] = group
    return list(alike.values()), multi


def parts_of_concatenation(headers: Sequence[Header]) -> list[list[Header]]:
    """Return multi-frame instances, those of one concatenation together and in order."""
    groups: dict[Any, list[Header]] = {}
    for number, header in enumerate(headers):
        uid = header.text(CONCATENATION_UID)
        groups.setdefault((uid, layout_key(header)) if uid else number, []).append(header)
    return [
        sorted(group, key=lambda part: part.number(CONCATENATION_OFFSET) or 0.0)
        for group in groups.values()
    ]


def _of_parts(parts: list[Header]) -> list[Image]:
    """Return the images of a multi-frame instance, or of several that belong together."""
    own: list[dict[int, Any]] = []
    shared: dict[int, Any] = {}
    for header in parts:
        frames = frame_count(header)
        try:
            common, each = frame_elements(header, frames)
        except FormatError:
            # Which frame is which is not known then, but the pixels are as good as ever.
            return _unknown(parts)
        shared = {**header.elements, **common}
        # A shared group of one part need not be that of another.
        base = common if len(parts) > 1 else {}
        own += [{**base, **item} for item in (each or [{}] * frames)]
    records = FrameAttributes(own, shared, parts[0].big)
    return _of_frames(parts, records)


def _unknown(parts: Sequence[Header]) -> list[Image]:
    """Return a multi-frame instance whose frames nothing is known of, as a row of frames."""
    frames = sum(map(frame_count, parts))
    records = FrameAttributes([{}] * frames, {}, parts[0].big)
    note = "the functional groups of the frames are damaged: frames stay in a row, without places"
    return [
        replace(image, warnings=(*image.warnings, note)) for image in _of_frames(parts, records)
    ]


def _source(headers: Sequence[Header], frames: int) -> NDArray[np.int64]:
    if frames == len(headers):
        return np.stack([np.arange(frames), np.zeros(frames, np.int64)], axis=1)
    counts = np.array([frame_count(header) for header in headers])
    within = np.arange(frames) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.stack([np.repeat(np.arange(len(headers)), counts), within], axis=1)


def _of_frames(headers: Sequence[Header], records: FrameAttributes) -> list[Image]:
    """Return one image for each orientation among frames that look alike otherwise."""
    position = records.numbers(POSITION, 3)
    orientation = records.numbers(ORIENTATION, 6)
    spacing = records.numbers(PIXEL_SPACING, 2)
    source = _source(headers, len(records))
    position = _dose_positions(headers, records, position, orientation)
    known = np.where(np.isfinite(spacing), spacing, -1.0)
    _, spaced = np.unique(known, axis=0, return_inverse=True)
    parallel = orientation_groups(orientation)
    # Frames with a position and frames without one are no stack together.
    placed = np.isfinite(position).all(axis=1)
    label = (spaced.reshape(-1) * (int(parallel.max(initial=0)) + 1) + parallel) * 2 + placed
    found = []
    for group in dict.fromkeys(label.tolist()):
        rows = np.flatnonzero(label == group)
        whole = rows.size == len(records)
        chosen = records if whole else records.take(rows)
        found.append(
            _image(
                tuple(headers),
                source[rows],
                chosen,
                orientation[rows[0]],
                spacing[rows[0]],
                position[rows],
            )
        )
    return found


def _image(
    headers: tuple[Header, ...],
    source: NDArray[np.int64],
    records: FrameAttributes,
    orientation: NDArray[np.float64],
    spacing: NDArray[np.float64],
    position: NDArray[np.float64],
) -> Image:
    columns = [*separating(records), *_index_columns(headers[0], records)]
    warnings: list[str] = []
    found = stack(position, orientation)
    grid: FrameGrid | None = None
    if found is not None:
        segmentation = headers[0].text(SOP_CLASS_UID) == SEGMENTATION
        order = [c for c in columns if c.name == "segment"] if segmentation else columns
        grid = discover(found.slot, found.size, order or columns, sparse=segmentation)
        warnings += _told(found, grid, len(records))
        if grid is None:
            found = None
    elif bool(np.isfinite(position).all()):
        warnings.append("the frames are no stack of planes: positions beside one another")
    if grid is None:
        grid = _in_a_row(len(records))
        if len(records) == 1:
            grid = FrameGrid((), (), np.zeros(1, np.int64))
    return Image(
        headers,
        source,
        records,
        orientation,
        spacing,
        position,
        tuple(columns),
        found,
        grid,
        tuple(warnings),
    )


def _told(found: Stack, grid: FrameGrid | None, frames: int) -> list[str]:
    """Return what is odd about an image that is a stack."""
    notes = []
    if grid is None:
        notes.append(
            f"{frames} frames at {found.size} positions, and no attribute tells them apart: "
            "they stay in a row, with all their coordinates"
        )
        return notes
    if grid.guessed:
        notes.append("frames at one position are told apart by their instance numbers alone")
    if not found.even:
        notes.append(
            f"the frames are not evenly spaced, by up to {found.deviation:.3f} mm: "
            "there is no affine, the z coordinate is exact"
        )
    if found.missing:
        notes.append(f"{len(found.missing)} of {found.size} positions have no frame")
    elsewhere = int(np.prod(grid.shape[:-1], dtype=np.int64)) * len(found.missing)
    if grid.empty > elsewhere:
        notes.append(f"{grid.empty} of {int(np.prod(grid.shape))} cells have no frame")
    return notes


def _index_columns(header: Header, records: FrameAttributes) -> list[Column]:
    """Return the dimension indices of a multi-frame instance that stand for no known attribute."""
    if not records.present(DIMENSION_INDEX_VALUES):
        return []
    pointers = index_pointers(header)
    if not pointers:
        return []
    values = records.numbers(DIMENSION_INDEX_VALUES, len(pointers))
    return [
        Column(f"dimension_{number + 1}", values[:, number])
        for number, tag in enumerate(pointers)
        if tag not in _SPATIAL | _NUMBERED and bool(np.isfinite(values[:, number]).all())
    ]


def _dose_positions(
    headers: Sequence[Header],
    records: FrameAttributes,
    position: NDArray[np.float64],
    orientation: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the positions of dose planes, which one vector of distances tells (C.8.8.3.2)."""
    if GRID_FRAME_OFFSETS not in headers[0] or len(headers) > 1 or len(records) < 2:
        return position
    offsets = headers[0].numbers(GRID_FRAME_OFFSETS)
    from refmaker.scanners.dicom.geometry import normal

    across = normal(orientation[0])
    if offsets is None or len(offsets) != len(records) or across is None:
        return position
    if offsets[0] != 0:
        # Distances that do not begin with 0 are coordinates of the patient's axis.
        across = np.array([0.0, 0.0, 1.0])
    away = np.array(offsets) - offsets[0]
    return np.asarray(position[0] + away[:, None] * across)

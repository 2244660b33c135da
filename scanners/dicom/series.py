"""Series to images: which instances belong together, and every frame's place in their array.

Frames that look alike otherwise make one image for each frame of reference, pixel spacing and
orientation: localisers and views along other axes are images of their own. Multi-frame
instances are images by themselves, or the volumes of one image if they fill one grid.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from refmaker.errors import FormatError, RefmakerError
from refmaker.scanners.dicom.agreement import differing
from refmaker.scanners.dicom.dimensions import Column, FrameGrid, discover
from refmaker.scanners.dicom.enhanced import (
    DIMENSION_INDEX_VALUES,
    frame_elements,
    index_pointers,
)
from refmaker.scanners.dicom.frame_attributes import (
    ORIENTATION,
    ORIENTATION_IN_VOLUME,
    PIXEL_SPACING,
    POSITION,
    POSITION_IN_VOLUME,
    FrameAttributes,
)
from refmaker.scanners.dicom.frame_columns import separating
from refmaker.scanners.dicom.frame_vectors import (
    described_columns,
    frame_numbers,
    has_vectors,
    reconstructed_places,
    vector_grid,
)
from refmaker.scanners.dicom.geometry import (
    PARALLEL,
    SAME,
    Stack,
    distances,
    normal,
    orientation_groups,
    spacing_groups,
    stack,
)
from refmaker.scanners.dicom.grouping import (
    instance_order,
    may_join,
    missing_parts,
    parts_of_concatenation,
    sorted_out,
)
from refmaker.scanners.dicom.mosaic_layout import picture_positions
from refmaker.scanners.dicom.pixels import frame_count, is_told
from refmaker.scanners.dicom.tags import (
    COLUMNS,
    FRAME_OF_REFERENCE_UID,
    PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
    ROWS,
    SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
    SOP_CLASS_UID,
)
from refmaker.scanners.dicom.values import tag_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from refmaker.scanners.dicom.header import Header
    from refmaker.scanners.dicom.mosaic_layout import Mosaic
    from refmaker.scanners.dicom.tags import Element

__all__ = ["Image", "images"]

GRID_FRAME_OFFSETS = 0x3004000C
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
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
    tiles : Mosaic or None
        How slices lie in the frames, if these are mosaics; `stack` is that of the slices then.
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
    tiles: Mosaic | None = None

    @property
    def header(self) -> Header:
        """The first instance."""
        return self.headers[0]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the dimensions in front of rows and columns."""
        if self.stack is not None or self.tiles is not None:
            return (*self.grid.names, "z")
        return self.grid.names

    @property
    def one_run(self) -> bool:
        """Whether there is one dimension of frames, which they fill one after the other."""
        if len(self.grid.shape) != 1:
            return False
        cells = int(np.prod(self.grid.shape, dtype=np.int64))
        return cells == len(self.grid.cell) and bool(np.all(np.diff(self.grid.cell) == 1))

    def flat(self, note: str) -> Image:
        """Return the same image with its frames in a row, as they stand in the instances."""
        return replace(self, stack=None, grid=_in_a_row(len(self.grid.cell))).noted(note)

    def noted(self, *notes: str) -> Image:
        """Return the same image with more warnings."""
        return replace(self, warnings=(*self.warnings, *notes))


def _in_a_row(frames: int) -> FrameGrid:
    return FrameGrid(("frame",), (frames,), np.arange(frames, dtype=np.int64))


def images(
    headers: Sequence[Header],
    refuse: Callable[[Header, RefmakerError], None],
    *,
    join: bool = True,
) -> list[Image]:
    """Return the images of one series, the largest first.

    Parameters
    ----------
    headers : sequence of Header
        Its instances that have pixels.
    refuse : callable
        Called with each instance that cannot be part of any, and why.
    join : bool
        Whether several multi-frame instances may make one image.
    """
    found: list[Image] = []
    singles, multi = sorted_out(instance_order(headers), refuse)
    for group in singles:
        found += _of_frames(group, FrameAttributes.of_headers(group))
    for instances in may_join(parts_of_concatenation(multi)):
        sound: list[_Instance] = []
        for parts in instances:
            try:
                sound.append(_Instance.read(parts))
            except FormatError:
                # Which frame is which is not known then, but the pixels are as good as ever.
                found += _unknown(parts)
            except RefmakerError as error:
                for header in parts:
                    refuse(header, error)
        joint = _joint(sound) if join and len(sound) > 1 else None
        if joint is not None:
            notes = filter(None, (missing_parts(instance.parts) for instance in sound))
            found.append(joint.noted(*dict.fromkeys(notes)))
            continue
        for instance in sound:
            made = _of_frames(instance.parts, _attributes([instance]))
            told = all(is_told(part) or frame_count(part) == 1 for part in instance.parts)
            made = made if told else [image.flat(_UNTOLD) for image in made]
            note = missing_parts(instance.parts)
            found += [image.noted(note) for image in made] if note else made
    return sorted(found, key=lambda image: -len(image.grid.cell))


@dataclass(frozen=True, slots=True, eq=False)
class _Instance:
    """A multi-frame instance, or the parts of its concatenation, with its functional groups."""

    parts: list[Header]
    groups: list[tuple[dict[int, Element], list[dict[int, Element]]]]

    @classmethod
    def read(cls, parts: list[Header]) -> _Instance:
        groups = []
        for header in parts:
            frames = frame_count(header)
            shared, own = frame_elements(header, frames)
            if not own and frames > 1 and has_vectors(header):
                own = frame_numbers(header, frames)
            groups.append((shared, own))
        return cls(parts, groups)


_UNTOLD = "nothing tells where its frames belong: they stay in a row"
_GROUPS = frozenset({SHARED_FUNCTIONAL_GROUPS_SEQUENCE, PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE})


def _attributes(instances: Sequence[_Instance]) -> FrameAttributes:
    """Return the elements of all frames: what instances differ in belongs to their frames."""
    parts = [header for instance in instances for header in instance.parts]
    groups = [group for instance in instances for group in instance.groups]
    varying = (differing(parts) if len(parts) > 1 else frozenset()) - _GROUPS
    same = set(groups[0][0].items())
    for common, _ in groups[1:]:
        same &= common.items()
    shared = {tag: item for tag, item in parts[0].elements.items() if tag not in varying}
    # What instances agree in is not kept for each of their frames.
    shared |= dict(same)
    own: list[dict[int, Element]] = []
    for header, (common, each) in zip(parts, groups, strict=True):
        base = {tag: header.elements[tag] for tag in varying if tag in header.elements}
        base |= {tag: item for tag, item in common.items() if (tag, item) not in same}
        own += [base | item for item in each or [{}] * frame_count(header)]
    return FrameAttributes(own, shared, parts[0].big)


def _joint(instances: Sequence[_Instance]) -> Image | None:
    """Return several multi-frame instances as one image, None if they do not fill one grid."""
    headers = [header for instance in instances for header in instance.parts]
    found = _of_frames(headers, _attributes(instances))
    if len(found) != 1 or found[0].stack is None or not found[0].stack.even:
        return None
    image = found[0]
    if image.grid.guessed:
        image = _by_instance(image, instances) or image
    sound = image.grid.unfinished or not image.grid.empty
    return image if sound and not image.grid.guessed else None


def _by_instance(image: Image, instances: Sequence[_Instance]) -> Image | None:
    """Return an image whose volumes are its instances, if each of them has a frame everywhere."""
    assert image.stack is not None  # noqa: S101 - the caller has looked
    count, places = len(instances), image.stack.size
    lengths = [len(instance.parts) for instance in instances]
    which = np.repeat(np.arange(count), lengths)[image.source[:, 0]]
    cell = which * places + image.stack.slot
    if count * places != cell.size or np.unique(cell).size != cell.size:
        return None
    grid = FrameGrid(("volume",), (count, places), cell)
    return replace(image, grid=grid, warnings=tuple(_told(image.stack, grid, cell.size)))


def _unknown(parts: Sequence[Header]) -> list[Image]:
    """Return a multi-frame instance whose frames nothing is known of, as a row of frames."""
    frames = sum(map(frame_count, parts))
    records = FrameAttributes([{}] * frames, {}, parts[0].big)
    note = "the functional groups of the frames are damaged: frames stay in a row, without places"
    return [image.noted(note) for image in _of_frames(parts, records)]


def _source(headers: Sequence[Header], frames: int) -> NDArray[np.int64]:
    if frames == len(headers):
        return np.stack([np.arange(frames), np.zeros(frames, np.int64)], axis=1)
    counts = np.array([frame_count(header) for header in headers])
    within = np.arange(frames) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.stack([np.repeat(np.arange(len(headers)), counts), within], axis=1)


def _of_frames(headers: Sequence[Header], records: FrameAttributes) -> list[Image]:
    """Return the images of frames that look alike: one for each plane and frame of reference."""
    volume = records.in_volume
    position = records.numbers(POSITION_IN_VOLUME if volume else POSITION, 3)
    orientation = records.numbers(ORIENTATION_IN_VOLUME if volume else ORIENTATION, 6)
    spacing = distances(records.numbers(PIXEL_SPACING, 2))
    source = _source(headers, len(records))
    position, dose_note = _dose_positions(headers, records, position, orientation)
    position = picture_positions(headers, position)
    if len(headers) == 1 and has_vectors(headers[0]):
        position, orientation = reconstructed_places(headers[0], records) or (position, orientation)
    extent = headers[0].integer(ROWS) or 1, headers[0].integer(COLUMNS) or 1
    # Frames with a position and frames without one are no stack together.
    placed = np.array(np.isfinite(position).all(axis=1), bool)
    systems = [uid if known else "" for uid, known in zip(_systems(records), placed, strict=True)]
    number_of = {uid: number for number, uid in enumerate(dict.fromkeys(systems))}
    label = np.stack(
        [
            spacing_groups(spacing, extent),
            orientation_groups(orientation),
            placed,
            np.array([number_of[uid] for uid in systems]),
        ],
        axis=1,
    )
    notes: tuple[str, ...] = (dose_note,) if dose_note else ()
    if len(number_of.keys() - {""}) > 1:
        notes += ("the series has several frames of reference, which are kept apart",)
    _, label = np.unique(label, axis=0, return_inverse=True)
    label = label.reshape(-1)
    found = []
    for group in dict.fromkeys(label.tolist()):
        rows = np.flatnonzero(label == group)
        whole = rows.size == len(records)
        chosen = records if whole else records.take(rows)
        image = _image(
            tuple(headers),
            source[rows],
            chosen,
            orientation[rows[0]],
            spacing[rows[0]],
            position[rows],
        )
        found.append(replace(image, warnings=(*notes, *image.warnings)) if notes else image)
    return found


def _systems(records: FrameAttributes) -> list[str]:
    """Return the frame of reference of each frame."""
    uids: list[str] = records.texts(FRAME_OF_REFERENCE_UID).tolist()
    return uids


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
    if len(headers) == 1 and len(records) > 1 and has_vectors(headers[0]):
        slot = None if found is None else found.slot
        columns += described_columns(headers[0], columns)
        grid, note = vector_grid(headers[0], columns, len(records), slot)
        warnings += [note] if note else []
        found = found if grid is not None else None
    elif found is not None:
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
    if grid.unfinished:
        notes.append("the last volume is not complete: cells without a frame are absent")
    if found.missing:
        notes.append(f"{len(found.missing)} of {found.size} positions have no frame")
    elsewhere = int(np.prod(grid.shape[:-1], dtype=np.int64)) * len(found.missing)
    if grid.empty > elsewhere and not grid.unfinished:
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
) -> tuple[NDArray[np.float64], str]:
    """Return the positions of dose planes, which one vector of distances tells (C.8.8.3.2)."""
    if GRID_FRAME_OFFSETS not in headers[0] or len(headers) > 1 or len(records) < 2:
        return position, ""
    offsets = headers[0].numbers(GRID_FRAME_OFFSETS)
    across = normal(orientation[0])
    if across is None:
        return position, ""
    nowhere = np.full(position.shape, np.nan)
    if offsets is None or len(offsets) != len(records):
        return nowhere, f"{tag_text(GRID_FRAME_OFFSETS)} has no distance for each plane of dose"
    if offsets[0] != 0:
        # Distances that do not begin with 0 are coordinates along the patient's axis.
        if abs(offsets[0] - position[0, 2]) > SAME or abs(abs(across[2]) - 1) > PARALLEL:
            note = "begins neither with 0 nor with the place of the first plane of dose"
            return nowhere, f"{tag_text(GRID_FRAME_OFFSETS)} {note}"
        across = np.array([0.0, 0.0, 1.0])
    away = np.array(offsets) - offsets[0]
    return np.asarray(position[0] + away[:, None] * across), ""

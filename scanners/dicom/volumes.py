"""Images as arrays with coordinates: frames moved to their cells, millimetres, rescaling."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import MetadataError
from refmaker.model import Array, ChunkTable, chunk_grid
from refmaker.scanners.dicom import geometry
from refmaker.scanners.dicom.dimensions import Column, coordinates
from refmaker.scanners.dicom.frames import Frames, instance_array, stack
from refmaker.scanners.dicom.inline import inlined_array
from refmaker.scanners.dicom.metadata import SHOWN_OTHERWISE, attribute_values, presentable
from refmaker.scanners.dicom.privacy import UIDS, hashed_uid
from refmaker.scanners.dicom.records import INTERCEPT, SLOPE
from refmaker.scanners.dicom.series import frame_count

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.scan import ScanOptions
    from refmaker.scanners.dicom.header import Header
    from refmaker.scanners.dicom.metadata import Selection
    from refmaker.scanners.dicom.series import Image

__all__ = ["Choices", "Volume", "frames_of", "moved", "volume"]

DOSE_SCALING, DOSE_UNITS = 0x3004000E, 0x30040002
RESCALE_TYPE, PET_UNITS, MODALITY = 0x00281054, 0x00541001, 0x00080060
FRAME_TIME = 0x00181063
_UNITS = {"HU": "HU", "GY": "Gy", "BQML": "Bq/ml", "CNTS": "counts", "PROPCPS": "counts/s"}
"""Units as attributes: those of DICOM whose meaning is plain."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What users chose.

    Parameters
    ----------
    options : ScanOptions
        How to scan.
    storage_options : mapping or None
        Passed to fsspec.
    selection : Selection
        Attributes to write.
    uids : str
        ``"none"``, ``"hash"`` or ``"keep"``.
    salt : bytes
        Key of the hashes.
    trust_bits : bool
        As for `frames.instance_array`.
    slides : str
        ``"ngff"``, samples of slides come first, or ``"native"``, as they are stored.
    strict : bool
        Whether a set that holds identifiers is to be refused.
    """

    options: ScanOptions
    storage_options: Mapping[str, Any] | None
    selection: Selection
    uids: str = "none"
    salt: bytes = b""
    trust_bits: bool = False
    slides: str = "ngff"
    strict: bool = False

    def uid(self, text: str) -> str:
        """Return a UID as it is to be written."""
        return hashed_uid(text, self.salt) if self.uids == "hash" else text


@dataclass(frozen=True, slots=True)
class Volume:
    """One image, ready to be a part of a group.

    Parameters
    ----------
    image : Image
        Which frames it is made of, and where they went.
    members : dict of str to Array
        The array ``image`` and its coordinates.
    warnings : tuple of str
        What is odd.
    """

    image: Image
    members: dict[str, Array]
    warnings: tuple[str, ...]


def frames_of(image: Image, choices: Choices) -> Frames:
    """Return the frames of an image in the order of its columns.

    Raises
    ------
    RefmakerError
        If an instance cannot be referenced; names the file.
    """
    headers, source = image.headers, image.source
    common: dict[str, Any] = {
        "storage_options": choices.storage_options,
        "trust_bits": choices.trust_bits,
    }
    if all(frame_count(header) == 1 for header in headers):
        used = [headers[number] for number in source[:, 0].tolist()]
        return stack(used, choices.options, **common)
    whole = source.shape[0] == sum(map(frame_count, headers))
    apart = not (whole and image.in_order and len(headers) == 1)
    parts = [instance_array(h, choices.options, per_frame=apart, **common) for h in headers]
    joined = parts[0]
    if len(parts) > 1:
        joined = replace(joined, array=_joined([part.array for part in parts]))
    if whole:
        return joined
    starts = np.cumsum([0, *(part.array.shape[0] for part in parts)])
    rows = starts[source[:, 0]] + source[:, 1]
    return replace(joined, array=_taken(joined.array, rows))


def _joined(arrays: Sequence[Array]) -> Array:
    """Return arrays of the parts of a concatenation as one."""
    first = arrays[0]
    alike = {(a.shape[1:], a.chunk_shape, a.dtype, str(a.codecs)) for a in arrays}
    if len(alike) != 1 or first.chunk_shape[0] != 1:
        raise MetadataError("the parts of a concatenation are encoded in different ways")
    table = ChunkTable.concatenate([array.chunks for array in arrays], 0)
    frames = sum(array.shape[0] for array in arrays)
    return replace(first, shape=(frames, *first.shape[1:]), chunks=table)


def _per_frame(array: Array) -> int:
    """Return the number of chunks of each frame."""
    return int(np.prod(array.chunks.grid[1:], dtype=np.int64))


def _taken(array: Array, rows: NDArray[np.int64]) -> Array:
    """Return some frames of an array."""
    if array.chunk_shape[0] != 1:
        raise MetadataError("frames that share bytes cannot be taken apart")
    target = np.full(array.shape[0], -1, np.int64)
    target[rows] = np.arange(rows.size)
    return moved(array, target, (rows.size,), ("frame",))


def moved(
    array: Array, cell: NDArray[np.int64], shape: Sequence[int], names: Sequence[str]
) -> Array:
    """Return an array whose frames lie in the cells of a grid.

    Parameters
    ----------
    array : Array
        Frames one after the other, each in chunks of its own.
    cell : ndarray of int64, shape (n,)
        Flat number of each frame's cell; negative for frames that are left out.
    shape, names : sequence
        Extents and names of the grid's dimensions.
    """
    table, each = array.chunks, _per_frame(array)
    numbers = table.numbers().astype(np.int64)
    target = cell[numbers // each]
    kept = target >= 0
    index = (target * each + numbers % each)[kept]
    tail = ("y", "x", "c")[: len(array.shape) - 1]
    full, chunk = (*shape, *array.shape[1:]), (*(1,) * len(shape), *array.chunk_shape[1:])
    chunks = ChunkTable.from_columns(
        chunk_grid(full, chunk),
        table.urls,
        offset=table.offset[kept],
        length=table.length[kept],
        url=None if table.url is None else table.url[kept],
        index=index,
    )
    return replace(
        array, shape=full, chunk_shape=chunk, chunks=chunks, dimension_names=(*names, *tail)
    )


def volume(image: Image, choices: Choices, suffix: str = "") -> Volume:
    """Return an image as an array with its coordinates.

    Parameters
    ----------
    image : Image
        Its frames and their cells.
    choices : Choices
        What users chose.
    suffix : str
        Ending of all names, so that several images fit into one group.

    Raises
    ------
    RefmakerError
        If an instance cannot be referenced; names the file.
    """
    frames = frames_of(image, choices)
    array = frames.array
    shared = array.chunk_shape[0] != 1
    if shared and not image.in_order:
        image = image.flat()
        # The order in which bytes lie is the only one that their chunks can have.
    if shared or (image.in_order and len(image.grid.shape) == 1):
        tail = ("y", "x", "c")[: len(array.shape) - 1]
        array = replace(array, dimension_names=(*image.names, *tail))
    else:
        array = moved(array, image.grid.cell, image.grid.shape, image.names)
    members, attributes = _coordinates(image, choices)
    members |= _axes(image, array)
    attributes |= _plane(image) | {"photometric": frames.photometric}
    scaling, arrays = _rescaling(image)
    if array.dtype.kind == "f" and not scaling and not arrays:
        scaling = {}
    fill = 0 if "segment" in image.grid.names else array.fill_value
    array = replace(
        array,
        attributes={**dict(array.attributes), **attributes, **scaling},
        fill_value=fill,
    )
    members = {"image": array, **members, **arrays}
    return Volume(image, _suffixed(members, suffix), (*image.warnings, *frames.warnings))


def _suffixed(members: dict[str, Array], suffix: str) -> dict[str, Array]:
    if not suffix:
        return members
    renamed = {}
    for name, array in members.items():
        names = tuple(f"{dimension}{suffix}" for dimension in array.dimension_names or ())
        renamed[f"{name}{suffix}"] = replace(array, dimension_names=names)
    return renamed


def _axes(image: Image, array: Array) -> dict[str, Array]:
    """Return the coordinates along frames, rows and columns, in millimetres."""
    found: dict[str, Array] = {}
    if image.stack is not None:
        attributes = {"units": "mm", "long_name": "distance from the first frame"}
        found["z"] = inlined_array(image.stack.offset, ("z",), attributes)
        for name, extent, step in zip(
            "yx", array.shape[len(image.names) :], image.spacing, strict=False
        ):
            if np.isfinite(step):
                along = np.arange(extent) * float(step)
                found[name] = inlined_array(along, (name,), {"units": "mm"})
    return found


def _plane(image: Image) -> dict[str, Any]:
    """Return what is known of the geometry as attributes."""
    if image.stack is not None:
        return geometry.attributes(image.stack, image.orientation, image.spacing)
    if bool(np.isfinite(image.spacing).all()):
        return {"affine": None, "spacing": [None, *map(float, image.spacing)]}
    return {}


def _rescaling(image: Image) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the linear transformation of values: attributes, or arrays where it varies."""
    header = image.header
    slope, intercept = image.records.number(SLOPE), image.records.number(INTERCEPT)
    if DOSE_SCALING in header:
        slope, intercept = image.records.number(DOSE_SCALING), np.zeros(len(image.records))
    known = np.isfinite(slope) | np.isfinite(intercept)
    if not bool(known.any()):
        return {}, {}
    slope = np.where(known, np.where(np.isfinite(slope), slope, 1.0), 1.0)
    intercept = np.where(np.isfinite(intercept), intercept, 0.0)
    units = _units(header)
    if bool(np.all(slope == slope[0])) and bool(np.all(intercept == intercept[0])):
        if slope[0] == 1 and intercept[0] == 0:
            return units, {}
        return {"scale_factor": float(slope[0]), "add_offset": float(intercept[0]), **units}, {}
    arrays = {}
    for name, values in (("rescale_slope", slope), ("rescale_intercept", intercept)):
        found = coordinates(Column(name, values), image.grid.cell, image.names, image.grid.shape)
        if found is not None:
            arrays[name] = inlined_array(found[1], found[0])
    text = "values are image * rescale_slope + rescale_intercept, which differ between frames"
    return {"rescale": text, **({"rescaled_units": units["units"]} if units else {})}, arrays


def _units(header: Header) -> dict[str, str]:
    for tag in (DOSE_UNITS, RESCALE_TYPE, PET_UNITS):
        unit = _UNITS.get(header.text(tag).upper())
        if unit is not None:
            return {"units": unit}
    if header.text(MODALITY) == "CT" and SLOPE in header and RESCALE_TYPE not in header:
        # C.8.2.1.1: of original CT images the values are Hounsfield units by definition.
        return {"units": "HU"} if "ORIGINAL" in header.text(0x00080008) else {}
    return {}


def _coordinates(image: Image, choices: Choices) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return what varies from frame to frame as arrays, what does not as attributes."""
    members: dict[str, Array] = {}
    varying = _varying(image.headers) if len(image.headers) > 1 else set()
    attributes = _constant(image, choices, varying)
    columns = [*image.columns, *_selected(image, choices, attributes, varying)]
    for column in _split(columns):
        text = column.values.dtype.kind in "US"
        if text and not column.attributes.get("asked") and not presentable(column.values.tolist()):
            continue
        found = coordinates(column, image.grid.cell, image.names, image.grid.shape)
        if found is None:
            continue
        names, values = found
        name = column.name
        if not names:
            _keep_constant(name, values, column, attributes)
            continue
        if name in image.names and names != (name,):
            name = f"{name}_of_frame"
        if name in members:
            continue
        if values.ndim > len(names):
            names = (*names, f"{column.name}_component")
        told = {"units": column.units} if column.units else {}
        members[name] = inlined_array(values, names, told)
    for name, dimension in (("position", "patient_axis"), ("orientation", "cosine")):
        members |= _vectors(image, name, dimension)
    return members, attributes


def _keep_constant(
    name: str, values: NDArray[Any], column: Column, attributes: dict[str, Any]
) -> None:
    if column.clock or name in attributes or name in ("acquisition_time", "content_time"):
        return
    flat = values.tolist()
    if isinstance(flat, list):
        flat = [None if isinstance(v, float) and not np.isfinite(v) else v for v in flat]
    attributes[name] = flat


def _vectors(image: Image, name: str, dimension: str) -> dict[str, Array]:
    """Return position or orientation of the frames, where they have one."""
    if not image.names or not bool(np.isfinite(image.position).any()):
        return {}
    if name == "orientation":
        if image.stack is not None:
            return {}
        values = image.records.numbers(0x00200037, 6)
        if not bool(np.isfinite(values).any()):
            return {}
        units = {}
    else:
        values, units = image.position, {"units": "mm", "axes": "LPS"}
    column = Column(name, values)
    names, shape = image.names, image.grid.shape
    found = coordinates(column, image.grid.cell, names, shape)
    if found is None:
        return {}
    return {name: inlined_array(found[1], (*found[0], dimension), units)}


def _split(columns: Sequence[Column]) -> list[Column]:
    """Return the columns, b-value and direction of diffusion apart."""
    found = []
    for column in columns:
        if column.name != "diffusion":
            found.append(column)
            continue
        found.append(Column("b_value", column.values[:, 0], "s/mm2"))
        found.append(Column("b_vector", column.values[:, 1:]))
    return found


def _constant(image: Image, choices: Choices, varying: set[int]) -> dict[str, Any]:
    """Return the chosen attributes that all instances agree on."""
    headers = image.headers
    same = [tag for tag in _tags(headers, choices) if tag not in varying]
    values = attribute_values(headers[0], same)
    named = {choices.selection.name(tag): value for tag, value in values.items()}
    if choices.uids != "none":
        for tag, name in UIDS.items():
            uid = headers[0].text(tag)
            if uid and tag not in varying:
                named[name] = choices.uid(uid)
    return named


def _tags(headers: Sequence[Header], choices: Choices) -> list[int]:
    chosen = choices.selection
    if chosen.mode == "none":
        return []
    if chosen.mode == "all":
        found = dict.fromkeys(tag for header in headers for tag in header)
        return [tag for tag in found if tag >> 16 > 2 and tag not in SHOWN_OTHERWISE | UIDS.keys()]
    return [tag for tag in chosen.tags if tag not in SHOWN_OTHERWISE]


def _varying(headers: Sequence[Header]) -> set[int]:
    """Return the tags of elements that are not the same in all instances."""
    tags = set(headers[0].elements)
    common = set(headers[0].elements.items())
    for header in headers[1:]:
        tags.update(header.elements)
        common.intersection_update(header.elements.items())
    return tags - {tag for tag, _ in common}


def _selected(
    image: Image, choices: Choices, attributes: Mapping[str, Any], varying: set[int]
) -> list[Column]:
    """Return the chosen attributes in which instances differ, as columns of frames."""
    headers = image.headers
    columns = []
    if len(headers) > 1:
        for tag in _tags(headers, choices):
            name = choices.selection.name(tag)
            if name not in attributes and tag in varying:
                columns.append(_column(image, tag, name))
    if choices.uids != "none":
        for tag, name in UIDS.items():
            if name not in attributes and tag in headers[0]:
                texts = [choices.uid(header.text(tag)) for header in headers]
                values = np.array(texts)[image.source[:, 0]]
                columns.append(Column(name, values, attributes={"asked": True}))
    if FRAME_TIME in image.header and image.names == ("frame",):
        step = image.header.number(FRAME_TIME)
        if step is not None:
            columns.append(Column("time", image.source[:, 1] * step, "ms"))
    return [column for column in columns if column is not None]


def _column(image: Image, tag: int, name: str) -> Column:
    """Return one attribute of all instances: numbers where it is a single number."""
    known: dict[Any, Any] = {}
    values = []
    for header in image.headers:
        element = header.elements.get(tag)
        if element not in known:
            known[element] = attribute_values(header, [tag]).get(tag)
        values.append(known[element])
    rows = image.source[:, 0]
    if all(value is None or isinstance(value, int | float) for value in values):
        whole = all(isinstance(value, int) for value in values)
        numbers = [np.nan if value is None else value for value in values]
        return Column(name, np.array(numbers, np.int64 if whole else np.float64)[rows])
    texts = [
        ""
        if value is None
        else "\\".join(map(str, value))
        if isinstance(value, list)
        else str(value)
        for value in values
    ]
    return Column(name, np.array(texts)[rows], attributes={"asked": True})

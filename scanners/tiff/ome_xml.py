"""OME-XML: what a file's description says of its images, before pages are looked up.

Implements the parts of the OME data model (2016-06 and its predecessors) that say where
planes lie and what they are: ``Image``, ``Pixels``, ``Channel``, ``TiffData`` with ``UUID``,
``Plane``, ``BinaryOnly`` and the annotations that split an axis ("modulo").
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refmaker.errors import FormatError, LimitError
from refmaker.scanners.tiff.image_model import AXIS_NAMES, Axis, Channel, Position
from refmaker.scanners.tiff.markup import children, local_name, parse
from refmaker.scanners.tiff.units import number, unit_name

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from numpy.typing import NDArray

__all__ = ["BinaryOnly", "Data", "Document", "Pixels", "read_document"]

_PLANES = 1 << 22
"""Planes of an image; a thousand times those of the largest real ones."""
_MODULO = {
    "angle": "A", "phase": "P", "tile": "R", "lifetime": "H", "lambda": "E", "other": "Q",
}  # fmt: skip
_QUANTITIES = {
    "delta_t": ("DeltaT", True), "exposure_time": ("ExposureTime", True),
    "position_x": ("PositionX", False), "position_y": ("PositionY", False),
    "position_z": ("PositionZ", False),
}  # fmt: skip


class BinaryOnly(NamedTuple):
    """A file that has pixels only; the description is in another."""

    name: str
    uuid: str


@dataclass(frozen=True, slots=True)
class Data:
    """Consecutive planes of an image in consecutive pages of one file (``TiffData``).

    Parameters
    ----------
    first : int
        The first plane, counted in the order of the image.
    page : int
        The first page, counted along the main chain.
    count : int
        Planes; 0 for all pages of the file.
    uuid, name : str
        The file; empty for the one with the description.
    """

    first: int
    page: int
    count: int
    uuid: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """One image.

    Parameters
    ----------
    name : str
        Its name.
    axes : tuple of Axis
        The leading dimensions, slowest first; channels of several samples count once.
    samples : int
        Of each channel.
    shape : tuple of int
        Rows and columns.
    pixels : tuple of Axis
        y and x.
    channels : tuple of Channel
        One for each channel.
    data : tuple of Data
        Where the planes are; empty if the file does not say.
    positions : tuple of Position
        What planes have values of.
    attributes : dict
        More that is said of it.
    problem : str
        Why it cannot be read; empty if it can.
    """

    name: str
    axes: tuple[Axis, ...]
    samples: int
    shape: tuple[int, int]
    pixels: tuple[Axis, Axis]
    channels: tuple[Channel, ...] = ()
    data: tuple[Data, ...] = ()
    positions: tuple[Position, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """What an OME-XML document says.

    Parameters
    ----------
    uuid : str
        Of the file that it stands in, as that file's root element says; empty if it does not.
    images : tuple of Pixels
        In order.
    binary_only : BinaryOnly, optional
        If the description is elsewhere.
    """

    uuid: str
    images: tuple[Pixels, ...]
    binary_only: BinaryOnly | None = None


def read_document(text: str) -> Document:
    """Return what an OME-XML document says.

    Raises
    ------
    FormatError
        If it is not well-formed, or no OME-XML.
    LimitError
        If it has more planes than any real one.
    """
    root = parse(text, "the OME-XML")
    if local_name(root) != "OME":
        raise FormatError(f"the OME-XML is a {local_name(root)!r} element")
    for element in children(root, "BinaryOnly"):
        other = BinaryOnly(element.get("MetadataFile", ""), element.get("UUID", ""))
        return Document(root.get("UUID", ""), (), other)
    modulo = _modulo(root)
    images = [
        _pixels(image, pixels, modulo)
        for image in children(root, "Image")
        for pixels in children(image, "Pixels")
    ]
    return Document(root.get("UUID", ""), tuple(images))


def _modulo(root: Element) -> dict[str, dict[str, tuple[str, int, tuple[str, ...]]]]:
    """Return, by annotation, how axes are split: new letter, extent, labels."""
    found: dict[str, dict[str, tuple[str, int, tuple[str, ...]]]] = {}
    for group in children(root, "StructuredAnnotations"):
        for note in group:
            if not note.get("Namespace", "").endswith("modulo"):
                continue
            splits = found.setdefault(note.get("ID", ""), {})
            for along in note.iter():
                name = local_name(along)
                if name[:-1] == "ModuloAlong":
                    letter = _MODULO.get(along.get("Type", "other").lower(), "Q")
                    labels = tuple((child.text or "") for child in children(along, "Label"))
                    splits[name[-1]] = letter, _steps(along) or len(labels), labels
    return found


def _steps(along: Element) -> int:
    start, end = number(along.get("Start")), number(along.get("End"))
    step = number(along.get("Step", "1"))
    if start is None or end is None or not step:
        return 0
    return max(0, math.floor((end - start) / step + 1e-6) + 1)


def _pixels(image: Element, pixels: Element, modulo: dict[str, Any]) -> Pixels:
    name = image.get("Name", "")
    order = pixels.get("DimensionOrder", "XYZCT")
    sizes = {letter: _extent(pixels, f"Size{letter}") for letter in "XYZCT"}
    shape = sizes["Y"], sizes["X"]
    if sorted(order) != sorted("XYZCT") or order[:2] != "XY" or min(sizes.values()) < 1:
        told = f"DimensionOrder {order!r} with sizes {sizes}"
        return Pixels(name, (), 1, shape, (Axis("y"), Axis("x")), problem=told)
    channels = list(children(pixels, "Channel"))
    told_samples = (number(one.get("SamplesPerPixel", "1"), positive=True) for one in channels)
    samples = sorted({max(1, int(count or 1)) for count in told_samples}) or [1]
    problem = "" if len(samples) == 1 else f"channels of {samples} samples per pixel"
    if sizes["C"] % samples[0]:
        problem = f"{sizes['C']} channels of {samples[0]} samples each"
    sizes["C"] = max(1, sizes["C"] // samples[0])
    letters = order[:1:-1]
    extents = [sizes[letter] for letter in letters]
    if math.prod(extents) > _PLANES:
        raise LimitError(f"an OME-XML image of {math.prod(extents)} planes")
    axes = [_axis(pixels, letter, sizes[letter]) for letter in letters]
    references = [one.get("ID", "") for one in children(image, "AnnotationRef")]
    splits: dict[str, Any] = next((modulo[one] for one in references if one in modulo), {})
    return Pixels(
        name,
        _split(axes, letters, splits),
        samples[0],
        shape,
        (_axis(pixels, "Y", 0), _axis(pixels, "X", 0)),
        tuple(_channel(one) for one in channels),
        tuple(_data(one, letters, extents) for one in children(pixels, "TiffData")),
        _positions(pixels, letters, extents),
        _attributes(image, pixels),
        problem,
    )


def _extent(element: Element, name: str) -> int:
    value = number(element.get(name, "1"))
    return int(value) if value is not None and 0 < value < 2**31 else 0


def _axis(pixels: Element, letter: str, size: int) -> Axis:
    name = AXIS_NAMES[letter]
    if letter == "T":
        step = number(pixels.get("TimeIncrement"), positive=True)
        unit = unit_name(pixels.get("TimeIncrementUnit", "s"), time=True)
        return Axis(name, size, step, unit if step else None)
    if letter == "C":
        return Axis(name, size)
    step = number(pixels.get(f"PhysicalSize{letter}"), positive=True)
    unit = unit_name(pixels.get(f"PhysicalSize{letter}Unit", "µm"))
    return Axis(name, size, step, unit if step else None)


def _split(axes: list[Axis], letters: str, splits: dict[str, Any]) -> tuple[Axis, ...]:
    """Return the axes after annotations have split or renamed some of them."""
    found: list[Axis] = []
    for axis, letter in zip(axes, letters, strict=True):
        new, size, labels = splits.get(letter, ("", 0, ()))
        labels = labels if len(labels) == size else ()
        if size < 1 or axis.size % size or any(AXIS_NAMES.get(new) == one.name for one in axes):
            found.append(axis)
        elif axis.size == size:
            found.append(Axis(AXIS_NAMES[new], size, labels=labels))
        else:
            outer = Axis(axis.name, axis.size // size, axis.scale, axis.unit)
            found += [outer, Axis(AXIS_NAMES[new], size, labels=labels)]
    return tuple(found)


def _channel(element: Element) -> Channel:
    label = element.get("Name") or element.get("Fluor") or element.get("ID") or ""
    color = number(element.get("Color"))
    # Red, green, blue and alpha are the bytes of a signed integer, highest first.
    text = None if color is None else f"{(int(color) & 0xFFFFFFFF) >> 8:06X}"
    return Channel(label, text)


def _data(element: Element, letters: str, extents: list[int]) -> Data:
    """Return where one block of planes is; one whose place is nonsense begins at plane -1."""
    count = number(element.get("PlaneCount", element.get("NumPlanes")))
    if count is None:
        count = 1 if "IFD" in element.attrib else 0
    first = 0
    for letter, extent in zip(letters, extents, strict=True):
        at = number(element.get(f"First{letter}", "0"))
        if at is None or not 0 <= at < extent or first < 0:
            first = -1
            break
        first = first * extent + int(at)
    page = number(element.get("IFD", "0"))
    uuid = next(children(element, "UUID"), None)
    return Data(
        first,
        int(page) if page is not None and 0 <= page < 2**31 else -1,
        int(count) if 0 <= count < 2**31 else -1,
        "" if uuid is None else (uuid.text or "").strip(),
        "" if uuid is None else uuid.get("FileName", ""),
    )


def _positions(pixels: Element, letters: str, extents: list[int]) -> tuple[Position, ...]:
    """Return what planes have values of, over the axes as the file orders them."""
    planes = list(children(pixels, "Plane"))
    if not planes:
        return ()
    at = np.array(
        [[_index(plane, f"The{letter}") for letter in letters] for plane in planes], np.int64
    )
    good = ((at >= 0) & (at < np.array(extents))).all(axis=1)
    flat = np.ravel_multi_index(tuple(at[good].T), extents)
    found = []
    for name, (key, time) in _QUANTITIES.items():
        if not any(key in plane.attrib for plane in planes):
            continue
        read = [number(plane.get(key)) for plane in planes]
        values: NDArray[np.float64] = np.array(
            [np.nan if value is None else value for value in read], np.float64
        )
        table = np.full(math.prod(extents), np.nan)
        table[flat] = values[good]
        symbol = planes[0].get(f"{key}Unit", "s" if time else None)
        found.append(Position(name, table.reshape(extents), unit_name(symbol, time=time)))
    return tuple(found)


def _index(plane: Element, name: str) -> int:
    value = number(plane.get(name, "-1"))
    return int(value) if value is not None and -1 <= value < 2**31 else -1


def _attributes(image: Element, pixels: Element) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in ("AcquisitionDate", "Description"):
        for element in children(image, name):
            if element.text:
                found["description" if name == "Description" else "acquisition_date"] = element.text
    bits = number(pixels.get("SignificantBits"), positive=True)
    if bits is not None:
        found["significant_bits"] = int(bits)
    return found

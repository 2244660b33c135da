"""Whole-slide images of Aperio (SVS) and Philips: levels, focal planes, associated images."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import FormatError, LimitError
from refmaker.scanners.tiff.image_model import Axis, Image, Level
from refmaker.scanners.tiff.markup import parse
from refmaker.scanners.tiff.units import number

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from refmaker.model.report import ScanReport
    from refmaker.scanners.tiff.pages import Pages

__all__ = ["is_aperio", "is_philips", "read_aperio", "read_philips"]

_SOFTWARE = 305
_MACRO = 9
"""NewSubfileType of Aperio's overview of the slide; that of its label is 1."""


def is_aperio(pages: Pages, description: str) -> bool:
    """Tell whether a file is Aperio's, in tiles."""
    return description.startswith("Aperio ") and bool(pages.tiled[pages.main[0]])


def read_aperio(pages: Pages, description: str) -> list[Image]:
    """Return the slide and its associated images.

    The second page is a thumbnail; tiled pages behind it are levels, or focal planes of levels if
    several have one size; what follows is the label and the overview.
    """
    chain = [int(page) for page in pages.main]
    spacing, attributes = _aperio_values(description)
    sizes: dict[tuple[int, ...], list[int]] = {tuple(pages.shape(chain[0])): [chain[0]]}
    at = 2
    while at < len(chain) and pages.tiled[chain[at]] and not pages.subfile[chain[at]] & 1:
        sizes.setdefault(tuple(pages.shape(chain[at])), []).append(chain[at])
        at += 1
    depth = len(next(iter(sizes.values())))
    if any(len(planes) != depth for planes in sizes.values()):
        # Focal planes that do not match: levels of the first planes, the rest by themselves.
        depth = 1
    axes = () if depth == 1 else (Axis("z", depth),)
    shape = tuple(axis.size for axis in axes)
    levels = tuple(
        Level(np.array(planes[:depth], np.int64).reshape(shape)) for planes in sizes.values()
    )
    slide = Image("svs", axes, levels, name="Baseline", pixels=spacing, attributes=attributes)
    images = [slide]
    if len(chain) > 1:
        images.append(_associated("svs", chain[1], "thumbnail"))
    for page in chain[at : at + 2]:
        role = "macro" if pages.subfile[page] == _MACRO else "label"
        images.append(_associated("svs", page, role))
    return images


def _associated(flavour: str, page: int, role: str) -> Image:
    return Image(flavour, (), (Level(np.array(page, np.int64)),), name=role, role=role)


def _aperio_values(description: str) -> tuple[tuple[Axis, Axis], dict[str, Any]]:
    """Return the size of pixels and the ``key = value`` pairs of a description."""
    head, *pairs = description.rstrip("\0").split("|")
    found: dict[str, Any] = {"description": head.strip()}
    for pair in pairs:
        key, given, value = pair.partition("=")
        if given:
            found[key.strip()] = value.strip()
    step = number(found.get("MPP"), positive=True)
    unit = "micrometer" if step else None
    return (Axis("y", 0, step, unit), Axis("x", 0, step, unit)), {"aperio": found}


def is_philips(pages: Pages, description: str) -> bool:
    """Tell whether a file is Philips'."""
    ends = description[-32:].rstrip("\0 \r\n").endswith("</DataObject>")
    return ends and pages.text(int(pages.main[0]), _SOFTWARE).startswith("Philips DP")


def read_philips(pages: Pages, description: str, report: ScanReport) -> list[Image] | None:
    """Return the slide and its associated images; None if its description does not fit.

    Levels are padded to whole tiles: their true size follows from the spacing of their pixels.
    """
    try:
        root = parse(description, "the Philips metadata")
    except (FormatError, LimitError) as error:
        report.warn(f"/page/0: {error.message}")
        return None
    spacings = _spacings(root)
    chain = [int(page) for page in pages.main]
    levels, others = [], []
    for page in chain:
        text = pages.text(page)
        role = next((word for word in ("Macro", "Label") if text.startswith(word)), "")
        if role or not pages.tiled[page]:
            others.append(_associated("philips", page, role.lower() or "other"))
        else:
            levels.append(page)
    if len(spacings) < 2 or len(levels) != len(spacings):
        report.warn(
            f"/page/0: the Philips metadata describes {len(spacings)} levels, the file has "
            f"{len(levels)}"
        )
        return None
    base = (int(pages.length[levels[0]]), int(pages.width[levels[0]]))
    found = [Level(np.array(levels[0], np.int64))]
    for page, spacing in zip(levels[1:], spacings[1:], strict=True):
        extent = tuple(
            _true_size(size // max(1, round(here / first)), stored, tile)
            for size, here, first, stored, tile in zip(
                base,
                spacing,
                spacings[0],
                (int(pages.length[page]), int(pages.width[page])),
                (int(pages.tile_length[page]), int(pages.tile_width[page])),
                strict=True,
            )
        )
        found.append(replace(Level(np.array(page, np.int64)), extent=(extent[0], extent[1])))
    steps = [step * 1000 for step in spacings[0]]
    pixels = Axis("y", 0, steps[0], "micrometer"), Axis("x", 0, steps[1], "micrometer")
    slide = Image("philips", (), tuple(found), name="Baseline", pixels=pixels)
    return [slide, *others]


def _spacings(root: Element) -> list[tuple[float, float]]:
    """Return the spacing of each level in millimetres, rows first."""
    found = []
    for item in root.iter("DataObject"):
        if item.get("ObjectType") != "PixelDataRepresentation":
            continue
        for attribute in item.findall("Attribute"):
            if attribute.get("Name") == "DICOM_PIXEL_SPACING":
                parts = [number(part) for part in (attribute.text or "").replace('"', "").split()]
                if len(parts) == 2 and parts[0] and parts[1]:
                    found.append((parts[0], parts[1]))
    return found


def _true_size(expected: int, stored: int, tile: int) -> int:
    """Return how many pixels count: as expected, unless that would leave out a whole tile."""
    if stored - tile >= expected:
        return stored - tile + 1
    return min(expected, stored)

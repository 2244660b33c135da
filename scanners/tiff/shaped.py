"""Files that tifffile wrote: the shape of each series is in its first page's description."""

from __future__ import annotations

import ast
import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.scanners.tiff.generic import REDUCED, STEPS, shrunk
from refmaker.scanners.tiff.image_model import Axis, Image, Level, axis_names
from refmaker.scanners.tiff.ome import below
from refmaker.scanners.tiff.units import number, unit_name

if TYPE_CHECKING:
    from refmaker.scanners.tiff.pages import Pages

__all__ = ["is_shaped", "read_images"]

_RANK = 64
"""Dimensions of a shape, at most."""


def is_shaped(description: str) -> bool:
    """Tell whether an image description is tifffile's."""
    return (description[:1] == "{" and '"shape":' in description) or description[:7] == "shape=("


def read_images(pages: Pages) -> list[Image] | None:
    """Return the series of a file, or None if its descriptions do not fit its pages."""
    images = []
    at = 0
    while at < pages.main.size:
        page = int(pages.main[at])
        described = _described(pages.text(page))
        if described is None:
            return None
        image, used = _image(pages, at, described)
        if image is None:
            return None
        images.append(image)
        at += used
    return _with_levels(pages, images)


def _with_levels(pages: Pages, images: list[Image]) -> list[Image]:
    """Take images that are marked as smaller copies as levels of those before, as tifffile does."""
    found: list[Image] = []
    factor = 0
    for image in images:
        factors = _factors(pages, found[-1], image, factor) if found else ()
        if factors:
            factor = factors[0]
            found[-1] = replace(found[-1], levels=(*found[-1].levels, *image.levels))
        else:
            factor = 0
            found.append(image)
    return found


def _factors(pages: Pages, image: Image, other: Image, known: int) -> list[int]:
    """Return factors from the last level of an image to a lone one; empty if it is no level."""
    large, small = image.levels[-1].numbers, other.levels[0].numbers
    if large.size != small.size or image.axes != other.axes or image.stacked or other.stacked:
        return []
    before, after = int(large.flat[0]), int(small.flat[0])
    kinds = (pages.samples, pages.bits, pages.sample_format)
    alike = all(kind[before] == kind[after] for kind in kinds)
    if not alike or len(other.levels) > 1 or not pages.subfile[after] & REDUCED:
        return []
    size, smaller = ((int(pages.length[at]), int(pages.width[at])) for at in (before, after))
    return [step for step in ((known,) if known else STEPS) if shrunk(size, smaller, step)]


def _described(text: str) -> dict[str, Any] | None:
    """Return what a description says; None if it is not of this kind."""
    if not is_shaped(text):
        return None
    try:
        if text[:1] == "{":
            found = json.loads(text.rstrip("\0"))
        else:
            found = {"shape": ast.literal_eval(text.rstrip("\0")[6:])}
        shape = [int(extent) for extent in found["shape"]]
    except (ValueError, TypeError, KeyError, SyntaxError, ArithmeticError, RecursionError):
        return None
    if len(shape) > _RANK or min(shape, default=0) < 1:
        return None
    return {**found, "shape": tuple(shape)}


def _image(pages: Pages, at: int, described: dict[str, Any]) -> tuple[Image | None, int]:
    """Return the series that begins at a page of the main chain, and how many pages it has."""
    page = int(pages.main[at])
    shape = described["shape"]
    stored = tuple(pages.shape(page))
    count, rest = divmod(math.prod(shape), math.prod(stored))
    if rest or count < 1:
        return None, 0
    leading = _leading(shape, stored, count, planar=int(pages.planar[page]) == 2)
    if leading is None:
        return None, 0
    letters = described.get("axes")
    if not isinstance(letters, str) or len(letters) != len(shape):
        letters = "Q" * len(shape)
    stacked = bool(described.get("truncated")) and count > 1
    if stacked and count > pages.sources[0].size * 8:
        return None, 0
    used = 1 if stacked else count
    if at + used > pages.main.size:
        return None, 0
    axes = _axes(letters[: len(leading)], leading, described)
    extents = tuple(axis.size for axis in axes)
    if stacked:
        numbers = [np.arange(count, dtype=np.int64)]
    else:
        base = pages.main[at : at + used]
        numbers = [base, *below(pages, base)]
        if (pages.kind[base] != pages.kind[base[:1]]).any():
            return None, 0
    steps = [_step(described, name) for name in ("PhysicalSizeY", "PhysicalSizeX")]
    known = ("shape", "axes", "truncated", "name")
    image = Image(
        "shaped",
        axes,
        tuple(Level(one.reshape(extents)) for one in numbers),
        name=str(described.get("name", "")),
        pixels=(Axis("y", 0, *steps[0]), Axis("x", 0, *steps[1])),
        stacked=stacked,
        attributes={key: value for key, value in described.items() if key not in known},
    )
    return image, used


def _leading(
    shape: tuple[int, ...], stored: tuple[int, ...], count: int, *, planar: bool
) -> tuple[int, ...] | None:
    """Return the extents of a shape that count pages; None if the rest is no page."""
    if planar and len(stored) == 3:
        stored = (stored[2], stored[0], stored[1])
    for at in range(len(shape) + 1):
        if math.prod(shape[:at]) == count and _same(shape[at:], stored):
            return shape[:at]
    return None


def _same(left: tuple[int, ...], right: tuple[int, ...]) -> bool:
    """Tell whether two shapes differ in nothing but extents of 1."""
    return [n for n in left if n != 1] == [n for n in right if n != 1]


def _axes(letters: str, extents: tuple[int, ...], described: dict[str, Any]) -> tuple[Axis, ...]:
    unknown = sum(
        letter == "Q" and extent > 1 for letter, extent in zip(letters, extents, strict=True)
    )
    names = list(axis_names(letters))
    for at, letter in enumerate(letters):
        if letter == "Q":
            names[at] = "page" if unknown < 2 and extents[at] > 1 else f"dim_{at}"
    found = []
    for name, extent, letter in zip(names, extents, letters, strict=True):
        key = {"Z": "PhysicalSizeZ", "T": "TimeIncrement"}.get(letter)
        step, unit = _step(described, key) if key else (None, None)
        found.append(Axis(name, extent, step, unit))
    return tuple(found)


def _step(described: dict[str, Any], key: str) -> tuple[float | None, str | None]:
    """Return a distance that the description tells in OME's terms, and its unit."""
    time = key == "TimeIncrement"
    step = number(described.get(key), positive=True)
    if step is None and key == "PhysicalSizeZ":
        step = number(described.get("spacing"), positive=True)
        return step, unit_name(str(described.get("unit", ""))) if step else None
    if step is None:
        return None, None
    symbol = described.get(f"{key}Unit", "s" if time else "µm")
    return step, unit_name(str(symbol), time=time)

"""Stacks some pages of which are damaged: what can be read of them without those.

A page whose data cannot be had must never look like one that was left out on purpose. In a
stack that nobody describes it is left out, and a coordinate tells the numbers of the others; in
an image with axes it has a place that nothing else can take, so that the image is refused, or,
where somebody asked for it, has absent chunks there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from refmaker.errors import FormatError, LimitError, UnsupportedError
from refmaker.scanners.tiff.image_model import Axis
from refmaker.scanners.tiff.segments import segments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.scanners.tiff.image_model import Image, Level
    from refmaker.scanners.tiff.pages import Pages

    Fault = FormatError | LimitError | UnsupportedError

__all__ = ["faults", "without", "without_some"]

_TRIES = 8192
"""Parts of a stack that are looked at; one damaged page takes as many as a bisection does."""


def faults(pages: Pages, numbers: NDArray[np.int64]) -> dict[int, Fault]:
    """Return which pages are damaged, by bisection.

    Parameters
    ----------
    numbers : ndarray of int64, shape (m,)
        Some of them.

    Returns
    -------
    dict of int to error
        Why, by page; empty if the pages are of several kinds, or too many to look at.
    """
    found: dict[int, Fault] = {}
    if bool((pages.kind[numbers] != pages.kind[numbers[:1]]).any()):
        return found
    # What is odd about a page is said once.
    known = len(pages.warnings)
    todo = [numbers]
    tries = 0
    while todo:
        part = todo.pop()
        tries += 1
        if tries > _TRIES:
            return {}
        try:
            segments(pages, part)
        except (FormatError, LimitError, UnsupportedError) as error:
            if part.size == 1:
                found[int(part[0])] = error
            else:
                todo += [part[part.size // 2 :], part[: part.size // 2]]
    del pages.warnings[known:]
    return found


def without_some(pages: Pages, image: Image, bad: list[int]) -> Image | None:
    """Return a plain stack without some of its pages; None if it is no plain stack."""
    plain = [axis.name for axis in image.axes] == ["page"] and image.axes[0] == Axis(
        "page", image.axes[0].size
    )
    if not plain or len(image.levels) > 1:
        return None
    level, (axis,) = image.levels[0], image.axes
    kept = np.flatnonzero(~np.isin(level.numbers, bad))
    if kept.size == 0:
        return None
    # In the main chain pages have numbers that reports use, too.
    main = bool((pages.parent[level.numbers] < 0).all()) and len(pages.urls) == 1
    numbers = level.numbers[kept] if main else kept
    axis = axis._replace(size=int(kept.size), values=tuple(float(value) for value in numbers))
    return replace(
        image,
        axes=(axis,),
        levels=(replace(level, numbers=level.numbers[kept]),),
        positions=tuple(replace(one, values=one.values[kept]) for one in image.positions),
    )


def without(level: Level, bad: list[int]) -> Level:
    """Return a level with nothing in place of some pages."""
    return replace(level, numbers=np.where(np.isin(level.numbers, bad), -1, level.numbers))

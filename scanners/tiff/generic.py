"""Pages that nobody describes: equal ones are stacked, smaller copies become levels.

Implements what TIFF 6.0 says of NewSubfileType (reduced resolution, transparency mask), and
the habits of writers that do not set it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from refmaker.scanners.tiff.image_model import Axis, Image, Level

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.scanners.tiff.pages import Pages

__all__ = ["REDUCED", "STEPS", "group_pages", "images_of", "shrunk"]

_MASK = 4
REDUCED = 1
STEPS = (2, 3, 4)
"""Factors between levels that count where no page says that it is reduced."""


@dataclass(frozen=True, slots=True, eq=False)
class _Stack:
    numbers: NDArray[np.int64]
    size: tuple[int, int]
    look: tuple[object, ...]
    reduced: bool
    mask: bool
    main: bool


def group_pages(pages: Pages, numbers: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return pages in groups of equal ones, in the order of their first.

    Parameters
    ----------
    numbers : ndarray of int64
        Those to group, ascending.
    """
    if numbers.size == 0:
        return []
    # Masks are no images, whatever else they have in common; what has a problem stays alone.
    key = pages.kind[numbers] * 2 + ((pages.subfile[numbers] & _MASK) != 0)
    alone = pages.kind[numbers] < 0
    key[alone] = -2 - np.flatnonzero(alone)
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    order = np.argsort(inverse.reshape(-1), kind="stable")
    ends = np.cumsum(np.bincount(inverse.reshape(-1)))
    groups = np.split(numbers[order], ends[:-1])
    return [groups[at] for at in np.argsort(first, kind="stable").tolist()]


def images_of(pages: Pages, numbers: NDArray[np.int64]) -> list[Image]:
    """Return the images that some pages make by themselves.

    Parameters
    ----------
    numbers : ndarray of int64
        Those to look at, ascending.
    """
    stacks = [_stack(pages, group) for group in group_pages(pages, numbers)]
    masks = [stack for stack in stacks if stack.mask]
    rest = [stack for stack in stacks if not stack.mask]
    images = []
    while rest:
        base = rest.pop(0)
        levels = [base]
        if base.main:
            levels += _levels(base, rest)
        found = []
        for stack in levels:
            fitting = [mask for mask in masks if _belongs(mask, stack)]
            masks = [mask for mask in masks if mask not in fitting[:1]]
            found.append(_level(stack, fitting[0] if fitting else None))
        images.append(_image(base, found))
    return images + [replace(_image(mask, [_level(mask, None)]), role="mask") for mask in masks]


def _stack(pages: Pages, numbers: NDArray[np.int64]) -> _Stack:
    page = int(numbers[0])
    look = tuple(int(column[page]) for column in (pages.samples, pages.bits, pages.sample_format))
    return _Stack(
        numbers,
        (int(pages.length[page]), int(pages.width[page])),
        (numbers.size, *look),
        bool(pages.subfile[page] & REDUCED),
        bool(pages.subfile[page] & _MASK),
        bool(pages.parent[page] < 0),
    )


def _belongs(mask: _Stack, stack: _Stack) -> bool:
    return mask.size == stack.size and mask.numbers.size == stack.numbers.size == 1


def _levels(base: _Stack, rest: list[_Stack]) -> list[_Stack]:
    """Take the smaller copies of a stack out of the rest, largest first."""
    found: list[_Stack] = []
    step, last = 0, base
    for stack in list(rest):
        if stack.look != base.look or stack.size >= last.size:
            continue
        factors = [f for f in ((step,) if step else STEPS) if shrunk(last.size, stack.size, f)]
        if not factors and not (stack.reduced and _same_aspect(base.size, stack.size)):
            continue
        step = factors[0] if factors else step
        last = stack
        found.append(stack)
        rest.remove(stack)
    return found


def shrunk(large: tuple[int, int], small: tuple[int, int], factor: int) -> bool:
    """Tell whether a size is another one, shrunk by a factor."""
    return all(factor <= n and abs(n / factor - m) < 1 for n, m in zip(large, small, strict=True))


def _same_aspect(large: tuple[int, int], small: tuple[int, int]) -> bool:
    """Tell whether a size is another, shrunk by one factor and rounded."""
    if min(small) < 1 or small[0] > large[0] or small[1] > large[1]:
        return False
    factor = max(large) / max(small)
    return all(abs(n / factor - m) < 1 for n, m in zip(large, small, strict=True))


def _level(stack: _Stack, mask: _Stack | None) -> Level:
    numbers = stack.numbers.reshape(() if stack.numbers.size == 1 else (-1,))
    return Level(numbers, -1 if mask is None else int(mask.numbers[0]))


def _image(base: _Stack, levels: list[Level]) -> Image:
    count = base.numbers.size
    axes = () if count == 1 else (Axis("page", count),)
    return Image("generic", axes, tuple(levels))

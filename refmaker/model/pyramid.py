"""Levels of an image that no attributes describe: smaller copies beside one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refmaker.model.tree import Array, Group

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["reduced_levels"]

_IMAGE = "image"


def reduced_levels(group: Group) -> list[str]:
    """Return the paths of levels named ``0/image``, ``1/image``, ..., such as those of a COG.

    Parameters
    ----------
    group : Group
        The image; none of its members are levels if any is no smaller copy of the one before.
    """
    found: list[str] = []
    last: dict[str, int] = {}
    while isinstance(inner := group.members.get(str(len(found))), Group):
        image = inner.members.get(_IMAGE)
        if not isinstance(image, Array) or image.dimension_names is None:
            break
        sizes = {str(name): n for name, n in zip(image.dimension_names, image.shape, strict=True)}
        if last and not _shrunk(last, sizes):
            return []
        found.append(f"{len(found)}/{_IMAGE}")
        last = sizes
    return found


def _shrunk(large: Mapping[str, int], small: Mapping[str, int]) -> bool:
    """Tell whether sizes are those of a smaller copy: y and x by one factor, the rest as it is."""
    if list(large) != list(small) or not {"y", "x"} <= set(large):
        return False
    factor = max(large["y"], large["x"]) / max(small["y"], small["x"], 1)
    alike = all(abs(large[name] / factor - small[name]) <= 1 for name in "yx")
    same = all(large[name] == small[name] for name in large if name not in "yx")
    return factor > 1 and alike and same

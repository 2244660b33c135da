"""Images that a set holds at several resolutions, once each with their levels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from refmaker.codecs.chunk_values import inlined_values
from refmaker.errors import RefmakerError
from refmaker.model import Array, Group
from refmaker.model.ngff_images import channels_of, images_of, level_paths
from refmaker.model.tree import joined_path

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Pyramid", "pyramids"]


@dataclass(frozen=True, slots=True)
class Pyramid:
    """One image.

    Parameters
    ----------
    name : str
        What the file calls it.
    levels : tuple of str
        Paths of its arrays, largest first; one where it has no smaller ones.
    channels : tuple of (str, str)
        Labels and colours (six hexadecimal digits, or empty) of its channels.
    """

    name: str
    levels: tuple[str, ...]
    channels: tuple[tuple[str, str], ...] = ()


def pyramids(root: Group) -> list[Pyramid]:
    """Return the images that NGFF metadata name (0.4, section 3.4; 0.5), and those of GeoTIFF.

    Parameters
    ----------
    root : Group
        The set.
    """
    found, taken = [], set[str]()
    groups = [(path, node) for path, node in root.walk() if isinstance(node, Group)]
    for path, group in groups:
        for image in images_of(group.attributes):
            every = [joined_path(path, name) for name in level_paths(image)]
            levels = tuple(level for level in every if _array(root, level) is not None)
            if levels:
                taken.update(levels)
                name = str(image.get("name") or "")
                found.append(Pyramid(name, levels, _channels(group)))
    for path, group in groups:
        for levels in _numbered(path, group):
            if len(levels) > 1 and not taken & set(levels):
                taken.update(levels)
                found.append(Pyramid("", levels))
    return found


def _channels(group: Group) -> tuple[tuple[str, str], ...]:
    return tuple(
        (str(one.get("label") or ""), str(one.get("color") or "").lstrip("#"))
        for one in channels_of(group.attributes)
    )


def _array(root: Group, path: str) -> Array | None:
    try:
        found = root[path]
    except KeyError:
        return None
    return found if isinstance(found, Array) else None


def _numbered(path: str, group: Group) -> Iterator[tuple[str, ...]]:
    """Yield the levels that lie in groups ``0``, ``1``, ... below a group, without NGFF."""
    first = group.members.get("0")
    if not isinstance(first, Group):
        return
    for name, array in first.members.items():
        if not isinstance(array, Array) or len(array.shape) < 2:
            continue
        last, levels = (first, array), [joined_path(path, f"0/{name}")]
        while isinstance(below := group.members.get(str(len(levels))), Group):
            smaller = below.members.get(name)
            if not isinstance(smaller, Array) or not _is_level(last, (below, smaller)):
                break
            levels.append(joined_path(path, f"{len(levels)}/{name}"))
            last = below, smaller
        yield tuple(levels)


def _is_level(large: tuple[Group, Array], small: tuple[Group, Array]) -> bool:
    """Whether an array is the next level: smaller along x and y, and over the same ground.

    Images of a file that are not levels of one another lie in groups of such names, too.
    """
    one, other = large[1], small[1]
    names = one.dimension_names
    if names is None or names != other.dimension_names or one.dtype != other.dtype:
        return False
    if not {"x", "y"} <= set(names):
        return False
    pairs = dict(zip(names, zip(one.shape, other.shape, strict=True), strict=True))
    if any(a != b for name, (a, b) in pairs.items() if name not in ("x", "y")):
        return False
    if any(pairs[name][0] < pairs[name][1] for name in "xy") or one.shape == other.shape:
        return False
    return all(_same_span(large[0], small[0], name) for name in "xy")


def _same_span(large: Group, small: Group, name: str) -> bool:
    """Whether coordinates of two levels, of the middles of pixels, cover the same stretch."""
    ends = []
    for group in (large, small):
        array = group.members.get(name)
        if not isinstance(array, Array) or array.chunks.referenced or array.shape < (2,):
            return False
        try:
            values = inlined_values(array).astype("f8")
        except (RefmakerError, ValueError):
            return False
        half = (values[-1] - values[0]) / (values.size - 1) / 2
        ends.append((values[0] - half, values[-1] + half, 2 * abs(half)))
    (first, last, _), (start, stop, step) = ends
    # The last column and row of a level may stand for less than a whole pixel.
    return bool(abs(first - start) <= step and abs(last - stop) <= step)

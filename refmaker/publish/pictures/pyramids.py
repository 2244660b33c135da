"""Images that a set holds at several resolutions, once each with their levels."""

from __future__ import annotations

from dataclasses import dataclass

from refmaker.model import Array, Group
from refmaker.model.ngff_images import channels_of, images_of, level_paths
from refmaker.model.pyramid import numbered_levels
from refmaker.model.tree import joined_path

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
        for names in numbered_levels(group):
            levels = tuple(joined_path(path, name) for name in names)
            if not taken & set(levels):
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

"""NGFF metadata of groups whose arrays have been changed: what no longer fits is left out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from refmaker.model.tree import Array, Group

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["fitting", "fitting_attributes"]

_ABOUT = ("multiscales", "omero", "image-label")
"""What a group without images has no use for."""


def fitting(root: Group, before: Group) -> Group:
    """Return a tree without images of NGFF whose arrays are gone, or of another shape than before.

    Parameters
    ----------
    root : Group
        The tree.
    before : Group
        What it has been made of.
    """
    members = {}
    for name, node in root.members.items():
        old = before.members.get(name)
        new = fitting(node, old) if isinstance(node, Group) and isinstance(old, Group) else node
        if new is not node:
            members[name] = new
    found = replace(root, members={**root.members, **members}) if members else root
    attributes = fitting_attributes(found, before)
    return found if attributes is found.attributes else replace(found, attributes=attributes)


def fitting_attributes(group: Group, before: Group | None = None) -> Mapping[str, Any]:
    """Return the attributes of a group without the images of NGFF that its arrays are not.

    Parameters
    ----------
    group : Group
        With its arrays.
    before : Group, optional
        What it has been made of: its arrays had the shapes that the metadata are of.
    """
    attributes = group.attributes
    later = attributes.get("ome")
    told = later if isinstance(later, dict) else attributes
    images = told.get("multiscales")
    if not isinstance(images, list):
        return attributes
    kept = [image for image in images if _fits(image, group, before)]
    if len(kept) == len(images):
        return attributes
    rest = {key: value for key, value in told.items() if key not in _ABOUT}
    if kept:
        rest = {**told, "multiscales": kept}
    if told is attributes:
        return rest
    others = {key: value for key, value in attributes.items() if key != "ome"}
    # A version alone tells nothing.
    return {**others, "ome": rest} if set(rest) - {"version"} else others


def _fits(image: Any, group: Group, before: Group | None) -> bool:
    """Whether the arrays of an image have its axes, and are as they were."""
    try:
        axes = image.get("axes") or image["coordinateSystems"][0]["axes"]
        names = tuple(axis["name"] for axis in axes)
        paths = [dataset["path"] for dataset in image["datasets"]]
    except (AttributeError, IndexError, KeyError, TypeError):
        # What others wrote may be of any form.
        return True
    for path in paths:
        array, old = _array(group, path), _array(before, path)
        if array is None or array.dimension_names not in (None, names):
            return False
        if old is not None and old.shape != array.shape:
            return False
    return True


def _array(group: Group | None, path: str) -> Array | None:
    try:
        found = None if group is None else group[path]
    except KeyError:
        return None
    return found if isinstance(found, Array) else None

"""Groups and arrays by path, and where each array comes from."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from refmaker.errors import MetadataError, UnsupportedError
from refmaker.model.origin import Origin
from refmaker.model.tree import Array, Group
from refmaker.model.zarr_v3 import in_pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = [
    "at_group", "dimension_sizes", "group_of", "keep_pieces", "settled",
    "stamped", "unknown",
]  # fmt: skip


def unknown(name: str, known: Iterable[str], what: str = "array or group") -> MetadataError:
    """Return the error of a name that is none, with those that are near."""
    names = list(known)
    near = get_close_matches(name, names, 3) or names[:10]
    there = f"there are {', '.join(near)}" if near else "there is none at all"
    return MetadataError(f"there is no {what} {name!r}", hint=there)


def keep_pieces(path: str, array: Array) -> None:
    """Refuse to change the dimensions of an array whose packing follows one of them by number.

    Raises
    ------
    UnsupportedError
        If its files are packed each in its own way.
    """
    if in_pieces(array):
        raise UnsupportedError(
            "its files are packed each in its own way, which follows its chunks",
            code="pieces",
            path=path,
            hint="do it in xarray, after the set was opened",
        )


def group_of(root: Group, path: str) -> Group:
    """Return the group at a path.

    Raises
    ------
    MetadataError
        If there is none.
    """
    node: Array | Group = root
    for part in filter(None, path.split("/")):
        found = node.members.get(part) if isinstance(node, Group) else None
        if found is None:
            groups = [path for path, node in root.walk() if path and isinstance(node, Group)]
            raise unknown(path, groups, "group")
        node = found
    if not isinstance(node, Group):
        raise MetadataError(f"{path!r} is an array, not a group")
    return node


def at_group(root: Group, path: str, change: Callable[[Group], Group]) -> Group:
    """Return the tree with one of its groups changed.

    Raises
    ------
    MetadataError
        If there is no such group.
    """
    parts = list(filter(None, path.split("/")))
    chain = [group_of(root, "/".join(parts[:depth])) for depth in range(len(parts) + 1)]
    node = change(chain.pop())
    while chain:
        node = replace(chain[-1], members={**chain.pop().members, parts[len(chain)]: node})
    return node


def dimension_sizes(group: Group) -> Mapping[str, int]:
    """Return the size of every dimension of a group's own arrays."""
    sizes: dict[str, int] = {}
    for node in group.members.values():
        if isinstance(node, Array):
            for name, size in zip(node.dimension_names or (), node.shape, strict=False):
                sizes.setdefault(name, size)
    return sizes


def stamped(root: Group) -> Group:
    """Return the tree with the origin of every array, before something is edited."""

    def stamp(path: str, array: Array) -> Array:
        if array.origin is not None:
            return array
        return replace(array, origin=Origin.whole(path, array.shape))

    return root.map_paths(stamp)


def settled(root: Group) -> Group:
    """Return the tree without the origins of arrays that are where they were, and as they were."""

    def settle(path: str, array: Array) -> Array:
        if array.origin != Origin.whole(path, array.shape):
            return array
        return replace(array, origin=None)

    return root.map_paths(settle)

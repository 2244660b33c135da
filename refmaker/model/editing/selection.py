"""Some arrays and groups of a set, or all but some."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, cast

from refmaker.model.editing.companions import named_in, without_coordinates
from refmaker.model.editing.places import at_group, unknown
from refmaker.model.tree import Array, Group, joined_path, nested

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["drop", "select"]


def select(root: Group, names: Iterable[str]) -> Group:
    """Return what is named, and what belongs to it.

    With a variable go those that its attributes name by the CF conventions (coordinates, bounds,
    grid mapping, ...) and the coordinates of its dimensions, which may lie in groups above.

    Raises
    ------
    MetadataError
        If there is no such array or group.
    """
    nodes = dict(root.walk())
    arrays = {path: node for path, node in nodes.items() if isinstance(node, Array)}
    wanted = [name.strip("/") for name in names]
    for name in wanted:
        if name not in nodes:
            raise unknown(name, [path for path in nodes if path])
    left = [path for name in wanted for path in _below(name, nodes) if path in arrays]
    groups = {path for name in wanted for path in _below(name, nodes)} - arrays.keys()
    kept: set[str] = set()
    while left:
        path = left.pop()
        if path in kept:
            continue
        kept.add(path)
        for name in (*named_in(arrays[path]), *(arrays[path].dimension_names or ())):
            found = _resolve(name, path.rpartition("/")[0], arrays)
            left += [found] if found is not None else []
    return _pruned(root, kept | groups)


def _below(name: str, nodes: Mapping[str, Array | Group]) -> list[str]:
    """Return a node, and all below it."""
    return [path for path in nodes if path == name or not name or path.startswith(f"{name}/")]


def _resolve(name: str, home: str, arrays: Mapping[str, Array]) -> str | None:
    """Return the nearest array of a name, from a group up."""
    while True:
        path = joined_path(home, name)
        if path in arrays:
            return path
        if not home:
            return None
        home = home.rpartition("/")[0]


def _pruned(root: Group, kept: set[str]) -> Group:
    """Return the tree with some nodes and the groups above them."""
    above = {""}
    for path in kept:
        while path not in above:
            above.add(path)
            path = path.rpartition("/")[0]  # noqa: PLW2901 - up to the root
    left = {
        path: replace(node, members={}) if isinstance(node, Group) else node
        for path, node in root.walk()
        if path in above
    }
    return cast(Group, nested(left))


def drop(root: Group, names: Iterable[str]) -> Group:
    """Return all but what is named; lists of coordinates lose the names of what has gone.

    Raises
    ------
    MetadataError
        If there is no such array or group.
    """
    nodes = dict(root.walk())
    gone = {name.strip("/") for name in names}
    for name in gone:
        if not name or name not in nodes:
            raise unknown(name, [path for path in nodes if path])
    kept = {path for path in nodes if not any(path == n or path.startswith(f"{n}/") for n in gone)}
    left = _pruned(root, kept)
    lost: dict[str, set[str]] = {}
    for path in gone:
        home, _, name = path.rpartition("/")
        lost.setdefault(home, set()).add(name)

    def forget(path: str, array: Array) -> Array:
        names = lost.get(path.rpartition("/")[0])
        if not names:
            return array
        return replace(array, attributes=without_coordinates(array.attributes, names))

    left = left.map_paths(forget)
    for home, gone_there in lost.items():
        if home in kept:
            change = partial(_forgetting, gone_there)
            left = at_group(left, home, change)
    return left


def _forgetting(names: set[str], group: Group) -> Group:
    return replace(group, attributes=without_coordinates(group.attributes, names))

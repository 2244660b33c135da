"""Variables, groups and dimensions under other names, and attributes that name them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from refmaker.errors import MetadataError
from refmaker.model.editing.companions import renamed_attributes
from refmaker.model.editing.places import at_group, dimension_sizes, group_of, unknown
from refmaker.model.tree import Array, Group
from refmaker.model.zarr_v2 import DIMENSIONS, UNLIMITED

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["rename"]


def rename(root: Group, names: Mapping[str, str], group: str = "") -> Group:
    """Return the tree with other names of variables, groups and dimensions.

    A dimension has its new name in the groups below, too. Attributes by which the CF conventions
    name variables and dimensions follow.

    Parameters
    ----------
    names : mapping of str to str
        Old names to new ones. One name stands for the variable, the group and the dimension of
        that name.
    group : str
        Path of the group whose members are renamed.

    Raises
    ------
    MetadataError
        If there is nothing of an old name, or already something of a new one.
    """
    here = group_of(root, group)
    sizes = dimension_sizes(here)
    for old, new in names.items():
        if old not in here.members and old not in sizes:
            raise unknown(old, [*here.members, *sizes], "variable, group or dimension")
        if not new or "/" in new:
            raise MetadataError(f"{new!r} cannot be the name of a variable or dimension")
    variables = {old: new for old, new in names.items() if old in here.members}
    dimensions = {old: new for old, new in names.items() if old in sizes}
    _check_free("dimension", list(sizes), dimensions)
    _check_free("variable or group", list(here.members), variables)
    return at_group(root, group, lambda node: _renamed(node, variables, dimensions, sizes))


def _check_free(what: str, present: list[str], names: Mapping[str, str]) -> None:
    """Refuse that two things get one name."""
    taken: dict[str, str] = {}
    for old in present:
        new = names.get(old, old)
        if new in taken:
            first, second = (taken[new], old) if old in names else (old, taken[new])
            raise MetadataError(
                f"there is a {what} {first!r} already, {second!r} cannot be renamed to it"
                if first == new
                else f"{first!r} and {second!r} would both be the {what} {new!r}",
                hint=f"rename or drop {first!r} first",
            )
        taken[new] = old


def _renamed(
    node: Group,
    variables: Mapping[str, str],
    dimensions: Mapping[str, str],
    sizes: Mapping[str, int],
) -> Group:
    members: dict[str, Array | Group] = {}
    for name, member in node.members.items():
        if isinstance(member, Array):
            new: Array | Group = _renamed_array(name, member, variables, dimensions, sizes)
        else:
            # Below, dimensions are those of the groups above; variables are others.
            new = _renamed(member, {}, dimensions, sizes)
        members[variables.get(name, name)] = new
    attributes = renamed_attributes(node.attributes, variables, dimensions)
    unlimited = attributes.get(UNLIMITED)
    if isinstance(unlimited, list):
        attributes[UNLIMITED] = [dimensions.get(str(name), name) for name in unlimited]
    return replace(node, members=members, attributes=attributes)


def _renamed_array(
    name: str,
    array: Array,
    variables: Mapping[str, str],
    dimensions: Mapping[str, str],
    sizes: Mapping[str, int],
) -> Array:
    own = array.dimension_names or ()
    # One of another size is another dimension, which a group below has of its own.
    mine = {
        old: new
        for old, new in dimensions.items()
        if all(size == sizes[old] for d, size in zip(own, array.shape, strict=False) if d == old)
    }
    named = tuple(mine.get(dimension, dimension) for dimension in own)
    new_name = variables.get(name, name)
    if len(named) > 1 and new_name in named and (new_name != name or named != own):
        raise MetadataError(
            f"{name!r} would have the name of one of its dimensions, {', '.join(named)}",
            path=name,
        )
    if len(set(named)) < len(set(own)):
        raise MetadataError(f"two dimensions of {name!r} would have one name", path=name)
    origin = array.origin
    if origin and named != own:
        # The file's own names are another thing then, and those that read it go by them.
        origin = origin.edited([DIMENSIONS])
    return replace(
        array,
        attributes=renamed_attributes(array.attributes, variables, mine),
        dimension_names=None if array.dimension_names is None else named,
        origin=origin,
    )

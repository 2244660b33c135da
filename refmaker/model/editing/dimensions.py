"""A dimension of one element is added: the bytes of chunks stay as they are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from refmaker.errors import MetadataError
from refmaker.model.editing.assignment import coordinate_array
from refmaker.model.editing.companions import coordinate_names, without_coordinates
from refmaker.model.editing.places import at_group, dimension_sizes, group_of, keep_pieces
from refmaker.model.tree import Array, Group

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["expand_dims"]


def expand_dims(
    root: Group, name: str, value: Any = None, *, axis: int = 0, group: str = ""
) -> Group:
    """Return the tree with another dimension, of one element, of a group's data.

    Coordinates, and what else belongs to other variables by the CF conventions, stay as they are.

    Parameters
    ----------
    name : str
        The dimension. A scalar of that name becomes its coordinate.
    value : object, optional
        Its coordinate: a number, a text or a date.
    axis : int
        Where it stands among the dimensions, from 0 on; negative numbers count from the end.

    Raises
    ------
    MetadataError
        If there is such a dimension already, or a coordinate of that name.
    """
    here = group_of(root, group)
    known = here.members.get(name)
    if name in dimension_sizes(here):
        raise MetadataError(f"there is a dimension {name!r} already", path=group or None)
    if isinstance(known, Group) or (known is not None and (known.shape or value is not None)):
        raise MetadataError(
            f"there is {name!r} already, which is no coordinate of a new dimension",
            path=group or None,
            hint=f"drop or rename {name!r} first",
        )
    if not name or "/" in name:
        raise MetadataError(f"{name!r} cannot be the name of a dimension")
    return at_group(root, group, lambda node: _expanded(node, name, value, axis))


def _expanded(group: Group, name: str, value: Any, axis: int) -> Group:
    coordinates = coordinate_names(group)
    members: dict[str, Array | Group] = {}
    for key, member in group.members.items():
        if isinstance(member, Group) or key == name or key in coordinates:
            members[key] = member
            continue
        rank = len(member.shape) + 1
        if not -rank <= axis < rank:
            raise MetadataError(
                f"no dimension can be number {axis} of {rank}", path=key,
                hint="give an axis that all variables have, or choose some of them first",
            )  # fmt: skip
        if member.shape and member.dimension_names is None:
            raise MetadataError("its dimensions have no names", path=key)
        members[key] = _with_dimension(member, name, axis % rank)
    scalar = members.get(name)
    if isinstance(scalar, Array):
        members[name] = _with_dimension(scalar, name, 0)
        members = {
            key: replace(node, attributes=without_coordinates(node.attributes, {name}))
            if isinstance(node, Array)
            else node
            for key, node in members.items()
        }
    elif value is not None:
        members[name] = coordinate_array(name, [_single(value)], (name,))
    attributes = without_coordinates(group.attributes, {name})
    return replace(group, members=members, attributes=attributes)


def _single(value: Any) -> Any:
    import numpy as np

    if isinstance(value, str | bytes):
        return value
    found = np.asarray(value)
    if found.size != 1:
        raise MetadataError(
            f"a new dimension has one element, and {found.size} values were given",
            hint="make a set of each, and combine them",
        )
    return found.reshape(())[()]


def _with_dimension(array: Array, name: str, axis: int) -> Array:
    keep_pieces(name, array)

    def added(items: Sequence[Any], new: Any) -> tuple[Any, ...]:
        return (*items[:axis], new, *items[axis:])

    shape = added(array.shape, 1)
    return replace(
        array,
        shape=shape,
        chunk_shape=added(array.chunk_shape, 1),
        dimension_names=added(array.dimension_names or (), name),
        edges=None if array.edges is None else added(array.edges, None),
        chunks=replace(array.chunks, grid=added(array.chunks.grid, 1)),
        origin=array.origin and array.origin.with_new(axis - len(shape)),
    )

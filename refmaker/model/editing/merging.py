"""Several trees laid over one another."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from refmaker.errors import MetadataError
from refmaker.model.tree import Array, Group, joined_path
from refmaker.model.zarr_v2 import encode_fill_value

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["merge"]


def merge(groups: Sequence[Group], names: Sequence[str]) -> Group:
    """Return a tree with everything that is in one of several.

    Parameters
    ----------
    groups : sequence of Group
        The root groups. Attributes of groups are those of the first that has them.
    names : sequence of str
        What each is called in messages.

    Raises
    ------
    MetadataError
        If two arrays of one path are not the same, or two dimensions of one group have one name
        and different sizes.
    """
    made, first = groups[0], names[0]
    for group, name in zip(groups[1:], names[1:], strict=True):
        made = _merged(made, group, "", first, name)
        first = "those before"
    return made


def _merged(one: Group, other: Group, path: str, first: str, second: str) -> Group:
    _check_sizes(one, other, path, first, second)
    members = dict(one.members)
    for name, new in other.members.items():
        old = members.get(name)
        here = joined_path(path, name)
        if old is None:
            members[name] = new
        elif isinstance(old, Group) and isinstance(new, Group):
            members[name] = _merged(old, new, here, first, second)
        elif isinstance(old, Array) and isinstance(new, Array):
            what = _difference(old, new)
            if what:
                raise MetadataError(
                    f"it has other {what} in {first} than in {second}",
                    path=here,
                    hint=f"drop or rename it in one of them, as by `drop={here!r}`",
                )
        else:
            raise MetadataError(f"it is an array in one of {first} and {second}", path=here)
    return replace(one, members=members)


def _check_sizes(one: Group, other: Group, path: str, first: str, second: str) -> None:
    sizes: dict[str, tuple[int, str]] = {}
    for group in (one, other):
        for name, node in group.members.items():
            if not isinstance(node, Array):
                continue
            for dim, size in zip(node.dimension_names or (), node.shape, strict=False):
                known, whose = sizes.setdefault(dim, (size, name))
                if known != size and group is other:
                    raise MetadataError(
                        f"{dim} has {known} elements in {whose} of {first}, and {size} in {name}"
                        f" of {second}",
                        path=path or "/",
                        hint="rename the dimension in one of them",
                    )


def _difference(one: Array, other: Array) -> str:
    """Return in what two arrays differ; empty if they are the same."""
    for key in ("shape", "chunk_shape", "dtype", "order", "codecs", "dimension_names"):
        if getattr(one, key) != getattr(other, key):
            return key.replace("_", " ")
    if not _same_edges(one, other):
        return "chunk shapes"
    fills = [encode_fill_value(array.fill_value, array.dtype) for array in (one, other)]
    if fills[0] != fills[1]:
        return "fill value"
    for key in one.attributes.keys() | other.attributes.keys():
        if one.attributes.get(key) != other.attributes.get(key):
            return f"attributes, such as {key},"
    return "" if one.chunks.same(other.chunks) else "chunks"


def _same_edges(one: Array, other: Array) -> bool:
    if one.edges is None or other.edges is None:
        return one.edges is other.edges
    pairs = zip(one.edges, other.edges, strict=True)
    return all(a is b if a is None or b is None else a.same(b) for a, b in pairs)

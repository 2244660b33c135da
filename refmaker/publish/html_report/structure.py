"""Groups and arrays as a page lists them: a tree with links, and what is known of each array."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.model import Array, Group
from refmaker.model.amounts import counted, human_size
from refmaker.model.display import dtype_text
from refmaker.publish.html_report.access import Access, accesses

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refmaker.publish.pictures import Subject

__all__ = ["Costs", "Line", "array_details", "attributes_of", "costs", "extents_of", "tree"]

NODES = 600
"""Groups and arrays that are listed."""
_GROUPS = 40
"""Groups of which attributes are shown."""
_ATTRIBUTES = 40
_LONG = 300
"""Characters of an attribute."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the tree.

    Parameters
    ----------
    name : str
        Of the group or array.
    path : str
        The whole of it.
    depth : int
        Groups above it.
    group : bool
        Whether it is one.
    text : str
        Dimensions and type of an array, how much is in a group.
    about : str
        What it is called in full, and its units.
    anchor : str
        Where on the page its details are; empty where there are none.
    attributes : list of (str, str)
        Of a group.
    """

    name: str
    path: str
    depth: int
    group: bool
    text: str
    about: str
    anchor: str
    attributes: list[tuple[str, str]]


def tree(root: Group, anchors: Mapping[str, str]) -> tuple[list[Line], int]:
    """Return the first groups and arrays of a set, and how many are left out."""
    lines: list[Line] = []
    count = described = 0
    for path, node in root.walk():
        if not path:
            continue
        count += 1
        if count > NODES:
            continue
        name, depth = path.rpartition("/")[2], path.count("/")
        is_group = isinstance(node, Group)
        text = counted(len(node.members), "member") if isinstance(node, Group) else _typed(node)
        told = attributes_of(node) if isinstance(node, Group) and described < _GROUPS else []
        described += bool(told)
        about = [node.attributes.get(key) for key in ("long_name", "units")]
        said = ", ".join(str(one) for one in about if isinstance(one, str) and one)
        anchor = anchors.get(path, "")
        lines.append(Line(name, path, depth, is_group, text, said, anchor, told))
    return lines, max(0, count - NODES)


def _typed(array: Array) -> str:
    return f"({extents_of(array)}) {dtype_text(array.dtype)}"


def extents_of(array: Array) -> str:
    """Return names and sizes of an array's dimensions."""
    names = array.dimension_names or ("",) * len(array.shape)
    pairs = zip(names, array.shape, strict=True)
    return ", ".join(f"{name}: {n:,}" if name else f"{n:,}" for name, n in pairs) or "scalar"


def attributes_of(node: Array | Group) -> list[tuple[str, str]]:
    """Return attributes as texts of a bounded length."""
    found = [
        (str(name), value if isinstance(value, str) else json.dumps(value, default=str))
        for name, value in list(node.attributes.items())[:_ATTRIBUTES]
    ]
    rows = [(name, f"{text[:_LONG]}..." if len(text) > _LONG else text) for name, text in found]
    more = len(node.attributes) - len(rows)
    return [*rows, ("...", f"and {more:,} more")] if more > 0 else rows


def array_details(path: str, array: Array, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a page says of an array.

    Parameters
    ----------
    path : str
        Of the array.
    array : Array
        The array.
    entry : mapping
        Its entry of ``arrays`` in a description.
    """
    counts = entry["chunks"]
    kinds = [(counts[kind], kind) for kind in ("referenced", "inlined", "absent")]
    extents = [f"{int(one):,}" if one.isdigit() else one for one in entry["chunk_extents"]]
    rows = [
        ("dimensions", extents_of(array)),
        ("type", _typed(array).rpartition(") ")[2]),
        ("values", human_size(array.nbytes)),
        ("stored", _stored(array, entry["stored"])),
        ("chunks", f"{' x '.join(extents) or 'one'}: {counts['total']:,} in all, "
         + ", ".join(f"{count:,} {kind}" for count, kind in kinds if count)),
        ("codecs", ", ".join(entry["codecs"]) or "none"),
        ("fill value", "none" if array.fill_value is None else str(array.fill_value)),
    ]  # fmt: skip
    return {"path": path, "rows": rows, "attributes": attributes_of(array)}


def _stored(array: Array, nbytes: int) -> str:
    """Return bytes stored, with the compression and the lengths of chunks."""
    text = human_size(nbytes)
    present = array.chunks.present
    if nbytes and array.nbytes and present == array.chunks.size:
        text += f", {array.nbytes / nbytes:.3g} : 1"
    lengths = array.chunks.length
    if lengths.size > 1:
        low, middle, high = np.percentile(lengths, [0, 50, 100])
        text += f"; chunks of {human_size(low)} to {human_size(high)}, half below "
        text += human_size(middle)
    return text


@dataclass(frozen=True, slots=True)
class Costs:
    """What reading arrays that are cut alike costs.

    Parameters
    ----------
    paths : tuple of str
        Of the arrays.
    extents, chunks : str
        Of each of them, and of a chunk.
    accesses : list of Access
        Of the first of them.
    """

    paths: tuple[str, ...]
    extents: str
    chunks: str
    accesses: list[Access]


def costs(root: Group, subjects: Sequence[Subject], most: int) -> list[Costs]:
    """Return what reading the arrays that are shown costs, those that are cut alike once."""
    arrays = {path: array for path, array in root.arrays() if array.chunks.referenced}
    alike: dict[Any, list[Subject]] = {}
    for subject in subjects:
        array = arrays.get(subject.path)
        if array is not None:
            key = array.shape, array.chunk_shape, array.dimension_names, array.dtype.str
            alike.setdefault(key, []).append(subject)
    found = []
    for shown in list(alike.values())[:most]:
        array = arrays[shown[0].path]
        told = accesses(array, shown[0].axes)
        if told:
            chunks = " x ".join(f"{size:,}" for size in array.chunk_shape)
            paths = tuple(subject.path for subject in shown)
            found.append(Costs(paths, extents_of(array), chunks, told))
    return found

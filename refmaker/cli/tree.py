"""What is in a reference set, as a tree and in lines for people."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any

from refmaker.cli.facts import (
    coordinate_lines,
    file_lines,
    image_lines,
    lies_within,
    number,
    place_lines,
    size_line,
)
from refmaker.cli.output import counted, print_table, say
from refmaker.cli.spelling import as_flags
from refmaker.model import Array, Group
from refmaker.model.attribute_types import TYPES
from refmaker.model.display import dtype_text
from refmaker.model.tree import joined_path
from refmaker.model.zarr_v2 import UNLIMITED
from refmaker.storage.readers import in_words

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

__all__ = ["show"]

_LONG = 500
"""Letters of an attribute that are shown."""
_FILL = "_FillValue"
_LINES, _FEWEST = 40, 12
"""Lines of table and tree together, and of the tree alone, without ``-a``."""
_DIMENSIONS = 12


def show(content: Mapping[str, Any], group: Group, *, attributes: bool = False) -> None:
    """Print a description, with all attributes and all lines if they are asked for."""
    arrays = {entry["path"]: entry for entry in content["arrays"]}
    chunks = sum(entry["chunks"]["total"] for entry in content["arrays"])
    parts = [content["format"]] if content["format"] else []
    parts += [counted(len(arrays), "array"), counted(chunks, "chunk")]
    say(f"{content['input']}  ({', '.join(parts)})")
    _show_table(content["summary"], every=attributes)
    hidden = frozenset[str]() if attributes else _smaller(content["images"])
    for line in _dimensions(content["dimensions"], hidden):
        say(line)
    for line in _attributes(group, "") if attributes else ():
        say(line)
    lines = _tree(group, "", "", arrays, hidden, attributes=attributes)
    _show_cut(lines, None if attributes else max(_FEWEST, _LINES - len(content["summary"])))
    for line in (
        *coordinate_lines(content, hidden, every=attributes),
        *place_lines(content, hidden, every=attributes),
        *image_lines(content, every=attributes),
        *file_lines(content["targets"]),
    ):
        say(line)
    if content["stored"]:
        say(size_line(content))
    _show_codecs(content["codecs"])
    if content["packages"]:
        say(f"packages needed to decode: {', '.join(content['packages'])}")
    say(in_words([content["readers"]]))
    _show_rest(content)


def _show_rest(content: Mapping[str, Any]) -> None:
    """Print what is there twice or not at all, and what to know."""
    counts = content["messages"] or {}
    told = [f"{counts[name]:,} {name}" for name in counts if counts[name]]
    if told:
        say(f"messages: {', '.join(told)}")
    if content["duplicated"]:
        say(f"duplicates: {counted(len(content['duplicated']), 'object')} (--json names them)")
    for row in content["skipped"]:
        text = f"skipped: {row['path']}: {as_flags(row['reason'])} [{row['code']}]"
        say(text, mark=len("skipped:"))
    for warning in content["warnings"]:
        say(f"warning: {as_flags(warning)}", mark=len("warning:"))
    same: dict[str, list[str]] = {}
    for advice in content["advice"]:
        path, _, text = advice.partition(": ")
        same.setdefault(text, []).append(path)
    for text, (path, *others) in same.items():
        again = f" and {counted(len(others), 'other')}" if others else ""
        say(f"advice: {as_flags(f'{path}{again}: {text}' if text else path)}")


def _show_codecs(codecs: Sequence[Mapping[str, Any]]) -> None:
    missing = sorted({package for codec in codecs for package in codec["missing"]})
    if codecs:
        parts = [f"{codec['id']} ({', '.join(codec['packages'])})" for codec in codecs]
        say(f"codecs: {', '.join(parts)}")
    if missing:
        say(f"not installed: {', '.join(missing)}", mark=len("not installed:"))


def _show_table(rows: Sequence[Mapping[str, Any]], *, every: bool) -> None:
    """Print the columns of a table that say something."""
    names = [name for name in (rows[0] if rows else ()) if any(row.get(name) for row in rows)]
    if not names:
        return
    shown = rows if every else rows[: _LINES - _FEWEST]
    print_table([names, *([_cell(row.get(name)) for name in names] for row in shown)])
    if len(shown) < len(rows):
        say(f"... and {len(rows) - len(shown):,} more (-a shows all)")
    say("")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return " x ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _dimensions(told: Sequence[Mapping[str, Any]], hidden: Collection[str]) -> Iterator[str]:
    """Yield the dimensions of all groups in a line, if they are few."""
    parts = dict.fromkeys(
        f"{one['name']} = {one['size']}" + (" (unlimited)" if one["unlimited"] else "")
        for one in told
        if not lies_within(one["group"], hidden)
    )
    if 0 < len(parts) <= _DIMENSIONS:
        yield f"dimensions: {', '.join(parts)}"


def _smaller(images: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """Return the members of images that are smaller copies."""
    found = set()
    for image in images:
        home = "" if image["path"] == "/" else image["path"]
        levels = [level["path"].removeprefix(home).lstrip("/") for level in image["levels"]]
        first = levels[0].partition("/")[0]
        names = {level.partition("/")[0] for level in levels[1:]} - {first}
        found |= {joined_path(home, name) for name in names}
    return frozenset(found)


def _show_cut(lines: Iterator[str], most: int | None) -> None:
    """Print lines, and how many there are more."""
    for line in islice(lines, most):
        say(line)
    more = sum(1 for _ in lines)
    if more:
        say(f"... and {more:,} more (-a shows all)")


def _tree(
    group: Group,
    path: str,
    indent: str,
    arrays: Mapping[str, Mapping[str, Any]],
    hidden: Collection[str],
    *,
    attributes: bool,
) -> Iterator[str]:
    members = [
        (name, node)
        for name, node in group.members.items()
        if not hidden or joined_path(path, name) not in hidden
    ]
    left_out = len(group.members) - len(members)
    for i, (name, node) in enumerate(members, 1):
        last = i == len(members) and not left_out
        below = joined_path(path, name)
        branch, deeper = ("└── ", "    ") if last else ("├── ", "│   ")
        if isinstance(node, Group):
            yield f"{indent}{branch}{name}/"
            yield from _attributes(node, indent + deeper) if attributes else ()
            yield from _tree(node, below, indent + deeper, arrays, hidden, attributes=attributes)
        else:
            yield f"{indent}{branch}{name}  {_line(node, arrays[below])}"
            yield from _attributes(node, indent + deeper) if attributes else ()
    if left_out:
        copies = counted(left_out, "smaller copy", "smaller copies")
        yield f"{indent}└── ... and {copies} (-a shows all)"


def _attributes(node: Array | Group, indent: str) -> Iterator[str]:
    """Yield a line for each attribute, and for the fill value of an array."""
    if isinstance(node, Array) and node.fill_value is not None and _FILL not in node.attributes:
        yield f"{indent}    {_FILL} = {node.fill_value}"
    for name, value in node.attributes.items():
        if name in (TYPES, UNLIMITED):
            continue
        text = json.dumps(value, ensure_ascii=False)
        yield f"{indent}    {name} = {text if len(text) <= _LONG else f'{text[:_LONG]}...'}"


def _line(array: Array, entry: Mapping[str, Any]) -> str:
    names = entry["dimensions"] or [""] * len(array.shape)
    pairs = zip(names, array.shape, strict=True)
    extents = [f"{name}: {extent}" if name else str(extent) for name, extent in pairs]
    counts = entry["chunks"]
    kinds = ("referenced", "inlined", "absent")
    how = ", ".join(f"{counts[kind]:,} {kind}" for kind in kinds if counts[kind]) or "no chunks"
    parts = [f"({', '.join(extents)})", dtype_text(array.dtype)]
    parts += filter(None, [_meaning(entry)])
    if array.shape:
        parts.append(f"chunks ({', '.join(entry['chunk_extents'])})")
    if entry["codecs"]:
        parts.append("+".join(entry["codecs"]))
    return "  ".join([*parts, f"[{how}]"])


def _meaning(entry: Mapping[str, Any]) -> str:
    """Return units, and how stored values become those that are meant."""
    parts = [entry["units"]] if entry["units"] else []
    parts += ["unsigned"] if entry["unsigned"] else []
    for name, word in (("scale_factor", "scale"), ("add_offset", "offset")):
        parts += [] if entry[name] is None else [f"{word} {number(entry[name])}"]
    if entry["missing_value"]:
        # Single precision has no more digits.
        digits = 7 if entry["dtype"] in ("<f4", ">f4") else 10
        shown = dict.fromkeys(number(value, digits) for value in entry["missing_value"])
        parts.append(f"missing {', '.join(shown)}")
    return ", ".join(parts)

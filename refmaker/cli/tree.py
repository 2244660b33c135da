"""What is in a reference set, as a tree for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from refmaker.cli.output import counted, human_size, print_table, say
from refmaker.cli.spelling import as_flags
from refmaker.model import Array, Group
from refmaker.model.attribute_types import TYPES
from refmaker.model.tree import joined_path
from refmaker.storage.readers import in_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["show"]

_LONG = 500
"""Letters of an attribute that are shown."""
_FILL = "_FillValue"
_FILES = 20
"""Files that are listed one by one."""


def show(content: Mapping[str, Any], group: Group, *, attributes: bool = False) -> None:
    """Print a description as a tree, with all attributes if they are asked for."""
    arrays = {entry["path"]: entry for entry in content["arrays"]}
    chunks = sum(entry["chunks"]["total"] for entry in content["arrays"])
    parts = [content["format"]] if content["format"] else []
    parts += [counted(len(arrays), "array"), counted(chunks, "chunk")]
    say(f"{content['input']}  ({', '.join(parts)})")
    _show_table(content["summary"])
    for line in _attributes(group, "") if attributes else ():
        say(line)
    for line in _tree(group, "", "", arrays, attributes=attributes):
        say(line)
    if content["spans"]:
        say("coordinates:")
    for span in content["spans"]:
        say(f"  {span['path']}  {_span(span)}")
    _show_files(content["targets"])
    if content["stored"]:
        ratio = content["nbytes"] / content["stored"]
        sizes = f"{human_size(content['nbytes'])} of values in {human_size(content['stored'])}"
        say(f"size: {sizes} stored ({ratio:.2g} : 1)")
    if content["packages"]:
        say(f"packages needed to decode: {', '.join(content['packages'])}")
    say(in_words([content["readers"]]))
    for row in content["skipped"]:
        say(f"skipped: {row['path']}: {as_flags(row['reason'])} [{row['code']}]")
    for warning in content["warnings"]:
        say(f"warning: {as_flags(warning)}")
    for advice in content["advice"]:
        say(f"advice: {as_flags(advice)}")


def _show_files(targets: Sequence[Mapping[str, Any]]) -> None:
    """Print the files that chunks lie in, the first of them one by one."""
    if targets:
        say("files:")
    for target in targets[:_FILES]:
        amount = f"{counted(target['chunks'], 'chunk')}, {human_size(target['bytes'])}"
        say(f"  {target['url']}  {amount}")
    if len(targets) > _FILES:
        rest = targets[_FILES:]
        amount = f"{counted(sum(t['chunks'] for t in rest), 'chunk')}, "
        amount += human_size(sum(t["bytes"] for t in rest))
        say(f"  and {counted(len(rest), 'more file')}  {amount}  (--json lists all)")


def _show_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the columns of a table that say something."""
    names = [name for name in (rows[0] if rows else ()) if any(row.get(name) for row in rows)]
    if names:
        print_table([names, *([_cell(row.get(name)) for name in names] for row in rows)])
        say("")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return " x ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _tree(
    group: Group,
    path: str,
    indent: str,
    arrays: Mapping[str, Mapping[str, Any]],
    *,
    attributes: bool,
) -> Iterator[str]:
    members = list(group.members.items())
    for i, (name, node) in enumerate(members, 1):
        last = i == len(members)
        below = joined_path(path, name)
        branch, deeper = ("└── ", "    ") if last else ("├── ", "│   ")
        if isinstance(node, Group):
            yield f"{indent}{branch}{name}/"
            yield from _attributes(node, indent + deeper) if attributes else ()
            yield from _tree(node, below, indent + deeper, arrays, attributes=attributes)
        else:
            yield f"{indent}{branch}{name}  {_line(node, arrays[below])}"
            yield from _attributes(node, indent + deeper) if attributes else ()


def _attributes(node: Array | Group, indent: str) -> Iterator[str]:
    """Yield a line for each attribute, and for the fill value of an array."""
    if isinstance(node, Array) and node.fill_value is not None and _FILL not in node.attributes:
        yield f"{indent}    {_FILL} = {node.fill_value}"
    for name, value in node.attributes.items():
        if name == TYPES:
            continue
        text = json.dumps(value, ensure_ascii=False)
        yield f"{indent}    {name} = {text if len(text) <= _LONG else f'{text[:_LONG]}...'}"


def _span(span: Mapping[str, Any]) -> str:
    """Return the first and the last value of a coordinate, in words."""
    rest = f" .. {span['last']}" if span["size"] > 1 else ""
    units = f" {span['units']}" if span["units"] else ""
    return f"{span['first']}{rest}{units}"


def _line(array: Array, entry: Mapping[str, Any]) -> str:
    names = entry["dimensions"] or [""] * len(array.shape)
    pairs = zip(names, array.shape, strict=True)
    extents = [f"{name}: {extent}" if name else str(extent) for name, extent in pairs]
    dtype = (
        str(array.dtype)
        if array.dtype.names is None
        else f"compound of {len(array.dtype.names)} fields"
    )
    counts = entry["chunks"]
    kinds = ("referenced", "inlined", "absent")
    how = ", ".join(f"{counts[kind]:,} {kind}" for kind in kinds if counts[kind]) or "no chunks"
    parts = [f"({', '.join(extents)})", dtype]
    if array.shape:
        parts.append(f"chunks ({', '.join(entry['chunk_extents'])})")
    if entry["codecs"]:
        parts.append("+".join(entry["codecs"]))
    return "  ".join([*parts, f"[{how}]"])

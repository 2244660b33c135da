"""What is in a reference set, as a tree for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refmaker.cli.output import counted, human_size, print_table, say
from refmaker.cli.spelling import as_flags
from refmaker.model import Array, Group
from refmaker.storage.readers import in_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["show"]

_FILES = 20
"""Files that are listed one by one."""


def show(content: Mapping[str, Any], group: Group) -> None:
    """Print a description as a tree."""
    arrays = {entry["path"]: entry for entry in content["arrays"]}
    chunks = sum(entry["chunks"]["total"] for entry in content["arrays"])
    parts = [content["format"]] if content["format"] else []
    parts += [counted(len(arrays), "array"), counted(chunks, "chunk")]
    say(f"{content['input']}  ({', '.join(parts)})")
    _show_table(content["summary"])
    for line in _tree(group, "", "", arrays):
        say(line)
    targets = content["targets"]
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
    group: Group, path: str, indent: str, arrays: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    members = list(group.members.items())
    for i, (name, node) in enumerate(members, 1):
        last = i == len(members)
        below = f"{path}/{name}" if path else name
        branch, deeper = ("└── ", "    ") if last else ("├── ", "│   ")
        if isinstance(node, Group):
            yield f"{indent}{branch}{name}/"
            yield from _tree(node, below, indent + deeper, arrays)
        else:
            yield f"{indent}{branch}{name}  {_line(node, arrays[below])}"


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

"""What is in a reference set: as one JSON object, and as a tree for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.cli.output import counted, human_size, say
from refmaker.codecs import requirements
from refmaker.metadata import dtype_document, fill_document
from refmaker.model import Array, Group

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from refmaker import ReferenceSet

__all__ = ["description", "show"]


def description(name: str, refs: ReferenceSet) -> dict[str, Any]:
    """Return a reference set's content as a JSON object.

    Parameters
    ----------
    name : str
        How the user called it.
    refs : ReferenceSet
    """
    nodes = list(refs.group.walk())
    arrays = [(path, node) for path, node in nodes if isinstance(node, Array)]
    report = refs.report.as_dict()
    return {
        "input": name,
        "format": refs.report.format,
        "groups": [path or "/" for path, node in nodes if isinstance(node, Group)],
        "arrays": [_array(path, array) for path, array in arrays],
        "targets": _targets(refs),
        "packages": sorted({package for _, array in arrays for package in _packages(array)}),
        "skipped": report["skipped"],
        "warnings": report["warnings"],
    }


def _packages(array: Array) -> tuple[str, ...]:
    return requirements(array.codecs)


def _array(path: str, array: Array) -> dict[str, Any]:
    table = array.chunks
    return {
        "path": path,
        "shape": list(array.shape),
        "chunk_shape": list(array.chunk_shape),
        "dimensions": None if array.dimension_names is None else list(array.dimension_names),
        "dtype": dtype_document(array.dtype),
        "fill_value": fill_document(array.fill_value, array.dtype),
        "codecs": [str(codec["id"]) for codec in array.codecs],
        "packages": list(_packages(array)),
        "nbytes": array.nbytes,
        "chunks": {
            "total": table.size,
            "referenced": table.referenced,
            "inlined": len(table.inlined),
            "absent": table.absent,
        },
    }


def _targets(refs: ReferenceSet) -> list[dict[str, Any]]:
    """Return the files that chunks lie in, with how many and how many bytes."""
    found: dict[str, list[int]] = {url: [0, 0] for url in refs.report.sources}
    for _, array in refs.group.arrays():
        table = array.chunks
        files = np.zeros(table.referenced, np.int32) if table.url is None else table.url
        chunks = np.bincount(files, minlength=len(table.urls))
        # Float sums are exact up to 2**53 bytes, beyond any file.
        nbytes = np.bincount(files, weights=table.length, minlength=len(table.urls))
        for url, count, size in zip(table.urls, chunks.tolist(), nbytes.tolist(), strict=False):
            if count:
                total = found.setdefault(url, [0, 0])
                total[0] += count
                total[1] += int(size)
    return [{"url": url, "chunks": n, "bytes": size} for url, (n, size) in found.items()]


def show(content: Mapping[str, Any], group: Group) -> None:
    """Print a description as a tree."""
    arrays = {entry["path"]: entry for entry in content["arrays"]}
    chunks = sum(entry["chunks"]["total"] for entry in content["arrays"])
    parts = [content["format"]] if content["format"] else []
    parts += [counted(len(arrays), "array"), counted(chunks, "chunk")]
    say(f"{content['input']}  ({', '.join(parts)})")
    for line in _tree(group, "", "", arrays):
        say(line)
    if content["targets"]:
        say("files:")
    for target in content["targets"]:
        amount = f"{counted(target['chunks'], 'chunk')}, {human_size(target['bytes'])}"
        say(f"  {target['url']}  {amount}")
    if content["packages"]:
        say(f"packages needed to decode: {', '.join(content['packages'])}")
    for row in content["skipped"]:
        say(f"skipped: {row['path']}: {row['reason']} [{row['code']}]")
    for warning in content["warnings"]:
        say(f"warning: {warning}")


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
        parts.append(f"chunks ({', '.join(map(str, array.chunk_shape))})")
    if entry["codecs"]:
        parts.append("+".join(entry["codecs"]))
    return "  ".join([*parts, f"[{how}]"])

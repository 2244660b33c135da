"""Compact JSON: rules instead of references, where there is a rule.

A compact document is a kerchunk document, version 1, with three differences::

    {"version": "refmaker-compact-1",
     "templates": {"u": "s3://bucket/other.nc"},
     "refmaker": {...},
     "metadata": {"a/.zarray": {...}, "a/.zattrs": {...}, ".zgroup": {...}},
     "gen": [{"key": "a/{{i0}}.0", "url": "s3://bucket/{{ '%03d' % i0 }}.nc",
              "offset": "4096", "length": "800", "dimensions": {"i0": {"stop": 365}}}],
     "refs": {"b/0": ["{{u}}", 4096, 80]}}

``gen`` describes the chunks of those arrays whose places follow a rule, exactly; ``refs`` holds
all other chunks. Stock readers ignore ``gen`` (fsspec does, unless told otherwise, and then it
takes milliseconds for each reference), and would read fill values where data exist. So that
they fail instead, the version is one that they do not know: fsspec refuses it when it opens the
document, whatever the options. For readers that do not look at the version the metadata
documents are not among ``refs``, but in a member of their own: such a reader finds no array.

A set without any rule is written as an ordinary document.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

import numpy as np

from refmaker.model import ChunkTable
from refmaker.model.zarr_v2 import documents, dumps
from refmaker.storage import json_writer
from refmaker.storage.formats import COMPACT
from refmaker.templates import ReferenceColumns, infer

if TYPE_CHECKING:
    from refmaker.model import Group
    from refmaker.templates import Rule

__all__ = ["COMPACT", "find_rule", "write"]


def write(group: Group, file: IO[bytes], header: json_writer.Header | None = None) -> bool:
    """Write a reference set, as rules where they are shorter.

    Parameters
    ----------
    group : Group
        The root group.
    file : binary file
        Open for writing.
    header : dict, optional
        Content of the member ``refmaker``.

    Returns
    -------
    bool
        Whether there was a rule; if not, this is an ordinary document.

    Raises
    ------
    MetadataError
        If a URL or attribute cannot be written.
    """
    entries: list[dict[str, Any]] = []
    plain: list[tuple[str, ChunkTable]] = []
    for path, array in group.arrays():
        entry = _shorter_entry(path, array.chunks)
        if entry is not None:
            entries.append(entry)
            rest = ChunkTable.inline(array.chunks.grid, array.chunks.inlined)
            plain += [(path, rest)] if rest.inlined else []
        elif array.chunks.present:
            plain.append((path, array.chunks))
    if not entries:
        json_writer.write(group, file, header)
        return False
    templates, names = json_writer.templated([table for _, table in plain])
    file.write(b'{"version":' + dumps(COMPACT).encode() + b',"templates":')
    file.write(dumps(templates).encode())
    if header:
        file.write(b',"refmaker":' + dumps(header).encode())
    file.write(b',"metadata":' + dumps(dict(documents(group))).encode())
    file.write(b',"gen":[' + ",\n".join(map(dumps, entries)).encode() + b'],"refs":{')
    first = True
    for path, table in plain:
        for text in json_writer.chunk_members(path, table, names):
            file.write(text.removeprefix(b",\n") if first else text)
            first = False
    file.write(b"}}\n")
    return True


def find_rule(path: str, table: ChunkTable) -> Rule | None:
    """Return the rule that makes exactly the byte ranges of a table, or None.

    Parameters
    ----------
    table : ChunkTable
        Its chunks; the inlined ones are not part of the rule.
    """
    whole = (table.offset == 0) & (table.length == 0)
    if not table.referenced or (bool(whole.any()) and not bool(whole.all())):
        # A rule gives all its references a byte range, or none.
        return None
    ranged = not bool(whole[0])
    return infer(
        f"{path}/",
        ReferenceColumns(
            table.grid,
            table.urls,
            0 if table.url is None else table.url,
            table.offset if ranged else None,
            table.length if ranged else None,
            None if table.index is None else table.index.astype(np.int64),
        ),
    )


def _shorter_entry(path: str, table: ChunkTable) -> dict[str, Any] | None:
    """Return the ``gen`` entry of an array, if it takes less space than the references."""
    rule = find_rule(path, table)
    if rule is None:
        return None
    entry = rule.to_json()
    shortest = len(f',\n"{path}/":["{{{{u}}}}"]') + max(1, 2 * len(table.grid) - 1)
    if len(dumps(entry)) >= table.referenced * shortest:
        return None
    return entry

"""What is in a set, in a report or in a list of checks: as text, and as HTML for notebooks.

Names come from files: in text they are escaped as in errors, in HTML as HTML asks.
"""

from __future__ import annotations

from html import escape
from itertools import islice
from typing import TYPE_CHECKING, Any

from refmaker.errors import printable
from refmaker.model.amounts import counted, human_size
from refmaker.model.tree import Array, Group

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np

__all__ = ["array_text", "document", "dtype_text", "html_table", "html_tree", "text_tree", "totals"]

LINES = 40
"""Arrays and groups that a text shows; HTML shows them all, up to `NODES`."""
NODES = 1000
DEPTH = 40
_STYLE = (
    "<style>"
    ".refmaker{font-size:13px;line-height:1.5}"
    ".refmaker summary{cursor:pointer}"
    ".refmaker ul{list-style:none;margin:0;padding-left:1.4em}"
    ".refmaker table{border-collapse:collapse;margin:.3em 0}"
    ".refmaker td,.refmaker th{text-align:left;padding:.1em .8em .1em 0;vertical-align:top}"
    ".refmaker code{background:none;padding:0}"
    ".refmaker .quiet{opacity:.7}"
    ".refmaker .bad{color:#c62828;font-weight:600}"
    "</style>"
)


def totals(group: Group) -> str:
    """Return how much is in a group: arrays, chunks, bytes."""
    arrays = [array for _, array in group.arrays()]
    present = sum(array.chunks.present for array in arrays)
    inlined = present - sum(array.chunks.referenced for array in arrays)
    chunks = counted(present, "chunk") + (f" ({inlined:,} inlined)" if inlined else "")
    size = human_size(sum(array.nbytes for array in arrays))
    return f"{counted(len(arrays), 'array')}, {chunks}, {size} of values"


def dtype_text(dtype: np.dtype[Any]) -> str:
    """Return a type by its name, of records how many fields they have."""
    return str(dtype) if dtype.names is None else f"record of {counted(len(dtype.names), 'field')}"


def array_text(array: Array) -> str:
    """Return dimensions, type and chunks of an array in a line."""
    names = array.dimension_names or ("",) * len(array.shape)
    pairs = zip(names, array.shape, strict=True)
    extents = ", ".join(f"{name}: {size}" if name else str(size) for name, size in pairs)
    dtype = dtype_text(array.dtype)
    if not array.shape:
        return f"()  {dtype}"
    cut = ", ".join(
        str(size) if edges is None else f"up to {size}"
        for size, edges in zip(
            array.chunk_shape, array.edges or (None,) * len(array.shape), strict=True
        )
    )
    return f"({extents})  {dtype}  chunks ({cut})"


def text_tree(group: Group, most: int = LINES) -> list[str]:
    """Return a group as lines of text, of which the last says how many are left out."""
    lines = list(islice(_lines(group, ""), most + 1))
    if len(lines) > most:
        count = sum(1 for _ in group.walk()) - 1
        lines[most - 1 :] = [f"... and {count - most + 1:,} more"]
    return [printable(line) for line in lines]


def _lines(group: Group, indent: str) -> Iterator[str]:
    last = len(group.members)
    for number, (name, node) in enumerate(group.members.items(), 1):
        branch, deeper = ("└── ", "    ") if number == last else ("├── ", "│   ")
        if isinstance(node, Group):
            yield f"{indent}{branch}{name}/"
            yield from _lines(node, indent + deeper)
        else:
            yield f"{indent}{branch}{name}  {array_text(node)}"


def document(title: str, line: str, *parts: str) -> str:
    """Return HTML with a heading and a line below it, in a frame that leaves the page alone."""
    head = f"<strong>{escape(title)}</strong> <span class=quiet>{escape(line)}</span>"
    return f"<div class=refmaker>{_STYLE}{head}{''.join(parts)}</div>"


def html_tree(group: Group) -> str:
    """Return a group as nested lists; groups and attributes open on a click."""
    left = [NODES]
    text = _html(group, left, DEPTH)
    if left[0] < 0:
        text += f"<p class=quiet>... and {-left[0]:,} more</p>"
    return text


def _html(group: Group, left: list[int], depth: int) -> str:
    items = []
    if not depth:
        return "<p class=quiet>... and what is below</p>"
    for name, node in group.members.items():
        left[0] -= 1
        if left[0] < 0:
            continue
        if isinstance(node, Group):
            inner = _attributes(node) + _html(node, left, depth - 1)
            opened = " open" if len(node.members) <= LINES else ""
            items.append(
                f"<li><details{opened}><summary><strong>{escape(name)}/</strong></summary>"
                f"{inner}</details></li>"
            )
            continue
        line = f"<strong>{escape(name)}</strong> <code>{escape(array_text(node))}</code>"
        about = node.attributes.get("long_name") or node.attributes.get("standard_name")
        units = node.attributes.get("units")
        said = ", ".join(str(text) for text in (about, units) if text)
        line += f" <span class=quiet>{escape(said)}</span>" if said else ""
        items.append(f"<li><details><summary>{line}</summary>{_details(node)}</details></li>")
    return f"<ul>{''.join(items)}</ul>"


def _details(array: Array) -> str:
    chunks = array.chunks
    encoders = (*array.filters, *filter(None, [array.compressor]))
    codecs = [str(config.get("id")) for config in encoders]
    rows = [
        ("values", human_size(array.nbytes)),
        ("chunks", f"{chunks.present:,} of {chunks.size:,}, {chunks.referenced:,} referenced"),
        ("codecs", ", ".join(codecs) or "none"),
        ("fill value", repr(array.fill_value)),
    ]
    return html_table((), rows) + _attributes(array)


def _attributes(node: Array | Group) -> str:
    rows = [(name, _short(value)) for name, value in node.attributes.items()]
    return html_table((), rows) if rows else ""


def _short(value: object, most: int = 200) -> str:
    text = str(value)
    return text if len(text) <= most else f"{text[: most - 3]}..."


def html_table(
    names: Sequence[str], rows: Iterable[Sequence[object]], bad: Iterable[int] = ()
) -> str:
    """Return a table.

    Parameters
    ----------
    names : sequence of str
        Heads of its columns; none for a table without.
    rows : iterable of sequence
        Its cells, which are shown as text.
    bad : iterable of int
        Numbers of rows that are to be seen first.
    """
    marked = set(bad)
    head = f"<tr>{''.join(f'<th>{escape(name)}</th>' for name in names)}</tr>" if names else ""
    body = (
        f"<tr{' class=bad' if number in marked else ''}>"
        f"{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>"
        for number, row in enumerate(rows)
    )
    return f"<table>{head}{''.join(body)}</table>"

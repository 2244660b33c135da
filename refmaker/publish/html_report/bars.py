"""Bars that show who owns the bytes of a file, as SVG in the colours of the page."""

from __future__ import annotations

from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from refmaker.model.amounts import human_size
from refmaker.publish.html_report.byte_map import FREE, SHARED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refmaker.publish.html_report.byte_map import ByteMap

__all__ = ["bar"]

_LONG = 80


def bar(found: ByteMap, colours: Mapping[str, str]) -> str:
    """Return a bar whose parts have the colours of the arrays that own most of them.

    Parameters
    ----------
    found : ByteMap
        The file.
    colours : mapping of str to str
        Of arrays, by path.
    """
    cells = found.cells
    breaks = (np.flatnonzero(np.diff(cells)) + 1).tolist()
    parts = []
    for start, stop in pairwise([0, *breaks, cells.size]):
        owner = int(cells[start])
        kind = {FREE: 'class="free"', SHARED: 'class="shared"'}.get(owner)
        name = {FREE: "nobody", SHARED: "several"}.get(owner) or found.owners[owner]
        kind = kind or f'fill="{colours[name]}"'
        ends = [human_size(found.size * at / cells.size) for at in (start, stop)]
        told = escape(f"{name[:_LONG]}: {ends[0]} to {ends[1]}")
        parts.append(
            f'<rect x="{start}" width="{stop - start}" height="1" {kind}>'
            f"<title>{told}</title></rect>"
        )
    label = escape(f"Bytes of {found.url[:_LONG]}")
    return (
        f'<svg class="bar" role="img" aria-label="{label}" viewBox="0 0 {cells.size} 1" '
        f'preserveAspectRatio="none" shape-rendering="crispEdges">{"".join(parts)}</svg>'
    )

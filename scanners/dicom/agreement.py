"""In which elements instances differ: what all of them say needs to be understood only once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refmaker.scanners.dicom.header import Header
    from refmaker.scanners.dicom.header_templates import HeaderTemplate

__all__ = ["differing"]


def differing(headers: Sequence[Header]) -> frozenset[int]:
    """Return the tags of elements that are not the same in all headers, or not in all of them.

    Parameters
    ----------
    headers : sequence of Header
        At least one. Of headers of one form only the blanks are compared.
    """
    first: dict[HeaderTemplate | int, Header] = {}
    for number, header in enumerate(headers):
        first.setdefault(header.form or number, header)
    tags: set[int] = set()
    common = set(headers[0].elements.items())
    for header in first.values():
        tags.update(header.elements)
        common.intersection_update(header.elements.items())
    found = tags - {tag for tag, _ in common}
    blanks = {tag for header in first.values() if header.form for tag in header.form.blanks}
    for tag in (blanks & tags) - found:
        one = headers[0].elements.get(tag)
        if any(header.elements.get(tag) != one for header in headers):
            found.add(tag)
    return frozenset(found)

"""What files say of how they were de-identified (PS3.15, annex E; PS3.16, context group 7050)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refmaker.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refmaker.scanners.dicom.header import Header
    from refmaker.scanners.dicom.tags import Element

__all__ = ["IDENTITY_REMOVED", "METHOD_CODES", "method_codes", "privacy_notes"]

IDENTITY_REMOVED, METHOD_CODES = 0x00120062, 0x00120064
_BURNED_IN, _VISIBLE = 0x00280301, 0x00280302
_CODE_VALUE, _SCHEME = 0x00080100, 0x00080102
_KNOWN = frozenset(str(number) for number in range(113100, 113113))
"""The profile and its options."""


def method_codes(headers: Sequence[Header]) -> list[str]:
    """Return the methods of de-identification that all instances name, such as ``DCM:113100``.

    Only codes of the standard count: a text in their place could be anybody's name.

    Parameters
    ----------
    headers : sequence of Header
        Instances of a series.
    """
    found: set[str] | None = None
    known: dict[Element | None, set[str]] = {}
    for header in headers:
        element = header.elements.get(METHOD_CODES)
        if element not in known:
            known[element] = _codes(header)
        found = known[element] if found is None else found & known[element]
    return sorted(found or ())


def _codes(header: Header) -> set[str]:
    if METHOD_CODES not in header:
        return set()
    try:
        items = [
            (item.text(_SCHEME), item.text(_CODE_VALUE)) for item in header.iter_items(METHOD_CODES)
        ]
    except FormatError:
        return set()
    return {f"DCM:{code}" for scheme, code in items if scheme == "DCM" and code in _KNOWN}


def privacy_notes(headers: Sequence[Header], *, identifies: bool) -> list[str]:
    """Return what instances say of people who can still be told from them.

    Parameters
    ----------
    headers : sequence of Header
        Instances of a series.
    identifies : bool
        Whether more than safe attributes is to be written.
    """
    notes = []
    for tag, value, what in (
        (_BURNED_IN, "YES", "that text is burned into their pixels"),
        (_VISIBLE, "YES", "that a face or the like can be recognised in their pixels"),
        (IDENTITY_REMOVED, "NO", "that the patient's identity was not removed"),
    ):
        count = sum(header.text(tag).upper() == value for header in headers if tag in header)
        if count and (identifies or tag != IDENTITY_REMOVED):
            notes.append(f"{count} instances say {what}")
    return notes

"""Data sets in the JSON model of DICOM (PS3.18, annex F), as elements that stand in a file.

Values are encoded as in explicit VR little endian, so that all that reads headers reads them.
No error tells a value.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from typing import TYPE_CHECKING, Any

from refmaker.errors import FormatError
from refmaker.scanners.dicom.tags import SPECIFIC_CHARACTER_SET
from refmaker.scanners.dicom.values import tag_text

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from refmaker.scanners.dicom.tags import Element

__all__ = ["elements_of"]

_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_BINARY = {
    "US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q", "FL": "f", "FD": "d",
}  # fmt: skip
_LONG = frozenset(["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"])
"""Representations whose length takes four bytes (PS3.5, 7.1.2)."""
_NUMBERS = frozenset({"DS", "IS"})
_ITEM = b"\xfe\xff\x00\xe0"
_UTF_8 = b"ISO_IR 192"


def elements_of(
    document: Mapping[str, Any], wanted: Collection[int] | None = None
) -> dict[int, Element]:
    """Return the elements of one data set; those whose values lie elsewhere are left out.

    Parameters
    ----------
    document : mapping
        The JSON object, by tags of eight hexadecimal digits.
    wanted : collection of int, optional
        Tags to keep; all by default. Private elements are never kept.

    Raises
    ------
    FormatError
        If it is no data set; the message names the tag.
    """
    found: dict[int, Element] = {}
    for name, element in document.items():
        if not _TAG.fullmatch(name) or not isinstance(element, dict):
            raise FormatError("no data set in the JSON model of DICOM")
        tag = int(name, 16)
        if tag >> 16 & 1 or (wanted is not None and tag not in wanted):
            continue
        vr = element.get("vr")
        if not isinstance(vr, str) or len(vr) != 2:
            raise FormatError("an element without its representation", path=tag_text(tag))
        try:
            raw = _value(vr, element)
        except (ValueError, TypeError, AttributeError, struct.error, OverflowError):
            message = f"values that are no {vr}" if vr.isalnum() else "values of no representation"
            raise FormatError(message, path=tag_text(tag)) from None
        if raw is not None:
            found[tag] = vr.encode("ascii", "replace"), raw
    # JSON is in Unicode, whatever the files are in (PS3.18, F.2.1.1).
    found[SPECIFIC_CHARACTER_SET] = b"CS", _UTF_8
    return dict(sorted(found.items()))


def _value(vr: str, element: Mapping[str, Any]) -> bytes | None:
    """Return the bytes of an element; None if they lie elsewhere."""
    if "BulkDataURI" in element:
        return None
    if "InlineBinary" in element:
        try:
            return base64.b64decode(element["InlineBinary"], validate=True)
        except binascii.Error as error:
            raise ValueError(vr) from error
    values = element.get("Value", [])
    if not isinstance(values, list):
        raise TypeError(vr)
    if vr == "SQ":
        return b"".join(_item(item or {}) for item in values)
    if vr in _BINARY:
        code = _BINARY[vr]
        number = float if code in "fd" else int
        return struct.pack(f"<{len(values)}{code}", *map(number, values))
    if vr == "AT":
        tags = [int(value, 16) for value in values]
        return b"".join(struct.pack("<HH", tag >> 16, tag & 0xFFFF) for tag in tags)
    if vr == "PN":
        return _padded("\\".join(_name(value) for value in values))
    return _padded("\\".join(_text(vr, value) for value in values))


def _text(vr: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if vr not in _NUMBERS or isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(vr)
    return repr(value)


def _name(value: Any) -> str:
    return "" if value is None else "=".join(str(part) for part in value.values())


def _padded(text: str) -> bytes:
    data = text.encode()
    return data + b" " * (len(data) % 2)


def _item(document: Mapping[str, Any]) -> bytes:
    """Return an item of a sequence."""
    data = bytearray()
    for tag, (vr, raw) in elements_of(document).items():
        if tag == SPECIFIC_CHARACTER_SET:
            continue
        data += struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr
        if vr.decode() in _LONG:
            data += struct.pack("<HI", 0, len(raw))
        else:
            # A value that is longer than its length can say is of no representation here.
            data += struct.pack("<H", len(raw))
        data += raw
    return _ITEM + struct.pack("<I", len(data)) + bytes(data)

"""XML that comes from files: parsed without entities, within bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refmaker.errors import FormatError, LimitError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

__all__ = ["children", "local_name", "parse"]

_LIMIT = 128 * 1024**2
"""Characters of a document; the largest real ones, of plates, have a tenth of it."""


def parse(text: str, what: str) -> Element:
    """Return the root element of an XML document.

    Raises
    ------
    FormatError
        If it is not well-formed, or declares entities: a few lines of those can expand to
        gigabytes, and no image format needs them.
    LimitError
        If it is larger than any real one.
    """
    from xml.etree import ElementTree as ET

    if len(text) > _LIMIT:
        raise LimitError(f"{what} of {len(text)} characters, at most {_LIMIT} are parsed")
    if "<!ENTITY" in text or "<!DOCTYPE" in text:
        raise FormatError(f"{what} declares a document type or entities, which is refused")
    try:
        return ET.fromstring(text.strip("\0 \t\r\n\ufeff"))  # noqa: S314 - entities are refused above
    except (ET.ParseError, ValueError, RecursionError) as error:
        raise FormatError(f"{what} is not well-formed XML: {error}") from error


def local_name(element: Element) -> str:
    """Return an element's name without its namespace."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def children(element: Element, name: str) -> Iterator[Element]:
    """Yield the children of one name, in whatever namespace."""
    for child in element:
        if local_name(child) == name:
            yield child

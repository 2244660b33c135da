"""The XML document: a tree of elements, chunks by column.

Parsed by expat, which comes with Python. Entities and document types are refused when they are
declared, before anything is expanded: a document of this kind has neither.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.parsers import expat

from refmaker.errors import FormatError, LimitError, RefmakerError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["CHUNK", "DAP4", "DMRPP", "Element", "parse_document"]

DAP4 = "http://xml.opendap.org/ns/DAP/4.0# "
"""Beginning of the names of DAP4's elements."""
DMRPP = "http://xml.opendap.org/dap/dmrpp/1.0.0# "
"""Beginning of the names of DMR++'s elements and attributes."""
CHUNK = f"{DMRPP}chunk"
MOST = 1 << 30
"""Bytes of a document."""
_DEEPEST = 128


@dataclass(slots=True)
class Element:
    """An element of the document.

    Parameters
    ----------
    tag : str
        Its name behind the namespace and a space.
    attributes : mapping of str to str
        Its attributes.
    children : list of Element
        The elements in it, but for chunks.
    chunks : list of mapping
        The attributes of the chunks in it.
    texts : list of str
        The text in it, in pieces.
    """

    tag: str
    attributes: Mapping[str, str]
    children: list[Element] = field(default_factory=list)
    chunks: list[Mapping[str, str]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its attribute ``name``."""
        return self.attributes.get("name", "")

    @property
    def kind(self) -> str:
        """The name of an element of DAP4; empty for any other."""
        return self.tag.removeprefix(DAP4) if self.tag.startswith(DAP4) else ""

    @property
    def text(self) -> str:
        """All text in it."""
        return "".join(self.texts)

    def child(self, tag: str) -> Element | None:
        """Return the first element of a name in it."""
        return next((child for child in self.children if child.tag == tag), None)

    def all(self, kind: str) -> Iterator[Element]:
        """Yield the elements of DAP4 of a name in it."""
        tag = DAP4 + kind
        return (child for child in self.children if child.tag == tag)


def parse_document(data: bytes, url: str) -> Element:
    """Return the root of a document.

    Parameters
    ----------
    data : bytes
        The whole document.
    url : str
        Where it lies, for messages.

    Raises
    ------
    FormatError
        If it is no XML, or no DAP4 dataset; names the byte.
    LimitError
        If elements nest deeper than those of any real one.
    UnsupportedError
        If it declares a document type or an entity; code ``dmrpp-entity``.
    """
    builder = _Builder(url)
    parser = builder.parser
    try:
        parser.Parse(data, True)
    except RefmakerError:
        raise
    except (expat.ExpatError, ValueError, LookupError) as error:
        what = f"not XML: {error}"
        raise FormatError(what, url=url, offset=max(parser.ErrorByteIndex, 0)) from error
    found = builder.root.children[0] if builder.root.children else builder.root
    if found.tag != f"{DAP4}Dataset":
        raise FormatError("not a dataset of DAP4", url=url, offset=0)
    return found


class _Builder:
    """Makes the tree of what expat reports."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.root = Element("", {})
        self._stack = [self.root]
        self._chunk = self.root.chunks.append
        self._silent = False
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.EntityDeclHandler = self._refuse
        self.parser.UnparsedEntityDeclHandler = self._refuse
        self.parser.ExternalEntityRefHandler = self._refuse

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == CHUNK:
            self._chunk(attributes)
            if not self._silent:
                # Nobody reads what stands between chunks, of which there may be very many.
                self._silent, self.parser.CharacterDataHandler = True, None
            return
        if len(self._stack) > _DEEPEST:
            raise LimitError(
                f"elements nested more than {_DEEPEST} deep",
                url=self._url,
                offset=self.parser.CurrentByteIndex,
            )
        element = Element(tag, attributes)
        self._stack[-1].children.append(element)
        self._stack.append(element)
        self._within(element)

    def _end(self, tag: str) -> None:
        if tag != CHUNK:
            self._stack.pop()
            self._within(self._stack[-1])

    def _within(self, element: Element) -> None:
        """Go on in an element that has begun, or around one that has ended."""
        self._chunk = element.chunks.append
        if self._silent:
            self._silent, self.parser.CharacterDataHandler = False, self._text

    def _text(self, data: str) -> None:
        if not data.isspace():
            self._stack[-1].texts.append(data)

    def _refuse(self, *_: object) -> int:
        raise UnsupportedError(
            "the document declares a document type or an entity, which DMR++ has not",
            code="dmrpp-entity",
            url=self._url,
            offset=self.parser.CurrentByteIndex,
        )

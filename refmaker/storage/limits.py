"""Bounds on what a reference document may cost, each compared before anything is made.

A document takes at most `MEMORY` times the bytes of its text in memory while it is parsed, and
`BASE` bytes, whatever it holds; an ordinary one, of byte ranges of chunks, takes its text and
some thirty bytes for each of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from refmaker.templates import Limits as TemplateLimits

__all__ = ["BASE", "DEFAULT", "MEMORY", "Limits"]

MEMORY = 80
"""Bytes of memory for each byte of text, at most."""
BASE = 96 * 1024**2
"""Bytes of memory that documents of any size may take, for a window and what is made of it."""


class Limits(NamedTuple):
    """Upper bounds on a reference document.

    Parameters
    ----------
    document_bytes : int
        Bytes of the document, after it is decompressed.
    keys : int
        References and inlined values.
    key_length : int
        Characters of one key.
    inline_bytes : int
        Bytes of all inlined values together.
    nesting : int
        Objects and lists inside one another, in the document and in metadata that it inlines.
    tables : int
        Paths without an array whose references are kept as a table.
    templates : refmaker.templates.Limits, optional
        Sizes of templates and of what they expand to.
    """

    document_bytes: int = 4 * 1024**3
    keys: int = 1 << 27
    key_length: int = 4096
    inline_bytes: int = 1024**3
    nesting: int = 64
    tables: int = 1 << 16
    templates: TemplateLimits | None = None


DEFAULT = Limits()

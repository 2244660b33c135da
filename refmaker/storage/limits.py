"""Bounds on what a reference document may cost, each compared before anything is made."""

from __future__ import annotations

from dataclasses import dataclass, field

from refmaker.templates import Limits as TemplateLimits

__all__ = ["DEFAULT", "Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
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
    templates : refmaker.templates.Limits
        Sizes of templates and of what they expand to.
    """

    document_bytes: int = 4 * 1024**3
    keys: int = 1 << 27
    key_length: int = 4096
    inline_bytes: int = 1024**3
    templates: TemplateLimits = field(default_factory=TemplateLimits)


DEFAULT = Limits()

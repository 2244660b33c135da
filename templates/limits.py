"""The caps that keep a hostile document from costing memory or time."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULT_LIMITS", "Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds; each is compared with a count taken before anything is made.

    Parameters
    ----------
    text_length : int
        Characters of one template as written.
    nesting : int
        Parentheses and calls inside each other.
    operations : int
        Numbers, names and operators of one expression, after template functions are put in.
    width : int
        Digits that a number may be padded to.
    call_depth : int
        Templates that use templates that use templates.
    templates : int
        Entries of the ``templates`` member.
    output_length : int
        Characters of one expanded text.
    dimensions : int
        Dimensions of one rule.
    list_length : int
        Entries of one dimension given as a list.
    rows : int
        References that are expanded at once (a rule may describe more: take it in windows).
    urls : int
        Distinct URLs that are made at once.
    characters : int
        Characters of all URLs that are made at once.
    """

    text_length: int = 1 << 16
    nesting: int = 32
    operations: int = 1 << 11
    width: int = 64
    call_depth: int = 8
    templates: int = 1 << 21
    output_length: int = 1 << 16
    dimensions: int = 32
    list_length: int = 1 << 22
    rows: int = 1 << 24
    urls: int = 1 << 22
    characters: int = 1 << 28


DEFAULT_LIMITS = Limits()

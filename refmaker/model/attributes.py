"""Texts, numbers and names in attributes, of whatever form a file has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["is_number", "number_in", "text_of", "words"]


def text_of(attributes: Mapping[str, Any], *names: str) -> str:
    """Return the first of some attributes that is a text; empty if none is."""
    for name in names:
        found = _single(attributes.get(name))
        if isinstance(found, str) and found.strip():
            return found.strip()
    return ""


def is_number(value: Any) -> bool:
    """Tell whether a JSON value is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def number_in(attributes: Mapping[str, Any], name: str) -> Any:
    """Return the number that an attribute is, or has as its one element; None if it is none."""
    value = _single(attributes.get(name))
    return value if is_number(value) else None


def words(value: object) -> list[str]:
    """Return the names in an attribute that holds names."""
    return value.split() if isinstance(value, str) else []


def _single(value: Any) -> Any:
    return value[0] if isinstance(value, list | tuple) and len(value) == 1 else value

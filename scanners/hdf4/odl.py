"""Object Description Language, as far as HDF-EOS writes it: groups, objects, and what they say.

Implements the subset of the Parameter Value Language that the HDF-EOS library and the metadata
tools of NASA's archives use (HDF-EOS Library User's Guide, volume 1, appendix on structural
metadata).
"""

from __future__ import annotations

import re
from typing import Any, Final

__all__ = ["find_values", "parse_odl"]

_STATEMENT: Final = re.compile(
    r"""\s*([A-Za-z_][\w.^:-]*)\s*(?:=\s*("[^"]*"|\((?:[^()"]|"[^"]*")*\)|[^\s;]*)|(?=\s|$))"""
)
_ITEM: Final = re.compile(r'"([^"]*)"|([^\s,()"]+)')
_OPEN, _CLOSE = ("GROUP", "OBJECT"), ("END_GROUP", "END_OBJECT")
_MAX_DEPTH: Final = 64


def parse_odl(text: str) -> dict[str, Any]:
    """Return a text as nested dictionaries: groups and objects by name, other statements' values.

    Parameters
    ----------
    text : str
        The text; what is no statement in it is passed over.

    Returns
    -------
    dict
        Values are texts and numbers, or lists of them where parentheses stand around. Of groups of
        one name in one place the first is kept.
    """
    root: dict[str, Any] = {}
    stack = [root]
    at = 0
    while at < len(text):
        found = _STATEMENT.match(text, at)
        if found is None:
            at = text.find("\n", at) + 1 or len(text)
            continue
        at = found.end()
        key, value = found[1], found[2]
        if key in _OPEN and value and len(stack) < _MAX_DEPTH:
            inner: dict[str, Any] = {}
            stack[-1].setdefault(value.strip('"'), inner)
            stack.append(inner)
        elif key in _CLOSE:
            if len(stack) > 1:
                stack.pop()
        elif value is not None:
            stack[-1].setdefault(key, _value(value))
    return root


def find_values(node: dict[str, Any], name: str) -> list[Any]:
    """Return what the objects of one name say as their ``VALUE``, wherever they stand."""
    found = []
    for key, value in node.items():
        if isinstance(value, dict):
            if key == name and "VALUE" in value:
                found.append(value["VALUE"])
            found += find_values(value, name)
    return found


def _value(text: str) -> Any:
    items = [
        quoted if quoted or not plain else _number(plain) for quoted, plain in _ITEM.findall(text)
    ]
    if text.startswith("("):
        return items
    return items[0] if items else ""


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text

"""What a ``gen`` entry says, before it becomes a rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from refmaker.templates.errors import TemplateError
from refmaker.templates.evaluate import INT64_MAX
from refmaker.templates.tree import NumberExpression

if TYPE_CHECKING:
    from refmaker.templates.expand import Segments

__all__ = ["number", "texts"]

_MEMBERS = frozenset({"key", "url", "offset", "length", "dimensions"})


def texts(entry: Mapping[str, object]) -> dict[str, str]:
    """Take the templates out of an entry, after a look at what it has and has not.

    Parameters
    ----------
    entry : mapping

    Returns
    -------
    dict of str to str
        ``key`` and ``url``, and both of ``offset`` and ``length`` or neither.

    Raises
    ------
    TemplateError
    """
    if not isinstance(entry, Mapping):
        raise TemplateError("a gen entry is not an object")
    unknown = sorted(str(member) for member in entry if member not in _MEMBERS)
    if unknown:
        raise TemplateError(f"unknown member {unknown[0]!r:.40} in a gen entry")
    for member in ("key", "url", "dimensions"):
        if member not in entry:
            raise TemplateError(f"a gen entry without {member!r}")
    if ("offset" in entry) != ("length" in entry):
        raise TemplateError("'offset' and 'length' of a gen entry need each other")
    found = {}
    for member in ("key", "url", "offset", "length"):
        value = entry.get(member, "")
        if member in ("offset", "length") and type(value) is int:
            value = str(value)
        if not isinstance(value, str):
            raise TemplateError(f"{member!r} of a gen entry is not a text")
        if member in entry:
            found[member] = value
    return found


def number(segments: Segments, what: str) -> NumberExpression:
    """Read an offset or length, which must be a single number.

    Parameters
    ----------
    segments : tuple of str and NumberExpression
        The linked template.
    what : str
        Which of them it is.

    Returns
    -------
    NumberExpression

    Raises
    ------
    TemplateError
    """
    pieces = [item.strip() if isinstance(item, str) else item for item in segments]
    pieces = [item for item in pieces if item != ""]
    item = pieces[0] if len(pieces) == 1 else ""
    if isinstance(item, NumberExpression):
        return item
    if item.isascii() and item.isdigit() and len(item) <= 19 and int(item) <= INT64_MAX:
        return NumberExpression((int(item),), None, item, 0)
    text = next((piece.text for piece in pieces if isinstance(piece, NumberExpression)), item)
    raise TemplateError(f"{what} is not one integer or one expression", text)

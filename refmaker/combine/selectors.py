"""Where the coordinate along a dimension comes from.

==================  ==============================================================
selector            the value of each input
==================  ==============================================================
``"{date:%Y%m%d}"`` the field of a file's name, after the pattern (see below)
``"index"``         its place among the inputs
``"attr:x"``        the attribute ``x`` of its root group (``attr:group/x`` of another)
``"vattr:v:x"``     the attribute ``x`` of its variable ``v``
``"data:v"``        the values of its variable ``v``
``"cf:v"``          the same as dates, after the CF conventions; texts such as WRF's, too
a list              the value at its place
a mapping           the value under its file's name
a function          what it returns for the input's `ReferenceSet` and file name
==================  ==============================================================

A pattern fits at the end of a file's name or path, from a ``/`` on: ``"sst_{date:%Y%m%d}.nc"``;
``*`` stands for any text without ``/``: ``"*.f{step:03d}.*"``.
Fields are ``{name:%Y%m%d}`` for dates, ``{name:d}`` or ``{name:03d}`` for integers and ``{name}``
for texts; the field with the dimension's name is taken.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np

from refmaker.combine import remedies, times
from refmaker.combine.values import inline_like, read_values, widened
from refmaker.errors import MetadataError
from refmaker.model import Array, ChunkTable
from refmaker.model.times import calendar_of
from refmaker.patterns.url_pattern import Placeholder, parse_pattern

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from refmaker.combine.context import Context, Trees
    from refmaker.combine.members import Member
    from refmaker.patterns.url_pattern import UrlPattern

__all__ = ["Selected", "coordinate_array", "select"]


class Selected(NamedTuple):
    """The coordinate of each input, and the variable that it is, if it is one."""

    vectors: list[NDArray[Any]]
    like: Array | None = None
    path: str = ""

    def array(self, labels: NDArray[Any], name: str) -> Array:
        """Return the whole coordinate, described as the variable is."""
        if self.like is None:
            return coordinate_array(labels, name)
        # What all inputs say together may need another type than the first input's.
        like = replace(self.like, dtype=_stored(labels, self.like))
        return inline_like(labels, like, (name,))


_WIDTHS = {"Y": 4, "j": 3}
"""Digits of the parts of a date that have more or fewer than two."""


def select(name: str, selector: Any, context: Context, trees: Trees) -> Selected | None:
    """Return the coordinate of each input along a dimension.

    Parameters
    ----------
    trees : Trees
        Their groups and arrays, with times in the same units.

    Returns
    -------
    Selected or None
        None if an input has none, which the findings tell.

    Raises
    ------
    MetadataError
        If the selector is none.
    SourceError
        If values have to be read, and cannot be.
    """
    members = context.members
    values: list[Any] = []
    if isinstance(selector, str) and selector.startswith(("data:", "cf:")):
        return _of_variables(name, selector, context, trees)
    for member in members:
        try:
            values.append(_one(name, selector, member, len(members)))
        except MetadataError as error:
            # It will be so for others, too; one is enough to see why.
            hint = ", ".join(filter(None, (error.hint, remedies.counting(name))))
            context.found.say(name, error.message, hint)
            return None
    try:
        return Selected(_common_kind([np.atleast_1d(_plain(value)) for value in values]))
    except (TypeError, ValueError) as error:
        text = f"values of different kinds: {error}"
        context.found.say(name, text, remedies.counting(name))
        return None


def _one(name: str, selector: Any, member: Member, count: int) -> Any:
    if isinstance(selector, str):
        return _by_text(name, selector, member)
    if callable(selector):
        return selector(member.refs, member.name)
    if hasattr(selector, "keys"):
        for known in member.names:
            if known in selector:
                return selector[known]
        raise MetadataError(f"there is no value for {member.name}")
    values = list(selector)
    if len(values) != count:
        raise MetadataError(f"{len(values)} values for {count} inputs")
    return values[member.number]


def _by_text(name: str, selector: str, member: Member) -> Any:
    if selector == "index":
        return member.number
    word, _, rest = selector.partition(":")
    if word == "attr":
        path, _, attribute = rest.rpartition("/")
        node = member.refs.group if not path else _node(member, path)
        return _attribute(member, node, path, attribute)
    if word == "vattr":
        variable, _, attribute = rest.partition(":")
        return _attribute(member, _node(member, variable), variable, attribute)
    if "{" in selector:
        return _of_name(name, parse_pattern(selector), member)
    raise MetadataError(
        f"{selector!r} says nowhere that a coordinate could come from",
        hint="name a pattern with {fields} or index or attr:x or vattr:variable:x or data:variable"
        " or cf:variable",
    )


def _node(member: Member, path: str) -> Any:
    try:
        return member.refs.group[path]
    except KeyError:
        raise MetadataError(f"{member.name} has no {path!r}") from None


def _attribute(member: Member, node: Any, path: str, name: str) -> Any:
    if name not in node.attributes:
        where = f" of {path!r}" if path else ""
        raise MetadataError(f"{member.name} has no attribute {name!r}{where}")
    return node.attributes[name]


def _of_name(name: str, pattern: UrlPattern, member: Member) -> Any:
    """Return the value of one field of a file's name."""
    if name not in pattern.kinds:
        raise MetadataError(
            f"the pattern {pattern.text!r} has no field {name!r}",
            hint=f"its fields are {' and '.join(pattern.kinds)}",
        )
    expression = _expression(pattern)
    found = []
    for url in member.names:
        path = urlsplit(url).path if "://" in url else url
        match = expression.search(path)
        if match is not None:
            found.append(_value(name, pattern, match))
    if not found:
        raise MetadataError(
            f"the pattern {pattern.text!r} does not fit the name {member.name}",
            hint="it has to fit from a / to the end; * stands for any text",
        )
    if any(value != found[0] for value in found):
        raise MetadataError(f"the names {', '.join(member.names)} give different values")
    return found[0]


def _expression(pattern: UrlPattern) -> re.Pattern[str]:
    parts = [r"(?:^|/)"]
    number: dict[str, int] = {}
    for token in pattern.tokens:
        if isinstance(token, str):
            parts.append(re.escape(token).replace(r"\*", "[^/]*"))
            continue
        n = number[token.name] = number.get(token.name, 0) + 1
        parts.append(f"(?P<{token.name}__{n}>{_part(token)})")
    return re.compile("".join(parts) + r"\Z")


def _part(field: Placeholder) -> str:
    if field.kind == "integer":
        width = field.spec[:-1]
        return rf"\d{{{int(width)},}}" if width else r"\d+"
    if field.kind == "text":
        return r"[^/]+?"
    pieces = re.split(r"%(.)", field.spec)
    text = ""
    for k, piece in enumerate(pieces):
        if k % 2:
            text += "%" if piece == "%" else rf"\d{{{_WIDTHS.get(piece, 2)}}}"
        else:
            text += re.escape(piece)
    return text


def _value(name: str, pattern: UrlPattern, match: re.Match[str]) -> Any:
    fields = [
        token for token in pattern.tokens if isinstance(token, Placeholder) and token.name == name
    ]
    texts = [match[f"{name}__{n}"] for n in range(1, len(fields) + 1)]
    values: set[Any]
    if fields[0].kind == "integer":
        values = {int(text) for text in texts}
    elif fields[0].kind == "text":
        values = set(texts)
    else:
        return _date([(field.spec, text) for field, text in zip(fields, texts, strict=True)])
    if len(values) != 1:
        raise MetadataError(f"{match[0]!r} has different values of {name!r}")
    return values.pop()


def _date(fields: Sequence[tuple[str, str]]) -> datetime:
    """Return the date that fields say together, such as ``{t:%Y}/{t:%Y%m%d}.nc``."""
    found: dict[str, str] = {}
    for spec, text in fields:
        position = 0
        for k, piece in enumerate(re.split(r"%(.)", spec)):
            if k % 2 == 0 or piece == "%":
                position += len(piece)
                continue
            width = _WIDTHS.get(piece, 2)
            number = text[position : position + width]
            position += width
            if found.setdefault(piece, number) != number:
                raise MetadataError(f"{text!r} contradicts %{piece} = {found[piece]}")
    specs = " ".join(f"%{piece}" for piece in found)
    try:
        return datetime.strptime(" ".join(found.values()), specs).replace(tzinfo=UTC)
    except ValueError as error:
        raise MetadataError(f"no date: {error}") from error


def _plain(value: Any) -> Any:
    """Return a value as numpy has it; dates become datetime64."""
    if isinstance(value, datetime):
        plain = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
        return np.datetime64(plain, "us")
    if isinstance(value, date):
        return np.datetime64(value, "us")
    return value


def _common_kind(vectors: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """Bring vectors to one dtype, without changing what they say."""
    kinds = {vector.dtype.kind for vector in vectors}
    if not (kinds <= set("iuf") or len(kinds) == 1) or not kinds <= set("iufMUbS"):
        raise TypeError(f"{', '.join(sorted(str(vector.dtype) for vector in vectors)[:3])}")
    dtype = np.result_type(*{vector.dtype for vector in vectors})
    if dtype.kind not in "iuf":
        return [vector.astype(dtype) for vector in vectors]
    made = [widened(vector, dtype) for vector in vectors]
    if any(vector is None for vector in made):
        raise ValueError("integers that a float cannot hold")
    return [vector for vector in made if vector is not None]


def _of_variables(name: str, selector: str, context: Context, trees: Trees) -> Selected | None:
    word, _, path = selector.partition(":")
    items = []
    home, _, leaf = path.strip("/").rpartition("/")
    known: dict[int, Any] = dict(trees.arrays.get(home, {}).get(leaf, ()))
    for member in context.members:
        try:
            node = known.get(member.number) or _node(member, path)
        except MetadataError as error:
            context.found.say(name, error.message, remedies.counting(name))
            return None
        if not isinstance(node, Array) or len(node.shape) > 1 + _is_letters(node):
            text = f"{path} in {member.name} is no variable of at most one dimension"
            context.found.say(name, text, remedies.counting(name))
            return None
        items.append((member, path, node))
    values = [
        np.atleast_1d(_texts(vector) if _is_letters(array) else vector)
        for vector, (_, _, array) in zip(read_values(items), items, strict=True)
    ]
    if any(_is_letters(array) or array.dtype.kind in "SUO" for _, _, array in items):
        return _of_texts(name, word, path, values, context)
    units = {(a.attributes.get("units"), calendar_of(a.attributes)) for _, _, a in items}
    if word == "cf":
        try:
            found = [
                times.dates(vector, array.attributes)
                for vector, (_, _, array) in zip(values, items, strict=True)
            ]
            if len(units) > 1:
                return Selected(found)
        except MetadataError as error:
            context.found.say(
                name, error.message, f"take the numbers (`coords={{{name!r}: 'data:{path}'}}`)"
            )
            return None
    if len(units) > 1:
        shown = sorted(str(unit) for unit, _ in units)[:2]
        context.found.say(
            name, f"{path} has different units, such as {' and '.join(shown)}",
            hint=f"compare dates (`coords={{{name!r}: 'cf:{path}'}}`)",
        )  # fmt: skip
        return None
    before = len(context.found.lines)
    attributes = context.attributes(path, [(m.number, array) for m, _, array in items], False)
    if len(context.found.lines) > before:
        return None
    return Selected(_common_kind(values), replace(items[0][2], attributes=attributes), path)


def _is_letters(array: Array) -> bool:
    """Whether an array holds texts as single characters along its last dimension."""
    return array.dtype == np.dtype("S1") and len(array.shape) > 0


def _texts(letters: NDArray[Any]) -> NDArray[Any]:
    """Return texts of characters along the last dimension."""
    size = letters.shape[-1]
    whole = np.ascontiguousarray(letters).view(f"S{size}") if size else letters
    return whole.reshape(letters.shape[:-1])


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _of_texts(
    name: str, word: str, path: str, values: Sequence[NDArray[Any]], context: Context
) -> Selected | None:
    """Return texts as they are, or as the dates that they name."""
    texts = [np.array([_text(value) for value in one.tolist()], np.str_) for one in values]
    if word != "cf":
        return Selected(_common_kind(texts))
    try:
        return Selected([times.dates_of_texts(one) for one in texts])
    except MetadataError as error:
        context.found.say(
            name, f"{path}: {error.message}",
            f"take the texts (`coords={{{name!r}: 'data:{path}'}}`)",
        )  # fmt: skip
        return None


def _stored(labels: NDArray[Any], like: Array) -> np.dtype[Any]:
    """Return the type of the first input's variable, if all values fit into it."""
    if labels.dtype.kind == like.dtype.kind and labels.dtype.itemsize == like.dtype.itemsize:
        return like.dtype
    return labels.dtype.newbyteorder("<") if labels.dtype.itemsize > 1 else labels.dtype


def coordinate_array(labels: NDArray[Any], name: str) -> Array:
    """Return values as a coordinate that CF conventions describe, kept in the set itself.

    Parameters
    ----------
    labels : ndarray, shape (n,)
        Numbers, texts or dates.
    """
    attributes: dict[str, Any] = {}
    values = np.asarray(labels)
    if values.dtype.kind == "M":
        values, unit = times.whole_units(values)
        attributes = {
            "units": f"{unit} since 1970-01-01", "calendar": "proleptic_gregorian",
            "standard_name": "time",
        }  # fmt: skip
    dtype = values.dtype.newbyteorder("<") if values.dtype.itemsize > 1 else values.dtype
    like = Array(
        (values.size,), (max(1, values.size),), dtype,
        ChunkTable.empty((1 if values.size else 0,)), attributes=attributes,
    )  # fmt: skip
    return inline_like(values, like, (name,))

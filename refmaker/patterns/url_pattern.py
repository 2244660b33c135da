"""Names of files as a pattern: text with fields such as ``{run:%Y%m%d}`` or ``{member:02d}``."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from refmaker.errors import LimitError, MetadataError
from refmaker.patterns.values import FILES_LIMIT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refmaker.patterns.values import Values

__all__ = ["Placeholder", "UrlPattern", "parse_pattern"]

_TOKEN = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_]*)(?::([^{}]*))?\}|[^{}]+")
_NUMBER = re.compile(r"0([1-9][0-9]?)d|d")
_DIRECTIVES = frozenset("YymdHMSj%")
"""Parts of a date that are numbers: names of months and days depend on the language."""


@dataclass(frozen=True)
class Placeholder:
    """One field of a pattern.

    Parameters
    ----------
    name : str
        The dimension.
    spec : str
        How a value is written: ``d`` or ``03d`` for integers, a format of strftime for dates,
        nothing or ``s`` for texts.
    """

    name: str
    spec: str

    @property
    def kind(self) -> str:
        """What it takes: ``integer``, ``date`` or ``text``."""
        if "%" in self.spec:
            return "date"
        return "integer" if _NUMBER.fullmatch(self.spec) else "text"


@dataclass(frozen=True)
class UrlPattern:
    """A pattern, parsed."""

    text: str
    tokens: tuple[str | Placeholder, ...]

    @property
    def kinds(self) -> dict[str, str]:
        """Each field's name and kind, in the order of their first appearance."""
        found: dict[str, str] = {}
        for token in self.tokens:
            if (
                isinstance(token, Placeholder)
                and found.setdefault(token.name, token.kind) != token.kind
            ):
                raise MetadataError(
                    f"the field {token.name!r} is a {found[token.name]} and a {token.kind}",
                    path=self.text,
                )
        return found

    def urls(self, values: Mapping[str, Values]) -> list[str]:
        """Return the name of every file, in C order of the fields' first appearance.

        Raises
        ------
        LimitError
            If there are more than `FILES_LIMIT`.
        MetadataError
            If different values give the same name.
        """
        names = list(self.kinds)
        sizes = [len(values[name]) for name in names]
        if np.prod([float(size) for size in sizes]) > FILES_LIMIT:
            raise LimitError(
                f"a cube of {' x '.join(map(str, sizes))} files, at most {FILES_LIMIT}",
                path=self.text,
            )
        columns = [
            token if isinstance(token, str) else values[token.name].texts(token.spec)
            for token in self.tokens
        ]
        axes = [names.index(t.name) if isinstance(t, Placeholder) else 0 for t in self.tokens]
        urls = [
            "".join(
                column if isinstance(column, str) else column[at[axis]]
                for column, axis in zip(columns, axes, strict=True)
            )
            for at in product(*map(range, sizes))
        ]
        if len(set(urls)) != len(urls):
            twice = next(url for url, number in Counter(urls).items() if number > 1)
            raise MetadataError(
                f"the pattern does not tell all values apart: {twice} is the name of several",
                path=self.text,
            )
        return urls


def parse_pattern(text: str) -> UrlPattern:
    """Parse a pattern; ``{{`` and ``}}`` are single braces.

    Raises
    ------
    MetadataError
        If a field is not understood, or there is none.
    """
    tokens: list[str | Placeholder] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise MetadataError(
                f"a brace without its other at character {position} of {text!r}",
                hint="a field is {name:03d}, {name:%Y%m%d} or {name}; a brace itself is doubled",
            )
        if match[1] is not None:
            tokens.append(_field(match[1], match[2] or "", text))
        else:
            tokens.append(match[0][0] if match[0] in ("{{", "}}") else match[0])
        position = match.end()
    pattern = UrlPattern(text, tuple(tokens))
    if not pattern.kinds:
        raise MetadataError(f"the pattern {text!r} has no field such as {{run:%Y%m%d}}")
    return pattern


def _field(name: str, spec: str, text: str) -> Placeholder:
    field = Placeholder(name, spec)
    if field.kind == "text" and spec not in ("", "s"):
        raise MetadataError(
            f"the format {spec!r} of the field {name!r} is not known",
            path=text,
            hint="d, 03d, or a format of dates such as %Y%m%d",
        )
    unknown = {part for part in re.findall(r"%(.?)", spec) if part not in _DIRECTIVES}
    if unknown:
        raise MetadataError(
            f"%{min(unknown)} in the field {name!r} is not a number of a date", path=text
        )
    return field

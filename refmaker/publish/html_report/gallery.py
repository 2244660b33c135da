"""The pictures of a page: what a set holds that can be shown, drawn within bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import LimitError, MissingDependencyError, SourceError
from refmaker.publish.pictures import look_at, svg
from refmaker.publish.pictures.facts import facts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refmaker.publish.pictures import Look, Source, Subject

__all__ = ["Card", "gallery"]

CARDS = 12
"""Subjects that are shown."""
NBYTES = 1_200_000
"""Bytes of all figures together."""
_FIRST, _OTHERS = 448, 288
"""Values along a side of the first picture, and of the others."""
_PATIENCE = 3
"""Files in a row that cannot be reached, before no others are tried."""


@dataclass(frozen=True, slots=True)
class Card:
    """One subject on a page.

    Parameters
    ----------
    subject : Subject
        What it is.
    facts : list of (str, str)
        What is known of it.
    figure : str
        SVG; empty for a table, and where there is trouble.
    note : str
        Which part of the subject the figure shows.
    rows : tuple of tuple of str
        Of a table: names, then rows.
    trouble : str
        Why there is no figure; empty if there is one.
    levels : tuple of (str, str)
        Of a pyramid: path and extents of each level.
    """

    subject: Subject
    facts: list[tuple[str, str]]
    figure: str = ""
    note: str = ""
    rows: tuple[tuple[str, ...], ...] = ()
    trouble: str = ""
    levels: tuple[tuple[str, str], ...] = ()


def gallery(
    found: Sequence[Subject],
    source: Source,
    more: Mapping[str, Sequence[tuple[str, str]]] | None = None,
) -> list[Card]:
    """Return the first subjects of a set as cards, those without a picture at the end.

    Parameters
    ----------
    found : sequence of Subject
        What the set holds that can be shown.
    source : Source
        The set, with what may be read of it.
    more : mapping of str to sequence of (str, str), optional
        By the path of an array what else is known of it.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    """
    cards: list[Card] = []
    left, lost = NBYTES, 0
    for number, subject in enumerate(found[:CARDS]):
        pixels = _OTHERS if number else _FIRST
        if lost >= _PATIENCE:
            told = f"not tried, as {_PATIENCE} others could not be reached"
            cards.append(_card(subject, source, trouble=told))
            continue
        try:
            look = look_at(subject, source, pixels=pixels)
            figure = "" if subject.kind == "table" else svg(look, source)
            if len(figure) > left:
                raise LimitError("the page would become too large")  # noqa: TRY301 - told as others
        except MissingDependencyError as error:
            if error.hint and "refmaker[report]" in error.hint:
                raise
            cards.append(_card(subject, source, trouble=_told(error)))
        except Exception as error:  # noqa: BLE001 - codecs, files, networks; one never costs the page
            lost = lost + 1 if isinstance(error, SourceError) else lost
            cards.append(_card(subject, source, trouble=_told(error)))
        else:
            lost = 0
            left -= len(figure)
            known = {"figure": figure, "note": _note(look), "rows": look.rows, "seen": _seen(look)}
            cards.append(_card(subject, source, **known))
    for card in cards:
        card.facts.extend((more or {}).get(card.subject.path, ()))
    return sorted(cards, key=lambda card: bool(card.trouble))


def _card(subject: Subject, source: Source, **told: Any) -> Card:
    levels = []
    for path in subject.levels if len(subject.levels) > 1 else ():
        shape = source.array(path).shape
        names = [axis.name for axis in subject.axes]
        extents = [f"{names[at]} {shape[at]:,}" for at in range(len(shape)) if shape[at] > 1]
        levels.append((path, ", ".join(extents)))
    seen = told.pop("seen", "")
    known = [*facts(subject, source), *([("seen here", seen)] if seen else [])]
    return Card(subject, known, levels=tuple(levels), **told)


def _seen(look: Look) -> str:
    """Return the least and the greatest value that is drawn, and how much is missing."""
    values = look.values
    if values.dtype == np.uint8 or not values.size:
        return ""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return "no value is there"
    text = f"{finite.min():.5g} to {finite.max():.5g} {look.subject.units}".strip()
    missing = 1 - finite.size / values.size
    return f"{text}, {100 * missing:.2g} % missing" if missing else text


def _told(error: Exception) -> str:
    cause = error.__cause__ or error
    named = str(cause) if isinstance(cause, LimitError) else f"{type(cause).__name__}: {cause}"
    return " ".join(named.split())


def _note(look: Look) -> str:
    """Return which part of a subject is seen."""
    parts = [f"{name} {place}" for name, place in look.places]
    if look.part:
        parts.append(look.part)
    down, across = look.every
    if down == across > 1:
        parts.append(f"one of {down} values along each side")
    elif max(down, across) > 1:
        parts.append(f"one of {down} rows and of {across} columns")
    if look.path and look.path != look.subject.path:
        parts.append(f"level {look.subject.levels.index(look.path)}")
    return ", ".join(parts)

"""URLs that differ in running numbers: counters, zero-padded counters, calendar dates."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from refmaker.templates.affine import Coordinate, fit
from refmaker.templates.dates import FIELD_WIDTHS, Moment, expressions
from refmaker.templates.evaluate import Int64Array, evaluate_columns
from refmaker.templates.parse import parse
from refmaker.templates.tree import NumberExpression

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["url_template"]

_NUMBER = re.compile("([0-9]+)")
_DIGITS = 18
"""Longest number that certainly fits into 64 bits."""

_Texts = npt.NDArray[np.str_]


@dataclass(slots=True)
class _Run:
    """One number of the URLs: its digits in every file, and the template if one is found."""

    texts: _Texts
    template: str | None = None


def url_template(
    urls: Sequence[str], shape: tuple[int, ...], coordinates: Sequence[Coordinate]
) -> str | None:
    """Find the template that gives every URL of a grid of files.

    Parameters
    ----------
    urls : sequence of str
        In C order.
    shape : tuple of int
    coordinates : sequence of Coordinate
        One for each axis that is longer than one.

    Returns
    -------
    str or None
    """
    first = _NUMBER.split(urls[0])
    digits: list[list[str]] = [[] for _ in first[1::2]]
    for url in urls:
        pieces = _NUMBER.split(url)
        if len(pieces) != len(first) or pieces[::2] != first[::2]:
            return None
        for column, piece in zip(digits, pieces[1::2], strict=True):
            column.append(piece)
    runs = [_Run(np.array(column).reshape(shape)) for column in digits]
    for run in runs:
        run.template = _constant(run.texts) or _counter(run.texts, coordinates)
    for coordinate in coordinates:
        _put_dates(runs, coordinate)
    if any(run.template is None for run in runs):
        return None
    found = [first[0]]
    for run, literal in zip(runs, first[2::2], strict=True):
        found += [run.template or "", literal]
    return "".join(found)


def _constant(texts: _Texts) -> str | None:
    first = str(texts.flat[0])
    return first if bool((texts == first).all()) else None


def _counter(texts: _Texts, coordinates: Sequence[Coordinate]) -> str | None:
    lengths = np.char.str_len(texts)
    if int(lengths.max()) > _DIGITS:
        return None
    padded = np.char.startswith(texts, "0") & (lengths > 1)
    expression = fit(texts.astype(np.int64), coordinates)
    if expression is None:
        return None
    if not padded.any():
        return f"{{{{ {expression} }}}}"
    if expression not in {coordinate.text for coordinate in coordinates}:
        expression = f"({expression})"
    return f"{{{{ '%0{int(lengths[padded].max())}d' % {expression} }}}}"


def _put_dates(runs: list[_Run], coordinate: Coordinate) -> None:
    """Write the open runs that vary along one axis only as parts of a date, if all are."""
    lines: list[list[str] | None] = [_line(run.texts, coordinate.axis) for run in runs]
    wanted = [
        number
        for number, run in enumerate(runs)
        if run.template is None and lines[number] is not None
    ]
    if not wanted:
        return
    for moments in _series(lines):
        fields = expressions(moments, coordinate.text)
        if fields is None or not _gives(moments, coordinate.values):
            continue
        for number in wanted:
            runs[number].template = _spelled(lines[number] or [], moments, fields)
        if all(runs[number].template is not None for number in wanted):
            return


def _line(texts: _Texts, axis: int) -> list[str] | None:
    """Texts along one axis, if they are the same all over the others."""
    origin = [slice(0, 1)] * texts.ndim
    origin[axis] = slice(None)
    line = texts[tuple(origin)]
    return [str(text) for text in line.ravel()] if bool((texts == line).all()) else None


def _series(lines: list[list[str] | None]) -> Iterator[list[Moment]]:
    """Read neighbouring runs as year, month, day, ...; the most detailed reading first."""
    found: list[tuple[int, list[Moment]]] = []
    for start in range(len(lines)):
        texts: list[str] | None = None
        for line in lines[start:]:
            if line is None or len({len(text) for text in line}) != 1:
                break
            texts = line if texts is None else list(map(str.__add__, texts, line))
            size = len(texts[0])
            if size > 14:
                break
            if size >= 6 and size % 2 == 0:
                found.append((size, [_moment(text) for text in texts]))
    found.sort(key=lambda pair: -pair[0])
    return (moments for _, moments in found)


def _moment(text: str) -> Moment:
    padded = text + "00000101000000"[len(text) :]
    numbers = [int(padded[place : place + 2]) for place in range(4, 14, 2)]
    return (int(padded[:4]), numbers[0], numbers[1], numbers[2], numbers[3], numbers[4])


def _gives(moments: list[Moment], counts: Int64Array) -> bool:
    """Whether the expressions for these moments give them for these counts."""
    columns = np.array(moments, np.int64).T
    for column, expression in zip(columns, expressions(moments, "n") or (), strict=True):
        (field,) = parse(f"{{{{ {expression} }}}}")
        if not isinstance(field, NumberExpression):
            return False
        if not np.all(evaluate_columns(field, {"n": counts}, proven=False) == column):
            return False
    return True


def _spelled(line: list[str], moments: list[Moment], fields: tuple[str, ...]) -> str | None:
    """Spell one run as consecutive parts of the date."""
    for start in range(len(FIELD_WIDTHS)):
        texts = [""] * len(line)
        for stop in range(start, len(FIELD_WIDTHS)):
            width = FIELD_WIDTHS[stop]
            texts = [f"{text}{m[stop]:0{width}d}" for text, m in zip(texts, moments, strict=True)]
            if texts == line:
                parts = zip(fields[start : stop + 1], FIELD_WIDTHS[start:], strict=False)
                return "".join(_padded(field, width) for field, width in parts)
    return None


def _padded(expression: str, width: int) -> str:
    if expression.isdigit():
        return expression.zfill(width)
    return f"{{{{ '%0{width}d' % ({expression}) }}}}"

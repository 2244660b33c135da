"""The key of a rule read backwards: from a chunk key to the values of the variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refmaker.templates.errors import TemplateError
from refmaker.templates.evaluate import affine, interval
from refmaker.templates.expand import Segments, render
from refmaker.templates.tree import NumberExpression

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refmaker.templates.dimension import Dimension

__all__ = ["KeyPattern"]

_DIGITS = frozenset("0123456789")


class KeyPattern:
    """A key template that can be matched, if its numbers can be told apart and solved.

    It can be when each number that is needed to find a variable is affine in that variable
    alone (``{{i}}``, ``{{2 * i + 1}}``), and each number is followed by the end, by something
    that is not a digit, or always has as many digits as it is padded to.

    Parameters
    ----------
    segments : tuple of str and NumberExpression
        The linked key.
    dimensions : sequence of Dimension
        All variables; each must occur in the key unless it has one value only.

    Attributes
    ----------
    literals : tuple of str
        Texts before, between and after the fields: one more than there are fields.
    fields : tuple of NumberExpression
    obstacle : str or None
        Why keys cannot be matched, or None if they can.

    Raises
    ------
    TemplateError
        If a variable with several values is not in the key: keys would repeat.
    """

    __slots__ = (
        "_dimensions",
        "_fixed",
        "_segments",
        "_solutions",
        "fields",
        "literals",
        "obstacle",
    )

    def __init__(self, segments: Segments, dimensions: Sequence[Dimension]) -> None:
        self._segments = segments
        self._dimensions = {dimension.name: dimension for dimension in dimensions}
        self.fields = tuple(item for item in segments if isinstance(item, NumberExpression))
        self.literals = _literals(segments)
        used = {item for field in self.fields for item in field.program if isinstance(item, str)}
        for dimension in dimensions:
            if dimension.size > 1 and dimension.name not in used:
                raise TemplateError(f"dimension {dimension.name} is not in the key: keys repeat")
        self._fixed = tuple(self._fixed_width(field) for field in self.fields)
        self._solutions = self._solve()
        self.obstacle = self._find_obstacle()

    def match(self, key: str) -> dict[str, int] | None:
        """Find the variables for which the template gives exactly this key.

        Parameters
        ----------
        key : str

        Returns
        -------
        dict of str to int, or None
            None if the template gives this key for no values of its dimensions.

        Raises
        ------
        TemplateError
            If this pattern has an obstacle.
        """
        if self.obstacle is not None:
            text = self.fields[0].text if self.fields else ""
            raise TemplateError(f"keys cannot be looked up: {self.obstacle}", text)
        numbers = self._numbers(key)
        if numbers is None:
            return None
        values: dict[str, int] = {}
        for dimension in self._dimensions.values():
            solution = self._solutions.get(dimension.name)
            if solution is None:
                value = dimension.values[0]
            else:
                place, factor, constant = solution
                value = (numbers[place] - constant) // factor
                if dimension.place(value) is None:
                    return None
            values[dimension.name] = value
        # What was read is only a guess until it is written again: the division may have had a
        # remainder, other fields may disagree, and 007 is not how this template writes 7.
        return values if render(self._segments, values) == key else None

    def _numbers(self, key: str) -> list[int] | None:
        if not key.startswith(self.literals[0]):
            return None
        position = len(self.literals[0])
        numbers: list[int] = []
        for fixed, literal in zip(self._fixed, self.literals[1:], strict=True):
            stop = position + fixed if fixed else _digits_end(key, position)
            digits = key[position:stop]
            if not _is_integer(digits) or not key.startswith(literal, stop):
                return None
            numbers.append(int(digits))
            position = stop + len(literal)
        return numbers if position == len(key) else None

    def _solve(self) -> dict[str, tuple[int, int, int]]:
        """For each variable a field, a factor and a constant that give its value."""
        found: dict[str, tuple[int, int, int]] = {}
        for place, field in enumerate(self.fields):
            form = affine(field.program)
            if form is not None and len(form[0]) == 1:
                ((name, factor),) = form[0].items()
                found.setdefault(name, (place, factor, form[1]))
        return found

    def _find_obstacle(self) -> str | None:
        for dimension in self._dimensions.values():
            if dimension.size > 1 and dimension.name not in self._solutions:
                return f"no number in it is a multiple of {dimension.name} alone plus a constant"
        for place, literal in enumerate(self.literals[1:]):
            last = place == len(self.fields) - 1
            if not self._fixed[place] and (literal[:1] in _DIGITS if literal else not last):
                return f"number {place + 1} in it has no certain end"
        return None

    def _fixed_width(self, field: NumberExpression) -> int:
        """Return the number of characters if that is the same for all values, otherwise 0."""
        if field.width is None or any(not d.size for d in self._dimensions.values()):
            return 0
        ranges = {name: dimension.bounds() for name, dimension in self._dimensions.items()}
        bounds = interval(field.program, ranges)
        fits = bounds is not None and bounds[0] >= 0 and len(str(bounds[1])) <= field.width
        return field.width if fits else 0


def _literals(segments: Segments) -> tuple[str, ...]:
    literals = [""]
    for item in segments:
        if isinstance(item, str):
            literals[-1] = item
        else:
            literals.append("")
    return tuple(literals)


def _digits_end(text: str, position: int) -> int:
    if text.startswith("-", position):
        position += 1
    while position < len(text) and text[position] in _DIGITS:
        position += 1
    return position


def _is_integer(text: str) -> bool:
    digits = text.removeprefix("-")
    # Longer numbers fit no dimension, and int() takes quadratic time on long texts.
    return 0 < len(digits) <= 64 and all(digit in _DIGITS for digit in digits)

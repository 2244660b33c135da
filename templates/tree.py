"""What a parsed template consists of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["OPERATORS", "Argument", "Call", "NumberExpression", "Part", "Program"]

OPERATORS = frozenset({"+", "-", "*", "//", "%"})

Program: TypeAlias = tuple[int | str, ...]
"""An integer expression in postfix order: numbers, names and operators.

``(i + 1) * 1000`` is ``("i", 1, "+", 1000, "*")`` and ``-i`` is ``(0, "i", "-")``. Flat
programs need no recursion to evaluate and their length is their cost.
"""


@dataclass(frozen=True, slots=True)
class NumberExpression:
    """A number in a text.

    Parameters
    ----------
    program : tuple of int and str
        The expression.
    width : int or None
        Least number of characters, filled with zeros. None if no format was given: only then
        is the value still a number for the template function that receives it.
    text : str
        The template in which the expression stands.
    position : int
        Where in `text`.
    """

    program: Program
    width: int | None
    text: str
    position: int


@dataclass(frozen=True, slots=True)
class Call:
    """A template function with its keyword arguments.

    Parameters
    ----------
    name : str
        The template.
    arguments : tuple of (str, Argument)
        In the order written.
    text : str
        The template in which the call stands.
    position : int
        Where in `text`.
    """

    name: str
    arguments: tuple[tuple[str, Argument], ...]
    text: str
    position: int


Argument: TypeAlias = "str | NumberExpression | Call"
Part: TypeAlias = "str | NumberExpression | Call"

"""Programs on integers, on columns, on intervals, and as affine forms.

All four are the same walk over a postfix program with another meaning of the operators. Values
are signed 64-bit integers: a step that leaves them is an error, never a wrapped number, in
the scalar and in the column meaning alike. ``//`` and ``%`` round towards minus infinity, as
in Python.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from refmaker.templates.errors import TemplateError
from refmaker.templates.tree import OPERATORS, NumberExpression, Program

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "INT64_MAX",
    "INT64_MIN",
    "Int64Array",
    "Interval",
    "affine",
    "evaluate",
    "evaluate_columns",
    "interval",
]

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1

Int64Array: TypeAlias = npt.NDArray[np.int64]
Interval: TypeAlias = tuple[int, int]
_Affine: TypeAlias = tuple[dict[str, int], int]
_T = TypeVar("_T")

_PYTHON: dict[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
}
_NUMPY: dict[str, np.ufunc] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "//": np.floor_divide,
    "%": np.remainder,
}


def evaluate(field: NumberExpression, values: Mapping[str, int]) -> int:
    """Value of an expression for one combination of variables.

    Parameters
    ----------
    field : NumberExpression
        Its names are all variables (see `refmaker.templates.expand`).
    values : mapping of str to int

    Returns
    -------
    int

    Raises
    ------
    TemplateError
        On division by zero and where a step leaves 64 bits.
    """

    def apply(sign: str, left: int, right: int) -> int:
        if right == 0 and sign in ("//", "%"):
            raise _division(field)
        result = _PYTHON[sign](left, right)
        if not INT64_MIN <= result <= INT64_MAX:
            raise _overflow(field)
        return result

    return _walk(field.program, values.__getitem__, int, apply)


def evaluate_columns(
    field: NumberExpression, columns: Mapping[str, Int64Array], *, proven: bool
) -> Int64Array | np.int64:
    """Values of an expression for many combinations of variables.

    Parameters
    ----------
    field : NumberExpression
    columns : mapping of str to int64[n]
        One value a row for every variable in the expression.
    proven : bool
        Whether `interval` has shown that no row can leave 64 bits; otherwise every step
        checks every row.

    Returns
    -------
    int64[n], or a scalar if the expression is constant

    Raises
    ------
    TemplateError
        If any row divides by zero or leaves 64 bits.
    """

    def apply(
        sign: str, left: Int64Array | np.int64, right: Int64Array | np.int64
    ) -> Int64Array | np.int64:
        if not proven and sign in ("//", "%") and np.any(right == 0):
            raise _division(field)
        with np.errstate(over="ignore"):
            result: Int64Array = _NUMPY[sign](left, right)
            if not proven and np.any(_overflows(sign, left, right, result)):
                raise _overflow(field)
        return result

    return _walk(field.program, columns.__getitem__, np.int64, apply)


def interval(program: Program, ranges: Mapping[str, Interval]) -> Interval | None:
    """Bounds of an expression whose variables are bounded.

    Parameters
    ----------
    program : Program
    ranges : mapping of str to (int, int)
        Least and greatest value of each variable.

    Returns
    -------
    (int, int) or None
        Bounds of the result, not always tight. None unless it is certain that no step
        divides by zero or leaves 64 bits.
    """

    def apply(sign: str, left: Interval | None, right: Interval | None) -> Interval | None:
        if left is None or right is None:
            return None
        if sign in ("//", "%") and right[0] <= 0 <= right[1]:
            return None
        if sign == "%":
            return (0, right[1] - 1) if right[0] > 0 else (right[0] + 1, 0)
        # The other operators are monotonic in each operand (// where the divisor keeps its
        # sign), so that the extremes lie in the corners.
        corners = [_PYTHON[sign](a, b) for a in left for b in right]
        if min(corners) < INT64_MIN or max(corners) > INT64_MAX:
            return None
        return min(corners), max(corners)

    return _walk(program, ranges.__getitem__, lambda value: (value, value), apply)


def affine(program: Program) -> _Affine | None:
    """Coefficients of an expression that is a sum of multiples of its variables.

    Parameters
    ----------
    program : Program

    Returns
    -------
    (dict of str to int, int) or None
        Multiples (none is 0) and the constant; None if it has no such form.
    """

    def apply(sign: str, left: _Affine | None, right: _Affine | None) -> _Affine | None:
        if left is None or right is None:
            return None
        (a, constant), (b, other) = left, right
        if sign in ("+", "-"):
            merged = {n: _PYTHON[sign](a.get(n, 0), b.get(n, 0)) for n in a.keys() | b.keys()}
            total = _PYTHON[sign](constant, other)
        elif a and b:
            return None
        elif sign == "*":
            factor = constant if b else other
            merged = {name: value * factor for name, value in (b or a).items()}
            total = constant * other
        elif a or b or other == 0:
            return None
        else:
            merged, total = {}, _PYTHON[sign](constant, other)
        return {name: value for name, value in merged.items() if value}, total

    return _walk(program, lambda name: ({name: 1}, 0), lambda value: ({}, value), apply)


def _walk(
    program: Program,
    load: Callable[[str], _T],
    constant: Callable[[int], _T],
    apply: Callable[[str, _T, _T], _T],
) -> _T:
    stack: list[_T] = []
    for item in program:
        if isinstance(item, int):
            stack.append(constant(item))
        elif item in OPERATORS:
            right = stack.pop()
            stack[-1] = apply(item, stack[-1], right)
        else:
            stack.append(load(item))
    return stack.pop()


def _overflows(
    sign: str,
    left: Int64Array | np.int64,
    right: Int64Array | np.int64,
    result: Int64Array | np.int64,
) -> npt.NDArray[np.bool_] | np.bool_:
    """Rows in which the wrapped result is not the true one."""
    if sign == "+":
        wrong = ((left ^ result) & (right ^ result)) < 0
    elif sign == "-":
        wrong = ((left ^ right) & (left ^ result)) < 0
    elif sign == "*":
        divisor = np.where(left == 0, 1, left)
        lost = (left == -1) & (right == INT64_MIN)
        wrong = ((left != 0) & (result // divisor != right)) | lost
    elif sign == "//":
        wrong = (left == INT64_MIN) & (right == -1)
    else:
        wrong = np.False_
    return wrong


def _division(field: NumberExpression) -> TemplateError:
    return TemplateError("division by zero", field.text, field.position)


def _overflow(field: NumberExpression) -> TemplateError:
    return TemplateError("a number of more than 64 bits", field.text, field.position)

"""One dimension of the cube: its coordinate, and where every input lies along it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.combine.agreement import Findings
    from refmaker.combine.options import CombineOptions

__all__ = ["ConcatDimension", "counted_axis", "labelled_axis"]

_POSITIONS = 1 << 31
"""Most positions of an axis that is completed to equal distances."""
_LEAVE_OUT = "leave that file out"
_PRECISION = 1e-6
"""Part of a step by which floating-point coordinates may miss equal distances."""


@dataclass(frozen=True, slots=True, eq=False)
class ConcatDimension:
    """A dimension along which inputs are joined.

    Parameters
    ----------
    name : str
        The dimension.
    size : int
        Elements along it.
    start, count : ndarray of int64, shape (inputs,)
        First position and number of positions of each input; -1 and 0 if it has none.
    scattered : mapping of int to ndarray of int64
        All positions of those inputs whose positions do not follow one another.
    labels : ndarray, shape (size,), optional
        The coordinate.
    """

    name: str
    size: int
    start: NDArray[np.int64]
    count: NDArray[np.int64]
    scattered: Mapping[int, NDArray[np.int64]] = field(default_factory=dict)
    labels: NDArray[Any] | None = None

    def positions(self, member: int) -> NDArray[np.int64]:
        """Return the positions of one input."""
        if member in self.scattered:
            return self.scattered[member]
        first = int(self.start[member])
        return np.arange(first, first + int(self.count[member]), dtype=np.int64)

    def covered(self) -> NDArray[np.bool_]:
        """Return for each position whether any input has it."""
        there = np.zeros(self.size, bool)
        for member in np.flatnonzero(self.count).tolist():
            there[self.positions(member)] = True
        return there

    def label(self, position: int) -> str:
        """Return a position as messages name it."""
        if self.labels is None:
            return f"{self.name}[{position}]"
        return f"{self.name}={self.labels[position]}"


def counted_axis(name: str, counts: Sequence[int | None]) -> ConcatDimension:
    """Return an axis without a coordinate: inputs follow one another as they are given."""
    count = np.array([0 if n is None else n for n in counts], np.int64)
    start = np.cumsum(count) - count
    start[[n is None for n in counts]] = -1
    return ConcatDimension(name, int(count.sum()), start, count)


def labelled_axis(
    name: str,
    vectors: Sequence[NDArray[Any] | None],
    options: CombineOptions,
    found: Findings,
) -> ConcatDimension | None:
    """Return the axis on which every input's coordinate has its place.

    Parameters
    ----------
    vectors : sequence of ndarray, shape (n,), or None
        The coordinate in each input, if it has any; all of one dtype.
    options : CombineOptions
        How to order them, and whether to complete them.
    found : Findings
        Gets what is wrong with them; then the result is None.
    """
    holders = [i for i, vector in enumerate(vectors) if vector is not None]
    # Each coordinate once, and which of them every input has.
    numbers: dict[bytes, int] = {}
    parts: list[NDArray[Any]] = []
    owners: list[int] = []
    which: list[int] = []
    for i in holders:
        vector = _comparable(vectors[i])
        key = vector.tobytes() if not vector.dtype.hasobject else repr(vector.tolist()).encode()
        which.append(numbers.setdefault(key, len(parts)))
        if which[-1] == len(parts):
            parts.append(vector)
            owners.append(i)
    del numbers
    if not _sound(name, zip(owners, parts, strict=True), options, found):
        return None
    labels = _given_order(parts) if options.order == "given" else _sorted_order(parts)
    if options.order == "given" and options.monotonic and not _steps(labels):
        found.say(
            name,
            "its coordinate neither only rises nor only falls in the order of the inputs",
            hint="sort by coordinate (`order='coordinate'`), allow any order (`monotonic=False`)",
        )
        return None
    if name in options.regular:
        completed = _completed(name, labels, found)
        if completed is None:
            return None
        labels = completed
    at, sizes = _places(labels, parts), np.array([part.size for part in parts], np.int64)
    first = np.cumsum(sizes) - sizes
    begins = np.full(sizes.size, -1, np.int64)
    begins[sizes > 0] = at[first[sizes > 0]]
    start = np.full(len(vectors), -1, np.int64)
    count = np.zeros(len(vectors), np.int64)
    start[holders], count[holders] = begins[which], sizes[which]
    torn = _torn(at, first)
    scattered = {
        i: at[first[k] : first[k] + sizes[k]]
        for i, k in zip(holders, which, strict=True)
        if k in torn
    }
    return ConcatDimension(name, int(labels.size), start, count, scattered, labels)


def _comparable(vector: Any) -> NDArray[Any]:
    """Return a coordinate in native byte order; objects become texts."""
    values = np.asarray(vector)
    if values.ndim != 1:
        values = values.reshape(-1)
    if values.dtype.hasobject:
        return np.array([str(value) for value in values.tolist()], dtype=np.str_)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _steps(values: NDArray[Any]) -> int:
    """Return 1 if values only rise, -1 if they only fall, else 0; 1 for fewer than two."""
    if values.size < 2:
        return 1
    if bool(np.all(values[1:] > values[:-1])):
        return 1
    return -1 if bool(np.all(values[1:] < values[:-1])) else 0


def _sound(
    name: str,
    distinct: Iterable[tuple[int, NDArray[Any]]],
    options: CombineOptions,
    found: Findings,
) -> bool:
    """Look at each coordinate for itself: no NaN, nothing twice, sorted where that is asked."""
    before = len(found.lines)
    directions: dict[int, int] = {}
    for i, vector in distinct:
        if vector.dtype.kind in "fcmM" and bool(np.any(vector != vector)):  # noqa: PLR0124 - NaN
            found.say(
                name, f"its coordinate is not a number in {found.members[i].name}", _LEAVE_OUT
            )
            continue
        if np.unique(vector).size != vector.size:
            found.say(
                name, f"its coordinate holds a value twice in {found.members[i].name}", _LEAVE_OUT
            )
            continue
        if vector.size > 1:
            directions.setdefault(_steps(vector), i)
    if options.order == "coordinate" and 0 in directions:
        where = found.members[directions[0]].name
        found.say(
            name,
            f"its coordinate is not sorted in {where}",
            "keep the order of the files (`order='given'` and `monotonic=False`)",
        )
    if options.order == "coordinate" and {1, -1} <= set(directions):
        found.differ(
            name,
            "direction of its coordinate",
            (directions[1], "rising"),
            [(directions[-1], "falling")],
            "keep the order of the files (`order='given'` and `monotonic=False`)",
        )
    return len(found.lines) == before


def _sorted_order(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    labels = np.unique(np.concatenate(parts))
    falling = any(part.size > 1 and _steps(part) < 0 for part in parts)
    return labels[::-1] if falling else labels


def _given_order(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    values = np.concatenate(parts)
    _, first = np.unique(values, return_index=True)
    return values[np.sort(first)]


def _places(labels: NDArray[Any], parts: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    """Return the position of every value of every part on the axis, one part after another."""
    order = np.argsort(labels, kind="stable")
    found: NDArray[np.int64] = order[np.searchsorted(labels, np.concatenate(parts), sorter=order)]
    return found.astype(np.int64, copy=False)


def _torn(at: NDArray[np.int64], first: NDArray[np.int64]) -> set[int]:
    """Return the parts whose positions do not follow one another; they begin at `first`."""
    jumps = np.flatnonzero(at[1:] - at[:-1] != 1) + 1
    # Of parts that begin at one place all but the last are empty.
    part = np.searchsorted(first, jumps, side="right") - 1
    return set(part[first[part] != jumps].tolist())


def _completed(name: str, labels: NDArray[Any], found: Findings) -> NDArray[Any] | None:
    """Return the coordinate at equal distances, of which some are in `labels`."""
    if labels.size < 2:
        return labels
    hint = "leave it out of `regular`"
    if labels.dtype.kind not in "iufmM":
        found.say(name, f"coordinates of type {labels.dtype} have no distances", hint=hint)
        return None
    steps = np.diff(labels) if labels.dtype.kind != "u" else np.diff(labels.astype(np.int64))
    zero = steps.dtype.type(0)
    if bool((steps > zero).any()) and bool((steps < zero).any()):
        found.say(name, "its coordinate is in no order that could be completed", hint=hint)
        return None
    step = steps[np.argmin(np.abs(steps))]
    numbers = steps / step
    whole = np.rint(numbers.astype(np.float64)).astype(np.int64)
    total = int(whole.sum()) + 1
    if labels.dtype.kind == "f":
        fits = bool(np.all(np.abs(numbers - whole) <= _PRECISION * whole))
    else:
        fits = bool(np.all(whole * step == steps))
    if not fits or total > _POSITIONS:
        found.say(name, f"its coordinate has gaps that are no multiples of {step}", hint=hint)
        return None
    full = labels[0] + np.arange(total) * step
    full = np.asarray(full).astype(labels.dtype)
    # The values that are there stay what they are, to the last bit.
    full[np.concatenate([[0], np.cumsum(whole)])] = labels
    if not _steps(full):
        found.say(name, "its coordinate cannot be completed within its precision", hint=hint)
        return None
    return full

"""References as single values and as columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from refmaker.templates.evaluate import Int64Array

__all__ = ["Reference", "RuleReferences", "compact", "distinct"]


class Reference(NamedTuple):
    """Where one chunk lies.

    Attributes
    ----------
    url : str
    offset, length : int or None
        Bytes; both None if the chunk is the whole file.
    """

    url: str
    offset: int | None
    length: int | None


@dataclass(frozen=True, slots=True)
class RuleReferences:
    """References of a rule as columns, in the order of its rows.

    Constant columns are broadcast from a single number: they are read-only and cost nothing.

    Attributes
    ----------
    urls : tuple of str
        Distinct URLs.
    url : int64[n]
        Index into `urls`.
    offset, length : uint64[n] or None
        Bytes; both None if each chunk is a whole file.
    """

    urls: tuple[str, ...]
    url: Int64Array
    offset: npt.NDArray[np.uint64] | None
    length: npt.NDArray[np.uint64] | None


def compact(number: Int64Array, bound: int) -> tuple[Int64Array, Int64Array]:
    """Renumber without gaps.

    Parameters
    ----------
    number : int64[n]
        From 0 to ``bound - 1``.
    bound : int

    Returns
    -------
    present : int64[m]
        Numbers that occur, ascending.
    column : int64[n]
        Index into `present`.
    """
    if bound > number.size:
        present, column = np.unique(number, return_inverse=True)
        return present, column.astype(np.int64, copy=False)
    seen = np.zeros(bound, np.bool_)
    seen[number] = True
    present = np.flatnonzero(seen).astype(np.int64, copy=False)
    return present, (np.cumsum(seen, dtype=np.int64) - 1)[number]


def distinct(texts: list[str], column: Int64Array) -> tuple[tuple[str, ...], Int64Array]:
    """Drop repeated texts, which different numbers may give (``{{i % 2}}``).

    Parameters
    ----------
    texts : list of str
    column : int64[n]
        Index into `texts`.

    Returns
    -------
    texts : tuple of str
    column : int64[n]
        Index into the new texts.
    """
    seen: dict[str, int] = {}
    places = [seen.setdefault(text, len(seen)) for text in texts]
    if len(seen) == len(texts):
        return tuple(texts), column
    return tuple(seen), np.array(places, np.int64)[column]

"""What must be the same in all inputs, and how differences are told."""

from __future__ import annotations

import math
import reprlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.codecs import decoding
from refmaker.combine import remedies
from refmaker.errors import MetadataError
from refmaker.model.attribute_types import TYPES, merge_types, with_types
from refmaker.model.missing_values import number_of
from refmaker.model.times import calendar_of
from refmaker.model.zarr_v2 import dumps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from refmaker.combine.members import Member
    from refmaker.combine.options import CombineOptions
    from refmaker.model import Array

__all__ = ["MEANING", "Findings", "attribute_values", "same_fill"]

MEANING = frozenset(
    {
        "scale_factor", "add_offset", "_FillValue", "missing_value", "_Unsigned", "units",
        "calendar", "flag_values", "flag_masks", "flag_meanings", "valid_min", "valid_max",
        "valid_range", "grid_mapping", "cell_methods", "positive", "standard_name", "axis",
        "bounds", "climatology", "formula_terms", "compress", "dtype", "_Encoding", "leap_month",
        "leap_year", "month_lengths", "units_metadata", "sample_dimension", "instance_dimension",
    }
)  # fmt: skip
"""Attributes that decide what values mean, after the CF conventions (and xarray's)."""
_NUMBERS = frozenset({"_FillValue", "missing_value"})
_SHOWN = 20
"""Differences that are told at most."""
_KINDS = 3
"""Values that are told beside the first input's."""
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 100


@dataclass(slots=True)
class Findings:
    """Differences that keep inputs from being combined, collected to be told together.

    Parameters
    ----------
    members : sequence of Member
        The inputs.
    options : CombineOptions
        How to combine them: what was asked for already is no remedy.
    """

    members: Sequence[Member]
    options: CombineOptions
    lines: list[tuple[str, str]] = field(default_factory=list)
    hints: dict[str, None] = field(default_factory=dict)
    dropped: dict[str, None] = field(default_factory=dict)

    def differ(
        self,
        path: str,
        what: str,
        first: tuple[int, Any],
        others: Sequence[tuple[int, Any]],
        hint: str = "",
    ) -> None:
        """Note that inputs differ in something: with every value, and an input that has it."""
        kinds: dict[str, list[int]] = {}
        for number, value in others:
            kinds.setdefault(_REPR.repr(value), []).append(number)
        told = [
            f"{value} in {self.members[numbers[0]].name}"
            + (f" and {len(numbers) - 1} more" if len(numbers) > 1 else "")
            for value, numbers in kinds.items()
        ]
        if len(told) > _KINDS:
            told[_KINDS:] = [f"{len(told) - _KINDS} more values in others"]
        number, value = first
        here = f"{_REPR.repr(value)} in {self.members[number].name}"
        self.say(path, f"{what} is {here}, but {', '.join(told)}", hint)

    def say(self, path: str, text: str, hint: str = "") -> None:
        """Note anything else; a hint is remedies between commas."""
        self.lines.append((path, text))
        for remedy in remedies.untried(hint, self.options):
            if remedy == remedies.drop(path):
                self.dropped.setdefault(path)
            else:
                self.hints.setdefault(remedy)

    def finish(self) -> None:
        """Raise what was found.

        Raises
        ------
        MetadataError
            With a line for each difference.
        """
        if not self.lines:
            return
        found = list(self.hints)
        if self.dropped:
            found.append(remedies.drop(*self.dropped))
        hint = "; ".join(found) or None
        if len(self.lines) == 1:
            path, text = self.lines[0]
            raise MetadataError(f"the inputs cannot be combined: {text}", path=path, hint=hint)
        lines = [f"{path}: {text}" for path, text in self.lines[:_SHOWN]]
        if len(self.lines) > _SHOWN:
            lines.append(f"and {len(self.lines) - _SHOWN} more")
        text = f"the inputs cannot be combined: {len(self.lines)} differences"
        raise MetadataError(text, hint=hint, lines=lines)


def same_fill(one: Any, other: Any) -> bool:
    """Tell whether two fill values are the same; NaN equals itself."""
    if one is None or other is None:
        return one is other
    if one is other:
        return True
    if isinstance(one, str) or isinstance(other, str):
        return type(one) is type(other) and bool(one == other)
    return np.asarray(one).tobytes() == np.asarray(other).tobytes()


def attribute_values(
    nodes: Sequence[tuple[int, Mapping[str, Any]]],
    must_agree: Callable[[str], bool],
    found: Findings,
    path: str,
    policy: Callable[[str], str],
    hint: Callable[[str], str] = lambda _: "",
) -> tuple[dict[str, Any], list[str]]:
    """Return the attributes that a combined node has.

    Parameters
    ----------
    nodes : sequence of (int, mapping)
        Number of an input, and the node's attributes in it.
    must_agree : callable
        Tells from its name whether an attribute has to be the same everywhere.
    found : Findings
        Gets the differences that are none to be passed over.
    policy : callable
        Tells from its name what to do with one of the others: "drop", "error" or "first".
    hint : callable
        A remedy for a difference in an attribute.

    Returns
    -------
    list of str
        Names of those that were left out, or taken from the first.
    """
    whole = [attributes for _, attributes in nodes]
    nodes = [(number, _without_types(attributes)) for number, attributes in nodes]
    first, base = nodes[0]
    differing: dict[str, list[tuple[int, Any]]] = {}
    for number, attributes in nodes[1:]:
        if attributes is base or attributes == base:
            continue
        for name in (*base, *(key for key in attributes if key not in base)):
            if not _same(base, attributes, name):
                differing.setdefault(name, []).append((number, attributes.get(name)))
    passed = []
    kept = dict(base)
    for name, others in differing.items():
        chosen = "first" if _redundant(name, nodes) else policy(name)
        if (must_agree(name) and not _redundant(name, nodes)) or chosen == "error":
            found.differ(path, f"attribute {name}", (first, base.get(name)), others, hint(name))
            continue
        passed.append(name)
        if chosen == "drop":
            kept.pop(name, None)
    return with_types(kept, merge_types(whole, kept)), passed


def _without_types(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    if TYPES not in attributes:
        return attributes
    return {name: value for name, value in attributes.items() if name != TYPES}


def _same(one: Mapping[str, Any], other: Mapping[str, Any], name: str) -> bool:
    if name == "calendar":
        return calendar_of(one) == calendar_of(other)
    if (name in one) != (name in other):
        return False
    left, right = one[name], other[name]
    if name in _NUMBERS:
        return _equal(left, right)
    return bool(left == right) or dumps(left) == dumps(right)


def _redundant(name: str, nodes: Sequence[tuple[int, Mapping[str, Any]]]) -> bool:
    """Whether ``missing_value`` says nowhere more than ``_FillValue`` does."""
    return name == "missing_value" and all(
        name not in attributes
        or ("_FillValue" in attributes and _equal(attributes[name], attributes["_FillValue"]))
        for _, attributes in nodes
    )


def _equal(one: Any, other: Any) -> bool:
    left, right = number_of(one), number_of(other)
    if isinstance(left, float) and isinstance(right, float):
        return left == right or (math.isnan(left) and math.isnan(right))
    return dumps(one) == dumps(other)


def _decoding(codecs: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what of codecs decoding depends on."""
    return [decoding(one) for one in codecs]


def compare_arrays(
    path: str,
    arrays: Iterable[tuple[int, Array]],
    found: Findings,
    fields: Sequence[str],
    hints: Mapping[str, str],
) -> None:
    """Compare fields of arrays with those of the first of them.

    Parameters
    ----------
    arrays : iterable of (int, Array)
        Number of an input, and its array.
    found : Findings
        Gets the differences of each field.
    fields : sequence of str
        Names of the fields of `Array`.
    """
    items = iter(arrays)
    first, base = next(items)
    expected = [getattr(base, name) for name in fields]
    differing: dict[str, list[tuple[int, Any]]] = {}
    for number, array in items:
        for name, value in zip(fields, expected, strict=True):
            other = getattr(array, name)
            if other is value or (name != "fill_value" and other == value):
                continue
            if name == "codecs" and _decoding(value) == _decoding(other):
                continue
            if name == "fill_value" and same_fill(value, other):
                continue
            differing.setdefault(name, []).append((number, other))
    for name, others in differing.items():
        what = _WORDS.get(name, name)
        found.differ(path, what, (first, getattr(base, name)), others, hints.get(name, ""))


_WORDS = {
    "chunk_shape": "chunk shape", "fill_value": "fill value", "codecs": "codecs",
    "dimension_names": "names of dimensions",
    "order": "order in chunks",
}  # fmt: skip

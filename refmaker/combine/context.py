"""What all steps of combining share: the inputs by path, the options, and what was found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from refmaker.combine import remedies
from refmaker.combine.agreement import MEANING, attribute_values
from refmaker.model import Array, Group
from refmaker.model.dtypes import encode_fill_value
from refmaker.model.missing_values import FILL, with_declared_fill
from refmaker.model.tree import joined_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refmaker.combine.agreement import Findings
    from refmaker.combine.members import Member
    from refmaker.combine.options import CombineOptions

    Item = tuple[int, Array]

__all__ = ["Context", "Trees"]

_MEANT = {
    "first": "that of the first input counts for all",
    "drop": "it is left out, so that none counts",
}


@dataclass(slots=True)
class Context:
    """What is the same for all variables.

    Parameters
    ----------
    members : sequence of Member
        The inputs.
    options : CombineOptions
        How to combine.
    found : Findings
        Gets what is wrong.
    warnings : dict of str to None
        Gets what a reader should know.
    labelled : set of str
        Gets the dimensions that have a coordinate.
    """

    members: Sequence[Member]
    options: CombineOptions
    found: Findings
    warnings: dict[str, None] = field(default_factory=dict)
    labelled: set[str] = field(default_factory=set)

    def name(self, member: int) -> str:
        """Return what an input is called."""
        return self.members[member].name

    def attributes(self, path: str, items: Sequence[tuple[int, Any]], all_of_them: bool) -> Any:
        """Return the attributes of a variable or group, and whether they agree."""
        options = self.options
        timed = any(" since " in str(node.attributes.get("units")) for _, node in items)

        def settled(name: str) -> bool:
            # The units of times say what they are counted from: another's would move them.
            return options.settles(name) and not (timed and name == "units")

        kept, passed = attribute_values(
            _with_missing(items),
            lambda name: not settled(name) and (all_of_them or name in MEANING),
            self.found,
            path,
            lambda name: "error" if timed and name == "units" else options.policy(name),
            lambda name: remedies.of_attribute(name, path, options, timed=timed),
        )
        for name in {"missing_value", "units", "valid_range"} & set(passed):
            if options.settles(name):
                self.warnings[f"{path}: {name} differs; {_MEANT[options.policy(name)]}"] = None
        for word, there in (("left out", False), ("taken from the first input", True)):
            named = ", ".join(sorted(name for name in passed if (name in kept) == there))
            if named:
                self.warnings[f"{path}: attributes that differ were {word}: {named}"] = None
        return kept


def _with_missing(items: Sequence[tuple[int, Any]]) -> list[tuple[int, Any]]:
    """Return attributes, with ``_FillValue`` where only the fill value says it.

    So it is in the sets of kerchunk; xarray takes either.
    """
    found = [(i, node.attributes) for i, node in items]
    if len({FILL in attributes for _, attributes in found}) < 2:
        return found
    for k, (i, node) in enumerate(items):
        if FILL not in node.attributes and getattr(node, "fill_value", None) is not None:
            missing = encode_fill_value(node.fill_value, node.dtype)
            found[k] = i, {**node.attributes, FILL: missing}
    return found


@dataclass(slots=True)
class Trees:
    """The groups of all inputs, by path.

    Parameters
    ----------
    groups : dict of str to list of (int, Group)
        Number of an input and its group.
    arrays : dict of str to dict of str to list of (int, Array)
        For each group the arrays of each name.
    """

    groups: dict[str, list[tuple[int, Group]]] = field(default_factory=dict)
    arrays: dict[str, dict[str, list[Item]]] = field(default_factory=dict)

    @classmethod
    def of(cls, members: Sequence[Member], found: Findings) -> Trees:
        """Sort the nodes of all inputs by their paths."""
        trees = cls()
        for member in members:
            for path, node in member.refs.group.walk():
                if isinstance(node, Group):
                    trees.groups.setdefault(path, []).append((member.number, node))
                    trees.arrays.setdefault(path, {})
                else:
                    home, _, name = path.rpartition("/")
                    item = member.number, with_declared_fill(node)
                    trees.arrays[home].setdefault(name, []).append(item)
        for path, names in trees.arrays.items():
            for name in names:
                inner = joined_path(path, name)
                if inner in trees.groups:
                    text = "it is a variable in one input, and a group in another"
                    found.say(inner, text, remedies.drop(inner))
        return trees

    def home(self, path: str, name: str) -> str | None:
        """Return the nearest group, from `path` up, with a coordinate of a dimension."""
        while True:
            items = self.arrays.get(path, {}).get(name)
            if items and any(array.dimension_names == (name,) for _, array in items):
                return path
            if not path:
                return None
            path = path.rpartition("/")[0]

"""Attributes of the CF conventions that name other variables, or dimensions.

Implements sections 5 (``coordinates``, ``grid_mapping``), 3.4 (``ancillary_variables``), 4.3.3
(``formula_terms``), 7.1 and 7.4 (``bounds``, ``climatology``), 7.2 (``cell_measures``), 7.3
(``cell_methods``), 7.5 (geometries) and 8.2 (``compress``) of CF 1.11.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from refmaker.model.tree import Array, Group

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

__all__ = [
    "COORDINATES", "coordinate_names", "named_in", "renamed_attributes", "with_coordinate",
    "without_coordinates",
]  # fmt: skip

COORDINATES = "coordinates"
_WORDS = (
    *(COORDINATES, "ancillary_variables", "bounds", "climatology", "geometry", "node_coordinates"),
    *("node_count", "part_node_count", "interior_ring"),
)
"""Attributes that are lists of names."""
_ROLES = ("cell_measures", "formula_terms")
"""Attributes that are lists of roles, each with a colon behind it, and names."""
_MAPPING = "grid_mapping"
"""A name; or names with a colon behind them, each before coordinates."""
_DIMENSIONS = ("compress", "instance_dimension", "sample_dimension")
_METHODS = "cell_methods"
"""Names of dimensions with a colon behind them, methods, and comments in parentheses."""
_WORD = re.compile(r"\S+")


def named_in(array: Array) -> Iterator[str]:
    """Yield the names of other variables in an array's attributes, dimensions not among them."""
    for key in (*_WORDS, *_ROLES, _MAPPING):
        value = array.attributes.get(key)
        if isinstance(value, str):
            for word in value.split():
                if key not in _ROLES or not word.endswith(":"):
                    yield word.removesuffix(":") if key == _MAPPING else word


def coordinate_names(group: Group) -> frozenset[str]:
    """Return the members of a group that are no data: what belongs to others, or to a dimension.

    The same ones that xarray calls coordinates with ``decode_coords="all"``.
    """
    arrays = {name: node for name, node in group.members.items() if isinstance(node, Array)}
    found = {name for name, array in arrays.items() if array.dimension_names == (name,)}
    told = group.attributes.get(COORDINATES)
    found.update(told.split() if isinstance(told, str) else ())
    for name, array in arrays.items():
        found.update(word for word in named_in(array) if word != name)
    return frozenset(found & arrays.keys())


def renamed_attributes(
    attributes: Mapping[str, Any], variables: Mapping[str, str], dimensions: Mapping[str, str]
) -> dict[str, Any]:
    """Return attributes with other names in them.

    Parameters
    ----------
    attributes : mapping
        Those of a variable, or of a group.
    """
    both = {**dimensions, **variables}

    def one(key: str, word: str) -> str:
        if key in _DIMENSIONS:
            return dimensions.get(word, word)
        if not word.endswith(":"):
            return word if key == _METHODS else variables.get(word, word)
        bare = word.removesuffix(":")
        known = both if key == _METHODS else {} if key in _ROLES else variables
        return f"{known.get(bare, bare)}:"

    found = dict(attributes)
    for key in (*_WORDS, *_ROLES, _MAPPING, *_DIMENSIONS, _METHODS):
        value = found.get(key)
        if isinstance(value, str):
            # What stands in parentheses of cell_methods is a comment.
            parts = re.split(r"(\([^)]*\))", value) if key == _METHODS else [value]
            found[key] = "".join(
                part if at % 2 else _WORD.sub(lambda m, key=key: one(key, m[0]), part)
                for at, part in enumerate(parts)
            )
    return found


def with_coordinate(group: Group, name: str, data: Collection[str]) -> Group:
    """Return a group whose variables name another coordinate, so that readers take it for one.

    Parameters
    ----------
    name : str
        An array of it that is not named as its dimension.
    data : collection of str
        The variables that name it; where there is none the group does, as xarray writes it.
    """
    members = dict(group.members)
    done = False
    for other in data:
        array = members[other]
        told = array.attributes.get(COORDINATES, "")
        if not isinstance(array, Array) or not isinstance(told, str):
            continue
        words = told.split()
        if any(word not in members for word in words):
            # Readers leave such a list alone.
            continue
        done = True
        if name not in words:
            text = " ".join([*words, name])
            members[other] = replace(array, attributes={**array.attributes, COORDINATES: text})
    if done:
        return replace(group, members=members)
    told = group.attributes.get(COORDINATES, "")
    words = told.split() if isinstance(told, str) else []
    text = " ".join(dict.fromkeys([*words, name]))
    return replace(group, attributes={**group.attributes, COORDINATES: text})


def without_coordinates(attributes: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Return attributes whose list of coordinates lacks some names.

    With a name that is not there xarray takes none of the list for coordinates.
    """
    found = dict(attributes)
    told = found.get(COORDINATES)
    if isinstance(told, str):
        kept = [word for word in told.split() if word not in names]
        if not kept:
            del found[COORDINATES]
        elif len(kept) < len(told.split()):
            found[COORDINATES] = " ".join(kept)
    return found

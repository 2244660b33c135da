"""Groups, variables, dimensions and attributes of a document.

Implements the Dataset Metadata Response of DAP4, volume 1: groups, shared dimensions, atomic types,
enumerations, attributes with their types, and maps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refmaker.errors import FormatError, UnsupportedError
from refmaker.model.attribute_types import number_type, with_types
from refmaker.model.dtypes import json_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from refmaker.scanners.dmrpp.document import Element

__all__ = ["NUMBERS", "TEXTS", "Dataset", "Variable", "attributes_of", "maps_of"]

NUMBERS = {
    "Byte": "u1", "UByte": "u1", "Char": "u1", "Int8": "i1", "UInt8": "u1", "Int16": "i2",
    "UInt16": "u2", "Int32": "i4", "UInt32": "u4", "Int64": "i8", "UInt64": "u8",
    "Float32": "f4", "Float64": "f8",
}  # fmt: skip
"""Numpy's codes of DAP4's atomic types."""
TEXTS = ("String", "URL", "Url", "URI")
_OTHERS = ("Structure", "Sequence", "Opaque", "Enum")
_RANK_MOST = 32


class Variable(NamedTuple):
    """A variable.

    Parameters
    ----------
    path : str
        Its path, without a slash in front.
    kind : str
        The name of its type.
    element : Element
        Where it stands in the document.
    shape : tuple of int
        Elements along each dimension.
    dimensions : tuple of str
        Names of the dimensions, without their groups.
    """

    path: str
    kind: str
    element: Element
    shape: tuple[int, ...]
    dimensions: tuple[str, ...]

    @property
    def size(self) -> int:
        """Its elements."""
        return math.prod(self.shape)


@dataclass(slots=True)
class Dataset:
    """What a document describes.

    Parameters
    ----------
    root : Element
        The element ``Dataset``.
    """

    root: Element
    _dimensions: dict[str, int] = field(default_factory=dict)
    _enumerations: dict[str, Element] = field(default_factory=dict)
    _unnamed: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for path, group in self.groups():
            for child in group.all("Dimension"):
                self._dimensions[f"{path}/{child.name}"] = _extent(child.attributes.get("size"))
            for child in group.all("Enumeration"):
                self._enumerations[f"{path}/{child.name}"] = child

    def groups(self) -> Iterator[tuple[str, Element]]:
        """Yield path and element of all groups, the root with an empty path first."""
        waiting = [("", self.root)]
        while waiting:
            path, group = waiting.pop()
            yield path, group
            below = [(f"{path}/{child.name}", child) for child in group.all("Group")]
            waiting += reversed(below)

    def elements(self) -> Iterator[tuple[str, str, Element]]:
        """Yield path, name of the type, and element of all variables."""
        for path, group in self.groups():
            for child in group.children:
                kind = child.kind
                if kind in NUMBERS or kind in TEXTS or kind in _OTHERS:
                    yield f"{path}/{child.name}".lstrip("/"), kind, child

    def variable(self, path: str, kind: str, element: Element) -> Variable:
        """Return a variable with its dimensions.

        Raises
        ------
        FormatError
            If a dimension is not declared, or no extent.
        UnsupportedError
            If its name cannot be that of an array.
        """
        parts = path.split("/")
        if not all(parts) or {".", ".."} & set(parts):
            raise UnsupportedError(f"a variable named {path!r}", code="dmrpp-name")
        shape, names = [], []
        for dimension in element.all("Dim"):
            name = dimension.attributes.get("name", "")
            if name:
                known = self._dimensions.get(name if name.startswith("/") else f"/{name}")
                if known is None:
                    raise FormatError(f"the dimension {name!r} is not declared")
                shape.append(known)
                names.append(name.rpartition("/")[2])
            else:
                extent = _extent(dimension.attributes.get("size"))
                shape.append(extent)
                names.append(self._unnamed_dimension(extent, names))
        if len(shape) > _RANK_MOST:
            raise FormatError(f"{len(shape)} dimensions")
        return Variable(path, kind, element, tuple(shape), tuple(names))

    def _unnamed_dimension(self, extent: int, taken: list[str]) -> str:
        """Return the name of a dimension without one; equally long ones are one, as in netCDF."""
        count = sum(name.startswith(f"phony_dim_{extent}") for name in taken)
        return f"phony_dim_{extent}" + (f"_{count}" if count else "")

    def enumeration(self, variable: Variable) -> tuple[np.dtype[Any], dict[str, Any]]:
        """Return the integers of an enumerated variable, and their meanings as attributes.

        Raises
        ------
        FormatError
            If the enumeration is not declared, or not one of integers.
        """
        name = variable.element.attributes.get("enum", "")
        found = self._enumerations.get(name if name.startswith("/") else f"/{name}")
        code = NUMBERS.get("" if found is None else found.attributes.get("basetype", ""))
        if found is None or code is None or code[0] == "f":
            raise FormatError(f"the enumeration {name!r} is not declared, or not of integers")
        members = list(found.all("EnumConst"))
        meanings = {
            "flag_values": [_integer(member.attributes.get("value")) for member in members],
            "flag_meanings": " ".join("_".join(member.name.split()) for member in members),
        }
        return np.dtype(code), meanings if members else {}


def _extent(text: str | None) -> int:
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 18:
        raise FormatError(f"{text!r:.80} is not the size of a dimension")
    return int(text)


def _integer(text: str | None) -> int:
    try:
        return int(text or "")
    except ValueError as error:
        raise FormatError(f"{text!r:.80} is not an integer") from error


def attributes_of(element: Element, warn: Callable[[str], None]) -> dict[str, Any]:
    """Return the attributes of a group or variable, with a record of their types.

    Containers are flattened: ``b`` in ``a`` is ``a.b``.

    Parameters
    ----------
    element : Element
        Where they stand.
    warn : callable
        Is told of what is no value of its type, and kept as text.
    """
    values: dict[str, Any] = {}
    types: dict[str, str] = {}
    for name, kind, found in _attributes(element, ""):
        texts = [child.attributes.get("value", child.text) for child in found.all("Value")]
        code = NUMBERS.get(kind)
        try:
            value = texts if code is None else [_number(text, code) for text in texts]
        except (ValueError, OverflowError):
            warn(f"the attribute {name!r} is no {kind}: {texts!r:.80}")
            code, value = None, texts
        values[name] = value[0] if len(value) == 1 else value
        if code is not None and value:
            told = number_type(np.dtype(code), values[name])
            types |= {} if told is None else {name: told}
    return with_types(values, types)


def _attributes(element: Element, prefix: str) -> Iterator[tuple[str, str, Element]]:
    for child in element.all("Attribute"):
        name, kind = prefix + child.name, child.attributes.get("type", "")
        if kind == "Container":
            yield from _attributes(child, f"{name}.")
        elif kind != "OtherXML":
            yield name, kind, child


def _number(text: str, code: str) -> Any:
    """Return a number in JSON terms, exactly as its type holds it."""
    text = text.strip()
    if code[0] == "f":
        return json_number(float(np.dtype(code).type(text)))
    number = int(text)
    limits = np.iinfo(code)
    if code == "u1" and -128 <= number < 0:
        # Signed bytes, in documents older than the types for them.
        return number
    if not limits.min <= number <= limits.max:
        raise ValueError("beyond its type")
    return number


def maps_of(variable: Variable, others: Mapping[str, Any]) -> list[str]:
    """Return the coordinates of a variable that are no dimensions of it, in its own group."""
    group = variable.path.rpartition("/")[0]
    found = []
    for child in variable.element.all("Map"):
        path = child.name.lstrip("/")
        home, _, leaf = path.rpartition("/")
        if home == group and leaf not in variable.dimensions and path in others:
            found.append(leaf)
    return found

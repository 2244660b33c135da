"""How the numbers of an array are to be taken, by its attributes (CF conventions, section 8.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refmaker.model.missing_values import FILL, missing_from_document, settled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refmaker.model import Array

__all__ = ["is_number", "packing", "valid_range"]


def is_number(value: Any) -> bool:
    """Tell whether a JSON value is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def packing(array: Array) -> dict[str, Any]:
    """Return units, missing values, scale and offset; see `refmaker.describe`."""
    told = array.attributes
    texts = {name: _text(told.get(name)) for name in ("units", "standard_name", "long_name")}
    low, high = valid_range(told)
    return {
        **texts,
        "missing_value": _missing(array),
        "scale_factor": _number(told.get("scale_factor")),
        "add_offset": _number(told.get("add_offset")),
        "unsigned": str(told.get("_Unsigned", "")).lower() == "true",
        "valid_min": low,
        "valid_max": high,
    }


def valid_range(attributes: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the least and the greatest stored value that is valid, None where none is told."""
    both = attributes.get("valid_range")
    if isinstance(both, list | tuple) and len(both) == 2 and all(map(is_number, both)):
        return both[0], both[1]
    return _number(attributes.get("valid_min")), _number(attributes.get("valid_max"))


def _missing(array: Array) -> list[Any]:
    """Return the stored values that stand for missing ones, as a written set declares them."""
    found: list[Any] = []
    array = settled(array)
    for name in (FILL, "missing_value"):
        told = missing_from_document(array.attributes.get(name), array.dtype)
        for value in told if isinstance(told, list | tuple) else [told]:
            if value is not None and value not in found:
                found.append(value)
    return found


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Any) -> Any:
    value = value[0] if isinstance(value, list | tuple) and len(value) == 1 else value
    return value if is_number(value) else None

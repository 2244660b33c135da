"""How the numbers of an array are to be taken, by its attributes (CF conventions, section 8.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refmaker.model.attributes import number_in
from refmaker.model.dtypes import json_number
from refmaker.model.packing import missing_values, valid_range

if TYPE_CHECKING:
    from refmaker.model import Array

__all__ = ["packing"]


def packing(array: Array) -> dict[str, Any]:
    """Return units, missing values, scale and offset; see `refmaker.describe`."""
    told = array.attributes
    texts = {name: _text(told.get(name)) for name in ("units", "standard_name", "long_name")}
    low, high = valid_range(told)
    return {
        **texts,
        "missing_value": [
            json_number(one) if isinstance(one, float) else one
            for one in missing_values(array, fill=True)
        ],
        "scale_factor": number_in(told, "scale_factor"),
        "add_offset": number_in(told, "add_offset"),
        "unsigned": str(told.get("_Unsigned", "")).lower() == "true",
        "valid_min": low,
        "valid_max": high,
    }


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None

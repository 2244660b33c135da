"""Names of calendars, of which some mean the same (CF conventions, section 4.4.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["calendar_of"]

_SYNONYMS = {"gregorian": "standard", "365_day": "noleap", "366_day": "all_leap"}


def calendar_of(attributes: Mapping[str, Any]) -> str:
    """Return the one name of the calendar that attributes of times tell; by default standard."""
    calendar = str(attributes.get("calendar", "standard")).lower()
    return _SYNONYMS.get(calendar, calendar)

"""What kinds of objects there are, by SOP class (PS3.4, B.5), for those that are no images."""

from __future__ import annotations

from functools import cache

__all__ = ["sop_category"]

_PREFIX = "1.2.840.10008.5.1.4.1.1."
_KINDS = {
    "11.": "presentation state",
    "88.": "structured report",
    "9.": "waveform",
    "66": "raw data",
    "66.1": "spatial registration",
    "66.2": "spatial fiducials",
    "66.3": "deformable registration",
    "66.5": "surface segmentation",
    "66.6": "tractography results",
    "67": "real world value mapping",
    "68.": "surface scan",
    "91.": "annotations",
    "104.1": "encapsulated PDF",
    "104.2": "encapsulated CDA document",
    "104.": "encapsulated model",
    "4.2": "spectroscopy",
    "481.3": "radiotherapy structure set",
    "481.4": "radiotherapy treatment record",
    "481.5": "radiotherapy plan",
    "481.6": "radiotherapy treatment record",
    "481.7": "radiotherapy treatment record",
    "481.8": "radiotherapy plan",
    "481.9": "radiotherapy treatment record",
}


@cache
def sop_category(sop_class: str) -> str:
    """Return what an object is that has no pixels, in words.

    Parameters
    ----------
    sop_class : str
        UID of its SOP class; standard UIDs only, so that nothing private is ever told.
    """
    if sop_class == "1.2.840.10008.1.3.10":
        return "media directory"
    if not sop_class.startswith(_PREFIX):
        return "object of a class that is not standard" if sop_class else "object of no known class"
    rest = sop_class.removeprefix(_PREFIX)
    if rest in _KINDS:
        return _KINDS[rest]
    for beginning, kind in _KINDS.items():
        if beginning.endswith(".") and rest.startswith(beginning):
            return kind
    return "object without pixels"

"""How the groups of series are called: by number, or by what the headers say if it is asked for.

Modality and Series Number have no action in the Basic Application Level Confidentiality Profile
(PS3.15, table E.1-1). Series Description has one: who asks for it gets what may identify.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refmaker.scanners.dicom.header import Header

__all__ = ["series_names"]

_MODALITY, _SERIES_NUMBER, _DESCRIPTION = 0x00080060, 0x00200011, 0x0008103E
_CODE = re.compile(r"[A-Z0-9_]{1,16}")
_UNFIT = re.compile(r"[^\w.+-]+")
_LONGEST = 64


def series_names(headers: Sequence[Header], how: str) -> list[str]:
    """Return a name for each series of a study, no two the same.

    Parameters
    ----------
    headers : sequence of Header
        An instance of each.
    how : {"number", "modality", "description"}
        ``series-1``, counted; ``CT-3``, modality and Series Number; or Series Description. What
        a header does not tell is counted.
    """
    names: list[str] = []
    for at, header in enumerate(headers, 1):
        name = _name(header, how) or f"series-{at}"
        alone, again = name, 2
        while name in names:
            name, again = f"{alone}-{again}", again + 1
        names.append(name)
    return names


def _name(header: Header, how: str) -> str:
    if how == "modality":
        modality, number = header.text(_MODALITY), header.integer(_SERIES_NUMBER)
        known = _CODE.fullmatch(modality) is not None and number is not None and number >= 0
        return f"{modality}-{number}" if known else ""
    if how == "description":
        return _UNFIT.sub("-", header.text(_DESCRIPTION)).strip("-.")[:_LONGEST]
    return ""

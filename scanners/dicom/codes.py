"""Codes of public schemes, such as ``SCT:10200004``, from code sequences.

Implements the Code Sequence Macro (PS3.3, table 8.8-1). Codes that a site makes up may be anything,
so only schemes are written that everybody can look up; meanings only if they look like names.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from refmaker.scanners.dicom.metadata import presentable

if TYPE_CHECKING:
    from refmaker.scanners.dicom.values import Dataset

__all__ = ["code_text", "meaning"]

_VALUE, _LONG_VALUE, _SCHEME, _MEANING = 0x00080100, 0x00080119, 0x00080102, 0x00080104
_PUBLIC = frozenset(
    {"SCT", "SRT", "SNM3", "DCM", "FMA", "NCIT", "RADLEX", "UMLS", "MSH", "LN", "UCUM"}
)
"""Coding schemes (PS3.16, annex 8) that anybody can look up, in capitals."""
_CODE = re.compile(r"[A-Za-z0-9._\-]{1,64}")
_UNIT = re.compile(r"[A-Za-z0-9._\-/*^%'\[\]{}()]{1,64}")
"""Units of UCUM, such as ``mm2/s`` or ``{SUVbw}g/ml``."""


def code_text(code: Dataset) -> str:
    """Return a code as ``scheme:value``, empty if it is not one of a public scheme."""
    scheme = code.text(_SCHEME)
    value = code.text(_VALUE) or code.text(_LONG_VALUE)
    rule = _UNIT if scheme.upper() == "UCUM" else _CODE
    return f"{scheme}:{value}" if scheme.upper() in _PUBLIC and rule.fullmatch(value) else ""


def meaning(code: Dataset) -> str:
    """Return what a code of a public scheme is called, empty if that is not to be written."""
    text = code.text(_MEANING)
    return text if code_text(code) and presentable(text) else ""

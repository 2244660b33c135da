"""What identifies a patient: pseudonyms for UIDs, and an audit of what a set would give away.

After PS3.15, annex E. References do not de-identify the files they point into: whoever can
read a file can read its header and its pixels.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from refmaker.scanners.dicom.agreement import differing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from refmaker.model import Array, Group
    from refmaker.scanners.dicom.header import Header

__all__ = ["IDENTIFYING", "UIDS", "Identifiers", "audit", "hashed_uid", "told"]

UIDS: dict[int, str] = {
    0x00080018: "sop_instance_uid",
    0x0020000D: "study_instance_uid",
    0x0020000E: "series_instance_uid",
    0x00200052: "frame_of_reference_uid",
}
"""Unique identifiers that ``--uids`` writes."""
IDENTIFYING: dict[int, str] = {
    0x00080020: "date",
    0x00080021: "date",
    0x00080022: "date",
    0x00080023: "date",
    0x0008002A: "date",
    0x00080050: "accession number",
    0x00080080: "institution",
    0x00080081: "institution",
    0x00080090: "physician's name",
    0x00081010: "station",
    0x00081030: "description",
    0x0008103E: "description",
    0x00081048: "physician's name",
    0x00081050: "physician's name",
    0x00081060: "physician's name",
    0x00081070: "operator's name",
    0x00100010: "patient's name",
    0x00100020: "patient identifier",
    0x00100030: "birth date",
    0x00101000: "patient identifier",
    0x00101001: "patient's name",
    0x00101005: "patient's name",
    0x00101040: "address",
    0x00101060: "patient's name",
    0x00102154: "telephone number",
    0x00104000: "comment",
    0x00181000: "serial number",
    0x00181030: "description",
    0x00200010: "study identifier",
    0x00204000: "comment",
    0x00380010: "admission identifier",
    **dict.fromkeys(UIDS, "UID"),
}
"""Attributes that the audit looks for, and what they are called in its account."""

_SHORT = 3
"""Letters and digits below which a value is too common to tell anything."""
_WORD = 4
_DATE = 8
_SAFE_WORDS = frozenset(
    {"anonymous", "anonymized", "anonymised", "unknown", "none", "null", "test", "phantom"}
)
"""What stands where an identifier was; not letting them count keeps the audit believable."""
_WORDS = re.compile(r"[^\W_]+")
_UID = re.compile(r"\d+(?:\.\d+){3,}")
_DIGITS = re.compile(r"\d+")
_SEPARATOR = "\x1e"
"""Between texts that are looked at together: a control character, part of no identifier."""
_NOT_TEXT = re.compile(rf"(?:(?!{_SEPARATOR})[\W_])+")
_ASCII = {code: None for code in range(128) if not chr(code).isalnum() and chr(code) != _SEPARATOR}
"""What `_NOT_TEXT` stands for, as a translation, which is faster."""


def hashed_uid(uid: str, salt: bytes) -> str:
    """Return a pseudonym of a UID: the same for the same salt, and no way back.

    Parameters
    ----------
    uid : str
        The UID.
    salt : bytes
        Key of the HMAC (SHA-256, of which 128 bits become a UID under ``2.25``; PS3.5, B.2).
    """
    import hmac

    digest = hmac.digest(salt, uid.encode(), "sha256")
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


@dataclass(slots=True)
class Identifiers:
    """Values of headers that must not be found in what is written.

    Parameters
    ----------
    whole : dict of str to str
        Letters and digits of whole values, lower case, and what kind of value each is.
    words : dict of str to str
        Words of which names consist.
    uids : set of str
        Unique identifiers.
    """

    whole: dict[str, str] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    uids: set[str] = field(default_factory=set)

    def add(self, headers: Sequence[Header]) -> None:
        """Take the identifying values of headers."""
        varying = differing(headers) if headers else frozenset()
        for tag, kind in IDENTIFYING.items():
            # Thousands of slices say the same of a patient.
            telling = headers if tag in varying else headers[:1]
            known = {header.elements.get(tag): header for header in telling}
            known.pop(None, None)
            if tag in UIDS:
                uids = b"\\".join(element[1] for element in known if element is not None)
                parts = uids.decode("latin-1").replace("\0", "").replace(" ", "").split("\\")
                self.uids.update(part for part in parts if part.count(".") > _SHORT)
            elif kind == "date":
                days = {element[1].strip()[:_DATE] for element in known if element is not None}
                for day in days:
                    self._take(tag, day.decode("latin-1"))
            else:
                for header in known.values():
                    self._take(tag, header.text(tag))

    def _take(self, tag: int, text: str) -> None:
        kind = IDENTIFYING[tag]
        for part in text.split("\\"):
            bare = _bare(part)
            if len(bare) > _SHORT and bare not in _SAFE_WORDS:
                self.whole.setdefault(bare, kind)
            if "name" in kind:
                for word in _WORDS.findall(part.casefold()):
                    if len(word) >= _WORD and word not in _SAFE_WORDS:
                        self.words.setdefault(word, kind)


def _bare(text: str) -> str:
    """Return letters and digits of a text, lower case; separators of several texts stay."""
    if text.isascii():
        return text.lower().translate(_ASCII)
    return _NOT_TEXT.sub("", text.casefold())


def audit(group: Group, identifiers: Identifiers, *, uids: bool = True) -> Counter[tuple[str, str]]:
    """Count the identifiers that a reference set would give away.

    Parameters
    ----------
    group : Group
        What is to be written: names, attributes, inlined texts and file paths.
    identifiers : Identifiers
        What must not be found.
    uids : bool
        Whether UIDs count; not if they were asked for.

    Returns
    -------
    Counter of (str, str)
        How many texts hold a value, by the kind of value and by where it stands
        (``"file paths"``, ``"attributes"``); never a value itself.
    """
    found: Counter[tuple[str, str]] = Counter()
    urls = {url for _, array in group.arrays() for url in array.chunks.urls}
    for where, texts in (("file paths", urls), ("attributes", set(_texts(group)))):
        # Thousands of texts at once: as a rule there is nothing in any of them.
        together = _SEPARATOR.join(text.replace(_SEPARATOR, " ") for text in texts)
        if not _kinds(together, identifiers, uids=uids):
            continue
        for text in texts:
            for kind in _kinds(text, identifiers, uids=uids):
                found[kind, where] += 1
    return found


def _kinds(text: str, identifiers: Identifiers, *, uids: bool) -> set[str]:
    kinds = set()
    if uids and any(part in identifiers.uids for part in _UID.findall(text)):
        kinds.add("UID")
    bare, runs = _bare(text), set(_DIGITS.findall(text))
    for whole, kind in identifiers.whole.items():
        # A short number is found inside of many others.
        if whole in (runs if whole.isdecimal() and len(whole) < _DATE else bare):
            kinds.add(kind)
    if identifiers.words:
        words = set(_WORDS.findall(text.casefold()))
        kinds.update(identifiers.words[word] for word in words & identifiers.words.keys())
    return kinds


def _texts(group: Group) -> Iterator[str]:
    """Yield every text of a reference set but the paths of files."""
    for path, node in group.walk():
        yield path
        yield from _strings(node.attributes)
        if not hasattr(node, "members"):
            yield from _inlined(node)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _strings(key)
            yield from _strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(inner)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield str(value)


def _inlined(array: Array) -> Iterator[str]:
    """Yield the texts of an array of fixed-length strings."""
    if array.dtype.kind != "U":
        return
    import numpy as np

    from refmaker.model.inline import decode_inline

    for data in array.chunks.inlined.values():
        values = np.frombuffer(decode_inline(array, data), array.dtype)
        yield from np.unique(values).tolist()


def told(found: Iterable[tuple[tuple[str, str], int]]) -> str:
    """Return the account of an audit in one line, without any value."""
    parts = [f"{kind} in {count} {where}" for (kind, where), count in sorted(found)]
    return ", ".join(parts)

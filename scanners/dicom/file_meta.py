"""The first bytes of a DICOM file: preamble, file meta information, and how it goes on.

Implements PS3.10, section 7.1. Files without preamble, without file meta information or with
another encoding than they say are common; what is found decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from refmaker.errors import FormatError, UnknownFormatError
from refmaker.scanners.dicom.declared import is_bare
from refmaker.scanners.dicom.tags import TRANSFER_SYNTAX_UID
from refmaker.scanners.dicom.transfer import EXPLICIT, IMPLICIT, transfer_syntax
from refmaker.scanners.dicom.walk import ShortError, is_vr, walk

if TYPE_CHECKING:
    from refmaker.scanners.dicom.tags import Element

__all__ = ["FileMeta", "begin"]

_MAGIC_AT = 128
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_GROUP_LENGTH = b"\2\0\0\0UL\4\0"
_BIG = "1.2.840.10008.1.2.2"


class FileMeta(NamedTuple):
    """Where the data set of a file begins, and its encoding.

    Parameters
    ----------
    at : int
        Byte of the file.
    syntax : str
        UID of the transfer syntax.
    implicit, big, deflated : bool
        How elements are encoded.
    tiff : bool
        Whether the preamble is the header of a TIFF file.
    meta : dict
        Elements of the file meta information.
    warnings : tuple of str
        What is odd.
    """

    at: int
    syntax: str
    implicit: bool
    big: bool
    deflated: bool
    tiff: bool
    meta: dict[int, Element]
    warnings: tuple[str, ...]


def begin(head: bytes) -> FileMeta:
    """Find out where the data set begins and how it is encoded.

    Parameters
    ----------
    head : bytes
        The first bytes of the file, or all of a shorter one.

    Raises
    ------
    UnknownFormatError
        If it is no DICOM file.
    ShortError
        If more bytes are needed.
    FormatError
        If the file meta information is damaged.
    """
    # A value of a data set without a preamble may hold the same letters at the same place.
    magic = _MAGIC_AT + 4
    if head[_MAGIC_AT:magic] == b"DICM" and (
        head[magic : magic + 2] == b"\2\0" or not is_bare(head)
    ):
        at, warnings = magic, []
    elif is_bare(head):
        at, warnings = 0, ["the file has no preamble"]
    else:
        raise UnknownFormatError("not a DICOM file: there is no DICM at byte 128")
    tiff = at > 0 and head[:4] in _TIFF
    meta: dict[int, Element] = {}
    at = _meta(head, at, meta)
    told = meta.get(TRANSFER_SYNTAX_UID, (b"", b""))[1].decode("latin-1").strip(" \0")
    implicit, big = _encoding(head, at, told)
    syntax = transfer_syntax(told)
    if not told:
        told = _BIG if big else IMPLICIT if implicit else EXPLICIT
        warnings.append("the file does not tell its transfer syntax")
    elif not syntax.deflated and (implicit, big) != (syntax.implicit, syntax.big):
        warnings.append("elements are encoded otherwise than the transfer syntax says")
    if syntax.deflated:
        implicit, big = False, False
    return FileMeta(at, told, implicit, big, syntax.deflated, tiff, meta, tuple(warnings))


def _meta(head: bytes, at: int, into: dict[int, Element]) -> int:
    """Read the file meta information, which is in explicit VR, little endian."""
    # The first element tells the length of the others, which is not always true.
    end = at + 12 + int.from_bytes(head[at + 8 : at + 12], "little")
    if head[at : at + 8] == _GROUP_LENGTH and end + 2 <= len(head) and head[end] != 2:
        found: dict[int, Element] = {}
        try:
            exact = walk(head, at, end, found, implicit=False, big=False, wanted=None, depth=1)
        except (ShortError, FormatError):
            exact = -1
        if exact == end and all(tag >> 16 == 2 for tag in found):
            into.update(found)
            return end
    return _one_by_one(head, at, into)


def _one_by_one(head: bytes, at: int, into: dict[int, Element]) -> int:
    size = len(head)
    while head[at : at + 2] == b"\2\0":
        if size < at + 12:
            raise ShortError(0)
        vr = head[at + 4 : at + 6]
        short = vr not in (b"OB", b"OW", b"UN", b"UT", b"SQ")
        first, last = (6, 8) if short else (8, 12)
        if not is_vr(vr):
            first, last = 4, 8
        length = int.from_bytes(head[at + first : at + last], "little")
        if length > 1 << 24:
            raise FormatError("an element of the file meta information has no end", offset=at)
        end = at + (8 if short else 12) + length
        if end > size:
            raise ShortError(0)
        walk(head, at, end, into, implicit=False, big=False, wanted=None, depth=1)
        at = end
    return at


def _encoding(head: bytes, at: int, told: str) -> tuple[bool, bool]:
    """Return whether elements are in implicit VR, and big-endian, by looking at the first one."""
    syntax = transfer_syntax(told)
    if len(head) < at + 8:
        return syntax.implicit, syntax.big
    little = int.from_bytes(head[at : at + 2], "little")
    swapped = int.from_bytes(head[at : at + 2], "big")
    # Groups begin with 0008 as a rule: the byte order in which the number is small is the one.
    big = swapped < little if min(little, swapped) < 0x100 else syntax.big
    vr = head[at + 4 : at + 6]
    if is_vr(vr):
        return False, big
    length = int.from_bytes(head[at + 4 : at + 8], "big" if big else "little")
    implicit = True if length < 1 << 16 or length == 0xFFFFFFFF else syntax.implicit
    return implicit or not told, big

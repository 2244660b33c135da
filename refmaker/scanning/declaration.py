"""What a format says of itself before its scanner is loaded: its name, settings, first bytes.

A package declares its formats by entry points in the group ``refmaker.formats``, each an instance
of `FormatDeclaration` under the name of the scanner's entry point. The module that holds one, and
the packages around it, import the standard library and this module: commands load all
declarations, and the one scanner that they need.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["NGFF", "DeclaredScanner", "FormatDeclaration", "Setting", "unpacked"]


@dataclass(frozen=True, slots=True)
class Setting:
    """A choice that only one format knows, which scanners list in an attribute ``settings``.

    Parameters
    ----------
    name : str
        As in ``--name``; lower case, with ``-`` between words.
    default : str
        Its value where nobody says otherwise.
    help : str
        One line for ``scan --help``.
    choices : tuple of str
        The values it may have; empty if any.
    former : tuple of str
        Names that it had in earlier versions, which are still understood.
    """

    name: str
    default: str
    help: str
    choices: tuple[str, ...] = ()
    former: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FormatDeclaration:
    """One format: how it is called, chosen and recognised.

    Parameters
    ----------
    name : str
        Short name, as in ``--format``; that of the scanner.
    suffixes : tuple of str
        Usual file name endings, with the dot.
    sniff : callable
        Called with the first bytes of a file and its URL; returns how sure it is, 0 to 1, that
        it is of this format.
    settings : tuple of Setting
        What users may choose.
    """

    name: str
    suffixes: tuple[str, ...]
    sniff: Callable[[bytes, str], float]
    settings: tuple[Setting, ...] = ()


NGFF = Setting(
    "ngff",
    "no",
    "version of the NGFF metadata of volumes; 0.5 and 0.6 go with Zarr version 3, and 0.6 has the "
    "affine",
    ("no", "0.4", "0.5", "0.6"),
)
"""The choice of formats whose files are volumes."""


class DeclaredScanner:
    """Base of scanners whose format is declared: ``class S(DeclaredScanner, declaration=FORMAT)``.

    Attributes
    ----------
    name : str
        As declared; so are the others.
    suffixes : tuple of str
        Usual file name endings.
    settings : tuple of Setting
        What users may choose.
    """

    name: str
    suffixes: tuple[str, ...]
    settings: tuple[Setting, ...]
    _declaration: FormatDeclaration

    def __init_subclass__(cls, *, declaration: FormatDeclaration | None = None) -> None:
        if declaration is not None:
            cls._declaration = declaration
            cls.name, cls.suffixes = declaration.name, declaration.suffixes
            cls.settings = declaration.settings

    def sniff(self, head: bytes, url: str) -> float:
        """Return how sure it is, 0 to 1, that a file is of this format.

        Parameters
        ----------
        head : bytes
            The file's first bytes.
        url : str
            Its name.
        """
        return self._declaration.sniff(head, url)


def unpacked(head: bytes, length: int) -> bytes:
    """Return the first bytes of a file, of what it unpacks to if it is a gzip stream.

    Parameters
    ----------
    head : bytes
        The file's first bytes.
    length : int
        Bytes wanted; there may be fewer.
    """
    if head[:2] != b"\x1f\x8b":
        return head[:length]
    try:
        return zlib.decompressobj(31).decompress(head, length)
    except zlib.error:
        return b""

"""Every error that refmaker raises on purpose.

::

    Exception
    └── RefmakerError                 url, path, offset, hint: where and what to do
        ├── SourceError               (OSError)            a file or host cannot be read
        │   ├── SourceNotFoundError   (FileNotFoundError)  there is nothing at that URL
        │   ├── MissingTargetError                         a file that references name is gone
        │   └── SourceChangedError                         it is not the file that was scanned
        ├── FormatError               (ValueError)         bytes break the format's specification
        │   ├── UnknownFormatError                         no scanner recognises the file
        │   └── TruncatedError        (EOFError)           the file ends too early
        ├── UnsupportedError          (NotImplementedError) valid, but nothing here can express it
        ├── CodecError                (ValueError)         a chunk's bytes cannot be decoded
        ├── LimitError                (ValueError)         a bound that protects the reader is hit
        ├── MetadataError             (ValueError)         a reference set contradicts itself
        │   └── PolicyError                                it wants what it is not allowed
        ├── WorkerError               (RuntimeError)       a scanning process died or hung
        └── MissingDependencyError    (ImportError)        an optional package is not installed

Each class is also the builtin that callers already catch. Their texts hold no secrets of URLs, and
nothing that steers a terminal (`printable`).

Examples
--------
>>> try:
...     refmaker.scan("nothing.nc")
... except refmaker.errors.SourceNotFoundError as error:
...     print(error.message)
no such file
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "CodecError",
    "FormatError",
    "LimitError",
    "MetadataError",
    "MissingDependencyError",
    "MissingTargetError",
    "PolicyError",
    "RefmakerError",
    "SourceChangedError",
    "SourceError",
    "SourceNotFoundError",
    "TruncatedError",
    "UnknownFormatError",
    "UnsupportedError",
    "WorkerError",
]

_USER = re.compile(r"(\bhttps?://)[^/?#\s]*@(?=[^/?#\s])|(://[^/?#@\s:]*:)[^/?#\s]*(?=@[^/?#\s])")
"""User information of HTTP, which may be one token; a password elsewhere, where a user is usual."""
_SIGNED = re.compile(
    r"([?&;](?:[\w.-]*(?:signature|token|secret|password|passwd|credential|api[_-]?key)"
    r"|sig|access[_-]?key|awsaccesskeyid|googleaccessid|ossaccesskeyid)=)[^&#;\s]+",
    re.IGNORECASE,
)
_HIDDEN = "***"


def redacted(text: str) -> str:
    """Return a URL, or a text with URLs in it, without user names, passwords and signatures."""
    if "://" not in text:
        return text
    return _SIGNED.sub(rf"\1{_HIDDEN}", _USER.sub(_without_user, text))


def has_secret(url: str) -> bool:
    """Whether a URL holds user information, or a query by which its owner signed it."""
    return "://" in url and redacted(url) != url


def _without_user(found: re.Match[str]) -> str:
    return f"{found[1]}{_HIDDEN}@" if found[1] else f"{found[2]}{_HIDDEN}"


def printable(text: str) -> str:
    """Return a text on one line, without secrets, and with what steers a terminal written out.

    Names come from files, and may hold anything: escape sequences, line breaks, marks that turn
    the direction of text, bytes that are no text.

    Parameters
    ----------
    text : str
        A name, or a message with names in it.
    """
    text = redacted(text)
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


class RefmakerError(Exception):
    """Base of all errors of this package.

    Parameters
    ----------
    message : str
        What went wrong, in one line.
    url : str, optional
        The file that it is about.
    path : str, optional
        The object inside the file: an HDF5 path, a page, a message number, a tag.
    offset : int, optional
        Byte offset in the file.
    hint : str, optional
        What the user can do about it. Options are named as Python spells them, between backticks:
        ```chunks='common'```; the command shows the flags that stand for them.
    lines : sequence of str
        What went wrong in detail, where it is more than one thing: shown one a line.

    Examples
    --------
    >>> try:
    ...     refmaker.scan("nothing.nc")
    ... except refmaker.RefmakerError as error:
    ...     print(type(error).__name__, "|", error.message, "|", error.hint)
    SourceNotFoundError | no such file | check the path
    >>> try:
    ...     refmaker.scan("nothing.nc")
    ... except FileNotFoundError:
    ...     print("it is one of these, too")
    it is one of these, too
    """

    def __init__(
        self,
        message: str,
        *,
        url: str | None = None,
        path: str | None = None,
        offset: int | None = None,
        hint: str | None = None,
        lines: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.lines = tuple(lines)
        self.url = url
        self.path = path
        self.offset = offset
        self.hint = hint

    def __str__(self) -> str:
        where = []
        if self.url is not None:
            where.append(self.url)
        if self.path is not None:
            where.append(self.path)
        if self.offset is not None:
            where.append(f"byte {self.offset}")
        # Libraries break their messages into lines.
        message = " ".join(self.message.split("\n"))
        text = f"{': '.join(where)}: {message}" if where else message
        if self.lines:
            hints = self.hint.split("; ") if self.hint else []
            rest = (*self.lines, *(f"remedy: {hint}" for hint in hints))
            return "\n  ".join(map(printable, (f"{text}:", *rest)))
        return printable(f"{text} ({self.hint})" if self.hint else text)

    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword arguments do not survive the default pickling of exceptions, and errors
        # travel between processes when files are scanned in workers.
        # ImportError keeps `path` in a slot of its own, outside the dict.
        return _rebuild, (type(self), {**self.__dict__, "path": self.path}, self.args)

    def located(self, *, url: str | None = None, path: str | None = None) -> Self:
        """Fill in the file and object where they are not known yet; returns itself."""
        if self.url is None:
            self.url = url
        if self.path is None:
            self.path = path
        return self


def _rebuild(
    cls: type[RefmakerError], state: dict[str, Any], args: tuple[Any, ...]
) -> RefmakerError:
    error = cls.__new__(cls, *args)
    error.args = args
    for name, value in state.items():
        setattr(error, name, value)
    return error


class SourceError(RefmakerError, OSError):
    """A file or host cannot be read."""


class SourceNotFoundError(SourceError, FileNotFoundError):
    """There is nothing at that URL."""


class SourceChangedError(SourceError):
    """The file differs from the one that was scanned."""


class MissingTargetError(SourceError):
    """A file that references point into is not there.

    It is no ``FileNotFoundError`` on purpose: readers of Zarr take that for a chunk that was
    never written, and would fill in values.
    """


class FormatError(RefmakerError, ValueError):
    """Bytes break the rules of the format's specification."""


class UnknownFormatError(FormatError):
    """No scanner recognises the file."""


class TruncatedError(FormatError, EOFError):
    """The file, or a structure in it, ends too early."""


class UnsupportedError(RefmakerError, NotImplementedError):
    """Valid input that references cannot express or nothing here decodes.

    Parameters
    ----------
    code : str
        Short stable reason code, as it appears in reports, such as ``"filter-unknown"``.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "unsupported",
        url: str | None = None,
        path: str | None = None,
        offset: int | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, url=url, path=path, offset=offset, hint=hint)
        self.code = code


class CodecError(RefmakerError, ValueError):
    """A chunk's bytes cannot be decoded."""


class LimitError(RefmakerError, ValueError):
    """A bound that protects memory, time or requests would be exceeded."""


class MetadataError(RefmakerError, ValueError):
    """A reference set contradicts itself or its format."""


class PolicyError(MetadataError):
    """A reference document wants what it is not allowed; nothing of it was done."""


class WorkerError(RefmakerError, RuntimeError):
    """A scanning process died, hung or ran out of memory."""


class MissingDependencyError(RefmakerError, ImportError):
    """An optional package is not installed; the hint names how to install it."""

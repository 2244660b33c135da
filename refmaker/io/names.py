"""Names of files: which are local, and how they are shown without the secrets in them."""

from __future__ import annotations

import os
import re

__all__ = ["has_secret", "local_path", "redacted"]

_USER = re.compile(r"(\bhttps?://)[^/?#@\s]*@(?=[^/?#\s])|(://[^/?#@\s:]*:)[^/?#@\s]*(?=@[^/?#\s])")
"""User information of HTTP, which may be one token; a password elsewhere, where a user is usual."""
_SIGNED = re.compile(
    r"([?&;](?:[\w.-]*(?:signature|token|secret|password|passwd|credential|api[_-]?key)"
    r"|sig|access[_-]?key|awsaccesskeyid|googleaccessid|ossaccesskeyid)=)[^&#;\s]+",
    re.IGNORECASE,
)
_HIDDEN = "***"


def local_path(url: str) -> str | None:
    """Return the path if the URL names a local file, else None.

    As in fsspec, nothing in a ``file:`` URL is percent-decoded. A name with ``::`` in it is a
    chain of filesystems, unless there is a file of just that name.
    """
    for prefix in ("file://", "local://"):
        if url.startswith(prefix) and "::" not in url:
            return url.removeprefix(prefix)
    if url.startswith("file:/") and "::" not in url:
        return url.removeprefix("file:")
    if "://" in url or ("::" in url and not os.path.exists(url)):
        return None
    return url


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

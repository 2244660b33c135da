"""Names of files: which are local, and which hold secrets."""

from __future__ import annotations

import os

from refmaker.errors import redacted

__all__ = ["has_secret", "local_path"]

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


def has_secret(url: str) -> bool:
    """Whether a URL holds user information, or a query by which its owner signed it."""
    return "://" in url and redacted(url) != url

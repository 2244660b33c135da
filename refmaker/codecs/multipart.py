"""Messages of one part, in which services send what was asked for (RFC 2046, section 5.1)."""

from __future__ import annotations

from refmaker.errors import CodecError

__all__ = ["only_part", "wrapped"]

_HEADERS = 64 * 1024
"""Bytes in which the headers of the part end."""


def only_part(data: bytes) -> bytes:
    """Return the body of the only part of a message.

    Parameters
    ----------
    data : bytes
        The message, from its first boundary to its last.

    Raises
    ------
    CodecError
        If it is no message of one part.
    """
    start = data.find(b"--", 0, 4)
    line = data.find(b"\r\n", max(start, 0))
    if start < 0 or data[:start].strip(b"\r\n") or line < 0:
        raise CodecError("no message in parts, which was expected")
    boundary = data[start:line].rstrip(b" \t")
    # The part may have no headers at all.
    body = data.find(b"\r\n\r\n", line, _HEADERS) + 4
    end = data.rfind(b"\r\n" + boundary + b"--")
    if body < 4 or end < body - 2 or len(boundary) < 3:
        raise CodecError("a message in parts that is cut off")
    return data[body:end] if end >= body else b""


def wrapped(body: bytes) -> bytes:
    """Return a message whose only part is a body, and which tells nothing else."""
    return b"--part\r\n\r\n" + body + b"\r\n--part--"

"""Messages between this process and a worker, through a pair of pipes.

Python's own `multiprocessing.connection` does the same, and takes as long to import as a small
file to scan; it is used where pipes are no descriptors (Windows).
"""

from __future__ import annotations

import os
import struct
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Pipe", "pipe_of", "pipes", "wait"]

_PART = 1024 * 1024


class Pipe:
    """One end: messages of bytes, both ways.

    Parameters
    ----------
    number : int
        A connected socket's descriptor, which the end owns.
    """

    def __init__(self, number: int) -> None:
        self._number = number

    def fileno(self) -> int:
        """Return the descriptor, by which it can be waited for."""
        return self._number

    def send(self, message: bytes) -> None:
        """Send one message.

        Raises
        ------
        ConnectionError
            If the other end is closed.
        """
        head = struct.pack("<Q", len(message))
        # Most messages are short, and sent by one call of the system.
        for data in (head + message,) if len(message) < _PART else (head, message):
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._number, rest[:_PART]) :]

    def receive(self) -> bytes:
        """Wait for one message.

        Raises
        ------
        EOFError
            If the other end is closed.
        """
        (size,) = struct.unpack("<Q", self._read(8))
        return self._read(size)

    def _read(self, size: int) -> bytes:
        found = bytearray()
        while len(found) < size:
            part = os.read(self._number, min(_PART, size - len(found)))
            if not part:
                raise EOFError("the other end is closed")
            found += part
        return bytes(found)

    def poll(self, seconds: float) -> bool:
        """Tell whether a message comes, or the other end closes, within some time."""
        return bool(wait([self], seconds))

    def to_inherit(self) -> tuple[int, dict[str, Any]]:
        """Return the number by which a child knows this end, and how `Popen` passes it on."""
        return self._number, {"pass_fds": (self._number,)}

    def close(self) -> None:
        """Close this end; closing twice does nothing."""
        if self._number >= 0:
            os.close(self._number)
            self._number = -1


class _WindowsPipe(Pipe):
    """One end where pipes are handles."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def fileno(self) -> int:
        return int(self.connection.fileno())

    def send(self, message: bytes) -> None:
        self.connection.send_bytes(message)

    def receive(self) -> bytes:
        return bytes(self.connection.recv_bytes())

    def to_inherit(self) -> tuple[int, dict[str, Any]]:
        import subprocess

        handle = self.connection.fileno()
        os.set_handle_inheritable(handle, True)  # type: ignore[attr-defined]
        how = subprocess.STARTUPINFO(lpAttributeList={"handle_list": [handle]})  # type: ignore[attr-defined]
        return handle, {"startupinfo": how}

    def close(self) -> None:
        self.connection.close()


def pipes() -> tuple[Pipe, Pipe]:
    """Return the two ends of a new pipe."""
    if sys.platform == "win32":
        from multiprocessing import Pipe as pair  # noqa: N813 - a function

        one, other = pair()
        return _WindowsPipe(one), _WindowsPipe(other)
    import socket

    left, right = socket.socketpair()
    return Pipe(left.detach()), Pipe(right.detach())


def pipe_of(number: int) -> Pipe:
    """Return the end that this process was given when it was started."""
    if sys.platform == "win32":
        from multiprocessing.connection import PipeConnection

        return _WindowsPipe(PipeConnection(number))
    return Pipe(number)


def wait(ends: Iterable[Pipe], seconds: float | None) -> list[Pipe]:
    """Return the ends that have a message, or whose other end is closed.

    Parameters
    ----------
    seconds : float, optional
        How long to wait for the first; for ever by default.
    """
    if sys.platform == "win32":
        from multiprocessing import connection

        known = {end.connection: end for end in ends if isinstance(end, _WindowsPipe)}
        return [known[found] for found in connection.wait(list(known), seconds)]
    import select

    numbers = {end.fileno(): end for end in ends}
    poll = select.poll()
    for number in numbers:
        poll.register(number, select.POLLIN)
    # poll() counts in milliseconds of 32 bits.
    ready = poll.poll(None if seconds is None else min(seconds * 1000, 2**31 - 1))
    return [numbers[number] for number, _ in ready]

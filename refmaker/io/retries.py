"""When to ask a server again, how long to wait before, and how much to ask of it at a time."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import OrderedDict, deque
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from refmaker.errors import RefmakerError

if TYPE_CHECKING:
    from typing import Self

    from refmaker.io.hosts import Host

__all__ = [
    "CONCURRENT",
    "RETRIES",
    "Gate",
    "gate_of",
    "http_time",
    "may_pass",
    "pause",
    "status_of",
]

RETRIES = 3
"""How often a request is repeated after an error that may pass."""
PAUSE = 0.2
"""Seconds before the first repetition; doubled for each further one."""
PATIENCE = 60.0
"""Seconds that are waited at most because a server asks for it; beyond them it is an error."""
CONCURRENT = 128
"""Requests under way at a time, at one host and in all."""
THROTTLED = frozenset({429, 503})
"""HTTP states by which a server says that it is asked for too much."""
PASSING = frozenset({408, 425, 500, 502, 504}) | THROTTLED
"""HTTP states after which it is worth asking again."""

_LASTING = (
    FileNotFoundError,
    PermissionError,
    IsADirectoryError,
    NotImplementedError,
    ImportError,
    TypeError,
    ValueError,
    RefmakerError,
)
_GATES = 256
_gates: OrderedDict[tuple[int, int, Host], Gate] = OrderedDict()
"""By process, event loop and host: a fork inherits them with requests that are not its own."""


@lru_cache(256)
def http_time(text: str) -> float | None:
    """Return the seconds since 1970 that an HTTP date (RFC 9110, 5.6.7) means, or None."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None


def status_of(error: BaseException) -> int | None:
    """Return the HTTP state that an error tells of, if it tells of one."""
    status = getattr(error, "status", None)
    return status if isinstance(status, int) else None


def may_pass(error: BaseException) -> bool:
    """Whether asking again may help."""
    if not isinstance(error, Exception):
        return False
    status = status_of(error)
    if status is None:
        return not isinstance(error, _LASTING)
    return status in PASSING and (_asked_for(error) or 0.0) <= PATIENCE


def pause(error: Exception, attempt: int) -> float:
    """Return the seconds to wait before asking again.

    What the server asks for (Retry-After; RFC 9110, 10.2.3), and at least as much as after any
    error: twice as long each time, and not the same for all who wait.
    """
    wait: float = PAUSE * 2**attempt * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
    return max(wait, _asked_for(error) or 0.0)


def _asked_for(error: Exception) -> float | None:
    text = str((getattr(error, "headers", None) or {}).get("Retry-After", "")).strip()
    if text.isdecimal():
        return float(text)
    moment = http_time(text) if text else None
    return None if moment is None else max(0.0, moment - time.time())


class Gate:
    """Lets a number of requests to one host through at a time; fewer when it is too many.

    Belongs to one event loop.

    Attributes
    ----------
    limit : int
        Requests at a time, now.
    """

    def __init__(self) -> None:
        self.limit = CONCURRENT
        self._under_way = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._served = 0
        self._halved = 0.0
        self._closed_until = 0.0

    async def __aenter__(self) -> Self:
        while self._under_way >= self.limit:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                self._wake()
                raise
        self._under_way += 1
        wait = self._closed_until - time.monotonic()
        if wait > 0:
            try:
                await asyncio.sleep(wait)
            except asyncio.CancelledError:
                self._leave()
                raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._leave()

    def _leave(self) -> None:
        self._under_way -= 1
        self._wake()

    def _wake(self) -> None:
        free = self.limit - self._under_way
        while self._waiting and free > 0:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                free -= 1

    def throttled(self, asked: float, error: Exception) -> None:
        """Ask half as much from now on, and nothing as long as the server wants.

        Parameters
        ----------
        asked : float
            When (`time.monotonic`) the request was sent; of those that were under way
            together, the first that is refused counts.
        error : Exception
            The refusal.
        """
        now = time.monotonic()
        self._closed_until = max(self._closed_until, now + min(_asked_for(error) or 0.0, PATIENCE))
        if asked >= self._halved:
            self.limit = max(1, min(self.limit, self._under_way) // 2)
            self._halved, self._served = now, 0

    def served(self) -> None:
        """Ask a little more, after as many answers as are asked for at a time."""
        self._served += 1
        if self.limit < CONCURRENT and self._served >= self.limit:
            self.limit, self._served = self.limit + 1, 0
            self._wake()


def gate_of(host: Host) -> Gate:
    """Return the gate of a host in the event loop that runs."""
    name = os.getpid(), id(asyncio.get_running_loop()), host
    found = _gates.get(name)
    if found is None:
        found = _gates[name] = Gate()
        if len(_gates) > _GATES:
            _gates.popitem(last=False)
    _gates.move_to_end(name)
    return found

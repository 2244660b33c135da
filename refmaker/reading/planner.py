"""Concurrent requests for chunks: gathered for an instant, merged when near, split again.

Zarr asks for the chunks of a selection one by one, ten at a time. A planner waits about a
millisecond for the others, fetches what lies near in a file as one range, and gives everyone
their part. When as many readers wait as ever do, and walk through an array in even steps,
there are more behind them: what they will ask for next comes with the same request.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refmaker.errors import TruncatedError
from refmaker.io.retries import CONCURRENT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from refmaker.model.chunk_table import ChunkTable
    from refmaker.storage.reference_index import Located

    Fetch = Callable[[str, int, int | None], Awaitable[bytes]]
    Name = Callable[[str], str | None]
    Key = tuple[str, int, int | None]

__all__ = ["Plan", "Planner"]

_APART = 96
"""Requests that are sent ahead of their readers where chunks do not lie near one another."""
_FIRST = 4
"""As many for each reader at first: those who have read what they wanted waste no more."""
_ROWS = 1 << 14
"""Chunks fetched ahead of their readers at most."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How requests are gathered and merged.

    Parameters
    ----------
    gather : float
        Seconds to wait for further requests.
    gap : int
        Bytes between two ranges that are fetched along rather than asked for apart; a
        negative number merges nothing.
    block : int
        Bytes of a merged request at most.
    ahead : int
        Bytes fetched at first ahead of readers that walk through an array; later as much as
        was read already, but not more than `ahead_most`. 0 fetches nothing ahead.
    ahead_most : int
        Bytes fetched ahead at a time at most; twice as many may wait to be asked for.
    width : int
        Readers that wait at the same time from which on there are thought to be more.
    """

    gather: float = 0.001
    gap: int = 128 * 1024
    block: int = 16 * 1024**2
    ahead: int = 4 * 1024**2
    ahead_most: int = 32 * 1024**2
    width: int = 10


class Planner:
    """Gathers, merges, fetches and splits.

    Parameters
    ----------
    fetch : callable
        ``await fetch(url, start, stop)`` gives the bytes of one range.
    plan : Plan
        How.
    name : callable, optional
        The name by which `fetch` knows a URL of a table, or None for one that nothing may be
        fetched of ahead; by default the URL itself.
    """

    def __init__(self, fetch: Fetch, plan: Plan, name: Name = str) -> None:
        self._fetch = fetch
        self._name = name
        self._plan = plan
        # Futures belong to one event loop, and so does everything that waits together.
        self._lanes: dict[asyncio.AbstractEventLoop, _LoopQueue] = {}
        self._lock = Lock()

    async def read(
        self, url: str, start: int, stop: int | None, located: Located | None = None
    ) -> memoryview:
        """Return one range.

        Parameters
        ----------
        url : str
        start, stop : int
            First byte, and the byte behind the last; None for `stop` means the whole file.
        located : Located, optional
            The row of a table that this is all of; lets the next rows be fetched ahead.

        Raises
        ------
        Exception
            What `fetch` raises.
        """
        loop = asyncio.get_running_loop()
        with self._lock:
            lane = self._lanes.get(loop)
            if lane is None:
                # A lane and its loop know one another, so that neither would ever go.
                self._lanes = {k: v for k, v in self._lanes.items() if not k.is_closed()}
                lane = self._lanes[loop] = _LoopQueue(self._fetch, self._plan, self._name, loop)
        return await lane.read(url, start, stop, located)


class _PendingRange:
    """One range that somebody waits for, or will."""

    __slots__ = ("future", "row", "start", "stop", "table")

    def __init__(
        self,
        future: asyncio.Future[memoryview],
        start: int,
        stop: int | None,
        table: ChunkTable | None,
        row: int,
    ) -> None:
        self.future = future
        self.start = start
        self.stop = stop
        self.table = table
        self.row = row


class _Walk(NamedTuple):
    """A walk through an array that is being read ahead."""

    size: int
    """Rows of the array's table."""
    last: int
    """Row of the last chunk that was fetched ahead."""
    step: int
    trigger: int
    """Row at which more has to be fetched."""
    nbytes: int
    """Bytes that the last look ahead fetched."""


class _LoopQueue:
    """What waits in one event loop."""

    def __init__(
        self, fetch: Fetch, plan: Plan, name: Name, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._fetch = fetch
        self._name = name
        self._plan = plan
        self._waiting: dict[str, list[_PendingRange]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._active: set[_PendingRange] = set()
        self._kept: OrderedDict[Key, _PendingRange] = OrderedDict()
        self._kept_bytes = 0
        self._walks: dict[int, _Walk] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._gate = asyncio.Semaphore(CONCURRENT)
        self._call_later = loop.call_later
        self._create_future = loop.create_future
        self._create_task = loop.create_task

    async def read(
        self, url: str, start: int, stop: int | None, located: Located | None
    ) -> memoryview:
        wish = self._take(url, start, stop, located)
        if wish is None:
            table, row = (None, 0) if located is None else (located.table, located.row)
            wish = _PendingRange(self._create_future(), start, stop, table, row)
            self._waiting.setdefault(url, []).append(wish)
            if self._timer is None:
                self._timer = self._call_later(self._plan.gather, self._flush)
        self._active.add(wish)
        try:
            return await wish.future
        finally:
            self._active.discard(wish)

    def _take(
        self, url: str, start: int, stop: int | None, located: Located | None
    ) -> _PendingRange | None:
        """Return the wish that was made ahead for this range, and look further ahead."""
        wish = self._kept.pop((url, start, stop), None)
        if wish is None:
            return None
        self._kept_bytes -= (wish.stop or 0) - wish.start
        walk = None if located is None else self._walks.get(id(located.table))
        if (
            walk is not None
            and located is not None
            and located.table is not None
            and located.row >= walk.trigger
            and walk.size == located.table.referenced
        ):
            more = min(max(self._plan.ahead, 2 * walk.nbytes), self._plan.ahead_most)
            for name, wishes in self._ahead(located.table, walk.last, walk.step, more).items():
                self._issue(name, wishes)
        return None if wish.future.cancelled() else wish

    def _flush(self) -> None:
        self._timer = None
        waiting, self._waiting = self._waiting, {}
        if len(self._active) >= self._plan.width and self._plan.ahead > 0:
            wishes = [wish for some in waiting.values() for wish in some]
            for table in {id(wish.table): wish.table for wish in wishes}.values():
                for url, more in self._guess(table).items():
                    waiting.setdefault(url, []).extend(more)
        for url, wishes in waiting.items():
            self._issue(url, wishes)

    def _guess(self, table: ChunkTable | None) -> dict[str, list[_PendingRange]]:
        """Return what the readers of one array will want next, if they walk in even steps."""
        mine = [wish for wish in self._active if wish.table is table]
        rows = np.array(sorted({wish.row for wish in mine}))
        if table is None or len(rows) < max(2, self._plan.width // 2):
            return {}
        steps = np.diff(rows)
        if bool((steps != steps[0]).any()):
            return {}
        nbytes = sum((wish.stop or 0) - wish.start for wish in mine)
        more = min(max(self._plan.ahead, nbytes), self._plan.ahead_most)
        apart = min(_APART, _FIRST * len(mine))
        return self._ahead(table, int(rows[-1]), int(steps[0]), more, apart)

    def _ahead(
        self, table: ChunkTable, last: int, step: int, most: int, requests: int = _APART
    ) -> dict[str, list[_PendingRange]]:
        """Make wishes for rows behind the last one, by the files that they lie in."""
        if last >= table.referenced:
            return {}
        rows = np.arange(last, min(table.referenced, last + step * _ROWS + 1), step)
        start = table.offset[rows].astype(np.int64)
        stop = start + table.length[rows].astype(np.int64)
        file = np.zeros(len(rows), np.int64) if table.url is None else table.url[rows]
        other = file[1:] != file[:-1]
        near = other | (start[1:] >= stop[:-1])
        apart = other | (start[1:] - stop[:-1] > self._plan.gap)
        near &= np.cumsum(apart) <= requests
        near &= np.cumsum(stop[1:] - start[1:]) <= most
        far = np.flatnonzero(~near)
        count = int(far[0]) if far.size else near.size
        names = {i: self._name(table.urls[i]) for i in dict.fromkeys(file[1 : count + 1].tolist())}
        found: dict[str, list[_PendingRange]] = {}
        for row, url, a, b in zip(
            rows[1 : count + 1].tolist(),
            map(names.get, file[1 : count + 1].tolist()),
            start[1 : count + 1].tolist(),
            stop[1 : count + 1].tolist(),
            strict=True,
        ):
            if url is not None and b > a and (url, a, b) not in self._kept:
                wish = _PendingRange(self._create_future(), a, b, table, row)
                self._kept[url, a, b] = wish
                self._kept_bytes += b - a
                found.setdefault(url, []).append(wish)
        if found:
            nbytes = int(np.sum(stop[1 : count + 1] - start[1 : count + 1]))
            end = int(rows[count])
            trigger = end - (end - last) // 2
            self._walks[id(table)] = _Walk(table.referenced, end, step, trigger, nbytes)
            self._forget()
        else:
            self._walks.pop(id(table), None)
        return found

    def _forget(self) -> None:
        """Drop what nobody has asked for, the oldest first."""
        while self._kept_bytes > 2 * self._plan.ahead_most:
            _, wish = self._kept.popitem(last=False)
            self._kept_bytes -= (wish.stop or 0) - wish.start
            wish.future.cancel()
        if len(self._walks) > 256:
            self._walks.clear()

    def _issue(self, url: str, wishes: list[_PendingRange]) -> None:
        for run in _merged(wishes, self._plan):
            task = self._create_task(self._run(url, run))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, url: str, run: list[_PendingRange]) -> None:
        """Fetch one merged range, and give everyone their part."""
        start = run[0].start
        stop = None if run[0].stop is None else max(wish.stop or 0 for wish in run)
        try:
            async with self._gate:
                data = memoryview(await self._fetch(url, start, stop))
        except TruncatedError as error:
            # One range behind the end of the file costs the others nothing.
            if len(run) == 1 or stop is None:
                self._fail(run, error)
            else:
                for wish in run:
                    if wish in self._active:
                        self._issue(url, [wish])
                    else:
                        self._fail([wish], error)
        except BaseException as error:
            # Whatever it is, those who wait have to hear of it.
            self._fail(run, error)
            if not isinstance(error, Exception):
                raise
        else:
            for wish in run:
                if not wish.future.done():
                    end = None if wish.stop is None else wish.stop - start
                    wish.future.set_result(data[wish.start - start : end])

    def _fail(self, run: Iterable[_PendingRange], error: BaseException) -> None:
        for wish in run:
            if wish.future.done():
                continue
            if wish in self._active:
                wish.future.set_exception(error)
            else:
                # Nobody asked for it yet; whoever does will hear for themselves.
                wish.future.cancel()


def _merged(wishes: list[_PendingRange], plan: Plan) -> list[list[_PendingRange]]:
    """Return wishes for one file in runs that are fetched as one range each."""
    runs: list[list[_PendingRange]] = []
    end = 0
    for wish in sorted(wishes, key=lambda wish: (wish.stop is not None, wish.start)):
        last = runs[-1] if runs else None
        if last is not None and wish.stop is None and last[0].stop is None:
            last.append(wish)
        elif (
            last is not None
            and wish.stop is not None
            and last[0].stop is not None
            and wish.start - end <= plan.gap
            and max(end, wish.stop) - last[0].start <= plan.block
            and plan.gap >= 0
        ):
            last.append(wish)
            end = max(end, wish.stop)
        else:
            runs.append([wish])
            end = wish.stop or 0
    return runs

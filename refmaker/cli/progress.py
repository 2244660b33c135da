"""How far a run over many files has come, on standard error."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from refmaker.cli.logs import form
from refmaker.cli.output import say

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from refmaker.scanning.many_files import Progress

__all__ = ["INTERVAL", "ProgressShown", "progress_line"]

INTERVAL = 10.0
"""Seconds between two lines where there is no terminal."""


class ProgressShown:
    """Shows progress while a block runs: a bar on a terminal, now and then a line elsewhere.

    Parameters
    ----------
    total : int
        All files.
    quiet : bool
        Show nothing at all.
    doing : str
        What is being done, in a word.
    things : str
        What is counted, in the plural.
    """

    def __init__(
        self, total: int, *, quiet: bool, doing: str = "scanning", things: str = "files"
    ) -> None:
        self._things = things
        self._bar: Any = None
        self._started = self._told = time.monotonic()
        self._quiet = quiet
        if not quiet and form() == "text" and sys.stderr.isatty():
            self._bar = _bar()
            self._task = self._bar.add_task(doing, total=total, note="")

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, progress: Progress) -> None:
        """Show what has come to be known."""
        if self._quiet:
            return
        if self._bar is not None:
            notes = [(progress.cached, "cached"), (progress.failed, "failed")]
            note = ", ".join(f"{count:,} {what}" for count, what in notes if count)
            at = {"completed": progress.done, "total": progress.total}
            self._bar.update(self._task, **at, note=note)
            return
        now = time.monotonic()
        if now - self._told >= INTERVAL:
            self._told = now
            say(progress_line(progress, now - self._started, self._things), err=True)


def progress_line(progress: Progress, seconds: float, things: str = "files") -> str:
    """Return a line such as ``120 of 5,000 files, 12.0 a second, 6 min 47 s left``."""
    scanned = progress.done - progress.cached
    rate = scanned / seconds if seconds > 0 else 0.0
    parts = [f"{progress.done:,} of {progress.total:,} {things}"]
    parts += [f"{progress.cached:,} cached"] if progress.cached else []
    parts += [f"{progress.failed:,} failed"] if progress.failed else []
    if rate > 0:
        left = (progress.total - progress.done) / rate
        parts += [f"{rate:.1f} a second", f"{_duration(left)} left"]
    return ", ".join(parts)


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        """Files a second."""

        def render(self, task: Any) -> Text:
            return Text(f"{task.speed or 0:.1f}/s")

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(stderr=True),
        transient=True,
    )

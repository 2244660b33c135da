"""What became of each input of a scan, in the order of the inputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from refmaker.cli.boundary import describe_error, report_error
from refmaker.cli.output import counted, human_size, print_json, say
from refmaker.io.files import STANDARD

if TYPE_CHECKING:
    from collections.abc import Callable

    from refmaker.model.report import ScanReport

__all__ = ["FAILED", "IGNORED", "Account"]

FAILED, IGNORED = "failed", "ignored"


@dataclass
class Account:
    """Prints what becomes of inputs, and remembers how they ended.

    Parameters
    ----------
    as_json : bool
        Print records.
    quiet : bool
        Print errors only.
    stats : bool
        Add the costs to each line.
    """

    as_json: bool
    quiet: bool
    stats: bool
    statuses: set[str] = field(default_factory=set)
    _early: dict[int, Callable[[], None]] = field(default_factory=dict)
    _next: int = 0

    def in_turn(self, number: int, tell: Callable[[], None]) -> None:
        """Print what is to be told of an input when all before it have been told."""
        self._early[number] = tell
        while self._next in self._early:
            self._early.pop(self._next)()
            self._next += 1

    def done(self, url: str, out: str, report: ScanReport, *, cached: bool = False) -> None:
        """Tell of an input that was written."""
        status = "ok" if report.lossless else "partial"
        self.statuses.add(status)
        if self.as_json:
            told = {"input": url, "output": out, "status": status, **report.as_dict()}
            print_json({**told, "cached": cached, "error": None})
            return
        if self.quiet:
            return
        self.lost(url, report)
        counts = report.as_dict()
        parts = [f"{counts['referenced']} referenced", f"{counts['inlined']} inlined"]
        parts += [f"{counts['duplicated']} duplicated"] if counts["duplicated"] else []
        parts += [f"{len(report.skipped)} skipped"] if report.skipped else []
        parts += ["unchanged since it was scanned"] if cached else []
        if self.stats:
            cost = f"{counted(report.requests, 'request')}, {human_size(report.bytes_read)}"
            parts.append(f"{report.seconds:.2f} s, {cost}")
        say(f"{url}: {', '.join(parts)} -> {out}", err=out == STANDARD)

    def lost(self, url: str, report: ScanReport) -> None:
        """Tell people what is missing, and what they should know."""
        for row in report.skipped:
            say(f"skipped: {url}: {row.path}: {row.reason} [{row.code}]", err=True)
        for warning in report.warnings:
            say(f"warning: {url}: {warning}", err=True)

    def failed(self, url: str, error: BaseException, status: str = FAILED) -> None:
        """Tell of an input that could not be scanned or written, or is none of ours."""
        self.statuses.add(status)
        if self.as_json:
            _record_failure(url, error, status)
        if status == FAILED:
            report_error(error)
        elif not self.quiet:
            say(f"ignored: {describe_error(error)['message']}", err=True)


def _record_failure(url: str, error: BaseException, status: str) -> None:
    nothing: dict[str, Any] = {"referenced": 0, "inlined": 0, "skipped": [], "warnings": []}
    cost = {"seconds": 0.0, "requests": 0, "bytes_read": 0}
    told = {"input": url, "output": None, "status": status, **nothing, **cost}
    print_json({**told, "cached": False, "error": describe_error(error)})

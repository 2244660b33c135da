"""What a command says: results on standard output, messages on standard error."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from refmaker.cli.boundary import describe_error, report_error, tinted
from refmaker.cli.logs import form, print_record
from refmaker.cli.spelling import as_flags
from refmaker.errors import printable
from refmaker.io.files import STANDARD
from refmaker.model.amounts import counted, human_size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from refmaker.model.report import ScanReport
    from refmaker.storage.readers import Summary

__all__ = [
    "FAILED",
    "IGNORED",
    "Account",
    "counted",
    "human_size",
    "print_json",
    "print_table",
    "say",
    "tell_losses",
]

FAILED, IGNORED = "failed", "ignored"
"""What becomes of an input, besides ``ok`` and ``partial``."""


_WARNINGS = frozenset({"failed", "ignored", "skipped", "warning"})
"""First words of messages that tell of more than how it goes."""


def print_json(values: Mapping[str, Any]) -> None:
    """Print one JSON record; ASCII, so that names of any bytes survive every terminal."""
    click.echo(json.dumps(values, allow_nan=False))


def say(
    text: str,
    *,
    err: bool = False,
    mark: int = 0,
    good: bool = False,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Print a line for people; names in it cannot break it, or reach the terminal's controls.

    Parameters
    ----------
    text : str
        The line.
    err : bool
        Print it on standard error.
    mark : int
        How many letters at its beginning are coloured, where colour is allowed.
    good : bool
        Green in place of red.
    about : mapping, optional
        What it tells of, for records: ``url``, ``path``, ``code``.
    """
    shown = printable(text)
    if err and form() == "json":
        word, colon, rest = shown.partition(": ")
        known = bool(colon) and word in _WARNINGS
        print_record("WARNING" if known else "INFO", rest if word == "warning" else shown, about)
        return
    head = tinted(shown[:mark], "green" if good else "red") if mark else ""
    click.echo(head + shown[mark:], err=err)


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows of text with aligned columns."""
    shown = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        say("  ".join(cells).rstrip())


def tell_losses(report: ScanReport, url: str = "") -> None:
    """Tell people what is missing, and what they should know.

    Parameters
    ----------
    report : ScanReport
        What became of things.
    url : str
        What it is about, where one of several files is meant.
    """
    named = f"{url}: " if url else ""
    for row in report.skipped:
        text = f"skipped: {named}{row.path}: {as_flags(row.reason)} [{row.code}]"
        about = {"url": url or None, "path": row.path, "code": row.code}
        say(text, err=True, mark=len("skipped:"), about=about)
    for warning in report.warnings:
        text = f"warning: {named}{as_flags(warning)}"
        say(text, err=True, mark=len("warning:"), about={"url": url or None})


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
    statuses: Counter[str] = field(default_factory=Counter)
    _readers: dict[str, Summary] = field(default_factory=dict)
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
        self.statuses[status] += 1
        if self.as_json:
            told = {"input": url, "output": out, "status": status, **report.as_dict()}
            readers = self._readers.pop(out, None)
            print_json({**told, "cached": cached, "readers": readers, "error": None})
            return
        if self.quiet:
            return
        tell_losses(report, url)
        counts = report.as_dict()
        parts = [f"{counts['referenced']} referenced", f"{counts['inlined']} inlined"]
        parts += [f"{counts['duplicated']} duplicated"] if counts["duplicated"] else []
        parts += [f"{len(report.skipped)} skipped"] if report.skipped else []
        parts += ["unchanged since it was scanned"] if cached else []
        if self.stats:
            cost = f"{counted(report.requests, 'request')}, {human_size(report.bytes_read)}"
            parts.append(f"{report.seconds:.2f} s, {cost}")
        say(f"{url}: {', '.join(parts)} -> {out}", err=out == STANDARD)

    def note_readers(self, out: str, readers: Summary) -> None:
        """Keep who reads what was written, to be told with it or in the end."""
        self._readers[out] = readers

    def tell_readers(self) -> None:
        """Tell people who reads what was written; of many sets together."""
        if self._readers and not self.quiet and not self.as_json:
            from refmaker.storage.readers import in_words

            say(in_words(self._readers.values()), err=STANDARD in self._readers)

    def finish(self) -> None:
        """Tell who reads what was written, and of several inputs how many ended how."""
        self.tell_readers()
        total = self.statuses.total()
        if self.as_json:
            print_json({"summary": {"inputs": total, **self.statuses}})
        elif total > 1 and not self.quiet:
            words = ("ok", "partial", IGNORED, FAILED)
            told = [f"{self.statuses[word]:,} {word}" for word in words if self.statuses[word]]
            say(f"{counted(total, 'input')}: {', '.join(told)}", err=True)

    def failed(self, url: str, error: BaseException, status: str = FAILED) -> None:
        """Tell of an input that could not be scanned or written, or is none of ours."""
        self.statuses[status] += 1
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
    print_json({**told, "cached": False, "readers": None, "error": describe_error(error)})

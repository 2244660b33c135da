"""Messages on standard error: lines for people, or JSON records for what collects logs."""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from refmaker.errors import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["FORMS", "asked_form", "form", "logging_to_stderr", "print_record", "use_form"]

FORMS = ("text", "json")
_FLAG = "--log-format"
_LOGGER = "refmaker.cli"
_FORM = ["text"]
"""What is printed at present: a command may log from several threads, which know no context."""
_FIELDS = ("url", "path", "offset", "hint")


def form() -> str:
    """Return how messages are printed: ``text`` or ``json``."""
    return _FORM[0]


def use_form(context: click.Context, name: str) -> None:
    """Print messages in a form until the whole command ends."""
    _FORM[0] = name
    context.find_root().call_on_close(lambda: _FORM.__setitem__(0, "text"))


def asked_form(arguments: Sequence[str]) -> str:
    """Return the form that a command line asks for, which may be wrong in other ways."""
    found = "text"
    for place, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if flag == _FLAG:
            found = value if equals else next(iter(arguments[place + 1 : place + 2]), "")
    return found if found in FORMS else "text"


def print_record(
    level: str,
    message: str,
    about: Mapping[str, Any] | None = None,
    *,
    logger: str = _LOGGER,
    created: float | None = None,
) -> None:
    """Print one JSON record on standard error.

    Parameters
    ----------
    level, message, logger : str
        As `logging` has them.
    about : mapping, optional
        What an error tells besides: ``type``, ``url``, ``path``, ``offset``, ``hint``.
    created : float, optional
        Seconds since 1970, by default now.
    """
    import time
    from datetime import UTC, datetime

    at = datetime.fromtimestamp(time.time() if created is None else created, UTC)
    record = {
        "time": at.isoformat(timespec="milliseconds"),
        "level": level,
        "logger": logger,
        "message": printable(message),
        **{name: value for name, value in (about or {}).items() if value is not None},
    }
    click.echo(json.dumps(record), err=True)


class _Echo(logging.Handler):
    """Writes log records to standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        if form() == "text":
            click.echo(self.format(record), err=True)
            return
        error = record.exc_info[1] if record.exc_info else None
        about = {name: getattr(error, name, None) for name in _FIELDS}
        if error is not None and self.formatter is not None:
            about |= {"type": type(error).__name__}
            about |= {"traceback": self.formatter.formatException(record.exc_info)}  # type: ignore[arg-type]
        text = record.getMessage()
        print_record(record.levelname, text, about, logger=record.name, created=record.created)


class _Formatter(logging.Formatter):
    """Puts each record on one line, and tracebacks below."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - overridden
        return printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - overridden
        return "\n".join(map(printable, super().formatException(ei).split("\n")))


@contextmanager
def logging_to_stderr(level: int) -> Iterator[None]:
    """Show this package's log, and other packages' warnings only to those who ask for more."""
    handler = _Echo()
    handler.setFormatter(_Formatter("%(levelname)s %(name)s: %(message)s"))
    logger, warnings = logging.getLogger("refmaker"), logging.getLogger("py.warnings")
    before = logger.level
    logger.setLevel(level)
    logger.addHandler(handler)
    shown: logging.Handler = handler if level <= logging.INFO else logging.NullHandler()
    warnings.addHandler(shown)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        warnings.removeHandler(shown)
        logger.removeHandler(handler)
        logger.setLevel(before)

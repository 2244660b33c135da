"""Where exceptions end: a message on standard error and an exit code, never a traceback."""

from __future__ import annotations

import errno
import logging
import os
from typing import TYPE_CHECKING, Any

import click

from refmaker.cli.logs import asked_form, form, print_record, use_form
from refmaker.cli.spelling import as_flags
from refmaker.errors import RefmakerError, printable

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ARGUMENTS",
    "FAILED",
    "INTERRUPTED",
    "Boundary",
    "describe_error",
    "report_error",
    "tinted",
]

FAILED = 1
INTERRUPTED = 130

ARGUMENTS = "refmaker.arguments"
"""Under which name a context knows the whole command line."""

log = logging.getLogger("refmaker.cli")


def report_error(error: BaseException) -> None:
    """Print an exception on standard error, in one line unless it is several things.

    Its traceback is logged for ``-v``.
    """
    text = describe_error(error)["message"]
    if isinstance(error, RefmakerError) and error.lines:
        text = as_flags(str(error))
    elif not isinstance(error, RefmakerError | OSError):
        text = f"{text}; this is a bug in refmaker, please report it with what -v prints"
    if form() == "json":
        about = describe_error(error)
        print_record("ERROR", " ".join(text.split()), {**about, "message": None})
    else:
        lines = "\n".join(map(printable, text.split("\n")))
        click.echo(f"{tinted('error:', 'red')} {lines}", err=True)
    log.info("traceback", exc_info=error)


def tinted(text: str, colour: str) -> str:
    """Return a word in a colour, unless ``NO_COLOR`` is set; click drops it outside terminals."""
    return text if os.environ.get("NO_COLOR") else click.style(text, fg=colour, bold=True)


def describe_error(error: BaseException) -> Mapping[str, Any]:
    """Return an exception as a JSON object: type, message, url, path, offset, hint."""
    if isinstance(error, RefmakerError):
        text = as_flags(str(error))
    elif isinstance(error, OSError):
        named = f"{error.filename}: " if error.filename else ""
        text = f"{named}{error.strerror or error}"
    else:
        text = f"{type(error).__name__}: {error}"
    hint = getattr(error, "hint", None)
    return {
        "type": type(error).__name__,
        "message": " ".join(text.split()),
        "url": getattr(error, "url", None),
        "path": getattr(error, "path", None),
        "offset": getattr(error, "offset", None),
        "hint": as_flags(hint) if isinstance(hint, str) else None,
    }


class Boundary(click.Group):
    """A group of commands whose exceptions become messages and exit codes."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the options of the group; how errors are told is known before the others are."""
        use_form(ctx, asked_form(args))
        ctx.meta[ARGUMENTS] = tuple(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            # Names of files are in there, too.
            vars(error).update(message=printable(as_flags(error.message)))
            if form() == "text":
                raise
            print_record("ERROR", error.format_message(), {"type": type(error).__name__})
            ctx.exit(error.exit_code)
        except (click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            if form() == "json":
                print_record("ERROR", "interrupted")
            else:
                click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # click ends quietly when nobody reads the output any more
            # This is the command's edge: nothing may pass it.
            report_error(error)
            ctx.exit(FAILED)

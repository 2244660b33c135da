"""``refmaker verify``: compare references with what the format's own library reads."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from refmaker.cli.boundary import FAILED
from refmaker.cli.completion import files
from refmaker.cli.options import allowing, as_json, storage_options, verbosity
from refmaker.cli.output import counted, print_json, say
from refmaker.cli.progress import ProgressShown
from refmaker.errors import MissingTargetError, SourceNotFoundError
from refmaker.io.local_file import MOVED
from refmaker.verification.verify import SAMPLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refmaker import ArrayCheck
    from refmaker.verification.compare import ArrayChecks

__all__ = ["command"]


@click.command("verify")
@click.argument("refs", shell_complete=files)
@click.option(
    "--sample",
    type=click.IntRange(min=1),
    default=SAMPLE,
    show_default=True,
    metavar="N",
    help="Chunks of each array to compare.",
)
@click.option("--all", is_flag=True, help="Compare every chunk.")
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Processes to compare in.",
)
@click.option(
    "--sources/--no-sources",
    default=True,
    show_default=True,
    help="Look at the files first: are they there, long enough, and unchanged?",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Give up on an array whose library hangs after this time.  [default: 1800]",
)
@click.option(
    "--allow-uncompared",
    is_flag=True,
    help="Do not fail for arrays with data that could not be compared.",
)
@click.option("--seed", default=0, show_default=True, help="Decides which chunks are chosen.")
@allowing
@storage_options
@as_json
@verbosity
@click.pass_context
def command(  # noqa: PLR0913 - one parameter for each option
    ctx: click.Context,
    *,
    refs: str,
    sample: int,
    all: bool,  # noqa: A002 - the option's name
    jobs: int,
    sources: bool,
    timeout: float | None,
    allow_uncompared: bool,
    seed: int,
    allow: tuple[str, ...] | None,
    storage_options: dict[str, Any] | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Compare a reference file, bit for bit, with the files that it was made from.

    REFS is a reference file (- for standard input), also one that kerchunk or VirtualiZarr
    made. Chunks are read as references on one side, and by the format's own library on the other;
    in a set of many files each is looked up by its place, and joined coordinates are read again
    from the files. Libraries run in processes of their own: one that aborts or hangs costs the
    array that it was reading. The exit code is 1 if anything differs, data could not be
    compared (unless --allow-uncompared), or a file is missing, too short or changed. --json
    prints a record for each file and each array, and one that sums up.

    \b
    Example:
      refmaker verify data.refs.json
      refmaker verify data.refs.json --all --json
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    import refmaker
    from refmaker import Progress

    found = replace(refmaker.read(refs), allow=allow)
    bad = 0
    for file in refmaker.check_sources(found, storage_options=storage_options) if sources else ():
        bad += not file.ok
        if as_json:
            print_json(file.as_dict())
        elif not file.ok:
            say(f"{'FILE':12}  {file.url}: {file.problem}")
    hidden = quiet or as_json
    with ProgressShown(0, quiet=hidden, doing="comparing", things="chunks") as shown, _moved():
        checks = refmaker.verify(
            found,
            sample=None if all else sample,
            storage_options=storage_options,
            seed=seed,
            jobs=jobs,
            timeout=timeout,
            on_progress=lambda done, total: shown.update(Progress(done, total, 0, 0)),
        )
    for check in checks:
        bad += not check.ok and not (allow_uncompared and check.verdict == "not compared")
        if as_json:
            print_json(check.as_dict())
        elif not quiet or not check.ok:
            say(_line(check), mark=len(check.verdict), good=check.ok)
    if not (quiet or as_json):
        say(_summary(checks), err=True)
    if as_json:
        counts = {verdict.replace(" ", "_"): count for verdict, count in checks.counts.items()}
        print_json({"summary": {"ok": not bad, "arrays": len(checks), **counts}})
    if bad:
        ctx.exit(FAILED)


@contextmanager
def _moved() -> Iterator[None]:
    """Say of a file that is not there what to do if it is elsewhere: nobody typed its name."""
    try:
        yield
    except SourceNotFoundError as error:
        raise MissingTargetError("no such file", url=error.url, hint=MOVED) from error


def _summary(checks: ArrayChecks) -> str:
    """Return how many arrays are equal, and what to do about the others."""
    text = checks.summary()
    if "different" in checks.counts:
        text += "; scan the files again, and report what differs then"
    return text


def _line(check: ArrayCheck) -> str:
    verdict = check.verdict if check.ok else check.verdict.upper()
    compared = f"{check.compared:,} of {counted(check.chunks, 'chunk')} compared"
    line = f"{verdict:12}  {check.path}  {compared}"
    if check.uncompared:
        line += f", {check.uncompared:,} could not be"
    if check.passed_over:
        line += f", {check.passed_over:,} never written"
    if check.given:
        line += f", {check.given:,} given by editing"
    if check.edited:
        line += f", set by editing: {', '.join(check.edited)}"
    if check.different:
        line += f", {check.different:,} differ"
    return f"{line}: {check.why}" if check.why else line

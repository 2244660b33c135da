"""``refmaker verify``: compare references with what the format's own library reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from refmaker.cli.boundary import FAILED
from refmaker.cli.options import as_json, storage_options, verbosity
from refmaker.cli.output import counted, record, say
from refmaker.verify import SAMPLE

if TYPE_CHECKING:
    from refmaker import ArrayCheck

__all__ = ["command"]


@click.command("verify", short_help="Compare a reference file with its source.")
@click.argument("refs")
@click.option(
    "--sample",
    type=click.IntRange(min=1),
    default=SAMPLE,
    show_default=True,
    metavar="N",
    help="Chunks of each array to compare.",
)
@click.option("--all", is_flag=True, help="Compare every chunk.")
@click.option("--seed", default=0, show_default=True, help="Decides which chunks are chosen.")
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
    seed: int,
    storage_options: dict[str, Any] | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Compare a reference file, bit for bit, with the file that was scanned.

    REFS is a reference file (- for standard input). Chunks are read through fsspec's
    reference filesystem and zarr on one side, and by the format's own library on the other. The
    exit code is 1 if anything differs, or an array could not be compared. --json prints, for
    each array, how many chunks are equal, and why not all.

    \b
    Example:
      refmaker verify data.refs.json
      refmaker verify data.refs.json --all --json
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    import refmaker

    checks = refmaker.verify(
        refs, sample=None if all else sample, storage_options=storage_options, seed=seed
    )
    for check in checks:
        if as_json:
            record(check.as_dict())
        elif not quiet or not check.ok:
            say(_line(check))
    if any(not check.ok for check in checks):
        ctx.exit(FAILED)


def _line(check: ArrayCheck) -> str:
    verdict = "DIFFERENT" if check.different else "not sure" if check.reason else "equal"
    compared = f"{check.compared:,} of {counted(check.chunks, 'chunk')} compared"
    line = f"{verdict:9}  {check.path}  {compared}"
    if check.different:
        line += f", {check.different:,} differ"
    return f"{line}: {check.reason}" if check.reason else line

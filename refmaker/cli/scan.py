"""``refmaker scan``: files to reference files."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from refmaker.cli.boundary import FAILED, describe_error, report_error
from refmaker.cli.options import SIZE, as_json, storage_options, verbosity
from refmaker.cli.output import counted, human_size, record, say
from refmaker.cli.targets import DEFAULT_NAME, check_folder, check_free, expand_inputs, outputs
from refmaker.errors import RefmakerError
from refmaker.scan import ScanOptions, Worker
from refmaker.source import local_path
from refmaker.storage.files import STANDARD
from refmaker.storage.formats import form_of_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refmaker import ReferenceSet

__all__ = ["command"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is the same for every input."""

    format: str | None
    options: ScanOptions
    storage_options: Mapping[str, Any] | None
    isolate: str
    timeout: float | None
    overwrite: bool
    strict: bool
    compact: bool
    stats: bool
    quiet: bool
    as_json: bool

    def output_options(self, url: str, out: str) -> Mapping[str, Any] | None:
        """Return fsspec's options for an output: the input's, behind the same protocol."""
        same = url.partition("://")[0] == out.partition("://")[0]
        return self.storage_options if same else None


@click.command("scan", short_help="Write a reference file for each file.")
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option(
    "-o",
    "--out",
    metavar="OUT",
    help="The reference file, or - for standard output; for several inputs a folder."
    "  [default: named by --name, in the current folder]",
)
@click.option(
    "--name",
    default=DEFAULT_NAME,
    show_default=True,
    help="Name of each file in a folder; {stem}, {name} and {n} (its number) are replaced.",
)
@click.option("-f", "--format", metavar="NAME", help="Take this scanner, whatever the content.")
@click.option(
    "--chunks",
    type=SIZE,
    default="4MiB",
    show_default=True,
    help="Split or join uncompressed contiguous data near this size; 'none' leaves them.",
)
@click.option(
    "--inline",
    type=SIZE,
    default="1KiB",
    show_default=True,
    help="Keep arrays of one chunk up to this size in the reference file.",
)
@click.option(
    "--inline-budget",
    type=SIZE,
    default="16MiB",
    show_default=True,
    help="Most bytes of one array to keep where it cannot be referenced, as texts.",
)
@click.option("--follow-external", is_flag=True, help="Follow links out of the file's own folder.")
@click.option(
    "--verify-index", is_flag=True, help="Check every chunk's place with the format's library."
)
@click.option(
    "--isolate",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Scan in a process of its own; 'auto' does for several inputs and odd files.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Give up on an input after this time.  [default: 1800, in a process of its own]",
)
@click.option(
    "--compact", is_flag=True, help="Write rules where chunks follow any; read by refmaker only."
)
@click.option("--strict", is_flag=True, help="Exit with 1 if any object was skipped.")
@click.option(
    "--overwrite/--no-overwrite",
    default=False,
    show_default=True,
    help="Replace existing reference files; nothing else is ever replaced.",
)
@click.option("--stats", is_flag=True, help="Add time, requests and bytes read to each line.")
@storage_options
@as_json
@verbosity
@click.pass_context
def command(ctx: click.Context, /, **values: Any) -> None:
    """Scan files, and write a reference file for each.

    INPUT is a path or any URL that fsspec knows; - reads names from standard input, one a
    line. Objects that cannot be referenced are skipped and named on standard error; the rest is
    written, also under --strict. An input that fails leaves no output and does not stop the
    others. --json prints, for each input, what became of it.

    Storage options are used for the inputs, and for outputs behind the same protocol.

    \b
    Example:
      refmaker scan data.nc -o data.refs.json
      refmaker scan *.h5 -o refs/ --name '{stem}.refs.json' --json
      refmaker scan s3://bucket/data.nc -S anon=true -o -
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    inputs = expand_inputs(values["inputs"])
    targets = outputs(inputs, values["out"], values["name"])
    job = _job(values)
    if job.as_json and STANDARD in targets:
        raise click.UsageError("--json and the references cannot both go to standard output")
    for out in targets:
        if job.compact and form_of_name(out) != "json":
            raise click.UsageError(f"--compact is a form of JSON, and {out} is to be another")
    _prepare(inputs, targets, job)
    statuses = _scan_all(inputs, targets, job)
    if "failed" in statuses or (job.strict and "partial" in statuses):
        ctx.exit(FAILED)


def _job(values: Mapping[str, Any]) -> Job:
    if values["chunks"] == 0:
        raise click.BadParameter(
            "0 bytes are no chunk; 'none' leaves data whole", param_hint="--chunks"
        )
    for name in ("inline", "inline_budget"):
        if values[name] is None:
            raise click.BadParameter("a size is needed", param_hint=f"--{name.replace('_', '-')}")
    if values["timeout"] is not None and values["isolate"] == "never":
        raise click.UsageError(
            "--timeout needs a process of its own, which --isolate never forbids"
        )
    options = ScanOptions(
        inline_threshold=values["inline"],
        inline_budget=values["inline_budget"],
        chunk_bytes=values["chunks"],
        follow_external=values["follow_external"],
        verify_index=values["verify_index"],
    )
    same = ("format", "storage_options", "isolate", "timeout", "overwrite", "strict", "stats")
    shown = ("compact", "quiet", "as_json")
    return Job(options=options, **{name: values[name] for name in (*same, *shown)})


def _prepare(inputs: Sequence[str], targets: Sequence[str], job: Job) -> None:
    """Refuse outputs that cannot be written before hours are spent on scanning."""
    if len(inputs) > 1 and local_path(targets[0]) is not None:
        os.makedirs(os.path.dirname(targets[0]) or ".", exist_ok=True)
    for url, out in zip(inputs, targets, strict=True):
        try:
            check_folder(out)
            check_free(out, overwrite=job.overwrite, storage_options=job.output_options(url, out))
        except RefmakerError as error:
            raise click.UsageError(str(error)) from error


def _scan_all(inputs: Sequence[str], targets: Sequence[str], job: Job) -> set[str]:
    """Scan every input whatever becomes of the others, and return the statuses."""
    statuses = set()
    with ExitStack() as stack:
        worker = None
        apart = len(inputs) > 1 or job.timeout is not None
        if job.isolate == "always" or (job.isolate == "auto" and apart):
            worker = stack.enter_context(Worker())
        for url, out in zip(inputs, targets, strict=True):
            try:
                refs = _scan_one(url, job, worker)
                check_free(
                    out, overwrite=job.overwrite, storage_options=job.output_options(url, out)
                )
                form = "compact" if job.compact else None
                refs.write(out, job.output_options(url, out), format=form)
            except Exception as error:  # noqa: BLE001 - one input never costs the others
                statuses.add("failed")
                _tell_failure(url, error, job)
            else:
                statuses.add(_tell(url, out, refs, job))
    return statuses


def _scan_one(url: str, job: Job, worker: Worker | None) -> ReferenceSet:
    import refmaker

    if worker is None:
        return refmaker.scan(
            url,
            job.storage_options,
            format=job.format,
            options=job.options,
            isolate=job.isolate,
        )
    group, report = worker.scan(
        url,
        job.storage_options,
        format=job.format,
        options=job.options,
        timeout=job.timeout,
    )
    return refmaker.ReferenceSet(group, report)


def _tell(url: str, out: str, refs: ReferenceSet, job: Job) -> str:
    """Print what became of an input that was written, and return its status."""
    report = refs.report
    status = "ok" if report.lossless else "partial"
    if job.as_json:
        record({"input": url, "output": out, "status": status, **report.as_dict(), "error": None})
        return status
    if job.quiet:
        return status
    for row in report.skipped:
        say(f"skipped: {url}: {row.path}: {row.reason} [{row.code}]", err=True)
    for warning in report.warnings:
        say(f"warning: {url}: {warning}", err=True)
    counts = report.as_dict()
    parts = [f"{counts['referenced']} referenced", f"{counts['inlined']} inlined"]
    parts += [f"{counts['duplicated']} duplicated"] if counts["duplicated"] else []
    parts += [f"{len(report.skipped)} skipped"] if report.skipped else []
    if job.stats:
        cost = f"{counted(report.requests, 'request')}, {human_size(report.bytes_read)}"
        parts.append(f"{report.seconds:.2f} s, {cost}")
    say(f"{url}: {', '.join(parts)} -> {out}", err=out == STANDARD)
    return status


def _tell_failure(url: str, error: Exception, job: Job) -> None:
    if job.as_json:
        nothing = {"referenced": 0, "inlined": 0, "skipped": [], "warnings": []}
        cost = {"seconds": 0.0, "requests": 0, "bytes_read": 0}
        told = describe_error(error)
        record({"input": url, "output": None, "status": "failed", **nothing, **cost, "error": told})
    report_error(error)

"""The kinds of runs of ``refmaker scan``: a set for each input, for a collection, for a cube."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from refmaker.cli.output import FAILED, IGNORED, Account, counted
from refmaker.cli.progress import ProgressShown
from refmaker.cli.targets import check_folder, check_free
from refmaker.errors import MetadataError, RefmakerError, UnknownFormatError, UnsupportedError
from refmaker.io.archive_members import PACKED
from refmaker.io.file_batch import NewFile, replace_files
from refmaker.io.files import STANDARD, many_files
from refmaker.io.known_heads import with_heads
from refmaker.io.source import local_path
from refmaker.scanning.archives import placed_in_archives
from refmaker.scanning.protocol import JoiningScanner, MultiFileScanner
from refmaker.storage.formats import format_of_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from refmaker import CombineOptions, ReferenceSet
    from refmaker.io.inputs import Inputs
    from refmaker.model import Group
    from refmaker.model.report import ScanReport
    from refmaker.scanning.many_files import Scanned
    from refmaker.scanning.options import ScanOptions
    from refmaker.storage.readers import Summary

    Maker = Callable[[Group, ScanReport], "_Content"]

__all__ = ["Job", "collector", "looked_at", "scan_collection", "scan_cube", "scan_each"]


_WRITING = 8
"""Threads that write sets, where one waits for the disk too long."""
_LOOKED_AT = 8
"""Inputs whose formats are looked at to tell what joining them means."""


class Job(NamedTuple):
    """What is the same for every input."""

    format: str | None
    options: ScanOptions
    storage_options: Mapping[str, Any] | None
    isolate: str
    timeout: float | None
    jobs: int | None
    dask: str | None
    retries: int
    cache: bool
    overwrite: bool
    strict: bool
    compact: bool
    zarr_format: str | int
    readable: Mapping[str, Any]
    quiet: bool
    account: Account
    into_folder: bool

    def prepare(self, inputs: Sequence[str], targets: Sequence[str]) -> None:
        """Refuse outputs that cannot be written; make the folder of several, or one so named.

        Raises
        ------
        SourceError
            If something stands there, or nothing can be put there.
        """
        several = len(targets) > 1 or self.into_folder
        if several and targets and local_path(targets[0]) is not None:
            for folder in dict.fromkeys(os.path.dirname(out) or "." for out in targets):
                os.makedirs(folder, exist_ok=True)
        for out in {os.path.dirname(out): out for out in targets}.values():
            check_folder(out)
        for url, out in zip(inputs, targets, strict=False):
            self.check_free(url, out)

    def write(self, refs: ReferenceSet, url: str, out: str) -> None:
        """Write a reference set; what has come to stand there meanwhile is not ours."""
        self.check_free(url, out)
        form = "compact" if self.compact else format_of_name(out)
        how = {**self.readable, "zarr_format": self.zarr_format}
        made = refs.prepared(refs.stored_as(form, **how), self.readable["for_reader"])
        made.write(out, self.options_for(url, out), format=form, **how)
        if not self.quiet:
            self.account.note_readers(out, made.readers())

    def maker(self, targets: Sequence[str]) -> Maker | None:
        """Return what makes the content of files of sets, if all are to be files."""
        if any(format_of_name(out) != "json" for out in targets):
            return None
        form = "compact" if self.compact else "json"
        return partial(_content, form, self.zarr_format, self.readable, not self.quiet)

    def many(
        self, inputs: Inputs, *, parts: str = "", finish: Maker | None = None
    ) -> Iterator[Scanned]:
        """Scan many files at a time, or get their parts of a set, and show how far that is."""
        from refmaker.scanning.many_files import scan_many

        with ProgressShown(len(inputs.urls), quiet=self.quiet) as shown:
            yield from scan_many(
                inputs,
                self.storage_options,
                format=parts or self.format,
                options=self.options,
                parts=bool(parts),
                finish=finish,
                jobs=0 if self.isolate == "never" else self.jobs,
                dask=self.dask,
                cache=self.cache,
                retries=self.retries,
                timeout=self.timeout,
                ordered=False,
                on_progress=shown.update,
            )

    def check_free(self, url: str, out: str) -> None:
        """Refuse to write where something stands that is not ours to replace."""
        check_free(out, overwrite=self.overwrite, storage_options=self.options_for(url, out))

    def options_for(self, url: str, out: str) -> Mapping[str, Any] | None:
        """Return fsspec's options for an output: the input's, behind the same protocol."""
        same = url.partition("://")[0] == out.partition("://")[0]
        return self.storage_options if same else None


def scan_each(inputs: Inputs, targets: Sequence[str], job: Job) -> None:
    """Write a reference set for every input, whatever becomes of the others."""
    account = job.account
    if len(inputs.urls) == 1 and job.dask is None:
        _scan_alone(inputs.urls[0], targets[0], job)
        return
    from refmaker.cli.background_writer import BackgroundWriter

    # Uploads are committed together by fsspec, so they are made one after the other.
    local = all(local_path(out) is not None for out in targets)
    finish = job.maker(targets)
    write = partial(_written, targets=targets, job=job, finish=finish)
    with many_files(), BackgroundWriter(write, _WRITING if local else 1) as writer:
        for file in job.many(inputs, finish=finish):
            for number, tell in writer.add(file):
                account.in_turn(number, tell)
        for number, tell in writer.finish():
            account.in_turn(number, tell)


class _Content(NamedTuple):
    """What a reference set came to: the content of its file, its report, and who reads it."""

    data: bytes
    report: ScanReport
    readers: Summary | None


def _content(
    form: str,
    zarr_format: str | int,
    readable: Mapping[str, Any],
    told: bool,
    group: Group,
    report: ScanReport,
) -> _Content:
    """Make the content of the file of a reference set, in whichever process that is there."""
    from refmaker import ReferenceSet

    refs = ReferenceSet(group, report)
    stored = refs.stored_as(form, **readable, zarr_format=zarr_format)
    made = refs.prepared(stored, readable["for_reader"])
    return _Content(made.document(), report, made.readers() if told else None)


def _written(
    files: Sequence[Scanned], targets: Sequence[str], job: Job, finish: Maker | None
) -> list[tuple[int, Callable[[], None]]]:
    """Write the reference sets of files; return the number of each, and what tells how it ended."""
    told: list[tuple[int, Callable[[], None]]] = []
    ready: list[tuple[Scanned, str, _Content]] = []
    for file in files:
        out = targets[file.number]
        try:
            if finish is None:
                refs = file.references()
                job.write(refs, file.url, out)
                told.append((file.number, _success(file, out, refs.report, job)))
            else:
                made = _made(file, finish)
                job.check_free(file.url, out)
                ready.append((file, out, made))
        except Exception as error:  # noqa: BLE001 - scanners of others; one input costs no other
            told.append((file.number, _failure(file, error, job)))
    return told + _put(ready, job)


def _made(file: Scanned, finish: Maker) -> _Content:
    """Return the content of the file of a reference set, made where it was scanned or here."""
    if file.error is not None:
        raise file.error
    made: _Content | None = file.made
    if made is not None:
        return made
    refs = file.references()
    return finish(refs.group, refs.report)


def _put(
    ready: Sequence[tuple[Scanned, str, _Content]], job: Job
) -> list[tuple[int, Callable[[], None]]]:
    """Write files; as `_written`."""
    errors = replace_files(
        [NewFile(out, made.data, job.options_for(file.url, out)) for file, out, made in ready]
    )
    told = []
    for (file, out, made), error in zip(ready, errors, strict=True):
        if error is None:
            if made.readers is not None:
                job.account.note_readers(out, made.readers)
            told.append((file.number, _success(file, out, made.report, job)))
        else:
            told.append((file.number, _failure(file, error, job)))
    return told


def _success(file: Scanned, out: str, report: ScanReport, job: Job) -> Callable[[], None]:
    return partial(job.account.done, file.url, out, report, cached=file.cached)


def _failure(file: Scanned, error: Exception, job: Job) -> Callable[[], None]:
    foreign = file.foreign and error is file.error
    return partial(job.account.failed, file.url, error, IGNORED if foreign else FAILED)


def _scan_alone(url: str, out: str, job: Job) -> None:
    """Scan the only input, in this process unless it looks odd."""
    try:
        refs = _scanned(url, job)
        job.write(refs, url, out)
    except Exception as error:  # noqa: BLE001 - scanners of others; printed, and in the exit code
        job.account.failed(url, error)
    else:
        job.account.done(url, out, refs.report)


def _scanned(url: str, job: Job) -> ReferenceSet:
    import refmaker

    _load_model()
    how: dict[str, Any] = {"format": job.format, "options": job.options}
    if job.timeout is not None:
        return refmaker.scan(url, job.storage_options, timeout=job.timeout, **how)
    return refmaker.scan(url, job.storage_options, isolate=job.isolate, **how)


def _load_model() -> None:
    """Load what this process and a worker both need of a set: once, if that is before a fork."""
    import refmaker.model.tree  # noqa: F401


def looked_at(inputs: Inputs, job: Job) -> Inputs:
    """Return inputs with the beginnings of those that tell the format, to be read only once."""
    from refmaker.scanning.multi_file import first_heads

    known = with_heads(job.storage_options, inputs.heads)
    return inputs._replace(heads=(*inputs.heads, *first_heads(inputs.urls, known, job.format)))


def collector(inputs: Inputs, job: Job) -> MultiFileScanner | None:
    """Return the scanner of the first inputs, if its objects are spread over many files."""
    from refmaker.scanning.multi_file import find_collector

    try:
        urls = inputs.urls[:_LOOKED_AT]
        return find_collector(urls, with_heads(job.storage_options, inputs.heads), job.format)
    except (UnsupportedError, UnknownFormatError):
        return None


def scan_collection(inputs: Inputs, out: str, job: Job) -> None:
    """Write one reference set of files that are one object together.

    Raises
    ------
    LookupError
        If the files are not of a format whose objects are spread over many.
    """
    from refmaker import ReferenceSet
    from refmaker.scanning.multi_file import find_collector, scan_together

    urls = inputs.urls
    storage_options = with_heads(job.storage_options, inputs.heads)
    try:
        scanner = find_collector(urls, storage_options, job.format)
    except (UnsupportedError, UnknownFormatError) as error:
        if getattr(error, "code", "") == PACKED:
            job.account.failed(urls[0], error)
            return
        where = "standard output" if out == STANDARD else f"one reference set, {out}"
        raise LookupError(f"several inputs cannot be written to {where}: {error}") from error
    label = urls[0] if len(urls) == 1 else f"{counted(len(urls), 'file')}, {urls[0]} ... {urls[-1]}"
    several = len(urls) > 1
    if isinstance(scanner, JoiningScanner) and several and not scanner.reads_together(job.options):
        _scan_parts(inputs, out, job, scanner, label)
        return
    apart = job.isolate == "always" or (job.isolate == "auto" and several)
    _load_model()
    try:
        refs = ReferenceSet(
            *scan_together(
                urls,
                storage_options,
                format=scanner.name,
                options=job.options,
                isolate="always" if apart or job.timeout is not None else "never",
                timeout=job.timeout,
            )
        )
        job.write(refs, urls[0], out)
    except Exception as error:  # noqa: BLE001 - scanners of others; printed, and in the exit code
        job.account.failed(label, error)
    else:
        job.account.done(label, out, refs.report)


def _scan_parts(inputs: Inputs, out: str, job: Job, scanner: JoiningScanner, label: str) -> None:
    """Write one reference set of the parts of files; those that fail are left out and named."""
    from refmaker import ReferenceSet

    account = job.account
    bad: list[Scanned] = []

    def good() -> Iterator[tuple[bytes, ScanReport]]:
        for file in job.many(inputs, parts=scanner.name):
            if file.error is None:
                yield file.part()
                continue
            account.failed(file.url, file.error, IGNORED if file.foreign else FAILED)
            bad.append(file)

    try:
        group, report = scanner.join(good(), job.options)
        refs = ReferenceSet(placed_in_archives(group, report, job.storage_options), report)
        for file in bad:
            refs.report.warn(f"{file.url} is not in the set: {file.error}")
        job.write(refs, inputs.urls[0], out)
    except Exception as error:  # noqa: BLE001 - scanners of others; printed, and in the exit code
        nothing = len(bad) == len(inputs.urls)
        account.failed(label, _nothing_to_combine(inputs) if nothing else error)
    else:
        account.done(label, out, refs.report)


def scan_cube(inputs: Inputs, out: str, job: Job, options: CombineOptions) -> None:
    """Write one reference set of all inputs, joined along dimensions.

    Inputs that cannot be scanned are left out and named, also in the set's report.
    """
    from refmaker.combine import combine

    account = job.account
    good: dict[int, Scanned] = {}
    bad: list[Scanned] = []
    for file in job.many(inputs):
        if file.error is None:
            good[file.number] = file
            continue
        account.failed(file.url, file.error, IGNORED if file.foreign else FAILED)
        bad.append(file)
    label = f"{counted(len(good), 'file')}"
    if not good:
        account.failed(label, _nothing_to_combine(inputs))
        return
    try:
        refs = combine(
            [good[number].references() for number in sorted(good)],
            job.storage_options,
            options=options,
        )
        for file in bad:
            refs.report.warn(f"{file.url} is not in the cube: {file.error}")
        job.write(refs, inputs.urls[0], out)
    except Exception as error:  # noqa: BLE001 - scanners of others; printed, and in the exit code
        account.failed(label, error)
    else:
        account.done(label, out, refs.report)


def _nothing_to_combine(inputs: Inputs) -> RefmakerError:
    return MetadataError(
        f"none of {counted(len(inputs.urls), 'file')} could be scanned",
        hint="the lines above say why",
    )

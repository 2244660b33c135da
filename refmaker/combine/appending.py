"""More inputs to a set that is stored: all of them or none, and none twice."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from refmaker.combine.agreement import Findings
from refmaker.combine.batches import second_pass_options
from refmaker.combine.context import Trees
from refmaker.combine.cube import check_names, combine_members
from refmaker.combine.expand import expanded_like
from refmaker.combine.forecast import VIEW
from refmaker.combine.members import Member, members, numbered
from refmaker.combine.options import Appended, CombineOptions
from refmaker.errors import MetadataError, SourceChangedError
from refmaker.io.local_file import local_path
from refmaker.model.zarr_v3 import needs_version_3
from refmaker.storage.detect import reference_form
from refmaker.storage.formats import StoredForm, format_of_name
from refmaker.storage.reference_set import ReferenceSet, read_as

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from refmaker.model.report import Fingerprint

__all__ = ["append", "extend"]


def append(
    target: str | os.PathLike[str],
    sets: Iterable[ReferenceSet | str | os.PathLike[str]],
    storage_options: Mapping[str, Any] | None,
    options: CombineOptions,
    written: Mapping[str, Any],
) -> Appended:
    """Add inputs to a reference set that is stored; see `refmaker.combine.append`.

    Its version of Zarr stays.
    """
    options = replace(options, zarr_format="auto")
    found = members(sets, storage_options, options.drop, options.preprocess)
    form = _form(target, storage_options)
    if form == "icechunk":
        from refmaker.combine.icechunk_append import append_icechunk

        # icechunk's own storage in a folder does not tell of all conflicts.
        with _alone(target):
            return append_icechunk(target, found, options, storage_options)
    with _alone(target):
        before = _state(target)

        def check() -> None:
            if _state(target) != before:
                raise SourceChangedError(
                    "somebody else has changed the set meanwhile",
                    url=os.fspath(target),
                    hint="append again",
                )

        if form == "parquet" and written == {"templates": "auto", "for_reader": None}:
            from refmaker.combine.linked_append import append_linked

            linked = append_linked(
                target, options, lambda part: extend(part, found, options), check
            )
            if linked is not None:
                return linked
        base = read_as(form, target, storage_options)
        _refuse_views(base)
        done = _rejoined(base, found, storage_options, options) or extend(base, found, options)
        if done.added and done.refs is not None:
            _check_version(base, done.refs, target)
            check()
            stored = base.stored or StoredForm(form)
            if written["templates"] == "auto" and stored.form == "json" and not stored.templates:
                written = {**written, "templates": "never"}
            done.refs.write(
                target,
                storage_options,
                format=stored.form,
                zarr_format=base.zarr_format,
                relative=stored.relative,
                **written,
            )
    return done


def _refuse_views(base: ReferenceSet) -> None:
    if VIEW in base.group.attributes:
        raise MetadataError(
            "it is a view of another set, which takes no more files",
            url=base.report.url,
            hint="append to the set that the view was made of, and make it anew by "
            "'refmaker convert'",
        )


def _check_version(base: ReferenceSet, made: ReferenceSet, target: str | os.PathLike[str]) -> None:
    """Refuse to write a set in another version of Zarr than it is in."""
    if base.zarr_format == 2 and needs_version_3(made.group):
        raise MetadataError(
            "with these inputs it has chunks of different lengths, which its Zarr version 2 cannot"
            " say",
            url=os.fspath(target),
            hint="convert it ('refmaker convert SET NEW.json --zarr-format 3'), and append to that",
        )


def _rejoined(
    base: ReferenceSet,
    found: Sequence[Member],
    storage_options: Mapping[str, Any] | None,
    options: CombineOptions,
) -> Appended | None:
    """Join all files anew where their scanner joins them before it places anything.

    What comes out is then what scanning all at once gives. None where it is not so.
    """
    from refmaker.scanning.multi_file import scan_together
    from refmaker.scanning.options import ScanOptions
    from refmaker.scanning.protocol import JoiningScanner, declarations, load

    name = base.report.format
    if name not in declarations() or any(member.refs.report.format != name for member in found):
        return None
    scanner = load(name)
    if not isinstance(scanner, JoiningScanner) or not base.report.parts:
        # A set that was combined along dimensions goes on as it began.
        return None
    if given := options.given:
        shown = "{'NAME': ...}" if given[0] == "coords" else "..."
        raise MetadataError(
            f"`{given[0]}={shown}` does not go with a set of {name} files, which are joined by "
            "what their fields say of themselves",
            hint="leave it away, or join sets of single files with 'refmaker combine'",
        )
    fresh, known = _sorted_out(base, found)
    if not fresh:
        return Appended([], known, base)
    settings = dict(base.group.attributes.get("refmaker:settings", {}))
    added = [member.name for member in fresh]
    sets = [base, *(member.refs for member in fresh)]
    parts = [scanner.parts(refs.group, refs.report) for refs in sets]
    if all(part is not None for part in parts):
        told = [part for part in parts if part is not None]
        every = [one for those, _ in told for one in those]
        return Appended(added, known, ReferenceSet(*scanner.join(every, told[0][1])))
    urls = [url for refs in sets for url in refs.report.sources]
    how = ScanOptions(settings=settings)
    refs = ReferenceSet(*scan_together(urls, storage_options, format=name, options=how))
    return Appended(added, known, refs)


def _form(target: str | os.PathLike[str], storage_options: Mapping[str, Any] | None) -> str:
    """Return how a set is stored; of a place where nothing is yet, what its name says."""
    path = local_path(os.fspath(target))
    if path is not None and not os.path.exists(path) and format_of_name(target) == "icechunk":
        return "icechunk"
    return reference_form(target, storage_options)


def extend(base: ReferenceSet, found: Sequence[Member], options: CombineOptions) -> Appended:
    """Add inputs to a set in memory; what is returned is another set.

    Raises
    ------
    MetadataError, SourceChangedError, SourceError
        As for `append`.
    """
    fresh, known = _sorted_out(base, found)
    if not fresh:
        return Appended([], known, base)
    added = [member.name for member in fresh]
    if options.incompatible == "split":
        raise MetadataError(
            "a set that was split into groups (`incompatible='split'`) cannot be appended to",
            hint="combine all inputs anew",
        )
    fresh = [replace(member, refs=_like(base, member, options)) for member in fresh]
    new = combine_members(numbered(fresh), options, part=True)
    both = [
        Member(0, base, found[0].storage_options),
        Member(1, new, found[0].storage_options),
    ]
    check_names(both, options)
    joined = combine_members(both, second_pass_options(options))
    report = joined.report
    report.url, report.format = base.report.url, base.report.format or new.report.format
    report.rows[:] = new.report.rows
    return Appended(added, known, replace(joined, zarr_format=base.zarr_format))


def _like(base: ReferenceSet, member: Member, options: CombineOptions) -> ReferenceSet:
    """Return an input with the dimensions that the set has, and that are scalars in it."""
    pair = [Member(0, base), replace(member, number=1)]
    return expanded_like(member.refs, Trees.of(pair, Findings(pair, options)))


def _sorted_out(base: ReferenceSet, found: Sequence[Member]) -> tuple[list[Member], list[str]]:
    """Return the inputs that are new, and the names of those that are there."""
    known: dict[str, Fingerprint | None] = {}
    for _, array in base.group.arrays():
        # Sets of other tools remember no fingerprints.
        known.update((_place(url), None) for url in array.chunks.urls)
    known.update((_place(url), print_) for url, print_ in base.report.sources.items())
    fresh: list[Member] = []
    there: list[str] = []
    for member in found:
        own = {_place(url): print_ for url, print_ in member.refs.report.sources.items()}
        for url, print_ in own.items():
            if known.get(url) not in (None, print_):
                raise SourceChangedError(
                    "it has changed since it was added to the set",
                    url=url,
                    hint="combine all inputs anew",
                )
        scanned = next(iter(own), None)
        if scanned in known:
            there.append(member.name)
            continue
        known.update(own)
        fresh.append(member)
    return fresh, there


def _place(url: str) -> str:
    path = local_path(url)
    return url if path is None else os.path.abspath(path)


def _state(target: str | os.PathLike[str]) -> tuple[int, ...] | None:
    """Return what tells whether a local set was changed."""
    path = local_path(os.fspath(target))
    if path is None:
        return None
    with suppress(OSError):
        found = os.stat(os.path.join(path, ".zmetadata") if os.path.isdir(path) else path)
        return found.st_ino, found.st_size, found.st_mtime_ns
    return None


@contextmanager
def _alone(target: str | os.PathLike[str]) -> Iterator[None]:
    """Keep other processes from appending to anything in the same local folder meanwhile."""
    path = local_path(os.fspath(target))
    handle = None
    try:
        if path is not None:
            with suppress(ImportError, OSError):
                import fcntl

                folder = os.path.dirname(os.path.realpath(path.rstrip("/")))
                handle = os.open(folder, os.O_RDONLY)
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        if handle is not None:
            os.close(handle)

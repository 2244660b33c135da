"""Reference sets for people: what is in one, what reading it costs, and a page that shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from refmaker.errors import printable
from refmaker.model.amounts import counted, human_size

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from refmaker.storage.reference_set import ReferenceSet
    from refmaker.verification.compare import ArrayCheck

__all__ = ["Description", "describe", "report"]


class Description(dict[str, Any]):
    """What is in a reference set, as JSON values; a notebook shows it as a table."""

    def __repr__(self) -> str:
        arrays, files = counted(len(self["arrays"]), "array"), counted(len(self["targets"]), "file")
        stored = f"{human_size(self['stored'])} stored in {files}"
        lines = [
            f"<Description of {self['input'] or 'a set'}: {arrays}, {stored}>",
            *(f"{entry['path']}  {entry['shape']}  {entry['dtype']}" for entry in self["arrays"]),
        ]
        lines[21:] = [f"... and {len(lines) - 21:,} more"] if len(lines) > 21 else []
        return "\n".join(map(printable, lines))

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        from refmaker.model.display import document, html_table

        names = ("array", "dimensions", "shape", "dtype", "chunks", "codecs", "stored")
        rows = [
            (
                entry["path"], ", ".join(entry["dimensions"] or ()),
                " x ".join(map(str, entry["shape"])), entry["dtype"],
                " x ".join(entry["chunk_extents"]), ", ".join(entry["codecs"]),
                human_size(entry["stored"]),
            )
            for entry in self["arrays"][:1000]
        ]  # fmt: skip
        notes = [(kind, text) for kind in ("warnings", "advice") for text in self[kind]]
        return document(
            f"{self['input'] or 'ReferenceSet'}",
            f"{human_size(self['nbytes'])} of values in {counted(len(self['targets']), 'file')}",
            html_table(names, rows),
            html_table((), notes),
        )


def describe(refs: ReferenceSet | str | os.PathLike[str], name: str = "") -> Description:
    """Return what is in a reference set.

    Parameters
    ----------
    refs : ReferenceSet, str or os.PathLike
        A reference set, or the path or URL of one.
    name : str
        How it is called; by default its path.

    Returns
    -------
    Description
        A dict of JSON values: ``groups``, ``arrays`` (shape, chunks, codecs, counts, bytes
        stored), first and last values of coordinates (``spans``), files that chunks lie in
        (``targets``), their ``protocols``, ``packages`` needed to decode,
        ``nbytes`` decoded and ``stored``, objects ``skipped``, ``warnings``, ``advice``, and
        ``summary``, a table that depends on the format: images, variables, volumes.

    Raises
    ------
    SourceError
        If the reference file cannot be read.
    MetadataError
        If it is no reference set.

    Examples
    --------
    >>> refmaker.describe("air.refs.json")["packages"]    # doctest: +SKIP
    ['numcodecs']
    """
    import os

    from refmaker.publish.html_report.content import describe as describe_set
    from refmaker.storage.reference_set import ReferenceSet

    if not isinstance(refs, ReferenceSet):
        name = name or os.fspath(refs)
        refs = ReferenceSet.read(refs)
    return Description(describe_set(refs, name))


def report(
    refs: ReferenceSet | str | os.PathLike[str],
    out: str | os.PathLike[str],
    storage_options: Mapping[str, Any] | None = None,
    *,
    title: str = "",
    looks: bool = True,
    verification: Iterable[ArrayCheck | Mapping[str, Any]] | None = None,
    **opening: Any,
) -> None:
    """Write one page that shows a reference set: pictures, what reading costs, structure, files.

    Parameters
    ----------
    refs : ReferenceSet, str or os.PathLike
        A reference set, or the path or URL of one.
    out : str or os.PathLike
        Path or URL of the HTML file; ``-`` is standard output.
    storage_options : mapping, optional
        Passed to fsspec for the files that hold the data.
    title : str
        By default the name of the set.
    looks : bool
        Read some chunks, of 64 MiB in 256 requests at most, and draw what they hold.
    verification : iterable of ArrayCheck or mapping, optional
        What `refmaker.verify` returned, or ``refmaker verify --json`` printed, to be told as well.
    **opening
        Further options of `refmaker.open_store`.

    Raises
    ------
    SourceError
        If the set cannot be read, or the page not written.
    MetadataError
        If it is no reference set.
    MissingDependencyError
        If jinja2 or matplotlib is not installed.

    Examples
    --------
    >>> refs = refmaker.read("air.refs.json")    # doctest: +SKIP
    >>> refmaker.report(refs, "air.html", verification=refmaker.verify(refs))    # doctest: +SKIP
    """
    import os

    from refmaker.errors import redacted
    from refmaker.io.files import replacing
    from refmaker.publish.html_report.page import page
    from refmaker.publish.pictures import PAGE, Budget, Source
    from refmaker.storage.reference_set import ReferenceSet

    if not isinstance(refs, ReferenceSet):
        title = title or os.path.basename(os.fspath(refs).rstrip("/"))
        refs = ReferenceSet.read(refs)
    source = Source(refs, storage_options, budget=Budget(left=PAGE), **opening) if looks else None
    checks = None
    if verification is not None:
        checks = [one if isinstance(one, Mapping) else one.as_dict() for one in verification]
    title = title or refs.report.url or "reference set"
    text = page(refs, source, title=title, checks=checks)
    with replacing(out) as file:
        file.write(redacted(text).encode("utf-8", "replace"))

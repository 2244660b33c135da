"""Reference sets for people: what is in one, what reading it costs, and a page that shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refmaker.errors import printable
from refmaker.model.amounts import counted, human_size

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from refmaker.storage.reference_set import ReferenceSet

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
    >>> about = refmaker.describe(refmaker.scan("examples/air.nc"), "air")
    >>> about
    <Description of air: 4 arrays, 56.6 KiB stored in 1 file>
    time  [124]  <f4
    lat  [11]  <f4
    lon  [21]  <f4
    air  [124, 11, 21]  <i2
    >>> [(span["path"], span["first"], span["last"]) for span in about["spans"]][1:]
    [('lat', 75.0, 50.0), ('lon', 250.0, 300.0)]
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
    **opening: Any,
) -> None:
    """Write one page that shows a reference set: tree, files byte by byte, arrays, costs.

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
        Read a few chunks of each array and draw them.
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
    >>> refmaker.report(refmaker.scan("examples/air.nc"), "air.html")
    >>> from pathlib import Path
    >>> "<svg" in Path("air.html").read_text()
    True
    """
    import os

    from refmaker.errors import redacted
    from refmaker.io.files import replacing
    from refmaker.publish.html_report.page import page
    from refmaker.reading.open import open_arrays
    from refmaker.storage.reference_set import ReferenceSet

    if not isinstance(refs, ReferenceSet):
        title = title or os.path.basename(os.fspath(refs).rstrip("/"))
        refs = ReferenceSet.read(refs)
    # An array that cannot be decoded is named on the page; it does not cost the others.
    store = open_arrays(refs, storage_options, **opening) if looks else None
    text = page(refs, store, title=title or refs.report.url or "reference set")
    with replacing(out) as file:
        file.write(redacted(text).encode("utf-8", "replace"))

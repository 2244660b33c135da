"""A page that shows a reference set: what is in it, and what reading it costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from refmaker.storage.reference_set import ReferenceSet
    from refmaker.verification.compare import ArrayCheck

__all__ = ["report"]


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
    >>> refs = refmaker.scan("examples/air.nc")
    >>> refmaker.report(refs, "air.html", verification=refmaker.verify(refs))
    >>> from pathlib import Path
    >>> "<svg" in Path("air.html").read_text()
    True
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
    if source is not None:
        # What a set may not name is refused as a whole, and not picture by picture.
        source.open()
    checks = None
    if verification is not None:
        checks = [one if isinstance(one, Mapping) else one.as_dict() for one in verification]
    title = title or refs.report.url or "reference set"
    text = page(refs, source, title=title, checks=checks)
    with replacing(out) as file:
        file.write(redacted(text).encode("utf-8", "replace"))

"""A page that shows a reference set: what is in it, and what reading it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from refmaker.storage.reference_set import ReferenceSet

__all__ = ["report"]


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

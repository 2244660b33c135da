"""Values as rows and columns of text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from refmaker.errors import UnsupportedError
from refmaker.model.attributes import text_of
from refmaker.publish.viewer.contents import reason
from refmaker.publish.viewer.labels import is_time, value_text, value_texts
from refmaker.publish.viewer.regions import means_itself

if TYPE_CHECKING:
    from refmaker.publish.viewer.contents import Contents

__all__ = ["table"]

_ROWS = 200
_COLUMNS = 30


def table(contents: Contents, path: str, start: int = 0) -> dict[str, Any]:
    """Return 200 rows of a table, or of an array of one dimension or none.

    Parameters
    ----------
    contents : Contents
        The set.
    path : str
        Of an array, or of the group whose arrays are the columns.
    start : int
        First row.

    Returns
    -------
    dict
        ``columns``: names; ``rows``: texts; ``start``, and ``size`` of the whole table. A column
        that cannot be read says why in its rows.

    Raises
    ------
    UnsupportedError
        If there is no such table.
    """
    subject = contents.subjects.get(path)
    if subject is None or start < 0:
        raise UnsupportedError("there is no such table", path=path)
    names: list[str] = []
    columns: list[list[str]] = []
    size = 1
    for one in (subject.columns or (path,))[:_COLUMNS]:
        try:
            names_here, columns_here, size_here = _columns(contents, one, start)
        except Exception as error:
            # Codecs and filesystems raise anything: a column says why, and costs no other.
            if not subject.columns:
                raise
            names_here, columns_here, size_here = [one], [[reason(error)]], size
        size = max(size, size_here)
        names += names_here
        columns += columns_here
    rows = max(map(len, columns), default=0)
    filled = [column + [""] * (rows - len(column)) for column in columns]
    return {
        "columns": names,
        "rows": [list(row) for row in zip(*filled, strict=True)],
        "start": start,
        "size": size,
        "more": max(0, len(subject.columns) - _COLUMNS),
    }


def _columns(contents: Contents, path: str, start: int) -> tuple[list[str], list[list[str]], int]:
    """Return names, texts and the number of rows of an array, whose fields are columns."""
    array = contents.source.array(path)
    if len(array.shape) > 1:
        raise UnsupportedError(f"no table is made of {len(array.shape)} dimensions", path=path)
    size = math.prod(array.shape)
    parts = [slice(start, max(start, min(start + _ROWS, size)))] if array.shape else []
    meant = array.dtype.kind in "iufc" and not means_itself(array)
    meant = meant or is_time(array.attributes)
    values = contents.regions.read(path, parts, meant=meant).reshape(-1)
    if values.dtype.names:
        fields = list(values.dtype.names)[:_COLUMNS]
        return fields, [[value_text(one) for one in values[name]] for name in fields], size
    units = text_of(array.attributes, "units")
    label = path.rpartition("/")[2]
    name = f"{label} [{units}]" if units and not is_time(array.attributes) else label
    return [name], [value_texts(values, array.attributes)], size

"""Values as rows and columns of text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refmaker.errors import UnsupportedError
from refmaker.publish.viewer.contents import reason
from refmaker.publish.viewer.labels import value_text

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
            if not subject.columns:
                raise
            names_here, columns_here, size_here = [one], [[reason(error)]], size
        size = max(size, size_here)
        names += [name.rpartition("/")[2] for name in names_here]
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
    array = contents.array(path)
    if array.ndim > 1:
        raise UnsupportedError(f"no table is made of {array.ndim} dimensions", path=path)
    if array.ndim:
        (dim,) = array.dims
        stop = min(start + _ROWS, int(array.sizes[dim]))
        index: dict[Any, Any] = {dim: slice(start, max(start, stop))}
    else:
        index = {}
    values = contents.regions.read(f"{path}=", array, index).reshape(-1)
    size = int(array.size)
    if values.dtype.names:
        fields = list(values.dtype.names)[:_COLUMNS]
        return fields, [[value_text(one) for one in values[name]] for name in fields], size
    name = (
        path
        if array.ndim == 0 or not array.attrs.get("units")
        else (f"{path} [{array.attrs['units']}]")
    )
    return [name], [[value_text(one) for one in values]], size

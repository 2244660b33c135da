"""Many reference sets to one.

``options``
    What may be asked for.
``members``
    The inputs, in memory or read when needed.
``selectors``
    Coordinates along a dimension, from names, attributes, variables, lists.
``concat_dimensions``
    The positions of every input along a dimension.
``values``, ``times``
    Values of small arrays, read and written; times in other units.
``squeeze``, ``missing``, ``tolerance``
    Dimensions left out, values for what is missing, coordinates that are nearly the same.
``agreement``, ``remedies``
    What must be the same in all inputs, what is not, and what helps.
``chunk_placement``
    Chunk tables of many inputs to one.
``rechunk``
    Uncompressed chunks cut or joined.
``variables``, ``joining``, ``reencode``
    One variable: by chunks, by values, with inputs that differ from the others.
``cube``, ``coordinates``, ``groups_by_encoding``
    All groups and variables; the dimensions; each kind of inputs for itself.
``batches``
    In batches, with few inputs in memory at a time.
``appending``, ``icechunk_append``
    More files to a set that is stored.

This module is imported by ``import refmaker``, so it loads nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refmaker.combine.options import Appended, CombineOptions

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    import numpy as np

    from refmaker.storage.reference_set import ReferenceSet

__all__ = ["Appended", "CombineOptions", "append", "combine"]


def combine(
    sets: Iterable[ReferenceSet | str | os.PathLike[str]],
    storage_options: Mapping[str, Any] | None = None,
    *,
    options: CombineOptions | None = None,
    **option_fields: Any,
) -> ReferenceSet:
    """Combine reference sets into one cube, or refuse and say why.

    Parameters
    ----------
    sets : iterable of ReferenceSet, str or os.PathLike
        Reference sets, or paths or URLs of such (JSON or Parquet, also of kerchunk).
    storage_options : mapping, optional
        Passed to fsspec, for the sets and for those data that have to be read.
    options : CombineOptions, optional
        How to combine.
    **option_fields
        Fields of `CombineOptions`, which take precedence over `options`; such as
        ``concat="time"``.

    Returns
    -------
    ReferenceSet
        The cube. Its report has a row for every variable, and the sources of all inputs.

    Raises
    ------
    MetadataError
        If there is nothing to combine, or what must agree differs: every difference is named
        with file, variable and both values.
    SourceError
        If a set, or data that have to be read, cannot be.
    LimitError
        If more data would have to be read than `CombineOptions` allows.

    Examples
    --------
    >>> days = [refmaker.scan(f"days/2014-10-0{day}.nc") for day in (1, 2)]
    >>> cube = refmaker.combine(days, concat="time")
    >>> cube["air"].shape, cube["air"].chunk_shape
    ((8, 11, 21), (4, 11, 21))
    >>> cube.write("cube.json")
    """
    from refmaker.combine.cube import combine_members
    from refmaker.combine.members import members

    options = (options or CombineOptions()).changed(**option_fields)
    if options.batch is not None:
        from refmaker.combine.batches import combine_in_batches

        return combine_in_batches(sets, storage_options, options)
    found = members(sets, storage_options, options.drop, options.preprocess)
    return combine_members(found, options)


def best_estimate(
    refs: ReferenceSet | str | os.PathLike[str],
    storage_options: Mapping[str, Any] | None = None,
    *,
    min_step: np.timedelta64 | str | None = None,
    as_of: np.datetime64 | str | None = None,
) -> ReferenceSet:
    """Return the series of the latest forecasts: of each valid time the last run that has it.

    The new set refers to the chunks of the old one along `valid_time`, with the run (`time`) and
    the period (`step`) of each as coordinates. Runs are chosen for each variable among those that
    have a chunk; intervals without a length never count.

    Parameters
    ----------
    refs : ReferenceSet, str or os.PathLike
        A set whose variables have coordinates with the CF standard names
        ``forecast_reference_time`` and ``forecast_period`` (or ``time`` in place of the latter),
        such as GRIB files that were scanned as one, or netCDF forecasts.
    storage_options : mapping, optional
        Passed to fsspec.
    min_step : timedelta64 or str, optional
        The shortest period that counts, such as ``"3h"``: the first hours of runs are left out.
    as_of : datetime64 or str, optional
        The latest run that counts, such as ``"2024-01-15T06"``.

    Returns
    -------
    ReferenceSet
        Its report says of every variable how many of its chunks were chosen.

    Raises
    ------
    MetadataError
        If no variable is a forecast, a chunk holds several runs or periods, or times cannot be
        understood.
    SourceError
        If the set, or a coordinate that lies in a file, cannot be read.
    ValueError
        If `min_step` or `as_of` is no period or time.

    Examples
    --------
    >>> forecast = refmaker.scan("examples/wind.grb")
    >>> best = refmaker.best_estimate(forecast, min_step="12h")
    >>> best["heightAboveGround/instant/u10"].dimension_names
    ('valid_time', 'latitude', 'longitude')
    >>> best["heightAboveGround/instant/u10"].shape, forecast["heightAboveGround/instant/u10"].shape
    ((26, 14, 17), (27, 14, 17))
    """
    from refmaker.combine import forecast
    from refmaker.combine.members import members

    (member,) = members([refs], storage_options)
    return forecast.best_estimate(member, forecast.period(min_step), forecast.moment(as_of))


def append(
    target: str | os.PathLike[str],
    sets: Iterable[ReferenceSet | str | os.PathLike[str]],
    storage_options: Mapping[str, Any] | None = None,
    *,
    options: CombineOptions | None = None,
    templates: str = "auto",
    for_reader: str | None = None,
    **option_fields: Any,
) -> Appended:
    """Add reference sets to one that is stored: all of them or none, and none twice.

    Parameters
    ----------
    target : str or os.PathLike
        A reference set as JSON or Parquet, or an Icechunk repository. It changes as a whole or
        not at all.
    sets : iterable of ReferenceSet, str or os.PathLike
        The inputs, as for `combine`. Those whose file is in the set already are passed over.
    storage_options : mapping, optional
        Passed to fsspec.
    options : CombineOptions, optional
        How to combine; the same as when the set was made.
    templates : {"auto", "always", "never"}
        Whether names stand for URLs in JSON; by default as in what is there.
    for_reader : str, optional
        Change the set only if this reader understands all of it; see `refmaker.write`.
    **option_fields
        Fields of `CombineOptions`, which take precedence over `options`.

    Returns
    -------
    Appended
        Which inputs were added, and which were there.

    Raises
    ------
    MetadataError
        If the inputs do not agree with one another or with what is there.
    SourceChangedError
        If a file was there and has changed since, or somebody else has changed the set meanwhile.
    SourceError
        If something cannot be read, or the set not be written.

    Examples
    --------
    >>> first, second = (refmaker.scan(f"days/2014-10-0{day}.nc") for day in (1, 2))
    >>> refmaker.combine([first], concat="time").write("cube.json")
    >>> refmaker.append("cube.json", [second], concat="time").refs["air"].shape
    (8, 11, 21)
    """
    from refmaker.combine import appending

    options = (options or CombineOptions()).changed(**option_fields)
    written = {"templates": templates, "for_reader": for_reader}
    return appending.append(target, sets, storage_options, options, written)

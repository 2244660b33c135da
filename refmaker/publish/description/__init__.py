"""What is in a reference set: as JSON values, and as a table in notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refmaker.errors import printable
from refmaker.model.amounts import counted, human_size

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from refmaker.storage.reference_set import ReferenceSet

__all__ = ["Description", "describe"]


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


def describe(
    refs: ReferenceSet | str | os.PathLike[str],
    name: str = "",
    storage_options: Mapping[str, Any] | None = None,
    *,
    coordinates: str = "local",
) -> Description:
    """Return what is in a reference set, as ``refmaker info --json`` prints it.

    Parameters
    ----------
    refs : ReferenceSet, str or os.PathLike
        A reference set, or the path or URL of one.
    name : str
        How it is called; by default its path.
    storage_options : mapping, optional
        Passed to fsspec for the files.
    coordinates : {"local", "no", "all"}
        Of which files coordinates are read that are not in the set itself: of this machine's, of
        none, or of remote ones as well. Arrays of more than 8 MiB are not read.

    Returns
    -------
    Description
        A dict of JSON values. Null is what is not known, or not said in the file.

        ``input``, ``format``, ``zarr_format``, ``groups`` (paths)
            What it is.
        ``summary`` : list of dict
            A table that depends on the format: images, variables, volumes.
        ``dimensions`` : list of dict
            ``group``, ``name``, ``size``, and ``unlimited``: true, false or null.
        ``arrays`` : list of dict
            ``path``, ``dimensions``, ``shape``, ``chunk_shape``, ``chunk_extents``, ``grid``,
            ``dtype``, ``fill_value`` (of absent chunks); by attributes ``units``,
            ``standard_name``, ``long_name``, ``missing_value`` (a list of stored values),
            ``scale_factor``, ``add_offset``, ``unsigned``, ``valid_min`` and ``valid_max``
            (stored values), ``grid_mapping``; ``codecs`` as they encode, ``packages`` that decode
            them; ``nbytes`` decoded, ``stored``, and ``chunks``: ``total``, ``referenced``,
            ``inlined``, ``absent``.
        ``spans`` : list of dict
            Coordinates: ``path``, ``size``, ``role`` (latitude, longitude, x, y, vertical, time,
            reference time, step), ``first``, ``last``, ``min``, ``max``, ``units``; of times these
            are texts of ISO 8601 in their ``calendar``, without units. ``step`` and
            ``step_units`` where values are evenly spaced, ``values`` where they are 64 or fewer,
            ``note``: what to install for times that are numbers here.
            Values are unpacked; a coordinate with missing or endless values is left out. Of
            several dimensions there is neither first nor last, and missing values are not counted.
        ``unread`` : list of dict
            ``path`` and ``why``: coordinates whose values were not looked at.
        ``places`` : list of dict
            Where ``arrays`` lie: ``crs`` (``name``, ``code``, ``grid_mapping_name``, ``wkt``,
            ``label``: what it is called in full, ``projected``), ``grid_mapping``, ``x`` and
            ``y`` (paths), ``size`` (columns, rows), ``bounds`` (least x, least y, greatest x,
            greatest y, in ``units``), ``bounds_of`` (edges of cells, as a geotransform tells
            them, or their centres), ``resolution``, ``geotransform`` (GDAL's order),
            ``latitude`` and ``longitude`` (least, greatest).
        ``images`` : list of dict
            ``path``, ``name``, ``axes`` (``name``, ``type``, ``unit``), ``channels``, and
            ``levels``, the largest first: ``path``, ``dimensions``, ``shape``, ``chunk_shape``,
            ``scale`` (of a pixel along each axis).
        ``volumes`` : list of dict
            ``path``; along ``dimensions`` of space ``shape``, ``spacing`` (in ``unit``) and
            ``towards`` (where indices go in the body); ``oblique``, ``even`` (whether slices are
            at equal distances), ``origin_lps`` (place of the first voxel).
        ``targets`` : list of dict
            Files: ``url``, ``chunks`` and their ``bytes``, ``size`` of the file.
        ``protocols``, ``packages``
            Of files, and needed to decode.
        ``codecs`` : list of dict
            ``id``, ``packages``, and those of them that are ``missing`` here.
        ``nbytes``, ``stored``
            Bytes of all values, and of all chunks.
        ``duplicated`` : list of dict
            Objects that others stand for: ``path``, ``reason``, ``code``; null of a set that was
            read, which remembers none.
        ``messages`` : dict
            Of GRIB: how many fields were ``found``, ``placed``, ``duplicates``; else null.
        ``skipped``, ``warnings``, ``readers``, ``advice``
            What is not there, and what to know.

    Raises
    ------
    SourceError
        If the reference file cannot be read; files of coordinates that cannot be are in
        ``unread``.
    MetadataError
        If it is no reference set.
    ValueError
        If `coordinates` is none of these.

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

    from refmaker.publish.description.content import describe as describe_set
    from refmaker.storage.reference_set import ReferenceSet

    if coordinates not in ("no", "local", "all"):
        raise ValueError(f"coordinates={coordinates!r} is not one of no, local, all")
    if not isinstance(refs, ReferenceSet):
        name = name or os.fspath(refs)
        refs = ReferenceSet.read(refs)
    return Description(describe_set(refs, name, storage_options, coordinates))

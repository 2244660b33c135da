"""What can be edited of a reference set, as methods that are named as those of xarray."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from refmaker.errors import RefmakerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Self

    from numpy.typing import NDArray

    from refmaker.io.policy import Policy
    from refmaker.model import Array, Group
    from refmaker.model.editing.slicing import Index

__all__ = ["Editable"]


class Editable:
    """Edits a reference set exactly, and without reading its files.

    Each method returns another set, whose chunks are the same byte ranges. Where arrays come from
    goes along, so that the edited set can be verified.
    """

    __slots__ = ()
    if TYPE_CHECKING:
        group: Group

        @property
        def policy(self) -> Policy:
            """What its documents may make a reader fetch."""

    def select(self, names: str | Iterable[str]) -> Self:
        """Return some arrays and groups, as ``dataset[names]`` does.

        With a variable go its coordinates and what else its attributes name by the CF conventions:
        bounds, grid mapping, cell measures, ancillary variables, terms of formulas.

        Parameters
        ----------
        names : str or iterable of str
            Paths of arrays and groups.

        Raises
        ------
        MetadataError
            If there is no such array or group.

        Examples
        --------
        >>> refs = refmaker.scan("examples/wind.grb")
        >>> sorted(path.rpartition("/")[2] for path in refs.select("heightAboveGround/instant/u10"))
        ['crs', 'heightAboveGround', 'latitude', 'longitude', 'step', 'time', 'u10', 'valid_time']
        """
        from refmaker.model import editing

        return self._edited(lambda group: editing.select(group, _listed(names)))

    def drop(self, names: str | Iterable[str]) -> Self:
        """Return all but some arrays and groups, as ``dataset.drop_vars`` does.

        Parameters
        ----------
        names : str or iterable of str
            Paths of arrays and groups.

        Raises
        ------
        MetadataError
            If there is no such array or group.

        Examples
        --------
        >>> list(refmaker.scan("examples/air.nc").drop("air"))
        ['time', 'lat', 'lon']
        """
        from refmaker.model import editing

        return self._edited(lambda group: editing.drop(group, _listed(names)))

    def rename(
        self, names: Mapping[str, str] | None = None, *, group: str = "", **more: str
    ) -> Self:
        """Return the set with other names of variables, groups and dimensions.

        The attributes by which the CF conventions name variables and dimensions follow.

        Parameters
        ----------
        names : mapping of str to str, optional
            Old names to new ones; a name stands for the variable and the dimension.
        group : str
            Path of the group whose members are renamed. Its dimensions are those of all below.
        **more
            More of them.

        Raises
        ------
        MetadataError
            If there is nothing of an old name, or already something of a new one.

        Examples
        --------
        >>> refs = refmaker.scan("examples/air.nc").rename({"lat": "latitude"}, air="t2m")
        >>> refs["t2m"].dimension_names
        ('time', 'latitude', 'lon')
        """
        from refmaker.model import editing

        return self._edited(lambda root: editing.rename(root, {**(names or {}), **more}, group))

    def isel(
        self, indexers: Mapping[str, Index] | None = None, *, group: str = "", **more: Index
    ) -> Self:
        """Return a part of each array along dimensions, by positions.

        A slice begins where a chunk begins, and ends anywhere; a single position, which removes
        the dimension, is a chunk by itself. Arrays that are kept in the set itself, as small
        coordinates are, are cut anywhere; `refmaker.load` keeps others there.

        Parameters
        ----------
        indexers : mapping of str to slice or int, optional
            By dimension.
        group : str
            Path of the group whose arrays are cut, and those of all groups below.
        **more
            More of them.

        Raises
        ------
        MetadataError
            If there is no such dimension or position, or a cut goes through chunks; the hint
            tells the nearest bounds.

        Examples
        --------
        >>> days = [refmaker.scan(f"days/2014-10-0{day}.nc") for day in (1, 2)]
        >>> cube = refmaker.combine(days, concat="time")
        >>> cube.isel(time=slice(4, 8))["air"].shape
        (4, 11, 21)
        """
        from refmaker.model import editing

        chosen = {**(indexers or {}), **more}
        return self._edited(lambda root: editing.isel(root, chosen, group, values=self._values))

    def expand_dims(self, name: str, value: Any = None, *, axis: int = 0, group: str = "") -> Self:
        """Return the set with another dimension, of one element, of all data variables.

        Parameters
        ----------
        name : str
            The dimension. A scalar of that name becomes its coordinate.
        value : object, optional
            Its coordinate: a number, a text or a date.
        axis : int
            Where it stands among the dimensions, from 0 on.
        group : str
            Path of the group whose variables get it.

        Raises
        ------
        MetadataError
            If there is such a dimension or variable already.

        Examples
        --------
        >>> refs = refmaker.scan("examples/air.nc").expand_dims("run", "2014-10-01")
        >>> refs["air"].dimension_names, refs["air"].shape
        (('run', 'time', 'lat', 'lon'), (1, 124, 11, 21))
        """
        from refmaker.model import editing

        return self._edited(
            lambda root: editing.expand_dims(root, name, value, axis=axis, group=group)
        )

    def squeeze(self, names: str | Iterable[str], *, group: str = "") -> Self:
        """Return the set without dimensions of one element; their coordinates become scalars.

        Parameters
        ----------
        names : str or iterable of str
            The dimensions.
        group : str
            Path of the group whose arrays lose them, and those of all groups below.

        Raises
        ------
        MetadataError
            If there is no such dimension, or it has more elements.

        Examples
        --------
        >>> refs = refmaker.scan("examples/air.nc").expand_dims("run", "2014-10-01")
        >>> refs.squeeze("run")["air"].shape
        (124, 11, 21)
        """
        from refmaker.model import editing

        dims = _listed(names)
        return self._edited(lambda root: editing.squeeze(root, dims, group, values=self._values))

    def assign_attrs(
        self, path: str = "", attributes: Mapping[str, Any] | None = None, /, **more: Any
    ) -> Self:
        """Return the set with other attributes of an array or a group; None removes one.

        Parameters
        ----------
        path : str
            The array or group; empty for the root.
        attributes : mapping, optional
            Values in JSON terms, or numpy's.
        **more
            More of them.

        Raises
        ------
        MetadataError
            If there is no such array or group, or a value has no place in JSON.

        Examples
        --------
        >>> refs = refmaker.scan("examples/air.nc").assign_attrs("air", long_name="air temperature")
        >>> refs["air"].attributes["long_name"]
        'air temperature'
        """
        from refmaker.model import editing

        given = {**(attributes or {}), **more}
        return self._edited(lambda root: editing.assign_attrs(root, path, given))

    def assign_coords(
        self, coords: Mapping[str, Any] | None = None, *, group: str = "", **more: Any
    ) -> Self:
        """Return the set with coordinates whose values are kept in it.

        Parameters
        ----------
        coords : mapping, optional
            By name: a scalar, values along the dimension of that name, or a tuple of dimensions,
            values and, if wanted, attributes. Dates become times of the CF conventions.
        group : str
            Path of the group.
        **more
            More of them.

        Raises
        ------
        MetadataError
            If values do not fit the dimensions, or are none that are kept in a set.

        Examples
        --------
        >>> refs = refmaker.scan("examples/air.nc").assign_coords(station="north")
        >>> str(refs.open()["station"].values)
        'north'
        """
        from refmaker.model import editing

        given = {**(coords or {}), **more}
        return self._edited(lambda root: editing.assign_coords(root, given, group))

    def _edited(self, change: Callable[[Group], Group]) -> Self:
        from refmaker.model.editing import settled, stamped
        from refmaker.model.ngff import fitting

        own: Any = self
        try:
            group = fitting(settled(change(stamped(self.group))), self.group)
            found: Self = replace(own, group=group)
        except RefmakerError as error:
            raise error.located(url=own.report.url or None) from error
        return found

    def _values(self, path: str, array: Array) -> NDArray[Any]:
        """Return the values of an array that is kept in the set itself."""
        from refmaker.codecs.chunk_values import inlined_values
        from refmaker.io.safe_codecs import check_codecs

        check_codecs(self.policy, path, array)
        return inlined_values(array)


def _listed(names: str | Iterable[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)

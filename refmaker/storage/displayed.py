"""A reference set at a prompt and in a notebook: what is in it, seen and opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refmaker.errors import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    import xarray as xr

    from refmaker.model import Array, Group
    from refmaker.model.report import ScanReport

__all__ = ["Displayed"]


class Displayed:
    """Shows a reference set, finds its arrays, and opens it."""

    __slots__ = ()
    if TYPE_CHECKING:
        group: Group
        report: ScanReport

        def urls(self) -> list[str]:
            """Return every file that the set names, once."""

    @property
    def arrays(self) -> dict[str, Array]:
        """Every array of the set by its path, such as ``"group/name"``."""
        return dict(self.group.arrays())

    def __contains__(self, path: object) -> bool:
        """Whether there is an array or a group of that path."""
        at = path.strip("/") if isinstance(path, str) else None
        return at is not None and (not at or any(at == known for known, _ in self.group.walk()))

    def __iter__(self) -> Iterator[str]:
        """Yield the paths of all arrays."""
        return (path for path, _ in self.group.arrays())

    def __getitem__(self, path: str) -> Array | Group:
        """Return an array or a group.

        Parameters
        ----------
        path : str
            Its path, such as ``"group/name"``.

        Raises
        ------
        KeyError
            If there is none.
        """
        at = path.strip("/")
        try:
            return self.group[at] if at else self.group
        except KeyError:
            from difflib import get_close_matches

            near = get_close_matches(at, [known for known, _ in self.group.walk()], 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise KeyError(f"{path!r} is not in the set{hint}") from None

    def open(self, **options: Any) -> xr.Dataset:
        """Open it with xarray; values are read when they are used.

        Parameters
        ----------
        **options
            As for `refmaker.open_dataset`, such as ``group="x"`` or ``chunks={}``.

        Examples
        --------
        >>> refmaker.scan("examples/air.nc").open()["air"].dims
        ('time', 'lat', 'lon')
        """
        import xarray as xr

        return xr.open_dataset(self, engine=_engine(), **options)  # type: ignore[arg-type]

    def open_tree(self, **options: Any) -> xr.DataTree:
        """Open all of its groups with xarray; see `open`.

        Examples
        --------
        >>> refmaker.scan("examples/wind.grb").open_tree().groups
        ('/', '/heightAboveGround', '/heightAboveGround/instant')
        """
        import xarray as xr

        return xr.open_datatree(self, engine=_engine(), **options)  # type: ignore[arg-type]

    def __repr__(self) -> str:
        from refmaker.model.display import text_tree, totals

        title = f"<ReferenceSet of {printable(self._title())}>"
        return "\n".join([title, totals(self.group), *text_tree(self.group)])

    def _title(self) -> str:
        form = f" ({self.report.format})" if self.report.format else ""
        return f"{self.report.url!r}{form}" if self.report.url else f"no file{form}"

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        from refmaker.model.amounts import counted
        from refmaker.model.display import document, html_table, html_tree, totals

        urls = self.urls()
        notes: list[tuple[str, str]] = [
            ("files", counted(len(urls), "file") + (f": {printable(urls[0])}" if urls else ""))
        ]
        notes += [("skipped", f"{row.path}: {row.reason}") for row in self.report.skipped]
        notes += [("warning", text) for text in self.report.warnings]
        return document(
            f"ReferenceSet of {printable(self._title())}",
            totals(self.group),
            html_tree(self.group),
            html_table((), notes[:40]),
        )


def _engine() -> Any:
    """Return xarray's engine of this package; asked for by name, xarray would load all others."""
    from importlib.metadata import entry_points

    # An installation that is found twice, as a checkout beside its package, is one all the same.
    found = next(iter(entry_points(group="xarray.backends", name="refmaker")))
    return found.load()

"""The TIFF files of a set, opened with tifffile, and the images that they make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refmaker.errors import FormatError, MissingDependencyError, RefmakerError, SourceNotFoundError
from refmaker.io.related_files import RelatedFiles
from refmaker.scanners.tiff.native_images import NativeImage, of_series
from refmaker.scanners.tiff.native_ome import binary_only, first_name, ome_images, root_uuid

if TYPE_CHECKING:
    from contextlib import ExitStack

    from refmaker.io.source import Source
    from refmaker.model import Array

__all__ = ["NativeFiles"]

_TEXT = 128 * 1024**2
_ROLES = frozenset({"label", "macro", "thumbnail", "map", "overview", "other", "mask"})


class NativeFiles:
    """The files of a set.

    Parameters
    ----------
    source : Source
        The scanned file: a TIFF file, or the companion of an OME-TIFF set.
    stack : ExitStack
        Closes them.

    Raises
    ------
    MissingDependencyError
        If tifffile is not installed.
    FormatError
        If tifffile does not open the file.
    """

    def __init__(self, source: Source, stack: ExitStack) -> None:
        self._source, self._stack = source, stack
        # What a scanned file names, its user has followed already.
        self._related = stack.enter_context(RelatedFiles(source, anywhere=True, backslashes=True))
        self._opened: dict[str, Any] = {}
        self.text = self._companion()
        self.main = self._open(source) if not self.text else self._first()
        self._images: list[list[NativeImage]] | None = None
        self._others: list[tuple[str, list[NativeImage]]] = []

    def by_url(self, url: str) -> Any:
        """Return the tifffile.TiffFile of a URL; None if it is none of the set's."""
        return self._opened.get(url)

    def image(self, path: str, array: Array) -> NativeImage | None:
        """Return the image that an array is, by its place in the hierarchy; None if unknown.

        Parameters
        ----------
        path : str
            Of the array, such as ``1/0/image``.
        array : Array
            Its extents and the names of its dimensions count.
        """
        *parts, last = path.split("/")
        if last != "image":
            return None
        images, others = self._laid_out()
        if parts[:1] == ["associated"]:
            role = parts[1].partition("_")[0]
            level = int(parts[2]) if len(parts) > 2 else 0
            named = [levels for name, levels in others if name == role]
            fitting = [levels[level] for levels in named if len(levels) > level]
            fitting = [one for one in fitting if one.fits(array)]
            return fitting[0] if len(fitting) == 1 else None
        numbers = [int(part) for part in parts]
        wanted = {0: [(0, 0)], 1: [(0, n) for n in numbers] + [(n, 0) for n in numbers]}.get(
            len(numbers), [tuple(numbers)]
        )
        fitting = [
            images[at][level]
            for at, level in dict.fromkeys(wanted)
            if at < len(images) and level < len(images[at])
        ]
        fitting = [one for one in fitting if one.fits(array)]
        if not fitting:
            fitting = [one for levels in images for one in levels if one.fits(array)]
        return fitting[0] if len(fitting) == 1 else None

    def _laid_out(self) -> tuple[list[list[NativeImage]], list[tuple[str, list[NativeImage]]]]:
        """Return the images of the set, each as its levels, and those that go along with them."""
        if self._images is None:
            self._images = self._ome()
            if self._images is None:
                self._images = []
                for series in _series(self.main):
                    levels = _levels(series)
                    role = series.name.lower()
                    if role in _ROLES:
                        self._others.append((role, levels))
                    elif levels:
                        self._images.append(levels)
        return self._images, self._others

    def _ome(self) -> list[list[NativeImage]] | None:
        """Return the images of an OME-TIFF set; None if it is no such."""
        text, home = self.text, None
        own = self.main.pages.first.description or ""
        if not text and not own.rstrip("\0 \r\n\t").endswith("OME>"):
            return None
        try:
            known = {"" if text else root_uuid(own): self.main}
            text = text or own
            master = binary_only(text)
            if master:
                source = self._related.open(master)
                start = source.read_upto(0, 4)
                if start[:2] in (b"II", b"MM"):
                    home = self._open(source)
                    text = home.pages.first.description
                    known[root_uuid(text)] = home
                else:
                    text = self._text(source)
            found = self._by_tifffile(text, home, companion=text != own and home is None)
            if found:
                return found

            def file(uuid: str, name: str) -> Any:
                if uuid and uuid in known:
                    return known[uuid]
                return self._named(name) if name else home or self.main

            return ome_images(text, file) or None
        except (RefmakerError, ValueError, KeyError):
            return None

    def _by_tifffile(self, text: str, home: Any, *, companion: bool) -> list[list[NativeImage]]:
        """Return the images as tifffile puts the files together, which it does on local disks."""
        main = self.main if home is None else home
        if not main.filehandle.is_file:
            return []
        if companion:
            import tifffile

            main = self._stack.enter_context(tifffile.TiffFile(main.filehandle.path, omexml=text))
        found = [_levels(series) for series in _series(main) if series.kind == "ome"]
        return [levels for levels in found if levels]

    def _named(self, name: str) -> Any:
        try:
            return self._open(self._related.open(name))
        except SourceNotFoundError:
            return None

    def _companion(self) -> str:
        """Return the text of a companion file; empty if it is a TIFF file."""
        return "" if self._source.read_upto(0, 2) in (b"II", b"MM") else self._text(self._source)

    def _text(self, source: Source) -> str:
        if source.size > _TEXT:
            raise FormatError(f"a companion file of {source.size} bytes", url=source.url)
        return source.read(0, source.size).decode("utf-8", "replace").lstrip("\ufeff")

    def _first(self) -> Any:
        for name in first_name(self.text):
            found = self._named(name)
            if found is not None:
                return found
        raise FormatError("none of the files of the set is there", url=self._source.url)

    def _open(self, source: Source) -> Any:
        try:
            import tifffile
        except ImportError as error:
            raise MissingDependencyError(
                "reading TIFF files natively needs tifffile", hint="pip install tifffile"
            ) from error
        if source.url not in self._opened:
            place: Any = source.path if source.path is not None else source.open()
            try:
                file = tifffile.TiffFile(place)
            except Exception as error:  # whatever damage makes it raise
                raise FormatError(f"tifffile refuses it: {error}", url=source.url) from error
            self._opened[source.url] = self._stack.enter_context(file)
        return self._opened[source.url]


def _series(file: Any) -> list[Any]:
    try:
        return list(file.series)
    except Exception:  # noqa: BLE001 - whatever damage makes it raise, pages are left
        return []


def _levels(series: Any) -> list[NativeImage]:
    found = []
    for level in series.levels:
        image = of_series(level)
        if image is None:
            break
        found.append(image)
    return found

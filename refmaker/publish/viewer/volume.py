"""Images of a set as neuroglancer reads and shows them: Zarr of its own making, and a state.

Neuroglancer knows neither all types nor all codecs, and asks for whole chunks. So what it is
given are the values as their attributes mean them, uncompressed, in chunks of a size that suits a
screen; one image with its levels (OME-Zarr 0.4) for each layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refmaker.errors import UnsupportedError
from refmaker.publish.images import image_layers, pictures, plain_picture
from refmaker.publish.viewer.sides import sides
from refmaker.publish.viewer.volume_layer import VolumeLayer

if TYPE_CHECKING:
    from refmaker.model import Group
    from refmaker.publish.images import Picture
    from refmaker.publish.viewer.contents import Contents, Datasets

__all__ = ["Volume"]


class Volume:
    """One image as layers of neuroglancer.

    Parameters
    ----------
    contents : Contents
        The set.
    datasets : Datasets
        Its groups, open.
    path : str
        Of an array of the image.

    Raises
    ------
    UnsupportedError
        If neuroglancer has no type for it.
    Exception
        Whatever opening it may raise.
    """

    def __init__(self, contents: Contents, datasets: Datasets, path: str) -> None:
        self.contents, self.path = contents, path
        self.picture = _picture(datasets, contents.source.root, path)
        first = self.picture.levels[0]
        if first.dtype.kind not in "biuf" or first.ndim < 2 or not first.size:
            raise UnsupportedError(f"no volume is made of {first.dtype}", path=path)
        self.layers = [
            VolumeLayer(contents, self.picture, one) for one in image_layers(self.picture)
        ]

    def read(self, layer: int, key: str) -> bytes | None:
        """Return a document or a chunk of the Zarr store of a layer; None if there is none."""
        return self.layers[layer].read(key) if 0 <= layer < len(self.layers) else None

    def state(self, url: str, width: int, height: int) -> dict[str, Any]:
        """Return how neuroglancer is to show it.

        Parameters
        ----------
        url : str
            Under which the stores of the layers lie, each by its number.
        width, height : int
            Of the window, in pixels.

        Returns
        -------
        dict
            JSON values (neuroglancer, ``python/neuroglancer/viewer_state.py``).
        """
        layers = [layer.state(f"zarr2://{url}{at}/", at) for at, layer in enumerate(self.layers)]
        lone = self.layers[0]
        order = self._displayed(lone)
        sides = [lone.sizes[at] * lone.steps[at] for at in order]
        finest = min(lone.steps[at] for at in order)
        deep = len(order) > 2 and lone.sizes[order[2]] > 1
        panels = 2 if deep else 1
        scale = max(
            sides[0] / max(width / panels - 80, 100), sides[1] / max(height / panels - 80, 100)
        )
        return {
            "dimensions": {lone.names[at]: [lone.steps[at], lone.units[at]] for at in lone.order},
            "position": [lone.middle(at) for at in lone.order],
            "displayDimensions": [lone.names[at] for at in order],
            "crossSectionScale": scale / finest,
            "crossSectionOrientation": self._orientation(),
            "projectionScale": 1.6 * max(sides) / finest,
            "layers": layers,
            "layout": "4panel" if deep else "xy",
            "showDefaultAnnotations": deep,
            "crossSectionBackgroundColor": "#000000",
            "projectionBackgroundColor": "#101418",
            "showSlices": True,
            "statistics": {"visible": False},
        }

    def _orientation(self) -> list[float]:
        """Return a quaternion: half a turn around the first axis, where north is to be on top."""
        subject = self.contents.subjects[self.path]
        if subject.kind != "map" or not sides(self.contents, subject, None)[0].flip:
            return [0, 0, 0, 1]
        return [1, 0, 0, 0]

    def _displayed(self, layer: VolumeLayer) -> list[int]:
        """Return the dimensions that are drawn: columns, rows, and the one that is deep."""
        subject = self.contents.subjects.get(self.path)
        names = [axis.name for axis in subject.axes] if subject else []
        drawn = [names[at] for at in subject.drawn] if subject else []
        places = [layer.dims.index(name) for name in drawn if name in layer.dims]
        if len(places) < 2:
            places = [len(layer.dims) - 2, len(layer.dims) - 1]
        found = [places[1], places[0], *places[2:3]]
        deep = [at for at, name in enumerate(layer.dims) if name == "z" and at not in found]
        return (found + deep)[:3]


def _picture(datasets: Datasets, root: Group, path: str) -> Picture:
    """Return the image that an array is a level of, or one of the array alone."""
    array = datasets.array(path)
    for picture in pictures(datasets.near(path), root):
        if path in picture.paths:
            return picture
    return plain_picture([path], [array])

"""One image, or a channel of it, as a Zarr store that neuroglancer reads, and as a layer of it."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.publish.pictures.compositing import limits
from refmaker.publish.viewer.regions import means_itself

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from refmaker.publish.images import ImageLayer, Picture
    from refmaker.publish.viewer.contents import Contents

__all__ = ["VolumeLayer"]

_LEAST, _MOST = 1 << 14, 1 << 18
"""Elements of a chunk."""
_SAMPLE_BYTES = 64 * 1024**2
_LAYERS = 8
"""Channels that are switched on at first."""
_METRES = {
    "angstrom": 1e-10, "nanometer": 1e-9, "micrometer": 1e-6, "millimeter": 1e-3,
    "centimeter": 1e-2, "meter": 1.0, "kilometer": 1e3,
}  # fmt: skip
_SECONDS = {"millisecond": 1e-3, "second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}
_CHANNEL_COLOURS = ("#00ffff", "#ff00ff", "#ffff00", "#ff4040", "#40ff40", "#6080ff", "#ffffff")
_NO_NUMBER = "  float value = toRaw(getDataValue());\n  if (value != value) discard;\n"


class VolumeLayer:
    """One image, or a channel of it, as a Zarr store."""

    def __init__(self, contents: Contents, picture: Picture, shown: ImageLayer) -> None:
        self._contents, self._picture, self._shown = contents, picture, shown
        first = shown.levels[0]
        self.labels = picture.labels is not None
        stored = contents.source.array(picture.paths[0])
        # What neuroglancer has no type for, and what is scaled, is handed out as float32.
        known = stored.dtype.kind in "iu" and stored.dtype.itemsize <= 4
        self._meant = not self.labels and not means_itself(stored)
        dtype = "<f4" if self._meant or not known else stored.dtype.newbyteorder("<").str
        if stored.dtype.kind == "b":
            dtype = "|u1"
        elif self.labels and stored.dtype.kind in "iu":
            dtype = "<u8"
        self._dtype = np.dtype(dtype)
        self.dims = [str(dim) for dim in first.dims][: len(shown.axes)]
        self.names = _identifiers(self.dims)
        self.sizes = [int(size) for size in first.shape[: len(shown.axes)]]
        told = [(picture.scale[at], picture.units[at]) for at in shown.axes]
        self.steps, self.units = [], []
        for step, unit in told:
            factor, base = _unit(unit)
            self.steps.append(step * factor or 1.0)
            self.units.append(base)
        self._starts = [picture.translate[at] * _unit(picture.units[at])[0] for at in shown.axes]
        self.order = list(reversed(range(len(self.dims))))

    def middle(self, at: int) -> float:
        """Return the middle along a dimension, in steps."""
        start = self._starts[at] / self.steps[at]
        deep = self.dims[at] == "z" or at >= len(self.dims) - 2
        return start + (self.sizes[at] // 2 if deep else 0)

    def read(self, key: str) -> bytes | None:
        """Return a document or a chunk."""
        if key == ".zgroup":
            return b'{"zarr_format": 2}'
        if key == ".zattrs":
            return json.dumps({"multiscales": [self._multiscale()]}).encode()
        level, _, inner = key.partition("/")
        if not level.isdecimal() or int(level) >= len(self._shown.levels):
            return None
        array = self._shown.levels[int(level)]
        if inner == ".zarray":
            return json.dumps(self._document(int(level))).encode()
        if inner == ".zattrs":
            return b"{}"
        numbers = inner.split("/")
        if len(numbers) != array.ndim or not all(re.fullmatch("[0-9]{1,9}", n) for n in numbers):
            return None
        return self._chunk(int(level), [int(number) for number in numbers])

    def state(self, source: str, at: int) -> dict[str, Any]:
        """Return the layer's part of a state."""
        found: dict[str, Any] = {"name": self._shown.name, "source": source}
        if self.labels:
            return {**found, "type": "segmentation", "selectedAlpha": 0.4}
        found |= {"type": "image", "tab": "rendering", "opacity": 1}
        several = self._shown.channel is not None
        if self._shown.rgb:
            dimensions = {
                **{self.names[i]: [self.steps[i], self.units[i]] for i in range(len(self.names))},
                "rgb^": [1, ""],
            }
            found["source"] = {"url": source, "transform": {"outputDimensions": dimensions}}
            low, high = 0.0, float(np.iinfo(self._dtype).max) if self._dtype.kind in "iu" else 1.0
        else:
            low, high = self._limits()
        found["shader"] = self._shader(at)
        found["shaderControls"] = {"normalized": {"range": [low, high]}}
        if several:
            found |= {"blend": "additive", "visible": at < _LAYERS}
        return found

    def _shader(self, at: int) -> str:
        start = "#uicontrol invlerp normalized\n"
        skip = _NO_NUMBER if self._dtype.kind == "f" and not self._shown.rgb else ""
        if self._shown.rgb:
            start = "#uicontrol invlerp normalized(channel=0)\n"
            parts = ", ".join(f"normalized(getDataValue({band}))" for band in range(3))
            return f"{start}void main() {{\n  emitRGB(vec3({parts}));\n}}\n"
        colour = self._shown.colormap
        if self._shown.channel is not None or (colour or "").startswith("#"):
            chosen = colour or _CHANNEL_COLOURS[at % len(_CHANNEL_COLOURS)]
            start += f'#uicontrol vec3 color color(default="{chosen}")\n'
            return f"{start}void main() {{\n{skip}  emitRGB(color * normalized());\n}}\n"
        value = "1.0 - normalized()" if colour == "gray_r" else "normalized()"
        return f"{start}void main() {{\n{skip}  emitGrayscale({value});\n}}\n"

    def _limits(self) -> tuple[float, float]:
        """Return the values that are black and white: those of the file, or of a sample."""
        if self._shown.contrast_limits is not None:
            return self._shown.contrast_limits[0], self._shown.contrast_limits[1]
        number = len(self._shown.levels) - 1
        array = self._shown.levels[number]
        parts: list[int | slice] = [int(size) // 2 for size in array.shape]
        chunks = self._stored_chunks(number)
        nbytes = math.prod(chunks) * array.dtype.itemsize
        for at in range(len(self.dims) - 1, max(-1, len(self.dims) - 3), -1):
            allowed = max(1, int(_SAMPLE_BYTES // max(nbytes, 1))) * chunks[at]
            size = int(array.shape[at])
            start = max(0, (size - allowed) // 2)
            parts[at] = slice(start, min(size, start + allowed))
            nbytes *= -(-min(size, allowed) // chunks[at])
        return limits(self._values(number, parts).astype(np.float64))

    def _values(self, level: int, parts: Sequence[int | slice]) -> NDArray[Any]:
        """Return values of a level, whose dimensions are those of the layer."""
        places: dict[Any, int | slice] = dict(
            zip(self._shown.levels[level].dims, parts, strict=True)
        )
        whole = self._picture.levels[level].dims
        if self._shown.channel is not None:
            (channel,) = set(whole) - set(places)
            places[channel] = self._shown.channel
        found = self._contents.regions.read(
            self._picture.paths[level], [places[dim] for dim in whole], meant=self._meant
        )
        kept = [dim for dim in whole if isinstance(places[dim], slice)]
        order = [dim for dim in self._shown.levels[level].dims if dim in kept]
        return found.transpose([kept.index(dim) for dim in order])

    def _stored_chunks(self, level: int) -> list[int]:
        """Return the chunks of the file along the dimensions of the layer."""
        stored = self._contents.source.array(self._picture.paths[level])
        known = dict(zip(self._picture.levels[level].dims, stored.chunk_shape, strict=True))
        return [known[dim] for dim in self._shown.levels[level].dims]

    def _multiscale(self) -> dict[str, Any]:
        axes: list[dict[str, str]] = []
        for name, unit in zip(self.names, self.units, strict=True):
            kind = {"m": "space", "s": "time"}.get(unit, "space")
            told = {"m": "meter", "s": "second"}.get(unit)
            axes.append({"name": name, "type": kind, **({"unit": told} if told else {})})
        extra = [1.0] if self._shown.rgb else []
        if extra:
            axes.append({"name": "rgb", "type": "channel"})
        datasets = []
        for number, level in enumerate(self._shown.levels):
            shrunk = [a / max(b, 1) for a, b in zip(self.sizes, level.shape, strict=False)]
            scale = [step * times for step, times in zip(self.steps, shrunk, strict=True)]
            # Places are of middles of elements in OME-Zarr, of corners in neuroglancer's reading.
            moved = [
                start + (big - small) / 2
                for start, big, small in zip(self._starts, scale, self.steps, strict=True)
            ]
            change = [
                {"type": "scale", "scale": [*scale, *extra]},
                {"type": "translation", "translation": [*moved, *(0.0 for _ in extra)]},
            ]
            datasets.append({"path": str(number), "coordinateTransformations": change})
        return {"version": "0.4", "name": self._shown.name, "axes": axes, "datasets": datasets}

    def _document(self, level: int) -> dict[str, Any]:
        return {
            "zarr_format": 2,
            "shape": list(map(int, self._shown.levels[level].shape)),
            "chunks": self._chunks(level),
            "dtype": self._dtype.str,
            "compressor": None,
            "filters": None,
            "fill_value": 0,
            "order": "C",
            "dimension_separator": "/",
        }

    def _chunks(self, level: int) -> list[int]:
        """Return chunks like those of the file, cut or joined to a size that suits a screen."""
        shape = [max(1, int(size)) for size in self._shown.levels[level].shape]
        chunks = [min(a, b) for a, b in zip(self._stored_chunks(level), shape, strict=True)]
        drawn = len(self.dims)
        while math.prod(chunks) > _MOST:
            longest = max(range(drawn), key=lambda at: chunks[at])
            if chunks[longest] < 2:
                break
            chunks[longest] = -(-chunks[longest] // 2)
        while math.prod(chunks) < _LEAST:
            short = [at for at in range(max(0, drawn - 2), drawn) if chunks[at] < shape[at]]
            if not short:
                break
            least = min(short, key=lambda at: chunks[at])
            chunks[least] = min(shape[least], 2 * chunks[least])
        if self._shown.rgb:
            chunks[-1] = shape[-1]
        return chunks

    def _chunk(self, level: int, numbers: Sequence[int]) -> bytes | None:
        sizes, shape = self._chunks(level), self._shown.levels[level].shape
        starts = [number * size for number, size in zip(numbers, sizes, strict=True)]
        if any(start >= extent for start, extent in zip(starts, shape, strict=True)):
            return None
        parts = [
            slice(start, min(start + size, int(extent)))
            for start, size, extent in zip(starts, sizes, shape, strict=True)
        ]
        values = self._values(level, parts)
        full: NDArray[Any] = np.zeros(sizes, self._dtype)
        full[tuple(map(slice, values.shape))] = values
        return full.tobytes()


def _identifiers(dims: Sequence[str]) -> list[str]:
    """Return names that neuroglancer takes for dimensions, no two alike."""
    found: list[str] = []
    for at, dim in enumerate(dims):
        name = re.sub("[^A-Za-z0-9_]", "_", dim)
        fits = re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name) and name not in found
        found.append(name if fits else f"d{at}")
    return found


def _unit(unit: str) -> tuple[float, str]:
    """Return a unit as a factor and one that neuroglancer knows."""
    if unit in _METRES:
        return _METRES[unit], "m"
    return (_SECONDS[unit], "s") if unit in _SECONDS else (1.0, "")

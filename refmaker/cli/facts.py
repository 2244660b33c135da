"""What a description says besides the tree, in lines: coordinates, places, images, files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refmaker.cli.output import counted, human_size

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

__all__ = [
    "coordinate_lines",
    "file_lines",
    "image_lines",
    "lies_within",
    "number",
    "place_lines",
    "size_line",
]

_HOUR = 3600
_LISTED = 12
"""Values that are listed one by one."""
_FILES = 20
"""Files that are listed one by one."""
_MORE = 16
"""Coordinates, places, images that are listed one by one."""


def number(value: Any, digits: int = 10) -> str:
    """Return a number as people read it, a text as it is."""
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def coordinate_lines(
    content: Mapping[str, Any], hidden: Collection[str], *, every: bool
) -> Iterator[str]:
    """Yield where coordinates begin and end; those that several groups have alike once."""
    alike: dict[tuple[str, str], list[str]] = {}
    for span in content["spans"]:
        if lies_within(span["path"], hidden):
            continue
        alike.setdefault((_name(span["path"]), _span(span)), []).append(span["path"])
    lines = []
    for (_, text), (path, *others) in alike.items():
        again = f"  (and in {counted(len(others), 'other place')})" if others else ""
        lines.append(f"  {path}  {text}{again}")
    lines += [f"  {entry['path']}  not read: {entry['why']}" for entry in content["unread"]]
    if lines:
        yield "coordinates:"
        yield from _cut(lines, every=every)


def _span(span: Mapping[str, Any]) -> str:
    """Return first, last and distance of a coordinate, or all of few levels, in words."""
    units = f" {span['units']}" if span["units"] not in ("", "1") else ""
    first, last = span["first"], span["last"]
    if first is None:
        text = f"{number(span['min'])} .. {number(span['max'])}{units}"
    elif span["role"] == "vertical" and span["values"] and 1 < span["size"] <= _LISTED:
        text = f"{', '.join(map(number, span['values']))}{units}"
    elif span["size"] == 1:
        text = f"{number(first)}{units}"
    else:
        text = f"{number(first)} .. {number(last)}{units}"
        if span["min"] not in (first, last, None) or span["max"] not in (first, last, None):
            text += f", from {number(span['min'])} to {number(span['max'])} in all"
    if span["step"] is not None and span["size"] > 2:
        step, unit = abs(span["step"]), span["step_units"]
        if unit == "seconds" and step % _HOUR == 0:
            step, unit = step / _HOUR, "hours"
        text += f", every {number(step)} {'' if unit == span['units'] else unit}".rstrip()
    calendar = f", {span['calendar']} calendar" if span["calendar"] else ""
    return text + calendar + (f" ({span['note']})" if span["note"] else "")


def place_lines(
    content: Mapping[str, Any], hidden: Collection[str], *, every: bool
) -> Iterator[str]:
    """Yield reference systems and extents; of smaller copies of an image none."""
    lines = []
    for place in content["places"]:
        if not all(lies_within(path, hidden) for path in place["arrays"]):
            lines += [f"  {line}" for line in _place(place)]
    lines = list(dict.fromkeys(lines))
    if lines:
        yield "place:"
        yield from _cut(lines, every=every)


def _place(place: Mapping[str, Any]) -> Iterator[str]:
    crs = place["crs"]
    if crs is not None:
        yield f"reference system {crs['label']}"
    globe = place["latitude"], place["longitude"]
    if place["bounds"] is not None and [place["bounds"][1::2], place["bounds"][::2]] != list(globe):
        x0, y0, x1, y1 = map(number, place["bounds"])
        units = f" {place['units']}" if place["units"] else ""
        cells = ""
        if place["resolution"] is not None:
            cells = f", cells of {' x '.join(number(abs(one)) for one in place['resolution'])}"
        kind = "edges" if place["bounds_of"] == "edges" else "centres"
        turned = place["geotransform"] or [0] * 6
        cells += ", rotated" if turned[2] or turned[4] else ""
        yield f"x {x0} .. {x1}, y {y0} .. {y1}{units} ({kind} of cells){cells}"
    if None not in globe:
        (south, north), (west, east) = globe
        parts = f"latitude {number(south)} .. {number(north)}"
        yield f"{parts}, longitude {number(west)} .. {number(east)}"


def image_lines(content: Mapping[str, Any], *, every: bool) -> Iterator[str]:
    """Yield levels of images and how voxels lie."""
    lines = [_image(image) for image in content["images"] if len(image["levels"]) > 1]
    lines = list(dict.fromkeys(lines))  # a mask has the levels of its image
    if lines:
        yield "levels:"
        yield from _cut(lines, every=every)
    lines = [_volume(volume) for volume in content["volumes"]]
    if lines:
        yield "voxels:"
        yield from _cut(lines, every=every)


def _image(image: Mapping[str, Any]) -> str:
    sizes = [" x ".join(map(str, level["shape"])) for level in image["levels"]]
    names = ", ".join(image["levels"][0]["dimensions"] or ())
    order = f" ({names})" if names else ""
    scale = image["levels"][0]["scale"]
    pixel = ""
    if scale is not None and len(image["axes"]) == len(scale):
        steps = [
            f"{axis['name']} {number(step)} {axis['unit']}".rstrip()
            for axis, step in zip(image["axes"], scale, strict=True)
            if axis["type"] == "space"
        ]
        pixel = f", pixels of {', '.join(steps)}" if steps else ""
    return f"  {image['path']}  {', '.join(sizes)}{order}{pixel}"


def _volume(volume: Mapping[str, Any]) -> str:
    parts = []
    unknown = "uneven" if volume["even"] is False else "?"
    towards = volume["towards"] or [""] * len(volume["dimensions"])
    for name, step, where in zip(volume["dimensions"], volume["spacing"], towards, strict=True):
        distance = unknown if step is None else f"{step:.6g} {volume['unit'] or ''}".rstrip()
        parts.append(f"{name} {distance}" + (f" to {where}" if where else ""))
    oblique = ", oblique" if volume["oblique"] else ""
    return f"  {volume['path']}  {', '.join(parts)}{oblique}"


def file_lines(targets: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the files that chunks lie in, the first of them one by one."""
    if targets:
        yield "files:"
    for target in targets[:_FILES]:
        whole = "" if target["size"] is None else f" of {human_size(target['size'])}"
        amount = f"{counted(target['chunks'], 'chunk')}, {human_size(target['bytes'])}{whole}"
        yield f"  {target['url']}  {amount}"
    if len(targets) > _FILES:
        rest = targets[_FILES:]
        amount = f"{counted(sum(t['chunks'] for t in rest), 'chunk')}, "
        amount += human_size(sum(t["bytes"] for t in rest))
        yield f"  and {counted(len(rest), 'more file')}  {amount}  (--json lists all)"


def size_line(content: Mapping[str, Any]) -> str:
    """Return how much is stored, and what decodes it."""
    ratio = content["nbytes"] / content["stored"]
    sizes = f"{human_size(content['nbytes'])} of values in {human_size(content['stored'])}"
    return f"size: {sizes} stored ({ratio:.2g} : 1)"


def lies_within(path: str, homes: Collection[str]) -> bool:
    """Whether an array is one of these nodes, or lies in one."""
    while path and homes:
        if path in homes:
            return True
        path = path.rpartition("/")[0]
    return False


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _cut(lines: Sequence[str], *, every: bool) -> Iterator[str]:
    if every or len(lines) <= _MORE:
        yield from lines
        return
    yield from lines[: _MORE - 1]
    yield f"  ... and {len(lines) - _MORE + 1:,} more (-a shows all)"

"""Volumes, places and diffusion of MR series, side by side with dcm2niix.

Takes folders of DICOM files (``--sets``, or the environment variable ``REFMAKER_DICOM_SETS``), such
as the validation sets ``neurolabusc/dcm_qa*``, and prints one row for each image: how many volumes
of dcm2niix are equal to one of refmaker's bit for bit and whether they come in the same order,
the largest distance between the places that both give to the corners, and the largest differences
of b-values and of directions. dcm2niix must be installed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_WHOLE = 1e-2
"""How far an index of one tool may be from an index of the other, in voxels."""


@dataclass
class Image:
    """One array of refmaker, volumes along its first axis."""

    name: str
    shape: tuple[int, ...]
    names: tuple[str, ...]
    volumes: NDArray[Any]
    affine: NDArray[np.float64] | None
    attributes: dict[str, Any]
    beside: dict[str, NDArray[Any]]
    seen: list[int] = field(default_factory=list)


@dataclass
class Row:
    """What one image of a folder comes to."""

    folder: str
    image: str
    dimensions: str
    volumes: str
    ordered: bool
    distance: float | None
    b_value: float | None
    b_vector: float | None
    slice_time: float | None
    note: str = ""


def leaves(root: Path) -> Iterator[Path]:
    """Yield the folders that hold files of DICOM."""
    for folder, _, names in os.walk(root):
        paths = [Path(folder) / name for name in names]
        if any(is_dicom(path) for path in paths):
            yield Path(folder)


def is_dicom(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def scanned(folder: Path) -> list[Image]:
    """Return the images of a folder as refmaker finds them."""
    from refmaker.scanners.dicom import DICOMScanner
    from refmaker.scanning.options import ScanOptions
    from refmaker.testing import open_stock

    paths = sorted(str(path) for path in folder.iterdir() if path.is_file() and is_dicom(path))
    group, _ = DICOMScanner().collect(paths, None, ScanOptions())
    stock = open_stock(group)
    found = []
    for path, array in group.arrays():
        name = path.rpartition("/")[2]
        if not name.startswith("image") or len(array.shape) < 3 or array.shape[-1] == 3:
            continue
        suffix = name.removeprefix("image")
        parent = path.rpartition("/")[0]
        beside = {}
        for key in ("b_value", "b_vector", "slice_time"):
            other = f"{parent}/{key}{suffix}".lstrip("/")
            if other in stock:
                dims = tuple(n.removesuffix(suffix) for n in group[other].dimension_names or ())
                names = tuple(n.removesuffix(suffix) for n in array.dimension_names or ())
                beside[key] = spread(np.asarray(stock[other][...]), dims, names, array.shape)
        affine = array.attributes.get("affine_ras")
        values = np.asarray(stock[path][...])
        found.append(
            Image(
                path,
                array.shape,
                tuple(array.dimension_names or ()),
                values.reshape(-1, *values.shape[-3:]),
                None if affine is None else np.array(affine),
                dict(array.attributes),
                beside,
            )
        )
    return found


def spread(
    values: NDArray[Any], dims: tuple[str, ...], names: tuple[str, ...], shape: tuple[int, ...]
) -> NDArray[Any]:
    """Return a coordinate for every volume (and slice, and component where it has these)."""
    lead = [(name, extent) for name, extent in zip(names[:-3], shape[:-3], strict=True)]
    own = [name for name, _ in lead if name in dims]
    index = [slice(None) if name in own else None for name, _ in lead]
    rest = values.shape[len(own) :]
    full = values[tuple(index)] if lead else values
    count = int(np.prod([extent for _, extent in lead], dtype=int))
    return np.broadcast_to(full, (*(extent for _, extent in lead), *rest)).reshape(count, *rest)


def converted(folder: Path, out: Path) -> list[tuple[str, Any, dict[str, Any]]]:
    """Return the images that dcm2niix writes, with what stands beside them."""
    import nibabel

    command = ["dcm2niix", "-b", "y", "-z", "n", "-d", "0", "-w", "2", "-f", "%s_%p_%e"]
    ended = subprocess.run(
        [*command, "-o", str(out), str(folder)], capture_output=True, text=True, check=False
    )
    (out / "log.txt").write_text(ended.stdout + ended.stderr)
    found = []
    for path in sorted(out.glob("*.nii")):
        beside: dict[str, Any] = {}
        told = path.with_suffix(".json")
        if told.exists():
            beside["json"] = json.loads(told.read_text(errors="replace"))
        for kind in ("bval", "bvec"):
            text = path.with_suffix(f".{kind}")
            if text.exists():
                beside[kind] = np.atleast_2d(np.loadtxt(text))
        found.append((path.name, nibabel.load(path), beside))
    return found


def turned(image: Any, reference: Image) -> tuple[NDArray[Any], float] | None:
    """Return the volumes of a NIfTI image in refmaker's axes, and the largest distance (mm)."""
    if reference.affine is None:
        return None
    values = np.asarray(image.dataobj.get_unscaled())
    if values.dtype.names or values.ndim < 3:
        return None
    values = values.reshape(*values.shape[:3], -1, order="F")
    to_theirs = np.linalg.inv(image.affine) @ reference.affine
    turn = np.rint(to_theirs[:3, :3]).astype(int)
    if not (np.abs(turn).sum(axis=0) == 1).all() or not (np.abs(turn).sum(axis=1) == 1).all():
        return None
    order = [int(np.abs(turn[:, k]).argmax()) for k in range(3)]
    theirs = values.transpose(3, *order)
    if theirs.shape[1:] != reference.shape[-3:]:
        return None
    for k in range(3):
        if turn[order[k], k] < 0:
            theirs = np.flip(theirs, axis=k + 1)
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in reference.shape[-3:]])).reshape(3, -1)
    ones = np.ones((1, corners.shape[1]))
    ours = np.concatenate([corners, ones])
    offset = np.where(turn.sum(axis=1) < 0, np.array(values.shape[:3]) - 1, 0)
    mapped = turn @ corners + offset[:, None]
    exact = to_theirs @ ours
    if np.abs(exact[:3] - mapped).max() > 0.5:
        return None
    away = (reference.affine @ ours) - (image.affine @ np.concatenate([mapped, ones]))
    return theirs, float(np.linalg.norm(away[:3], axis=0).max())


def compare(folder: Path, shown: str, out: Path) -> list[Row]:
    """Return one row for each image of a folder."""
    ours = scanned(folder)
    theirs = converted(folder, out)
    rows = []
    used: set[str] = set()
    for image in ours:
        known: dict[bytes, list[int]] = {}
        for number, volume in enumerate(image.volumes.astype(np.int64)):
            known.setdefault(volume.tobytes(), []).append(number)
        equal = total = 0
        ordered, distance, names = True, None, []
        worst: dict[str, float | None] = {"b_value": None, "b_vector": None, "slice_time": None}
        for name, nifti, beside in theirs:
            found = turned(nifti, image)
            if found is None:
                continue
            volumes, away = found
            at: list[int | None] = []
            for number, volume in enumerate(volumes.astype(np.int64)):
                spots = known.get(np.ascontiguousarray(volume).tobytes(), [])
                # Equal volumes are all of them found.
                image.seen += spots
                at.append(best(image, number, spots, at, beside))
            hits = [spot for spot in at if spot is not None]
            if not hits:
                continue
            used.add(name)
            names.append(name)
            total += len(at)
            equal += len(hits)
            ordered &= hits == sorted(hits)
            distance = max(distance or 0.0, away)
            differences(image, at, nifti, beside, worst)
        count = len(image.volumes)
        rows.append(
            Row(
                shown,
                image.name,
                " ".join(f"{n}:{s}" for n, s in zip(image.names, image.shape, strict=True)),
                f"{len(set(image.seen))}/{count} ours, {equal}/{total} theirs",
                ordered,
                distance,
                **worst,
                note="" if names else ("no affine" if image.affine is None else "not converted"),
            )
        )
    for name, nifti, _ in theirs:
        if name not in used:
            rows.append(
                Row(
                    shown,
                    f"({name})",
                    str(nifti.shape),
                    "",
                    True,
                    None,
                    None,
                    None,
                    None,
                    "of dcm2niix alone",
                )
            )
    return rows


def best(
    image: Image, number: int, spots: list[int], taken: list[int | None], beside: dict[str, Any]
) -> int | None:
    """Return which of several equal volumes is meant: by its direction, or else the next one."""
    left = [spot for spot in spots if spot not in taken] or spots
    if not left:
        return None
    if len(left) > 1 and "bvec" in beside and "b_vector" in image.beside:
        wanted = np.array([*beside["bvec"].T[number], beside["bval"].reshape(-1)[number]])
        ours = np.column_stack([gradients(image), image.beside["b_value"]])
        return min(left, key=lambda spot: float(np.abs(np.nan_to_num(ours[spot]) - wanted).max()))
    later = [spot for spot in left if not taken or spot > (taken[-1] or 0)]
    return (later or left)[0]


def gradients(image: Image) -> NDArray[np.float64]:
    """Return the directions of an image along rows, against columns, and along the normal."""
    direction = np.array(image.attributes["direction"])
    row, column = direction[:, 2], direction[:, 1]
    return image.beside["b_vector"] @ np.stack([row, -column, np.cross(row, column)]).T


def differences(
    image: Image,
    at: list[int | None],
    nifti: Any,
    beside: dict[str, Any],
    worst: dict[str, float | None],
) -> None:
    """Note the largest differences of what is said of volumes."""
    pairs = [(k, spot) for k, spot in enumerate(at) if spot is not None]
    if not pairs:
        return
    theirs, ours = (np.array(part) for part in zip(*pairs, strict=True))

    def note(key: str, values: NDArray[np.float64]) -> None:
        known = values[np.isfinite(values)]
        if known.size:
            worst[key] = max(worst[key] or 0.0, float(np.abs(known).max()))

    if "bval" in beside and "b_value" in image.beside:
        note("b_value", image.beside["b_value"][ours] - beside["bval"].reshape(-1)[theirs])
    if "bvec" in beside and "b_vector" in image.beside:
        # A direction and its opposite are not the same here.
        note("b_vector", gradients(image)[ours] - beside["bvec"].T[theirs])
    times = beside.get("json", {}).get("SliceTiming")
    if times and "slice_time" in image.beside:
        mine = image.beside["slice_time"][ours[0]] / 1000
        flip = (
            image.affine is not None
            and float((np.linalg.inv(nifti.affine) @ image.affine)[2, 0]) < 0
        )
        other = np.array(times)[::-1] if flip else np.array(times)
        if mine.shape == other.shape:
            note("slice_time", mine - other)


def shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.2g}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    given = os.environ.get("REFMAKER_DICOM_SETS", "")
    parser.add_argument(
        "--sets", type=Path, nargs="*", default=[Path(p) for p in given.split(os.pathsep) if p]
    )
    parser.add_argument("--only", default="", help="folders with this in their path")
    parser.add_argument("--json", action="store_true", help="print one JSON record a row instead")
    chosen = parser.parse_args()
    if not chosen.sets:
        parser.error("no folders of sets: --sets, or REFMAKER_DICOM_SETS")
    for root in chosen.sets:
        for folder in sorted(leaves(root)):
            name = str(folder.relative_to(root.parent))
            if chosen.only not in name:
                continue
            with tempfile.TemporaryDirectory() as out:
                try:
                    rows = compare(folder, name, Path(out))
                except Exception as error:  # noqa: BLE001 - one folder never costs the others
                    rows = [
                        Row(
                            name,
                            "",
                            "",
                            "",
                            False,
                            None,
                            None,
                            None,
                            None,
                            f"failed: {type(error).__name__}: {error}",
                        )
                    ]
            for row in rows:
                if chosen.json:
                    print(json.dumps(vars(row)))
                    continue
                order = "in order" if row.ordered else "in another order"
                print(
                    f"{row.folder} {row.image} ({row.dimensions}): {row.volumes} {order}, "
                    f"{shown(row.distance)} mm, b {shown(row.b_value)}, "
                    f"vector {shown(row.b_vector)}, times {shown(row.slice_time)} {row.note}",
                    flush=True,
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())

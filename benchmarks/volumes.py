"""Scanning volumes and N5 containers, beside the libraries that read them.

Every tool works on every input in processes of its own, imports included; CPU seconds of all
threads, the least of several runs. *header* is the library's own reading of what an array is,
without its values; *values* is its reading of all of them, as a yardstick; *VirtualiZarr* is its
parser, where it has one for the format.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measure import run

if TYPE_CHECKING:
    from collections.abc import Callable

SIDE = 256
"""Elements along each edge of a volume."""
COUNT = 10_000
"""Blocks of the N5 container."""


def make_nifti(path: Path, side: int, _: int) -> None:
    import nibabel

    nibabel.save(nibabel.Nifti1Image(_volume(side), None), path)


def make_mrc(path: Path, side: int, _: int) -> None:
    import mrcfile

    with mrcfile.new(path) as file:
        file.set_data(_volume(side))


def make_nrrd(path: Path, side: int, _: int) -> None:
    import nrrd

    nrrd.write(str(path), _volume(side), {"encoding": "raw"})


def make_envi(path: Path, side: int, _: int) -> None:
    from spectral.io import envi

    told = {"map info": ["UTM", "1", "1", "5e5", "4e6", "30", "30", "11", "North", "WGS-84"]}
    envi.save_image(str(path), _volume(side), metadata=told, ext="img")


def make_n5(path: Path, _: int, count: int) -> None:
    import numpy as np
    import tensorstore

    side = max(2, round(count**0.5))
    spec = {
        "driver": "n5",
        "kvstore": {"driver": "file", "path": f"{path.parent}/"},
        "metadata": {
            "dimensions": [4 * side] * 2, "blockSize": [4, 4], "dataType": "uint16",
            "compression": {"type": "gzip"},
        },
        "create": True,
    }  # fmt: skip
    values = np.random.default_rng(0).integers(0, 99, [4 * side] * 2).astype("u2")
    tensorstore.open(spec).result()[...].write(values).result()


def _volume(side: int) -> Any:
    import numpy as np

    return np.random.default_rng(0).integers(0, 1000, (side,) * 3).astype("i2")


INPUTS = {
    "nifti": ("x.nii", make_nifti),
    "mrc": ("x.mrc", make_mrc),
    "nrrd": ("x.nrrd", make_nrrd),
    "envi": ("x.hdr", make_envi),
    "n5": ("attributes.json", make_n5),
}


def refmaker_scan(path: str, _: str) -> Any:
    from refmaker.scanning.one_file import scan

    return next(array.shape for _, array in scan(path)[0].arrays())


def library_header(path: str, kind: str) -> Any:
    return _opened(path, kind).shape


def library_values(path: str, kind: str) -> Any:
    import numpy as np

    return np.array(_opened(path, kind)).shape


def _opened(path: str, kind: str) -> Any:
    """Return what the format's own library gives as an array, its values unread where it can."""
    if kind == "nifti":
        import nibabel

        return nibabel.load(path).dataobj
    if kind == "mrc":
        import mrcfile

        return mrcfile.mmap(path, mode="r").data
    if kind == "nrrd":
        import nrrd

        return nrrd.read(path)[0]
    if kind == "envi":
        from spectral.io import envi

        return envi.open(path).open_memmap()
    import tensorstore

    store = {"driver": "file", "path": f"{Path(path).parent}/"}
    return tensorstore.open({"driver": "n5", "kvstore": store}, read=True).result()


def virtualizarr_scan(path: str, _: str) -> Any:
    from obspec_utils.registry import ObjectStoreRegistry
    from obstore.store import LocalStore
    from virtualizarr.parsers import ENVIParser

    data = Path(path).with_suffix(".img")
    found = ENVIParser()(f"file://{data}", ObjectStoreRegistry({"file://": LocalStore()}))
    return next(iter(found._group.arrays.values())).shape  # noqa: SLF001 - nothing else tells


TOOLS: dict[str, Callable[[str, str], Any]] = {
    "refmaker": refmaker_scan,
    "header": library_header,
    "values": library_values,
    "virtualizarr": virtualizarr_scan,
}


def measured(tool: str, kind: str, path: Path, repeat: int) -> float | None:
    """Return CPU seconds of a whole process; None if the tool fails."""
    try:
        return min(run("volumes.py", "--child", tool, kind, path)[1] for _ in range(repeat))
    except RuntimeError:
        return None


def main() -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "volumes")
    parser.add_argument("--side", type=int, default=SIDE, help="elements along each edge")
    parser.add_argument("--count", type=int, default=COUNT, help="blocks of the N5 container")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each whole process")
    parser.add_argument("--only", action="append", choices=INPUTS, help="an input, several times")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.child:
        warnings.simplefilter("ignore")
        tool, kind, path = given.child
        print(json.dumps(list(TOOLS[tool](path, kind))))
        return 0
    # Modules are compiled once, as those of installed packages are.
    os.environ["PYTHONPYCACHEPREFIX"] = str(given.folder / "bytecode")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    rows = []
    for kind, (name, make) in INPUTS.items():
        if given.only and kind not in given.only:
            continue
        path = given.folder / f"{kind}-{given.side}-{given.count}" / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            make(path, given.side, given.count)
        tools = [tool for tool in TOOLS if tool != "virtualizarr" or kind == "envi"]
        found = {tool: measured(tool, kind, path, given.repeat) for tool in tools}
        rows.append({"input": kind, **found})
    if given.json:
        print(json.dumps(rows))
        return 0
    print("| input | refmaker | header | ratio | values | ratio | VirtualiZarr | ratio |")
    print("|---" * 8 + "|")
    for row in rows:
        cells = [row["input"], f"{row['refmaker']:.3f}"]
        for tool in ("header", "values", "virtualizarr"):
            peer = row.get(tool)
            cells += ["", ""] if tool not in row else ["fails", ""]
            if peer is not None:
                cells[-2:] = [f"{peer:.3f}", f"{peer / row['refmaker']:.1f}"]
        print("| " + " | ".join(cells) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())

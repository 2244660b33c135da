"""Reading DICOM headers and whole series, side by side with pydicom and SimpleITK.

Each task runs in a process of its own, after a warm-up on one file. CPU seconds count; what
reaches the targets is marked PASS, what does not FALLS SHORT.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measure import run

if TYPE_CHECKING:
    from collections.abc import Callable

SLICES, FRAMES, REMOTE, VOLUMES, MOSAICS = 3000, 2000, 1000, 500, 20
POSITION = 0x00200032


def slices(folder: str) -> list[str]:
    return sorted(str(path) for path in Path(folder).glob("*.dcm"))


def headers(paths: list[str], out: str) -> int:  # noqa: ARG001 - every task takes both
    """Read the headers, keeping what a scan wants."""
    from refmaker.scanners.dicom.header import Header, read_headers
    from refmaker.scanners.dicom.parsed_tags import PARSED_TAGS

    return sum(isinstance(found, Header) for found in read_headers(paths, None, PARSED_TAGS))


def directory(paths: list[str], out: str) -> int:
    """Scan files to one JSON file, and return how many chunks it names."""
    from refmaker.scanners.dicom import DICOMScanner
    from refmaker.scanning.options import ScanOptions
    from refmaker.storage.reference_set import ReferenceSet

    group, report = DICOMScanner().collect(paths, None, ScanOptions())
    ReferenceSet(group, report).write(out)
    return max(array.chunks.present for _, array in group.arrays())


def pydicom_headers(paths: list[str], out: str) -> int:  # noqa: ARG001
    import pydicom

    return sum(bool(pydicom.dcmread(path, stop_before_pixels=True)) for path in paths)


def pydicom_frames(paths: list[str], out: str) -> int:  # noqa: ARG001
    """Read the header, and the position of every frame."""
    import pydicom

    (path,) = paths
    made = pydicom.dcmread(path, stop_before_pixels=True)
    groups = made.PerFrameFunctionalGroupsSequence
    return len([item.PlanePositionSequence[0].ImagePositionPatient for item in groups])


def our_frames(paths: list[str], out: str) -> int:  # noqa: ARG001
    """Read the header, and the elements of every frame."""
    from refmaker.scanners.dicom.header import read_headers

    (header,) = read_headers(paths)
    plane, count = 0x00209113, 0
    for item in header.iter_items(0x52009230):  # type: ignore[union-attr]
        (inner,) = item.iter_items(plane)
        count += inner.numbers(POSITION, 3) is not None
    return count


def simpleitk_series(paths: list[str], out: str) -> int:  # noqa: ARG001
    """Find the series of a folder, and the order of its slices."""
    import SimpleITK

    reader = SimpleITK.ImageSeriesReader()
    folder = os.path.dirname(paths[0])
    return sum(
        len(reader.GetGDCMSeriesFileNames(folder, series))
        for series in reader.GetGDCMSeriesIDs(folder)
    )


TASKS: dict[str, Callable[[list[str], str], int]] = {
    "headers": headers,
    "directory": directory,
    "pydicom-headers": pydicom_headers,
    "pydicom-frames": pydicom_frames,
    "our-frames": our_frames,
    "simpleitk-series": simpleitk_series,
}


def child(task: str, where: str, out: str) -> dict[str, float]:
    """Run one task in this process."""
    paths = slices(where) if os.path.isdir(where) else [where]
    call = TASKS[task]
    if task != "simpleitk-series":
        call(paths[:1], out)
    started, wall = time.process_time(), time.perf_counter()
    count = call(paths, out)
    return {
        "count": count,
        "cpu": time.process_time() - started,
        "wall": time.perf_counter() - wall,
    }


def requests(folder: Path, count: int) -> dict[str, int]:
    """Scan files of a web server on this machine as a whole command; return what it was asked."""
    from refmaker.testing.http import RangeServer

    names = [os.path.basename(path) for path in slices(str(folder))[:count]]
    with RangeServer(folder) as server, tempfile.TemporaryDirectory() as where:
        listed, out = os.path.join(where, "list.txt"), os.path.join(where, "out.json")
        Path(listed).write_text("\n".join(map(server.url, names)))
        call = [sys.executable, "-m", "refmaker", "scan", f"@{listed}", "-o", out, "--json"]
        # The record of the set comes first, the summary after it.
        done = subprocess.run(call, check=True, capture_output=True)
        told = json.loads(done.stdout.splitlines()[0])
        asked = {**server.counts.requests, "bodies": server.counts.bodies}
    return {"files": len(names), "referenced": told["referenced"], **asked}


def scan_command(folder: Path, out: Path) -> float:
    """Scan a folder by the command line, bytecode cached; return CPU seconds of the process."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(out.with_name("bytecode"))}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    call = [
        sys.executable,
        "-m",
        "refmaker",
        "scan",
        str(folder),
        "-o",
        str(out),
        "--overwrite",
        "--quiet",
    ]
    process = subprocess.Popen(call, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(call)} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def volumes_right(refs: Path, volumes: int) -> bool:
    """Tell whether the array of the enhanced volumes holds what was written."""
    import numpy as np
    import zarr

    import refmaker

    image: Any = zarr.open_group(refmaker.open_store(str(refs)), mode="r")["image"]
    if image.shape != (volumes, 36, 16, 16):
        return False
    true = np.arange(36 * 256).reshape(36, 16, 16) * 7
    numbers = range(0, volumes, max(1, volumes // 8))
    return all(np.array_equal(image[v], (true + 1000 * v) & 0xFFFF) for v in numbers)


def mosaic_read(folder: Path, repeat: int) -> dict[str, float]:
    """Decode volumes of mosaics, and count the requests that reading one takes."""
    import numcodecs
    import numpy as np
    import zarr

    import refmaker
    from refmaker.scanners.dicom import DICOMScanner
    from refmaker.scanning.options import ScanOptions
    from refmaker.testing.http import RangeServer

    with RangeServer(folder) as server:
        names = [os.path.basename(path) for path in slices(str(folder))]
        refs = refmaker.scan([server.url(name) for name in names])
        image: Any = zarr.open_group(refmaker.open_store(refs), mode="r")["image"]
        before = server.counts.requests["GET"]
        volume = np.asarray(image[1])
        asked = server.counts.requests["GET"] - before
    if volume.shape != (36, 64, 64):
        raise RuntimeError(f"a volume of {volume.shape}")
    group, _ = DICOMScanner().collect(slices(str(folder)), None, ScanOptions())
    codec = numcodecs.get_codec(dict(group["image"].compressor))
    raw = Path(slices(str(folder))[0]).read_bytes()[-384 * 384 * 2 :]
    codec.decode(raw)
    started = time.process_time()
    for _ in range(20 * repeat):
        np.ascontiguousarray(codec.decode(raw))
    return {"requests": asked, "cpu": (time.process_time() - started) / (20 * repeat)}


class Bench:
    """Makes the inputs and runs the tasks on them."""

    def __init__(self, folder: Path, scale: float, repeat: int) -> None:
        self.count = max(8, round(SLICES * scale))
        self.frames = max(8, round(FRAMES * scale))
        self.series = folder / f"series-{self.count}"
        self.enhanced = folder / f"enhanced-{self.frames}.dcm"
        self.volume_count = max(8, round(VOLUMES * scale))
        self.volumes = folder / f"volumes-{self.volume_count}"
        self.mosaics = folder / f"mosaics-{MOSAICS}"
        self.out = folder / "dicom.json"
        self.repeat = repeat
        if len(slices(str(self.series))) != self.count:
            run("dicom_files.py", "series", self.series, self.count)
        if len(slices(str(self.volumes))) != self.volume_count:
            run("dicom_files.py", "volumes", self.volumes, self.volume_count)
        if len(slices(str(self.mosaics))) != MOSAICS:
            run("dicom_files.py", "mosaics", self.mosaics, MOSAICS)
        if not self.enhanced.exists():
            run("dicom_files.py", "enhanced", self.enhanced, self.frames)

    def best(self, task: str, where: Path) -> dict[str, Any]:
        """Return the run that took least CPU time."""
        runs = [
            json.loads(run("dicom.py", "--child", task, where, self.out)[0].splitlines()[-1])
            for _ in range(self.repeat)
        ]
        return min(runs, key=lambda found: float(found["cpu"]))


def target(text: str, value: float, least: float | None, most: float | None) -> dict[str, Any]:
    passed = (least is None or value >= least) and (most is None or value <= most)
    return {"text": text, "value": value, "least": least, "most": most, "passed": passed}


def measured(bench: Bench, *, peers: bool) -> dict[str, Any]:
    found = {
        "headers": bench.best("headers", bench.series),
        "directory": bench.best("directory", bench.series),
        "frames": bench.best("our-frames", bench.enhanced),
        "enhanced": bench.best("directory", bench.enhanced),
    }
    asked = requests(bench.series, min(REMOTE, bench.count))
    refs = bench.out.with_name("volumes.json")
    # The first run writes bytecode.
    scan_command(bench.volumes, refs)
    joined = min(scan_command(bench.volumes, refs) for _ in range(bench.repeat))
    if not volumes_right(refs, bench.volume_count):
        raise RuntimeError("the volumes are not what was written")
    mosaics = mosaic_read(bench.mosaics, bench.repeat)
    targets = [
        target("enhanced volumes, CPU s of the whole command", joined, None, 0.8),
        target("enhanced volumes, MB of the set", refs.stat().st_size / 1e6, None, 1.0),
        target("a volume of a mosaic, ms of decoding", mosaics["cpu"] * 1e3, None, 1.5),
        target("a volume of a mosaic, requests", mosaics["requests"], None, 1),
        target("headers a CPU second", bench.count / found["headers"]["cpu"], 3000, None),
        target(
            "requests for each remote object of a whole scan",
            asked.get("GET", 0) / asked["files"],
            None,
            1,
        ),
        target("HEAD requests", asked.get("HEAD", 0), None, 0),
    ]
    if peers:
        found["pydicom-headers"] = bench.best("pydicom-headers", bench.series)
        found["pydicom-frames"] = bench.best("pydicom-frames", bench.enhanced)
        found["simpleitk-series"] = bench.best("simpleitk-series", bench.series)
        pydicom, whole = found["pydicom-headers"]["cpu"], found["directory"]["cpu"]
        targets += [
            target("pydicom's headers, in times of a whole directory", pydicom / whole, 8, None),
            target(
                "SimpleITK's discovery, in times of a whole directory",
                found["simpleitk-series"]["cpu"] / whole,
                1,
                None,
            ),
            target(
                "pydicom's frame positions, in times of ours",
                found["pydicom-frames"]["cpu"] / found["frames"]["cpu"],
                8,
                None,
            ),
        ]
    return {"runs": found, "requests": asked, "targets": targets}


def show(found: dict[str, Any], bench: Bench) -> None:
    print(
        f"{bench.count} slices, {bench.frames} enhanced frames; Python {platform.python_version()}"
    )
    for name, one in found["runs"].items():
        print(f"  {name:18} {one['cpu']:8.3f} s CPU {one['wall']:8.3f} s   {one['count']} objects")
    print(f"  remote: {found['requests']}")
    for one in found["targets"]:
        bound = (
            f"at least {one['least']:g}" if one["least"] is not None else f"at most {one['most']:g}"
        )
        verdict = "PASS       " if one["passed"] else "FALLS SHORT"
        print(f"  {verdict} {one['text']}: {one['value']:,.4g} ({bound})")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    kept = Path(tempfile.gettempdir()) / "refmaker-benchmarks"
    parser.add_argument("--folder", type=Path, default=kept, help="of inputs, kept for reuse")
    parser.add_argument("--scale", type=float, default=1, help="size of the inputs (default: 1)")
    parser.add_argument("--no-peers", action="store_true", help="refmaker alone")
    parser.add_argument("--repeat", type=int, default=3, help="runs; the best counts (default: 3)")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead")
    parser.add_argument("--check", action="store_true", help="fail if anything falls short")
    parser.add_argument("--child", nargs=3, metavar=("TASK", "INPUT", "OUTPUT"), help="internal")
    chosen = parser.parse_args()
    if chosen.child:
        print(json.dumps(child(*chosen.child)))
        return 0
    bench = Bench(chosen.folder, chosen.scale, chosen.repeat)
    found = measured(bench, peers=not chosen.no_peers)
    if chosen.json:
        print(json.dumps(found))
    else:
        show(found, bench)
    return 1 if chosen.check and not all(one["passed"] for one in found["targets"]) else 0


if __name__ == "__main__":
    sys.exit(main())

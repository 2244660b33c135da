"""Many files as one tree: an archive scanned, made of cached parts, appended to, and viewed.

Run as ``python benchmarks/grib_joined.py STEP WARM_UP SET FILE OUT`` it does one step in this
process, after doing it once to something small, and prints what it took: ``append`` FILE to a copy
of SET, or ``best``, the view of SET; of a peer, ``kerchunk`` or ``gribberish``, scanning FILE.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["joined"]

RUNS, HOURS = 4, 41
MANY = 90
"""Runs of the archive whose parts are cached."""


def command(*arguments: object, cache: Path) -> dict[str, float]:
    """Run ``refmaker``; return CPU seconds of the process tree, and its largest resident size."""
    call = [sys.executable, "-m", "refmaker", *map(str, arguments), "--quiet"]
    environment = {**os.environ, "REFMAKER_CACHE_DIR": str(cache)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    process = subprocess.Popen(call, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(call)} ended with {process.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak": usage.ru_maxrss * unit / 1024**2,
    }


def least(times: int, *arguments: object, cache: Path, out: Path) -> dict[str, float]:
    """Run a command several times; return the time that took the least CPU."""
    found = []
    for _ in range(times):
        out.unlink(missing_ok=True)
        found.append(command(*arguments, "-o", out, cache=cache))
    return min(found, key=lambda one: one["cpu"])


def step(name: str, *paths: Path) -> dict[str, float]:
    """Do one step in a process of its own."""
    call = [sys.executable, __file__, name, *map(str, paths)]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def joined(folder: Path, scale: float, *, peers: bool) -> dict[str, Any]:
    """Measure all steps; return what each took.

    Parameters
    ----------
    folder : Path
        Of inputs, kept for reuse.
    scale : float
        Size of the inputs.
    peers : bool
        Whether kerchunk and gribberish scan some of the files, too.
    """
    from grib_archive import write_archive

    hours = range(0, 3 * max(3, int(HOURS * scale)), 3)
    home = folder / f"joined-{len(hours)}"
    home.mkdir(exist_ok=True)
    paths = write_archive(home, RUNS, hours)
    cache, out = folder / "joined-cache", home / "set.json"
    everything = [str(path) for path in paths]
    alone = ("--no-cache", "--isolate", "never")
    found: dict[str, Any] = {
        "scan": least(3, "scan", *everything, *alone, cache=cache, out=out),
        "default": least(3, "scan", *everything, "--no-cache", cache=cache, out=home / "two.json"),
    }
    part = home / "part.json"
    least(1, "scan", *everything[:-1], *alone, cache=cache, out=part)
    found["append"] = step("append", part, out, paths[-1], home / "grown.json")
    shutil.copy(part, home / "grown.json")
    found["append command"] = command("append", home / "grown.json", paths[-1], cache=cache)
    if (home / "grown.json").read_bytes() != out.read_bytes():
        raise RuntimeError("appending gives another set than scanning all files at once")
    found["best"] = step("best", part, out, paths[-1], home / "best.json")
    many = folder / f"joined-many-{len(hours)}"
    many.mkdir(exist_ok=True)
    write_archive(many, max(4, int(MANY * scale)), hours)
    least(1, "scan", many, cache=cache, out=home / "many.json")
    found["cached"] = least(2, "scan", many, cache=cache, out=home / "many.json")
    found["fields"], found["many"] = (_fields(path) for path in (out, home / "many.json"))
    if peers:
        for peer, count in (("kerchunk", 1), ("gribberish", 3)):
            # A peer that is not installed, or fails, has no row.
            with contextlib.suppress(subprocess.CalledProcessError):
                some = [step(peer, path, path, path, path) for path in paths[1 : 1 + count]]
                found[peer] = {
                    name: sum(one[name] for one in some) for name in ("fields", "cpu")
                } | {"imports": min(one["imports"] for one in some)}  # fmt: skip
    return found


def _fields(path: Path) -> int:
    import refmaker

    return int(refmaker.read(path).group.attributes["refmaker:fields"]["found"])


def child(name: str, warm_up: str, whole: str, file: str, out: str) -> dict[str, float]:
    """Do a step in this process, and return what it took."""
    if name in ("append", "best"):
        import refmaker

        def work(first: str) -> float:
            if name == "best":
                refs = refmaker.read(first)
                begun = time.process_time()
                refmaker.best_estimate(refs)
                return time.process_time() - begun
            shutil.copy(first, out)
            begun = time.process_time()
            refmaker.append(out, [refmaker.scan(file)])
            return time.process_time() - begun

        work(warm_up)
        return {"cpu": min(work(warm_up if name == "append" else whole) for _ in range(3))}
    return _peer(name, file)


def _peer(name: str, file: str) -> dict[str, float]:
    """Scan a file with a peer, which has scanned it before."""
    if name == "kerchunk":
        from kerchunk.grib2 import scan_grib

        imports = time.process_time()
        scan_grib(file)
        begun = time.process_time()
        fields = len(scan_grib(file))
        return {"fields": fields, "cpu": time.process_time() - begun, "imports": imports}
    from gribberish.virtualizarr import GribberishParser
    from obspec_utils.registry import ObjectStoreRegistry
    from obstore.store import LocalStore

    imports = time.process_time()
    import refmaker

    registry, parse = ObjectStoreRegistry({"file://": LocalStore()}), GribberishParser()
    counted = refmaker.scan(file).group.attributes["refmaker:fields"]["found"]
    cpu = []
    for _ in range(2):
        begun = time.process_time()
        parse(f"file://{file}", registry)
        cpu.append(time.process_time() - begun)
    return {"fields": counted, "cpu": min(cpu), "imports": imports}


if __name__ == "__main__":
    print(json.dumps(child(*sys.argv[1:])))

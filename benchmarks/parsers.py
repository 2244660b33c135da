"""A million chunks to a ManifestStore: VirtualiZarr's own parser of HDF5, and refmaker's.

``python benchmarks/parsers.py`` needs Python 3.12 and the extra ``virtualizarr``. Each parser works
in a process of its own, which has parsed a tiny file before it is measured. It prints CPU seconds
and peak memory of the manifests, and of a reference set written from them as kerchunk JSON: by
VirtualiZarr's writer, and by ``refmaker.virtualizarr.from_store``. ``--check`` fails below the
targets: ten times less CPU and half of the peak.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measure import make, peak, run

CPU, PEAK = 10.0, 2.0
PARSERS = ("HDFParser", "refmaker")


def measured(name: str, warm_up: str, path: str, out: str) -> dict[str, Any]:
    import numpy as np
    from obspec_utils.registry import ObjectStoreRegistry
    from obstore.store import LocalStore
    from virtualizarr.parsers import HDFParser

    from refmaker.virtualizarr import Parser, from_store

    registry = ObjectStoreRegistry({"file://": LocalStore()})
    parser = HDFParser() if name == "HDFParser" else Parser()
    from_store(parser(f"file://{warm_up}", registry))
    before, started = peak(), time.process_time()
    store = parser(f"file://{path}", registry)
    figures: dict[str, Any] = {"cpu": time.process_time() - started, "before": before}
    figures["peak"] = peak()
    (array,) = store._group.arrays.values()  # noqa: SLF001
    manifest = array.manifest
    figures["chunks"] = int(np.count_nonzero(manifest._lengths))  # noqa: SLF001
    figures["offsets"] = int(manifest._offsets.sum())  # noqa: SLF001
    started = time.process_time()
    if name == "HDFParser":
        named = array.metadata
        if named.dimension_names is None:
            # Its writer needs names, which plain HDF5 has none of.
            object.__setattr__(named, "dimension_names", tuple("xyz"[: len(named.shape)]))
        store.to_virtual_dataset(loadable_variables=[]).vz.to_kerchunk(out, format="json")
    else:
        from_store(store).write(out)
    return figures | {"written": time.process_time() - started}


def main() -> int:
    if len(sys.argv) == 5:
        print(json.dumps(measured(*sys.argv[1:])))
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        warm_up, path = Path(scratch, "tiny.h5"), Path(scratch, "million.h5")
        make("tiny", 1, warm_up)
        make("fixed-array", 1, path)
        found = {}
        for name in PARSERS:
            printed, _ = run("parsers.py", name, warm_up, path, Path(scratch, f"{name}.json"))
            found[name] = json.loads(printed.splitlines()[-1])
    theirs, ours = (found[name] for name in PARSERS)
    if (theirs["chunks"], theirs["offsets"]) != (ours["chunks"], ours["offsets"]):
        raise SystemExit("the parsers do not find the same chunks")
    for name, figures in found.items():
        print(
            f"{name}: {figures['chunks']:,} chunks in {figures['cpu']:.2f} s of CPU, peak"
            f" {figures['peak']:.0f} MiB ({figures['before']:.0f} before); then written as JSON"
            f" in {figures['written']:.2f} s"
        )
    cpu, memory = theirs["cpu"] / ours["cpu"], theirs["peak"] / ours["peak"]
    written = theirs["written"] / ours["written"]
    print(f"times refmaker: CPU {cpu:.1f}x, peak {memory:.1f}x, written {written:.1f}x")
    return int("--check" in sys.argv and (cpu < CPU or memory < PEAK))


if __name__ == "__main__":
    sys.exit(main())

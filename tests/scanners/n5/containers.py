"""Writes N5 containers with TensorStore."""

import json

import numpy as np
import tensorstore

COMPRESSIONS = {
    "raw": {"type": "raw"},
    "gzip": {"type": "gzip", "level": 1},
    "zlib": {"type": "gzip", "level": 1, "useZlib": True},
    "bzip2": {"type": "bzip2", "blockSize": 1},
    "xz": {"type": "xz", "preset": 1},
    "blosc": {"type": "blosc", "cname": "lz4", "clevel": 3, "shuffle": 1},
    "zstd": {"type": "zstd", "level": 1},
}


def write(folder, values, blocks, compression="gzip", **attributes):
    """Write a dataset; extents of blocks are in C order, as those of the values."""
    spec = {
        "driver": "n5",
        "kvstore": {"driver": "file", "path": f"{folder}/"},
        "metadata": {
            "dimensions": list(reversed(values.shape)),
            "blockSize": list(reversed(blocks)),
            "dataType": values.dtype.newbyteorder("=").name,
            "compression": COMPRESSIONS[compression],
            **attributes,
        },
        "create": True,
        "delete_existing": True,
    }
    opened = tensorstore.open(spec).result()
    opened[...].write(np.asarray(values, values.dtype.newbyteorder("=")).T).result()
    return folder


def read(folder):
    spec = {"driver": "n5", "kvstore": {"driver": "file", "path": f"{folder}/"}}
    return tensorstore.open(spec, read=True).result().read().result().T


def group(folder, **attributes):
    """Write the document of a group; that of the root says the version."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "attributes.json").write_text(json.dumps(attributes))
    return folder

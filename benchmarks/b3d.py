"""How fast B3D chunks are decoded: megapixels per second of CPU time, a row for each mode.

No other implementation runs without a GPU, so there is no peer to stand beside. Images are
synthetic (photon noise over a smooth structure) and encoded by the tests' encoder; chunks of the
vendor's encoder are decoded as well where there is a folder of them.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from refmaker.codecs.b3d import B3D

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.codecs import b3d_encoder

if TYPE_CHECKING:
    from numpy.typing import NDArray


def picture(shape: tuple[int, ...], seed: int) -> NDArray[np.uint16]:
    """Photon noise over blobs and stripes, with a camera's offset."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(shape[-2:])
    light = 200 + 800 * np.exp(-((x - 200) ** 2 + (y - 260) ** 2) / 9e3)
    light = light + 300 * (np.sin(x / 20) * np.cos(y / 30)) ** 2
    return (rng.poisson(np.broadcast_to(light, shape)) + 100).astype(np.uint16)


def generated(side: int, seed: int) -> dict[str, tuple[list[int], bytes, int]]:
    """Chunks by name: client data values, encoded bytes, pixels."""
    flat, deep = picture((side, side), seed), picture((4, side // 2, side // 2), seed)
    byte = (flat // 8).clip(0, 255).astype(np.uint8)
    noise = np.random.default_rng(seed).integers(0, 1 << 16, flat.shape).astype(np.uint16)
    sensor = {"conversion": 2184, "background": 100, "noise": 1600}
    cases = {
        "lossless uint16": (flat, {}),
        "lossless uint16 3-D": (deep, {}),
        "lossless uint16, one tile": (flat, {"tile": side}),
        "lossless uint16, pure noise": (noise, {}),
        "lossless uint8": (byte, {}),
        "lossy mode 1, step 1": (flat, {"mode": 1, "step": 1000} | sensor),
        "lossy mode 2, step 1": (flat, {"mode": 2, "step": 1000} | sensor),
        "all zero": (np.zeros_like(flat), {}),
    }
    chunks = {}
    for name, (image, settings) in cases.items():
        values = b3d_encoder.parameters(image, **settings)
        chunks[name] = values, b3d_encoder.encode(image, values), image.size
    return chunks


def stored(folder: Path, pixels: int) -> dict[str, tuple[list[int], bytes, int]]:
    """Chunks of the vendor's encoder that are large enough to be timed."""
    chunks = {}
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as arrays:
            if arrays["decoded"].size >= pixels:
                values = [int(value) for value in arrays["cd_values"]]
                name = f"vendor {path.stem}"
                chunks[name] = values, arrays["encoded"].tobytes(), arrays["decoded"].size
    return chunks


def seconds(codec: B3D, chunk: bytes, rounds: int) -> float:
    """The least CPU time of some rounds."""
    codec.decode(chunk)
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        codec.decode(chunk)
        best = min(best, time.process_time() - start)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=512, help="width and height of images")
    parser.add_argument("--rounds", type=int, default=10, help="runs, of which the best counts")
    parser.add_argument("--seed", type=int, default=0, help="of the random images")
    parser.add_argument(
        "--vectors",
        type=Path,
        default=os.environ.get("REFMAKER_B3D_VECTORS"),
        help="folder of chunks: .npz as in the tests (default: REFMAKER_B3D_VECTORS)",
    )
    options = parser.parse_args()
    chunks = generated(options.side, options.seed)
    if options.vectors is not None:
        chunks |= stored(Path(options.vectors), 1 << 17)
    print(f"{'chunk':32} {'pixels':>9} {'ratio':>7} {'CPU ms':>8} {'MP/s':>7}")
    for name, (values, chunk, pixels) in chunks.items():
        codec = B3D(values)
        spent = seconds(codec, chunk, options.rounds)
        ratio = codec.nbytes / len(chunk)
        print(f"{name:32} {pixels:9} {ratio:7.2f} {1e3 * spent:8.2f} {pixels / spent / 1e6:7.1f}")


if __name__ == "__main__":
    main()

"""A GRIB file of a wind forecast becomes a tree of variables; each message is one chunk."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import refmaker

SOURCE = Path(__file__).with_name("wind.grb")


def main() -> None:
    references = refmaker.scan(SOURCE)
    print(references.group.attributes["refmaker:fields"])

    with TemporaryDirectory() as folder:
        references.write(f"{folder}/wind.json")
        tree = refmaker.open_datatree(f"{folder}/wind.json")
        wind = tree["heightAboveGround/instant"].to_dataset()
        print(dict(wind.sizes))

        # Chunks are decoded from the bytes of the file when they are asked for. Points
        # outside of the forecast's area are missing.
        speed = np.hypot(wind.u10, wind.v10)
        strongest = speed.max(("latitude", "longitude")).compute()
        hours = strongest.idxmax("step") / np.timedelta64(1, "h")
        print(f"strongest wind: {float(strongest.max()):.1f} m/s after {float(hours):.0f} hours")

        # Against ecCodes, message by message.
        checks = refmaker.verify(references, sample=None)
        print("verified", sum(check.ok for check in checks), "of", len(checks), "arrays")


if __name__ == "__main__":
    main()

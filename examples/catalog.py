"""Reference sets go into an intake catalog, whose entries stock drivers read, and into STAC."""

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import intake

import refmaker
from refmaker import catalog

HERE = Path(__file__).parent


def main() -> None:
    with TemporaryDirectory() as folder:
        archive = Path(folder) / "archive"
        archive.mkdir()
        shutil.copy(HERE / "air.nc", archive)

        # Names relative to the set, so that files, references and catalog move together.
        references = refmaker.scan(archive / "air.nc")
        references.write(archive / "air.json", relative=True)
        catalog.add(
            archive / "catalog.yaml",
            archive / "air.json",
            name="air",
            description="Air temperature of a month, NCEP reanalysis",
        )
        moved = archive.rename(Path(folder) / "elsewhere")

        # Whoever opens the entry needs intake, xarray and zarr; no refmaker.
        found = intake.open_catalog(str(moved / "catalog.yaml"))
        air = found["air"].read()
        print(f"mean {float(air.air.mean()):.2f} K")

        for listed in catalog.entries(moved / "catalog.yaml"):
            print(listed.name, "-", listed.description)
        print("opens:", all(check.ok for check in catalog.check(moved / "catalog.yaml")))

        item = catalog.stac_item(moved / "air.json", href="https://example.org/air.json")
        print(json.dumps(item["bbox"]))


if __name__ == "__main__":
    main()

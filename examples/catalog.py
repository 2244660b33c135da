"""Reference sets go into an intake catalog, whose entries stock drivers read, and into STAC."""

from pathlib import Path
from tempfile import TemporaryDirectory

import intake

import refmaker
from refmaker.publish import catalog

SOURCE = Path(__file__).with_name("air.nc")


def main() -> None:
    with TemporaryDirectory() as folder:
        shelf = Path(folder) / "shelf"
        shelf.mkdir()
        refmaker.scan(SOURCE).write(shelf / "air.json")
        catalog.add(
            shelf / "catalog.yaml",
            shelf / "air.json",
            name="air",
            description="Air temperature of a month",
        )
        # Entries name sets relative to the catalog, so that both move together.
        moved = shelf.rename(Path(folder) / "elsewhere")

        # Whoever opens the entry needs intake, xarray and zarr; no refmaker.
        found = intake.open_catalog(str(moved / "catalog.yaml"))
        air = found["air"].read()
        print(f"mean {float(air.air.mean()):.2f} K")

        for listed in catalog.entries(moved / "catalog.yaml"):
            print(listed.name, "-", listed.description)
        print("opens:", all(check.ok for check in catalog.check(moved / "catalog.yaml")))

        item = catalog.stac_item(moved / "air.json", href="https://example.org/air.json")
        print("west, south, east, north:", [float(edge) for edge in item.bbox])


if __name__ == "__main__":
    main()

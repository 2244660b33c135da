"""Draw the pictures of docs/index.md, by the very lines that stand beside them.

``python docs/scripts/pictures.py`` calls this. The first picture is drawn by matplotlib; the last
is seen in a headless Chromium, so that a test compares what it was made of instead.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
FIGURES = ROOT / "docs" / "figures"
INK = "#7d8590"
"""A grey that can be read on white and on black."""
STYLE = {
    "axes.edgecolor": INK, "axes.labelcolor": INK, "text.color": INK, "xtick.color": INK,
    "ytick.color": INK, "figure.constrained_layout.use": True, "figure.dpi": 160,
    "figure.figsize": (6.4, 3.1), "font.size": 9, "savefig.transparent": True,
}  # fmt: skip
VIEW = (1000, 800)
"""Size of the browser's window, in pixels."""
_BLOCK = re.compile(
    r"^<!-- picture: (\w+) -->\n```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL
)


def blocks() -> dict[str, list[tuple[str, str]]]:
    """Return language and text of the blocks that make each picture, in the order of the page."""
    found: dict[str, list[tuple[str, str]]] = {}
    for name, language, text in _BLOCK.findall((ROOT / "docs" / "index.md").read_text()):
        found.setdefault(name, []).append((language, text))
    return found


def write_data(folder: Path) -> None:
    """Write what the page starts from: an archive of months, and a study."""
    sys.path.insert(0, str(ROOT / "examples"))
    try:
        from make_data import months
        from phantom import write_study
    finally:
        sys.path.pop(0)
    months.write(folder / "archive")
    write_study(folder / "study")
    (folder / "examples").symlink_to(ROOT / "examples")


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in a folder."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def run(name: str, space: dict[str, Any]) -> list[str]:
    """Run the blocks of a picture in this folder; return commands that wait to be interrupted."""
    waiting = []
    for language, text in blocks()[name]:
        if language == "python":
            exec(compile(text, "docs/index.md", "exec"), space)  # noqa: S102 - our own page
        for line in re.findall(r"^\$ (refmaker .*)$", text, re.MULTILINE) * (language == "console"):
            if line.startswith("refmaker view"):
                waiting.append(line)
                continue
            subprocess.run(  # noqa: S603 - our own page
                ["bash", "-c", f'"{sys.executable}" -m {line}'],  # noqa: S607 - as people type it
                check=True, capture_output=True,
            )  # fmt: skip
    return waiting


def drawn_map(space: dict[str, Any]) -> bytes:
    """Return the map as PNG."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    with mpl.rc_context(STYLE):
        run("map", space)
        file = io.BytesIO()
        plt.savefig(file, format="png", metadata={"Software": None})
        plt.close("all")
    return smaller(file.getvalue())


def smaller(png: bytes, **known: str) -> bytes:
    """Return a picture of few colours, with what is to be known of it."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for key, text in known.items():
        info.add_text(key, text)
    picture = Image.open(io.BytesIO(png))
    few = picture.quantize(128, Image.Quantize.FASTOCTREE)
    file = io.BytesIO()
    few.save(file, "PNG", optimize=True, pnginfo=info)
    return file.getvalue()


def made_of() -> str:
    """Return a digest of what the picture of the viewer is made of: the lines and the study."""
    texts = [text for _, text in blocks()["viewer"]]
    texts += [path.read_text() for path in sorted((ROOT / "examples" / "phantom").glob("*.py"))]
    return hashlib.sha256("".join(texts).encode()).hexdigest()


def seen_in_viewer() -> dict[str, bytes]:
    """Return what `refmaker view` shows of the study, as PNG, in light and dark colours."""
    import refmaker

    sys.path.insert(0, str(ROOT))
    try:
        from tests.browser import browser, dark
    finally:
        sys.path.pop(0)
    (viewed,) = run("viewer", {})
    found = {}
    rendering = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader")
    for scheme in ("light", "dark"):
        with (
            refmaker.view(viewed.split()[2]) as page,
            browser(width=VIEW[0], height=VIEW[1], more=rendering) as running,
        ):
            dark(running, scheme)
            running.get(page.url)
            before = b""
            # It is drawn bit by bit: until nothing changes any more.
            for _ in range(12):
                time.sleep(8)
                png = running.get_screenshot_as_png()
                if png == before:
                    break
                before = png
        found[scheme] = smaller(png, made_of=made_of())
    return found


def draw(folder: Path) -> None:
    """Draw all pictures of the page; work in an empty folder."""
    import refmaker

    write_data(folder)
    with inside(folder):
        (FIGURES / "landing-map.png").write_bytes(drawn_map({"refmaker": refmaker}))
        for scheme, png in seen_in_viewer().items():
            (FIGURES / f"landing-viewer-{scheme}.png").write_bytes(png)

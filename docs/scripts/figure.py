"""Draw docs/figures/references.svg: files, their reference set, and what reads through it.

Run ``python docs/scripts/figure.py`` to draw it anew; a test compares the figure with the script.
"""

from __future__ import annotations

from pathlib import Path

FIGURE = Path(__file__).parents[1] / "figures" / "references.svg"

CHUNKS = ("#4c78a8", "#f58518", "#54a24b", "#b279a2", "#e45756", "#72b7b2")
FILES = ("2024-01-01.nc", "2024-01-02.nc", "2024-01-03.nc")
STYLE = """\
text { font-family: system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif;
  font-size: 14px; fill: #24292f; }
.small { font-size: 12px; fill: #57606a; }
.mono { font-family: ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace;
  font-size: 12px; }
.title { font-weight: 600; }
.card { fill: #ffffff; stroke: #d0d7de; }
.bytes { fill: #eaeef2; stroke: #8c959f; }
.line { stroke: #57606a; fill: none; stroke-width: 1.5; }
.head { fill: #57606a; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .small { fill: #9da7b3; }
  .card { fill: #161b22; stroke: #3d444d; }
  .bytes { fill: #262c36; stroke: #6e7681; }
  .line { stroke: #9da7b3; }
  .head { fill: #9da7b3; }
}"""


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    """Return a line of text.

    Parameters
    ----------
    x, y : float
        Where its baseline begins, or ends, or has its middle.
    words : str
        What it says.
    kind : str
        Classes of the style sheet.
    anchor : {"start", "middle", "end"}
        What `x` is.
    """
    words = words.replace("&", "&amp;").replace("<", "&lt;")
    return f'<text x="{x}" y="{y}" class="{kind}" text-anchor="{anchor}">{words}</text>'


def box(x: float, y: float, width: float, height: float, kind: str = "", fill: str = "") -> str:
    """Return a rectangle, of a class of the style sheet or of a colour."""
    look = f'fill="{fill}"' if fill else f'class="{kind}"'
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="4" {look}/>'


def arrow(path: str, tip: tuple[float, float], towards: str = "right") -> str:
    """Return a line that ends in a head which points to the right or upwards."""
    x, y = tip
    head = f"M{x},{y} l-9,-5 v10 z" if towards == "right" else f"M{x},{y} l-5,9 h10 z"
    return f'<path class="line" d="{path}"/><path class="head" d="{head}"/>'


def files() -> list[str]:
    """Return the archive: bars of bytes, in which chunks lie."""
    parts = [box(16, 16, 250, 226, "card"), text(32, 44, "The archive", "title")]
    parts.append(text(32, 64, "stays as it is", "small"))
    for row, name in enumerate(FILES):
        top = 90 + 48 * row
        parts += [text(32, top, name, "mono"), box(32, top + 8, 218, 18, "bytes")]
        for chunk in range(2):
            left = 62 + 92 * chunk + 13 * row
            parts.append(box(left, top + 8, 62 - 8 * row, 18, fill=CHUNKS[2 * row + chunk]))
    return parts


def references() -> list[str]:
    """Return the reference set: a line for each chunk."""
    parts = [box(340, 16, 268, 226, "card"), text(356, 44, "The reference set", "title")]
    parts.append(text(356, 64, "a small file: metadata, byte ranges", "small"))
    parts.append(text(356, 94, '".zmetadata": "{...}"', "mono"))
    for chunk, colour in enumerate(CHUNKS):
        top = 108 + 20 * chunk
        day, half = divmod(chunk, 2)
        place = 30 + 92 * half + 13 * day
        parts.append(box(356, top, 12, 12, fill=colour))
        line = f'"t/{day}.{half}": [day{day + 1}, {place * 1000}, {(62 - 8 * day) * 1000}]'
        parts.append(text(376, top + 11, line, "mono"))
    return parts


def readers() -> list[str]:
    """Return the cube as readers see it: a grid of chunks."""
    parts = [box(682, 16, 202, 226, "card"), text(698, 44, "One array", "title")]
    parts.append(text(698, 64, "xarray, zarr, dask, napari", "small"))
    for chunk, colour in enumerate(CHUNKS):
        day, half = divmod(chunk, 2)
        parts.append(box(724 + 60 * half, 86 + 42 * day, 54, 36, fill=colour))
    parts.append(text(780, 228, "t (time, x)", "mono", "middle"))
    return parts


def figure() -> str:
    """Return the figure as SVG."""
    parts = [
        *files(),
        *references(),
        *readers(),
        arrow("M266,130 H330", (340, 130)),
        text(303, 120, "scan", "small", "middle"),
        arrow("M608,130 H672", (682, 130)),
        text(645, 120, "open", "small", "middle"),
        arrow("M783,242 V280 H141 V254", (141, 244), "up"),
        text(462, 300, "reads the bytes of the chunks that are asked for", "small", "middle"),
    ]
    label = "Chunks of three files, their byte ranges in a reference set, and the array they make"
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 312" role="img" '
        f'aria-label="{label}">\n<style>\n{STYLE}\n</style>\n' + "\n".join(parts) + "\n</svg>\n"
    )


if __name__ == "__main__":
    FIGURE.write_text(figure())

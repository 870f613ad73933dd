"""Draw `.github/quality.svg` and write the tables of figures into the pages, from what tests/bench/quality.py measured.

    python .ci/chart.py        # reads .ci/quality.json; needs nothing but Python

The chart has a panel for heads and one for gaze, both against the time of a photo. A cropper that was not timed has no dot.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / ".ci" / "quality.json"
CHART = ROOT / ".github" / "quality.svg"
OURS = "cropper"

PANEL_WIDTH, PLOT_HEIGHT = 420, 230
LEFT, RIGHT, TOP, BOTTOM = 48, 22, 44, 46
LETTER, LINE, DOT = 6.9, 16, 5  # of a label: the width of a letter at 12 pixels, the height of a line; of a dot: its radius
# A chart is shown on the page of another, light or dark, and brings its own ground, so that it can be read on either.
STYLE = (
    "text{font:12px system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif;fill:#424a53}"
    ".title{font-size:14px;font-weight:600;fill:#1f2328}.ours{font-weight:700;fill:#0b57d0}"
    ".ground{fill:#fff}.grid{stroke:#d8dee4}.dot{fill:#6e7781}.dot.ours{fill:#0b57d0}"
    "@media (prefers-color-scheme:dark){text{fill:#adb5bd}.title{fill:#f0f3f6}.ours{fill:#79b8ff}"
    ".ground{fill:#0d1117}.grid{stroke:#30363d}.dot{fill:#8b949e}.dot.ours{fill:#79b8ff}}"
)

Figures = dict[str, Any]


@dataclass(frozen=True)
class Panel:
    """One of the charts side by side: its title, and what of a cropper's figures is its height, 0..1."""

    title: str
    height: Callable[[Figures], float]


@dataclass(frozen=True)
class Area:
    """A rectangle of the picture, in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Area) -> bool:
        """Whether they share a point."""
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom


PANELS = (
    Panel("Heads shown whole", lambda figures: 1 - figures["heads_not_whole"]),
    Panel("Gaze kept", lambda figures: float(figures["kept"])),
)


def ticks_of_time(least: float, most: float) -> list[float]:
    """1, 2 and 5 times the powers of ten, from the last one below the least to the first one above the most."""
    steps = [step * 10.0**power for power in range(-1, 6) for step in (1, 2, 5)]
    first = max(step for step in steps if step < least)
    last = min(step for step in steps if step > most)
    return [step for step in steps if first <= step <= last]


def ticks_of_share(least: float, most: float) -> list[float]:
    """Round shares that hold all values, a twentieth or a tenth apart."""
    step = 0.05 if most - least < 0.2 else 0.1
    first, last = math.floor(least / step), math.ceil(most / step + 0.25)  # no dot on the upper edge, for its name
    return [round(number * step, 2) for number in range(first, last + 1)]


def share(number: float) -> str:
    """A share as the pages write it: .08, -1.24, 0."""
    if round(number, 2) == 0:
        return "0"
    return f"{number:.2f}".replace("0.", ".", 1)


def places_of_label(x: float, y: float, width: float) -> list[Area]:
    """Where a name may be beside its dot, the best first: right, left, above, below, and askew above and below."""
    gap, middle = DOT + 4, LINE / 2
    beside = [(x + gap, y - middle), (x - gap - width, y - middle)]
    over, under = y - gap - LINE, y + gap
    beside += [(left, top) for left in (x - width / 2, x - width, x) for top in (over, under)]
    return [Area(left, top, left + width, top + LINE) for left, top in beside]


def label_areas(places: Sequence[tuple[float, float]], names: Sequence[str], inside: Area) -> list[Area]:
    """Where each name goes: the first place beside its dot that meets no dot and no other name and is inside the panel.

    Those at the right choose first, as they have no room to their right.
    """
    taken = [Area(x - DOT, y - DOT, x + DOT, y + DOT) for x, y in places]

    def is_free(area: Area) -> bool:
        within = inside.left <= area.left and area.right <= inside.right and inside.top <= area.top
        return within and area.bottom <= inside.bottom and not any(area.meets(other) for other in taken)

    found = {}
    for number in sorted(range(len(places)), key=lambda number: -places[number][0]):
        options = places_of_label(*places[number], len(names[number]) * LETTER * (1.2 if names[number] == OURS else 1))
        found[number] = next((area for area in options if is_free(area)), options[0])
        taken.append(found[number])
    return [found[number] for number in range(len(places))]


def draw(panel: Panel, croppers: Sequence[Figures], left: float) -> str:
    """A panel, from this pixel of the picture on."""
    plot = Area(left + LEFT, TOP, left + PANEL_WIDTH - RIGHT, TOP + PLOT_HEIGHT)
    times = ticks_of_time(*(pick(one["milliseconds"] for one in croppers) for pick in (min, max)))
    shares = ticks_of_share(*(pick(panel.height(one) for one in croppers) for pick in (min, max)))

    def across(milliseconds: float) -> float:
        way = math.log(milliseconds / times[0]) / math.log(times[-1] / times[0])
        return plot.left + way * (plot.right - plot.left)

    def down(value: float) -> float:
        return plot.bottom - (value - shares[0]) / (shares[-1] - shares[0]) * (plot.bottom - plot.top)

    def text(words: str, x: float, y: float, anchor: str = "start", kind: str = "") -> str:
        class_ = f' class="{kind}"' if kind else ""
        return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{class_}>{escape(words)}</text>'

    parts = [text(panel.title, plot.left, TOP - 18, kind="title")]
    for value in shares:
        y = down(value)
        parts.append(f'<line class="grid" x1="{plot.left:.1f}" x2="{plot.right:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(text(f"{value:.0%}", plot.left - 8, y + 4, "end"))
    for milliseconds in times:
        x = across(milliseconds)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{plot.bottom:.1f}" y2="{plot.bottom + 4:.1f}"/>')
        parts.append(text(f"{milliseconds:g}", x, plot.bottom + 18, "middle"))
    parts.append(
        text("milliseconds of a core a photo (less is better)", (plot.left + plot.right) / 2, plot.bottom + 36, "middle")
    )

    places = [(across(one["milliseconds"]), down(panel.height(one))) for one in croppers]
    names = [one["name"] for one in croppers]
    for (x, y), name, area in zip(places, names, label_areas(places, names, plot), strict=True):
        ours = " ours" if name == OURS else ""
        parts.append(f'<circle class="dot{ours}" cx="{x:.1f}" cy="{y:.1f}" r="{DOT + bool(ours)}"/>')
        parts.append(text(name, (area.left + area.right) / 2, area.bottom - 4, "middle", ours.strip()))
    return "\n".join(parts)


def svg(croppers: Sequence[Figures]) -> str:
    """The whole chart, of the croppers that were timed."""
    shown = [one for one in croppers if one["milliseconds"] is not None]
    width, height = PANEL_WIDTH * len(PANELS), TOP + PLOT_HEIGHT + BOTTOM
    panels = "\n".join(draw(panel, shown, number * PANEL_WIDTH) for number, panel in enumerate(PANELS))
    told = "; ".join(
        f"{one['name']} {one['milliseconds']:.0f} ms, {1 - one['heads_not_whole']:.0%}, {one['kept']:.0%}" for one in shown
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">\n'
        f"<title>Milliseconds of a core a photo, heads shown whole and gaze kept: {escape(told)}</title>\n"
        f"<style>{STYLE}</style>\n"
        f'<rect class="ground" width="100%" height="100%" rx="8"/>\n{panels}\n</svg>\n'
    )


def row(cells: Sequence[str]) -> str:
    """A row of a table in Markdown."""
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"


def table(croppers: Sequence[Figures], columns: Sequence[tuple[str, Callable[[Figures], str]]]) -> str:
    """A table in Markdown, with cropper's row in bold. A figure that was not measured leaves its cell empty."""
    lines = [row(["", *(title for title, _ in columns)]), "|" + "---|" * (len(columns) + 1)]
    for one in croppers:
        name = f"**{OURS}**" if one["name"] == OURS else one["name"]
        lines.append(row([name, *(cell(one) for _, cell in columns)]))
    return "\n".join(lines)


def measured(key: str, as_text: Callable[[float], str]) -> Callable[[Figures], str]:
    """How a column writes a figure."""
    return lambda figures: "" if figures[key] is None else as_text(figures[key])


def measured_on(report: Figures) -> str:
    """A line that says which photos and which machine the figures are of."""
    line = f"{report['photos']} photos of {report['set']}."
    if of_times := report["timed"]:
        line += f" Times: medians of {of_times['rounds']} rounds over {of_times['photos']} photos, {of_times['jobs']} at a time; "
        line += f"{report['machine']}."
        line += f" {of_times['note']}".rstrip()
    return line


def tables(report: Figures) -> dict[Path, str]:
    """What each page shows of the figures."""
    croppers = report["croppers"]
    cut, not_whole = ("heads cut", measured("heads_cut", share)), ("not whole", measured("heads_not_whole", share))
    whole = ("heads whole", measured("heads_not_whole", lambda not_whole: share(1 - not_whole)))
    kept, gap = ("gaze kept", measured("kept", share)), ("gap", measured("gap", share))
    off_centre = ("gap off-centre", measured("off_centre", share))
    time = ("ms a photo", measured("milliseconds", "{:.0f}".format))
    of_floor = ("of the floor", measured("of_floor", "{:.2f}".format))
    timed = [one for one in croppers if one["milliseconds"] is not None]
    return {
        ROOT / "README.md": table(timed, (whole, kept, time)),
        ROOT / "cropper/evaluation/README.md": (
            table(croppers, (cut, not_whole, kept, gap, off_centre, time, of_floor)) + f"\n\n{measured_on(report)}"
        ),
    }


def with_table(page: str, written: str) -> str:
    """A page with this table in the place of the one that it marks.

    Raises:
        ValueError: if it marks none, or several.
    """
    mark = re.compile(r"(<!-- figures: .*? -->\n).*?(<!-- end of figures -->)", re.DOTALL)
    changed, count = mark.subn(lambda found: f"{found[1]}{written}\n{found[2]}", page)
    if count != 1:
        raise ValueError(f"a page marks {count} tables of figures, not 1")
    return changed


def main() -> None:
    """Write the chart and the tables."""
    report = json.loads(FIGURES.read_text(encoding="utf-8"))
    CHART.write_text(svg(report["croppers"]), encoding="utf-8")
    for path, written in tables(report).items():
        path.write_text(with_table(path.read_text(encoding="utf-8"), written), encoding="utf-8")


if __name__ == "__main__":
    main()

"""The chart and the tables of figures are those of the last measurement, and a measurement has what they need."""

from __future__ import annotations

import csv
import json
import os
import runpy
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from compare import run
from quality import main

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / ".ci" / "chart.py"


@pytest.fixture(scope="module")
def chart() -> SimpleNamespace:
    if not SCRIPT.exists():
        pytest.skip("an sdist is without the script")
    return SimpleNamespace(**runpy.run_path(str(SCRIPT)))


def test_pages_show_what_was_measured_last(chart: SimpleNamespace) -> None:
    report = json.loads(chart.FIGURES.read_text(encoding="utf-8"))
    assert chart.CHART.read_text(encoding="utf-8") == chart.svg(report["croppers"]), "run python .ci/chart.py"
    for path, written in chart.tables(report).items():
        page = path.read_text(encoding="utf-8")
        assert page == chart.with_table(page, written), "run python .ci/chart.py"


def test_names_in_the_chart_meet_neither_each_other_nor_a_dot(chart: SimpleNamespace) -> None:
    places = [(200.0, 100.0), (206.0, 104.0), (212.0, 96.0), (395.0, 100.0)]
    areas = chart.label_areas(places, ["one", "another", "a third one", "at the edge"], chart.Area(0, 0, 400, 200))
    dots = [chart.Area(x - chart.DOT, y - chart.DOT, x + chart.DOT, y + chart.DOT) for x, y in places]
    assert not any(area.meets(other) for area in areas for other in [*dots, *(one for one in areas if one is not area)])
    assert all(area.right <= 400 for area in areas)


def test_a_page_without_a_place_for_its_table_is_an_error(chart: SimpleNamespace) -> None:
    with pytest.raises(ValueError, match="marks 0 tables"):
        chart.with_table("# A page\n", "| |")


def test_figures_that_were_not_measured_leave_their_cell_empty(chart: SimpleNamespace) -> None:
    assert chart.measured("gap", chart.share)({"gap": None}) == ""
    assert [chart.share(number) for number in (0.084, -1.237, 0.0004, 1)] == [".08", "-1.24", "0", "1.00"]


def test_croppers_are_compared_by_gaze_and_heads(samples: Path, tmp_path: Path) -> None:
    """cropper, the centre and one more with tables; without --photos nobody is timed."""
    (tmp_path / "set" / "images").mkdir(parents=True)
    (tmp_path / "boxes").mkdir()
    for name in ("a.jpg", "b.jpg"):
        shutil.copy(samples / "cat.jpg", tmp_path / "set" / "images" / name)
    looks = [[name, viewer, 1, 200 + 20 * viewer, 120] for name in ("a.jpg", "b.jpg") for viewer in range(2)]
    write(tmp_path / "set" / "fixations.csv", ["image", "subject", "order", "x", "y"], looks)
    write(tmp_path / "heads.csv", ["path", "x", "y", "width", "height"], [["a.jpg", 150, 50, 100, 100]])
    for aspect, (width, height) in {"1x1": (300, 300), "16x9": (448, 252), "9x16": (168, 299), "3x1": (450, 150)}.items():
        rows = [[name, 0, 0, width, height] for name in ("a.jpg", "b.jpg")]
        write(tmp_path / "boxes" / f"sharp-attention.{aspect}.csv", ["path", "x", "y", "w", "h"], rows)
    given = [str(tmp_path / name) for name in ("set", "heads.csv", "boxes")]
    done = CliRunner().invoke(main, [*given, "--json", str(tmp_path / "found.json")])
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "found.json").read_text())
    assert (found["photos"], found["timed"]) == (2, None)
    by_name = {figures["name"]: figures for figures in found["croppers"]}
    assert list(by_name) == ["cropper", "sharp 0.35.5 attention", "centre crop"]
    sharp = by_name["sharp 0.35.5 attention"]
    assert sharp["kept"] == 0.75  # all fixations but those of 9:16, which begin at 200 pixels
    assert (sharp["heads_cut"], sharp["heads_not_whole"]) == (0.25, 0.25)
    assert (sharp["off_centre"], sharp["milliseconds"]) == (None, None)

    write(tmp_path / "boxes" / "sharp-attention.1x1.csv", ["path", "x", "y", "w", "h"], [["c.jpg", 0, 0, 9, 9]])
    done = CliRunner().invoke(main, given)
    assert (done.exit_code, done.output.count("\n")) == (1, 1)
    assert "no photo of the set has a box of 1:1" in done.output


@pytest.mark.skipif(os.name == "nt", reason="no shell there")
def test_the_time_of_a_core_counts_what_a_command_starts() -> None:
    """And nothing that it waits for."""
    busy = "import time; until = time.process_time() + .05\nwhile time.process_time() < until: pass"
    assert run(["sh", "-c", '"$0" -SEc "$1"', sys.executable, busy]).core_seconds >= 0.05
    idle = run(["sleep", "0.1"])
    assert idle.core_seconds < idle.seconds / 2


def write(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])

"""Contact sheets: what is chosen from a ledger, and what can be seen of it."""

from __future__ import annotations

import csv
import shutil
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fixtures import Command, MakePhoto, StartProcess, imread, write_rows
from numpy.typing import NDArray
from PIL import Image
from running import run_batch

from cropper import UsageError
from cropper.geometry import Box
from cropper.ledger.table import HEADER, TABLE_NAME, Row, decided_row, failed_row, read_rows, skipped_row
from cropper.model.look import open_photo
from cropper.model.saliency import Saliency
from cropper.settings import Order, Settings, Target
from cropper.views import heatmap
from cropper.views.layout import LARGEST_SIDE, PAGE_SIDE, SLOT, lay_out
from cropper.views.pages import MOST_BYTES, encoded_page
from cropper.views.selection import Selection, first_of_the_ledger, select
from cropper.views.sheet import _BAD, _EMPTY, draw_pages

WIDE = Target((640, 360), (640, 360))


@pytest.fixture
def folder(samples: Path, tmp_path: Path) -> Path:
    """Three photos, the cat's the only crop that keeps nearly all."""
    (tmp_path / "in" / "trips").mkdir(parents=True)
    for name in ("cat.jpg", "drum.jpg", "trips/skyline_panorama.jpg"):
        shutil.copy(samples / name, tmp_path / "in" / name)
    return tmp_path / "in"


def made(folder: Path, out: Path, *targets: Target, dry_run: bool = False) -> Path:
    list(run_batch(folder, out, Settings(targets or (WIDE,), dry_run=dry_run), 2))
    return out


def draw_sheet(
    selection: Selection, out: Path, source: Path, columns: int | None = None, model: Saliency | None = None
) -> NDArray[np.uint8]:
    """The sheet as one picture."""
    layout = lay_out(selection.entries, columns, 1 if model is None else 2, one_page=True)
    (page,) = draw_pages(selection, layout, out, source, model)
    return page


def test_the_first_photos_are_chosen_or_those_that_keep_least(folder: Path, tmp_path: Path) -> None:
    (folder / "broken.jpg").write_text("no photo")
    out = made(folder, tmp_path / "out", WIDE, Target((1, 1)))
    chosen = select(out, 2, Order.LEDGER)
    assert [entry.path for entry in chosen.entries] == ["broken.jpg", "cat.jpg"]
    assert (chosen.photos, chosen.failed) == (4, 1)
    worst = select(out, 9, Order.KEPT)
    assert [entry.path for entry in worst.entries] == ["trips/skyline_panorama.jpg", "drum.jpg", "cat.jpg", "broken.jpg"]
    assert [len(entry.rows) for entry in worst.entries] == [2] * 4


def test_the_heat_stands_between_the_photo_and_its_crop(folder: Path, tmp_path: Path) -> None:
    out = made(folder, tmp_path / "out")
    plain = draw_sheet(select(out, 9, Order.LEDGER), out, folder, columns=1)
    with_heat = draw_sheet(select(out, 9, Order.LEDGER), out, folder, columns=1, model=Saliency())
    gap = with_heat.shape[1] - plain.shape[1] - SLOT[0]
    assert 0 < gap < 30
    left = gap + SLOT[0] + gap
    before, beside = with_heat[:, :left], with_heat[:, left + SLOT[0] + gap :]
    assert np.abs(before.astype(int) - plain[:, :left]).mean() < 1.5  # decoded at another scale
    assert np.array_equal(beside[100:], plain[100:, left:])
    photo, heat = plain[100:300, gap:left], with_heat[100:300, left : left + SLOT[0] + gap]
    assert np.abs(photo.astype(int) - heat).mean() > 5


def test_a_folder_without_a_ledger_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no boxes\.csv in it; run 'cropper batch IN OUT' first"):
        select(tmp_path, 9, Order.LEDGER)


def contains(sheet: NDArray[np.uint8], picture: NDArray[Any], tolerance: float = 10.0) -> bool:
    """Whether a picture is somewhere on a sheet, but for how it was scaled."""
    differences = cv2.matchTemplate(sheet, picture, cv2.TM_SQDIFF)
    return float(np.sqrt(max(0.0, differences.min()) / picture.size)) < tolerance


@pytest.mark.parametrize("dry_run", [False, True])
def test_each_crop_stands_beside_its_original(folder: Path, tmp_path: Path, dry_run: bool) -> None:
    """From the thumbnails, and cut again after a dry run."""
    made(folder, tmp_path / "thumbnails")
    out = made(folder, tmp_path / "out", dry_run=dry_run)
    sheet = draw_sheet(select(out, 9, Order.LEDGER), out, folder)
    for name in ("cat.jpg", "drum.jpg", "trips/skyline_panorama.jpg"):
        thumbnail = imread(str(tmp_path / "thumbnails" / name))
        shown = cv2.resize(thumbnail, (SLOT[0], round(SLOT[0] * 9 / 16)), interpolation=cv2.INTER_AREA)
        assert contains(sheet, shown)
        assert not contains(sheet, np.ascontiguousarray(shown[:, ::-1]))
        row = next(row for row in read_rows(out / "boxes.csv") if row.path == name)
        original = imread(str(folder / name))
        scale = min(SLOT[0] / original.shape[1], SLOT[1] / original.shape[0])
        box = Box(int(row.x), int(row.y), int(row.width), int(row.height), 0, (0, 0)).scaled(scale, scale)
        small = cv2.resize(original, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        # Between the box's lines and the focus's ring, the photo is as it was.
        corner = small[box.y + 8 : box.y + box.height // 3, box.x + 8 : box.x + box.width // 3]
        assert contains(sheet, corner)


def test_a_dry_runs_crops_are_cut_as_thumbnails_are(folder: Path, tmp_path: Path) -> None:
    real, dry = made(folder, tmp_path / "real"), made(folder, tmp_path / "dry", dry_run=True)
    sheets = [draw_sheet(select(out, 9, Order.LEDGER), out, folder)[80:].astype(int) for out in (real, dry)]
    assert np.abs(sheets[0] - sheets[1]).mean() < 1.5


def test_boxes_have_the_overlays_colours(folder: Path, tmp_path: Path) -> None:
    out = made(folder, tmp_path / "out", WIDE, Target((1, 1)), Target((9, 16)))
    sheet = draw_sheet(select(out, 9, Order.LEDGER), out, folder)
    for number in range(3):
        assert (sheet == heatmap.colour_of(number)).all(axis=2).sum() > 600


def test_photos_that_are_gone_broken_or_changed_stop_nothing(folder: Path, tmp_path: Path, make_photo: MakePhoto) -> None:
    out = made(folder, tmp_path / "out")
    before = draw_sheet(select(out, 9, Order.LEDGER), out, folder)
    (folder / "drum.jpg").unlink()
    (folder / "trips/skyline_panorama.jpg").write_bytes(b"\xff\xd8 no more")
    make_photo(folder / "cat.jpg", 40, 90)
    (out / "cat.jpg").write_bytes(b"")
    sheet = draw_sheet(select(out, 9, Order.LEDGER), out, folder)
    assert sheet.shape == before.shape
    assert (sheet == _EMPTY).all(axis=2).sum() > 2 * SLOT[0] * SLOT[1] // 2
    shown = cv2.resize(imread(str(out / "drum.jpg")), (SLOT[0], round(SLOT[0] * 9 / 16)), interpolation=cv2.INTER_AREA)
    assert contains(sheet, shown[: len(shown) // 2])  # its thumbnail is still there


def test_a_row_of_a_buckets_key_opens_no_file_elsewhere(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = made(folder, tmp_path / "out")
    (folder / "drum.jpg").rename(folder.parent / "drum.jpg")
    opened = []

    def counted(*arguments: Any) -> Any:
        opened.append(arguments)
        return open_photo(*arguments)

    monkeypatch.setattr("cropper.views.sheet.open_photo", counted)
    table = out / TABLE_NAME
    rows = select(out, 9, Order.LEDGER).photos
    table.write_text(table.read_text().replace("\ndrum.jpg,", "\n../drum.jpg,").replace("\ncat.jpg,", f"\n{folder}/cat.jpg,"))
    draw_sheet(select(out, 9, Order.LEDGER), out, folder)
    assert len(opened) == rows - 2


def test_rows_that_nobody_of_ours_wrote_stop_nothing(folder: Path, tmp_path: Path) -> None:
    out = made(folder, tmp_path / "out", dry_run=True)
    with (out / "boxes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows[0] |= {"x": "left", "kept": "much"}
    rows[1] |= {"size": "wide", "x": "99999"}
    rows[2] |= {"path": "nowhere.jpg"}
    with (out / "boxes.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, HEADER)
        table.writeheader()
        table.writerows(rows)
    assert draw_sheet(select(out, 9, Order.KEPT), out, folder).dtype == np.uint8


@pytest.mark.parametrize(("width", "height"), [(1, 300), (3000, 2), (1, 1)])
def test_photos_of_every_shape_have_their_place(tmp_path: Path, make_photo: MakePhoto, width: int, height: int) -> None:
    make_photo(tmp_path / "in" / "a.png", width, height)
    out = made(tmp_path / "in", tmp_path / "out", WIDE, Target((1, 9)), Target((9, 1)))
    draw_sheet(select(out, 9, Order.LEDGER), out, tmp_path / "in")


def test_columns_are_as_asked_and_a_sheet_beyond_all_formats_is_refused(tmp_path: Path, make_photo: MakePhoto) -> None:
    make_photo(tmp_path / "in" / "a.jpg")
    for number in range(90):
        shutil.copy(tmp_path / "in" / "a.jpg", tmp_path / "in" / f"{number}.jpg")
    out = made(tmp_path / "in", tmp_path / "out", dry_run=True)
    chosen = select(out, 6, Order.LEDGER)
    heights = [draw_sheet(chosen, out, tmp_path / "in", columns).shape[0] for columns in (1, 2, 3, 6)]
    rows = np.diff(heights[::-1])
    assert list(rows // rows[0]) == [1, 1, 3]
    with pytest.raises(UsageError, match=rf"up to {LARGEST_SIDE} a side; show fewer photos"):
        draw_sheet(select(out, 91, Order.LEDGER), out, tmp_path / "in", 1)


def test_photos_and_thumbnails_are_known_by_any_way(folder: Path, tmp_path: Path) -> None:
    out = made(folder, tmp_path / "out")
    (tmp_path / "link.jpg").symlink_to(folder / "cat.jpg")
    (tmp_path / "other").symlink_to(folder)
    theirs = ["in/cat.jpg", "in/trips/../cat.jpg", "out/trips/skyline_panorama.jpg", "link.jpg", "other/cat.jpg"]
    ours = [tmp_path / name for name in ("sheet.jpg", "in/sheet.jpg", "out/sheet.jpg")]
    assert all(first_of_the_ledger([*ours, tmp_path / name], out, folder) == tmp_path / name for name in theirs)
    assert first_of_the_ledger(ours, out, folder) is None


# The command.


def ended(process: subprocess.Popen[bytes]) -> tuple[int, bytes, bytes]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_the_command_writes_the_sheet_and_prints_its_path(folder: Path, tmp_path: Path, cropper: Command) -> None:
    made(folder, tmp_path / "out")
    assert cropper("sheet", "out") == (0, "sheet.jpg\n", "")
    assert imread(str(tmp_path / "sheet.jpg")).shape[1] > 2 * SLOT[0]
    assert cropper("sheet", "out") == (0, "sheet.jpg\n", "")  # over itself


def test_the_command_sends_a_jpeg_through_a_pipe(folder: Path, tmp_path: Path, cropper_process: StartProcess) -> None:
    made(folder, tmp_path / "out", dry_run=True)
    code, out, err = ended(cropper_process("sheet", "out", "--photos", "in", "--most", "1", "-o", "-"))
    assert (code, err) == (0, b"")
    assert out.startswith(b"\xff\xd8")
    assert not (tmp_path / "sheet.jpg").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bare"], "bare: does not say where its photos are; give their folder with --photos"),
        (["out", "-o", "in/cat.jpg"], "in/cat.jpg: the sheet would overwrite a photo or a thumbnail"),
        (["out", "-o", "out/drum.jpg"], "out/drum.jpg: the sheet would overwrite a photo or a thumbnail"),
        (["out", "-o", "sheet.txt"], "end it in .png or .jpg"),
        (["in"], "in: there is no boxes.csv"),
    ],
)
def test_what_makes_no_sense_is_one_line_and_writes_nothing(
    folder: Path, tmp_path: Path, cropper: Command, arguments: list[str], said: str
) -> None:
    made(folder, tmp_path / "out")
    (tmp_path / "bare").mkdir()
    shutil.copy(tmp_path / "out/boxes.csv", tmp_path / "bare")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()}
    code, out, err = cropper("sheet", *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()} == before


def test_photos_whose_crops_cut_heads_come_first_then_those_that_cut_the_subject(tmp_path: Path) -> None:
    rows = [(0.9, "0.9000", "1"), (0.2, "0.5000", "0"), (0.1, "1.0000", "0"), (0.9, "0.2000", "2"), (0.9, "", "")]
    boxes = [Box(0, 0, 10, 10, kept, (5, 5)) for kept, _, _ in rows]
    decided = [decided_row(f"{name}.jpg", "", "ok", (20, 10), "1:1", box) for name, box in zip("abcde", boxes, strict=True)]
    told = [replace(row, subject_kept=subject, heads_cut=heads) for row, (_, subject, heads) in zip(decided, rows, strict=True)]
    write_rows(tmp_path / TABLE_NAME, told)
    assert [entry.path[0] for entry in select(tmp_path, 9, Order.CUT).entries] == list("dabce")


# Pages.


def rows_of(name: str, *sizes: str) -> list[Row]:
    box = Box(0, 0, 10, 10, 0.5, (5, 5))
    return [decided_row(name, "", "ok", (20, 10), size, box) for size in sizes]


def ledger_of(out: Path, photos: int, *sizes: str) -> Path:
    out.mkdir()
    (out / "in").mkdir()
    write_rows(out / TABLE_NAME, [row for number in range(photos) for row in rows_of(f"{number:03}.jpg", *sizes)])
    return out


@pytest.mark.parametrize("photos", [1, 21, 22, 100])
@pytest.mark.parametrize("columns", [None, 1, 6])
def test_every_photo_stands_on_one_page_of_the_right_size(tmp_path: Path, photos: int, columns: int | None) -> None:
    selection = select(ledger_of(tmp_path / "out", photos, "640x360"), 1000, Order.LEDGER)
    layout = lay_out(selection.entries, columns)
    assert [number for page in layout.pages for number, *_ in page.places] == list(range(photos))
    for page in layout.pages:
        assert max(page.width, page.height) <= PAGE_SIDE
        for _, left, top, height in page.places:
            assert (left + layout.cell_width < page.width, top + height < page.height) == (True, True)
    assert len(lay_out(selection.entries[:60], columns, one_page=True).pages) == 1


def test_a_page_is_not_wider_for_many_shapes_and_none_of_their_slots_overlap(tmp_path: Path) -> None:
    sizes = [f"{width}x360" for width in range(90, 800, 30)]
    entries = select(ledger_of(tmp_path / "out", 9, *sizes), 9, Order.LEDGER).entries
    layout = lay_out(entries)
    assert max(max(page.width, page.height) for page in layout.pages) <= PAGE_SIDE
    slots = layout.slots_of(entries[0])
    assert len(slots) == 1 + len(sizes)
    for one, other in pairwise(slots):
        assert other.x >= one.x + one.width or other.y >= one.y + SLOT[1]
    assert max(slot.x + slot.width for slot in slots) < layout.cell_width
    with pytest.raises(UsageError, match=r"no room for all crops of 000\.jpg; choose fewer --columns, or .* --one-page"):
        lay_out(entries, 5)


def test_more_columns_than_a_page_holds_are_refused_with_the_most_it_holds(tmp_path: Path) -> None:
    entries = select(ledger_of(tmp_path / "out", 9, "1:1"), 9, Order.LEDGER).entries
    with pytest.raises(UsageError, match="no room for 7 photos in a row; ask for at most --columns 6"):
        lay_out(entries, 7)
    assert lay_out(entries, 6).pages[0].width <= PAGE_SIDE


def test_a_photo_has_slots_for_its_own_shapes_alone(tmp_path: Path) -> None:
    """After --one each photo has one crop. The slots of the others' shapes stood empty."""
    out = ledger_of(tmp_path / "out", 0)
    write_rows(out / TABLE_NAME, [*rows_of("a.jpg", "3:4"), *rows_of("b.jpg", "1:1"), failed_row("c.jpg", "1:1", "no photo")])
    selection = select(out, 9, Order.LEDGER)
    layout = lay_out(selection.entries)
    assert [len(layout.slots_of(entry)) for entry in selection.entries] == [2, 2, 1]
    (page,) = draw_pages(selection, layout, out, out / "in")
    # No picture is there, so the slots that there are stand empty, below the words that say so.
    assert (page == _EMPTY).all(axis=2).sum() <= 3 * SLOT[0] * SLOT[1] + 158 * 210 + 210 * 210


def test_a_candidate_has_a_slot_of_its_own_and_a_missing_one_has_none_and_is_no_problem(tmp_path: Path) -> None:
    out = ledger_of(tmp_path / "out", 0)
    write_rows(out / TABLE_NAME, [*rows_of("a.jpg", "1:1", "1:1"), skipped_row("a.jpg", (20, 10), "1:1", "no further")])
    (out / "in").mkdir(exist_ok=True)
    cv2.imwrite(str(out / "in" / "a.jpg"), np.zeros((10, 20, 3), np.uint8))
    selection = select(out, 9, Order.LEDGER)
    layout = lay_out(selection.entries)
    assert len(layout.slots_of(selection.entries[0])) == 3
    (page,) = draw_pages(selection, layout, out, out / "in")
    assert not (page == _BAD).all(axis=2).any()


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "a.webp"])
def test_a_page_has_at_most_a_megabyte(name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (900, 900, 3), np.uint8)
    assert MOST_BYTES // 3 < len(encoded_page(noise, Path(name))) <= MOST_BYTES
    assert len(encoded_page(noise, Path("a.png"))) > MOST_BYTES


def test_the_command_says_which_pages_it_wrote_and_which_is_of_an_earlier_sheet(tmp_path: Path, cropper: Command) -> None:
    ledger_of(tmp_path / "out", 40, "1:1")
    command = ("sheet", "out", "--photos", "out/in", "--columns", "2")
    assert cropper(*command) == (0, "sheet-1.jpg\nsheet-2.jpg\nsheet-3.jpg\n", "")
    assert not (tmp_path / "sheet.jpg").exists()
    assert cropper(*command, "--most", "20") == (
        0,
        "sheet-1.jpg\nsheet-2.jpg\n",
        "cropper: sheet-3.jpg: is not a page of this sheet; delete it if it is of an earlier one\n",
    )
    assert cropper(*command, "-o", "long.png", "--one-page") == (0, "long.png\n", "")
    assert imread(str(tmp_path / "long.png")).shape[0] > 2 * PAGE_SIDE


def test_no_page_overwrites_a_thumbnail(folder: Path, tmp_path: Path, cropper: Command) -> None:
    (folder / "cat.jpg").rename(folder / "drum-3.jpg")
    for number in range(40):
        shutil.copy(folder / "drum.jpg", folder / f"a{number}.jpg")
    made(folder, tmp_path / "out", dry_run=True)
    code, out, err = cropper("sheet", "out", "--columns", "1", "-o", "in/drum.jpg")
    assert (code, out) == (2, "")
    assert "in/drum-3.jpg: the sheet would overwrite a photo or a thumbnail" in err


def test_a_picture_of_yours_is_not_replaced_unless_you_name_it(folder: Path, tmp_path: Path, cropper: Command) -> None:
    made(folder, tmp_path / "out", dry_run=True)
    assert cropper("sheet", "out")[0] == 0
    assert cropper("sheet", "out")[0] == 0  # its own sheet is
    yours = Image.new("RGB", (9, 9))
    yours.save(tmp_path / "sheet.jpg")
    before = (tmp_path / "sheet.jpg").read_bytes()
    code, out, err = cropper("sheet", "out")
    assert (code, out) == (2, "")
    assert err == "cropper: sheet.jpg: cropper did not draw this file; move it, or give another name with -o\n"
    assert (tmp_path / "sheet.jpg").read_bytes() == before
    assert cropper("sheet", "out", "-o", "sheet.jpg")[0] == 0
    assert (tmp_path / "sheet.jpg").read_bytes() != before

"""Gaze sets: what is read, what is left out, the off-centre twin, and densities of fixations."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from fixtures import Viewed, imread
from PIL import Image, ImageOps

from cropper import PhotoError, UsageError
from cropper.evaluation import gaze

HEADER = "image,subject,order,x,y,duration_ms"
SAMPLES = Path(__file__).parents[2] / "sample_images"


def made(folder: Path, *rows: str, header: str = HEADER) -> Path:
    """A gaze set of the samples that the rows name."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for name in {row.split(",")[0] for row in rows} - {"none.jpg"}:
        (folder / "images" / name).parent.mkdir(exist_ok=True)
        shutil.copy(SAMPLES / name, folder / "images" / name)
    (folder / "fixations.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return folder


def test_photos_come_in_name_order_with_all_their_fixations(gaze_folder: Path) -> None:
    photos = gaze.read(gaze_folder).photos
    assert [photo.name for photo in photos] == ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"]
    assert [(photo.width, photo.height) for photo in photos[:2]] == [(160, 120), (120, 160)]
    assert all(len(photo.points) == 60 and len(np.unique(photo.viewers)) == 6 for photo in photos)
    assert photos[0].points[0] == pytest.approx((80, 60))


def test_every_takes_each_nth_from_the_first(gaze_folder: Path) -> None:
    assert [photo.name for photo in gaze.read(gaze_folder, every=2).photos] == ["a.jpg", "c.jpg", "e.jpg"]
    assert [photo.name for photo in gaze.read(gaze_folder, every=4).photos] == ["a.jpg", "e.jpg"]


def test_drop_first_leaves_out_the_start_cross(gaze_folder: Path) -> None:
    for all_of_it, rest in zip(gaze.read(gaze_folder).photos, gaze.read(gaze_folder, drop_first=True).photos, strict=True):
        assert len(all_of_it.points) - len(rest.points) == 6
        assert (all_of_it.points == (all_of_it.width / 2, all_of_it.height / 2)).all(axis=1).sum() == 6
        assert not (rest.points == (rest.width / 2, rest.height / 2)).all(axis=1).any()


@pytest.mark.parametrize("name", sorted(str(p.relative_to(SAMPLES)) for p in SAMPLES.rglob("*.*") if p.suffix != ".md"))
def test_pixels_are_upright_bgr_of_the_size_said(tmp_path: Path, name: str) -> None:
    (photo,) = gaze.read(made(tmp_path, f"{name},0,0,1,1,9")).photos
    bgr = photo.bgr()
    with Image.open(SAMPLES / name) as image:
        assert (photo.width, photo.height) == ImageOps.exif_transpose(image).size
    assert bgr.shape == (photo.height, photo.width, 3)
    assert bgr.dtype == np.uint8


def test_fixations_beside_the_photo_are_left_out_and_photos_without_any_are_named(tmp_path: Path) -> None:

    height, width = imread(str(SAMPLES / "cat.jpg")).shape[:2]
    corners = [(-0.1, 5), (5, -0.1), (width, 5), (5, height)]
    rows = [f"cat.jpg,0,{i},{x},{y},9" for i, (x, y) in enumerate([*corners, (0, 0), (width - 0.1, height - 0.1)])]
    gaze_set = gaze.read(made(tmp_path, *rows, "dogs.jpg,0,0,-5,5,9", "wren.jpg,0,0,5,5,9"))
    assert [photo.name for photo in gaze_set.photos] == ["cat.jpg", "wren.jpg"]
    assert gaze_set.photos[0].points.tolist() == [[0, 0], [width - 0.1, height - 0.1]]
    assert gaze_set.left_out == ("dogs.jpg",)


def test_a_photo_left_out_does_not_move_which_photos_every_takes(tmp_path: Path) -> None:
    rows = ["cat.jpg,0,0,-5,5,9", "dogs.jpg,0,0,5,5,9", "fig.jpg,0,0,5,5,9"]
    assert [photo.name for photo in gaze.read(made(tmp_path, *rows), every=2).photos] == ["fig.jpg"]


@pytest.mark.parametrize(
    ("rows", "header", "reason"),
    [
        (["cat.jpg,0,0,1,1,9"], "image,subject,order,x,duration_ms", "no column 'y'"),
        ([], HEADER, "no fixations"),
        (["cat.jpg,0,0,1,1,9", "cat.jpg,0,1,left,1,9"], HEADER, "line 3: x is not a number: 'left'"),
        (["cat.jpg,0,0,1,nan,9"], HEADER, "line 2: y is not a number"),
        (["cat.jpg,0,0"], HEADER, "line 2: x is not a number"),
        (["cat.jpg,0,0,-1,1,9"], HEADER, "no photo has a fixation"),
    ],
)
def test_a_table_that_is_none_is_refused_with_its_place(tmp_path: Path, rows: list[str], header: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as caught:
        gaze.read(made(tmp_path, *rows, header=header))
    assert str(tmp_path / "fixations.csv") in str(caught.value)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"fixations\.csv: cannot be read"):
        gaze.read(tmp_path)
    with pytest.raises(PhotoError, match=r"none\.jpg: cannot be read"):
        gaze.read(made(tmp_path, "none.jpg,0,0,1,1,9"))


def test_a_damaged_photo_is_named(tmp_path: Path) -> None:
    folder = made(tmp_path, "cat.jpg,0,0,1,1,9")
    photo = folder / "images" / "cat.jpg"
    photo.write_bytes(photo.read_bytes()[:3000])
    (viewed,) = gaze.read(folder).photos
    with pytest.raises(PhotoError, match=r"cat\.jpg: it is truncated"):
        viewed.bgr()


def test_the_twin_is_a_window_of_each_photo_with_the_fixations_in_it(gaze_folder: Path) -> None:
    wholes = gaze.read(gaze_folder)
    twin = gaze.off_centre(wholes)
    assert len(twin.photos) == 5
    for whole, window in zip(wholes.photos, twin.photos, strict=True):
        assert (window.width, window.height) == (int(whole.width * 0.7), int(whole.height * 0.7))
        x, y = window.corner
        assert np.array_equal(window.bgr(), whole.bgr()[y : y + window.height, x : x + window.width])
        inside = (whole.points >= (x, y)).all(axis=1) & (whole.points < (x + window.width, y + window.height)).all(axis=1)
        assert inside.sum() >= 30
        assert window.points + np.array([x, y]) == pytest.approx(whole.points[inside])
        assert np.array_equal(window.viewers, whole.viewers[inside])
    assert sum(len(window.points) for window in twin.photos) < sum(len(whole.points) for whole in wholes.photos)
    assert len({window.corner for window in twin.photos}) > 3
    again = gaze.off_centre(wholes)
    assert [window.corner for window in again.photos] == [window.corner for window in twin.photos]


def test_the_twins_windows_are_those_published(viewed: Viewed) -> None:
    """Left, then top, from one generator of a fixed seed, until 30 fixations are in: the boxes of others were chosen on these."""
    photo = viewed([(50, 40)] * 40)
    twin = gaze.off_centre(gaze.GazeSet((photo, photo)))
    rng = np.random.default_rng(20181)
    expected = [(int(rng.integers(0, 31)), int(rng.integers(0, 25))) for _ in range(2)]
    assert [window.corner for window in twin.photos] == expected


def test_photos_without_a_window_worth_scoring_are_left_out(viewed: Viewed) -> None:
    few, many = viewed([(50, 40)] * 29, name="few.jpg"), viewed([(50, 40)] * 30, name="many.jpg")
    twin = gaze.off_centre(gaze.GazeSet((few, many), ("none.jpg",)))
    assert [photo.name for photo in twin.photos] == ["many.jpg"]
    assert twin.left_out == ("few.jpg", "none.jpg")
    with pytest.raises(UsageError, match="30 fixations"):
        gaze.off_centre(gaze.GazeSet((few,)))


def test_a_fixation_is_blurred_by_a_thirtieth_of_the_width(viewed: Viewed) -> None:
    density = viewed([(150.7, 100.2)], size=(300, 200)).density()
    assert density.shape == (200, 300)
    assert density.sum() == pytest.approx(1)
    assert np.unravel_index(density.argmax(), density.shape) == (100, 150)  # type: ignore[comparison-overlap]  # numpy's integers equal Python's
    variance = (density.sum(axis=0) * (np.arange(300) - 150) ** 2).sum()
    assert variance**0.5 == pytest.approx(0.033 * 300, rel=0.02)


def test_a_fixation_in_the_corner_weighs_as_much_as_another(viewed: Viewed) -> None:
    density = viewed([(0, 0), (150, 100)], size=(300, 200)).density()
    assert density[:50, :50].sum() == pytest.approx(0.5, abs=0.001)


def test_the_centre_bias_is_relative_to_each_photo(viewed: Viewed) -> None:
    small, large = viewed([(25, 60)], size=(100, 80)), viewed([(250, 150)], size=(1000, 200))
    bias = gaze.centre_bias([small, large])
    assert bias.shape == (64, 64)
    assert bias.sum() == pytest.approx(1)
    assert np.unravel_index(bias.argmax(), bias.shape) == (48, 16)  # type: ignore[comparison-overlap]  # numpy's integers equal Python's
    assert bias == pytest.approx(gaze.centre_bias([small]))


def test_a_density_at_another_size_still_sums_to_one_and_lies_where_it_did() -> None:
    density = np.zeros((4, 6))
    density[1, 4] = 1
    scaled = gaze.at_size(density, 600, 400)
    assert scaled.shape == (400, 600)
    assert scaled.sum() == pytest.approx(1)
    assert (scaled.sum(axis=0) * (np.arange(600) + 0.5)).sum() == pytest.approx(450)
    assert (scaled.sum(axis=1) * (np.arange(400) + 0.5)).sum() == pytest.approx(150)


def test_the_centre_bias_is_smoothed_by_three_cells(viewed: Viewed) -> None:
    bias = gaze.centre_bias([viewed([(50, 40)])])
    variance = (bias.sum(axis=0) * (np.arange(64) - 32) ** 2).sum()
    assert variance**0.5 == pytest.approx(3, rel=0.02)

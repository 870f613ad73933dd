"""``--animated``: what becomes of animations, from the command line."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from films import CANVAS, FILMS, Drawn, film, gif_film
from fixtures import Command, MakePhoto
from PIL import Image, ImageSequence

from cropper.choosing.view import Maps
from cropper.engine.again import Again
from cropper.engine.batch import fingerprint
from cropper.engine.tally import KEEPS_FRAMES
from cropper.ledger.given import Given
from cropper.ledger.last_run import last_run_of
from cropper.model.look import infer_maps, open_photo
from cropper.model.saliency import Saliency
from cropper.settings import ALL_FRAMES, CPU, DEFAULT_TARGET, Limits, Settings

SMALL = ("--size", "20x20")
KINDS = ("gif", "webp", "png", "avif")


def animation(kind: str) -> bytes:
    if kind != "avif":
        data = film(kind, "smaller frames")
        assert data is not None
        return data
    pictures = [Image.new("RGB", CANVAS, colour) for colour in ("red", "green", "blue")]
    file = io.BytesIO()
    pictures[0].save(file, "AVIF", save_all=True, append_images=pictures[1:], duration=100, speed=10)
    return file.getvalue()


@pytest.fixture
def photos(tmp_path: Path, make_photo: MakePhoto, plain_rule: None) -> Path:
    """Four animations, one a folder, and a photo."""
    for kind in KINDS:
        (tmp_path / "in" / kind).mkdir(parents=True)
        (tmp_path / "in" / kind / f"a.{kind}").write_bytes(animation(kind))
    make_photo(tmp_path / "in" / "photo.jpg")
    return tmp_path / "in"


def frames_of(data: bytes) -> list[np.ndarray]:
    with Image.open(io.BytesIO(data)) as image:
        return [np.asarray(frame.convert("RGBA")) for frame in ImageSequence.Iterator(image)]


def counts_of(folder: Path) -> dict[str, int]:
    """The thumbnails and how many frames each has."""
    counts = {}
    for file in sorted(folder.rglob("*.*")):
        if file.suffix[1:] in (*KINDS, "jpg"):
            with Image.open(file) as image:
                counts[file.relative_to(folder).as_posix()] = getattr(image, "n_frames", 1)
    return counts


def test_first_frame_alone_is_said(cropper: Command, photos: Path, tmp_path: Path) -> None:
    code, out, err = cropper("batch", photos, "out", *SMALL, "--report", "-")
    assert code == 0
    assert "; only the first frame of 4 animations (--animated all keeps all frames; it writes PNG, WebP, AVIF or GIF)" in err
    assert json.loads(out.splitlines()[-1])["totals"]["first_frames"] == 4
    made = {"avif/a.avif": 1, "gif/a.png": 1, "photo.jpg": 1, "png/a.png": 1, "webp/a.webp": 1}
    assert counts_of(tmp_path / "out") == made


def test_all_frames_are_kept_in_their_formats(cropper: Command, photos: Path, tmp_path: Path) -> None:
    code, out, err = cropper("batch", photos, "out", *SMALL, "--animated", "all", "--report", "-")
    assert code == 0
    assert "first frame" not in err
    assert json.loads(out.splitlines()[-1])["totals"]["first_frames"] == 0
    assert counts_of(tmp_path / "out") == {"avif/a.avif": 3, "gif/a.gif": 3, "photo.jpg": 1, "png/a.png": 3, "webp/a.webp": 3}
    with (tmp_path / "out" / "boxes.csv").open() as table:
        assert [(row["path"], row["output_width"]) for row in csv.DictReader(table)] == [
            *((path, "20") for path in ("photo.jpg", "avif/a.avif", "gif/a.gif", "png/a.png", "webp/a.webp"))
        ]
    assert "5 unchanged" in cropper("batch", photos, "out", *SMALL, "--animated", "all")[2]
    assert "1 unchanged" not in cropper("batch", photos, "out", *SMALL)[2]  # another choice makes others


@pytest.mark.parametrize(("format", "count"), [("webp", 3), ("gif", 3), ("png", 3), ("avif", 3), ("jpg", 1)])
def test_one_format_for_all(cropper: Command, photos: Path, tmp_path: Path, format: str, count: int) -> None:
    options = (*SMALL, "--size", "16x9", "--animated", "all", "--format", format)
    code, _, err = cropper("batch", photos, "out", *options)
    assert code == 0
    assert ("only the first frame of 4 animations" in err) == (format == "jpg")
    made = counts_of(tmp_path / "out")
    assert {name for name in made if "photo" not in name} == {
        f"{size}/{kind}/a.{format}" for size in ("20x20", "16x9") for kind in KINDS
    }
    assert {number for name, number in made.items() if "photo" not in name} == {count}


@pytest.mark.parametrize("kind", KINDS)
def test_one_animation(cropper: Command, photos: Path, tmp_path: Path, kind: str) -> None:
    photo = photos / kind / f"a.{kind}"
    code, _, err = cropper("crop", photo, *SMALL, "-o", "first.gif")
    said = f"{photo}: only the first frame of an animation ({KEEPS_FRAMES})"
    assert (code, err) == (0, f"cropper: {said}\n")
    assert cropper("crop", photo, *SMALL, "--animated", "all", "-o", "all.gif")[::2] == (0, "")
    assert "first frame" in cropper("crop", photo, *SMALL, "--animated", "all", "-o", "all.jpg")[2]
    for name, count in (("first.gif", 1), ("all.gif", 3)):
        with Image.open(tmp_path / name) as image:
            assert (image.format, getattr(image, "n_frames", 1), image.size) == ("GIF", count, (20, 20))


def test_boxes_are_those_of_all_frames_where_asked(cropper: Command, photos: Path) -> None:
    for choice in ("first", "all"):
        code, out, _ = cropper("boxes", photos, "--aspect", "1:1", "--animated", choice)
        assert (code, len(out.splitlines())) == (0, 5)


@pytest.mark.parametrize(
    ("options", "lossless"),
    [
        (("--max-bytes", "1", "--size", "20x20"), "larger than 1 bytes, even with 16 colours"),
        (("--size", "20x20", "--max-bytes", "100kB"), ""),
    ],
)
def test_a_limit_holds_of_all_frames(
    cropper: Command, photos: Path, tmp_path: Path, options: tuple[str, ...], lossless: str
) -> None:
    code, _, err = cropper("batch", photos, "out", "--animated", "all", *options)
    assert (code, "thumbnails are larger than" in err) == (0, bool(lossless))
    lossy = lossless.replace("with 16 colours", "at quality 30")
    with (tmp_path / "out" / "boxes.csv").open() as table:
        assert {row["path"]: row["message"] for row in csv.DictReader(table)} == {
            **dict.fromkeys(("gif/a.gif", "png/a.png"), lossless),
            **dict.fromkeys(("photo.jpg", "avif/a.avif", "webp/a.webp"), lossy),
        }
    assert counts_of(tmp_path / "out")["gif/a.gif"] == 3
    code, _, err = cropper("crop", photos / "gif" / "a.gif", "--animated", "all", *options, "-o", "one.gif")
    assert (code, err) == (0, f"cropper: {photos}/gif/a.gif: the thumbnail is {lossless}\n" if lossless else "")


def test_frames_are_sharpened_and_have_as_few_colours_as_asked(cropper: Command, photos: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    frames = [Image.fromarray(noise.integers(0, 255, (60, 80, 3), np.uint8)) for _ in range(3)]
    frames[0].save(photos / "png" / "a.png", save_all=True, append_images=frames[1:])
    made = {}
    for name, options in (("plain", ()), ("sharp", ("--sharpen", "2")), ("few", ("--colours", "6"))):
        assert cropper("batch", photos, name, *SMALL, "--animated", "all", *options)[0] == 0
        with Image.open(tmp_path / name / "png" / "a.png") as image:
            made[name] = np.stack([np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)]).astype(int)
    assert (made["sharp"].std(axis=(1, 2, 3)) > 1.2 * made["plain"].std(axis=(1, 2, 3))).all()
    assert len(made["few"]) == 3
    assert len(np.unique(made["few"].reshape(-1, 3), axis=0)) <= 6


def test_widths_one_shape_and_names_go_with_all_frames(cropper: Command, photos: Path, tmp_path: Path) -> None:
    asked = ("--animated", "all", "--aspect", "1:1", "--width", "10", "--width", "16", "--name", "{stem}-{width}.{hash:.4}.{ext}")
    assert cropper("batch", photos / "gif", "widths", *asked)[0] == 0
    made = counts_of(tmp_path / "widths")
    assert (sorted(made.values()), {name.split(".")[0] for name in made}) == ([3, 3], {"a-10", "a-16"})
    assert {name.rpartition(".")[2] for name in made} == {"gif"}
    one = ("--animated", "all", "--size", "20x20", "--size", "10x30", "--one", "--flat")
    assert cropper("batch", photos, "one", *one)[0] == 0
    assert counts_of(tmp_path / "one") == {"a.avif": 3, "a.gif": 3, "photo.jpg": 1, "a.png": 3, "a.webp": 3}
    assert cropper("batch", photos, "one", *one)[2].startswith("cropper: 5 photos: 0 done, 5 unchanged")


def test_names_of_animations_do_not_meet(cropper: Command, photos: Path, tmp_path: Path, make_photo: MakePhoto) -> None:
    """``a.gif`` is made as ``a.png`` where the first frame alone is, and as ``a.gif`` where all are."""
    (photos / "gif" / "a.png").write_bytes(animation("png"))
    assert cropper("batch", photos / "gif", "first", *SMALL)[0] == 0
    assert counts_of(tmp_path / "first") == {"a.gif.png": 1, "a.png": 1}
    assert cropper("batch", photos / "gif", "all", *SMALL, "--animated", "all")[0] == 0
    assert counts_of(tmp_path / "all") == {"a.gif": 3, "a.png": 3}


def test_another_choice_makes_them_anew_and_prunes_what_was(cropper: Command, photos: Path, tmp_path: Path) -> None:
    assert cropper("batch", photos, "out", *SMALL)[0] == 0
    err = cropper("batch", photos, "out", *SMALL, "--animated", "all", "--prune")[2]
    assert "5 done, 0 unchanged, 0 failed; 1 old thumbnail removed" in err
    assert counts_of(tmp_path / "out") == {"avif/a.avif": 3, "gif/a.gif": 3, "photo.jpg": 1, "png/a.png": 3, "webp/a.webp": 3}


def test_photos_made_again_after_a_correction_keep_their_frames(cropper: Command, photos: Path, tmp_path: Path) -> None:
    assert cropper("batch", photos, "out", *SMALL, "--animated", "all", "--colours", "8")[0] == 0
    last = last_run_of(tmp_path / "out")
    assert last is not None
    assert (last.settings.animated, last.settings.encoding.colours) == (ALL_FRAMES, 8)
    again = Again(photos, tmp_path / "out", 1, Saliency(None, CPU))
    made = again.make(["gif/a.gif"], [("gif/a.gif", "", Given(20, 15))])
    assert [(row.output, row.message) for row in made["gif/a.gif"].rows] == [("gif/a.gif", "focus given")]
    assert counts_of(tmp_path / "out")["gif/a.gif"] == 3


def test_a_focus_holds_of_all_frames(cropper: Command, photos: Path, tmp_path: Path) -> None:
    for name, at in (("left", "0,15"), ("right", "39,15")):
        options = ("--at", at, "--animated", "all", "--size", "30x30", "-o", f"{name}.png")
        assert cropper("crop", photos / "png" / "a.png", *options)[0] == 0
    whole = frames_of(animation("png"))
    for name, columns in (("left", slice(0, 30)), ("right", slice(10, 40))):
        seen = frames_of((tmp_path / f"{name}.png").read_bytes())
        assert all(np.array_equal(one, other[:, columns]) for one, other in zip(seen, whole, strict=True))


def test_a_damaged_frame_costs_the_photo_unless_it_is_salvaged(cropper: Command, photos: Path, tmp_path: Path) -> None:
    data = animation("gif")
    (photos / "gif" / "a.gif").write_bytes(data[:-12])
    code, _, err = cropper("batch", photos, "out", *SMALL, "--animated", "all")
    assert code == 1
    assert "a.gif: it is truncated or damaged (in frame 3); copy it again" in err
    code, _, err = cropper("batch", photos, "salvaged", *SMALL, "--animated", "all", "--salvage")
    assert code == 0
    assert counts_of(tmp_path / "salvaged")["gif/a.gif"] == 2
    assert "salvaged: part of the photo is missing" in (tmp_path / "salvaged" / "boxes.csv").read_text()
    (photos / "gif" / "a.gif").write_bytes(data[: data.rindex(b"\x21\xf9", 0, data.rindex(b"\x21\xf9")) + 30])
    assert cropper("batch", photos, "salvaged", *SMALL, "--animated", "all", "--salvage")[0] == 0
    assert counts_of(tmp_path / "salvaged")["gif/a.gif"] == 1


def test_too_many_frames_fail_with_what_to_do(cropper: Command, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    frames = [Drawn((9, 9, 9, 255), (0, 0, 1, 1))] * 12
    (tmp_path / "in" / "a.gif").write_bytes(gif_film((1000, 1000), frames))
    code, _, err = cropper("batch", "in", "out", "--animated", "all", "--max-pixels", "1")
    assert code == 1
    assert "it has more frames than is safe to decode (12 of 1000 x 1000, 12 megapixels); use --animated first, or allow" in err


def test_several_frames_decide() -> None:
    """The model looks at frames over all of the time, and what it sees of each counts the same."""

    class Model:
        def infer(self, batch: np.ndarray, /) -> list[Maps]:
            bright = batch.mean(axis=(1, 2, 3))
            return [Maps(np.full((4, 4), one, np.float32)) for one in bright]

    data = film("png", "whole frames")
    assert data is not None
    photo = open_photo(data, lambda width, height: (width, height), all_frames=True)
    assert len(photo.others) == 2
    means = [np.mean(frame.pixels[0, 0, :3]) for frame in FILMS["whole frames"]]
    (maps,) = infer_maps([photo], Model())
    assert maps.density[0, 0] == pytest.approx(np.mean(means), abs=1)
    first = open_photo(data, lambda width, height: (width, height))
    assert first.has_more
    assert infer_maps([first], Model())[0].density[0, 0] == pytest.approx(means[0], abs=1)


def test_other_photos_are_opened_as_ever(make_photo: MakePhoto, tmp_path: Path) -> None:
    data = make_photo(tmp_path / "a.jpg").read_bytes()
    plain, with_frames = (open_photo(data, lambda w, h: (w, h), Limits(), all_frames=choice) for choice in (False, True))
    assert np.array_equal(plain.pixels, with_frames.pixels)
    assert with_frames.animation is None
    assert not plain.has_more


def test_the_choice_counts_for_a_second_run() -> None:
    first = Settings((DEFAULT_TARGET,))
    assert '"animated"' not in fingerprint(first)
    assert '"animated": "all"' in fingerprint(Settings((DEFAULT_TARGET,), animated=ALL_FRAMES))


@pytest.fixture
def busy(tmp_path: Path) -> Path:
    """A GIF of three frames of many colours."""
    generator = np.random.default_rng(1)
    frames = [Image.fromarray(generator.integers(0, 256, (12, 18, 3), np.uint8)).resize((180, 120), 3) for _ in range(3)]
    frames[0].save(tmp_path / "busy.gif", save_all=True, append_images=frames[1:], duration=100)
    return tmp_path / "busy.gif"


@pytest.mark.parametrize("kind", ["webp", "avif", "gif"])
def test_bytes_allowed_hold_of_all_frames_together(cropper: Command, busy: Path, tmp_path: Path, kind: str) -> None:
    def made(*options: str) -> int:
        command = ["crop", busy, "--size", "60x40", "--animated", "all", "-o", f"small.{kind}", *options]
        assert cropper(*command)[0] == 0
        assert len(frames_of((tmp_path / f"small.{kind}").read_bytes())) == 3
        return (tmp_path / f"small.{kind}").stat().st_size

    allowed = made() * 2 // 3
    assert allowed // 2 < made("--max-bytes", str(allowed)) <= allowed


@pytest.mark.parametrize(("kind", "lowest"), [("webp", "at quality 30"), ("gif", "with 16 colours"), ("png", "with 16 colours")])
def test_an_animation_that_cannot_be_so_small_says_so(
    cropper: Command, busy: Path, tmp_path: Path, kind: str, lowest: str
) -> None:
    _, _, err = cropper("crop", busy, "--size", "60x40", "--animated", "all", "-o", f"a.{kind}", "--max-bytes", "200")
    assert err == f"cropper: {busy}: the thumbnail is larger than 200 bytes, even {lowest}\n"
    assert len(frames_of((tmp_path / f"a.{kind}").read_bytes())) == 3
    _, _, err = cropper(
        *("batch", busy, "out", "--size", "60x40", "--animated", "all", "--format", kind, "--max-bytes", "200"),
        *("--name", "t-{stem}.{ext}"),
    )
    assert f"1 thumbnail is larger than 200 bytes, even {lowest}" in err
    assert len(frames_of((tmp_path / "out" / f"t-busy.{kind}").read_bytes())) == 3


def test_all_frames_are_sharpened(cropper: Command, busy: Path, tmp_path: Path) -> None:
    for name, amount in (("soft.png", "0"), ("sharp.png", "1")):
        cropper("crop", busy, "--size", "60x40", "--animated", "all", "-o", name, "--sharpen", amount)
    soft, sharp = (frames_of((tmp_path / name).read_bytes()) for name in ("soft.png", "sharp.png"))
    assert all(one.std() > other.std() + 0.5 for one, other in zip(sharp, soft, strict=True))

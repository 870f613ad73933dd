"""The manifest for sites: what it says is true of the files, and a second run reads none of them."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fixtures import Command, MakePhoto, imread

from cropper.engine import manifest as engine
from cropper.extras import install_command
from cropper.imaging.placeholder import dominant
from cropper.ledger.manifest import Thumbnail, crops_of
from cropper.ledger.table import Row
from cropper.storage.places import Place

thash = pytest.importorskip("thash", reason="needs the extra `web`")
BATCH = ("batch", "photos", "out", "--size", "32x18", "--size", "64x36", "--aspect", "1:1")

pytestmark = pytest.mark.usefixtures("plain_rule")


@pytest.fixture
def photos(tmp_path: Path, make_photo: MakePhoto) -> Path:
    make_photo(tmp_path / "photos" / "a b, c.jpg", 96, 64)
    make_photo(tmp_path / "photos" / "trips" / "é.png", 40, 80)
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"no photo")
    return tmp_path / "photos"


def written(folder: Path, name: str = "site.json") -> dict[str, Any]:
    found = json.loads((folder / name).read_bytes())
    assert found["manifest"] == 1
    return dict(found["photos"])


def test_it_tells_of_every_photo_and_file(cropper: Command, tmp_path: Path, photos: Path) -> None:
    assert cropper(*BATCH, "--manifest", "site.json")[0] == 1
    found = written(tmp_path)
    assert list(found) == ["a b, c.jpg", "trips/é.png"]
    assert [(one["width"], one["height"]) for one in found.values()] == [(96, 64), (40, 80)]
    wide = found["a b, c.jpg"]["aspects"]["16:9"]
    assert wide["srcset"] == "out/32x18/a%20b%2C%20c.jpg 32w, out/64x36/a%20b%2C%20c.jpg 64w"
    assert list(found["trips/é.png"]["aspects"]) == ["16:9", "1:1"]
    for photo in found.values():
        for crop in photo["aspects"].values():
            assert {*crop} == {"box", "object_position", "srcset", "color", "thumbhash", "files"}
            for file in crop["files"]:
                path = tmp_path / file["url"].replace("%20", " ").replace("%2C", ",").replace("%C3%A9", "é")
                assert imread(str(path)).shape[:2] == (file["height"], file["width"])
                assert path.stat().st_size == file["bytes"]
                assert file["type"] == f"image/{path.suffix[1:].replace('jpg', 'jpeg')}"
            hashed = list(base64.b64decode(crop["thumbhash"]))
            shape = crop["files"][0]["width"] / crop["files"][0]["height"]
            assert 0.7 < thash.thumb_hash_to_approximate_aspect_ratio(hashed) / shape < 1.5


def test_a_second_run_reads_no_thumbnail_and_writes_the_same_bytes(
    cropper: Command, tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cropper(*BATCH)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.jpg")}
    looked: list[str] = []
    look = engine._look

    def looking(out: Place, hashed: bool, file: Thumbnail) -> tuple[str, str | None, int, int] | None:
        looked.append(file.output)
        return look(out, hashed, file)

    monkeypatch.setattr(engine, "_look", looking)
    cropper(*BATCH, "--manifest", "site.json")
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert sorted(looked) == ["1-1/a b, c.jpg", "1-1/trips/é.png", "32x18/a b, c.jpg", "32x18/trips/é.png"]
    first = (tmp_path / "site.json").read_bytes()
    looked.clear()
    cropper(*BATCH, "--manifest", "site.json")
    assert (tmp_path / "site.json").read_bytes() == first
    assert looked == []


def test_a_thumbnail_that_somebody_changed_or_removed_is_told_as_it_is(cropper: Command, tmp_path: Path, photos: Path) -> None:
    cropper(*BATCH)
    cv2.imwrite(str(tmp_path / "out" / "64x36" / "a b, c.jpg"), np.full((50, 70, 3), 200, np.uint8))
    cropper(*BATCH, "--manifest", "site.json")
    file = written(tmp_path)["a b, c.jpg"]["aspects"]["16:9"]["files"][1]
    assert (file["width"], file["height"]) == (70, 50)
    assert file["bytes"] == (tmp_path / "out" / "64x36" / "a b, c.jpg").stat().st_size


def test_urls_begin_with_the_base_or_lead_from_the_manifests_folder(cropper: Command, tmp_path: Path, photos: Path) -> None:
    (tmp_path / "data").mkdir()
    for options, url in (
        (("--manifest", "out/m.json"), "1-1/trips/%C3%A9.png"),
        (("--manifest", "data/m.json"), "../out/1-1/trips/%C3%A9.png"),
        (("--manifest", "data/m.json", "--base-url", "https://cdn.example/t/"), "https://cdn.example/t/1-1/trips/%C3%A9.png"),
    ):
        cropper(*BATCH, *options)
        found = written(tmp_path, options[1])["trips/é.png"]["aspects"]["1:1"]
        assert found["files"][0]["url"] == url
        assert found["srcset"] == f"{url} 40w"


def test_a_dry_run_tells_where_boxes_lie(cropper: Command, tmp_path: Path, photos: Path) -> None:
    cropper(*BATCH, "--dry-run", "--manifest", "site.json")
    crop = written(tmp_path)["a b, c.jpg"]["aspects"]["1:1"]
    assert crop["object_position"].endswith(" 50%")
    assert (crop["files"], crop["srcset"], crop["color"]) == ([], "", None)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--manifest", "site.txt"), "site.txt: a manifest is JSON; end its name in .json"),
        (("--manifest", "other.json"), "other.json: holds something else, so nothing is written to it; give another name"),
        (("--manifest", "no/site.json"), "no/site.json: the manifest cannot be written (Not a directory); give another name"),
        (("--manifest", "site.json", "--shard", "1/2"), "--manifest needs a run without --shard"),
        (("--base-url", "x"), "--base-url is for the URLs of a manifest; add --manifest FILE.json"),
        (("--manifest", "m.json", "--base-url", "https://x/a b"), "--base-url 'https://x/a b' has a space"),
        (("--manifest", "m.json", "--base-url", ",x"), "--base-url ',x' has a space or begins with a comma"),
        (("--manifest", "m.json", "--report", "m.json"), "m.json: --report and --manifest name one file; give each its own"),
    ],
)
def test_what_cannot_be_is_said_before_the_run(
    cropper: Command, tmp_path: Path, photos: Path, options: tuple[str, ...], why: str
) -> None:
    (tmp_path / "other.json").write_text('{"photos": 1}')
    (tmp_path / "no").touch()
    code, _, err = cropper(*BATCH, *options)
    assert code == 2
    assert err.startswith(f"cropper: {why}")
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_new_manifest_goes_with_a_new_report(cropper: Command, tmp_path: Path, photos: Path) -> None:
    cropper(*BATCH, "--manifest", "new.json", "--report", "new.jsonl")
    assert json.loads((tmp_path / "new.json").read_text())["photos"]
    assert (tmp_path / "new.jsonl").read_text()


def test_without_the_library_it_lacks_the_hashes_until_that_is_here(
    cropper: Command, tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lack = f"cropper: the manifest has no thumbhash; to add it, run: {install_command('web')}\n"
    with monkeypatch.context() as bare:
        bare.setitem(sys.modules, "thash", None)
        for _ in range(2):
            code, _, err = cropper(*BATCH, "--manifest", "site.json")
            assert (code, err.count(lack)) == (1, 1)
    without, hashed = written(tmp_path), 0
    _, _, err = cropper(*BATCH, "--manifest", "site.json")
    assert lack not in err
    for path, photo in written(tmp_path).items():
        for name, crop in photo["aspects"].items():
            hashed += bool(base64.b64decode(crop["thumbhash"]))
            before = without[path]["aspects"][name]
            assert (before["thumbhash"], before["color"][0]) == (None, "#")
            assert {**before, "thumbhash": crop["thumbhash"]} == crop
    assert hashed == 4


def row(size: str, x: int = 0, width: int = 90) -> Row:
    return Row("a", size, "ok", "160", "90", size, str(x), "0", str(width), "90", "9", "9")


def test_sizes_of_one_shape_and_box_are_one_crop() -> None:
    rows = [row("640x640"), row("320x320"), row("1:1"), row("100x100", x=5), row("333x334", x=9, width=89)]
    files = {one.output: Thumbnail(one.output, 7, 7, 9, b"") for one in rows}
    crops = crops_of(rows, {**files, "320x320": Thumbnail("320x320", 5, 5, 9, b"")})
    assert [crop.name for crop in crops] == ["1:1", "100x100", "333:334"]
    assert [file.output for file in crops[0].files] == ["320x320", "1:1", "640x640"]
    rounded = [row("640x360", width=160), row("333x187", width=160), row("16:9", width=160), row("640x340", width=160)]
    assert [crop.name for crop in crops_of(rounded, {})] == ["16:9", "32:17"]


def test_the_dominant_colour_is_the_most_frequent_one_not_the_mean() -> None:
    picture = np.zeros((10, 10, 4), np.uint8)
    picture[:] = (0, 0, 250, 255)
    picture[:3] = (250, 0, 0, 255)
    picture[3:5] = (248, 4, 2, 255)
    assert dominant(picture) == "#0000fa"
    picture[5:8, :, 3] = 0
    assert dominant(picture) == "#f90201"

"""``--sidecar xmp``: the crops of each photo as IPTC image regions, kept like any other file of OUT."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from fixtures import Command, MakePhoto
from PIL import Image
from plain import Plain
from running import run_batch

from cropper.engine import decision_stream
from cropper.engine.batch import fingerprint
from cropper.engine.sidecar import sidecar_of
from cropper.imaging.face_regions import turned
from cropper.ledger.shares import shares_of
from cropper.ledger.table import TABLE_NAME, read_rows
from cropper.settings import XMP, Settings, Target
from cropper.storage.access import place
from cropper.storage.naming import LONGEST_NAME, sidecars_of

pytestmark = pytest.mark.usefixtures("plain_rule")
RUN = ("batch", "in", "out", "--size", "32x32", "--size", "64x36", "--sidecar", "xmp")
SPACES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "x": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
}


@pytest.fixture
def photos(tmp_path: Path, make_photo: MakePhoto) -> Path:
    for seed, name in enumerate(("a.jpg", "trips/b & c.png")):
        make_photo(tmp_path / "in" / name, seed=seed)
    return tmp_path / "in"


def regions(data: bytes) -> dict[str, tuple[list[str], dict[str, str]]]:
    """The roles and the boundary of each region by its name."""
    found = {}
    for region in ElementTree.fromstring(data).iterfind(".//x:ImageRegion/rdf:Bag/rdf:li", SPACES):
        name = region.findtext("x:Name/rdf:Alt/rdf:li", None, SPACES) or ""
        assert region.findtext("x:rId", None, SPACES) == f"cropper-{name}"
        roles = [role.text or "" for role in region.iterfind("x:rRole/rdf:Bag/rdf:li/xmp:Identifier/rdf:Bag/rdf:li", SPACES)]
        boundary = region.find("x:RegionBoundary", SPACES)
        assert boundary is not None
        numbers = {one.tag.rpartition("}")[2]: one.text or "" for one in boundary.iter() if (one.text or "").strip()}
        found[name] = [role.rpartition("/")[2] for role in roles], numbers
    return found


def sidecars(out: Path) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*.xmp"))


def summary(run: Command, *arguments: object) -> str:
    code, _, err = run(*RUN, *arguments)
    assert code == 0, err
    return err.partition(": ")[2].partition(": ")[2].rpartition("; ")[0]


def test_each_photo_has_its_crops_and_its_focus(cropper: Command, photos: Path, tmp_path: Path) -> None:
    assert cropper(*RUN)[0] == 0
    assert sidecars(tmp_path / "out") == ["xmp/a.jpg.xmp", "xmp/trips/b & c.png.xmp"]
    rows = [row for row in read_rows(tmp_path / "out" / TABLE_NAME) if row.path == "a.jpg"]
    square, wide, focus = regions((tmp_path / "out/xmp/a.jpg.xmp").read_bytes()).items()
    for (name, (roles, numbers)), row, shape in zip((square, wide), rows, ("square", "landscape"), strict=True):
        found = shares_of(row)
        assert found is not None
        assert roles == ["cropping", f"{shape}Cropping"]
        assert (numbers["rbShape"], numbers["rbUnit"]) == ("rectangle", "relative")
        place = [float(numbers[f"rb{side}"]) for side in "XYWH"]
        assert place == pytest.approx([found.left, found.top, found.right - found.left, found.bottom - found.top], abs=2e-6)
        assert name == {"square": "1:1", "landscape": "16:9"}[shape]
    found = shares_of(rows[0])
    assert found is not None
    point = {"rbUnit": "relative", "rbShape": "polygon", "rbX": f"{found.focus_left:g}", "rbY": f"{found.focus_top:g}"}
    assert (focus[0], focus[1][0]) == ("focus", ["areaOfInterest"])
    assert {name: f"{float(text):g}" if name in ("rbX", "rbY") else text for name, text in focus[1][1].items()} == point


@pytest.mark.parametrize(("name", "orientation"), [("a.jpg", number) for number in range(1, 9)] + [("a.tif", 6)])
def test_regions_count_from_the_stored_pixels(cropper: Command, tmp_path: Path, name: str, orientation: int) -> None:
    (tmp_path / "in").mkdir()
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.random.default_rng(4).integers(0, 90, (64, 96, 3), np.uint8)
    pixels[10:30, 60:90] = 255
    Image.fromarray(pixels).save(tmp_path / "in" / name, exif=exif)
    assert cropper(*RUN)[0] == 0
    row, _ = read_rows(tmp_path / "out" / TABLE_NAME)
    _, numbers = regions((tmp_path / f"out/xmp/{name}.xmp").read_bytes())["1:1"]
    left, top, width, height = (float(numbers[f"rb{side}"]) for side in "XYWH")
    found = shares_of(row)
    assert found is not None
    upright = turned((left, top, left + width, top + height), orientation)
    assert upright == pytest.approx((found.left, found.top, found.right, found.bottom), abs=2e-6)


def test_candidates_and_sizes_of_one_shape_have_names_of_their_own(cropper: Command, photos: Path, tmp_path: Path) -> None:
    assert cropper(*RUN)[0] == 0
    row = next(read_rows(tmp_path / "out" / TABLE_NAME))
    other = row.x if row.x != "0" else "1"
    rows = [row, *(type(row)(**{**vars(row), **more}) for more in ({"size": "16x16"}, {"size": "64x64", "width": "9"}))]
    rows.append(type(row)(**{**vars(row), "candidate": "2", "x": other, "width": "8"}))
    data = sidecar_of(rows, 1)
    assert data is not None
    assert list(regions(data)) == ["1:1", "64x64", "1:1 #2", "focus"]
    assert sidecar_of([type(row)(**{**vars(row), "status": "skipped"})], 1) is None


def test_a_second_run_makes_what_is_missing_and_keeps_what_somebody_changed(
    cropper: Command, photos: Path, tmp_path: Path
) -> None:
    assert summary(cropper).startswith("2 done, 0 unchanged")
    assert summary(cropper).startswith("0 done, 2 unchanged")
    first, second = (tmp_path / "out" / path for path in sidecars(tmp_path / "out"))
    before = first.read_bytes()
    first.unlink()
    second.write_bytes(b"<mine/>")
    assert summary(cropper).startswith("1 done, 1 unchanged, 0 failed; 1 thumbnail that you changed is kept")
    assert (first.read_bytes(), second.read_bytes()) == (before, b"<mine/>")
    assert summary(cropper, "--force").startswith("2 done")
    assert second.read_bytes() != b"<mine/>"


def test_sidecars_go_with_their_photo_or_the_option(cropper: Command, photos: Path, tmp_path: Path) -> None:
    assert cropper(*RUN)[0] == 0
    (photos / "trips/b & c.png").unlink()
    assert "3 thumbnails are not needed any more" in summary(cropper)
    assert "3 old thumbnails removed" in summary(cropper, "--prune")
    assert sidecars(tmp_path / "out") == ["xmp/a.jpg.xmp"]
    assert not (tmp_path / "out/xmp/trips").exists()
    without = (*RUN[:-2], "--prune")
    assert "1 old thumbnail removed" in cropper(*without)[2]
    assert not (tmp_path / "out/xmp").exists()


def test_names_that_some_file_systems_take_for_one_are_told_apart(
    cropper: Command, make_photo: MakePhoto, tmp_path: Path
) -> None:
    for seed, name in enumerate(("A.jpg", "a.jpg", "Trip/b.jpg", "trip/b.jpg", "c.jpg", "c.jpg.xmp/d.jpg")):
        make_photo(tmp_path / "in" / name, seed=seed)
    assert summary(cropper).startswith("6 done")
    found = sidecars(tmp_path / "out")
    files = [path for path in found if (tmp_path / "out" / path).is_file()]
    assert files == [
        *("xmp/A.jpg.xmp", "xmp/Trip/b.jpg.xmp", "xmp/a.jpg~2.xmp", "xmp/c.jpg.xmp/d.jpg.xmp"),
        *("xmp/c.jpg~2.xmp", "xmp/trip~2/b.jpg.xmp"),
    ]
    assert summary(cropper) == "0 done, 6 unchanged, 0 failed"
    (tmp_path / "in/A.jpg").unlink()
    assert summary(cropper, "--prune").startswith("1 done, 4 unchanged, 0 failed; ")
    assert {"xmp/a.jpg.xmp"} == {*sidecars(tmp_path / "out")} - {*found}
    assert {*found} - {*sidecars(tmp_path / "out")} == {"xmp/A.jpg.xmp", "xmp/a.jpg~2.xmp"}
    assert cropper(*RUN[:-2], "--prune")[0] == 0
    assert not (tmp_path / "out/xmp").exists()


def test_a_long_name_has_one_that_fits() -> None:
    long, other = f"{'x' * 251}.jpg", f"{'x' * 251}.png"
    names = sidecars_of((long, other, "a.jpg"))
    assert names["a.jpg"] == "a.jpg.xmp"
    assert len({*names.values()}) == 3
    assert {len(names[one]) for one in (long, other)} == {LONGEST_NAME}


def test_a_file_of_somebody_else_stays(cropper: Command, photos: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "out/xmp/a.jpg.xmp"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"<theirs/>")
    code, _, err = cropper(*RUN)
    assert code == 1
    assert err.count("\n") == 2
    assert "a.jpg.xmp: a file that cropper did not write is there already; move it away or choose another OUT" in err
    assert theirs.read_bytes() == b"<theirs/>"
    theirs.unlink()
    assert summary(cropper).startswith("1 done, 1 unchanged, 0 failed")


def test_a_photo_that_failed_keeps_its_sidecar_and_a_dry_run_writes_none(cropper: Command, photos: Path, tmp_path: Path) -> None:
    assert cropper("batch", "in", "dry", *RUN[3:], "--dry-run")[0] == 0
    assert sidecars(tmp_path / "dry") == []
    assert cropper(*RUN)[0] == 0
    (photos / "a.jpg").write_bytes(b"no photo")
    assert cropper(*RUN, "--prune")[0] == 1
    assert "xmp/a.jpg.xmp" in sidecars(tmp_path / "out")


def test_shards_and_a_bucket_have_the_same_sidecars(cropper: Command, photos: Path, tmp_path: Path) -> None:
    assert cropper(*RUN)[0] == 0
    for number in (1, 2):
        assert cropper("batch", "in", "sharded", *RUN[3:], "--shard", f"{number}/2")[0] == 0
    assert cropper("ledger", "merge", "sharded", "--finish")[0] == 0
    assert cropper("batch", "in", "sharded", *RUN[3:], "--prune")[2].startswith("cropper: 2 photos: 0 done, 2 unchanged")
    of_one = {path: (tmp_path / "out" / path).read_bytes() for path in sidecars(tmp_path / "out")}
    assert {path: (tmp_path / "sharded" / path).read_bytes() for path in sidecars(tmp_path / "sharded")} == of_one


def test_a_bucket_has_them_too(photos: Path, tmp_path: Path) -> None:
    pytest.importorskip("fsspec", reason="needs the extra `cloud`")
    settings = Settings((Target((1, 1), (32, 32)),), sidecar=XMP)

    def run(**others: Any) -> list[bool]:
        return [done.unchanged for done in run_batch(photos, place("memory://sidecars"), settings, 1, **others) if done.rows]

    assert run() == [False, False]
    data, _ = (place("memory://sidecars") / "xmp/a.jpg.xmp").read()
    assert list(regions(data)) == ["1:1", "focus"]
    assert run() == [True, True]


def test_boxes_prints_the_sidecars_of_a_batch(
    cropper: Command, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decision_stream, "Saliency", Plain)
    with Image.open(photos / "a.jpg") as image:
        exif = Image.Exif()
        exif[0x0112] = 6
        image.save(photos / "a.jpg", exif=exif)
    assert cropper(*RUN)[0] == 0
    printed = ("boxes", "in", "in/none.jpg", *RUN[3:-2], "--format", "xmp")
    expected = [(tmp_path / "out" / path).read_text(encoding="utf-8") for path in sidecars(tmp_path / "out")]
    code, out, err = cropper(*printed)
    assert (code, out, err.count("\n")) == (1, "".join(expected), 1)
    assert cropper(*printed, "--print0")[1] == "".join(text[:-1] + "\0" for text in expected)


def test_runs_without_sidecars_have_the_fingerprint_they_had() -> None:
    assert "sidecar" not in fingerprint(Settings((Target((1, 1)),)))
    assert "sidecar" in fingerprint(Settings((Target((1, 1)),), sidecar=XMP))

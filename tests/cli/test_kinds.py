"""What a batch says and makes of the folders of phones and cameras, with the extra ``formats`` and without."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from extra_files import HEIC, corners, dng, psd
from fixtures import OUTPUTS, Command, MakePhoto
from PIL import Image

from cropper import PhotoError
from cropper.extras import install_command
from cropper.image_formats import FORMATS
from cropper.storage.photo_file import read_opened

INSTALL = install_command("formats")

EXTRA = pytest.mark.skipif(not all(one.is_here for one in FORMATS), reason=f"needs {INSTALL}")


@pytest.fixture
def phone(tmp_path: Path) -> Path:
    """A folder with a HEIC and its film, one under a wrong name, a RAW beside a JPEG, one alone, a PSD and what nobody reads."""
    folder = tmp_path / "in"
    folder.mkdir()
    heic = (HEIC / "irot.heic").read_bytes()
    jpeg = cv2.imencode(".jpg", corners())[1].tobytes()
    raw = dng(jpeg, (96, 64))
    for name, data in {
        **{"IMG_1.HEIC": heic, "IMG_1.MOV": b"film", "IMG_2.jpg": heic, "DSC_3.DNG": raw, "DSC_3.JPG": jpeg, "DSC_4.dng": raw},
        **{"art.psd": psd(corners()[:, :, ::-1].transpose(2, 0, 1)), "logo.svg": b"<svg/>", "notes.txt": b"notes"},
    }.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def without_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cropper.image_formats._is_installed", lambda module: False)


def rows(out: Path) -> dict[str, tuple[str, str]]:
    with (out / "boxes.csv").open(newline="") as table:
        return {row["path"]: (row["output"], row["message"]) for row in csv.DictReader(table)}


@EXTRA
def test_every_kind_becomes_what_people_expect(cropper: Command, phone: Path, tmp_path: Path) -> None:
    code, _, err = cropper("batch", phone, "out", "--size", "32x32")
    assert code == 0
    assert {path: output for path, (output, _) in rows(tmp_path / "out").items()} == {
        "DSC_3.JPG": "DSC_3.JPG",
        "DSC_4.dng": "DSC_4.jpg",
        "IMG_1.HEIC": "IMG_1.jpg",
        "IMG_2.jpg": "IMG_2.jpg",
        "art.psd": "art.png",
    }
    assert "5 photos: 5 done" in err
    assert "; 1 RAW beside a JPEG or HEIC ignored (--raw all takes them)" in err
    assert "; 1 SVG and 1 video files ignored, which cropper does not read; 1 other file ignored;" in err
    for path in ("IMG_1.jpg", "IMG_2.jpg", "DSC_4.jpg"):
        with Image.open(tmp_path / "out" / path) as thumbnail:
            assert (thumbnail.format, thumbnail.size) == ("JPEG", (32, 32))
    code, _, err = cropper("batch", phone, "out", "--size", "32x32", "--raw", "all")
    assert code == 0
    assert rows(tmp_path / "out")["DSC_3.DNG"][0] == "DSC_3.DNG.jpg"
    assert "6 photos: 1 done, 5 unchanged" in err


@EXTRA
def test_a_raw_that_is_listed_is_taken_beside_its_jpeg(cropper: Command, phone: Path, tmp_path: Path) -> None:
    code, _, err = cropper("batch", phone / "DSC_3.DNG", phone / "DSC_4.dng", "out", "--size", "32x32")
    assert (code, set(rows(tmp_path / "out"))) == (0, {"DSC_3.DNG", "DSC_4.dng"})
    assert rows(tmp_path / "out")["DSC_3.DNG"][0] == "DSC_3.DNG.jpg"  # as in a run over all
    assert "passed over" not in err
    code, _, err = cropper("batch", phone, phone / "DSC_3.DNG", "all", "--size", "32x32")
    assert (code, len(rows(tmp_path / "all"))) == (0, 6)
    assert "beside a JPEG" not in err
    code, _, err = cropper("batch", phone / "DSC_3.JPG", "one", "--size", "32x32")
    assert (code, set(rows(tmp_path / "one"))) == (0, {"DSC_3.JPG"})
    assert "beside a JPEG" not in err  # nor is anything that is not listed


@EXTRA
def test_a_raw_whose_jpeg_is_excluded_is_alone(cropper: Command, phone: Path, tmp_path: Path) -> None:
    code, _, err = cropper("batch", phone, "out", "--size", "32x32", "--exclude", "*.JPG", "--exclude", "*.psd")
    assert (code, set(rows(tmp_path / "out"))) == (0, {"DSC_3.DNG", "DSC_4.dng", "IMG_1.HEIC", "IMG_2.jpg"})
    assert "; 1 other file ignored; 2 files excluded; " in err


@EXTRA
@pytest.mark.parametrize("salvage", [(), ("--salvage",)])
def test_what_a_library_of_the_extra_refuses_costs_its_own_row(
    cropper: Command, phone: Path, tmp_path: Path, salvage: tuple[str, ...]
) -> None:
    assert cropper("crop", phone / "DSC_3.JPG", "-o", phone / "half.jxl")[0] == 0
    for name, whole in (("half.heic", phone / "IMG_1.HEIC"), ("half.jxl", phone / "half.jxl")):
        data = whole.read_bytes()
        (phone / name).write_bytes(data[: len(data) * 3 // 4])
    code, _, err = cropper("batch", phone, "out", "--size", "32x32", *salvage)
    assert code == 1
    # libheif decodes what is there of a picture; libjxl nothing.
    refused = {"half.jxl"} if salvage else {"half.heic", "half.jxl"}
    assert f"7 photos: {7 - len(refused)} done, 0 unchanged, {len(refused)} failed" in err
    messages = {path: message for path, (output, message) in rows(tmp_path / "out").items() if not output}
    assert set(messages) == refused
    assert all(message.startswith("it is truncated or damaged (") for message in messages.values())
    assert ("), and no part of it can be salvaged; copy" in messages["half.jxl"]) == bool(salvage)


@EXTRA
def test_every_kind_goes_into_jxl(cropper: Command, phone: Path, tmp_path: Path) -> None:
    assert cropper("batch", phone, "out", "--size", "32x32", "--format", "jxl")[0] == 0
    made = sorted(file.name for file in (tmp_path / "out").glob("*.jxl"))
    assert made == ["DSC_3.jxl", "DSC_4.jxl", "IMG_1.jxl", "IMG_2.jxl", "art.jxl"]
    (tmp_path / "again").mkdir()
    assert cropper("batch", "out", "again", "--size", "16x16", "--force")[0] == 0
    assert len(list((tmp_path / "again").glob("*.jxl"))) == 5


def test_without_the_extra_kinds_counts_and_the_command_are_said(
    cropper: Command, phone: Path, tmp_path: Path, without_extra: None
) -> None:
    code, _, err = cropper("batch", phone, "out", "--size", "32x32")
    assert code == 1  # a HEIC by the name of a JPEG
    assert f"; 2 RAW and 1 HEIC photos need {INSTALL}; 1 SVG and 1 video files ignored" in err
    said = f"the content is HEIC, which this installation cannot read; run: {INSTALL}"
    assert f"{phone / 'IMG_2.jpg'}: {said}\n" in err
    assert rows(tmp_path / "out")["IMG_2.jpg"][1] == said
    assert set(rows(tmp_path / "out")) == {"DSC_3.JPG", "IMG_2.jpg", "art.psd"}
    code, out, err = cropper("boxes", phone / "DSC_3.JPG", phone)
    assert out.count("\n") == 4  # that one, and the folder's three
    assert f"cropper: 2 RAW and 1 HEIC photos need {INSTALL}\n" in err


def test_kinds_are_told_in_a_report_and_not_what_is_excluded(
    cropper: Command, phone: Path, tmp_path: Path, without_extra: None
) -> None:
    options = "--size", "32x32", "--exclude", "IMG_2.jpg", "--exclude", "*.dng"
    code, _, err = cropper("batch", phone, "out", *options, "--report", "report.jsonl")
    assert code == 0
    assert f"; 1 HEIC and 1 RAW photos need {INSTALL}; 1 SVG and 1 video files ignored, which cropper does not read; " in err
    assert "; 1 other file ignored; 2 files excluded; " in err
    totals = json.loads((tmp_path / "report.jsonl").read_bytes().splitlines()[-1])["totals"]
    assert totals["kinds_passed_over"] == {"HEIC": 1, "RAW": 1, "SVG": 1, "video": 1}
    assert (totals["passed_over"], totals["raw_beside_others"]) == (5, 0)


def test_a_listed_photo_says_what_would_read_it(cropper: Command, phone: Path, tmp_path: Path, without_extra: None) -> None:
    code, _, err = cropper("batch", phone / "IMG_1.HEIC", phone / "DSC_3.JPG", "out", "--size", "32x32")
    assert code == 1
    assert f"IMG_1.HEIC: the content is HEIC, which this installation cannot read; run: {INSTALL}\n" in err
    assert rows(tmp_path / "out")["DSC_3.JPG"][0] == "DSC_3.JPG"


@EXTRA
def test_a_folder_that_holds_only_what_the_extra_reads_is_not_empty_without(
    cropper: Command, phone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in {*phone.iterdir()} - {phone / "IMG_1.HEIC"}:
        file.unlink()
    assert cropper("batch", phone, "out", "--size", "32x32")[0] == 0
    monkeypatch.setattr("cropper.image_formats._is_installed", lambda module: False)
    code, _, err = cropper("batch", phone, "out", "--size", "32x32")
    assert code == 0
    assert err.startswith(f"cropper: 0 photos: 0 done, 0 unchanged, 0 failed; 1 HEIC photo needs {INSTALL}; ")
    assert set(rows(tmp_path / "out")) == {"IMG_1.HEIC"}


@EXTRA
def test_thumbnails_of_a_run_with_the_extra_are_not_old_to_one_without(
    cropper: Command, phone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cropper("batch", phone, "out", "--size", "32x32")[0] == 0
    before = rows(tmp_path / "out")
    (phone / "IMG_2.jpg").unlink()
    (phone / "DSC_3.JPG").unlink()
    monkeypatch.setattr("cropper.image_formats._is_installed", lambda module: False)
    code, _, err = cropper("batch", phone, "out", "--size", "32x32", "--prune")
    assert code == 0
    assert "2 old thumbnails removed" in err
    assert (tmp_path / "out" / "IMG_1.jpg").exists()
    assert {path: before[path] for path in ("IMG_1.HEIC", "DSC_4.dng", "art.psd")} == rows(tmp_path / "out")


def test_a_format_that_is_not_written_here_is_refused_at_once(
    cropper: Command, phone: Path, tmp_path: Path, without_extra: None
) -> None:
    said = f"cropper: jxl is not written by this installation; run: {INSTALL}\n"
    assert cropper("batch", phone, "out", "--format", "jxl")[::2] == (2, said)
    assert cropper("crop", phone / "DSC_3.JPG", "-o", "a.jxl")[::2] == (2, said)
    assert not (tmp_path / "out").exists()
    assert cropper("batch", phone, "out", "--format", OUTPUTS[0], "--quiet")[0] == 1


@pytest.mark.parametrize(
    ("data", "kind"),
    [(b"8BPS\0\2" + bytes(60), "PSB"), (b"%PDF-1.7\n" + bytes(60), "PDF"), (b"\0\0\0\x14ftypqt  " + bytes(60), "video")],
)
def test_what_nobody_reads_is_said_whatever_its_name(data: bytes, kind: str) -> None:
    with pytest.raises(PhotoError, match=f"the content is {kind}, which cropper does not read; save it as a JPEG"):
        read_opened(io.BytesIO(data + bytes(60)))


def test_a_batch_of_plain_photos_imports_nothing_of_the_extra(make_photo: MakePhoto, tmp_path: Path) -> None:
    make_photo(tmp_path / "in" / "a.jpg")
    make_photo(tmp_path / "in" / "b.png")
    script = (
        "import sys\n"
        "from cropper.cli import main\n"
        "try:\n"
        "    main(['batch', 'in', 'out', '--quiet'])\n"
        "except SystemExit as ended:\n"
        "    assert not ended.code\n"
        f"assert not {{one for one in {[one.needs for one in FORMATS if one.needs]} if one in sys.modules}}\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "a.jpg").exists()

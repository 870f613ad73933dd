"""What people write by habit: it works, or one line says what is taken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from fixtures import Command, MakePhoto

from cropper.cli.options.shapes import Aspect, Size
from cropper.cli.options.types import Choice, Fill, Jobs, Margin, Megapixels, Seconds, ShardType, Share, Zoomed
from cropper.image_formats import FORMAT_CHOICES, FORMAT_NAMES
from cropper.ledger.shards import Shard
from cropper.settings import DEVICES


@pytest.fixture
def photos(tmp_path: Path, make_photo: MakePhoto) -> Path:
    make_photo(tmp_path / "in" / "a.jpg", 200, 160)
    return tmp_path / "in"


FORMAT = Choice(FORMAT_CHOICES, FORMAT_NAMES)
TAKEN = [
    (Size(), "640x360", (640, 360)),
    (Size(), "640*360", (640, 360)),
    (Size(), "640X360", (640, 360)),
    (Size(), "640\N{MULTIPLICATION SIGN}360", (640, 360)),
    (Size(), "640 x 360px", (640, 360)),
    (Aspect(), "16:9", (16, 9)),
    (Aspect(), "32:18", (32, 18)),
    (Aspect(), "16/9", (16, 9)),
    (Aspect(), "1x1", (1, 1)),
    (Aspect(), "1.91:1", (191, 100)),
    (Aspect(), "1,85:1", (37, 20)),
    (Aspect(), "1.91", (191, 100)),
    (Aspect(), "1.7777778", (16, 9)),
    (Jobs(), "8", 8),
    (Jobs(), "auto", Jobs.ALL_CORES),
    (Jobs(), "All", Jobs.ALL_CORES),
    (Megapixels(), "50MP", 50),
    (Megapixels(), "50 M", 50),
    (Share(), "60%", 0.6),
    (Share(), "0,6", 0.6),
    (Share(), "1", 1.0),
    (Margin(), "5%", 0.05),
    (Margin(), "0", 0.0),
    (Zoomed(), "50%", 0.5),
    (Zoomed(), "AUTO", 0.0),
    (Seconds(), "2m", 120.0),
    (Seconds(), "1.5 s", 1.5),
    (Seconds(), "30", 30.0),
    (Seconds(), 120.0, 120.0),
    (Seconds(), "0", 0.0),
    (ShardType(), "1 of 4", Shard(1, 4)),
    (ShardType(), "1/4", Shard(1, 4)),
    (FORMAT, "JPEG", "jpg"),
    (FORMAT, ".webp", "webp"),
    (FORMAT, "Keep", "keep"),
    (Choice(DEVICES, {"gpu": "cuda"}), "GPU", "cuda"),
    (Fill(), "rgb(255, 0, 0)", "#ff0000"),
    (Fill(), "#FFF", "#ffffff"),
]


@pytest.mark.parametrize(("type", "text", "value"), TAKEN)
def test_what_people_write_is_taken(type: click.ParamType[Any], text: Any, value: Any) -> None:
    assert type.convert(text, None, None) == value


NOT_TAKEN = [
    (Size(), "640", "for a square write 640x640"),
    (Size(), "640px", "for a square write 640x640"),
    (Size(), "16:9", "for a shape without a size write --aspect 16:9"),
    (Size(), "1.91:1", "write --aspect 1.91:1"),
    (Size(), "999999999x1", "from 1 to 16383"),
    (Size(), "50%", "such as 640x360."),
    (Aspect(), "640", "for a square write 1:1, for pixels --size 640x640"),
    (Aspect(), "0.0:1", "from 1 to 16383"),
    (Aspect(), "20000.5:1", "from 1 to 16383"),
    (Jobs(), "100000", "a whole number from 1 to 4096, or auto for one for each core."),
    (Megapixels(), "50000000", "from 1 to 10000 megapixels, such as 150."),
    (Share(), "60", "for 60 percent write 60%"),
    (Margin(), "5", "for 5 percent write 5%"),
    (Margin(), "50%", "from 0 to 0.45"),
    (Seconds(), "1e300", "from 0 to 86400, such as 30 or 2m."),
    (Seconds(), "never", "such as 30 or 2m."),
    (Zoomed(), "2", "such as 0.5 for half"),
    (Fill(), "336699", "write '#336699'"),
    (Fill(), "#ffffff00", "is transparent"),
    (FORMAT, "tga", "'tga' is not one of"),
]


@pytest.mark.parametrize(("type", "text", "said"), NOT_TAKEN)
def test_what_else_people_write_is_answered_with_what_is_taken(type: click.ParamType[Any], text: str, said: str) -> None:
    with pytest.raises(click.BadParameter) as caught:
        type.convert(text, None, None)
    assert said in caught.value.message
    assert caught.value.message.count(".\n") == 0


def boxes(cropper: Command, *arguments: object) -> list[dict[str, Any]]:
    code, out, err = cropper("boxes", *arguments, "--size", "20x20")
    assert (code, err) == (0, "")
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.parametrize("option", [("--margin", "0.2"), ("--zoom-keep", "0.5")])
def test_an_option_that_says_how_to_zoom_asks_for_it(
    cropper: Command, samples: Path, tmp_path: Path, option: tuple[str, str]
) -> None:
    photo = samples / "wren.jpg"
    zoomed = boxes(cropper, photo, *option, "--zoom", "auto")
    assert zoomed != boxes(cropper, photo)
    assert boxes(cropper, photo, *option) == zoomed


def test_in_a_file_it_says_only_how(cropper: Command, samples: Path, tmp_path: Path) -> None:
    """Else a preference in a file would change every run."""
    plain = boxes(cropper, samples / "wren.jpg")
    (tmp_path / "cropper.toml").write_text('margin = 0.2\npad-with = "white"\n[boxes]\nquiet = true\n')
    assert boxes(cropper, samples / "wren.jpg", "-q") == plain


def test_a_fill_asks_for_padding(cropper: Command, samples: Path, tmp_path: Path) -> None:
    shape = ["--aspect", "9:1"]
    assert cropper("crop", samples / "drum.jpg", *shape, "--otherwise", "pad", "--pad-with", "red", "-o", "asked.png")[0] == 0
    assert cropper("crop", samples / "drum.jpg", *shape, "--pad-with", "red", "-o", "implied.png")[0] == 0
    assert cropper("crop", samples / "drum.jpg", *shape, "-o", "cropped.png")[0] == 0
    assert (tmp_path / "implied.png").read_bytes() == (tmp_path / "asked.png").read_bytes()
    assert (tmp_path / "implied.png").read_bytes() != (tmp_path / "cropped.png").read_bytes()
    code, _, err = cropper("crop", samples / "drum.jpg", "--pad-with", "red", "--otherwise", "skip")
    assert (code, err) == (2, "cropper: --otherwise skip leaves nothing for --pad-with to fill; give one of them\n")


def test_all_cores_are_the_default(cropper: Command, photos: Path) -> None:
    assert boxes(cropper, photos, "--jobs", "auto") == boxes(cropper, photos)


ONE_LINE = {
    "a photo for OUT": (
        ["batch", "in", "out.jpg"],
        "'out.jpg' is the name of a photo; for one photo: cropper crop PHOTO -o out.jpg",
    ),
    "a folder to crop": (
        ["crop", "in"],
        "'in' is a folder, and this command takes one photo; for a folder: cropper batch IN OUT.",
    ),
    "a folder to show": (["show", "in"], "for a folder: cropper batch IN OUT, then cropper sheet OUT --heat."),
    "a point for a table": (
        ["batch", "in", "out", "--focus", "100,200"],
        "a point goes into a CSV table, in a line below path,x,y.",
    ),
    "an address alone": (["batch", "in", "out", "--address", "auto"], "this run uses none; add --engine ray"),
}


@pytest.mark.parametrize(("arguments", "said"), ONE_LINE.values(), ids=ONE_LINE)
def test_a_slip_is_one_line_that_says_what_was_meant(
    cropper: Command, photos: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    code, out, err = cropper(*arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in"]

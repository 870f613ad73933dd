"""Templates of names: what they may be, and that no name they give leaves OUT or is that of another photo."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropper import UsageError
from cropper.settings import Target
from cropper.storage.naming import alike
from cropper.storage.places import digest_of
from cropper.storage.templates import FIELDS, Words, hash_in_names, template_of

SMALL, LARGE = Target((16, 9), (320, 180), (640, 360)), Target((16, 9), (640, 360), (640, 360))
SIZE, SQUARE = Target((300, 200), (300, 200)), Target((1, 1))
TAKEN = ("boxes.csv",)

NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=6) | st.sampled_from(
    ["..", "...", "a" * 300, ".cropper", "boxes.csv", "é", "e\u0301", "E\u0301", "a~0123456789abcdef", "1", "13", "320"]
)
WORDS = st.builds(
    Words, st.lists(NAMES.filter(lambda name: name not in (".", "..")), max_size=3).map("/".join), NAMES, st.just("jpg")
)
PIECES = st.sampled_from(
    ["{stem}", "{folder}", "{width}", "{aspect}", "{size}", "{hash}", "{height}", "{stem:.2}", "{width:06}", "{folder:.3}"]
) | st.sampled_from(["/", "-", "a", "..", ".", "~", "w", "{stem!r}", "{hash:.3}", "{stem:.>4}", "boxes.csv", ".cropper"])
TEMPLATES = st.lists(PIECES, min_size=1, max_size=6).map(lambda pieces: "".join(pieces) + ".{ext}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("/a/{stem}.{ext}", "is an absolute path"),
        ("../{stem}.{ext}", "leads out of OUT"),
        ("a/../{stem}.{ext}", "leads out of OUT"),
        ("C:{stem}.{ext}", "has a colon"),
        ("a\\{stem}.{ext}", "has a backslash"),
        ("{stem}\n.{ext}", "has a control character"),
        ("{stem}\0.{ext}", "has a control character"),
        ("{width:/>9}-{stem}.{ext}", "fills a field with a character that no name may have"),
        ("{stem}", "does not end in .{ext}"),
        ("{stem}.jpg", "does not end in .{ext}"),
        ("{stem}.{ext:>4}", "does not end in .{ext}"),
        ("{stem}{ext}", "does not end in .{ext}"),
        ("{stem}/.{ext}", "has an empty name"),
        ("{stem}//{size}.{ext}", "has an empty name"),
        (".{stem}.{ext}", "has a hidden name"),
        (".cropper/{stem}.{ext}", "has a hidden name"),
        ("boxes.csv/{stem}.{ext}", "takes a name that cropper needs"),
        ("Boxes.CSV/{stem}.{ext}", "takes a name that cropper needs"),
        ("sheet.{ext}", "takes a name that cropper needs"),
        ("review_files/{stem}.{ext}", "takes a name that cropper needs"),
        ("{stem.real}.{ext}", "has an unknown field"),
        ("{stem[0]}.{ext}", "has an unknown field"),
        ("{}.{ext}", "has an unknown field"),
        ("{stem:{width}}.{ext}", "cannot be filled in"),
        ("{stem:9999}.{ext}", "cannot be filled in"),
        ("{stem:d}.{ext}", "cannot be filled in"),
        ("{stem", "is not valid"),
    ],
)
def test_a_template_that_cannot_be_one_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        template_of(text, (SIZE,), TAKEN)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "targets", "said"),
    [
        ("{stem}.{ext}", (SMALL, LARGE), "gives 320x180 and 640x360 one name; add {width}, which differs"),
        ("{stem}-{width}.{ext}", (Target((1, 1), (320, 320)), SMALL), "one name; add {aspect}, which differs"),
        ("{stem}.{ext}", (SIZE, SQUARE), "gives 300x200 and 1:1 one name; add {aspect}, which differs"),
        ("{stem}.{ext}", (SMALL, Target((1, 1), (320, 320)), LARGE), "add {size}, which differs"),
        ("{stem}-{width}.{ext}", (SIZE, SQUARE), "has {width}, and --aspect 1:1 says none; add --width, or write {aspect}"),
        ("{stem}-{height}.{ext}", (SQUARE,), "has {height}, and --aspect 1:1 says none"),
    ],
)
def test_shapes_that_get_one_name_or_have_no_such_field_are_refused(text: str, targets: tuple[Target, ...], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        template_of(text, targets)
    assert said in str(refused.value)


def test_fields_say_what_was_asked_for() -> None:
    every = "/".join(f"{{{field}}}" for field in FIELDS if field != "ext") + ".{ext}"
    words = Words("trips/2018", "a", "jpg", hash_in_names(digest_of(b"")))
    assert template_of(every, (SMALL,)).paths(words) == (("trips/2018/a/cae66941/320/180/16x9/320x180/1.jpg",), False)
    assert template_of("{aspect}/{size}/{stem}.{ext}", (SIZE, SQUARE)).paths(words)[0] == ("3x2/300x200/a.jpg", "1x1/1-1/a.jpg")
    assert template_of("{folder}/{width:05}-{stem:.1}{{}}.{ext}", (LARGE,)).paths(Words("", "abc", "png"))[0] == (
        "00640-a{}.png",
    )


def test_a_template_knows_whether_a_look_at_one_folder_is_enough() -> None:
    for text, stays, tells in (
        ("{folder}/{stem}-{width}w.{ext}", True, True),
        ("{folder}/{width}-{stem}.{ext}", True, True),
        ("web/{size}/{folder}/{stem}.{ext}", True, True),
        ("{size}-{folder}/{stem}.{ext}", False, False),
        ("{folder}/{stem}{width}.{ext}", True, True),
        ("{folder}/{size}-{stem}-{size}.{ext}", True, False),
        ("{folder}/{stem:.3}-{width}.{ext}", True, False),
        ("{folder}/{width}.{ext}", True, False),
        ("{folder}{stem}-{width}.{ext}", False, False),
        ("{folder}/{stem}/{width}.{ext}", False, False),
        ("{stem}/{folder}/{width}.{ext}", False, False),
        ("{folder}/{folder}/{width}.{ext}", False, False),
        ("{stem}-{width}.{ext}", False, False),
    ):
        template = template_of(text, (SMALL, LARGE))
        assert (template.stays_in_folder, template.tells_photos_apart) == (stays, tells), text
    # "b1" at 20 and "b" at 120 have one name.
    assert not template_of(
        "{folder}/{stem}{width}.{ext}", (Target((1, 1), (20, 20)), Target((1, 1), (120, 120)))
    ).tells_photos_apart


@given(TEMPLATES, st.lists(WORDS, min_size=1, max_size=6, unique=True))
def test_no_name_leaves_out_and_names_that_are_told_apart_are_distinct(text: str, photos: list[Words]) -> None:
    targets = (Target((1, 1), (1, 1)), Target((13, 1), (13, 1)), SMALL)
    try:
        template = template_of(text, targets, TAKEN)
    except UsageError:
        return
    told_apart: list[str] = []
    plain: set[str] = set()
    for number, words in enumerate(photos):
        paths, in_any_case = template.paths(words)
        apart = template.paths_told_apart(words, f"photo {number}")
        told_apart += map(alike, apart)
        if not in_any_case:
            assert len({*map(alike, paths)}) == len(targets)
            plain.update(map(alike, paths))
        for path in (*paths, *apart):
            first, *names = path.split("/")
            assert alike(first) not in (".cropper", "boxes.csv", "sheet.jpg", "review_files", "review.html")
            assert all(name not in ("", ".", "..") for name in (first, *names))
            assert all(len(os.fsencode(name)) <= 255 for name in (first, *names))
            assert path.endswith(".jpg")
    assert len({*told_apart}) == len(told_apart)
    assert plain.isdisjoint(told_apart)

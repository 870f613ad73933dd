"""The grid and the editor of the review page: what they show, and what each control does, in a real browser."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("selenium", reason="selenium is not installed")
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from test_review_page import SIZES, Page, chromium, made, page  # type: ignore[import-not-found]  # noqa: F401

from cropper.errors import printable
from cropper.ledger.table import TABLE_NAME, read_rows

WIDTHS = ((1280, 900), (820, 1180), (390, 844))


def test_the_grid_dims_what_is_cut_away_or_shows_the_thumbnails(page: Page) -> None:  # noqa: F811
    assert page.run("return document.querySelectorAll('.card .heat').length") == 0  # heat is off
    hole = page.run(
        "const row = worstOf(shown[0].r); return [document.querySelector('.card .shade').getAttribute('d'), row.b, shown[0].n]"
    )
    path, (x, y, width, height), (across, down) = hole
    assert path == f"M0 0H{across}V{down}H0Z M{x} {y}v{height}h{width}v-{height}Z"
    page.find("#as-thumbnails").click()
    shown = page.run("""
        return shown.slice(0, 3).map((photo, number) => [...document.querySelectorAll(`.card[data-number='${number}'] .thumb`)]
            .map((thumb, row) => {
                const hole = thumb.getBoundingClientRect(), all = thumb.firstChild.getBoundingClientRect();
                const across = photo.n[0] / all.width, down = photo.n[1] / all.height;
                const part = [(hole.x - all.x) * across, (hole.y - all.y) * down, hole.width * across, hole.height * down];
                return [part, photo.r[row].b];
            }))
    """)
    for thumbs in shown:
        assert len(thumbs) == len(SIZES)
        for part, box in thumbs:
            assert part == pytest.approx(box, abs=0.02 * max(box))


def test_failures_are_behind_a_tab_with_their_reasons(page: Page) -> None:  # noqa: F811
    assert "broken.jpg" not in page.paths()
    page.find("#tab-failed").click()
    assert page.paths() == ["broken.jpg"]
    assert "not an image" in page.find(".failure .reason").text
    assert not page.find("#view").is_displayed()


@pytest.mark.parametrize(
    ("order", "key"),
    [
        ("heads", lambda row: -int(row.heads_cut)),
        ("subject", lambda row: float(row.subject_kept)),
        ("kept", lambda row: float(row.kept)),
    ],
)
def test_the_list_is_sorted_and_corrected_photos_come_last(page: Page, made: Path, order: str, key: Any) -> None:  # noqa: F811
    rows = [row for row in read_rows(made / "out" / TABLE_NAME) if row.status == "ok"]
    page.find(f"#sort option[value='{order}']").click()
    keys = [min(key(row) for row in rows if printable(row.path) == path) for path in page.paths()]
    assert keys == sorted(keys)
    first, second = page.paths()[:2]
    page.run("open(0)")
    page.choose("1:1")
    page.keys("-", Keys.ESCAPE)
    assert page.paths()[-1] == first
    assert page.run("return printable(shown[current].p)") == second  # what is to be done next has the focus
    assert page.find("#count").text == "7 photos; 1 by hand, at the end"


def test_filters_that_would_narrow_nothing_are_hidden(page: Page) -> None:  # noqa: F811
    assert not page.find("#by-status").is_displayed()  # all are ok
    assert not page.find("#by-mark").is_displayed()  # none is marked
    assert page.find("#by-folder").is_displayed()
    page.keys("j", "g")
    page.paths()
    assert page.find("#by-mark").is_displayed()


def test_undo_and_redo_go_over_photos(page: Page) -> None:  # noqa: F811
    page.run("open(0)")
    first = page.run("return photo.p")
    page.choose("1:1")
    before = page.box("1:1")
    page.keys("-")
    smaller = page.box("1:1")
    page.keys("g")
    second = page.run("return photo.p")
    assert second != first

    def ctrl(*keys: str) -> None:
        ActionChains(page.driver).key_down(Keys.CONTROL).send_keys(*keys).key_up(Keys.CONTROL).perform()

    ctrl("z")
    assert page.run("return [photo.p, memory.marks]") == [first, {}]
    ctrl("z")
    assert page.box("1:1") == before
    assert page.run("return memory.edits") == {}
    ctrl("y")
    assert page.box("1:1") == smaller
    page.find("#redo").click()
    assert list(page.run("return memory.marks").values()) == ["good"]
    assert not page.find("#redo").is_enabled()
    page.find("#good").click()  # the button of a mark removes it
    assert page.run("return memory.marks") == {}


def test_a_drag_is_one_step_of_undo(page: Page) -> None:  # noqa: F811
    page.open("wren.jpg")
    page.choose("1:1")
    before, scale = page.box("1:1"), page.run("return scale")
    area = page.find("#photo")
    start = round((before[0] + before[2] / 2) * scale - area.size["width"] / 2)
    hand = ActionChains(page.driver, duration=10)
    hand.move_to_element_with_offset(area, start, 40).click_and_hold()
    for _ in range(5):
        hand.move_by_offset(-9, 0)
    hand.release().perform()
    assert page.box("1:1") != before
    page.find("#undo").click()
    assert page.box("1:1") == before
    assert not page.find("#undo").is_enabled()


def test_a_box_snaps_to_the_centre_and_to_whole_heads(page: Page) -> None:  # noqa: F811
    photo = {"n": [1000, 600], "d": [[0.1, 0.2, 0.2, 0.5], [0.6, 0.2, 0.7, 0.5]]}
    snapped = "return snapped(arguments[0], arguments[1], 10)"
    assert page.run(snapped, photo, [194, 0, 600, 600]) == {"box": [200, 0, 600, 600], "lines": [[0, 500]]}
    assert page.run(snapped, photo, [93, 0, 600, 600]) == {"box": [100, 0, 600, 600], "lines": [[0, 100]]}
    assert page.run(snapped, photo, [140, 0, 600, 600])["box"] == [140, 0, 600, 600]
    whole = "return withWholeHeads(arguments[0], arguments[1], arguments[2])"
    assert page.run(whole, photo, [1, 1], [150, 0, 600, 600]) == [100, 0, 600, 600]
    assert page.run(whole, photo, [1, 1], [250, 0, 600, 600]) == [250, 0, 600, 600]  # the head outside stays outside
    x, y, width, height = page.run(whole, photo, [1, 1], [650, 200, 60, 60])
    assert x <= 600 <= 700 <= x + width
    assert y <= 120 <= 300 <= y + height
    assert width == height


def test_the_data_has_heads_and_a_key_shows_them_whole(page: Page) -> None:  # noqa: F811
    heads = page.run("return photos.filter((photo) => photo.d).map((photo) => [photo.p, photo.d])")
    assert heads
    assert all(0 <= left < right <= 1 and 0 <= top < bottom <= 1 for _, some in heads for left, top, right, bottom in some)
    page.open("trips/desert_hikers.jpg")
    page.choose("1:1")
    page.keys("c")
    box, size = page.box("1:1"), page.run("return photo.n")
    assert box[0] == pytest.approx((size[0] - box[2]) / 2, abs=1)


def test_zoom_by_wheel_and_by_two_fingers(page: Page) -> None:  # noqa: F811
    page.open("wren.jpg")
    stage = page.find("#stage").rect
    x, y = stage["x"] + stage["width"] / 3, stage["y"] + stage["height"] / 2
    where = "return pointOf({ clientX: arguments[0], clientY: arguments[1] })"
    before = page.run(where, x, y)
    wheel = {"type": "mouseWheel", "x": x, "y": y, "deltaX": 0, "deltaY": -240}
    page.driver.execute_cdp_cmd("Input.dispatchMouseEvent", wheel)
    page.wait(lambda: page.run("return view.by") > 1.2)
    assert page.run(where, x, y) == pytest.approx(before, abs=3)  # what is under the pointer stays there
    page.keys("j")
    assert page.run("return view.by") == 1
    page.size(390, 844, touch=True)
    page.load()
    page.open("wren.jpg")
    stage = page.find("#stage").rect
    x, y = stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] / 2
    for kind, far in (("touchStart", 30), ("touchMove", 45), ("touchMove", 60)):
        points = [{"x": x - far, "y": y, "id": 0}, {"x": x + far, "y": y, "id": 1}]
        page.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    page.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert page.run("return view.by") == pytest.approx(2, abs=0.2)
    assert page.run("return memory.edits") == {}  # two fingers move no box


def test_previews_fill_the_stage_with_their_own_pixels(page: Page) -> None:  # noqa: F811
    page.open("wren.jpg")
    own, shown = page.run("return [at('preview').naturalWidth, at('preview').getBoundingClientRect().width]")
    assert own >= shown
    assert own == 1280


@pytest.mark.parametrize(("width", "height"), WIDTHS)
def test_messages_do_not_cover_the_picture_and_go(page: Page, width: int, height: int) -> None:  # noqa: F811
    page.size(width, height)
    page.load()
    page.open("wren.jpg")
    page.keys("f")
    overlap = """
        const one = at('said').getBoundingClientRect(), other = at('photo').getBoundingClientRect();
        return one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;
    """
    assert page.said()
    assert not page.run(overlap)
    assert not page.run(overlap.replace("at('photo')", "document.querySelector('.actions')"))
    page.wait(lambda: not page.said())


def test_all_sizes_follow_a_drag_within_a_frame(page: Page) -> None:  # noqa: F811
    """The page's own work for each move of the pointer, layout included, leaves most of the 16 ms of a frame to the browser."""
    page.open("wren.jpg")
    page.choose("1:1")
    page.keys("-", "a")
    before = {size: page.box(size) for size in SIZES}
    times = page.run("""
        const [x, y, width, height] = now(photo, rowChosen()).box, times = [];
        const area = at('photo').getBoundingClientRect();
        const send = (kind, target, step) => target.dispatchEvent(new PointerEvent(kind, {
            bubbles: true, pointerId: 1, pointerType: 'mouse', altKey: true,
            clientX: area.left + (x + width / 2) * scale + step, clientY: area.top + (y + height / 2) * scale }));
        at('stage').setPointerCapture = () => {};
        send('pointerdown', at('stage'), 0);
        for (let step = 1; step <= 60; step++) {
            const begun = performance.now();
            send('pointermove', window, step);
            followPointer(); // as the next frame does
            document.body.offsetHeight;
            times.push(performance.now() - begun);
        }
        send('pointerup', window, 60);
        delete at('stage').setPointerCapture;
        return times;
    """)
    assert all(page.box(size)[:2] != before[size][:2] for size in SIZES if size != "320x180")
    for size in SIZES:
        assert page.thumbnail(size) == pytest.approx(page.box(size), abs=2)
    assert float(np.percentile(times, 10)) < 8  # a busy machine takes the processor from most of them


def test_moves_of_the_pointer_in_one_frame_are_drawn_once(page: Page) -> None:  # noqa: F811
    page.open("wren.jpg")
    page.choose("1:1")
    before = page.box("1:1")
    drawn = page.driver.execute_async_script("""
        const done = arguments[0], [x, y, width, height] = now(photo, rowChosen()).box;
        const area = at('photo').getBoundingClientRect();
        const send = (kind, target, step) => target.dispatchEvent(new PointerEvent(kind, {
            bubbles: true, pointerId: 1, pointerType: 'mouse', altKey: true,
            clientX: area.left + (x + width / 2) * scale + step, clientY: area.top + (y + height / 2) * scale + 5 }));
        at('stage').setPointerCapture = () => {};
        send('pointerdown', at('stage'), 0);
        let drawn = 0;
        new MutationObserver(() => { drawn += 1; }).observe(at('boxes'), { childList: true });
        const next = Promise.resolve();
        (async () => {
            for (let step = 1; step <= 20; step++) {
                send('pointermove', window, -2 * step);
                await next; // a mutation is told of before the next move
            }
            const atOnce = drawn;
            requestAnimationFrame(() => setTimeout(() => { send('pointerup', window, -40); done([atOnce, drawn]); }));
        })();
    """)
    assert drawn == [0, 1]
    assert page.box("1:1")[0] < before[0]


def test_a_border_moves_its_box_and_a_click_on_it_only_selects(page: Page) -> None:  # noqa: F811
    page.open("wren.jpg")
    page.choose("320x180")
    chosen, other = page.box("320x180"), page.box("1:1")
    scale, photo = page.run("return scale"), page.find("#photo")
    x = round(other[0] * scale - photo.rect["width"] / 2)
    y = round((chosen[1] + chosen[3] / 3) * scale - photo.rect["height"] / 2)

    def hand() -> ActionChains:
        return ActionChains(page.driver, duration=20).move_to_element_with_offset(photo, x, y)

    hand().perform()
    page.wait(lambda: "selects" in (photo.get_attribute("class") or ""))
    hand().click().perform()
    assert page.run("return [rowChosen().s, memory.edits]") == ["1:1", {}]
    page.choose("320x180")
    hand().click_and_hold().move_by_offset(-30, 0).release().perform()
    assert page.box("1:1")[0] == pytest.approx(other[0] - 30 / scale, abs=9 / scale)  # it may snap
    assert page.box("320x180") == chosen


def test_sizes_that_move_together_keep_their_distances(page: Page) -> None:  # noqa: F811
    page.open("wren.jpg")
    page.choose("1:1")
    page.keys("-", "a")
    free = "return photo.r.filter((row) => now(photo, row).box[2] < photo.n[0]).map((row) => now(photo, row).box[0])"
    before = page.run(free)
    page.keys(Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    after = page.run(free)
    assert len(before) > 1
    assert len({old - new for old, new in zip(before, after, strict=True)}) == 1
    page.run("move(-1, 0); move(1, 0)")
    assert page.run(free) == after


def test_photos_called_good_come_last_and_are_counted(page: Page) -> None:  # noqa: F811
    first = page.paths()[0]
    page.run("mark('good', 0); filter()")
    assert page.paths()[-1] == first
    assert page.find("#count").text.endswith("; 1 good, at the end")
    page.run("open(0); move(0, 1); move(1, 0); close()")
    assert page.find("#count").text.endswith("; 1 by hand and 1 good, at the end")


def test_a_window_that_gets_higher_shows_more_rows(page: Page) -> None:  # noqa: F811
    page.size(390, 500)
    page.load()
    few = page.run("return list.cards.size")
    assert few < page.run("return shown.length")
    page.size(390, 2400)
    page.wait(lambda: page.run("return list.cards.size === shown.length"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), WIDTHS)
def test_axe_finds_nothing_serious(page: Page, width: int, height: int, scheme: str) -> None:  # noqa: F811
    """Skipped unless CROPPER_AXE names axe.min.js, of the npm package axe-core."""
    file = os.environ.get("CROPPER_AXE", "")
    if not file:
        pytest.skip("CROPPER_AXE does not name axe.min.js")
    axe = Path(file).read_text(encoding="utf-8")
    page.size(width, height, touch=width < 500)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    page.load()
    page.run(f"{axe}; window.axe = axe;")
    found = {}
    for name, script in (
        ("grid", "at('filters').open = true"),
        ("thumbnails", "turnThumbnails()"),
        ("failures", "showTab('failed')"),
        ("a failure", "open(0)"),
        ("editor", "close(); showTab('photos'); open(0); move(1, 1); turnThirds(); turnHeat()"),
        ("help", "at('help-dialog').showModal()"),
        ("corrected", "at('help-dialog').close(); mark('bad'); close()"),
    ):
        page.run(script)
        violations = page.driver.execute_async_script(
            "const done = arguments[0]; axe.run(document, { resultTypes: ['violations'] }).then((all) => done(all.violations));"
        )
        bad = [(one["id"], one["nodes"][0]["html"][:100]) for one in violations if one["impact"] in ("serious", "critical")]
        if bad:
            found[name] = bad
        assert page.run("return document.documentElement.scrollWidth") == width
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert found == {}


def test_the_editor_goes_by_keyboard_alone(page: Page) -> None:  # noqa: F811
    page.keys("j", Keys.ENTER)
    for key, holds in (
        ("t", "return document.querySelectorAll('#boxes .third').length === 1"),
        ("z", "return view.by === 2"),
        ("z", "return view.by === 4"),
        ("z", "return view.by === 1"),
        ("a", "return together"),
        ("h", "return at('preview-heat').src.endsWith('.heat.png')"),
    ):
        page.keys(key)
        assert page.run(holds), key
    seen = set()
    for _ in range(40):  # each control of the editor can be reached with Tab
        page.keys(Keys.TAB)
        seen.add(page.run("return document.activeElement.id || document.activeElement.className"))
    controls = page.driver.find_elements(By.CSS_SELECTOR, "#panel button[id]:enabled")
    assert {one.get_attribute("id") for one in controls if one.is_displayed()} <= seen

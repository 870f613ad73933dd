"""Compare the frames, times and plays of animations with what Chromium makes of them, both read and written.

    python tests/stress/animations.py [FILE ...]

Needs chromium, chromedriver and selenium. Without files, it takes those of ``tests/films.py``, and says where Pillow differs.
"""

from __future__ import annotations

import base64
import io
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageSequence
from selenium import webdriver

sys.path.insert(0, str(Path(__file__).parent.parent))

import films

from cropper.image_formats import ANIMATED
from cropper.imaging.animation.film import film_of, shown_ms
from cropper.imaging.animation.play import frames
from cropper.imaging.animation.write import Timing
from cropper.imaging.header import probe

SCRIPT = """
const [text, type, done] = arguments;
(async () => {
  const decoder = new ImageDecoder({data: Uint8Array.from(atob(text), c => c.charCodeAt(0)), type, preferAnimation: true});
  await decoder.tracks.ready;
  await decoder.completed;
  const track = decoder.tracks.selectedTrack, frames = [];
  for (let frameIndex = 0; frameIndex < track.frameCount; frameIndex++) {
    const {image} = await decoder.decode({frameIndex});
    const width = image.displayWidth, height = image.displayHeight;
    const context = new OffscreenCanvas(width, height).getContext('2d');
    context.drawImage(image, 0, 0);
    let pixels = '';
    for (const value of context.getImageData(0, 0, width, height).data) pixels += String.fromCharCode(value);
    frames.push([width, height, image.duration, btoa(pixels)]);
  }
  done({again: track.repetitionCount === Infinity ? -1 : track.repetitionCount, frames});
})().catch(error => done({error: String(error), frames: []}));
"""
Seen = tuple[list[NDArray[np.uint8]], list[float], int]  # RGBA, milliseconds, plays
# Chromium multiplies colours by their alpha, and loses what that rounds away.
CLOSE = 3.0
# The mean difference that compression may make here, where all edges are sharp.
CLOSE_LOSSY = 8.0


@contextmanager
def browser() -> Iterator[webdriver.Chrome]:
    """A browser on a page of its own: ImageDecoder wants one."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--force-color-profile=srgb"):
        options.add_argument(argument)
    with tempfile.TemporaryDirectory() as folder:
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
        try:
            page = Path(folder) / "page.html"
            page.write_text("<body>")
            driver.get(page.as_uri())
            yield driver
        finally:
            driver.quit()


def by_chromium(driver: webdriver.Chrome, data: bytes, kind: str) -> Seen:
    answer: dict[str, Any] = driver.execute_async_script(SCRIPT, base64.b64encode(data).decode(), f"image/{kind}")
    if "error" in answer:
        raise SystemExit(f"{kind}: {answer['error']}")
    pixels = [np.frombuffer(base64.b64decode(p), np.uint8).reshape(height, width, 4) for width, height, _, p in answer["frames"]]
    return pixels, [(us or 0) / 1000 for _, _, us, _ in answer["frames"]], answer["again"] + 1


def by_cropper(data: bytes, kind: str) -> Seen | None:
    header = probe(data)
    film = film_of(data, kind.upper())
    if film is None:
        return None
    seen = list(frames(data, film, header))
    return [rgba(one.pixels) for one in seen], [one.ms for one in seen], film.plays


def rgba(bgr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    alpha = bgr[:, :, 3:] if bgr.shape[2] == 4 else np.full((*bgr.shape[:2], 1), 255, np.uint8)
    return np.dstack([bgr[:, :, 2::-1], alpha])


def by_pillow(data: bytes) -> list[NDArray[np.uint8]]:
    with Image.open(io.BytesIO(data)) as image:
        return [np.asarray(frame.convert("RGBA")) for frame in ImageSequence.Iterator(image)]


def far(one: list[NDArray[np.uint8]], other: list[NDArray[np.uint8]], is_lossy: bool = False) -> list[int]:
    """The frames that look different on white, or are not there."""

    def is_far(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> bool:
        difference = np.abs(on_white(a) - on_white(b))
        return bool(difference.mean() > CLOSE_LOSSY if is_lossy else difference.max() > CLOSE)

    if len(one) != len(other) or any(a.shape != b.shape for a, b in zip(one, other, strict=True)):
        return [-1]
    return [i for i, (a, b) in enumerate(zip(one, other, strict=True)) if is_far(a, b)]


def on_white(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    alpha = pixels[:, :, 3:] / 255
    return pixels[:, :, :3] * alpha + 255 * (1 - alpha)


def compare(driver: webdriver.Chrome, name: str, data: bytes, kind: str) -> int:
    """Print what differs of one animation, and of what it is written as. Return how much does."""
    expected, ours = by_chromium(driver, data, kind), by_cropper(data, kind)
    wrong = []
    if ours is None:
        wrong += [f"{len(expected[0])} frames of none"] if len(expected[0]) > 1 else []
    else:
        wrong += [f"frames {off}"] if (off := far(ours[0], expected[0])) else []
        wrong += [f"times {ours[1]}, not {expected[1]}"] if [*map(shown_ms, ours[1])] != [*map(shown_ms, expected[1])] else []
        wrong += [f"plays {ours[2]}, not {expected[2]}"] if ours[2] != expected[2] else []
        film, header = film_of(data, kind.upper()), probe(data)
        assert film is not None
        bgra = [one.pixels for one in frames(data, film, header)]
        timing = Timing(tuple(ours[1]), film.plays, any(one.shape[2] == 4 for one in bgra))
        for format in ANIMATED:
            made = by_chromium(driver, films.encoded(bgra, timing, header, format, 100), format)
            if format == "gif":  # it has no translucent pixels
                pairs = [(a, b) for a, b in zip(made[0], ours[0], strict=True) if set(np.unique(b[:, :, 3])) <= {0, 255}]
                off = far([a for a, _ in pairs], [b for _, b in pairs])
            else:
                off = far(made[0], ours[0], is_lossy=format != "png")
            wrong += [f"written as {format}, frames {off}"] if off else []
            if [*map(shown_ms, made[1])] != [*map(shown_ms, ours[1])]:
                wrong.append(f"written as {format}, times {made[1]}, not {ours[1]}")
            if made[2] != ours[2] and format != "avif":
                wrong.append(f"written as {format}, plays {made[2]}, not {ours[2]}")
    pillow = far(by_pillow(data), expected[0]) if kind != "avif" else []
    print(f"{name}: {'; '.join(wrong) or 'equal'}{f' (Pillow differs in frames {pillow})' if pillow else ''}")
    return len(wrong)


def main(files: list[str]) -> int:
    with browser() as driver:
        if files:
            return sum(compare(driver, file, Path(file).read_bytes(), Path(file).suffix[1:]) for file in files)
        wrong = 0
        for kind in ("gif", "webp", "png"):
            for number, name in enumerate(films.FILMS):
                data = films.film(kind, name, number % 4)
                if data is not None:
                    wrong += compare(driver, f"{kind}, {name}", data, kind)
        hidden = np.full((*films.CANVAS[::-1], 4), films.BLUE, np.uint8)
        for count in (1, 3):
            frames_of = films.FILMS["smaller first frame"][:count]
            data = films.png_film(films.CANVAS, frames_of, 2, hidden)
            wrong += compare(driver, f"png, {count} beside a still picture", data, "png")
        return wrong


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))

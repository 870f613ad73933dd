"""One photo through a pipe: bytes in, its thumbnail's bytes out, as ``cropper batch`` makes it."""

from __future__ import annotations

from cropper import outputs, photo
from cropper.boxes import choose
from cropper.pipeline import Settings, pixels_needed
from cropper.saliency import Saliency, prepare, shape_for


def thumbnail(data: bytes, settings: Settings) -> bytes:
    """The thumbnail of a photo, in the photo's own format where that is kept and can be, else in PNG.

    Args:
        data: the whole file of the photo.
        settings: with one target.

    Raises:
        PhotoError: if the photo cannot be read, decoded or encoded.
        ModelError: if the model cannot be loaded.
    """
    (target,) = settings.targets
    header = photo.probe(data)
    pixels = photo.decode(data, header, pixels_needed(header.width, header.height, settings.targets))
    model_input = prepare(photo.on_white(pixels), shape_for(header.width, header.height))
    density = Saliency(settings.model).densities(model_input[None])[0]
    box = choose(density, header.width, header.height, target.aspect)
    size = photo.thumbnail_size(box, target.size, settings.enlarge)
    rendered = photo.render(pixels, box, size, (header.width, header.height))
    format = outputs.format_of(f"photo.{header.format.lower()}", settings.format)
    return photo.encode(rendered, header, format, settings.quality)

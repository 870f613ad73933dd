"""One photo through a pipe: bytes in, its thumbnail's bytes out, as ``cropper batch`` makes it."""

from __future__ import annotations

from functools import partial

from cropper.choosing.decide import decide
from cropper.engine.stages import pixels_needed, thumbnail_of
from cropper.errors import PhotoError
from cropper.image_formats import output_format
from cropper.imaging.encode import encode
from cropper.model.look import infer_maps, open_photo
from cropper.model.saliency import Saliency
from cropper.settings import Fit, Settings


def thumbnail(data: bytes, settings: Settings) -> tuple[bytes, bool]:
    """The thumbnail of a photo, in the photo's own format where that is kept and can be, else in PNG; and whether the photo was
    damaged, and is there in part.

    Args:
        data: the whole file of the photo.
        settings: with one target.

    Raises:
        PhotoError: if the photo cannot be read, decoded or encoded, or is to be skipped where no crop is good.
        DependencyError: if the device cannot be used here.
        ModelError: if the model cannot be loaded.
    """
    (target,) = settings.targets
    photo = open_photo(data, partial(pixels_needed, settings=settings), settings.limits, settings.keep)
    header = photo.header
    (maps,) = infer_maps([photo], Saliency(settings.model, settings.device))
    decision = decide(maps.density, header.width, header.height, target, settings.choosing)[0]
    if decision.fit is Fit.SKIP:
        raise PhotoError(decision.note, remedy="ask for another --min-kept or --otherwise")
    format = output_format(f"photo.{header.format.lower()}", settings.format)
    made = thumbnail_of(photo.pixels, header, decision, target, settings)
    return encode(made, header, format, settings.quality, settings.srgb), photo.salvaged

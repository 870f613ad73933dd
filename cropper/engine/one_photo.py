"""Make the thumbnail of one photo, bytes to bytes, as ``cropper batch`` makes it."""

from __future__ import annotations

from functools import partial

from cropper.choosing.decide import decide
from cropper.choosing.view import view_of
from cropper.engine.stages import pixels_needed, thumbnail_of
from cropper.errors import PhotoError
from cropper.image_formats import output_format
from cropper.imaging.encode import encode
from cropper.model.look import infer_maps, open_photo
from cropper.model.saliency import Saliency
from cropper.settings import Fit, Settings


def thumbnail(data: bytes, settings: Settings) -> tuple[bytes, bool]:
    """Make the thumbnail of a photo.

    Args:
        data: the whole file of the photo.
        settings: what to make, with one target.

    Returns:
        The file of the thumbnail, and whether the photo is damaged and only part of it is shown. Where the settings keep the
        photo's format and cropper cannot write it, the thumbnail is a PNG.

    Raises:
        PhotoError: if the photo cannot be decoded or the thumbnail cannot be encoded, or if no crop is good and the settings
            skip such photos.
        DependencyError: if this machine cannot use the device.
        ModelError: if the model cannot be loaded.
    """
    (target,) = settings.targets
    photo = open_photo(data, partial(pixels_needed, settings=settings), settings.limits, settings.keep)
    header = photo.header
    (maps,) = infer_maps([photo], Saliency(settings.model, settings.device))
    decision = decide(view_of(maps), header.width, header.height, target, settings.choosing)[0]
    if decision.fit is Fit.SKIP:
        raise PhotoError(decision.note, remedy="change --min-kept or --otherwise")
    format = output_format(f"photo.{header.format.lower()}", settings.format)
    made = thumbnail_of(photo.pixels, header, decision, target, settings)
    return encode(made, header, format, settings.quality, settings.srgb), photo.salvaged

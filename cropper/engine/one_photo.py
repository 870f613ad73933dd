"""Make the thumbnail of one photo, bytes to bytes, as ``cropper batch`` makes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cropper.choosing.decide import decide
from cropper.choosing.faces import with_faces
from cropper.choosing.focus import Focus
from cropper.choosing.view import view_of
from cropper.engine.stages import animated_thumbnail, foci_for, pixels_needed, thumbnail_of
from cropper.errors import PhotoError
from cropper.image_formats import KEEP_FORMAT, output_format
from cropper.imaging.fitting import thumbnail_file
from cropper.ledger.given import NOTHING, Given, given_for
from cropper.model.look import infer_maps, open_photo
from cropper.model.saliency import Saliency
from cropper.settings import Fit, Settings


@dataclass(frozen=True)
class Made:
    """The thumbnail of one photo.

    Attributes:
        file: the bytes of the thumbnail's file.
        format: its output format.
        salvaged: whether the photo is damaged and only part of it is shown.
        too_large: a message if the file is larger than the settings allow; else empty.
        first_frame_alone: whether the photo is an animation, and its first frame alone is shown.
    """

    file: bytes
    format: str
    salvaged: bool
    too_large: str
    first_frame_alone: bool


def thumbnail(data: bytes, settings: Settings, model: Callable[[], Saliency], given: Mapping[str, Given] = NOTHING) -> Made:
    """Make the thumbnail of a photo.

    Args:
        data: the whole file of the photo.
        settings: what to make, with one target.
        model: returns the model, once the photo is decoded.
        given: what you give by hand for it, by the labels of sizes.

    Returns:
        The thumbnail. Where the settings keep the photo's format and cropper cannot write it, it is a PNG.

    Raises:
        PhotoError: if the photo cannot be decoded or the thumbnail cannot be encoded, if no crop is good and the settings
            skip such photos, or if what you give is not inside the photo.
        DependencyError, ModelError: those of ``model``.
    """
    (target,) = settings.targets

    def foci(width: int, height: int) -> tuple[Focus | None, ...]:
        return foci_for(given_for(given, (target,)), (width, height))

    def needed(width: int, height: int) -> tuple[int, int]:
        return pixels_needed(width, height, settings, foci(width, height))

    # Every kind of photo that has several frames can be written with them.
    all_frames = settings.takes_all_frames("" if settings.format == KEEP_FORMAT else settings.format)
    faces = settings.choosing.faces_from_metadata
    photo = open_photo(data, needed, settings.limits, settings.keep, all_frames=all_frames, with_faces=faces)
    header = photo.header
    (focus,) = foci(header.width, header.height)
    (maps,) = infer_maps([photo], model())
    view = with_faces(view_of(maps), header.faces)
    decision = decide(view, header.width, header.height, target, settings.choosing, focus)[0]
    if decision.fit is Fit.SKIP:
        raise PhotoError(decision.note, remedy="change --min-kept or --otherwise")
    format = output_format(f"photo.{header.format.lower()}", settings.format_for_names)
    if photo.animation is not None:
        file, _, too_large = animated_thumbnail(photo.animation, header, decision, target, settings, format)
        return Made(file, format, photo.salvaged, too_large, False)
    made = thumbnail_of(photo.pixels, header, decision, target, settings)
    file, too_large = thumbnail_file(made, header, format, settings)
    return Made(file, format, photo.salvaged, too_large, photo.has_more)

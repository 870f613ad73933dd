"""Score saliency maps: every photo of a gaze set with every measure of ``metrics``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from cropper.evaluation import metrics
from cropper.evaluation.bootstrap import Interval, mean
from cropper.evaluation.gaze import GazePhoto, at_size, centre_bias

# uint8 [H, W, 3] BGR -> float [h, w], non-negative; Saliency.density, for example.
Predictor = Callable[[NDArray[np.uint8]], NDArray[np.floating]]


def score(photos: Sequence[GazePhoto], predict: Predictor) -> Iterator[dict[str, float]]:
    """Yield the scores of each photo, measure -> score, in the order of the photos.

    Maps are compared at the photo's own size. Shuffled AUC uses the fixations of all other photos, and information gain uses the
    centre bias of all photos. Both depend on the photos given, so part of a set scores differently on its own.

    Args:
        photos: the photos to score.
        predict: the model: photo -> saliency map.

    Raises:
        PhotoError: if a photo cannot be decoded.
    """
    bias = centre_bias(photos)
    everyone = [photo.relative() for photo in photos]
    for number, photo in enumerate(photos):
        saliency = at_size(predict(photo.bgr()), photo.width, photo.height)
        fixated, density = photo.fixated(), photo.density()
        others = np.concatenate([*everyone[:number], *everyone[number + 1 :], np.empty((0, 2))])
        elsewhere = (others * (photo.width, photo.height)).astype(np.int64)
        yield {
            "AUC": metrics.auc(saliency, fixated),
            "sAUC": metrics.shuffled_auc(saliency, fixated, elsewhere),
            "NSS": metrics.nss(saliency, fixated),
            "CC": metrics.cc(saliency, density),
            "SIM": metrics.sim(saliency, density),
            "KL": metrics.kl(saliency, density),
            "IG": metrics.information_gain(saliency, at_size(bias, photo.width, photo.height), fixated),
        }


def summary(scores: Sequence[dict[str, float]]) -> dict[str, Interval]:
    """Return the mean of each measure over the photos, with its interval."""
    return {measure: mean(np.array([photo[measure] for photo in scores])) for measure in scores[0]}

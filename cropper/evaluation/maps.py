"""Scores of saliency maps: every photo of a gaze set by every measure of ``metrics``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from cropper.evaluation import metrics
from cropper.evaluation.bootstrap import Interval, mean
from cropper.evaluation.gaze import GazePhoto, at_size, centre_bias

# uint8 [H, W, 3] BGR -> float [h, w], non-negative: Saliency.density, or anything like it.
Predictor = Callable[[NDArray[np.uint8]], NDArray[np.floating]]


def score(photos: Sequence[GazePhoto], predict: Predictor) -> Iterator[dict[str, float]]:
    """Each photo's scores, by the measure's name, in the photos' order.

    Maps are compared at the photo's own size. Shuffled AUC takes the fixations of all other photos, information gain the centre
    bias of all of them: both belong to the photos given, so a part of a set scores differently on its own.
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
    """Each measure's mean over the photos, with its interval."""
    return {measure: mean(np.array([photo[measure] for photo in scores])) for measure in scores[0]}

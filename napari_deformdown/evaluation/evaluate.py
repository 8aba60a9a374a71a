"""A model on labelled images: every method at every budget, its quality beside its cost."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..imaging import ImageError, Pyramid, open_image
from ..imaging.label_ids import IGNORE, joined
from ..network import DeformedSegmenter, ModelConfig, segment
from ..network.inference import image_for_model
from .boundaries import count_boundaries
from .calibration import calibration
from .ceiling import majority, restored
from .cost import Arithmetic, measure
from .metrics import confusion, score_segmentation
from .rows import EvaluationRow
from .truth import Truth, Within

__all__ = ["LabelledImage", "check_images", "evaluate"]

_log = logging.getLogger(__name__)

# More of an image than this may not be ignored without a word.
_MOST = 0.5

Progress = Callable[[str, int, int], None]
# Told of an image that is left out, and why.
OnError = Callable[[str, ImageError], None]
Region = tuple[int, int, int, int]


@dataclass(frozen=True)
class LabelledImage:
    """An image with its true labels, opened when it is its turn.

    Parameters
    ----------
    name : str
        For rows and errors.
    image : Pyramid, or what `open_image` takes
        A pyramid stays open.
    labels : array-like or callable
        (H, W) class ids, other ids where nothing is known; or labels(shape) -> that.
    region : (int, int, int, int), optional
        y0, y1, x0, x1 that counts; all of it is segmented.
    """

    name: str
    image: Any
    labels: Any
    region: Region | None = None

    @contextmanager
    def opened(self) -> Iterator[tuple[Pyramid, Any]]:
        """The pyramid and its labels.

        Raises
        ------
        ImageError
            If the image cannot be opened, or the labels are not of its size.
        """
        if isinstance(self.image, Pyramid):
            yield self.image, self._labels_of(self.image.shape)
        else:
            with open_image(self.image) as pyramid:
                yield pyramid, self._labels_of(pyramid.shape)

    def _labels_of(self, shape: tuple[int, int]) -> Any:
        labels = self.labels(shape) if callable(self.labels) else self.labels
        if tuple(labels.shape) != shape:
            size = " x ".join(str(n) for n in labels.shape)
            raise ImageError(
                f"The labels of {self.name} have {size} pixels, the image {shape[0]} x {shape[1]}. "
                "Give labels of the image's own size."
            )
        return labels


def check_images(
    model: DeformedSegmenter,
    images: Sequence[LabelledImage],
    progress: Progress | None = None,
) -> None:
    """Open every image once: sizes and channels fit, or it is said before any work is done.

    Raises
    ------
    ImageError
        If an image cannot be opened, does not fit the model, or has labels of another size; all of them are named.
    """
    wrong: list[ImageError] = []
    for number, image in enumerate(images):
        if progress is not None:
            progress("checking", number, len(images))
        try:
            with image.opened() as (pyramid, _):
                image_for_model(pyramid, model.config).close()
        except ImageError as error:
            wrong.append(error)
    if wrong:
        raise joined(wrong)


def evaluate(
    model: DeformedSegmenter,
    images: Sequence[LabelledImage],
    budgets: Sequence[tuple[int, int]],
    methods: Sequence[str],
    *,
    repeats: int = 1,
    progress: Progress | None = None,
    on_error: OnError | None = None,
) -> list[EvaluationRow]:
    """Measure a model on labelled images.

    Each method has run once at each budget before anything is timed, and on every image one that reads the overview at
    the largest budget; methods take turns at being the first on an image. None pays for a network's or a file's first
    use. A warning is logged of images of which most is not labelled, and where all labels are of one class.

    Parameters
    ----------
    model : DeformedSegmenter
        From `load_model`, on the device that is measured.
    images : sequence of LabelledImage
        See `check_images`.
    budgets : sequence of (int, int)
        Rows and columns of sampling points.
    methods : sequence of str
        Of `network.METHODS`.
    repeats : int
        Runs that seconds are the median of.
    progress : callable, optional
        Called with (name of the image, results done, in all); may raise `Cancelled`.
    on_error : callable, optional
        Called with the name of an image that fails, and its `ImageError`; the image is left out then. Without it the
        error is raised.

    Returns
    -------
    list of EvaluationRow
        By image, budget and method.

    Raises
    ------
    ImageError, ModelError
        As `segment`.
    """
    rows: list[EvaluationRow] = []
    per_image = len(budgets) * len(methods)
    arithmetic = Arithmetic(model)
    # what touches everything that an image brings, before anything is timed
    first_use = max(methods, key=model.needs_overview, default="uniform")
    warm = False
    for number, image in enumerate(images):

        def report(done: int, name: str = image.name, before: int = number * per_image) -> None:
            if progress is not None:
                progress(name, before + done, len(images) * per_image)

        turn = number % max(1, len(methods))
        try:
            with image.opened() as (pyramid, labels):
                report(0)
                if not warm:
                    for budget in budgets:
                        for method in methods:
                            segment(pyramid, model, budget, method)
                    warm = True
                else:
                    segment(pyramid, model, max(budgets, key=lambda b: b[0] * b[1]), first_use)
                known = labels if image.region is None else Within(labels, image.region)
                truth = Truth(known, len(model.config.classes))
                found: dict[tuple[tuple[int, int], str], EvaluationRow] = {}
                for budget in budgets:
                    for method in (*methods[turn:], *methods[:turn]):
                        found[budget, method] = _row(
                            image.name, pyramid, truth, model, budget, method, repeats, arithmetic
                        )
                        report(len(found))
        except ImageError as error:
            if on_error is None:
                raise
            on_error(image.name, error)
            continue
        rows += [found[budget, method] for budget in budgets for method in methods]
    _warn_of_ignored(rows, {image.name: image.region for image in images})
    return rows


def _row(
    name: str,
    pyramid: Pyramid,
    truth: Truth,
    model: DeformedSegmenter,
    budget: tuple[int, int],
    method: str,
    repeats: int,
    arithmetic: Arithmetic,
) -> EvaluationRow:
    result, cost = measure(pyramid, model, budget, method, repeats=repeats, arithmetic=arithmetic)
    classes = len(model.config.classes)
    seen = truth.shares.at(result.warp, budget)
    at_level = result.labels(truth.level)
    reliability, risk = calibration(result.probabilities_at(truth.points), truth.ids)
    # the record of uniform sampling holds the model's fraction, which plays no part there
    fraction = 1.0 if method == "uniform" else float(result.record["uniform_fraction"])
    return EvaluationRow(
        image=name,
        shape=result.shape,
        budget=budget,
        method=method,
        classes=_names(model.config),
        counts=score_segmentation(result, truth.labels),
        boundaries=count_boundaries(truth.coarse, at_level, classes, truth.near),
        boundary_level=truth.level,
        ceiling=score_segmentation(restored(seen, result.warp, result.shape), truth.labels),
        ceiling_level=truth.shares.level,
        sampled=confusion(majority(seen), result.probabilities.argmax(0).numpy(), classes),
        reliability=reliability,
        risk=risk,
        cost=cost,
        uniform_fraction=fraction,
        network="twin" if fraction == 1 and model.twin is not None else "own",
    )


def _warn_of_ignored(rows: Sequence[EvaluationRow], regions: Mapping[str, Region | None]) -> None:
    """Say where figures stand on little: masks of 0 and 255 are the usual reason, whose foreground is ignored."""
    images = {row.image: row for row in rows}
    ignored = {
        name: 1 - float(row.counts.sum()) / _pixels(regions.get(name) or (0, row.shape[0], 0, row.shape[1]))
        for name, row in images.items()
    }
    for name, share in ignored.items():
        if share > _MOST:
            _log.warning("%.1f %% of the pixels of %s have no label (%d) and count nowhere.", 100 * share, name, IGNORE)
    if not any(ignored.values()):
        return
    pixels = np.sum([row.counts.sum(1) for row in images.values()], 0)
    known = [name for name, n in zip(rows[0].classes, pixels, strict=True) if n]
    if len(known) < 2:
        _log.warning(
            "Nothing%s is labelled in any image, and %.1f %% of the pixels are ignored: if their id, %d by "
            "default, is a class, map it to that class.",
            f" but {known[0]}" if known else "",
            100 * sum(ignored.values()) / len(ignored),
            IGNORE,
        )


def _pixels(region: Region) -> int:
    y0, y1, x0, x1 = region
    return max(1, (y1 - y0) * (x1 - x0))


def _names(config: ModelConfig) -> tuple[str, ...]:
    """Names of the classes; with their ids where they would not differ."""
    names = [c.name for c in config.classes]
    return tuple(name if names.count(name) == 1 else f"{k} {name}" for k, name in enumerate(names))

"""Fine-tuning on corrections, as a generator of typed events."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch

from ..corrections import hold_back, strokes
from ..imaging import ImageError
from ..network import DeformedSegmenter, ModelError
from .doubting import agreement_fell, contradicted, not_reached, too_small
from .events import (
    DoubtRaised,
    FinetuneEvent,
    FinetuneFinished,
    FinetuneStarted,
    FinetuneStep,
    ImageLeftOut,
    ImagePrepared,
)
from .fresh import is_fresh
from .options import FinetuneOptions
from .prepared import CorrectedImage, Prepared, check_image, prepare
from .scoring import score_held_back
from .session import Session

__all__ = ["data_fingerprint", "finetune"]

# Part of the work after which the model is scored on the strokes that were held back, and these are let in.
_LET_IN = 0.5


def finetune(
    model: DeformedSegmenter,
    images: Sequence[CorrectedImage],
    budget: tuple[int, int] | None = None,
    options: FinetuneOptions | None = None,
) -> Iterator[FinetuneEvent]:
    """Fine-tune density net and segmenter on all corrections of a session.

    Always from the base model, so that nothing drifts however often it is done. Corrected pixels are points of the
    image at full resolution, which the differentiable inverse of the warp carries to sampled space: the density net
    learns from them as well. Unlabelled points are held near the base model's own probabilities, but for those close to
    a stroke. Statistics of normalisation stay as they are. A share of the strokes is held back, as strokes and not as
    pixels; half-way the model is scored on them, and then they are let in.

    Stop iterating to cancel, at any step; `model` is left as it is.

    Parameters
    ----------
    model : DeformedSegmenter
        The base model, or one with fresh heads from `with_classes`; set to evaluation.
    images : sequence of CorrectedImage
        All images of the session. On those without corrections the model is held near what the base makes of them, so
        that other images of their kind keep their labels: each step looks at a corrected one and at one of these.
    budget : (int, int), optional
        Sampling points; the model's own without it.
    options : FinetuneOptions, optional
        See there.

    Yields
    ------
    ImageLeftOut, ImagePrepared, FinetuneStarted, HeldBackScored, FinetuneStep, DoubtRaised, at last FinetuneFinished

    Raises
    ------
    ImageError
        If a corrected image does not fit the model or its corrections.
    ModelError
        If nothing is corrected, the budget is impossible, or the loss is no longer a number.
    """
    options, budget = options or FinetuneOptions(), budget or model.config.budget
    began = time.monotonic()
    # what is painted meanwhile is for the next time
    taken = [replace(image, corrections=image.corrections.copy()) for image in images]
    if is_fresh(model):  # there is nothing to hold to
        taken = [image for image in taken if not image.corrections.is_empty]
    unfit = _unfit(taken, model)
    if all(image.corrections.is_empty for image in taken):
        raise ModelError("Nothing is corrected yet: paint at least one correction first.")
    yield from unfit.values()
    taken = [image for k, image in enumerate(taken) if k not in unfit]
    model.eval()
    ready: list[Prepared] = []
    for number, image in enumerate(taken, 1):
        one = prepare(
            image,
            strokes(image.corrections),
            model,
            budget,
            options.methods,
            fraction=options.fraction,
            sampler=options.sampler,
            images=len(taken),
        )
        ready.append(one)
        yield ImagePrepared(image.called, number, len(taken))
    _hold_back(ready, options)
    yield _started(ready, model)
    doubts: list[DoubtRaised] = []

    def doubted(*found: DoubtRaised | None) -> list[DoubtRaised]:
        new = [doubt for doubt in found if doubt is not None]
        doubts.extend(new)
        return new

    yield from doubted(too_small(ready))
    before = after = None
    if any(one.held for one in ready):
        before = score_held_back(model, ready, "before")
        yield before
    total = options.steps_for(sum(bool(one.strokes) for one in ready))
    session = Session(model, ready, options)
    held = [one.held for one in ready]
    steps, done, start = 0, 0.0, time.monotonic()
    while True:
        # after the last step as well, where it was so long that half-way was passed with it
        if before is not None and after is None and done >= _LET_IN:
            after = score_held_back(session.result(), ready, "after")
            yield after
            yield from doubted(agreement_fell(before, after))
            for one in ready:
                one.held = frozenset()
        if done >= 1:
            break
        loss, hold = session.step(steps, done)
        steps += 1
        spent = time.monotonic() - start
        done = max(steps / total, spent / options.seconds if options.seconds else 0.0)
        yield FinetuneStep(steps, total, loss, hold, max(0.0, spent / done * (1 - done)))
    result = session.result()
    yield from doubted(contradicted(result, ready), not_reached(ready, session.reached))
    for one, those in zip(ready, held, strict=True):
        one.held = those
    seconds = round(time.monotonic() - began, 2)
    record = _record(model, taken, ready, budget, options, steps, seconds)
    if before is not None and after is not None:
        record["held_back"] = {"strokes": after.strokes, "before": before.agreement, "after": after.agreement}
    record["doubts"] = [doubt.sentence for doubt in doubts]
    result.config = replace(
        result.config, training={"finetuned": record, "base": dict(model.config.training)}, scores={}
    )
    yield FinetuneFinished(result, record, before, after, tuple(doubts), seconds)


def data_fingerprint(images: Sequence[CorrectedImage]) -> str:
    """A hash of all corrected images' names and corrections; their order does not matter."""
    each = sorted(f"{i.called} {i.corrections.fingerprint}" for i in images if not i.corrections.is_empty)
    # names of files may be bytes that are no text
    return hashlib.sha256("\n".join(each).encode("utf-8", "surrogateescape")).hexdigest()


def _unfit(images: Sequence[CorrectedImage], model: DeformedSegmenter) -> dict[int, ImageLeftOut]:
    """Those without corrections that do not fit the model, by their positions; of the others all have to."""
    found = {}
    for number, image in enumerate(images):
        try:
            check_image(image, model.config)
        except ImageError as error:
            if not image.corrections.is_empty or image.corrections.shape != image.pyramid.shape:
                raise
            found[number] = ImageLeftOut(image.called, str(error))
    return found


def _hold_back(images: Sequence[Prepared], options: FinetuneOptions) -> None:
    """Choose among the strokes of all images together."""
    places = [(image, k) for image in images for k in range(len(image.strokes))]
    chosen = hold_back([image.strokes[k].label for image, k in places], options.held_back, options.seed)
    for number in chosen:
        image, k = places[number]
        image.held |= {k}


def _started(images: Sequence[Prepared], model: DeformedSegmenter) -> FinetuneStarted:
    all_strokes = [s for image in images for s in image.strokes]
    corrected = sum(bool(image.strokes) for image in images)
    by_class = Counter(model.config.classes[s.label].name for s in all_strokes)
    return FinetuneStarted(
        corrected,
        len(all_strokes),
        sum(len(image.held) for image in images),
        sum(s.area for s in all_strokes),
        dict(by_class),
        len(images) - corrected,
    )


def _record(
    model: DeformedSegmenter,
    images: Sequence[CorrectedImage],
    ready: Sequence[Prepared],
    budget: tuple[int, int],
    options: FinetuneOptions,
    steps: int,
    seconds: float,
) -> dict[str, Any]:
    return {
        "base": model.config.name,
        "fresh": is_fresh(model),
        "images": [image.called for image in images if not image.corrections.is_empty],
        "others": [image.called for image in images if image.corrections.is_empty],
        "data": data_fingerprint(images),
        "strokes": sum(len(image.strokes) for image in ready),
        "corrected_pixels": sum(s.area for image in ready for s in image.strokes),
        "budget": list(budget),
        "sampled_as": {image.name: {m: way for m, (way, _) in image.ways.items()} for image in ready},
        "options": options.to_dict(),
        "steps": steps,
        "seconds": seconds,
        "torch": torch.__version__,
    }

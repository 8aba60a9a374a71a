"""What the panel computes, without Qt: overviews, placements and results, kept so that nothing is computed twice."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from ...network.config import ModelError
from ..comparison.detail import MOST_POINTS, thinning
from .kept import Kept
from .overlay import Overlay, draw, draw_lines
from .request import Request

if TYPE_CHECKING:
    from ...imaging import Pyramid
    from ...network import DeformedSegmenter, Overview, Placement, Segmentation
    from ...network.placing import Choice
    from ..images.frame import Frame
    from ..jobs import Progress

__all__ = ["Engine"]

# Kept for going back and forth between budgets and frames.
_RESULT_BYTES = 512 << 20
_OVERVIEWS = 32
_PEAKS = 1024
_MODELS = 3
_PYRAMIDS = 4

V = TypeVar("V")


class Engine:
    """Models, overviews and results of one panel; its methods are called in threads, one at a time or several.

    Parameters
    ----------
    load : callable, optional
        load(name, device) gives a model; `load_model` without it.
    stamp : callable, optional
        stamp(name) tells a model from another one that had its name before.
    """

    def __init__(
        self,
        load: Callable[[str, str], DeformedSegmenter] | None = None,
        stamp: Callable[[str], str] = lambda name: "",
    ) -> None:
        self._load, self._stamp = load, stamp
        self._lock = threading.Lock()  # held for a moment
        self._loading = threading.RLock()  # held while a model loads or an overview is read: others want the same one
        self._models: Kept[DeformedSegmenter] = Kept(_MODELS)
        self._overviews: Kept[Overview] = Kept(_OVERVIEWS)
        self._placements: Kept[Placement] = Kept(_OVERVIEWS)
        self._overlays: Kept[Overlay] = Kept(_OVERVIEWS)
        self._results: Kept[Segmentation] = Kept(_RESULT_BYTES, _size)
        self._peaks: Kept[float | None] = Kept(_PEAKS)
        self._pyramids: Kept[Pyramid] = Kept(_PYRAMIDS)

    def model(self, request: Request, progress: Progress | None = None) -> DeformedSegmenter:
        """The model of a request, loaded once."""
        key = self._model_key(request)
        with self._loading:
            found = self._get(self._models, key)
            if found is None:
                if progress is not None:
                    progress("loading the model", 0, 1)
                from ...network import load_model

                found = self._put(self._models, key, (self._load or load_model)(request.model, request.device).eval())
            return found

    def _model_key(self, request: Request) -> tuple[str, str, str]:
        return request.model, request.device, self._stamp(request.model)

    def _key(self, request: Request, method: str) -> tuple[Hashable, ...]:
        """Of what a method finds."""
        request, method = request.resolved(method)
        return (*request.key(method), self._stamp(request.model))

    def add_model(self, name: str, device: str, model: DeformedSegmenter) -> None:
        """A model that lies in no folder, known by a name from now on."""
        self._put(self._models, (name, device, self._stamp(name)), model.eval())

    def pyramid(self, frame: Frame, progress: Progress | None = None) -> Pyramid:
        """A frame's pyramid, opened once."""
        with self._loading:
            found = self._get(self._pyramids, frame.state)
            if found is None:
                if progress is not None:
                    progress("opening the image", 0, 1)

                def building(done: int, total: int) -> None:
                    if progress is not None:
                        progress("building a pyramid, once", done, total)

                found = self._put(self._pyramids, frame.state, frame.open(building))
            return found

    def overview(self, request: Request, pyramid: Pyramid, progress: Progress | None = None) -> Overview:
        """X_lr and the raw density of a frame, seen once."""
        from ...network import image_for_model, look

        key = (request.frame.state, *self._model_key(request))
        with self._loading:
            found = self._get(self._overviews, key)
            if found is None:
                model = self.model(request, progress)
                with image_for_model(pyramid, model.config) as seen:
                    found = self._put(self._overviews, key, look(seen, model, progress))
            return found

    def placement(self, request: Request, method: str, pyramid: Pyramid, progress: Progress | None = None) -> Placement:
        """Where a method puts its points; budgets with the same uniform fraction share it."""
        from ...network.placing import bend

        request, method = request.resolved(method)
        model = self.model(request, progress)
        chosen, key = self._chosen(request, method, model, lambda: self.overview(request, pyramid, progress))
        found = self._get(self._placements, key)
        return found or self._put(self._placements, key, bend(pyramid.shape, model, chosen, _sampler(request, method)))

    def bend_ahead(self, request: Request, budgets: Iterable[tuple[int, int]], progress: Progress) -> None:
        """The placements of other budgets too, so that `at_hand` has them."""
        pyramid = self.pyramid(request.frame, progress)
        for budget in budgets:
            for method in request.methods:
                progress("placing", 0, 1)
                self.placement(replace(request, budget=budget), method, pyramid, progress)

    def overlays(self, request: Request, progress: Progress, *, whole: bool = True) -> Iterator[tuple[str, Overlay]]:
        """Overlays of all methods, as they are found.

        Parameters
        ----------
        request : Request
            What is wanted.
        progress : Progress
            May raise `Cancelled`.
        whole : bool
            All points, and lines; otherwise as many points as are seen at once, which are there sooner.
        """
        pyramid = self.pyramid(request.frame, progress)
        for method in request.methods:
            known = self._get(self._overlays, self._key(request, method))
            if known is None or (whole and known.lines is None):
                placement = self.placement(request, method, pyramid, progress)
                if known is None or known.step > 1:
                    known = draw(placement, request.budget, pyramid.shape, 1 if whole else _step(request), progress)
                if whole:
                    known = replace(known, lines=draw_lines(placement, pyramid.shape))
                self._put(self._overlays, self._key(request, method), known)
            yield method, known

    def at_hand(self, request: Request) -> tuple[Pyramid, dict[str, Overlay]] | None:
        """What `overlays` finds without `whole`, if nothing is to be read, predicted or bent for it; or None.

        Takes milliseconds and waits for nobody: it may be called in the window's own thread.
        """
        pyramid = self._get(self._pyramids, request.frame.state)
        found: dict[str, Overlay] = {}
        for method in request.methods:
            known = self._get(self._overlays, self._key(request, method))
            if known is None:
                placement = self._known_placement(request, method)
                if pyramid is None or placement is None:
                    return None
                known = draw(placement, request.budget, pyramid.shape, _step(request))
                self._put(self._overlays, self._key(request, method), known)
            found[method] = known
        return None if pyramid is None else (pyramid, found)

    def _known_placement(self, request: Request, method: str) -> Placement | None:
        request, method = request.resolved(method)
        model = self._get(self._models, self._model_key(request))
        seen = self._get(self._overviews, (request.frame.state, *self._model_key(request)))
        if model is None or seen is None:
            return None
        try:
            key = self._chosen(request, method, model, lambda: seen)[1]
        except ModelError:  # the thread that is asked next says it
            return None
        return self._get(self._placements, key)

    def _chosen(
        self, request: Request, method: str, model: DeformedSegmenter, seen: Callable[[], Overview]
    ) -> tuple[Choice, tuple[Hashable, ...]]:
        """What a method comes to, and the key of its placement."""
        from ...network.placing import choose

        fraction = request.fraction if method == "learnt" else None
        shape = request.frame.source.shape
        chosen = choose(shape, model, request.budget, method, uniform_fraction=fraction, seen=seen)
        own = (chosen.way, chosen.fraction, _sampler(request, method))
        return chosen, (request.frame.state, *self._model_key(request), *own)

    def results(self, request: Request, progress: Progress) -> Iterator[tuple[str, Segmentation]]:
        """Segmentations of all methods, as they are found; at once where they are known."""
        for method in request.methods:
            yield method, self.result(request, method, progress)

    def result(self, request: Request, method: str, progress: Progress) -> Segmentation:
        """The segmentation by one method."""
        from ...network import segment

        request, method = request.resolved(method)
        found = self._get(self._results, self._key(request, method))
        if found is not None:
            return found
        pyramid = self.pyramid(request.frame, progress)
        model = self.model(request, progress)
        self._warm_up(model, request, method)
        from ...evaluation.memory import PeakMemory

        with PeakMemory(model.device) as memory:
            segmentation = segment(
                pyramid,
                model,
                request.budget,
                method,
                placed=self.placement(request, method, pyramid, progress),
                progress=lambda stage, done, total: progress(f"{method}: {stage}", done, total),
            )
        self._put(self._peaks, self._key(request, method), memory.megabytes)
        return self._put(self._results, self._key(request, method), segmentation)

    def peaks(self, request: Request) -> dict[str, float]:
        """The most memory in MB while a method's result was computed, where that is known."""
        found = {method: self._get(self._peaks, self._key(request, method)) for method in request.methods}
        return {method: peak for method, peak in found.items() if peak is not None}

    def is_known(self, request: Request) -> bool:
        """Whether all results of a request are kept."""
        return all(self._get(self._results, self._key(request, method)) is not None for method in request.methods)

    def _get(self, kept: Kept[V], key: Hashable) -> V | None:
        with self._lock:
            return kept.get(key)

    def _put(self, kept: Kept[V], key: Hashable, value: V) -> V:
        with self._lock:
            kept.put(key, value)
        return value

    def forget_model(self, name: str) -> None:
        """Drop what a model has found, because it is another one now under the same name."""
        with self._lock:
            for kept in (self._models, self._overviews, self._placements, self._overlays, self._results, self._peaks):
                kept.drop(lambda key: name in key)

    def _warm_up(self, model: DeformedSegmenter, request: Request, method: str) -> None:
        """The first pass of a network pays for its set-up; no method shall be charged for coming first."""
        import torch

        warm = (request.budget, method == "uniform")
        known: set[Any] = model.__dict__.setdefault("warm_sizes", set())
        if warm not in known:
            known.add(warm)
            with torch.inference_mode():
                model(torch.zeros(1, model.config.channels, *request.budget, device=model.device), method)


def _step(request: Request) -> int:
    """Of all points, every so many rows and columns are as many as one sees at once."""
    return thinning(math.prod(request.budget), MOST_POINTS // len(request.methods))


def _sampler(request: Request, method: str) -> str | None:
    return (request.sampler or None) if method == "learnt" else None


def _size(result: Segmentation) -> int:
    tensors = (result.probabilities, result.sampled, result.density)
    # sharpened once more, and the warp's own tables
    return 3 * sum(t.element_size() * t.nelement() for t in tensors)

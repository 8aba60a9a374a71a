"""`Truths`: which ground truth goes with which image."""

from __future__ import annotations

from collections.abc import Iterable
from weakref import ReferenceType, WeakKeyDictionary, ref

from napari.layers import Image, Labels

__all__ = ["Truths"]


class Truths:
    """Remembers what was chosen beside each image, for as long as it is there.

    Images of one size are many; what scores one of them says nothing about the next.
    """

    def __init__(self) -> None:
        self._of: WeakKeyDictionary[Image, ReferenceType[Labels]] = WeakKeyDictionary()

    def remember(self, image: Image | None, truth: Labels | None) -> None:
        """Ground truth, or none, is chosen beside an image."""
        if image is not None and truth is not None:
            self._of[image] = ref(truth)
        elif image is not None:
            self._of.pop(image, None)

    def best(self, image: Image, there: Iterable[Labels], now: Labels | None) -> Labels | None:
        """What an image had before, what is called after it, or what is chosen now if no other image had that.

        Parameters
        ----------
        image : Image
            Just chosen.
        there : iterable of Labels
            What there is.
        now : Labels, optional
            What is chosen at the moment.
        """
        layers = list(there)
        own = self._chosen(image)
        named = [layer for layer in layers if layer.name == f"{image.name} ground truth"]
        found = next((layer for layer in (own, *named) if layer is not None and layer in layers), None)
        if found is None and not any(self._chosen(other) is now for other in self._of if other is not image):
            found = now
        return found

    def _chosen(self, image: Image) -> Labels | None:
        known = self._of.get(image)
        return None if known is None else known()

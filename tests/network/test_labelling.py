"""From probabilities at sampling points to class ids at pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from napari_deformdown.network.labelling import Labeller

seeds = st.integers(0, 2**31)


def make_probabilities(seed: int, kind: str, classes: int, h: int, w: int) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    if kind == "random":
        return torch.from_numpy(rng.dirichlet(np.ones(classes), (h, w))).movedim(-1, 0).float()
    blocks = rng.integers(0, classes, (-(-h // 4), -(-w // 4)))
    labels = np.kron(blocks, np.ones((4, 4), int))[:h, :w]
    sharp = np.eye(classes)[labels] + 0.3 * rng.random((h, w, classes))
    return torch.from_numpy(sharp / sharp.sum(-1, keepdims=True)).movedim(-1, 0).float()


def interpolated(probabilities: torch.Tensor, v: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    """Plain grid_sample in float64 at every position: (K, R, C)."""
    grid = torch.stack([u, v], -1).double() * 2 - 1
    return F.grid_sample(probabilities[None].double(), grid[None], padding_mode="border", align_corners=False)[0]


def assert_most_probable(found: np.ndarray, reference: torch.Tensor) -> None:
    """Found ids are the argmax of the reference, ties aside."""
    best = reference.amax(0)
    taken = reference.gather(0, torch.from_numpy(found)[None].long())[0]
    assert (best - taken).max() < 1e-5
    clear = (best - reference.topk(2, 0).values[1]) > 1e-4
    assert torch.equal(torch.from_numpy(found).long()[clear], reference.argmax(0)[clear])


@given(
    seeds,
    st.sampled_from(["random", "blocky"]),
    st.integers(2, 9),
    st.integers(1, 20),
    st.integers(1, 20),
)
def test_labels_equal_plain_interpolation_and_argmax(seed, kind, classes, h, w) -> None:
    probabilities = make_probabilities(seed, kind, classes, h, w)
    generator = torch.Generator().manual_seed(seed)
    v, u = torch.rand(2, 31, 43, generator=generator)
    v[0], v[-1], u[:, 0], u[:, -1] = 0, 1, 0, 1
    found = Labeller(probabilities)(v, u)
    assert found.dtype == np.uint8 and found.shape == (31, 43)
    assert_most_probable(found, interpolated(probabilities, v, u))


@given(seeds, st.integers(1, 12), st.integers(1, 12))
def test_rows_and_columns_broadcast(seed, h, w) -> None:
    probabilities = make_probabilities(seed, "random", 4, h, w)
    generator = torch.Generator().manual_seed(seed)
    v, u = torch.rand(17, 1, generator=generator), torch.rand(1, 23, generator=generator)
    labeller = Labeller(probabilities)
    expected = labeller(v.expand(17, 23).contiguous(), u.expand(17, 23).contiguous())
    np.testing.assert_array_equal(labeller(v, u), expected)
    full = torch.rand(17, 23, generator=generator)
    np.testing.assert_array_equal(labeller(v, full), labeller(v.expand(17, 23).contiguous(), full))


@given(seeds)
def test_at_the_sampling_points_the_label_is_their_own(seed) -> None:
    probabilities = make_probabilities(seed, "random", 5, 8, 16)
    v = ((torch.arange(8) + 0.5) / 8)[:, None].float()
    u = ((torch.arange(16) + 0.5) / 16)[None].float()
    np.testing.assert_array_equal(Labeller(probabilities)(v, u), probabilities.argmax(0).numpy())


def test_the_boundary_between_two_points_lies_where_their_probabilities_cross() -> None:
    probabilities = torch.tensor([[[0.9, 0.4]], [[0.1, 0.6]]])  # equal at 0.8 of the way
    u = torch.linspace(0, 1, 1001)[None]
    found = Labeller(probabilities)(torch.tensor([[0.5]]), u)[0]
    assert found.argmax() / 1000 == pytest.approx(0.25 + 0.5 * 0.8, abs=0.002)


def test_255_classes_keep_their_ids() -> None:
    probabilities = torch.eye(255).reshape(255, 15, 17)
    v, u = ((torch.arange(15) + 0.5) / 15)[:, None], ((torch.arange(17) + 0.5) / 17)[None]
    expected = np.arange(255).reshape(15, 17)
    np.testing.assert_array_equal(Labeller(probabilities)(v, u), expected)


@given(seeds)
def test_no_class_appears_that_no_point_around_has(seed) -> None:
    # class 1 is second everywhere: interpolation may find it between others, never alone
    probabilities = make_probabilities(seed, "blocky", 6, 9, 9)
    v, u = torch.rand(2, 40, 40, generator=torch.Generator().manual_seed(seed))
    best = probabilities.argmax(0)
    same = torch.zeros_like(probabilities)
    same.scatter_(0, best[None], 1.0)
    found = Labeller(same)(v, u)
    assert set(np.unique(found)) <= set(best.unique().tolist())

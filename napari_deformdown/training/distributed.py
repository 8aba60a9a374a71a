"""Training in several processes, as torchrun starts them: every one draws its own views, gradients are averaged."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

__all__ = ["average_buffers", "average_gradients", "group", "rank", "shared", "world_size"]


def world_size() -> int:
    """How many processes train together; 1 without a group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """The number of this process among them; 0 without a group."""
    return dist.get_rank() if world_size() > 1 else 0


@contextmanager
def group(device: torch.device) -> Iterator[torch.device]:
    """Join the other processes if torchrun has started several; gives the device of this one."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or world_size() > 1:
        yield device
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield device
    finally:
        dist.destroy_process_group()


def shared(make: Callable[[], Any]) -> Any:
    """What the first process makes, given to all; an error of it is raised by all."""
    if world_size() == 1:
        return make()
    box: list[Any] = [None, None]
    if rank() == 0:
        try:
            box[0] = make()
        except Exception as error:  # passed on, or the others would wait for ever
            box[1] = error
    dist.broadcast_object_list(box)
    if box[1] is not None:
        raise box[1]
    return box[0]


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace gradients by their means over the processes, in one message; missing ones count as zero."""
    if world_size() == 1:
        return
    wanted = [p for p in parameters if p.requires_grad]
    _average([p.grad if p.grad is not None else torch.zeros_like(p) for p in wanted], into=wanted)


def average_buffers(module: nn.Module) -> None:
    """Replace the statistics of normalisation layers by their means over the processes."""
    if world_size() == 1:
        return
    floating = [b for b in module.buffers() if b.is_floating_point()]
    for buffer, mean in zip(floating, _means(floating), strict=True):
        buffer.copy_(mean)


def _average(gradients: list[Tensor], into: list[nn.Parameter]) -> None:
    for parameter, mean in zip(into, _means(gradients), strict=True):
        parameter.grad = mean


def _means(tensors: list[Tensor]) -> list[Tensor]:
    if not tensors:
        return []
    flat = torch.cat([t.detach().flatten() for t in tensors])
    dist.all_reduce(flat)
    flat /= world_size()
    parts = flat.split([t.numel() for t in tensors])
    return [part.reshape(t.shape).clone() for part, t in zip(parts, tensors, strict=True)]

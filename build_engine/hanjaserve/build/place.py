"""Where training computes: on the processor, on one GPU, or on several, with a process for each.

Several are started by `torchrun --nproc-per-node 4 --no-python -- hanjaserve train --out FOLDER`.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import distributed, nn


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One process among those that train a model.

    Attributes:
        device: where it computes.
        rank: its number, from 0; process 0 writes the files.
        world: how many there are.
        bf16: whether it has units for BF16.
    """

    device: torch.device
    rank: int = 0
    world: int = 1
    bf16: bool = False

    @property
    def leads(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def precision(self) -> AbstractContextManager[object]:
        """Products in BF16 where there are units for them; its range needs no scaling of the loss."""
        return torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext()

    def spread(self, model: nn.Module) -> nn.Module:
        """The model, with gradients that are the mean over all processes."""
        if self.world == 1:
            return model
        return nn.parallel.DistributedDataParallel(model)

    def wait(self) -> None:
        """Until every process has come here."""
        if self.world > 1:
            distributed.barrier()


@contextmanager
def training_place() -> Iterator[Place]:
    """The place that the variables RANK, LOCAL_RANK and WORLD_SIZE name; without them, the only one."""
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    if world > 1:
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Place(device=device, rank=rank, world=world, bf16=_has_bf16_units(device))
    finally:
        if world > 1:
            distributed.destroy_process_group()


def _has_bf16_units(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu.get_capabilities().get("avx512_bf16"))

"""Where training computes: on the processor, on one GPU, or on several, with a process for each.

Several are started by `torchrun --nproc-per-node 4 --no-python hanjaserve train --out checkpoints/default`.
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
    """

    device: torch.device
    rank: int = 0
    world: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def precision(self) -> AbstractContextManager[object]:
        """Products in BF16 on a GPU that has it; its range needs no scaling of the loss."""
        if self.device.type == "cuda" and torch.cuda.is_bf16_supported():
            return torch.autocast("cuda", torch.bfloat16)
        return nullcontext()

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
        yield Place(device=device, rank=rank, world=world)
    finally:
        if world > 1:
            distributed.destroy_process_group()

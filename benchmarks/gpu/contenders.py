"""What is compared on one GPU: the runners in several set-ups, PyTorch, ONNX Runtime.

What can't run is no failure of the check but a line of the result, with its reason.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.gpu.subjects import Subject
from hanjaserve.build.compile import compile_plan, spec_for
from hanjaserve.server.errors import ConfigError, RuntimeFault
from hanjaserve.server.runners.base import Runner
from hanjaserve.server.runners.buckets import BucketTable
from hanjaserve.server.runners.cuda import CudaPython, open_cuda
from hanjaserve.server.runners.driver import Cuda
from hanjaserve.server.runners.flavours import open_flavour
from hanjaserve.server.runners.onnxruntime import OnnxRunner, require_gpu_package
from hanjaserve.server.runners.plans import FP16_MODEL, PlanCache, default_cache_root
from hanjaserve.server.runners.tensorrt import Plan, TensorRtRunner
from hanjaserve.server.shapes import Int32


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One way to compute.

    Attributes:
        name: In the result.
        open: Opens a runner for a subject; raises with the reason if that can't be.
    """

    name: str
    open: Callable[[Subject], Runner]

    @contextmanager
    def opened(self, subject: Subject) -> Iterator[Runner]:
        """The runner, closed afterwards."""
        runner = self.open(subject)
        try:
            yield runner
        finally:
            runner.close()


def contenders(flavour: str) -> tuple[Contender, ...]:
    """All of them; the first is what a server would use."""

    def tensorrt(**options: Any) -> Callable[[Subject], Runner]:
        return lambda subject: open_tensorrt(subject, flavour, **options)

    return (
        Contender(name=flavour, open=tensorrt()),
        Contender(name=f"{flavour}, 1 lane", open=tensorrt(lanes=1)),
        Contender(name=f"{flavour}, no graphs", open=tensorrt(use_graphs=False)),
        Contender(name=f"{flavour}, no pinned memory", open=tensorrt(pinned=False)),
        Contender(name="onnxruntime-cuda", open=open_onnxruntime),
        Contender(name="pytorch eager FP16", open=lambda subject: TorchRunner(subject)),
        Contender(name="pytorch compiled FP16", open=lambda subject: TorchRunner(subject, compiled=True)),
    )


def open_tensorrt(
    subject: Subject, flavour_name: str, *, lanes: int = 2, use_graphs: bool = True, pinned: bool = True
) -> TensorRtRunner:
    """Compile the subject's plan if need be, and open it."""
    bundle = subject.bundle
    flavour = open_flavour(flavour_name)
    spec = spec_for(bundle, flavour, BucketTable.for_model(bundle.manifest.max_tokens))
    cache = PlanCache(root=default_cache_root(os.environ))
    compile_plan(bundle, spec, cache, report=lambda line: None)
    # A plan for two lanes serves one as well.
    plan = Plan(spec=replace(spec, lanes=lanes), content=cache.load(spec))
    cuda = open_cuda() if pinned else open_pageable()
    return TensorRtRunner(
        flavour,
        plan,
        cuda,
        pad_id=bundle.manifest.pad_id,
        top_k=bundle.manifest.top_k,
        use_graphs=use_graphs and pinned,  # a copy from pageable memory can't be captured
    )


def open_pageable() -> Cuda:
    """CUDA whose "pinned" memory is ordinary memory, to see what pinning is worth."""
    opened = open_cuda()
    if not isinstance(opened, CudaPython):
        raise ConfigError(f"{opened.name} is not cuda-python, which this comparison is made with")
    opened.pinned = lambda count: np.zeros(count, dtype=np.int32)  # type: ignore[method-assign]
    return opened


def open_onnxruntime(subject: Subject) -> OnnxRunner:
    """ONNX Runtime with CUDA on the FP16 graph."""
    require_gpu_package()
    return OnnxRunner(subject.bundle.path(FP16_MODEL), cuda=True)


class TorchRunner:
    """The PyTorch module of a subject in FP16 on the GPU. See `runners.base.Runner`."""

    def __init__(self, subject: Subject, *, compiled: bool = False) -> None:
        if subject.module is None:
            raise RuntimeFault("there is no checkpoint of this bundle here, only its ONNX")
        import torch

        if not torch.cuda.is_available():
            raise RuntimeFault(f"PyTorch {torch.__version__} has no CUDA here")
        self._torch = torch
        module = subject.module().half().to("cuda")
        self._run: Any = torch.compile(module) if compiled else module
        self.name = f"pytorch {torch.__version__}"

    def run(self, tokens: Int32) -> Int32:
        """See `Runner.run`."""
        with self._torch.inference_mode():
            output: Int32 = self._run(self._torch.from_numpy(tokens).to("cuda")).cpu().numpy()
        return output

    def close(self) -> None:
        """See `Runner.close`."""
        self._run = None


def matrix_tflops() -> float | None:
    """The GPU's measured FP16 matrix rate, by PyTorch; None without it."""
    try:
        import torch
    except ImportError:
        return None
    if not torch.cuda.is_available():
        return None
    size, repeats = 8192, 20
    one = torch.randn(size, size, device="cuda", dtype=torch.float16)
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    for turn in range(repeats + 5):
        if turn == 5:
            begin.record()
        one @ one
    end.record()
    torch.cuda.synchronize()
    return float(2 * size**3 * repeats / (begin.elapsed_time(end) / 1e3) / 1e12)

"""The rungs of the GPU: TensorRT, TensorRT for RTX, ONNX Runtime with CUDA.

A TensorRT runner needs a plan that was compiled for exactly this flavour, version, GPU and choice of buckets.
If the cache has none, or one that does not load or fails its self-test, `hanjaserve build compile` is started
in the background; meanwhile the next rung serves, and the next start or reload (SIGHUP) finds the plan.
"""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hanjaserve.server.bundle import Bundle
from hanjaserve.server.errors import (
    BundleError,
    DeviceLost,
    HanjaserveError,
    NotInstalled,
    OutOfDeviceMemory,
    RuntimeFault,
)
from hanjaserve.server.runners.base import Runner
from hanjaserve.server.runners.buckets import LENGTHS, MAX_BATCH_TOKENS, BucketTable
from hanjaserve.server.runners.cuda import open_cuda
from hanjaserve.server.runners.driver import Cuda, Device
from hanjaserve.server.runners.flavours import EXTRAS, MODULES, Flavour, installed_flavours, open_flavour
from hanjaserve.server.runners.onnxruntime import OnnxRunner, require_gpu_package
from hanjaserve.server.runners.plans import (
    ANY,
    FP16_MODEL,
    LANES,
    PlanCache,
    PlanSpec,
    default_cache_root,
    make_spec,
    write_atomically,
)
from hanjaserve.server.runners.rung import Rung
from hanjaserve.server.runners.tensorrt import Plan, TensorRtRunner

logger = logging.getLogger(__name__)

Build = Callable[[Sequence[str], PlanCache, PlanSpec], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuOptions:
    """How to use the GPU.

    Attributes:
        max_batch_tokens: Tokens of the largest bucket.
        lengths: Tokens per row of the buckets.
        lanes: Execution contexts.
        cache_root: Where plans are; None for the user's cache folder.
    """

    max_batch_tokens: int = MAX_BATCH_TOKENS
    lengths: tuple[int, ...] = LENGTHS
    lanes: int = LANES
    cache_root: Path | None = None

    @property
    def cache(self) -> PlanCache:
        """Where plans are."""
        return PlanCache(root=self.cache_root or default_cache_root(os.environ))


def gpu_rungs(options: GpuOptions) -> tuple[Rung, ...]:
    """The rungs, best first."""
    kinds = [TensorRtKind(name, options) for name in MODULES]
    plans = [Rung(name=kind.name, device="gpu", open=kind.open, condemn=kind.condemn) for kind in kinds]
    return (*plans, Rung(name="onnxruntime-cuda", device="gpu", open=_open_onnxruntime))


class TensorRtKind:
    """Opens runners of one flavour.

    Args:
        name: "tensorrt" or "tensorrt-rtx".
        options: How.
        driver: Reaches the GPU.
        build: Starts to compile a plan.
    """

    def __init__(
        self,
        name: str,
        options: GpuOptions,
        *,
        driver: Callable[[], Cuda] = open_cuda,
        build: Build | None = None,
    ) -> None:
        self.name = name
        self._options = options
        self._driver = driver
        self._build = build or start_build

    def open(self, bundle: Bundle, threads: int) -> TensorRtRunner:
        """Open a runner, if there is a GPU and a plan.

        Raises:
            NotInstalled: This TensorRT is not installed.
            ConfigError: There is no GPU, or TensorRT does not load.
            RuntimeFault: There is no plan that works, and one is being built; or TensorRT fails in some
                other way.
        """
        try:
            return self._open(bundle)
        except HanjaserveError:
            raise
        except Exception as error:  # of types that TensorRT and its bindings do not export
            raise RuntimeFault(f"{self.name} can't be used here: {error!r}") from error

    def _open(self, bundle: Bundle) -> TensorRtRunner:
        if self.name not in installed_flavours():
            package = MODULES[self.name].replace("_", "-")
            raise NotInstalled(f"{package} is not installed: pip install 'hanjaserve[{EXTRAS[self.name]}]'")
        # First the driver: without one, TensorRT may crash the process.
        cuda = self._driver()
        try:
            with cuda.current():
                device = cuda.device()
            flavour = open_flavour(self.name)
            spec, plan = self._plan(bundle, flavour, device)
        except BaseException:
            cuda.close()
            raise
        return self._start(bundle, flavour, spec, plan, cuda)

    def condemn(self, bundle: Bundle, runner: Runner) -> None:
        """Have the plan of a runner built again."""
        assert isinstance(runner, TensorRtRunner)
        self._replace(bundle, runner.spec)

    def _plan(self, bundle: Bundle, flavour: Flavour, device: Device) -> tuple[PlanSpec, bytes]:
        """The best plan that is there. RTX takes one for this compute capability, or for all."""
        table = BucketTable.for_model(
            bundle.manifest.max_tokens, self._options.max_batch_tokens, self._options.lengths
        )
        names = [(ANY, device.compute), (ANY, ANY)] if flavour.portable else [(device.name, device.compute)]
        specs = [
            make_spec(bundle, flavour, table, device=name, compute=compute, lanes=self._options.lanes)
            for name, compute in names
        ]
        for spec in specs:
            try:
                return spec, self._options.cache.load(spec)
            except BundleError as error:
                reason = error
        self._rebuild(bundle, specs[-1])
        raise RuntimeFault(f"{reason}; one is being built, and serves from the next start or reload on")

    def _start(
        self, bundle: Bundle, flavour: Flavour, spec: PlanSpec, plan: bytes, cuda: Cuda
    ) -> TensorRtRunner:
        kernels = self._options.cache.kernels_path(spec)
        kept = kernels.read_bytes() if kernels.exists() else b""
        made_of = Plan(spec=spec, content=plan, kernels=kept)
        manifest = bundle.manifest
        try:
            runner = TensorRtRunner(flavour, made_of, cuda, pad_id=manifest.pad_id, top_k=manifest.top_k)
        except (OutOfDeviceMemory, DeviceLost):
            raise
        except RuntimeFault:
            self._replace(bundle, spec)
            raise
        if compiled := runner.kernels:
            write_atomically(kernels, compiled)
        return runner

    def _replace(self, bundle: Bundle, spec: PlanSpec) -> None:
        self._options.cache.discard(spec)
        self._rebuild(bundle, spec)

    def _rebuild(self, bundle: Bundle, spec: PlanSpec) -> None:
        command = [
            sys.executable,
            "-m",
            "hanjaserve.cli.main",
            "build",
            "compile",
            "--bundle",
            str(bundle.root),
        ]
        command += ["--flavour", spec.flavour, "--lanes", str(spec.lanes), "--buckets"]
        command += [",".join(map(str, spec.lengths)), "--max-batch-tokens", str(spec.max_batch_tokens)]
        self._build([*command, "--cache", str(self._options.cache.root)], self._options.cache, spec)


def start_build(command: Sequence[str], cache: PlanCache, spec: PlanSpec) -> None:
    """Start a build that outlives this process, unless one is under way; its words go to a file."""
    if cache.is_locked(spec):
        logger.info("a plan for %s is being built already", spec.flavour)
        return
    log = cache.path(spec).with_suffix(".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as output:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    # Somebody has to take note of its end, or it stays in the process table as long as this process.
    threading.Thread(target=child.wait, name="plan-build", daemon=True).start()
    logger.info(
        "building a plan", extra={"fields": {"flavour": spec.flavour, "pid": child.pid, "log": str(log)}}
    )


def _open_onnxruntime(bundle: Bundle, threads: int) -> OnnxRunner:
    require_gpu_package()
    return OnnxRunner(bundle.path(FP16_MODEL), threads, cuda=True)

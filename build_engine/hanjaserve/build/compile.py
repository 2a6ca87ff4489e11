"""From a bundle to a plan in the cache: `hanjaserve build compile`, `make engine`.

What: finds out what the plan is for (flavour, GPU, buckets), and unless the cache has it, builds it in a
process of its own, under a lock, and publishes it by renaming. Two at once build one plan.
Why not in this process: see plan_process.py.
Not: no torch, no onnx; a server without the training stack can compile its plans.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from hanjaserve.server.bundle import Bundle
from hanjaserve.server.errors import BuildError, BundleError, ConfigError
from hanjaserve.server.runners.buckets import BucketTable
from hanjaserve.server.runners.cuda import open_cuda
from hanjaserve.server.runners.driver import Cuda, Device
from hanjaserve.server.runners.flavours import Flavour, installed_flavours, open_flavour
from hanjaserve.server.runners.plans import ANY, FP16_MODEL, LANES, PlanCache, PlanSpec, make_spec

Report = Callable[[str], None]
"""Takes a line about how far a build is."""
PROCESS = (sys.executable, "-m", "hanjaserve.build.plan_process")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """What `compile_plan` did.

    Attributes:
        path: Of the plan.
        spec: What it is for.
        built: False if the cache had it.
    """

    path: Path
    spec: PlanSpec
    built: bool


def choose_flavour(requested: str = "auto") -> Flavour:
    """Import the TensorRT that is asked for, or the first one that is installed.

    Raises:
        ConfigError: It is not installed, or none is.
    """
    if requested != "auto":
        return open_flavour(requested)
    installed = installed_flavours()
    if not installed:
        raise ConfigError(
            "no TensorRT is installed: pip install 'hanjaserve[gpu]', or 'hanjaserve[gpu-rtx]' for "
            "GeForce cards"
        )
    return open_flavour(installed[0])


def spec_for(
    bundle: Bundle,
    flavour: Flavour,
    buckets: BucketTable,
    *,
    target: str = "",
    lanes: int = LANES,
    open_driver: Callable[[], Cuda] = open_cuda,
) -> PlanSpec:
    """What the plan of a bundle is for on this machine.

    Args:
        bundle: Whose graph.
        flavour: For `tensorrt` this machine's GPU is what it is for, so there must be one.
        buckets: The shapes.
        target: For `tensorrt-rtx`, a compute capability such as "8.9"; empty for every one it knows.
        lanes: Execution contexts.
        open_driver: How to reach the GPU.

    Raises:
        ConfigError: There is no GPU, or a target was given to the flavour that has none.
        BundleError: The bundle has no FP16 graph.
    """
    if flavour.portable:
        return make_spec(bundle, flavour, buckets, compute=target or ANY, lanes=lanes)
    if target:
        raise ConfigError(f"--target {target}: a plan of {flavour.name} is always for this machine's GPU")
    device = _device(open_driver)
    return make_spec(bundle, flavour, buckets, device=device.name, compute=device.compute, lanes=lanes)


def compile_plan(
    bundle: Bundle, spec: PlanSpec, cache: PlanCache, *, report: Report, process: Sequence[str] = PROCESS
) -> Compiled:
    """Make sure that the cache has the plan of a spec.

    Raises:
        BuildError: TensorRT can't build it; says why.
    """
    with cache.lock(spec):
        try:
            cache.load(spec)
        except BundleError:
            return _build(bundle, spec, cache, report, process)
    return Compiled(path=cache.path(spec), spec=spec, built=False)


def _build(
    bundle: Bundle, spec: PlanSpec, cache: PlanCache, report: Report, process: Sequence[str]
) -> Compiled:
    with tempfile.TemporaryDirectory(prefix=".build-", dir=cache.root) as folder:
        plan, request = Path(folder) / "plan", Path(folder) / "request.json"
        content = {
            "onnx": str(bundle.path(FP16_MODEL)),
            "spec": asdict(spec),
            "plan": str(plan),
            "timing": str(cache.timing_path(spec)),
        }
        request.write_text(json.dumps(content), "utf-8")
        _run([*process, str(request)], report)
        return Compiled(path=cache.save(spec, plan.read_bytes()), spec=spec, built=True)


def _run(command: Sequence[str], report: Report) -> None:
    """Run the build process to its end, passing its progress on."""
    fault = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8") as child:
        assert child.stdout is not None
        try:
            for line in child.stdout:
                said = _parsed(line)
                if "phase" in said:
                    report(f"{said['phase']} ({said['done']} of {said['steps']})")
                fault = str(said.get("error", fault))
        except BaseException:
            child.kill()
            raise
    if child.returncode:
        raise BuildError(fault or _death(child.returncode))


def _parsed(line: str) -> dict[str, object]:
    """A line of the process; TensorRT itself may print others."""
    try:
        said = json.loads(line)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _death(code: int) -> str:
    if code == -signal.SIGKILL:
        return "the build process was killed, probably for want of memory: free some, or use fewer buckets"
    how = f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    return f"the build process {how}; what it said is above"


def _device(open_driver: Callable[[], Cuda]) -> Device:
    driver = open_driver()
    try:
        with driver.current():
            return driver.device()
    finally:
        driver.close()

"""Choose what computes: the best runner that opens and passes its self-test.

Rungs stand in the order in which they are tried; a new device is a new rung. Of two on the same
device, the one that was found to be better for the bundle goes first. A step down is never silent:
it is logged, and returned for GetServerInfo.
"""

import logging

from hanjaserve.server.bundle import Bundle
from hanjaserve.server.errors import ConfigError, HanjaserveError, NotInstalled, RuntimeFault
from hanjaserve.server.runners.base import Runner
from hanjaserve.server.runners.gpu import GpuOptions, gpu_rungs
from hanjaserve.server.runners.onnxruntime import ONNX_MODEL, OnnxRunner
from hanjaserve.server.runners.openvino import OpenVinoRunner
from hanjaserve.server.runners.rung import Rung
from hanjaserve.server.runners.selftest import check_runner

__all__ = ["AUTO", "RUNGS", "Rung", "open_runner", "rungs_for"]

logger = logging.getLogger(__name__)

AUTO = "auto"


def _open_onnxruntime(bundle: Bundle, threads: int) -> Runner:
    return OnnxRunner(bundle.path(ONNX_MODEL), threads)


def rungs_for(gpu: GpuOptions) -> tuple[Rung, ...]:
    """Every rung, with these options for the GPU."""
    return (
        *gpu_rungs(gpu),
        Rung(name="onnxruntime", device="cpu", open=_open_onnxruntime),
        Rung(name="openvino", device="cpu", open=OpenVinoRunner),
    )


RUNGS: tuple[Rung, ...] = rungs_for(GpuOptions())


def open_runner(
    bundle: Bundle, requested: str = AUTO, threads: int = 0, *, rungs: tuple[Rung, ...] = RUNGS
) -> tuple[Runner, tuple[str, ...]]:
    """Open a runner and test it. Takes seconds.

    Args:
        bundle: What to run.
        requested: "auto", or the name of the only runner that will do.
        threads: Batches that a CPU computes at a time, a thread each; 0 for one per core.
        rungs: What there is to choose from.

    Returns:
        The runner, and what was skipped on the way, each with its reason.

    Raises:
        ConfigError: There is no runner of that name.
        RuntimeFault: None of them can serve the bundle.
        HanjaserveError: Why the requested one can't.
    """
    if requested != AUTO:
        rung = next((rung for rung in rungs if rung.name == requested), None)
        if rung is None:
            known = ", ".join([AUTO, *(rung.name for rung in rungs)])
            raise ConfigError(f"runner is {requested!r}: use one of {known}")
        return _open(rung, bundle, threads), ()
    steps: list[str] = []
    for rung in _ordered(rungs, bundle.manifest.cpu_runtime):
        try:
            return _open(rung, bundle, threads), tuple(steps)
        except NotInstalled as error:  # nobody wanted it here: no step down
            logger.debug("runner %s: %s", rung.name, error)
        except HanjaserveError as error:
            steps.append(f"{rung.name}: {error}")
            logger.warning("runner %s does not serve: %s", rung.name, error)
    raise RuntimeFault(f"no runner can serve the bundle {bundle.root}; {'; '.join(steps)}")


def _open(rung: Rung, bundle: Bundle, threads: int) -> Runner:
    runner = rung.open(bundle, threads)
    try:
        check_runner(runner, bundle)
    except BaseException as error:
        runner.close()
        if isinstance(error, RuntimeFault):
            rung.condemn(bundle, runner)
        raise
    return runner


def _ordered(rungs: tuple[Rung, ...], preferred: str) -> list[Rung]:
    """Keep the order of devices; on the same device, the preferred rung goes first."""
    devices = list(dict.fromkeys(rung.device for rung in rungs))
    return sorted(rungs, key=lambda rung: (devices.index(rung.device), rung.name != preferred))

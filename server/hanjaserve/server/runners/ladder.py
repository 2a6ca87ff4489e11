"""Which runner serves: the first rung that starts and passes its self-test.

Nothing is silent: every rung that was skipped is reported with its reason. GPU rungs go on top.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from hanjaserve.server.bundle import Bundle
from hanjaserve.server.errors import ConfigError, HanjaserveError
from hanjaserve.server.runners.base import Runner
from hanjaserve.server.runners.onnxruntime import OnnxRunner
from hanjaserve.server.runners.openvino import OpenVinoRunner
from hanjaserve.server.runners.selftest import self_test

RUNGS: Mapping[str, Callable[[Bundle, int], Runner]] = MappingProxyType(
    {"openvino": OpenVinoRunner, "onnxruntime": OnnxRunner}
)


def open_runner(
    bundle: Bundle, requested: str = "auto", threads: int = 0
) -> tuple[Runner, tuple[str, ...]]:
    """Opens a runner.

    Args:
        bundle: what to run.
        requested: the name of a rung, or "auto" for the bundle's own order.
        threads: 0 = all cores.

    Returns:
        The runner, and what was skipped and why.

    Raises:
        ConfigError: no rung of that name. HanjaserveError: the last rung's own reason.
    """
    if requested != "auto" and requested not in RUNGS:
        known = ", ".join(["auto", *RUNGS])
        raise ConfigError(f"no runner {requested!r}: this build knows {known}")
    first = bundle.manifest.cpu_runtime
    order = [requested] if requested != "auto" else [first, *(n for n in RUNGS if n != first)]
    skipped: list[str] = []
    for name in order:
        try:
            runner = RUNGS[name](bundle, threads)
            self_test(runner, bundle)
        except (HanjaserveError, RuntimeError) as error:
            skipped.append(f"{name}: {error}")
            if name == order[-1]:
                raise ConfigError("no runner could start: " + "; ".join(skipped)) from error
            continue
        return runner, tuple(skipped)
    raise AssertionError("unreachable: the last rung returns or raises")

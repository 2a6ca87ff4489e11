"""The import seam for both TensorRTs: the data-centre one and the one for RTX cards.

They have one API and two module names. Only names that `tensorrt` 10.12 to 11.x and `tensorrt_rtx` all
have are used anywhere in this project; the few that only RTX has are asked for here. Importing either
takes a second and needs no GPU. Creating a runtime without a driver can crash the process, so callers
ask CUDA for a device first.
"""

import importlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from hanjaserve.server.errors import ConfigError

logger = logging.getLogger(__name__)

OLDEST = (10, 12)
"""The first `tensorrt` that has everything; older ones lack no name, but promise less."""
KEPT_ERRORS = 20
SEVERITIES = {"INTERNAL_ERROR": logging.ERROR, "ERROR": logging.ERROR, "WARNING": logging.WARNING}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavour:
    """One of the two TensorRTs, imported.

    Attributes:
        name: "tensorrt" or "tensorrt-rtx", also what `--runner` calls it.
        version: Of the package.
        api: The module.
    """

    name: str
    version: str
    api: Any

    @property
    def portable(self) -> bool:
        """Whether a plan is not for one GPU alone: RTX compiles its kernels when it loads."""
        return self.name == "tensorrt-rtx"

    def context(self, engine: Any, runtime_cache: Any = None) -> Any:
        """Create an execution context whose memory the caller provides by `set_device_memory`."""
        strategy = self.api.ExecutionContextAllocationStrategy.USER_MANAGED
        if not self.portable:
            return engine.create_execution_context(strategy)
        config = engine.create_runtime_config()
        config.set_execution_context_allocation_strategy(strategy)
        # All shapes are known and run once before serving, so their kernels are compiled then, not while
        # serving, and graphs are captured here.
        specialization = self.api.DynamicShapesKernelSpecializationStrategy
        config.dynamic_shapes_kernel_specialization_strategy = specialization.EAGER
        if runtime_cache is not None:
            config.set_runtime_cache(runtime_cache)
        return engine.create_execution_context(config)

    def runtime_cache(self, engine: Any, content: bytes) -> Any:
        """Where RTX keeps the kernels that it compiles as it loads; None for the other flavour.

        Args:
            engine: Whose kernels.
            content: From an earlier process; one from another GPU or driver is ignored.
        """
        if not self.portable:
            return None
        cache = engine.create_runtime_config().create_runtime_cache()
        if content and not cache.deserialize(content):
            logger.info("the kernels kept for %s are of another GPU or driver: compiling anew", self.name)
        return cache

    def capturable(self, context: Any, stream: int) -> bool:
        """Whether the context can be captured as a CUDA graph; only RTX knows beforehand."""
        return bool(context.is_stream_capturable(stream)) if self.portable else True

    def logger(self) -> Any:
        """A TensorRT logger that passes messages on, and keeps errors in its list `errors`.

        It must outlive whatever was made with it.
        """
        return _make_logger(self.api)


MODULES = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}
EXTRAS = {"tensorrt": "gpu", "tensorrt-rtx": "gpu-rtx"}


def open_flavour(name: str) -> Flavour:
    """Import a TensorRT.

    Raises:
        ConfigError: It is not installed, does not load, or is too old.
    """
    module = MODULES[name]
    fix = f"pip install 'hanjaserve[{EXTRAS[name]}]'"
    try:
        api = importlib.import_module(module)
    except ModuleNotFoundError:
        raise ConfigError(f"{module} is not installed: {fix}") from None
    except (ImportError, OSError) as error:  # its shared libraries are missing or need another driver
        raise ConfigError(f"{module} is installed but does not load ({error}): {fix}") from error
    found = str(api.__version__)
    if name == "tensorrt" and _numbers(found) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise ConfigError(f"tensorrt is {found}, but {oldest} is the oldest that will do: {fix}")
    return Flavour(name=name, version=found, api=api)


def installed_flavours() -> tuple[str, ...]:
    """Names of the TensorRTs that are installed, found without importing them."""
    packages = {
        "tensorrt": ("tensorrt", "tensorrt-cu12", "tensorrt-cu13"),
        "tensorrt-rtx": ("tensorrt-rtx-cu13", "tensorrt-rtx-cu12", "tensorrt-rtx"),
    }
    return tuple(name for name, any_of in packages.items() if _any_installed(any_of))


def _any_installed(packages: Sequence[str]) -> bool:
    for package in packages:
        try:
            version(package)
        except PackageNotFoundError:
            continue
        return True
    return False


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2])


def _make_logger(api: Any) -> Any:
    # The base class exists only once TensorRT is imported, hence a class made in a function.
    class Logger(api.ILogger):  # type: ignore[misc]
        """Called from TensorRT's own threads."""

        def __init__(self) -> None:
            api.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            level = SEVERITIES.get(getattr(severity, "name", ""), logging.DEBUG)
            if level >= logging.ERROR:
                self.errors.append(message.strip())
                del self.errors[:-KEPT_ERRORS]
            logger.log(level, "%s", message.strip())

    return Logger()

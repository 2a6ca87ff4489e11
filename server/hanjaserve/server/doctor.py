"""What could keep a server from serving, found before it is started: one finding per thing looked at.

    hanjaserve doctor [the flags of serve]

A finding is ok, a warning, or a fault with what to do about it. Nothing is changed or left running.
"""

import argparse
import os
import platform
import resource
import ssl
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from hanjaserve.server.bundle import Bundle
from hanjaserve.server.config import ServerConfig, from_namespace
from hanjaserve.server.errors import HanjaserveError
from hanjaserve.server.exposure import check_exposure
from hanjaserve.server.front import opened_traces
from hanjaserve.server.listener import check_bindable
from hanjaserve.server.runners.ladder import open_runner
from hanjaserve.server.tls import Certificates
from hanjaserve.server.tokens import TokenFile

PACKAGES = ("grpcio", "protobuf", "numpy", "onnxruntime", "tokenizers", "prometheus-client")
GPU_PACKAGES = ("cuda-python", "tensorrt", "tensorrt-rtx-cu13")
SOON_S = 14 * 86_400
SPARE_FILES = 64
DAY_S = 86_400


class Grade(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warn"
    FAULT = "FAIL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    grade: Grade
    what: str

    def __str__(self) -> str:
        return f"{self.grade:5} {self.what}"


Findings = Iterator[Finding]


def run(namespace: argparse.Namespace) -> int:
    """Look at everything, print it; 1 if something is at fault."""
    try:
        config = from_namespace(namespace, os.environ)
    except HanjaserveError as error:
        print(_fault(str(error)))
        return 1
    grades = []
    for finding in examine(config):
        print(finding, flush=True)
        grades.append(finding.grade)
    return int(Grade.FAULT in grades)


def examine(config: ServerConfig) -> Findings:
    """Look at versions, driver, address, certificates, tokens, limits, and at last the bundle."""
    yield from _versions()
    yield from _driver()
    yield _tried("address", lambda: _address(config))
    if config.metrics_port:
        yield _tried("metrics", lambda: _metrics(config))
    if config.traces:
        yield _tried("traces", lambda: _traces(config))
    if config.tls_cert:
        yield _tried("TLS", lambda: _certificates(config))
        yield certificate_age(Path(config.tls_cert), "the certificate")
    yield _tried("exposure", lambda: _exposure(config))
    if config.tokens:
        yield _tried("tokens", lambda: _tokens(config))
        yield from _permissions(Path(config.tokens))
    if config.tls_key:
        yield from _permissions(Path(config.tls_key), secret=True)
    yield _descriptors(config)
    yield _tried("model", lambda: _model(config))


def certificate_age(path: Path, name: str, now: float | None = None) -> Finding:
    """How long the first certificate of a PEM file is still good for."""
    try:
        end = ssl.cert_time_to_seconds(_not_after(path))
    except (OSError, ValueError, KeyError) as error:
        return _fault(f"{name} {path} can't be read ({error})")
    left = end - (time.time() if now is None else now)
    if left <= 0:
        return _fault(f"{name} {path} has expired {-left / DAY_S:.0f} days ago: renew it")
    if left < SOON_S:
        return _warning(f"{name} {path} expires in {left / DAY_S:.0f} days: renew it")
    return _ok(f"{name} is good for {left / DAY_S:.0f} days")


def _not_after(path: Path) -> str:
    # The standard library shows what is in a certificate only after a handshake or by this function.
    decoded: dict[str, object] = ssl._ssl._test_decode_cert(str(path))  # type: ignore[attr-defined]
    return str(decoded["notAfter"])


def _versions() -> Findings:
    yield _ok(f"Python {platform.python_version()} on {platform.platform()}")
    for name in PACKAGES:
        try:
            yield _ok(f"{name} {version(name)}")
        except PackageNotFoundError:
            yield _fault(f"{name} is not installed: pip install hanjaserve")


def _driver() -> Findings:
    driver = Path("/proc/driver/nvidia/version")
    found = [name for name in GPU_PACKAGES if _is_installed(name)]
    if not driver.exists():
        if found:
            yield _warning(f"no NVIDIA driver, so {', '.join(found)} is of no use: the CPU will compute")
        else:
            yield _ok("no NVIDIA driver: the CPU computes")
        return
    yield _ok(driver.read_text(encoding="utf-8").splitlines()[0])
    if not found:
        yield _warning("there is a GPU, but no TensorRT: pip install 'hanjaserve[gpu]'")


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def _address(config: ServerConfig) -> str:
    check_bindable(config.host, config.port)
    return f"port {config.port} of {config.host} is free"


def _metrics(config: ServerConfig) -> str:
    check_bindable(config.metrics_host, config.metrics_port, flag="--metrics-port")
    return f"metrics port {config.metrics_port} of {config.metrics_host} is free"


def _traces(config: ServerConfig) -> str:
    with opened_traces(config):
        return f"can be sent to {config.traces}, if a collector is there"


def _exposure(config: ServerConfig) -> str:
    check_exposure(config)
    return f"{config.host} with {'TLS' if config.tls_cert else 'plain text'} is allowed"


def _certificates(config: ServerConfig) -> str:
    authority = Path(config.tls_client_ca) if config.tls_client_ca else None
    Certificates(Path(config.tls_cert), Path(config.tls_key), authority)
    return "certificate and key belong together"


def _tokens(config: ServerConfig) -> str:
    TokenFile(Path(config.tokens))
    return f"{config.tokens} can be read"


def _permissions(path: Path, *, secret: bool = False) -> Findings:
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # said before
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        yield _fault(f"{path} can be written by others: chmod go-w {path}")
    elif secret and mode & stat.S_IROTH:
        yield _warning(f"{path} can be read by everybody: chmod o-r {path}")


def _descriptors(config: ServerConfig) -> Finding:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = config.max_connections + SPARE_FILES
    if limit < needed:
        return _warning(
            f"{limit} files may be open, and {config.max_connections} connections need {needed}: "
            "ulimit -n, or a smaller --max-connections"
        )
    return _ok(f"{limit} files may be open, enough for {config.max_connections} connections")


def _model(config: ServerConfig) -> str:
    from hanjaserve.models import default_bundle_path

    bundle = Bundle.open(config.bundle_path or default_bundle_path())
    runner, skipped = open_runner(bundle, config.runner, config.threads)
    runner.close()
    steps = "".join(f"; skipped {step}" for step in skipped)
    return f"{bundle.manifest.name} {bundle.manifest.revision} passes its self-test on {runner.name}{steps}"


def _tried(subject: str, look: Callable[[], str]) -> Finding:
    try:
        return _ok(f"{subject}: {look()}")
    except HanjaserveError as error:
        return _fault(f"{subject}: {error}")


def _ok(what: str) -> Finding:
    return Finding(grade=Grade.OK, what=what)


def _warning(what: str) -> Finding:
    return Finding(grade=Grade.WARNING, what=what)


def _fault(what: str) -> Finding:
    return Finding(grade=Grade.FAULT, what=what)



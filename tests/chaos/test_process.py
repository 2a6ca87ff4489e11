"""The process itself: no room for the log, foreign files in the bundle, the clock, the end under load."""

import shutil
import signal
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

import hanjaserve.server
from hanjaserve.v1 import hanjaserve_pb2 as pb
from tests.e2e.test_lifecycle import refused

from .conftest import CONVERTED, TEXT, Load, Patient, until
from .http2 import CONVERT


def test_log_that_cannot_be_written(tiny_bundle: Path, tmp_path: Path) -> None:
    """A full disk under the log: the server writes nothing else."""
    prefix = ("sh", "-c", 'exec "$@" 2>/dev/full', "sh")
    with Patient(tiny_bundle, tmp_path, prefix=prefix) as server, Load(server) as load:
        load.more()
        assert (load.errors, set(load.answers)) == ([], {CONVERTED})


def test_file_of_another_bundle_at_start(tiny_bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / "bundle"
    shutil.copytree(tiny_bundle, copy)
    shutil.copy(copy / "labels.txt", copy / "readings.tsv")
    assert "readings.tsv is damaged" in refused("--bundle", str(copy))


def test_one_bit_at_start(tiny_bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / "bundle"
    shutil.copytree(tiny_bundle, copy)
    victim = copy / "readings.tsv"
    data = bytearray(victim.read_bytes())
    data[-2] ^= 1
    victim.write_bytes(data)
    assert "readings.tsv is damaged" in refused("--bundle", str(copy))


def test_the_wall_clock_decides_nothing() -> None:
    """It may jump; deadlines, rates and shares go by the monotonic one."""
    (root,) = hanjaserve.server.__path__
    sources = {path: path.read_text(encoding="utf-8") for path in Path(root).rglob("*.py")}
    assert len(sources) > 30
    users = {path for path, text in sources.items() if "time.time(" in text or ".now(" in text}
    # KServe's statistics tell when the last call was; the doctor looks how old certificates are.
    assert {path.relative_to(root).as_posix() for path in users} <= {"kserve/model.py", "doctor.py"}


def test_end_under_load(tiny_bundle: Path, tmp_path: Path) -> None:
    """Health first; every accepted call finishes, with its answer; then the exit code is 0."""
    with Patient(tiny_bundle, tmp_path) as server:
        with Load(server) as load, grpc.insecure_channel(server.address) as channel:
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
            server.falls_ill("all slow 3")
            accepted = server.stub.Convert.future(pb.ConvertRequest(text=TEXT), timeout=30)
            until(lambda: server.metrics().get(f"hanjaserve_calls_in_progress {CONVERT}", 0) == 1)
            server.signal(signal.SIGTERM)
            assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
            assert accepted.result().conversion.text == CONVERTED
            assert server.wait(30) == 0
        assert set(load.errors) == {grpc.StatusCode.UNAVAILABLE}
        assert set(load.answers) == {CONVERTED}


@pytest.mark.parametrize("frontends", ["0", "1"])
def test_end_under_callers_who_go_on_calling(tiny_bundle: Path, tmp_path: Path, frontends: str) -> None:
    """Nobody who calls in the very moment of the end is told that he has cancelled the call."""
    with Patient(tiny_bundle, tmp_path, "--frontends", frontends) as server:
        with Load(server, callers=8, pause_s=0) as load:
            server.signal(signal.SIGTERM)
            assert server.wait(30) == 0
        assert set(load.errors) == {grpc.StatusCode.UNAVAILABLE}
        assert set(load.answers) == {CONVERTED}


@pytest.mark.parametrize("flags", [("--host", "0.0.0.0"), ("--tokens", "/nowhere"), ("--tls-cert", "x")])
def test_unsafe_settings_are_refused_at_start(flags: tuple[str, ...], tiny_bundle: Path) -> None:
    assert "hanjaserve: " in refused("--bundle", str(tiny_bundle), "--port", "0", *flags)

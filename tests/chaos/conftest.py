"""What every row of the fault table needs: a server that can be made ill, and eyes on it.

CHAOS=long multiplies what is repeated; CHAOS_REPORT=FILE collects the figures, one JSON object per line.
"""

import json
import os
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families

from hanjaserve.v1 import hanjaserve_pb2 as pb
from hanjaserve.v1.hanjaserve_pb2_grpc import HanjaServiceStub
from tests.e2e.process import ServerProcess
from tests.support.tiny import convert

LONG = os.environ.get("CHAOS") == "long"
PATIENCE_S = 180.0 if LONG else 20.0
"""For what should happen at once: the long form runs beside other work, which may stop it for a while."""
TEXT = "대한민국의 수도는 서울이다"
CONVERTED = convert(TEXT)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class Patient(ServerProcess):
    """A server whose runners can be made ill."""

    def __init__(self, bundle: Path, folder: Path, *flags: str, prefix: tuple[str, ...] = ()) -> None:
        self.control = folder / f"control-{free_port()}"
        self.control.write_text("")
        self.metrics_port = free_port()
        flags = ("--metrics-port", str(self.metrics_port), "--log-level", "debug", *flags)
        # As `hanjaserve serve` sets it.
        env = {"CHAOS_CONTROL": str(self.control), "GRPC_VERBOSITY": "NONE"}
        super().__init__(bundle, *flags, env=env, prefix=prefix, module="tests.chaos.server")

    def __enter__(self) -> "Patient":
        super().__enter__()
        self.channel = grpc.insecure_channel(self.address, [("grpc.use_local_subchannel_pool", 1)])
        self.stub: Any = HanjaServiceStub(self.channel)  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *exc: object) -> None:
        self.control.write_text("")
        self.channel.close()
        super().__exit__(*exc)

    def stub_of(self, channel: grpc.Channel) -> Any:
        """A stub on another channel."""
        return HanjaServiceStub(channel)  # type: ignore[no-untyped-call]

    def falls_ill(self, symptom: str) -> None:
        self.control.write_text(symptom)

    def metrics(self) -> dict[str, float]:
        """name{labels} -> value, labels in alphabetical order."""
        url = f"http://127.0.0.1:{self.metrics_port}/metrics"
        with urllib.request.urlopen(url, timeout=10) as page:
            families = text_string_to_metric_families(page.read().decode())
            return {
                s.name + "".join(f" {value}" for _, value in sorted(s.labels.items())): s.value
                for family in families
                for s in family.samples
            }

    def rss(self) -> int:
        """Bytes of memory that the process has."""
        return self._memory("VmRSS")

    def peak(self) -> int:
        """The most bytes of memory that it has had since `forget_peak`."""
        return self._memory("VmHWM")

    def forget_peak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def _memory(self, name: str) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith(name)]
        return int(line.split()[1]) * 1024

    def cpu_s(self) -> float:
        """Seconds of processor time that the process has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def health(self) -> int:
        stub = health_pb2_grpc.HealthStub(self.channel)
        return int(stub.Check(health_pb2.HealthCheckRequest(), timeout=10).status)

    def is_well(self) -> None:
        """Answers rightly, and holds nothing of calls that are over."""
        until(lambda: self.convert() == CONVERTED)
        until(self.is_idle)

    def is_idle(self) -> bool:
        found = self.metrics()
        held = [value for name, value in found.items() if name.startswith("hanjaserve_calls_in_progress")]
        return not (
            any(held) or found["hanjaserve_queued_tokens"] or found["hanjaserve_running_tokens"]
        )

    def convert(self, text: str = TEXT, timeout: float = PATIENCE_S) -> str:
        return str(self.stub.Convert(pb.ConvertRequest(text=text), timeout=timeout).conversion.text)


def until(condition: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "it did not come to that in time"
        time.sleep(0.02)


class Load:
    """Callers that call as fast as they are answered, each on a connection of its own.

    After an error they wait for `pause_s`.
    """

    def __init__(self, server: ServerProcess, callers: int = 3, pause_s: float = 0.05) -> None:
        self.answers: list[str] = []
        self.errors: list[grpc.StatusCode] = []
        self._address = server.address
        self._pause_s = pause_s
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(callers)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        until(lambda: len(self.answers) > 10 or bool(self.errors))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(2 * PATIENCE_S)

    def more(self, count: int = 20) -> None:
        """Wait for further answers."""
        enough = len(self.answers) + count
        until(lambda: len(self.answers) >= enough or bool(self.errors))

    def _call(self) -> None:
        with grpc.insecure_channel(self._address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            stub: Any = HanjaServiceStub(channel)  # type: ignore[no-untyped-call]
            while not self._over.is_set():
                try:
                    request = pb.BatchConvertRequest(texts=[TEXT] * 3)
                    response = stub.BatchConvert(request, timeout=2 * PATIENCE_S)
                except grpc.RpcError as error:
                    self.errors.append(error.code())
                    time.sleep(self._pause_s)
                else:
                    self.answers.extend(
                        r.conversion.text if r.HasField("conversion") else r.error.message
                        for r in response.results
                    )
                    time.sleep(0.002)


@pytest.fixture(scope="module")
def patient(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Patient]:
    """One server for the rows of a module, which leave it as it was."""
    flags = ("--reading-s", "1", "--request-s", "1", "--runner-patience-s", "20")
    with Patient(tiny_bundle, tmp_path_factory.mktemp("chaos"), *flags) as running:
        yield running


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Note figures of a row for the report."""

    def note(**figures: object) -> None:
        if path := os.environ.get("CHAOS_REPORT"):
            line = json.dumps({"row": request.node.name, **figures})
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(line + "\n")

    return note

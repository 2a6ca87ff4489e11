"""A runner hangs, throws, answers nonsense: the next one takes over, under load, and no caller notices."""

from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

from hanjaserve.v1 import hanjaserve_pb2 as pb

from .conftest import CONVERTED, TEXT, Load, Patient, until
from .server import POISON

FLAGS = ("--runner-patience-s", "0.8", "--runner-check-s", "0")


@pytest.mark.parametrize("symptom", ["hang", "throw", "nan", "rows", "size"])
def test_runner_falls_ill_under_load(
    tiny_bundle: Path, tmp_path: Path, symptom: str, record: Callable[..., None]
) -> None:
    with Patient(tiny_bundle, tmp_path, *FLAGS) as server, Load(server) as load:
        assert server.stub.GetServerInfo(pb.GetServerInfoRequest()).runner == "first"
        server.falls_ill(f"first {symptom}")
        until(lambda: server.stub.GetServerInfo(pb.GetServerInfoRequest()).runner == "second")
        load.more()
        info = server.stub.GetServerInfo(pb.GetServerInfoRequest())
        assert "first: failed while it served" in list(info.ladder)
        assert load.errors == []
        assert set(load.answers) == {CONVERTED}
        reason = "hang" if symptom == "hang" else "wrong_answer"
        assert server.metrics()[f"hanjaserve_runner_failures_total {reason}"] == 1
        record(symptom=symptom, answers=len(load.answers), wrong=0, errors=0)


def test_poisoned_item_alone_is_refused(patient: Patient) -> None:
    texts = [TEXT] * 20
    texts[7] = POISON
    with Load(patient) as load:
        results = patient.stub.BatchConvert(pb.BatchConvertRequest(texts=texts), timeout=20).results
        load.more()
    assert [i for i, r in enumerate(results) if r.HasField("error")] == [7]
    assert results[7].error.code == grpc.StatusCode.INTERNAL.value[0]
    assert {r.conversion.text for i, r in enumerate(results) if i != 7} == {CONVERTED}
    assert (load.errors, set(load.answers)) == ([], {CONVERTED})
    assert patient.stub.GetServerInfo(pb.GetServerInfoRequest()).runner == "first"
    patient.is_well()


def test_no_runner_left(tiny_bundle: Path, tmp_path: Path) -> None:
    """Callers get UNAVAILABLE, and the process ends with a code of its own, to be started again."""
    with Patient(tiny_bundle, tmp_path, *FLAGS) as server:
        with Load(server) as load:
            server.falls_ill("all throw")
            assert server.wait(30) == 70
        assert set(load.errors) == {grpc.StatusCode.UNAVAILABLE}
        assert set(load.answers) == {CONVERTED}
    assert any("no runner to take its place" in line for line in server.log)

"""What of `make gpu-check` needs no GPU: its arithmetic, its result, its honesty about what did not run."""

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.gpu import __main__ as check
from benchmarks.gpu import contenders as ways
from benchmarks.gpu.contenders import Contender, TorchRunner, contenders
from benchmarks.gpu.measure import device_rate, latency, runner_rate
from benchmarks.gpu.parity import Reference, passed
from benchmarks.gpu.result import file_name, table, verdict
from benchmarks.gpu.subjects import Subject, bundle_subject, flops_per_token, reference_subject
from benchmarks.texts import Mix
from hanjaserve.build.engine_check import WordShape
from hanjaserve.server.bundle import Bundle
from hanjaserve.server.errors import ConfigError, DeviceLost, RuntimeFault
from hanjaserve.server.runners.base import Done, Flight
from hanjaserve.server.runners.buckets import Bucket, BucketTable
from hanjaserve.server.runners.driver import Device
from hanjaserve.server.runners.openvino import OpenVinoRunner
from hanjaserve.server.shapes import Int32
from tests.server.runners.fake_gpu import FakeGpu
from tests.server.runners.test_tensorrt import make
from tests.support.tiny import SENTENCES

SMALL = WordShape(
    vocabulary=60, labels=40, hidden_size=16, layers=1, heads=2, intermediate_size=32, max_tokens=64
)
GPU = Device(name="NVIDIA L4", compute="8.9", memory_bytes=24 << 30, free_bytes=20 << 30)
MIX = Mix(source="generated", texts=SENTENCES * 5)


class Ticking:
    """A clock that moves only when a runner computes."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Steady:
    """Takes 1 ms per 1,000 tokens; an OverlappingRunner that overlaps nothing."""

    name, depth = "steady", 2

    def __init__(self, clock: Ticking) -> None:
        self.clock = clock
        self.flying = self.most = 0

    def run(self, tokens: Int32) -> Int32:
        self.clock.now += tokens.size * 1e-6
        return tokens

    def submit(self, tokens: Int32) -> Flight:
        self.flying += 1
        self.most = max(self.most, self.flying)
        runner = self

        class Counting(Done):
            def result(self) -> Int32:
                runner.flying -= 1
                return self.candidates

        return Counting(self.run(tokens))

    def replay(self, bucket: Bucket, times: int) -> None:
        self.clock.now += bucket.rows * bucket.tokens * times * 1e-6

    def close(self) -> None:
        pass


def test_rates_and_latencies() -> None:
    clock = Ticking()
    runner = Steady(clock)
    batches = [np.zeros((4, 100), np.int32), np.zeros((8, 100), np.int32)]
    assert runner_rate(runner, batches, 0.5, clock) == pytest.approx(1e6)
    assert (runner.flying, runner.most) == (0, 2)
    plain = SimpleNamespace(name="plain", run=runner.run, close=runner.close)
    assert runner_rate(plain, batches, 0.5, clock) == pytest.approx(1e6)  # type: ignore[arg-type]
    assert device_rate(runner, Bucket(rows=4, tokens=100), 0.5, clock) == pytest.approx(1e6)  # type: ignore[arg-type]
    found = latency(runner, batches[0], 200, clock)
    assert (found.p50_ms, found.p99_ms, found.calls) == (pytest.approx(0.4), pytest.approx(0.4), 200)


def test_operations_are_those_of_the_published_shape() -> None:
    assert flops_per_token(WordShape(), 64) / 1e6 == pytest.approx(93.7, abs=0.1)


def test_reference_subject_is_a_bundle_that_opens(tmp_path: Path) -> None:
    subject = reference_subject(tmp_path / "r", [5, 9], SMALL)
    assert [len(row) for row in subject.rows] == [5, 9] and not subject.meaningful
    assert subject.bundle.manifest.provenance == {"weights": "from a seed"}
    assert subject.module is not None and subject.flops is not None
    assert all(3 <= token < 60 for row in subject.rows for token in row)


class Sick(OpenVinoRunner):
    """Wrong about every tenth row."""

    def run(self, tokens: Int32) -> Int32:
        output = super().run(tokens)
        output[::10, :, 0] = 7 << 16 | 60000
        return output


def test_parity_finds_agreement_and_its_opposite(tiny_bundle: Path) -> None:
    bundle = Bundle.open(tiny_bundle)
    reference = Reference(bundle, MIX.texts)
    good = reference.parity(OpenVinoRunner(bundle, 1))
    assert good["passed"] and good["agreement"] == 1.0 and good["sentences"] == len(MIX.texts)
    bad = reference.parity(Sick(bundle, 1))
    assert not bad["passed"] and bad["differing"]


@pytest.mark.parametrize(
    ("agreement", "margin", "good"),
    [(1.0, 0.0, True), (0.9999, 0.0099, True), (0.9998, 0.0, False), (1, 0.01, False)],
)
def test_both_bounds_count(agreement: float, margin: float, good: bool) -> None:
    report: Any = SimpleNamespace(agreement=agreement, largest_margin=margin)
    assert passed(report) is good


# ---- the whole of it, on runners that there are


def fake_contenders(*, first: Any = OpenVinoRunner, others: Sequence[Contender] = ()) -> Any:
    def opened(subject: Subject) -> Any:
        if not subject.meaningful:
            raise RuntimeFault("no OpenVINO model")
        return first(subject.bundle, 1)

    return lambda flavour: (Contender(name=flavour, open=opened), *others)


def run(
    monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path, tmp_path: Path, kinds: Any
) -> tuple[int, dict[str, Any]]:
    out = tmp_path / "gpu.json"
    monkeypatch.setattr(check, "choose_flavour", lambda name: SimpleNamespace(name="tensorrt"))
    monkeypatch.setattr(check, "find_device", lambda: GPU)
    monkeypatch.setattr(check, "load_mix", lambda count: MIX)
    monkeypatch.setattr(check, "contenders", kinds)
    monkeypatch.setattr(check, "matrix_tflops", lambda: None)
    monkeypatch.setattr(check, "through_server", lambda *arguments: {"failed": "no GPU"})
    monkeypatch.setattr(check, "REFERENCE", SMALL)
    code = check.main(["--bundle", str(tiny_bundle), "--seconds", "0.01", "--out", str(out)])
    return code, json.loads(out.read_text("utf-8"))


def test_result_says_what_ran_and_what_did_not(
    monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch = Contender(name="pytorch eager FP16", open=lambda subject: TorchRunner(subject))
    kinds = fake_contenders(others=(torch, Contender(name="onnxruntime-cuda", open=ways.open_onnxruntime)))
    code, result = run(monkeypatch, tiny_bundle, tmp_path, kinds)
    assert code == check.FAILED
    assert result["not_passed"] == ["reference-shape: tensorrt does not run: no OpenVINO model"]
    assert result["device"]["name"] == "NVIDIA L4" and result["schema"] == 1
    assert {"torch", "cuda-bindings"} <= result["environment"]["packages"].keys()
    first, second = result["subjects"]
    assert first["contenders"][0]["parity"]["passed"] and first["contenders"][0]["runner_tokens_per_s"] > 0
    assert first["contenders"][1]["failed"].startswith("there is no checkpoint of this bundle")
    assert "no CUDA here" in second["contenders"][1]["failed"]
    assert "onnxruntime-gpu is not installed" in second["contenders"][2]["failed"]
    printed = capsys.readouterr().out
    assert "NOT passed:" in printed and "no OpenVINO model" in printed


def test_disagreement_fails_the_check(
    monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path, tmp_path: Path
) -> None:
    code, result = run(monkeypatch, tiny_bundle, tmp_path, fake_contenders(first=Sick))
    assert code == check.FAILED
    assert any("self-test of openvino" in reason for reason in result["not_passed"])


def test_no_gpu_is_not_a_pass(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def none() -> Device:
        raise ConfigError("no NVIDIA driver")

    monkeypatch.setattr(check, "choose_flavour", lambda name: SimpleNamespace(name="tensorrt"))
    monkeypatch.setattr(check, "find_device", none)
    assert check.main([]) == check.NO_GPU != 0
    assert "no NVIDIA driver; nothing was checked" in capsys.readouterr().err


def test_verdict_wants_everything() -> None:
    fine = {"name": "m", "contenders": [{"name": "tensorrt", "parity": {"passed": True}}]}
    assert verdict([fine], "tensorrt") == (True, [])
    odd = {"passed": False, "agreement": 0.5, "largest_margin": 0.9}
    bad = {"name": "m", "contenders": [{"name": "tensorrt", "parity": odd}]}
    assert verdict([bad], "tensorrt")[1] == [
        "m: tensorrt agrees on 50.0000%, largest margin of a difference 0.9000"
    ]
    assert not verdict([], "tensorrt")[0]


def test_table_and_file_name() -> None:
    row = {
        "name": "tensorrt", "device_tokens_per_s": 4e6, "runner_tokens_per_s": 3.9e6, "matrix_share": 0.41,
        "latency": {"p50_ms": 0.5, "p99_ms": 0.9, "calls": 10},
    }  # fmt: skip
    server = {"texts_per_s": 1000.0, "code_points_per_s": 58000.0}
    text = table([{"name": "m", "contenders": [row], "server": server}])
    assert "4,000,000/s" in text and "41%" in text and "0.90" in text and "1,000 texts/s" in text
    assert file_name("NVIDIA H100 80GB HBM3") == "gpu-nvidia-h100-80gb-hbm3.json"


def test_contenders_switch_one_thing_at_a_time(monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path) -> None:
    asked: list[dict[str, Any]] = []

    def note(subject: Subject, flavour: str, **options: Any) -> Any:
        asked.append(options)
        raise DeviceLost("not here")

    monkeypatch.setattr(ways, "open_tensorrt", note)
    subject = bundle_subject(Bundle.open(tiny_bundle), MIX)
    for way in contenders("tensorrt")[:4]:
        with pytest.raises(DeviceLost), way.opened(subject):
            pass
    assert asked == [{}, {"lanes": 1}, {"use_graphs": False}, {"pinned": False}]


def test_every_length_is_measured_by_its_full_bucket() -> None:
    clock = Ticking()
    runner: Any = Steady(clock)
    runner.buckets = BucketTable(lengths=(16, 32), max_batch_tokens=64)
    rows = check.per_bucket(runner, 0.0)
    assert [(row["rows"], row["tokens"]) for row in rows] == [(4, 16), (2, 32)]
    assert all(row["device_tokens_per_s"] > 0 and row["latency"]["calls"] == 50 for row in rows)


def test_speeds_of_a_tensorrt_runner_have_everything(tiny_bundle: Path) -> None:
    """On the fake GPU: what is in the row, not what the numbers are."""
    subject = Subject(
        name="m",
        bundle=Bundle.open(tiny_bundle),
        rows=[np.full(20, 7, np.int32)] * 3,
        meaningful=False,
        flops=lambda tokens: 1e6 * tokens,
    )
    gpu = FakeGpu()
    row = check.speeds(make(gpu), subject, 0.01, 100.0)
    assert len(row["buckets"]) == 3 and row["runner"].startswith("tensorrt 11.0")
    best = max(row["buckets"], key=lambda found: float(found["device_tokens_per_s"]))
    assert row["device_tokens_per_s"] == best["device_tokens_per_s"]
    tflops = best["device_tokens_per_s"] * 1e6 * best["tokens"] / 1e12
    assert row["matrix_share"] == pytest.approx(tflops / 100)
    assert gpu.violations == []
    assert "matrix_share" not in check.speeds(make(FakeGpu()), subject, 0.01, None)

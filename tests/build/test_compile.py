import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from hanjaserve.build import compile as compiling
from hanjaserve.build import plan_process
from hanjaserve.build.commands import EXIT_USAGE, run_build
from hanjaserve.build.compile import choose_flavour, compile_plan, spec_for
from hanjaserve.build.engine_commands import add_compile
from hanjaserve.cli.main import main
from hanjaserve.server.bundle import Bundle
from hanjaserve.server.errors import BuildError, BundleError, ConfigError
from hanjaserve.server.runners.buckets import BucketTable
from hanjaserve.server.runners.driver import Device
from hanjaserve.server.runners.flavours import Flavour
from hanjaserve.server.runners.plans import PlanCache, PlanSpec, make_spec

pytest.importorskip("tensorrt_rtx")

RTX = Flavour(name="tensorrt-rtx", version="1.7", api=None)
DATA_CENTRE = Flavour(name="tensorrt", version="11.4", api=None)
TABLE = BucketTable(lengths=(16,), max_batch_tokens=16)


class OneGpu:
    """As much of a `Cuda` as telling the device needs."""

    closed = False

    @contextmanager
    def current(self) -> Iterator[None]:
        yield

    def device(self) -> Device:
        return Device(name="NVIDIA L4", compute="8.9", memory_bytes=24 << 30, free_bytes=23 << 30)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def bundle(small_bundle: Path) -> Bundle:
    return Bundle.open(small_bundle)


@pytest.fixture
def spec(bundle: Bundle) -> PlanSpec:
    return make_spec(bundle, RTX, TABLE)


@pytest.fixture
def cache(tmp_path: Path) -> PlanCache:
    return PlanCache(root=tmp_path / "plans")


def child(code: str) -> list[str]:
    """A build process that does something else; `request` is what it was asked for."""
    head = "import json, os, sys; request = json.load(open(sys.argv[1]))\n"
    return [sys.executable, "-c", head + code]


BUILDS = child("open(request['plan'], 'wb').write(b'a plan')")


def test_built_once_and_then_found(bundle: Bundle, spec: PlanSpec, cache: PlanCache) -> None:
    first = compile_plan(bundle, spec, cache, report=print, process=BUILDS)
    assert first.built and cache.load(spec) == b"a plan"
    second = compile_plan(bundle, spec, cache, report=print, process=child("sys.exit(9)"))
    assert not second.built and second.path == first.path
    assert not list(cache.root.glob(".build-*"))


def test_damaged_plan_is_built_again(bundle: Bundle, spec: PlanSpec, cache: PlanCache) -> None:
    cache.save(spec, b"a plan").write_bytes(b"rubbish")
    assert compile_plan(bundle, spec, cache, report=print, process=BUILDS).built
    assert cache.load(spec) == b"a plan"


def test_progress_is_passed_on_and_other_output_ignored(
    bundle: Bundle, spec: PlanSpec, cache: PlanCache
) -> None:
    said: list[str] = []
    code = (
        "print('[TRT] chatter'); print('7'); print(json.dumps({'phase': 'Timing', 'done': 2, 'steps': 6}))\n"
    )
    process = child(code + "open(request['plan'], 'wb').write(b'a plan')")
    compile_plan(bundle, spec, cache, report=said.append, process=process)
    assert said == ["Timing (2 of 6)"]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("print(json.dumps({'error': 'too little GPU memory'})); sys.exit(1)", "^too little GPU memory$"),
        ("os.kill(os.getpid(), 11)", "died of SIGSEGV"),
        ("os.kill(os.getpid(), 9)", "was killed, probably for want of memory"),
        ("sys.exit(3)", "ended with exit code 3"),
    ],
)
def test_failed_build_publishes_nothing(
    bundle: Bundle, spec: PlanSpec, cache: PlanCache, code: str, message: str
) -> None:
    with pytest.raises(BuildError, match=message):
        compile_plan(bundle, spec, cache, report=print, process=child(code))
    assert [path.suffix for path in cache.root.iterdir()] == [".lock"]


def test_interrupted_build_takes_its_process_along(bundle: Bundle, spec: PlanSpec, cache: PlanCache) -> None:
    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    code = "print(json.dumps({'phase': 'p', 'done': 0, 'steps': 1}), flush=True)\nimport time; time.sleep(60)"
    with pytest.raises(KeyboardInterrupt):
        compile_plan(bundle, spec, cache, report=interrupt, process=child(code))
    assert not cache.path(spec).exists()


def test_data_centre_plan_is_for_this_gpu(bundle: Bundle) -> None:
    gpu = OneGpu()
    made = spec_for(bundle, DATA_CENTRE, TABLE, open_driver=lambda: gpu)  # type: ignore[arg-type, return-value]
    assert (made.device, made.compute, made.flags) == ("NVIDIA L4", "8.9", ())
    assert gpu.closed
    with pytest.raises(ConfigError, match="always for this machine's GPU"):
        spec_for(bundle, DATA_CENTRE, TABLE, target="8.9")


def test_without_a_gpu_only_rtx_compiles(bundle: Bundle) -> None:
    made = spec_for(bundle, RTX, TABLE, target="8.9")
    assert (made.device, made.compute, made.flags) == ("any", "8.9", ("REQUIRE_USER_ALLOCATION",))

    def none() -> Any:
        raise ConfigError("no NVIDIA driver")

    with pytest.raises(ConfigError, match="no NVIDIA driver"):
        spec_for(bundle, DATA_CENTRE, TABLE, open_driver=none)


def test_flavour_is_the_one_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_flavour("tensorrt-rtx").name == "tensorrt-rtx"
    monkeypatch.setattr(compiling, "installed_flavours", lambda: ("tensorrt-rtx",))
    assert choose_flavour().name == "tensorrt-rtx"
    monkeypatch.setattr(compiling, "installed_flavours", lambda: ())
    with pytest.raises(ConfigError, match="no TensorRT is installed"):
        choose_flavour()


def test_real_process_says_why_it_failed(
    bundle: Bundle, cache: PlanCache, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rtx = choose_flavour("tensorrt-rtx")
    request = {
        "onnx": str(bundle.path("labels.txt")),
        "plan": str(tmp_path / "plan"),
        "timing": str(tmp_path / "timing"),
        "spec": asdict(make_spec(bundle, rtx, TABLE)),
    }
    (tmp_path / "request.json").write_text(json.dumps(request), "utf-8")
    assert plan_process.main([str(tmp_path / "request.json")]) == plan_process.FAILED
    assert "can't parse the graph" in json.loads(capsys.readouterr().out.splitlines()[-1])["error"]
    assert not (tmp_path / "plan").exists()


def test_command_builds_a_real_plan(
    small_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--bundle", str(small_bundle), "--cache", str(tmp_path), "--flavour", "tensorrt-rtx"]
    options += ["--buckets", "64", "--max-batch-tokens", "512", "--lanes", "1", "--target", "8.9"]
    assert main(["build", "compile", *options]) == 0
    assert "built" in capsys.readouterr().out
    assert main(["build", "compile", *options]) == 0
    assert "already there" in capsys.readouterr().out
    assert {path.suffix for path in tmp_path.iterdir()} == {".lock", ".plan", ".timing"}


def test_command_without_its_package(
    small_bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import argparse

    parser = argparse.ArgumentParser()
    add_compile(parser)
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    namespace = parser.parse_args(["--bundle", str(small_bundle), "--flavour", "tensorrt"])
    namespace.build_command = "compile"
    assert run_build(namespace) == EXIT_USAGE
    assert "hanjaserve build: tensorrt is not installed: pip install" in capsys.readouterr().err


def test_bundle_without_fp16_is_refused(tiny_bundle: Path) -> None:
    with pytest.raises(BundleError, match=r"model.fp16.onnx"):
        spec_for(Bundle.open(tiny_bundle), RTX, TABLE)

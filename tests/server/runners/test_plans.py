import multiprocessing
import os
import time
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from hanjaserve.server.bundle import Bundle
from hanjaserve.server.errors import BundleError
from hanjaserve.server.runners.buckets import BucketTable
from hanjaserve.server.runners.flavours import Flavour
from hanjaserve.server.runners.plans import MAGIC, PlanCache, PlanSpec, default_cache_root, make_spec

SPEC = PlanSpec(
    onnx_sha256="ab" * 32, flavour="tensorrt", version="10.12.0", device="NVIDIA L4", compute="8.9",
    lengths=(32, 64), max_batch_tokens=8192, lanes=2, flags=(),
)  # fmt: skip
OTHER: dict[str, Any] = {
    "onnx_sha256": "cd" * 32, "flavour": "tensorrt-rtx", "version": "10.13.0", "device": "NVIDIA L40S",
    "compute": "9.0", "precision": "fp32", "lengths": (32, 128), "max_batch_tokens": 4096, "lanes": 3,
    "flags": ("REFIT",),
}  # fmt: skip


@pytest.fixture
def cache(tmp_path: Path) -> PlanCache:
    return PlanCache(root=tmp_path / "plans")


def test_everything_in_the_spec_is_in_the_key() -> None:
    assert OTHER.keys() == {field.name for field in fields(PlanSpec)}
    keys = {replace(SPEC, **{name: value}).key for name, value in OTHER.items()}
    assert len(keys | {SPEC.key}) == len(OTHER) + 1
    assert replace(SPEC).key == SPEC.key


def test_plan_comes_back(cache: PlanCache) -> None:
    assert cache.save(SPEC, b"plan\nwith lines") == cache.path(SPEC)
    assert cache.load(SPEC) == b"plan\nwith lines"
    assert [path.name for path in cache.root.iterdir()] == [f"{SPEC.key}.plan"]
    cache.discard(SPEC)
    cache.discard(SPEC)
    with pytest.raises(BundleError, match=r"no plan for tensorrt 10.12.0 in .*hanjaserve build compile"):
        cache.load(SPEC)


@pytest.mark.parametrize("name", OTHER)
def test_foreign_plan_is_told_by_its_first_difference(cache: PlanCache, name: str) -> None:
    other = replace(SPEC, **{name: OTHER[name]})
    cache.save(other, b"plan")
    cache.path(other).rename(cache.path(SPEC))
    with pytest.raises(BundleError, match=f"foreign plan, its {name} is .* instead of "):
        cache.load(SPEC)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[:-1], "damaged, its sha256"),
        (lambda content: content + b"x", "damaged, its sha256"),
        (lambda content: content.removeprefix(MAGIC), "damaged"),
        (lambda content: content[: len(MAGIC) + 20], "no plan file"),
        (lambda content: b"", "no plan file"),
        (lambda content: MAGIC + b"[]\n", "no plan file"),
    ],
)
def test_damaged_plan(cache: PlanCache, damage: Any, message: str) -> None:
    path = cache.save(SPEC, b"a plan")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(BundleError, match=message):
        cache.load(SPEC)


def test_plan_that_cannot_be_read(cache: PlanCache) -> None:
    cache.path(SPEC).mkdir(parents=True)
    with pytest.raises(BundleError, match="can't be read"):
        cache.load(SPEC)


def test_failed_write_leaves_nothing_behind(cache: PlanCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        cache.save(SPEC, b"plan")
    assert list(cache.root.iterdir()) == []


def _hold(root: Path, ready: Any, seconds: float) -> None:
    with PlanCache(root=root).lock(SPEC):
        ready.set()
        time.sleep(seconds)


@pytest.mark.parametrize("killed", [False, True])
def test_lock_is_held_until_its_process_ends(cache: PlanCache, killed: bool) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=_hold, args=(cache.root, ready, 60 if killed else 0.3))
    holder.start()
    assert ready.wait(30)
    started = time.monotonic()
    if killed:
        holder.kill()
    with cache.lock(SPEC):
        waited = time.monotonic() - started
    holder.join()
    assert waited < 30 if killed else 0.1 < waited < 30


def test_timing_caches_are_shared_by_what_they_depend_on(cache: PlanCache) -> None:
    mine = cache.timing_path(SPEC)
    assert mine == cache.timing_path(replace(SPEC, lengths=(8,), onnx_sha256="", lanes=1))
    others = {
        cache.timing_path(replace(SPEC, **{n: OTHER[n]})) for n in ("version", "device", "compute", "flavour")
    }
    assert len(others | {mine}) == 5


def test_spec_of_a_bundle(tiny_bundle: Path) -> None:
    flavour = Flavour(name="tensorrt-rtx", version="1.7", api=None)
    with pytest.raises(BundleError, match=r"model.fp16.onnx"):
        make_spec(Bundle.open(tiny_bundle), flavour, BucketTable(lengths=(64,)))


def test_cache_is_where_the_environment_says() -> None:
    assert default_cache_root({"XDG_CACHE_HOME": "/c"}) == Path("/c/hanjaserve/plans")
    assert default_cache_root({}).parts[-3:] == (".cache", "hanjaserve", "plans")

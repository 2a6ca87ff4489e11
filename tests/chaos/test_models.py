"""Another model under load: no failure, each answer from exactly one revision; a bad one changes nothing."""

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from hanjaserve.server.bundle import Manifest, write_manifest
from hanjaserve.v1 import hanjaserve_pb2 as pb

from .conftest import CONVERTED, LONG, Load, Patient, until

RELOADS = 50 if LONG else 2
OTHER = CONVERTED.replace("都", "度")


@pytest.fixture
def bundles(tiny_bundle: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Two bundles that answer differently, in folders of their own."""
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        shutil.copytree(tiny_bundle, folder)
    for name in ("labels.txt", "reference.json"):
        path = other / name
        path.write_text(path.read_text(encoding="utf-8").replace("都", "度"), encoding="utf-8")
    manifest = json.loads((other / "manifest.json").read_text(encoding="utf-8"))
    kept = Manifest.__dataclass_fields__.keys() - {"schema", "revision", "files"}
    write_manifest(other, **{name: manifest[name] for name in kept})
    return one, other


def point(link: Path, target: Path) -> None:
    draft = link.with_suffix(".new")
    draft.symlink_to(target)
    draft.replace(link)


def revision(server: Patient) -> str:
    return str(server.stub.GetServerInfo(pb.GetServerInfoRequest()).model_revision)


def reload(server: Patient, link: Path, target: Path) -> None:
    """Swap, and wait until it has happened."""
    before = server.metrics().get("hanjaserve_reloads_total ok", 0)
    point(link, target)
    server.signal(signal.SIGHUP)
    until(lambda: server.metrics().get("hanjaserve_reloads_total ok", 0) == before + 1)


def test_reload_under_load(
    bundles: tuple[Path, Path], tmp_path: Path, record: Callable[..., None]
) -> None:
    link = tmp_path / "current"
    point(link, bundles[0])
    with Patient(link, tmp_path) as server, Load(server) as load:
        first, before = revision(server), server.rss()
        server.falls_ill("all slow 0.05")  # so that a queue waits whenever they are swapped
        for number in range(1, RELOADS + 1):
            reload(server, link, bundles[number % 2])
            assert (revision(server) == first) is (number % 2 == 0)
            # What begins after the swap is answered by the new one.
            assert server.convert() == (OTHER if number % 2 else CONVERTED)
            load.more()
        assert load.errors == []
        assert set(load.answers) == {CONVERTED, OTHER}
        until(lambda: sum('"retired"' in line for line in server.log) == RELOADS)
        record(reloads=RELOADS, answers=len(load.answers), rss_before=before, rss_after=server.rss())


def test_stream_goes_on_with_the_new_model(bundles: tuple[Path, Path], tmp_path: Path) -> None:
    import queue

    link = tmp_path / "current"
    point(link, bundles[0])
    waiting: queue.SimpleQueue[pb.StreamConvertRequest | None] = queue.SimpleQueue()
    item = pb.StreamItem(text="수도")
    message = pb.StreamConvertRequest(items=pb.StreamItems(items=[item]))
    with Patient(link, tmp_path) as server:
        responses = server.stub.StreamConvert(iter(waiting.get, None))
        waiting.put(message)
        assert next(responses).results[0].conversion.text == "首都"
        reload(server, link, bundles[1])
        waiting.put(message)
        assert next(responses).results[0].conversion.text == "首度"
        waiting.put(None)


@pytest.mark.parametrize("damage", ["missing", "truncated", "swapped", "wrong answers", "no folder"])
def test_bad_bundle_at_reload_changes_nothing(
    bundles: tuple[Path, Path], tmp_path: Path, damage: str
) -> None:
    link = tmp_path / "current"
    point(link, bundles[0])
    spoil(bundles, damage)
    with Patient(link, tmp_path) as server, Load(server) as load:
        before = revision(server)
        point(link, bundles[1])
        server.signal(signal.SIGHUP)
        until(lambda: server.metrics().get("hanjaserve_reloads_total failed", 0) == 1)
        load.more()
        assert load.errors == []
        assert set(load.answers) == {CONVERTED}
        assert revision(server) == before
    assert any("the old model goes on" in line for line in server.log)


def spoil(bundles: tuple[Path, Path], damage: str) -> None:
    good, victim = bundles
    model = victim / "model.fp32.onnx"
    match damage:
        case "missing":
            model.unlink()
        case "truncated":
            model.write_bytes(model.read_bytes()[:-1])
        case "swapped":
            shutil.copy(good / "labels.txt", victim / "labels.txt")
        case "no folder":
            shutil.rmtree(victim)
        case "wrong answers":
            # Whole, but not what it says: only the self-test can tell.
            shutil.copy(good / "labels.txt", victim / "labels.txt")
            manifest = json.loads((victim / "manifest.json").read_text(encoding="utf-8"))
            kept = Manifest.__dataclass_fields__.keys() - {"schema", "revision", "files"}
            write_manifest(victim, **{name: manifest[name] for name in kept})

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from word_checkpoint import save_small  # type: ignore[import-not-found]

from hanjaserve.build.checkpoint import Checkpoint, load_checkpoint
from hanjaserve.build.engine_graph import build_graph
from hanjaserve.build.export import export_fp32
from hanjaserve.build.publish import BundlePlan, publish
from hanjaserve.build.reference import REFERENCE_SENTENCES


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def small_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = save_small(tmp_path_factory.mktemp("checkpoints") / "small", REFERENCE_SENTENCES)
    return folder


@pytest.fixture(scope="session")
def small(small_folder: Path) -> Checkpoint:
    return load_checkpoint(str(small_folder))


@pytest.fixture(scope="session")
def small_onnx(small: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("onnx") / "model.fp32.onnx"
    export_fp32(build_graph(small), small.max_tokens, target)
    return target


@pytest.fixture(scope="session")
def small_bundle(small: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("bundles") / "small"
    publish(BundlePlan(checkpoint=small, target=target, name="small", cpu_runtime="openvino"))
    return target

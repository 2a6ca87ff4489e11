"""A bundle without training: a table look-up with one rule of context, as a real ONNX graph.

수도 after "상" is 水道, else 首都: enough for tests to see that neighbours and padding are handled.
"""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from hanjaserve.server.bundle import write_manifest
from hanjaserve.server.shapes import TOP_K

WORDS = {
    "대한민국": "大韓民國", "수도": "首都", "의사": "醫師", "학교": "學校", "정부": "政府", "시간": "時間",
    "전화": "電話", "음악": "音樂", "과학": "科學", "문화": "文化", "경제": "經濟", "사회": "社會",
}  # fmt: skip
AFTER_SANG = {"수": "水", "도": "道"}
SENTENCES = ("대한민국의 수도는 서울이다", "상수도 요금", "의사가 학교에서 음악을 듣는다", "")


def _tables() -> tuple[list[str], np.ndarray, np.ndarray]:
    pairs = {h: j for word, hanja in WORDS.items() for h, j in zip(word, hanja, strict=True)}
    labels = ["", *sorted({*pairs.values(), *AFTER_SANG.values()})]
    plain = np.full((0x10000, TOP_K), 0, np.int32)
    plain[:, 0] = 65535
    for syllable, hanja in pairs.items():
        plain[ord(syllable)] = [(labels.index(hanja) << 16) | 60000, 5535, 0, 0]
    sang = plain.copy()
    for syllable, hanja in AFTER_SANG.items():
        # The other spelling is the second choice, so that there are alternatives.
        other = labels.index(pairs[syllable])
        sang[ord(syllable)] = [(labels.index(hanja) << 16) | 50000, (other << 16) | 10000, 5535, 0]
    return labels, plain, sang


def _graph(plain: np.ndarray, sang: np.ndarray) -> onnx.ModelProto:
    def const(name: str, value: np.ndarray) -> onnx.TensorProto:
        return numpy_helper.from_array(value, name)

    # The two tokens before each one: shift right by one and by two.
    nodes = [
        helper.make_node("Pad", ["tokens", "pads"], ["padded"]),
        helper.make_node("Slice", ["padded", "one", "minus1", "axis"], ["before"]),
        helper.make_node("Slice", ["padded", "zero", "minus2", "axis"], ["before2"]),
        helper.make_node("Equal", ["before", "sang_cp"], ["is1"]),
        helper.make_node("Equal", ["before2", "sang_cp"], ["is2"]),
        helper.make_node("Or", ["is1", "is2"], ["near"]),
        helper.make_node("Unsqueeze", ["near", "last"], ["mask"]),
        helper.make_node("Gather", ["plain", "tokens"], ["a"]),
        helper.make_node("Gather", ["sang", "tokens"], ["b"]),
        helper.make_node("Where", ["mask", "b", "a"], ["candidates"]),
    ]
    ints = lambda *v: np.array(v, np.int64)  # noqa: E731
    constants = [
        const("pads", ints(0, 2, 0, 0)), const("one", ints(1)), const("zero", ints(0)),
        const("minus1", ints(-1)), const("minus2", ints(-2)), const("axis", ints(1)),
        const("last", ints(2)), const("sang_cp", np.array(ord("상"), np.int32)),
        const("plain", plain), const("sang", sang),
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes, "tiny",
        [helper.make_tensor_value_info("tokens", TensorProto.INT32, ["batch", "tokens"])],
        [helper.make_tensor_value_info("candidates", TensorProto.INT32, ["batch", "tokens", 4])],
        constants,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def make_tiny_bundle(folder: Path, max_tokens: int = 64) -> Path:
    """Writes the bundle and returns its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    labels, plain, sang = _tables()
    model = _graph(plain, sang)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, folder / "model.fp32.onnx")
    (folder / "labels.txt").write_text("\n".join(labels) + "\n", encoding="utf-8")
    readings: dict[str, str] = {}
    for word, hanja in [*WORDS.items(), ("수도", "水道")]:
        for h, j in zip(word, hanja, strict=True):
            readings[h] = readings.get(h, "") + ("" if j in readings.get(h, "") else j)
    lines = "".join(f"{h}\t{j}\n" for h, j in sorted(readings.items()))
    (folder / "readings.tsv").write_text(lines, encoding="utf-8")
    words = sorted({*WORDS.values(), "水道"})
    (folder / "words.txt").write_text("".join(f"{word}\n" for word in words), encoding="utf-8")
    stored = [{"text": text, "converted": convert(text)} for text in SENTENCES]
    (folder / "reference.json").write_text(json.dumps(stored, ensure_ascii=False), encoding="utf-8")
    write_manifest(
        folder, name="tiny", scheme="syllable", reading_mask=True, top_k=TOP_K, max_tokens=max_tokens,
        context_tokens=8, pad_id=0, styles={"modern": 1, "scripture": 2}, cpu_runtime="onnxruntime",
        metrics={}, provenance={},
    )  # fmt: skip
    return folder


def convert(text: str) -> str:
    """The oracle: what the tiny bundle must answer, in plain Python."""
    pairs = {h: j for word, hanja in WORDS.items() for h, j in zip(word, hanja, strict=True)}
    out = []
    for at, char in enumerate(text):
        table = {**pairs, **AFTER_SANG} if "상" in text[max(0, at - 2) : at] else pairs
        out.append(table.get(char, char))
    return "".join(out)

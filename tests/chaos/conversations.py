"""Honest calls, from which dishonest ones are bred: chance alone finds no conversation of several turns."""

from typing import Any

from hanjaserve.kserve import inference_pb2 as kserve
from hanjaserve.v1 import hanjaserve_pb2 as pb

from .breeding import Input

MODEL = "tiny"
TEXT = "대한민국의 수도는 서울이다. 의사가 학교에서 음악을 듣는다."


def honest(method: str) -> list[Input]:
    """Conversations that a method of that name answers with OK; none for methods that need no skill."""
    match method:
        case "Convert":
            options = pb.ConvertOptions(with_spans=True, max_alternatives=3, rendering=4, read_hanja=True)
            return [_one(pb.ConvertRequest(text=TEXT, options=options))]
        case "StreamConvert":
            items = pb.StreamItems(items=[pb.StreamItem(id=number, text=TEXT) for number in range(3)])
            config = pb.StreamConvertRequest(config=pb.StreamConfig(options=pb.ConvertOptions()))
            return [_one(config, *[pb.StreamConvertRequest(items=items)] * 2)]
        case "LiveConvert":
            return [_editing(), [*_editing()[:3], pb.LiveRequest(flush={}).SerializeToString()]]
        case "PutGlossary" | "GetGlossary" | "DeleteGlossary":
            words = pb.Glossary(entries=[pb.GlossaryEntry(hangul="김영희", hanja="金英姬")])
            put = pb.PutGlossaryRequest(id="names", glossary=words)
            asked = {"GetGlossary": pb.GetGlossaryRequest, "DeleteGlossary": pb.DeleteGlossaryRequest}
            return [_one(asked[method](id="names") if method in asked else put)]
        case "ModelInfer" | "ModelStreamInfer":
            return [[tensor(TEXT)] * (3 if method == "ModelStreamInfer" else 1)]
        case "ModelReady" | "ModelMetadata" | "ModelConfig" | "ModelStatistics":
            return [_one(kserve.ModelReadyRequest(name=MODEL))]  # all of them have the same two fields
    return []


def _one(*messages: Any) -> Input:
    return [message.SerializeToString() for message in messages]


def _editing() -> Input:
    edit = pb.LiveEdit(revision=2, splices=[pb.Splice(start=2, end=4, text="학교")])
    turns = [
        pb.LiveRequest(config=pb.LiveConfig()),
        pb.LiveRequest(replace=pb.LiveReplace(revision=1, text=TEXT)),
        pb.LiveRequest(edit=edit),
        pb.LiveRequest(ping=pb.LivePing(nonce=7)),
        pb.LiveRequest(commit=pb.LiveCommit(revision=3)),
    ]
    return [turn.SerializeToString() for turn in turns]


def tensor(text: str) -> bytes:
    """A text as KServe wants it."""
    content = kserve.ModelInferRequest.InferInputTensor(
        name="TEXT", datatype="BYTES", shape=[1, 1],
        contents=kserve.InferTensorContents(bytes_contents=[text.encode()]),
    )  # fmt: skip
    return kserve.ModelInferRequest(model_name=MODEL, id="7", inputs=[content]).SerializeToString()

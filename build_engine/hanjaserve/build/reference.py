"""What a converted text must be: the PyTorch checkpoint's answer, and a bundle's sentences.

What: `TorchReference` runs the checkpoint as transformers would, without the engine graph, so
that an error in the graph cannot hide in both sides of a comparison. The sentences are this
project's own.
Not: fast. It exists to be compared with.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hanjaserve.build.checkpoint import Checkpoint
from hanjaserve.build.engine_graph import MASKED, token_surfaces, word_candidates
from hanjaserve.build.readings import ReadingTable
from hanjaserve.server.shapes import TOP_K, Int32

REFERENCE_SENTENCES: tuple[str, ...] = (
    "대한민국의 수도는 서울이다.",
    "어젯밤부터 수도가 얼어서 물이 나오지 않는다.",
    "회의는 오전 열 시에 본관 이층 회의실에서 시작합니다.",
    "정부는 내년 예산을 국회에 제출하였다.",
    "이 약은 식후 삼십 분에 복용하십시오.",
    "의사는 환자의 상태를 자세히 설명했다.",
    "그는 참석할 의사가 없다고 분명히 밝혔다.",
    "경제 성장률이 예상보다 낮아 금리를 내리기로 결정했다.",
    "도서관에서 한국 역사에 관한 책을 세 권 빌렸다.",
    "지하철 공사로 인해 도로가 매우 혼잡합니다.",
    "학생들은 시험을 앞두고 밤늦게까지 공부한다.",
    "새로 산 전화기의 화면이 갑자기 꺼졌어요.",
    "판결에 불복하는 당사자는 상급 법원에 항소할 수 있다.",
    "바다와 하늘이 맞닿은 곳에 작은 배 한 척이 떠 있었다.",
    "인공지능 기술은 산업 구조를 빠르게 변화시키고 있다.",
    "여성 노동자의 권리를 보호하기 위한 법률이 개정되었다.",
    "비밀번호를 변경하려면 설정 화면에서 확인을 누르세요.",
    "할머니께서 끓여 주신 된장찌개가 제일 맛있다!",
    "2024년 12월 31일까지 신청서를 접수합니다.",
    "환경 오염을 방지하기 위하여 모두가 노력해야 한다.",
    "그 영화는 배우들의 연기가 훌륭했지만 결말이 아쉬웠다.",
    "주식 시장이 불안정하여 투자자들이 신중한 태도를 보인다.",
    "음악을 들으며 공원을 산책하는 것이 나의 취미이다.",
    "Wi-Fi 연결이 끊어지면 관리자에게 문의해 주세요 (내선 번호 119).",
)
"""Stored in every bundle with the checkpoint's answers; a runner must give the same to go live."""


class Answer(NamedTuple):
    """What the checkpoint says about a batch.

    Attributes:
        candidates: int32 [batch, tokens, k], packed as an engine packs them.
        margins: float32 [batch, tokens], probability of the best label minus that of the second.
    """

    candidates: Int32
    margins: npt.NDArray[np.float32]


class TorchReference:
    """The checkpoint in PyTorch, with the reading mask of the bundle.

    Args:
        checkpoint: either scheme.
        readings: the table of a word-scheme bundle whose reading mask is on, else None.
    """

    def __init__(self, checkpoint: Checkpoint, readings: ReadingTable | None = None) -> None:
        self._model: Any = checkpoint.model
        self._pad_id = checkpoint.pad_id
        self._syllable = checkpoint.scheme == "syllable"
        self._allowed: Tensor | None = None
        if readings is not None and not self._syllable:
            table = word_candidates(token_surfaces(checkpoint), checkpoint.labels, readings)
            self._allowed = table.long()

    def run(self, tokens: Int32) -> Answer:
        """Int32 [batch, tokens] -> candidates and margins."""
        with torch.inference_mode():
            logits, labels = self._scores(torch.from_numpy(tokens).long())
            best, slots = torch.softmax(logits.float(), dim=-1).topk(TOP_K, dim=-1)
            chosen = slots if labels is None else torch.gather(labels, -1, slots)
        scores = np.round(best.numpy() * np.float32(65535)).astype(np.int32)
        packed = np.where(scores > 0, chosen.numpy().astype(np.int32) << 16 | scores, 0)
        return Answer(packed.astype(np.int32), (best[..., 0] - best[..., 1]).numpy())

    def _scores(self, tokens: Tensor) -> tuple[Tensor, Tensor | None]:
        if self._syllable:
            logits, labels = self._model.candidate_logits(tokens)
            return logits, labels.long()
        mask = (tokens != self._pad_id).long()
        every: Tensor = self._model(input_ids=tokens, attention_mask=mask).logits
        if self._allowed is None:
            return every, None
        allowed = self._allowed[tokens]
        empty = (allowed == 0) & (torch.arange(allowed.shape[-1]) > 0)
        return torch.gather(every, -1, allowed).masked_fill(empty, MASKED), allowed

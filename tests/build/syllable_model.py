"""Tables of a few words, and an untrained model of them, far from ties and dependent on context."""

import numpy as np
import torch

from hanjaserve.build.data.tables import Tables
from hanjaserve.build.model import HanjaTokenClassifier
from hanjaserve.build.model.assemble import assemble
from hanjaserve.build.reference import REFERENCE_SENTENCES

READINGS = {
    "수": "首水數",
    "도": "都道圖",
    "의": "意醫議",
    "사": "思師事",
    "회": "會",
    "법": "法",
    "원": "院",
}
WORDS = {"수도": ["首都", "水道"], "의사": ["醫師", "意思"], "회의": ["會議"], "법원": ["法院"]}


def tiny_tables() -> Tables:
    """Seven readings and four words."""
    characters = sorted({char for sentence in REFERENCE_SENTENCES for char in sentence})
    char_id = np.zeros(0x10000, np.int32)
    char_id[[ord(char) for char in characters]] = np.arange(1, len(characters) + 1)
    return Tables(
        labels=["", *dict.fromkeys("".join(READINGS.values()))],
        slots={s: {h: n for n, h in enumerate(found, 1)} for s, found in READINGS.items()},
        spellings=WORDS,
        char_id=char_id,
        char_vocab_size=len(characters) + 1,
    )


def tiny_model(tables: Tables) -> HanjaTokenClassifier:
    """A model of two narrow layers with weights large enough to matter."""
    model = assemble(tables, 7, hidden_size=32, num_hidden_layers=2, label_size=16)
    with torch.no_grad():
        for weight in (model.candidates.hanja.weight, model.char.weight, model.query.weight):
            weight.normal_(0.0, 0.7, generator=torch.Generator().manual_seed(3))
        for layer in model.encoder.layers:
            layer.neighbours.weight.normal_(0.0, 0.3, generator=torch.Generator().manual_seed(5))
    return model

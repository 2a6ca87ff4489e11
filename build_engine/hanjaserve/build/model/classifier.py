"""The syllable model: candidates come from readings, evidence from the dictionary and context.

A syllable's label is KEEP or one of the Hanja read so; nothing else gets a score, so a reading can't
be violated. Three things add up to the score of a candidate: its fit to the context (dot product with
the Hanja's embedding), a bias of its own, and a *copy score* from every dictionary word over the
syllable that is spelt with it, gated by the context.
"""

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from hanjaserve.build.model.configuration import HanjaConfig
from hanjaserve.build.model.encoder import Encoder
from hanjaserve.build.model.lexicon import Lexicon

DISALLOWED = -10000.0


class HanjaTokenClassifier(PreTrainedModel):  # type: ignore[misc]
    """Code points in, scores of the candidate labels of every position out."""

    config_class = HanjaConfig
    char_id: Tensor
    reading_id: Tensor
    candidates: Tensor

    def __init__(self, config: HanjaConfig) -> None:
        super().__init__(config)
        c = config
        self.lexicon = Lexicon(
            c.trie_size, c.num_words, c.num_spellings, c.max_word, c.word_candidates
        )
        self.register_buffer("char_id", torch.zeros(0x10000, dtype=torch.int32))
        self.register_buffer("reading_id", torch.zeros(0x10000, dtype=torch.int32))
        # Row 0 is for everything that is no Hangul syllable: KEEP alone. -1 fills up.
        empty = torch.full((c.num_readings, c.num_candidates), -1, dtype=torch.int32)
        self.register_buffer("candidates", empty)
        self.char = nn.Embedding(c.char_vocab_size, c.hidden_size)
        self.hanja = nn.Embedding(c.num_hanja, c.label_size)
        self.hanja_bias = nn.Embedding(c.num_hanja, 1)
        combos = self.lexicon.num_combos
        self.combo = nn.Embedding(combos, c.label_size)
        self.spelling_weight = nn.Parameter(torch.ones(c.word_candidates) / c.word_candidates)
        self.word_in = nn.Linear(c.covering_words * c.label_size, c.hidden_size)
        self.encoder = Encoder(c)
        self.query = nn.Linear(c.hidden_size, c.label_size)
        self.copy_gate = nn.Linear(c.hidden_size, combos + c.word_candidates)
        self.spelling_bias = nn.Embedding(c.num_spellings, 1)
        self.dropout = nn.Dropout(c.dropout)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02 if module.out_features > 30 else 0.002)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            wide = module.embedding_dim > 8
            nn.init.normal_(module.weight, std=0.05 if wide else 0.0)

    def candidate_logits(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of every candidate of every position.

        Args:
            tokens: int [batch, tokens]; code points, 0 = padding, position 0 a style.

        Returns:
            logits float [b, t, c] (slot 0 is KEEP; unused slots hold DISALLOWED) and
            their labels int32 [b, t, c].
        """
        combo, row, label = self.lexicon(tokens, self.config.covering_words)
        known = (label >= 0).to(self.hanja.weight.dtype)
        spelt = self.hanja(label.clamp(min=0)) * (known * self.spelling_weight)[..., None]
        covered = known[..., :1]
        words = spelt.sum(-2) + self.combo(combo) * covered
        hidden = self.char(self.char_id[tokens]) + self.word_in(words.flatten(-2))
        hidden = self.encoder(self.dropout(hidden), tokens != 0)

        slots = self.candidates[self.reading_id[tokens]]
        labels = slots.clamp(min=0)
        fit = (self.hanja(labels) @ self.query(hidden)[..., None]).squeeze(-1)
        logits = fit + self.hanja_bias(labels).squeeze(-1)

        gate = self.copy_gate(hidden)
        combos = self.lexicon.num_combos
        trust = torch.gather(gate[..., :combos], -1, combo)[..., None]
        copy = trust + gate[..., None, combos:] + self.spelling_bias(row).squeeze(-1)
        copy = (copy * known).flatten(-2)
        same = label.flatten(-2)[..., :, None] == slots[..., None, :]
        logits = logits + (copy[..., None, :] @ same.to(copy.dtype)).squeeze(-2)
        logits = logits / self.config.score_temperature
        allowed = (slots >= 0).to(logits.dtype)
        return logits * allowed + (1.0 - allowed) * DISALLOWED, labels

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The same as `candidate_logits`."""
        return self.candidate_logits(tokens)

"""The syllable model: candidates come from readings, evidence from the dictionary and context.

A syllable's label is KEEP or one of the Hanja read so; nothing else gets a score, so a reading can't
be violated. Two things add up to the score of a candidate: its *fit* to the context (dot product with
the Hanja's embedding, plus a bias), and the *copy scores* of the dictionary words over the syllable that
are spelt with it. A copy score knows the fit of the whole word, so that its syllables are chosen
together: 의사 is 醫師 or 義士, hardly ever 義師.
"""

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from hanjaserve.build.model.candidates import Candidates
from hanjaserve.build.model.configuration import HanjaConfig
from hanjaserve.build.model.encoder import Encoder
from hanjaserve.build.model.lexicon import MAX_WORD, SLOTS, Covering, Lexicon, slot_at

DISALLOWED = -10000.0


class HanjaTokenClassifier(PreTrainedModel):  # type: ignore[misc]
    """Code points in, scores of the candidate labels of every position out."""

    config_class = HanjaConfig
    char_id: Tensor
    reading_id: Tensor

    def __init__(self, config: HanjaConfig) -> None:
        super().__init__(config)
        c = config
        self.lexicon = Lexicon(c.trie_size, c.num_spellings, c.covering_words, c.word_candidates)
        self.register_buffer("char_id", torch.zeros(0x10000, dtype=torch.int32))
        self.register_buffer("reading_id", torch.zeros(0x10000, dtype=torch.int32))
        self.candidates = Candidates(c.num_readings, c.num_hanja, c.label_size)
        self.char = nn.Embedding(c.char_vocab_size, c.hidden_size)
        combos = self.lexicon.num_combos
        self.combo = nn.Embedding(combos, c.label_size)
        self.spelling_weight = nn.Parameter(torch.ones(c.word_candidates) / c.word_candidates)
        self.word_in = nn.Linear(c.covering_words * c.label_size, c.hidden_size)
        self.encoder = Encoder(c)
        self.query = nn.Linear(c.hidden_size, c.label_size)
        self.copy_gate = nn.Linear(c.hidden_size, combos + c.word_candidates)
        self.spelling_bias = nn.Embedding(c.num_spellings, 1)
        self.word_fit = nn.Parameter(torch.tensor(0.5))
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
            tokens: int [b, t]; code points, 0 = padding, position 0 a style.

        Returns:
            logits float [b, t, c] (slot 0 is KEEP; unused slots hold DISALLOWED) and
            their labels int32 [b, t, c].
        """
        words = self.lexicon(tokens)
        label, embedding, bias = self.candidates(self.reading_id[tokens])
        # Which slot each spelling puts here: float [b, t, w, r, c].
        slots = torch.arange(SLOTS, dtype=torch.int32, device=tokens.device)
        here = (words.slot_here()[..., None] == slots) & words.known[..., None]
        spelt = here.to(embedding.dtype)

        hidden = self.char(self.char_id[tokens]) + self._word_features(words, spelt, embedding)
        hidden = self.encoder(self.dropout(hidden), tokens != 0)
        fit = (embedding @ self.query(hidden)[..., None]).squeeze(-1) + bias
        copy = self._copy_scores(words, hidden, fit)
        logits = fit + (copy.flatten(-2)[..., None, :] @ spelt.flatten(-3, -2)).squeeze(-2)

        logits = logits / self.config.score_temperature
        allowed = (label >= 0).to(logits.dtype)
        return logits * allowed + (1.0 - allowed) * DISALLOWED, label.clamp(min=0)

    def _word_features(self, words: Covering, spelt: Tensor, embedding: Tensor) -> Tensor:
        """What the dictionary says, before any context: float [b, t, hidden]."""
        mixed = (spelt * self.spelling_weight[:, None]).sum(-2) @ embedding
        covered = words.known[..., :1].to(embedding.dtype)
        features: Tensor = self.word_in((mixed + self.combo(words.combo) * covered).flatten(-2))
        return features

    def _copy_scores(self, words: Covering, hidden: Tensor, fit: Tensor) -> Tensor:
        """How far each spelling of each word is to be believed: float [b, t, w, r]."""
        gate = self.copy_gate(hidden)
        combos = self.lexicon.num_combos
        trust = torch.gather(gate[..., :combos], -1, words.combo)[..., None]
        copy = trust + gate[..., None, combos:] + self.spelling_bias(words.row).squeeze(-1)
        copy = copy + self.word_fit * self._mean_fit(words, fit)
        scores: Tensor = copy * words.known.to(copy.dtype)
        return scores

    def _mean_fit(self, words: Covering, fit: Tensor) -> Tensor:
        """Mean fit of a spelling's Hanja over the syllables of its word: float [b, t, w, r]."""
        flat = fit.flatten(1)
        position = torch.arange(fit.shape[1], dtype=torch.int32, device=fit.device)
        start = position[None, :, None] - words.place
        total = torch.zeros_like(words.spelling, dtype=fit.dtype)
        for place in range(MAX_WORD):
            # An index must be valid where there is no word, too.
            inside = (place < words.length) & words.known[..., 0]
            at = torch.where(inside, start + place, torch.zeros_like(start))
            slot = slot_at(words.spelling, torch.full_like(words.spelling, place))
            index = (at[..., None] * SLOTS + slot).flatten(1).long()
            found = torch.gather(flat, 1, index).view_as(total)
            total = total + found * inside[..., None].to(fit.dtype)
        return total / words.length[..., None].to(fit.dtype)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The same as `candidate_logits`."""
        return self.candidate_logits(tokens)

"""The syllable model: candidates come from readings, evidence from the dictionary and context.

A syllable's label is KEEP or one of the Hanja read so; nothing else gets a score, so a reading can't
be violated. Two things add up to the score of a candidate: its *fit* to the context (dot product with
the Hanja's embedding, plus a bias), and the *copy scores* of the dictionary words over the syllable that
are spelt with it. A copy score belongs to the word, not to the syllable: it comes from the context at
both ends of the word and from the fit of all its Hanja, so that its syllables are chosen together: 의사 is
醫師 or 義士, hardly ever 義師 or 醫사. Where they would be chosen apart all the same, the whole word decides,
if the model is not sure of its syllables (`_as_wholes`).
"""

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from hanjaserve.build.model.candidates import Candidates
from hanjaserve.build.model.characters import Characters
from hanjaserve.build.model.configuration import HanjaConfig
from hanjaserve.build.model.encoder import Encoder, Neighbours
from hanjaserve.build.model.lexicon import MAX_WORD, SLOTS, Covering, Lexicon

DISALLOWED = -10000.0
LEAST, NOT_SPELT = -30.0, -64.0
"""How far a score can be below the best one, and the score of a spelling that a slot has no part in."""
LENGTHS = MAX_WORD - 1
"""A dictionary word has 2 to MAX_WORD syllables."""


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
        self.char = Characters(c.char_vocab_size, c.hidden_size)
        combos = self.lexicon.num_combos
        self.combo = nn.Embedding(combos, c.label_size)
        self.spelling_weight = nn.Parameter(torch.ones(c.word_candidates) / c.word_candidates)
        self.word_in = nn.Linear(c.covering_words * c.label_size, c.hidden_size)
        self.encoder = Encoder(c)
        self.query = nn.Linear(c.hidden_size, c.label_size)
        self.copy_first = nn.Linear(c.hidden_size, LENGTHS + c.word_candidates)
        self.copy_last = nn.Linear(c.hidden_size, LENGTHS)
        self.spelling_bias = nn.Embedding(c.num_spellings, 1)
        # Within a word the fit of the whole counts for more, or its syllables choose apart: 首道, 意師.
        self.word_fit = nn.Parameter(torch.tensor(0.75))
        self.own_fit = nn.Parameter(torch.tensor(0.4))
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
        elif isinstance(module, Characters):
            nn.init.normal_(module.weight, std=0.05)
            nn.init.zeros_(module.finals)
        elif isinstance(module, Neighbours):
            nn.init.zeros_(module.weight)

    def candidate_logits(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of every candidate of every position.

        Args:
            tokens: int [b, t]; code points, 0 = padding, position 0 a style.

        Returns:
            logits float [b, t, c] (slot 0 is KEEP; unused slots hold DISALLOWED) and
            their labels int32 [b, t, c].
        """
        words = self.lexicon(tokens)
        label, embedding = self.candidates(self.reading_id[tokens])
        # Which slot each spelling puts here: float [b, t, w, r, c].
        slots = torch.arange(SLOTS, dtype=torch.int32, device=tokens.device)
        here = (words.slot_here()[..., None] == slots) & words.known[..., None]
        spelt = here.to(embedding.dtype)

        hidden = self.char(self.char_id[tokens]) + self._word_features(words, spelt, embedding)
        hidden = self.encoder(self.dropout(hidden), tokens != 0)
        query = nn.functional.pad(self.query(hidden), (0, 1), value=1.0)
        fit = (embedding @ query[..., None]).squeeze(-1)
        start = _starts(words)
        copy = self._copy_scores(words, hidden, fit, start)
        # Within a word, the whole counts for more than the syllable by itself.
        covered = words.known[..., 0, :1].to(fit.dtype)
        own = fit * (1.0 + covered * (self.own_fit - 1.0))
        logits = own + (copy.flatten(-2)[..., None, :] @ spelt.flatten(-3, -2)).squeeze(-2)

        allowed = (label >= 0).to(logits.dtype)
        logits = logits * allowed + (1.0 - allowed) * DISALLOWED
        if not self.training:  # the loss asks syllables and words by itself
            logits = self._as_wholes(words, spelt, logits, start) / self.config.score_temperature
            logits = logits * allowed + (1.0 - allowed) * DISALLOWED
        return logits, label.clamp(min=0)

    def _word_features(self, words: Covering, spelt: Tensor, embedding: Tensor) -> Tensor:
        """What the dictionary says, before any context: float [b, t, hidden]."""
        mixed = ((spelt * self.spelling_weight[:, None]).sum(-2) @ embedding)[..., :-1]
        covered = words.known[..., :1].to(embedding.dtype)
        features: Tensor = self.word_in((mixed + self.combo(words.combo) * covered).flatten(-2))
        return features

    def _as_wholes(self, words: Covering, spelt: Tensor, logits: Tensor, start: Tensor) -> Tensor:
        """Scores by which the best candidates of a word's syllables make one of its spellings.

        The best score of a syllable becomes 0. A candidate's score is the mean of its own and of its
        neighbours' in the best spelling it has a part in (max-marginals; to stay Hangul as a whole is a
        spelling, too), or its own less `mixture_penalty` if that is more: so only a word of whose syllables
        the model is sure is a mixture of spellings.

        Args:
            words: Dictionary words over each syllable.
            spelt: float [b, t, w, r, c], the slot that each spelling puts here.
            logits: float [b, t, c].
            start: int32 [b, t, w], where the words begin.
        """
        below = (logits - logits.amax(-1, keepdim=True)).clamp(min=LEAST)
        covered = words.known[..., :1].to(below.dtype)
        kept = torch.zeros_like(words.slots[..., :1, :])
        means = self._mean_fit(words, torch.cat([words.slots, kept], dim=-2), below, start)
        keep_here = nn.functional.pad(covered, (0, SLOTS - 1))[..., None, :]
        here = torch.cat([spelt, keep_here], dim=-2)
        wholes = here * means[..., None] + (here - 1.0) * -NOT_SPELT
        best = wholes.flatten(-3, -2).amax(-2)
        return torch.maximum(below - self.config.mixture_penalty * covered[..., 0, :], best)

    def _copy_scores(self, words: Covering, hidden: Tensor, fit: Tensor, start: Tensor) -> Tensor:
        """How far each spelling of each word is to be believed: float [b, t, w, r].

        The same at every syllable of a word.
        """
        there = words.known[..., 0].to(torch.int32)
        size = words.length - 2
        first, rank = self.copy_first(hidden).split([LENGTHS, words.row.shape[-1]], dim=-1)
        last = self.copy_last(hidden)
        end = start + (words.length - 1) * there
        trust = _at(first, start, size) + _at(last, end, size)
        ranks = torch.arange(words.row.shape[-1], dtype=torch.int32, device=fit.device)
        copy = trust[..., None] + _at(rank, start[..., None].expand_as(words.row), ranks)
        copy = copy + self.spelling_bias(words.row).squeeze(-1)
        copy = copy + self.word_fit * self._mean_fit(words, words.slots, fit - fit[..., :1], start)
        scores: Tensor = copy * words.known.to(copy.dtype)
        return scores

    def _mean_fit(self, words: Covering, slots: Tensor, fit: Tensor, start: Tensor) -> Tensor:
        """Mean fit of spellings' slots, int32 [b, t, w, r, n], over their words: float [b, t, w, r]."""
        nth = torch.arange(MAX_WORD, dtype=torch.int32, device=fit.device)
        inside = (nth < words.length[..., None]) & words.known[..., :1]
        at = torch.where(inside, start[..., None] + nth, torch.zeros_like(start)[..., None])
        found = _at(fit, at[..., None, :].expand_as(slots), slots)
        total = (found * inside[..., None, :].to(fit.dtype)).sum(-1)
        return total / words.length[..., None].to(fit.dtype)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The same as `candidate_logits`."""
        return self.candidate_logits(tokens)


def _starts(words: Covering) -> Tensor:
    """Where each word begins: int32 [b, t, w]; the syllable itself where there is no word, a valid index."""
    position = torch.arange(words.place.shape[1], dtype=torch.int32, device=words.place.device)
    return position[None, :, None] - words.place * words.known[..., 0].to(torch.int32)


def _at(values: Tensor, position: Tensor, column: Tensor) -> Tensor:
    """values[b, position, column] of values float [b, t, columns], at the shape of `position`."""
    index = position * values.shape[-1] + column
    return torch.gather(values.flatten(1), 1, index.flatten(1).long()).view(index.shape)

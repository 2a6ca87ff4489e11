"""A pre-norm Transformer encoder with relative position bias (Raffel et al. 2020, section 2.1).

Relative positions let a window be longer than any training text; the attention is written out
(no fused kernel) because that is what exports to the plainest graph.
"""

import torch
from torch import Tensor, nn

from hanjaserve.build.model.configuration import HanjaConfig

MASKED = -10000.0  # a constant that FP16 can hold


class Layer(nn.Module):
    """Self-attention and feed-forward, each behind a LayerNorm and a residual."""

    def __init__(self, config: HanjaConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads = config.num_attention_heads
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.feed_norm = nn.LayerNorm(width)
        self.feed_in = nn.Linear(width, config.intermediate_size)
        self.feed_out = nn.Linear(config.intermediate_size, width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        """Hidden float [b, t, d], bias float [b, h, t, t] -> float [b, t, d]."""
        batch, length, width = hidden.shape
        size = width // self.heads
        qkv = self.query_key_value(self.attention_norm(hidden))
        qkv = qkv.view(batch, length, 3, self.heads, size).permute(2, 0, 3, 1, 4)
        query, key, value = qkv[0], qkv[1], qkv[2]
        if torch.compiler.is_exporting() or not self.training:
            scores = query @ key.transpose(-1, -2) * size**-0.5 + bias
            mixed = torch.softmax(scores, dim=-1) @ value
        else:
            mixed = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        mixed = mixed.transpose(1, 2).reshape(batch, length, width)
        hidden = hidden + self.dropout(self.attention_out(mixed))
        fed = self.feed_out(nn.functional.relu(self.feed_in(self.feed_norm(hidden))))
        out: Tensor = hidden + self.dropout(fed)
        return out


class Encoder(nn.Module):
    """The stack of layers; every layer shares one table of relative position biases."""

    def __init__(self, config: HanjaConfig) -> None:
        super().__init__()
        self.distance = config.relative_distance
        self.position = nn.Embedding(2 * self.distance + 1, config.num_attention_heads)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.LayerNorm(config.hidden_size)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Hidden float [b, t, d], mask bool [b, t] (True = real token) -> float [b, t, d]."""
        place = torch.arange(hidden.shape[1], device=hidden.device)
        apart = (place[None, :] - place[:, None]).clamp(-self.distance, self.distance)
        bias = self.position(apart + self.distance).permute(2, 0, 1)[None]
        bias = bias + (1.0 - mask.to(hidden.dtype))[:, None, None, :] * MASKED
        for layer in self.layers:
            hidden = layer(hidden, bias)
        normed: Tensor = self.norm(hidden)
        return normed

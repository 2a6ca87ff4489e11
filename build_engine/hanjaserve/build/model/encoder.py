"""A pre-norm Transformer encoder with relative position bias (Raffel et al. 2020, section 2.1).

Relative positions let a window be longer than any training text; the attention is written out
(no fused kernel) because that is what exports to the plainest graph.

Attention finds words that belong together, but hardly learns what stands two syllables ahead: the biases of
the first models stayed below 0.4 beyond the next syllable, and 할 수도 있다 looked like 首都. So every layer
also sums its neighbours, with a weight for each channel and distance (a depthwise convolution).
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from hanjaserve.build.model.configuration import HanjaConfig

MASKED = -10000.0  # a constant that FP16 can hold


REACH = 3
"""Syllables to either side that a layer sums."""


class Neighbours(nn.Module):
    """The weighted sum of what stands up to REACH places before and after.

    The weights begin at 0: a model that was trained without goes on from where it was.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2 * REACH, width))

    def forward(self, hidden: Tensor) -> Tensor:
        """Hidden float [b, t, d] -> float [b, t, d]."""
        own = torch.zeros_like(self.weight[:1])
        kernel = torch.cat([self.weight[:REACH], own, self.weight[REACH:]]).t()[:, None, None, :]
        # In two dimensions, of which one is 1: runtimes have fast code for images.
        image = hidden.transpose(1, 2)[:, :, None]
        near = nn.functional.conv2d(image, kernel, padding=(0, REACH), groups=hidden.shape[-1])
        return near[:, :, 0].transpose(1, 2)


class Layer(nn.Module):
    """Neighbours and self-attention, then feed-forward, each behind a LayerNorm and a residual."""

    def __init__(self, config: HanjaConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads = config.num_attention_heads
        self.attention_norm = nn.LayerNorm(width)
        self.neighbours = Neighbours(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.feed_norm = nn.LayerNorm(width)
        self.feed_in = nn.Linear(width, config.intermediate_size)
        self.feed_out = nn.Linear(config.intermediate_size, width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, hidden: Tensor, bias: Tensor, real: Tensor) -> Tensor:
        """Hidden float [b, t, d], bias float [b, h, t, t], real float [b, t, 1] -> float [b, t, d]."""
        batch, length, width = hidden.shape
        size = width // self.heads
        normed = self.attention_norm(hidden)
        # Padding is nobody's neighbour.
        near = self.neighbours(normed * real)
        qkv = _by_rows(self.query_key_value, normed + near)
        qkv = qkv.view(batch, length, 3, self.heads, size).permute(2, 0, 3, 1, 4)
        query, key, value = qkv[0], qkv[1], qkv[2]
        if torch.compiler.is_exporting() or not self.training:
            scores = query @ key.transpose(-1, -2) * size**-0.5 + bias
            mixed = torch.softmax(scores, dim=-1) @ value
        else:
            mixed = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        mixed = mixed.transpose(1, 2).reshape(batch, length, width)
        hidden = hidden + near + self.dropout(_by_rows(self.attention_out, mixed))
        fed = _by_rows(self._feed, self.feed_norm(hidden))
        out: Tensor = hidden + self.dropout(fed)
        return out

    def _feed(self, rows: Tensor) -> Tensor:
        out: Tensor = self.feed_out(nn.functional.relu(self.feed_in(rows)))
        return out


def _by_rows(function: Callable[[Tensor], Tensor], hidden: Tensor) -> Tensor:
    """The function of all positions as one matrix: engines add a bias in passing then, and only then."""
    return function(hidden.flatten(0, -2)).view(*hidden.shape[:-1], -1)


class Encoder(nn.Module):
    """The stack of layers; every layer shares one table of relative position biases."""

    def __init__(self, config: HanjaConfig) -> None:
        super().__init__()
        self.distance = config.relative_distance
        self.position = nn.Embedding(2 * self.distance + 1, config.num_attention_heads)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.LayerNorm(config.hidden_size)

    @torch.no_grad()
    def pass_through(self, known: int) -> None:
        """Let all layers but the first ones begin as if they were not there, so that training can go on."""
        for number, layer in enumerate(self.layers):
            if number >= known and isinstance(layer, Layer):
                layer.neighbours.weight.zero_()
                for last in (*layer.attention_out.parameters(), *layer.feed_out.parameters()):
                    last.zero_()

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Hidden float [b, t, d], mask bool [b, t] (True = real token) -> float [b, t, d]."""
        place = torch.arange(hidden.shape[1], device=hidden.device)
        apart = (place[None, :] - place[:, None]).clamp(-self.distance, self.distance)
        bias = self.position(apart + self.distance).permute(2, 0, 1)[None]
        real = mask.to(hidden.dtype)
        bias = bias + (1.0 - real)[:, None, None, :] * MASKED
        for layer in self.layers:
            hidden = layer(hidden, bias, real[..., None])
        normed: Tensor = self.norm(hidden)
        return normed

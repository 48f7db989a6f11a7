"""Llama: a decoder that reads tokens and says of every position which token follows.

Names of weights and outputs are those of ``LlamaForCausalLM`` of the library transformers, so that
published weights load as they are. Every block owns its rotary tables, and so reads one tensor.
"""

from collections.abc import Sequence
from math import sqrt
from typing import Annotated, Literal, NamedTuple, Self

import torch
from pydantic import Field, PositiveFloat, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention, softmax

from bitswitch.contracts.data import Model
from bitswitch.models.llama_weights import check_llama, load_llama
from bitswitch.nn.cache import KeyValueCache
from bitswitch.nn.dataflow import FirstLast
from bitswitch.runtime.randomness import seeded
from bitswitch.types import Strict

INITIAL = 0.02
"""Standard deviation of initial weights."""


class Size(NamedTuple):
    """What a network is made of."""

    vocabulary: int
    width: int
    """Of the residual stream."""
    ffn: int
    """Hidden features of a block's feed-forward part."""
    blocks: int
    heads: int
    """Of queries."""
    kv_heads: int
    """Of keys and values, each shared by ``heads / kv_heads`` of queries."""
    context: int
    """Tokens that a window holds at most."""
    eps: float
    theta: float
    tied: bool
    """Whether the head's weights are the embedding's."""
    fused: bool
    """Whether attention is one kernel."""

    @property
    def head(self) -> int:
        """Features of a head."""
        return self.width // self.heads


class RMSNorm(nn.Module):
    """Divides [..., width] by its root mean square in float32; a learned factor per feature."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        exact = x.to(torch.promote_types(x.dtype, torch.float32))
        normed = exact * torch.rsqrt(exact.pow(2).mean(-1, keepdim=True) + self.eps)
        return self.weight * normed.to(x.dtype)


class Rotary(nn.Module):
    """Turns pairs of features, i and i + head / 2, by an angle that grows with the position."""

    cos: Tensor
    sin: Tensor

    def __init__(self, head: int, context: int, theta: float) -> None:
        super().__init__()
        frequencies = 1.0 / theta ** (torch.arange(0, head, 2, dtype=torch.float32) / head)
        angles = torch.outer(torch.arange(context, dtype=torch.float32), frequencies)
        angles = torch.cat([angles, angles], 1)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        """Return ``x`` [n, heads, t, head], whose first position is ``start``, turned."""
        stop = start + x.shape[2]
        cos, sin = self.cos[start:stop].to(x.dtype), self.sin[start:stop].to(x.dtype)
        left, right = x.chunk(2, -1)
        return x * cos + torch.cat([-right, left], -1) * sin


class Attention(nn.Module):
    """Causal attention whose queries share keys and values in groups."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.fused = size.heads, size.kv_heads, size.fused
        keys = size.kv_heads * size.head
        self.q_proj = nn.Linear(size.width, size.width, bias=False)
        self.k_proj = nn.Linear(size.width, keys, bias=False)
        self.v_proj = nn.Linear(size.width, keys, bias=False)
        self.o_proj = nn.Linear(size.width, size.width, bias=False)
        self.rotary = Rotary(size.head, size.context, size.theta)

    def forward(self, x: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        start = 0 if cache is None else cache.seen(self)
        queries = self.rotary(_heads(self.q_proj(x), self.heads), start)
        keys = self.rotary(_heads(self.k_proj(x), self.kv_heads), start)
        values = _heads(self.v_proj(x), self.kv_heads)
        if cache is not None:
            keys, values = cache.extend(self, keys, values)
        mixed = self._attend(queries, _shared(keys, self.heads), _shared(values, self.heads))
        output: Tensor = self.o_proj(mixed.transpose(1, 2).flatten(2))
        return output

    def _attend(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Return what every position takes of the values up to its own, [n, heads, t, head].

        The last positions of keys and values are those of the queries.
        """
        several = queries.shape[2] > 1  # else there is none after it
        if self.fused:
            whole = several and queries.shape[2] == keys.shape[2]
            mask = ~_later(queries, keys) if several and not whole else None
            return scaled_dot_product_attention(queries, keys, values, mask, is_causal=whole)
        scores = queries @ keys.transpose(2, 3) / sqrt(queries.shape[-1])
        if several:
            scores = scores.masked_fill(_later(queries, keys), -torch.inf)
        kind = torch.promote_types(scores.dtype, torch.float32)
        return softmax(scores, dim=-1, dtype=kind).to(values.dtype) @ values


def _later(queries: Tensor, keys: Tensor) -> Tensor:
    """Return which keys come after each of the queries, bool [t, all]."""
    place = torch.arange(keys.shape[2], device=keys.device)
    return place > place[-queries.shape[2] :, None]


def _heads(x: Tensor, heads: int) -> Tensor:
    """Return ``x`` [n, t, heads * head] as [n, heads, t, head]."""
    return x.reshape(*x.shape[:2], heads, -1).transpose(1, 2)


def _shared(x: Tensor, heads: int) -> Tensor:
    """Return keys or values [n, kv_heads, t, head] for so many ``heads``."""
    return x if x.shape[1] == heads else x.repeat_interleave(heads // x.shape[1], 1)


class FeedForward(nn.Module):
    """down(SiLU(gate(x)) * up(x))."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(size.width, size.ffn, bias=False)
        self.up_proj = nn.Linear(size.width, size.ffn, bias=False)
        self.down_proj = nn.Linear(size.ffn, size.width, bias=False)
        self.act_fn = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.down_proj(self.act_fn(self.gate_proj(x)) * self.up_proj(x))
        return output


class Block(nn.Module):
    """Attention and feed-forward part, each added to the residual stream [n, t, width]."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(size.width, size.eps)
        self.self_attn = Attention(size)
        self.post_attention_layernorm = RMSNorm(size.width, size.eps)
        self.mlp = FeedForward(size)

    def forward(self, x: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cache)
        output: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return output


class Decoder(nn.Module):
    """Embedding, blocks, final norm."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(size.vocabulary, size.width)
        self.layers = nn.ModuleList(Block(size) for _ in range(size.blocks))
        self.norm = RMSNorm(size.width, size.eps)

    def forward(self, tokens: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        x = self.embed_tokens(tokens)
        for block in self.layers:
            x = block(x, cache)
        output: Tensor = self.norm(x)
        return output


class LlamaNet(nn.Module):
    """The decoder and its head; weights N(0, 0.02^2), factors of norms 1."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size
        self.model = Decoder(size)
        self.lm_head = nn.Linear(size.width, size.vocabulary, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=INITIAL)
        if size.tied:
            self.lm_head.weight = self.model.embed_tokens.weight

    def forward(self, tokens: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """Return logits [n, t, vocabulary] of ``tokens`` int64 [n, t].

        Args:
            tokens: A window, or with a cache those that come after what it has.
            cache: Keys and values of the tokens before; gets those of these.

        Raises:
            ValueError: a window is longer than the rotary tables.
        """
        if tokens.shape[1] > self.size.context:
            raise ValueError(
                f"a window of {tokens.shape[1]} tokens is longer than the network's context, "
                f"{self.size.context}; set the model's option 'context'"
            )
        logits: Tensor = self.lm_head(self.model(tokens, cache))
        return logits


class _Llama(Model):
    """A Llama of the size that its options say."""

    source = "touvron2023llama"
    reads = "tokens"

    def _size(self, vocabulary: int) -> Size:
        raise NotImplementedError

    def build(self, outputs: int, seed: int) -> nn.Module:
        with seeded("model", seed):
            return LlamaNet(self._size(outputs))

    def first_last(self, net: nn.Module) -> FirstLast | None:
        """Return the embedding, which multiplies nothing, and the head."""
        return FirstLast(("model.embed_tokens",), ("lm_head",))

    def float_inputs(self, net: nn.Module) -> Sequence[str]:
        """Return the layers that read what SiLU has made, times ``up``.

        Source: huang2025nearly, in its public review: quantizing it kept training from converging.
        """
        return ("model.layers.*.mlp.down_proj",)

    def recomputable(self, net: nn.Module) -> Sequence[str]:
        return [name for name, part in net.named_modules() if isinstance(part, Block)]


class LlamaTiny(_Llama):
    """Two blocks of width 64 for tests and suites on embedded text: 0.12 M weights for bytes."""

    def _size(self, vocabulary: int) -> Size:
        return Size(vocabulary, 64, 160, 2, 4, 2, 1024, 1e-5, 1e4, tied=False, fused=False)


class Llama(_Llama):
    """A Llama of any size; the defaults are those of TinyLlama, 1.1 B weights."""

    class Options(Strict):
        """What it is made of, and where its weights come from."""

        width: PositiveInt = 2048
        """Of the residual stream."""
        ffn: PositiveInt = 5632
        """Hidden features of a block's feed-forward part."""
        blocks: PositiveInt = 22
        heads: PositiveInt = 32
        """Of queries."""
        kv_heads: PositiveInt = 4
        """Of keys and values, each shared by ``heads / kv_heads`` of queries."""
        context: Annotated[int, Field(ge=2)] = 2048
        """Tokens that a window holds at most."""
        eps: PositiveFloat = 1e-5
        """Of RMSNorm."""
        theta: PositiveFloat = 10_000.0
        """Base of the rotary angles."""
        tied: bool = False
        """Whether the head's weights are the embedding's."""
        attention: Literal["explicit", "fused"] = "explicit"
        """``fused``: one kernel, which saves memory; it has no second derivatives everywhere."""
        weights: str = "none"
        """``none``: random; else the path of a safetensors file, or of a folder as transformers
        writes it."""

        @model_validator(mode="after")
        def _heads_fit(self) -> Self:
            if self.width % self.heads or self.width // self.heads % 2:
                raise ValueError(
                    f"width {self.width} gives no even number of features to each of {self.heads} "
                    f"heads"
                )
            if self.heads % self.kv_heads:
                raise ValueError(f"heads {self.heads} are no multiple of kv_heads {self.kv_heads}")
            return self

    options: Options

    def _size(self, vocabulary: int) -> Size:
        chosen = self.options.model_dump(exclude={"attention", "weights"})
        return Size(vocabulary, fused=self.options.attention == "fused", **chosen)

    def check(self, outputs: int) -> None:
        if self.options.weights != "none":
            check_llama(self._size(outputs)._asdict(), self.options.weights)

    def build(self, outputs: int, seed: int) -> nn.Module:
        net = super().build(outputs, seed)
        assert isinstance(net, LlamaNet)
        self.pretrained = self.options.weights != "none"
        if self.pretrained:
            load_llama(net, net.size._asdict(), self.options.weights)
        return net

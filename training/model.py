"""The network: a BitNet b1.58 decoder, and the dense (unquantised) twin used as a teacher.

Parameter names are those of transformers' BitNetForCausalLM, so a state dict needs no renaming on export.
"""

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Config:
    vocab: int = 4096
    hidden: int = 384
    ffn: int = 1024
    layers: int = 8
    heads: int = 6
    kv_heads: int = 3
    context: int = 512
    theta: float = 10000.0
    eps: float = 1e-5
    ternary: bool = True

    @property
    def head_dim(self):
        return self.hidden // self.heads

    def as_dict(self):
        return asdict(self)


def straight_through(exact, rounded):
    """The value of `rounded`, the gradient of `exact`."""
    return exact + (rounded - exact).detach()


def ternarise(weight):
    """Per-tensor absmean: values in {-1, 0, 1} and the one scale that they are multiplied by."""
    scale = weight.detach().float().abs().mean().clamp(min=1e-5)
    exact = weight.float() / scale
    return straight_through(exact, exact.round().clamp(-1, 1)), scale


def quantise_rows(x):
    """Per-token absmax: integers in [-128, 127] (kept as floats) and the scale that they are divided by."""
    x = x.float()
    scale = 127 / x.detach().abs().amax(-1, keepdim=True).clamp(min=1e-5)
    exact = x * scale
    return straight_through(exact, exact.round().clamp(-128, 127)), scale


class BitLinear(nn.Linear):
    """Takes what `quantise_rows` returns. bfloat16 holds integers up to 256 exactly, so under autocast the product is
    the very int8 x ternary dot product of an inference engine; both scales are applied to its result. The scales are
    constants to autograd, which makes the gradients those of the usual straight-through rule."""

    def forward(self, quantised):
        x, x_scale = quantised
        w, w_scale = ternarise(self.weight)
        return F.linear(x, w) * (w_scale / x_scale)


class RMSNorm(nn.Module):
    def __init__(self, size, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x):
        x = x.float()
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


def rotate(x, cos, sin):
    """Rotary embedding of pairs (i, i + head_dim/2)."""
    a, b = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-b, a), dim=-1) * sin


class Attention(nn.Module):
    def __init__(self, cfg, linear):
        super().__init__()
        self.cfg = cfg
        kv = cfg.kv_heads * cfg.head_dim
        self.q_proj = linear(cfg.hidden, cfg.hidden, bias=False)
        self.k_proj = linear(cfg.hidden, kv, bias=False)
        self.v_proj = linear(cfg.hidden, kv, bias=False)
        self.o_proj = linear(cfg.hidden, cfg.hidden, bias=False)
        self.attn_sub_norm = RMSNorm(cfg.hidden, cfg.eps)
        self.prepare = quantise_rows if cfg.ternary else (lambda x: x)

    def forward(self, x, cos, sin, cache=None, position=0):
        cfg = self.cfg
        batch, length, _ = x.shape
        group = cfg.heads // cfg.kv_heads
        x = self.prepare(x)
        q, k, v = (p(x).view(batch, length, -1, cfg.head_dim).transpose(1, 2)
                   for p in (self.q_proj, self.k_proj, self.v_proj))
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if cache is None:
            shape = (batch, cfg.kv_heads, group, length, cfg.head_dim)
            k, v = (t[:, :, None].expand(shape).reshape(batch, cfg.heads, length, cfg.head_dim) for t in (k, v))
            out = F.scaled_dot_product_attention(q, k, v.to(k.dtype), is_causal=True)
        else:  # one new token: the query heads that share a key head stand in for its query positions
            for store, new in zip(cache, (k, v)):
                store[:, :, position] = new[:, :, 0]
            k, v = (store[:, :, :position + 1] for store in cache)
            out = F.scaled_dot_product_attention(q.reshape(batch, cfg.kv_heads, group, -1).to(k.dtype), k, v)
            out = out.reshape(batch, cfg.heads, 1, cfg.head_dim)
        out = out.transpose(1, 2).reshape(batch, length, cfg.hidden)
        return self.o_proj(self.prepare(self.attn_sub_norm(out)))


class FeedForward(nn.Module):
    def __init__(self, cfg, linear):
        super().__init__()
        self.gate_proj = linear(cfg.hidden, cfg.ffn, bias=False)
        self.up_proj = linear(cfg.hidden, cfg.ffn, bias=False)
        self.down_proj = linear(cfg.ffn, cfg.hidden, bias=False)
        self.ffn_sub_norm = RMSNorm(cfg.ffn, cfg.eps)
        self.prepare = quantise_rows if cfg.ternary else (lambda x: x)

    def forward(self, x):
        x = self.prepare(x)
        gated = F.relu(self.gate_proj(x).float()).square() * self.up_proj(x)
        return self.down_proj(self.prepare(self.ffn_sub_norm(gated)))


class Block(nn.Module):
    def __init__(self, cfg, linear, dropout):
        super().__init__()
        self.input_layernorm = RMSNorm(cfg.hidden, cfg.eps)
        self.self_attn = Attention(cfg, linear)
        self.post_attention_layernorm = RMSNorm(cfg.hidden, cfg.eps)
        self.mlp = FeedForward(cfg, linear)
        self.dropout = dropout

    def forward(self, h, *attention_arguments):
        h = h + F.dropout(self.self_attn(self.input_layernorm(h), *attention_arguments), self.dropout, self.training)
        return h + F.dropout(self.mlp(self.post_attention_layernorm(h)), self.dropout, self.training)


class Stack(nn.Module):
    def __init__(self, cfg, dropout):
        super().__init__()
        linear = BitLinear if cfg.ternary else nn.Linear
        self.embed_tokens = nn.Embedding(cfg.vocab, cfg.hidden)
        self.layers = nn.ModuleList(Block(cfg, linear, dropout) for _ in range(cfg.layers))
        self.norm = RMSNorm(cfg.hidden, cfg.eps)


class Transformer(nn.Module):
    def __init__(self, cfg, dropout=0.0):
        super().__init__()
        self.cfg = cfg
        self.dropout = dropout
        self.model = Stack(cfg, dropout)
        for p in self.parameters():
            if p.ndim == 2:
                nn.init.normal_(p, std=0.02)
        frequency = cfg.theta ** (-torch.arange(0, cfg.head_dim, 2).float() / cfg.head_dim)
        angle = torch.outer(torch.arange(cfg.context).float(), frequency).repeat(1, 2)
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)

    def forward(self, tokens):
        """Logits of every position of `tokens` (batch, length)."""
        h = F.dropout(self.model.embed_tokens(tokens).float(), self.dropout, self.training)
        cos, sin = self.cos[:tokens.shape[1]], self.sin[:tokens.shape[1]]
        for block in self.model.layers:
            h = block(h, cos, sin)
        return F.linear(self.model.norm(h), self.model.embed_tokens.weight)  # the head is the embedding

    @torch.no_grad()
    def sample(self, batch, length, start):
        """`batch` rows of `length` tokens drawn at temperature 1, each after the token `start`; (batch, length + 1)."""
        cfg, device = self.cfg, self.cos.device
        shape = (batch, cfg.kv_heads, length, cfg.head_dim)
        dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        caches = [tuple(torch.zeros(shape, device=device, dtype=dtype) for _ in "kv") for _ in range(cfg.layers)]
        rows = torch.full((batch, length + 1), start, device=device)
        for t in range(length):
            h = self.model.embed_tokens(rows[:, t:t + 1]).float()
            for block, cache in zip(self.model.layers, caches):
                h = block(h, self.cos[t:t + 1], self.sin[t:t + 1], cache, t)
            logits = F.linear(self.model.norm(h[:, 0]), self.model.embed_tokens.weight)
            rows[:, t + 1] = torch.multinomial(logits.float().softmax(-1), 1)[:, 0]
        return rows

"""LAVIS's ViT and Q-Former written down again as functions of a state dict under LAVIS's names.

From Fang et al. 2023 (EVA) and Li et al. 2023 (BLIP-2), with no module of Hugging Face: what ours are compared to.
"""

import math

import torch
from torch.nn import functional as F

BERT_EPS = 1e-12


def linear(state, name, x):
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def layer_norm(state, name, x, eps):
    mean, variance = x.mean(-1, keepdim=True), x.var(-1, unbiased=False, keepdim=True)
    return (x - mean) / torch.sqrt(variance + eps) * state[f"{name}.weight"] + state[f"{name}.bias"]


def attend(query, key, value, heads, hidden=None):
    """``hidden``: keys that are not seen, ``[batch, keys]``."""
    split = [part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (query, key, value)]
    scores = split[0] @ split[1].transpose(-1, -2) / math.sqrt(split[0].shape[-1])
    if hidden is not None:
        scores = scores.masked_fill(hidden[:, None, None], float("-inf"))
    return (scores.softmax(-1) @ split[2]).transpose(1, 2).flatten(2)


def vit(state, pixels, heads):
    """``visual_encoder`` and ``ln_vision``: ``[images, patches + 1, width]``."""
    patch = state["visual_encoder.patch_embed.proj.weight"]
    x = F.conv2d(pixels, patch, state["visual_encoder.patch_embed.proj.bias"], stride=patch.shape[-1])
    x = torch.cat([state["visual_encoder.cls_token"].expand(len(x), -1, -1), x.flatten(2).transpose(1, 2)], dim=1)
    x = x + state["visual_encoder.pos_embed"]
    number = 0
    while (block := f"visual_encoder.blocks.{number}") + ".norm1.weight" in state:
        q_bias, v_bias = state[f"{block}.attn.q_bias"], state[f"{block}.attn.v_bias"]
        qkv = layer_norm(state, f"{block}.norm1", x, 1e-6) @ state[f"{block}.attn.qkv.weight"].T
        qkv = qkv + torch.cat([q_bias, torch.zeros_like(q_bias), v_bias])
        x = x + linear(state, f"{block}.attn.proj", attend(*qkv.chunk(3, -1), heads))
        inner = F.gelu(linear(state, f"{block}.mlp.fc1", layer_norm(state, f"{block}.norm2", x, 1e-6)))
        x = x + linear(state, f"{block}.mlp.fc2", inner)
        number += 1
    return layer_norm(state, "ln_vision", x, 1e-5)


def qformer(state, prefix, queries, keys, heads, frequency, ids=None, mask=None):
    """``prefix.bert`` on queries ``[batch, n, width]``, followed by words where ``ids`` are given."""
    bert, count, x, hidden = f"{prefix}.bert", queries.shape[1], queries, None
    if ids is not None:
        words = state[f"{bert}.embeddings.word_embeddings.weight"][ids]
        x = torch.cat([x, words + state[f"{bert}.embeddings.position_embeddings.weight"][: ids.shape[1]]], dim=1)
        hidden = torch.cat([torch.zeros(len(x), count), 1 - mask], dim=1).bool()
    x = layer_norm(state, f"{bert}.embeddings.LayerNorm", x, BERT_EPS)
    number = 0
    while (layer := f"{bert}.encoder.layer.{number}") + ".intermediate_query.dense.weight" in state:
        x = _attention(state, f"{layer}.attention", x, x, heads, hidden)
        seen, words = x[:, :count], x[:, count:]
        if number % frequency == 0:
            seen = _attention(state, f"{layer}.crossattention", seen, keys, heads)
        parts = [_feed_forward(state, layer, "_query", seen)]
        if words.shape[1]:
            parts.append(_feed_forward(state, layer, "", words))
        x = torch.cat(parts, dim=1)
        number += 1
    return x


def _attention(state, name, x, keys, heads, hidden=None):
    rows = [linear(state, f"{name}.self.{part}", y) for part, y in (("query", x), ("key", keys), ("value", keys))]
    dense = linear(state, f"{name}.output.dense", attend(*rows, heads, hidden))
    return layer_norm(state, f"{name}.output.LayerNorm", x + dense, BERT_EPS)


def _feed_forward(state, layer, kind, x):
    inner = F.gelu(linear(state, f"{layer}.intermediate{kind}.dense", x))
    dense = linear(state, f"{layer}.output{kind}.dense", inner)
    return layer_norm(state, f"{layer}.output{kind}.LayerNorm", x + dense, BERT_EPS)


def vit_shapes(width, depth, mlp, image, patch):
    """Names and shapes of ``visual_encoder`` and ``ln_vision``."""
    root = "visual_encoder"
    shapes = {
        f"{root}.cls_token": (1, 1, width),
        f"{root}.pos_embed": (1, (image // patch) ** 2 + 1, width),
        f"{root}.patch_embed.proj.weight": (width, 3, patch, patch),
        f"{root}.patch_embed.proj.bias": (width,),
        **_norm("ln_vision", width),
    }
    for number in range(depth):
        block = f"{root}.blocks.{number}"
        shapes |= _norm(f"{block}.norm1", width) | _norm(f"{block}.norm2", width)
        shapes |= {f"{block}.attn.qkv.weight": (3 * width, width)}
        shapes |= {f"{block}.attn.{bias}": (width,) for bias in ("q_bias", "v_bias")}
        shapes |= _dense(f"{block}.attn.proj", width, width)
        shapes |= _dense(f"{block}.mlp.fc1", width, mlp) | _dense(f"{block}.mlp.fc2", mlp, width)
    return shapes


def qformer_shapes(prefix, width, depth, mlp, keys, frequency, vocabulary=0, positions=0):
    """Names and shapes of ``prefix.bert``; with words if there is a vocabulary."""
    bert = f"{prefix}.bert"
    shapes = _norm(f"{bert}.embeddings.LayerNorm", width)
    if vocabulary:
        shapes[f"{bert}.embeddings.word_embeddings.weight"] = (vocabulary, width)
        shapes[f"{bert}.embeddings.position_embeddings.weight"] = (positions, width)
    for number in range(depth):
        layer = f"{bert}.encoder.layer.{number}"
        attentions = {"attention": width} | ({"crossattention": keys} if number % frequency == 0 else {})
        for name, source in attentions.items():
            shapes |= _dense(f"{layer}.{name}.self.query", width, width)
            shapes |= _dense(f"{layer}.{name}.self.key", source, width)
            shapes |= _dense(f"{layer}.{name}.self.value", source, width)
            shapes |= _dense(f"{layer}.{name}.output.dense", width, width)
            shapes |= _norm(f"{layer}.{name}.output.LayerNorm", width)
        for kind in ("_query", "") if vocabulary else ("_query",):
            shapes |= _dense(f"{layer}.intermediate{kind}.dense", width, mlp)
            shapes |= _dense(f"{layer}.output{kind}.dense", mlp, width)
            shapes |= _norm(f"{layer}.output{kind}.LayerNorm", width)
    return shapes


def _dense(name, inputs, outputs):
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _norm(name, width):
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def random_state(shapes, std=0.2, seed=0):
    """Normal numbers of that deviation under each name."""
    generator = torch.Generator().manual_seed(seed)
    return {name: std * torch.randn(shape, generator=generator) for name, shape in shapes.items()}

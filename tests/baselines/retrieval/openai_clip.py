"""OpenAI's CLIP in NumPy, from a state dict under OpenAI's names: the reference for names, transposes and forward."""

from __future__ import annotations

import numpy as np


def random_state(
    rng, *, width=32, vision_width=32, layers=2, vision_layers=2, patch=8, image=32, vocabulary=64, context=16
):
    """A state dict as OpenAI (and CLIP4Clip under ``clip.``) saves it."""

    def draw(*shape, scale=0.3):
        return (scale * rng.normal(size=shape)).astype(np.float32)

    state = {
        "token_embedding.weight": draw(vocabulary, width),
        "positional_embedding": draw(context, width),
        "text_projection": draw(width, width),
        "logit_scale": np.float32(np.log(20)),
        "visual.class_embedding": draw(vision_width),
        "visual.positional_embedding": draw((image // patch) ** 2 + 1, vision_width),
        "visual.conv1.weight": draw(vision_width, 3, patch, patch, scale=0.05),
        "visual.proj": draw(vision_width, width),
        "input_resolution": np.int64(image),
        "context_length": np.int64(context),
        "vocab_size": np.int64(vocabulary),
    }
    for norm, size in (("ln_final", width), ("visual.ln_pre", vision_width), ("visual.ln_post", vision_width)):
        state |= {f"{norm}.weight": 1 + draw(size), f"{norm}.bias": draw(size)}
    for tower, size, depth in (("", width, layers), ("visual.", vision_width, vision_layers)):
        for layer in range(depth):
            state |= block_state(draw, f"{tower}transformer.resblocks.{layer}.", size)
    return state


def block_state(draw, prefix, width):
    shapes = {
        "attn.in_proj_weight": (3 * width, width), "attn.in_proj_bias": (3 * width,),
        "attn.out_proj.weight": (width, width), "attn.out_proj.bias": (width,),
        "mlp.c_fc.weight": (4 * width, width), "mlp.c_fc.bias": (4 * width,),
        "mlp.c_proj.weight": (width, 4 * width), "mlp.c_proj.bias": (width,),
        "ln_1.bias": (width,), "ln_2.bias": (width,),
    }  # fmt: skip
    norms = {f"{prefix}{name}.weight": 1 + draw(width) for name in ("ln_1", "ln_2")}
    return norms | {prefix + name: draw(*shape) for name, shape in shapes.items()}


def sentence_vectors(state, ids, heads):
    """``[texts, width]``, read at the largest id."""
    x = state["token_embedding.weight"][ids] + state["positional_embedding"][: ids.shape[1]]
    causal = np.triu(np.full((ids.shape[1],) * 2, -np.inf), 1)
    x = transformer(state, "transformer.", x, heads, causal)
    x = norm(state, "ln_final", x)[np.arange(len(ids)), ids.argmax(1)]
    return x @ state["text_projection"]


def image_tokens(state, images, heads, before_attention=lambda layer, x: x):
    """``[images, 1 + patches, width]`` of ``[images, 3, size, size]``; the first token is the image's vector.

    ``before_attention`` may exchange what the attention of a layer reads.
    """
    kernel = state["visual.conv1.weight"]
    patch, grid = kernel.shape[-1], images.shape[-1] // kernel.shape[-1]
    cut = images.reshape(len(images), 3, grid, patch, grid, patch).transpose(0, 2, 4, 1, 3, 5)
    patches = cut.reshape(len(images), grid * grid, -1) @ kernel.reshape(len(kernel), -1).T
    first = np.broadcast_to(state["visual.class_embedding"], (len(images), 1, patches.shape[-1]))
    x = np.concatenate([first, patches], 1) + state["visual.positional_embedding"]
    x = transformer(state, "visual.transformer.", norm(state, "visual.ln_pre", x), heads, 0.0, before_attention)
    return norm(state, "visual.ln_post", x) @ state["visual.proj"]


def transformer(state, prefix, x, heads, bias, before_attention=lambda layer, x: x):
    layers = len([name for name in state if name.startswith(prefix) and name.endswith("ln_1.weight")])
    for layer in range(layers):
        block = f"{prefix}resblocks.{layer}."
        x = x + attention(state, block + "attn.", before_attention(layer, norm(state, block + "ln_1", x)), heads, bias)
        hidden = linear(state, block + "mlp.c_fc.", norm(state, block + "ln_2", x))
        x = x + linear(state, block + "mlp.c_proj.", hidden / (1 + np.exp(-1.702 * hidden)))
    return x


def attention(state, prefix, x, heads, bias):
    q, k, v = np.split(x @ state[prefix + "in_proj_weight"].T + state[prefix + "in_proj_bias"], 3, -1)
    q, k, v = (part.reshape(*part.shape[:-1], heads, -1).swapaxes(1, 2) for part in (q, k, v))
    logits = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1]) + bias
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    mixed = (weights / weights.sum(-1, keepdims=True)) @ v
    return linear(state, prefix + "out_proj.", mixed.swapaxes(1, 2).reshape(x.shape))


def norm(state, name, x, eps=1e-5):
    centred = x - x.mean(-1, keepdims=True)
    return (
        centred / np.sqrt((centred**2).mean(-1, keepdims=True) + eps) * state[f"{name}.weight"] + state[f"{name}.bias"]
    )


def linear(state, prefix, x):
    return x @ state[prefix + "weight"].T + state[prefix + "bias"]

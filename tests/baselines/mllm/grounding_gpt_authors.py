"""A tiny checkpoint under the authors' names, and what their code computes with it (float32, transformers' LLaMA)."""

import torch

from baselines.backbones.blip2 import Blip2RetrieverConfig
from baselines.mllm.grounding_gpt import GroundingGptConfig
from baselines.mllm.llama import LlamaSizes

FRAMES, VIDEO_TOKENS, WORDS = 7, 6, 40
PATCH, START, END = 34, 35, 36
CONFIG = GroundingGptConfig(
    blip2=Blip2RetrieverConfig(
        image_size=28, vision_width=64, vision_layers=3, vision_heads=4, vision_mlp=128,
        width=48, layers=4, heads=4, mlp=96, queries=5,
    ),
    frames=FRAMES, frame_tokens=5, width=48, video_tokens=VIDEO_TOKENS, video_heads=4, video_mlp=96,
    llama=LlamaSizes(WORDS, hidden=64, layers=2, heads=4, mlp=128),
)  # fmt: skip
BUFFERS = ("model.Qformer.bert.embeddings.position_ids", "model.video_Qformer.bert.embeddings.position_ids")

FILM_TOKENS = [
    [-0.17768312, -0.10402583, 0.05303871],
    [0.07163428, 0.22419162, 0.26932800],
    [-0.06872021, 0.24779959, 0.44317251],
    [0.28400975, 0.91528404, 1.03733110],
    [-0.68288451, 0.44670272, 1.33949924],
    [-1.01695812, -0.42225182, 0.44088060],
]
FILM_TOKENS_SUM, FILM_TOKENS_MEAN = -0.88233376, 0.48705864
"""The film's tokens, of which `FILM_TOKENS` is the first three columns: their sum, and the mean of their sizes."""
VISION_ROW = [-0.85218179, -0.44815087, -0.05088277, 1.23921120]
FRAME_ROW = [-0.93756175, 0.24078986, 0.34513149, -1.10871398]
"""First numbers of frame 3, token 2, after the ViT and after the image Q-Former."""
EMBEDDINGS_SUM = -1.09051704
LAST_LOGITS = [0.80024540, -1.14403141, -1.93607438, -0.77816117, 1.16349292, 1.93331146]
LOSS = 4.87241602
GREEDY = [5, 2, 5, 2, 5, 2, 5, 2, 5, 2, 5, 2]


def state():
    """The checkpoint; weights are sines of their place in the sorted list of names."""
    shapes = names()
    found = {}
    for i, name in enumerate(sorted(shapes)):
        shape = shapes[name]
        count = torch.Size(shape).numel()
        x = 0.2 * torch.sin(0.9 * torch.arange(count).double() + 1.7 * i + 0.4).view(shape)
        norm = name.endswith(".weight") and len(shape) == 1
        found[name] = (1 + x if norm else x).float()
    return found


def names():
    """Every name of the authors' checkpoint without image and sound, with its shape."""
    found = {"lm_head.weight": (WORDS, 64), "model.embed_tokens.weight": (WORDS, 64), "model.norm.weight": (64,)}
    for n in range(2):
        block = f"model.layers.{n}."
        found |= {f"{block}{name}.weight": (64,) for name in ("input_layernorm", "post_attention_layernorm")}
        found |= {f"{block}self_attn.{name}_proj.weight": (64, 64) for name in "qkvo"}
        found |= {f"{block}mlp.{name}_proj.weight": (128, 64) for name in ("gate", "up")}
        found[f"{block}mlp.down_proj.weight"] = (64, 128)
    found |= _vision("model.visual_encoder.")
    found |= _norm("model.ln_vision", 64)
    found |= _qformer("model.Qformer.bert.", layers=4, every=2, keys=64)
    found |= _qformer("model.video_Qformer.bert.", layers=2, every=1, keys=48)
    found |= _linear("model.llama_proj", 48, 64)
    return found | {
        "model.query_tokens": (1, 5, 48),
        "model.video_query_tokens": (1, VIDEO_TOKENS, 48),
        "model.video_frame_position_embedding.weight": (FRAMES, 48),
    }


def pixels():
    t = torch.arange(FRAMES * 3 * 28 * 28).double()
    return torch.sin(0.37 * t + 0.001 * t.sqrt()).float().view(FRAMES, 3, 28, 28)


def _linear(name, before, after):
    return {f"{name}.weight": (after, before), f"{name}.bias": (after,)}


def _norm(name, width):
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _vision(prefix):
    found = {f"{prefix}cls_token": (1, 1, 64), f"{prefix}pos_embed": (1, 5, 64)}
    found |= {f"{prefix}patch_embed.proj.weight": (64, 3, 14, 14), f"{prefix}patch_embed.proj.bias": (64,)}
    for n in range(3):
        block = f"{prefix}blocks.{n}."
        found |= _norm(f"{block}norm1", 64) | _norm(f"{block}norm2", 64)
        found |= {f"{block}attn.qkv.weight": (192, 64), f"{block}attn.q_bias": (64,), f"{block}attn.v_bias": (64,)}
        found |= _linear(f"{block}attn.proj", 64, 64)
        found |= _linear(f"{block}mlp.fc1", 64, 128) | _linear(f"{block}mlp.fc2", 128, 64)
    return found


def _qformer(prefix, layers, every, keys):
    found = _norm(f"{prefix}embeddings.LayerNorm", 48)
    for n in range(layers):
        layer = f"{prefix}encoder.layer.{n}."
        kinds = {"attention": 48} | ({"crossattention": keys} if n % every == 0 else {})
        for kind, width in kinds.items():
            found |= _linear(f"{layer}{kind}.self.query", 48, 48)
            found |= _linear(f"{layer}{kind}.self.key", width, 48) | _linear(f"{layer}{kind}.self.value", width, 48)
            found |= _linear(f"{layer}{kind}.output.dense", 48, 48) | _norm(f"{layer}{kind}.output.LayerNorm", 48)
        found |= _linear(f"{layer}intermediate_query.dense", 48, 96)
        found |= _linear(f"{layer}output_query.dense", 96, 48) | _norm(f"{layer}output_query.LayerNorm", 48)
    return found

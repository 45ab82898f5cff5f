"""The transformer that CLIP4Clip and TS2-Net put on top of CLIP, under the names of OpenAI's CLIP.

Pre-norm residual blocks with QuickGELU, an epsilon of 1e-12 and no final norm; each starts as a copy of one block
of CLIP's text tower (the paper says image tower; the authors confirm that the code is right).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers.activations import QuickGELUActivation

from baselines.retrieval.clip_backbone import ClipBackbone

NORM_EPS = 1e-12
INITIAL_STD = 0.02
HIDDEN = -1e6
"""Added to the attention logits of a key that the mask leaves out."""


class ResidualBlock(nn.Module):
    """Attention, then a multi-layer perceptron of four times the width, each with its residual."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln_1 = nn.LayerNorm(width, eps=NORM_EPS)
        self.mlp = nn.Sequential()
        self.mlp.add_module("c_fc", nn.Linear(width, 4 * width))
        self.mlp.add_module("gelu", QuickGELUActivation())
        self.mlp.add_module("c_proj", nn.Linear(4 * width, width))
        self.ln_2 = nn.LayerNorm(width, eps=NORM_EPS)

    def forward(self, x: Tensor, key_bias: Tensor) -> Tensor:
        """``[batch, length, width]`` from the same; ``key_bias`` ``[batch, length]`` is added for each key."""
        normed = self.ln_1(x)
        x = x + self.attn(normed, normed, normed, key_padding_mask=key_bias, need_weights=False)[0]
        return x + self.mlp(self.ln_2(x))


class TemporalTransformer(nn.Module):
    """Residual blocks, one after another."""

    def __init__(self, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(ResidualBlock(width, heads) for _ in range(layers))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """``[batch, length, width]`` from the same; keys where ``mask`` ``[batch, length]`` is 0 are not seen."""
        key_bias = (1 - mask.to(x.dtype)) * HIDDEN
        for block in self.resblocks:
            x = block(x, key_bias)
        return x


def initialise(module: nn.Module) -> None:
    """Draw linear and embedding weights from N(0, 0.02) and set biases to 0, as all heads of CLIP4Clip start."""
    for part in module.modules():
        if isinstance(part, (nn.Linear, nn.Embedding)):
            nn.init.normal_(part.weight, std=INITIAL_STD)
        if isinstance(part, nn.Linear) and part.bias is not None:
            nn.init.zeros_(part.bias)


@torch.no_grad()
def copy_text_tower(clip: ClipBackbone, positions: nn.Embedding, encoder: TemporalTransformer) -> None:
    """Start ``positions`` and ``encoder`` from the position table and the first blocks of CLIP's text tower.

    Raises:
        ValueError: the text tower is narrower, wider or has fewer layers than what it is copied into.
    """
    layers = clip.text_model.encoder.layers
    table = clip.text_model.embeddings.position_embedding.weight
    if table.shape != positions.weight.shape or len(layers) < len(encoder.resblocks):
        raise ValueError(
            f"a text tower of {len(layers)} layers and positions {tuple(table.shape)} cannot start a temporal "
            f"encoder of {len(encoder.resblocks)} layers and positions {tuple(positions.weight.shape)}"
        )
    positions.weight.copy_(table)
    for block, layer in zip(encoder.resblocks, layers, strict=False):
        attention = layer.self_attn
        in_proj = [attention.q_proj, attention.k_proj, attention.v_proj]
        block.load_state_dict(
            {
                "attn.in_proj_weight": torch.cat([linear.weight for linear in in_proj]),
                "attn.in_proj_bias": torch.cat([linear.bias for linear in in_proj]),
                **_renamed(attention.out_proj, "attn.out_proj"),
                **_renamed(layer.layer_norm1, "ln_1"),
                **_renamed(layer.layer_norm2, "ln_2"),
                **_renamed(layer.mlp.fc1, "mlp.c_fc"),
                **_renamed(layer.mlp.fc2, "mlp.c_proj"),
            }
        )


def _renamed(module: nn.Module, name: str) -> dict[str, Tensor]:
    return {f"{name}.{key}": value for key, value in module.state_dict().items()}

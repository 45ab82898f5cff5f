"""The text side of a BLIP-2, alone: what is trained further when its frame features are frozen.

The Q-Former shares its self-attention between frames and texts, so to train the text side in place would change
the frame features as well. This is a copy of the text path, without cross-attention and query layers.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F
from transformers import Blip2QFormerModel
from transformers.models.blip_2.modeling_blip_2 import Blip2TextEmbeddings

from baselines.backbones.blip2 import Blip2RetrieverConfig, Blip2VideoRetriever

_QUERY_PATH = ("crossattention", "intermediate_query", "output_query")


class TextTower(nn.Module):
    """Texts to vectors of the shared space, as `Blip2VideoRetriever.encode_text`."""

    def __init__(self, config: Blip2RetrieverConfig) -> None:
        super().__init__()
        self.embeddings = Blip2TextEmbeddings(config.qformer())
        self.qformer = Blip2QFormerModel(config.qformer())
        self.text_projection = nn.Linear(config.width, config.shared_width)
        for layer in self.qformer.encoder.layer:
            for name in _QUERY_PATH:
                if hasattr(layer, name):
                    delattr(layer, name)

    @classmethod
    def copy_of(cls, blip2: Blip2VideoRetriever) -> TextTower:
        """A tower that gives the same vectors as ``blip2``, with weights of its own."""
        tower = cls(blip2.config)
        theirs = blip2.state_dict()
        tower.load_state_dict({name: theirs[name] for name in tower.state_dict()})
        return tower

    def forward(self, input_ids: Tensor, mask: Tensor) -> Tensor:
        """Normalised vectors ``[texts, shared_width]`` of ids ``[texts, length]``; the first is [CLS]."""
        return F.normalize(self.text_projection(self.states(input_ids, mask)[:, 0]), dim=-1)

    def states(self, input_ids: Tensor, mask: Tensor) -> Tensor:
        """A state for each token: ``[texts, length, width]``; see `forward`."""
        return self.qformer(
            query_embeds=self.embeddings(input_ids=input_ids), query_length=0, attention_mask=mask
        ).last_hidden_state

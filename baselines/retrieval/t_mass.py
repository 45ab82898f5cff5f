"""T-MASS (Wang et al., CVPR 2024, arXiv 2403.17998): a text is not a point but a mass around one.

The radius of the mass comes from the cosines between the text and the frames of the video that it is compared with.
A score is the best of several points drawn from the mass; the video side is X-Pool's.

The authors' evaluation pools each candidate video with *its own test caption* instead of with the query. It is here
for audits, as `TMass.similarity_upstream_leaky`; all else scores by the procedure that the paper describes.

Module names are those of the authors' checkpoints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.retrieval import pair_noise
from baselines.retrieval.clip_backbone import ClipBackbone, ClipConfig
from baselines.retrieval.losses import symmetric_cross_entropy
from baselines.retrieval.protocol import Block, Encoded, in_blocks
from baselines.retrieval.x_pool import ClipXPool, XPoolConfig, cosine


@dataclass(frozen=True)
class TMassConfig(XPoolConfig):
    """What shapes the model and its scores; ``frames`` is structural, a checkpoint fixes it.

    Attributes:
        prior: of a point, in units of the radius: ``uniform01`` (MSR-VTT, DiDeMo; not centred), or ``normal``.
        prior_std: deviation of the normal prior; the authors take 0.003 for LSMDC.
        trials: points drawn for each pair of text and video; 0 scores the text itself, as X-Pool does.
        support_weight: of the loss of the support text; the authors take 0.8 for MSR-VTT and 0 elsewhere.
        seed: of the points drawn when scoring.
    """

    prior: Literal["uniform01", "normal"] = "uniform01"
    prior_std: float = 1.0
    trials: int = 20
    support_weight: float = 0.8
    seed: int = 0

    @classmethod
    def paper(cls) -> TMassConfig:
        """ViT-B/32 and the authors' settings for MSR-VTT."""
        return cls(ClipConfig())

    @classmethod
    def mini(cls, vocab_size: int, eos_token_id: int) -> TMassConfig:
        """For IVCR-Mini on a CPU; vectors of norm 1 would drown in noise from U(0, 1)."""
        clip = ClipConfig.mini(vocab_size, eos_token_id)
        return cls(clip, frames=12, dropout=0.1, prior="normal", prior_std=0.05, trials=8)


class RadiusHead(nn.Module):
    """From the cosines with each frame to a radius in each dimension."""

    def __init__(self, frames: int, width: int) -> None:
        super().__init__()
        self.linear_proj = nn.Linear(frames, width)
        nn.init.eye_(self.linear_proj.weight)
        nn.init.zeros_(self.linear_proj.bias)

    def forward(self, cosines: Tensor) -> Tensor:
        """Radii ``[..., width]`` of cosines ``[..., frames]``."""
        return self.linear_proj(cosines).exp()


class TMass(ClipXPool):
    """The model; to what X-Pool encodes, texts add ``seeds`` ``[texts]``, videos ``frames``, normalised."""

    config: TMassConfig
    block = Block(texts=16, videos=32)

    def __init__(self, config: TMassConfig, clip: ClipBackbone) -> None:
        super().__init__(config, clip)
        self.stochastic = nn.ModuleDict({"std_branch": RadiusHead(config.frames, clip.width)})

    def encode_texts(self, input_ids: Tensor, mask: Tensor) -> Encoded:
        """Sentence vectors of ids and mask ``[texts, length]``, and what their random points hang on."""
        return super().encode_texts(input_ids, mask).with_(seeds=pair_noise.text_seeds(input_ids, mask))

    def index(self, films: Encoded) -> Encoded:
        """What the head makes of films (`encode_frames`) before it knows a text."""
        return super().index(films).with_(frames=F.normalize(films["frames"], dim=-1))

    def similarity(self, texts: Encoded, videos: Encoded, block: Block | None = None) -> Tensor:
        """For each pair the best cosine of its random points: ``[texts, videos]``.

        The points of a pair hang on the seed, the text, and the place of the video among ``videos``.
        """
        return in_blocks(self._best, texts, _placed(videos), block or self.block)

    def similarity_upstream_leaky(self, texts: Encoded, videos: Encoded, owners: Tensor) -> Tensor:
        """What the authors' evaluation computes, which sees the captions of the test videos; for audits only.

        The best point of each pair is chosen as in `similarity`, and then compared with the video as pooled with
        one of *the video's own* captions: with its n-th, if the text is the n-th caption of the video that it
        belongs to. Where a video has fewer captions the score is NaN, which their code sorts first.

        Args:
            owners: the video that each text describes: int ``[texts]``.
        """
        turns = _turn_among_equals(owners)
        gallery = self._pooled_with_own_captions(texts, videos, owners, turns)

        def score(some_texts: Encoded, some_videos: Encoded) -> Tensor:
            points = self._best_points(some_texts, some_videos)
            return cosine(points, some_videos["gallery"][:, some_texts["turns"]].transpose(0, 1))

        videos = _placed(videos).with_(gallery=gallery)
        return in_blocks(score, texts.with_(turns=turns), videos, self.block)

    def loss(self, texts: Encoded, videos: Encoded, positive: Tensor | None = None) -> Tensor:
        """Symmetric InfoNCE with one random point a text, and with the support text."""
        self.clip.clamp_logit_scale()
        scale = self.clip.scale()
        drawn, support = self.training_cosines(texts, videos, self._training_noise(texts["vectors"]))
        total = symmetric_cross_entropy(scale * drawn, positive)
        if self.config.support_weight:
            total = total + self.config.support_weight * symmetric_cross_entropy(scale * support, positive)
        return total

    def training_cosines(self, texts: Encoded, videos: Encoded, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines of the random points and of the support texts with all videos: two of ``[pairs, pairs]``.

        Text ``i`` describes video ``i``, and only the radius of that pair is used. The support text lies on the
        surface of the mass, in the direction of the video as the texts of the batch see it on average.

        Args:
            noise: ``[pairs, width]``, from the prior.
        """
        text, pooled = texts["vectors"], self.pooled(texts, videos)
        own = (F.normalize(text, dim=-1)[:, None] * videos["frames"]).sum(-1)
        radius = self.stochastic["std_branch"](own)
        towards = F.normalize(pooled.mean(0) - text, dim=-1)
        drawn, support = text + noise * radius, text + towards * radius
        return cosine(drawn[:, None], pooled), cosine(support[:, None], pooled)

    def _training_noise(self, like: Tensor) -> Tensor:
        if self.config.prior == "uniform01":
            return torch.rand_like(like)
        return self.config.prior_std * torch.randn_like(like)

    def _noise(self, seeds: Tensor, trial: int, width: int) -> Tensor:
        """Points of the prior: ``[texts, videos, width]`` of the seeds of the pairs ``[texts, videos]``."""
        table = pair_noise.combine(self.config.seed, trial, torch.arange(width, device=seeds.device))
        if self.config.prior == "uniform01":
            return pair_noise.uniform(seeds, table)
        return self.config.prior_std * pair_noise.normal(seeds, table)

    def _best(self, texts: Encoded, videos: Encoded) -> Tensor:
        """Best cosines ``[texts, videos]``; only one trial at a time is in memory."""
        text, pooled = texts["vectors"][:, None], F.normalize(self.pooled(texts, videos), dim=-1)
        if not self.config.trials:
            return (F.normalize(text, dim=-1) * pooled).sum(-1)
        seeds, radius = self._pairs(texts, videos)
        scores = pooled.new_full(pooled.shape[:2], -torch.inf)
        for trial in range(self.config.trials):
            point = torch.addcmul(text, self._noise(seeds, trial, text.shape[-1]), radius)
            scores = torch.maximum(scores, (point * pooled).sum(-1) / point.norm(dim=-1))
        return scores

    def _best_points(self, texts: Encoded, videos: Encoded) -> Tensor:
        """The points that `_best` scores: ``[texts, videos, width]``."""
        text, pooled = texts["vectors"][:, None], self.pooled(texts, videos)
        best = text.expand_as(pooled)
        seeds, radius = self._pairs(texts, videos)
        scores = pooled.new_full(pooled.shape[:2], -torch.inf)
        for trial in range(self.config.trials):
            point = torch.addcmul(text, self._noise(seeds, trial, text.shape[-1]), radius)
            found = cosine(point, pooled)
            best = torch.where((found > scores)[..., None], point, best)
            scores = torch.maximum(scores, found)
        return best

    def _pairs(self, texts: Encoded, videos: Encoded) -> tuple[Tensor, Tensor]:
        """Seed ``[texts, videos]`` and radius ``[texts, videos, width]`` of each pair."""
        cosines = torch.einsum("td,vfd->tvf", F.normalize(texts["vectors"], dim=-1), videos["frames"])
        seeds = pair_noise.combine(texts["seeds"][:, None], videos["places"][None])
        return seeds, self.stochastic["std_branch"](cosines)

    def _pooled_with_own_captions(self, texts: Encoded, videos: Encoded, owners: Tensor, turns: Tensor) -> Tensor:
        """``[videos, most captions of one video, width]``; NaN where a video has fewer."""
        width = texts["vectors"].shape[-1]
        gallery = texts["vectors"].new_full((len(videos), int(turns.max()) + 1, width), torch.nan)
        for video in range(len(videos)):
            own = (owners == video).nonzero()[:, 0]
            if len(own):
                pooled = self.pooled(texts.rows(own), videos.rows(torch.tensor([video], device=own.device)))
                gallery[video, turns[own]] = pooled[:, 0]
        return gallery


def _placed(videos: Encoded) -> Encoded:
    return videos.with_(places=torch.arange(len(videos), device=videos["keys"].device))


def _turn_among_equals(values: Tensor) -> Tensor:
    """How many equal entries stand before each entry: int ``[n]``."""
    return (values[:, None] == values[None, :]).tril(-1).sum(1)

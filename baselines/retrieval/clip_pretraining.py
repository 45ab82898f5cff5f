"""`ivcr-bench train clip`: the small CLIP that the ``mini`` baselines start from, as the originals start from CLIP.

It sees random moments of the training films of IVCR-Mini, each with a sentence about the shot in one of the two
languages, and learns which belong together. Validation films choose the checkpoint; test films are never opened.

One part is not CLIP's: for a while, and then beside the contrast, each image also says which words its captions hold
(`tag_loss`). It takes the place of a large training set: without it, small objects are lost behind the backgrounds.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset as TorchDataset
from transformers import PreTrainedTokenizerBase, Trainer, TrainingArguments, set_seed
from transformers.trainer_utils import get_last_checkpoint

from baselines.backbones.blip2 import RARE
from baselines.backbones.blip2_losses import tag_loss
from baselines.backbones.frames import augment, normalise, tubelets
from baselines.backbones.tokenizer import load_tokenizer
from baselines.retrieval.clip_backbone import ClipBackbone, ClipConfig, tokenize
from baselines.retrieval.film_frames import Sampling
from baselines.retrieval.losses import symmetric_cross_entropy
from baselines.retrieval.methods import TOKENIZER
from baselines.retrieval.queries import films_of, scene_key
from ivcr_bench import __version__
from ivcr_bench.data.dataset import Dataset
from ivcr_bench.data.mini.build import ensure_videos
from ivcr_bench.data.mini.captions import caption
from ivcr_bench.data.mini.world import Film, Shot
from ivcr_bench.errors import IvcrError
from ivcr_bench.jsonl import write_atomically
from ivcr_bench.progress import track
from ivcr_bench.schema import LANGUAGES, Split

BEST = "R@1"
CAPTION_TOKENS = 48
IMAGES_AT_ONCE = 64


@dataclass(frozen=True)
class ClipTraining:
    """Settings of the pre-training.

    Attributes:
        batch: pairs of an image and a sentence.
        tag_steps: the first so many steps train the image tower alone, on the words of captions.
        tag_weight: of that loss beside the contrast, later.
        shift: the largest random move of an image, in pixels.
        rate: frames a second that are decoded.
        half: compute in bfloat16 where that is safe.
    """

    steps: int = 3000
    batch: int = 96
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup_steps: int = 100
    tag_steps: int = 700
    tag_weight: float = 0.5
    shift: int = 4
    rate: float = 2.0
    half: bool = True
    evaluation_steps: int = 250


PRESETS: Mapping[str, ClipTraining] = {"mini": ClipTraining()}


@dataclass(frozen=True)
class Shots:
    """The shots of some films, and their frames.

    Attributes:
        images: of each film, at ``rate`` frames a second: uint8 ``[frames, size, size, 3]``.
        ids: equal for shots that one sentence may fit.
    """

    shots: Sequence[tuple[str, Shot]]
    images: Mapping[str, np.ndarray]
    rate: float
    ids: Tensor

    @classmethod
    def of(cls, films: Sequence[Film], images: Mapping[str, np.ndarray], rate: float) -> Shots:
        """All shots of ``films``."""
        shots = [(film.video_id, shot) for film in films for shot in film.shots]
        contents: dict[tuple[str, ...], int] = {}
        ids = [contents.setdefault(scene_key(shot), len(contents)) for _, shot in shots]
        return cls(shots, images, rate, torch.tensor(ids))

    @classmethod
    def decoded(cls, dataset: Dataset, split: Split, config: ClipConfig, rate: float) -> Shots:
        """All shots of a split of an IVCR-Mini, its films rendered if need be.

        Raises:
            IvcrError: the dataset is no IVCR-Mini, or a film cannot be read.
        """
        films, corpus = films_of(dataset, split), dataset.corpus(split)
        ensure_videos(dataset, [film.video_id for film in films])
        sampling = Sampling(rate, config.image_size, 1, "repeat", config.tubelet)
        ids = track([film.video_id for film in films], "Decoding films")
        return cls.of(films, {v: sampling.decode(corpus.path(v)) for v in ids}, rate)

    def tubelet(self, place: int, length: int, rng: np.random.Generator | None = None) -> np.ndarray:
        """A tubelet within a shot, its middle one without ``rng``: uint8 ``[1, size, size, 3 * length]``."""
        video_id, shot = self.shots[place]
        first, last = round(shot.start * self.rate), round(shot.end * self.rate) - length
        last = max(first, last)
        start = (first + last) // 2 if rng is None else int(rng.integers(first, last + 1))
        return tubelets(self.images[video_id], length, np.array([start]))


class CaptionedShots(TorchDataset[dict[str, Tensor]]):
    """Item i is the batch of one training step; it depends on (seed, i) only, so that training resumes."""

    def __init__(
        self,
        shots: Shots,
        tokenizer: PreTrainedTokenizerBase,
        config: ClipConfig,
        training: ClipTraining,
        seed: int,
    ) -> None:
        self.shots, self.tokenizer, self.config = shots, tokenizer, config
        self.training, self.seed = training, seed

    def __len__(self) -> int:
        return self.training.steps

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.seed, step])
        count = min(self.training.batch, len(self.shots.shots))
        chosen = rng.choice(len(self.shots.shots), count, replace=False)
        images = np.concatenate([self.shots.tubelet(int(place), self.config.tubelet, rng) for place in chosen])
        both = [[caption(self.shots.shots[place][1], language, rng) for language in LANGUAGES] for place in chosen]
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        moved = augment(torch.from_numpy(images), self.training.shift, generator)
        input_ids, mask = tokenize(self.tokenizer, [pair[int(rng.integers(2))] for pair in both], CAPTION_TOKENS)
        return {
            "pixels": normalise(moved),
            "input_ids": input_ids,
            "mask": mask,
            "ids": self.shots.ids[chosen],
            "tags": self._tags([" ".join(pair) for pair in both]),
        }

    def _tags(self, texts: Sequence[str]) -> Tensor:
        """Which tokens each text holds: ``[texts, vocabulary]``; special tokens do not count."""
        ids, mask = tokenize(self.tokenizer, texts, 2 * CAPTION_TOKENS)
        tags = torch.zeros(len(texts), self.config.vocab_size).scatter_(1, ids * mask, 1.0)
        tags[:, self.tokenizer.all_special_ids] = 0.0
        return tags


class Pretraining(nn.Module):
    """A CLIP with a head that is thrown away afterwards; `forward` gives the loss of a batch."""

    def __init__(self, clip: ClipBackbone, training: ClipTraining) -> None:
        super().__init__()
        self.clip, self.training_settings = clip, training
        sizes = ClipConfig.of(clip)
        self.tag_head = nn.Linear(sizes.vision_width, sizes.vocab_size)
        nn.init.constant_(self.tag_head.bias, RARE)
        self.contrasts = False

    def forward(self, pixels: Tensor, input_ids: Tensor, mask: Tensor, ids: Tensor, tags: Tensor) -> dict[str, Tensor]:
        """Tags alone until ``contrasts``, then also the contrast, in which equal ids are positives of each other."""
        seen = self.clip.vision_model(pixel_values=pixels)
        tag = tag_loss(self.tag_head(seen.last_hidden_state[:, 1:]).amax(1).float(), tags)
        if not self.contrasts:
            return {"loss": tag}
        self.clip.clamp_logit_scale()
        images = nn.functional.normalize(self.clip.visual_projection(seen.pooler_output).float(), dim=-1)
        texts = nn.functional.normalize(self.clip.sentence_vectors(input_ids, mask).float(), dim=-1)
        contrast = symmetric_cross_entropy(self.clip.scale() * texts @ images.T, ids[:, None] == ids[None, :])
        return {"loss": contrast + self.training_settings.tag_weight * tag}


class ClipTrainer(Trainer):
    """Switches the contrast on, and judges on the validation shots."""

    def __init__(self, validation: CaptionedShots, **kwargs: Any) -> None:
        super().__init__(eval_dataset=validation, data_collator=_only, **kwargs)
        self.validation = validation

    def compute_loss(self, model: nn.Module, inputs: dict[str, Tensor], *args: Any, **kwargs: Any) -> Any:  # noqa: D102
        assert isinstance(self.model, Pretraining)
        self.model.contrasts = self.state.global_step >= self.model.training_settings.tag_steps
        return super().compute_loss(model, inputs, *args, **kwargs)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:  # noqa: D102
        assert isinstance(self.model, Pretraining)
        figures = judge(self.model.clip, self.validation.shots, self.validation.tokenizer)
        metrics = {f"eval_{name}": value for name, value in figures.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


def train(dataset: Dataset, *, preset: str, out: Path, seed: int, resume: bool) -> Path:
    """Train a small CLIP on the train split of ``dataset``, an IVCR-Mini; see `ivcr_bench.cli.train.Trainer`.

    Returns:
        ``out/weights``: a folder that `ClipBackbone.load` reads.
    """
    if preset not in PRESETS:
        raise IvcrError(f"clip: no preset {preset!r} to train, expected one of {', '.join(PRESETS)}")
    training, tokenizer = PRESETS[preset], load_tokenizer(TOKENIZER)
    config = ClipConfig.mini(len(tokenizer), tokenizer.eos_token_id)
    data = {split: Shots.decoded(dataset, split, config, training.rate) for split in ("train", "val")}
    batches, validation = (CaptionedShots(shots, tokenizer, config, training, seed) for shots in data.values())
    started = time.monotonic()
    clip = train_clip(config, batches, validation, out / "checkpoints", resume)
    minutes = (time.monotonic() - started) / 60
    weights = out / "weights"
    clip.half().save_pretrained(weights)
    tokenizer.save_pretrained(weights)
    figures = judge(ClipBackbone.load(weights).eval(), data["val"], tokenizer)
    _write_card(weights, dataset, f"ivcr-bench train clip --preset {preset} --seed {seed}", minutes, figures)
    return weights


def train_clip(
    config: ClipConfig, batches: CaptionedShots, validation: CaptionedShots, out: Path, resume: bool = False
) -> ClipBackbone:
    """A new CLIP, trained, at its best checkpoint; all checkpoints go to ``out``."""
    set_seed(batches.seed)
    model = Pretraining(ClipBackbone.build(config), batches.training)
    trainer = ClipTrainer(validation, model=model, args=_arguments(batches, out), train_dataset=batches)
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(out)) if resume and out.is_dir() else None)
    return model.clip.eval()


@torch.inference_mode()
def judge(clip: ClipBackbone, shots: Shots, tokenizer: PreTrainedTokenizerBase) -> dict[str, float]:
    """How often a sentence finds its shot among all, by its middle: R@1 and R@10, from 0 to 1."""
    was_training, device = clip.training, clip.logit_scale.device
    clip.eval()
    length, rng = ClipConfig.of(clip).tubelet, np.random.default_rng(0)
    images = normalise(np.concatenate([shots.tubelet(place, length) for place in range(len(shots.shots))]))
    parts = [clip.frame_vectors(part[:, None].to(device))[:, 0] for part in images.split(IMAGES_AT_ONCE)]
    ranks = []
    for language in LANGUAGES:
        texts = [caption(shot, language, rng) for _, shot in shots.shots]
        ids, mask = (x.to(device) for x in tokenize(tokenizer, texts, CAPTION_TOKENS))
        scores = clip.sentence_vectors(ids, mask) @ nn.functional.normalize(torch.cat(parts), dim=-1).T
        right = shots.ids[:, None] == shots.ids[None, :]
        best = scores.cpu().masked_fill(~right, -torch.inf).amax(1, keepdim=True)
        ranks.append(((scores.cpu() >= best) & ~right).sum(1))
    clip.train(was_training)
    places = torch.cat(ranks)
    return {f"R@{k}": (places < k).float().mean().item() for k in (1, 10)}


def _arguments(batches: CaptionedShots, out: Path) -> TrainingArguments:
    training = batches.training
    return TrainingArguments(
        output_dir=str(out),
        max_steps=training.steps,
        per_device_train_batch_size=1,
        learning_rate=training.learning_rate,
        weight_decay=training.weight_decay,
        warmup_steps=training.warmup_steps,
        lr_scheduler_type="cosine",
        max_grad_norm=1.0,
        logging_steps=50,
        eval_strategy="steps",
        eval_steps=training.evaluation_steps,
        save_steps=training.evaluation_steps,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model=BEST,
        greater_is_better=True,
        seed=batches.seed,
        bf16=training.half,
        use_cpu=not torch.cuda.is_available(),
        ddp_find_unused_parameters=True,
        remove_unused_columns=False,
        report_to="none",
    )


def _write_card(folder: Path, dataset: Dataset, command: str, minutes: float, figures: Mapping[str, float]) -> None:
    clip = ClipBackbone.load(folder)
    parameters = sum(parameter.numel() for parameter in clip.parameters())
    size = (folder / "model.safetensors").stat().st_size / 2**20
    reached = ", ".join(f"{name} {100 * value:.1f} %" for name, value in figures.items())
    text = f"""# A small bilingual CLIP, preset `mini`

What CLIP4Clip, X-Pool, TS2-Net and T-MASS start from on IVCR-Mini, as the originals start from CLIP; see
`docs/retrieval.md`. A "frame" is four frames, half a second apart: the motions of IVCR-Mini do not show in one.

| | |
| --- | --- |
| made by | `{command}` |
| data | {dataset.card.name}, fingerprint {dataset.card.fingerprint}, shots and captions of the train split |
| size | {parameters:,} parameters, {size:.2f} MiB of safetensors, float16 |
| training | {minutes:.0f} minutes, from random weights |
| a sentence finds its shot among those of the validation films | {reached} |
| harness | ivcr-bench {__version__} |

It knows the films of IVCR-Mini and nothing else, in English and Chinese.
"""
    write_atomically(folder / "README.md", [text.encode()])


def _only(items: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return items[0]

"""`ivcr-bench train cg_detr` and the other four: one training, whatever the method."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset as TorchDataset
from transformers import TrainingArguments, set_seed
from transformers.trainer_utils import get_last_checkpoint

from baselines.interllava.phase1_training import LossPartsTrainer
from baselines.moment.card import write_card
from baselines.moment.features import FilmFeatures, SharedFeatures, Standard
from baselines.moment.methods import Method, localise, method_named
from baselines.moment.objectives import AnsweredBatch
from baselines.moment.settings import MomentTraining, Plan
from baselines.moment.training_data import MomentQuery, training_queries
from baselines.moment.weights import TrainedOn, load_weights, save_weights
from ivcr_bench.data.dataset import Dataset
from ivcr_bench.data.mini.build import ensure_videos
from ivcr_bench.schema import Moment, Split
from ivcr_bench.scoring.moments import best_iou, recall_at_iou

_SPLITS: tuple[Split, Split] = ("train", "val")
QUERIES_AT_ONCE = 64
STANDARD_TEXTS = 1000
"""How many queries the mean and deviation of text features are taken of."""
BEST = "R@1 IoU=0.5"
"""The figure that tells which checkpoint is kept."""


@dataclass(frozen=True)
class MomentData:
    """What a split is trained or judged on.

    Attributes:
        dialogues: queries that are turns of dialogues.
        captions: queries that are sentences about single shots.
    """

    features: SharedFeatures
    films: Mapping[str, FilmFeatures]
    dialogues: Sequence[MomentQuery]
    captions: Sequence[MomentQuery] = ()

    @classmethod
    def of(cls, dataset: Dataset, split: Split, features: SharedFeatures, training: MomentTraining) -> MomentData:
        """Films and queries of ``split``; only training films get more queries than the dataset has."""
        corpus = dataset.corpus(split)
        ensure_videos(dataset, [video.video_id for video in corpus.videos])
        seeds = training.dialogue_seeds if split == "train" else 0
        dialogues, captions = training_queries(dataset, split, training.policy, seeds)
        return cls(features, features.films(corpus), dialogues, captions)

    def standard(self) -> Standard:
        """Of these films, and of some of these queries."""
        texts = [query.text for query in self.dialogues[:STANDARD_TEXTS]]
        return Standard.of(self.films.values(), self.features.words(texts))

    def standardised(self, standard: Standard) -> MomentData:
        """The same, with features that are brought to ``standard``."""
        films = {video_id: standard.film(film) for video_id, film in self.films.items()}
        return replace(self, features=self.features.standardised(standard), films=films)


class QueryBatches(TorchDataset[dict[str, AnsweredBatch]]):
    """Item i is the batch of one training step; it depends on (seed, i) only, so that training resumes."""

    def __init__(self, method: Method, data: MomentData, training: MomentTraining, seed: int) -> None:
        self.method, self.data, self.training, self.seed = method, data, training, seed
        self._dialogues, self._captions = _by_film(data.dialogues), _by_film(data.captions)
        self._ids = sorted(self._dialogues)

    def __len__(self) -> int:
        return self.training.steps

    def __getitem__(self, step: int) -> dict[str, Any]:
        rng = np.random.default_rng([self.seed, step])
        count = min(self.training.films, len(self._ids))
        ids = [self._ids[place] for place in rng.choice(len(self._ids), count, replace=False)]
        # Round by round, so that neighbours are about different films.
        queries = [self._query(video_id, rng) for _ in range(self.training.queries) for video_id in ids]
        films = [self.data.films[query.video_id] for query in queries]
        words = self.data.features.words([query.text for query in queries])
        moments = [torch.tensor(query.moments, dtype=torch.float64) for query in queries]
        return {"batch": AnsweredBatch(self.method.batch(films, words), films, moments, rng)}

    def _query(self, video_id: str, rng: np.random.Generator) -> MomentQuery:
        captions = self._captions.get(video_id, ())
        chosen = captions if captions and rng.random() < self.training.caption_share else self._dialogues[video_id]
        return chosen[int(rng.integers(len(chosen)))]


class MomentTrainer(LossPartsTrainer):
    """Trains any method, and judges it on the validation films."""

    def __init__(self, method: Method, validation: MomentData, late_step: float, **kwargs: Any) -> None:
        super().__init__(eval_dataset=validation.dialogues, **kwargs)
        self.method, self.validation, self.late_step = method, validation, late_step

    def parts(self, model: nn.Module, inputs: dict[str, Any]) -> dict[str, Tensor]:
        """The weighted losses of the method."""
        assert isinstance(model, nn.ModuleDict)
        batch = inputs["batch"].on(self.args.device, late=self.state.global_step >= self.late_step)
        return self.method.objective(model["moment"], batch)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:  # noqa: D102
        assert isinstance(self.model, nn.ModuleDict)
        figures = judge(self.method, self.model["moment"], self.validation)
        metrics = {f"eval_{name}": value for name, value in figures.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


def train_method(name: str, dataset: Dataset, *, preset: str, out: Path, seed: int, resume: bool) -> Path:
    """Train the method ``name`` on the train split of ``dataset``; see `ivcr_bench.cli.train.Trainer`.

    Args:
        preset: of `baselines.moment.settings`.
        out: ``checkpoints/`` holds what is needed to resume and the best so far, ``weights/`` the result.

    Returns:
        ``out/weights``.
    """
    return train_on(dataset, SharedFeatures.shipped(), Plan(name, preset, seed), out, resume=resume)


def train_on(dataset: Dataset, features: SharedFeatures, plan: Plan, out: Path, *, resume: bool = False) -> Path:
    """As `train_method`, on given features."""
    method, training = method_named(plan.method), plan.training
    raw_train, raw_val = (MomentData.of(dataset, split, features, training) for split in _SPLITS)
    standard = raw_train.standard()
    train, val = raw_train.standardised(standard), raw_val.standardised(standard)
    config = method.sized(method.preset("mini"), features.video_width, features.text_width)
    batches = QueryBatches(method, train, training, plan.seed)
    started = time.monotonic()
    model = train_model(method, config, batches, val, out / "checkpoints", resume=resume)
    minutes = (time.monotonic() - started) / 60
    weights = out / "weights"
    save_weights(weights, plan.method, model, TrainedOn(features.fingerprint, training.policy), standard)
    write_card(weights, plan, dataset.card, minutes, judge(method, load_weights(weights).model, val))
    return weights


def train_model(
    method: Method, config: Any, batches: QueryBatches, validation: MomentData, out: Path, *, resume: bool = False
) -> nn.Module:
    """A new model of ``config``, trained, at its best checkpoint; all checkpoints go to ``out``."""
    training = batches.training
    set_seed(batches.seed)
    # Inside a container, because a Trainer would write into the ``config`` of the model itself.
    model = nn.ModuleDict({"moment": method.build(config)})
    trainer = MomentTrainer(
        method,
        validation,
        training.late * training.steps,
        model=model,
        args=_arguments(training, out, batches.seed),
        train_dataset=batches,
        data_collator=lambda items: items[0],
    )
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(out)) if resume and out.is_dir() else None)
    return model["moment"].eval()


@torch.inference_mode()
def judge(method: Method, model: nn.Module, data: MomentData) -> dict[str, float]:
    """R@1 at IoU 0.3, 0.5 and 0.7, and mean IoU, of the dialogue queries, the right film given; from 0 to 1."""
    was_training = model.training
    model.eval()
    reached = []
    for first in range(0, len(data.dialogues), QUERIES_AT_ONCE):
        queries = data.dialogues[first : first + QUERIES_AT_ONCE]
        films, texts = [data.films[query.video_id] for query in queries], [query.text for query in queries]
        for query, rows in zip(queries, localise(method, model, films, data.features.words(texts), texts), strict=True):
            start, end, _ = rows[0].tolist()
            reached.append(best_iou(Moment(query.video_id, start, end), query.video_id, query.moments))
    model.train(was_training)
    ious = np.array(reached)
    figures = {f"R@1 IoU={t}": float(recall_at_iou(ious, t).mean()) for t in (0.3, 0.5, 0.7)}
    return figures | {"mIoU": float(ious.mean())}


def _by_film(queries: Sequence[MomentQuery]) -> dict[str, list[MomentQuery]]:
    found: dict[str, list[MomentQuery]] = {}
    for query in queries:
        found.setdefault(query.video_id, []).append(query)
    return found


def _arguments(training: MomentTraining, out: Path, seed: int) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(out),
        max_steps=training.steps,
        per_device_train_batch_size=1,
        learning_rate=training.learning_rate,
        weight_decay=training.weight_decay,
        warmup_steps=training.warmup_steps,
        lr_scheduler_type="cosine",
        max_grad_norm=training.largest_gradient,
        logging_steps=50,
        eval_strategy="steps",
        eval_steps=training.evaluation_steps,
        save_steps=training.evaluation_steps,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model=BEST,
        greater_is_better=True,
        seed=seed,
        bf16=training.half,
        use_cpu=not torch.cuda.is_available(),
        remove_unused_columns=False,
        report_to="none",
    )


def train_2d_tan(dataset: Dataset, *, preset: str, out: Path, seed: int, resume: bool) -> Path:
    """The trainer ``2d_tan``."""
    return train_method("2d_tan", dataset, preset=preset, out=out, seed=seed, resume=resume)


def train_mmn(dataset: Dataset, *, preset: str, out: Path, seed: int, resume: bool) -> Path:
    """The trainer ``mmn``."""
    return train_method("mmn", dataset, preset=preset, out=out, seed=seed, resume=resume)


def train_umt(dataset: Dataset, *, preset: str, out: Path, seed: int, resume: bool) -> Path:
    """The trainer ``umt``."""
    return train_method("umt", dataset, preset=preset, out=out, seed=seed, resume=resume)


def train_momentdiff(dataset: Dataset, *, preset: str, out: Path, seed: int, resume: bool) -> Path:
    """The trainer ``momentdiff``."""
    return train_method("momentdiff", dataset, preset=preset, out=out, seed=seed, resume=resume)


def train_cg_detr(dataset: Dataset, *, preset: str, out: Path, seed: int, resume: bool) -> Path:
    """The trainer ``cg_detr``."""
    return train_method("cg_detr", dataset, preset=preset, out=out, seed=seed, resume=resume)

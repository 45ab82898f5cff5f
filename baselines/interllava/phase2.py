"""Phase 2: instruction tuning on whole dialogues (paper section 4.2), through `transformers.Trainer`.

A training step is a bundle of three batches: retrieval turns with ten shuffled candidates, moment turns with their
film, and turns without films (the intent sentence, or natural dialogue).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset as TorchDataset
from transformers import TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from baselines.interllava import prompts
from baselines.interllava.assembly import Assembler, Batch, FilmFrames, Sample
from baselines.interllava.config import TrainingConfig
from baselines.interllava.model import InterLlava
from baselines.interllava.objective import loss_parts, official_terms
from baselines.interllava.phase1_training import LossPartsTrainer
from baselines.interllava.routing import Route
from ivcr_bench.schema import Dialogue, Exchange, Turn, gold_answer

HARD_NEGATIVES = 40
"""Negatives are drawn from the first stage's best this many wrong films."""


@dataclass(frozen=True)
class TrainingTurn:
    """A turn of a training dialogue under gold history, ready to be shown to the model.

    Attributes:
        query: ``[shared_width]`` the first stage's vector of the dialogue so far.
        negatives: wrong films, the first stage's best first; empty for turns that are not retrieval.
    """

    dialogue: str
    query: np.ndarray
    route: Route
    turn: Turn
    negatives: Sequence[str]


def gold_exchanges(dialogue: Dialogue) -> list[Exchange]:
    """Every turn of ``dialogue`` as it enters the history of later ones under gold history."""
    return [Exchange(turn.utterance, gold_answer(turn)) for turn in dialogue.turns]


def sample_of(
    item: TrainingTurn,
    assembler: Assembler,
    films: Mapping[str, tuple[FilmFrames, FilmFrames]],
    rng: np.random.Generator,
) -> Sample:
    """The prompt and answer of one turn; candidates are drawn and shuffled anew at each call."""
    gold = item.turn.gold
    if item.route == "video_retrieval":
        right = str(rng.choice(gold.videos))
        count = min(assembler.config.candidates - 1, len(item.negatives))
        wrong = rng.choice(np.asarray(item.negatives), size=count, replace=False).tolist()
        shown = [str(video_id) for video_id in rng.permutation([right, *wrong])]
        index = shown.index(right)
        answer = prompts.retrieval_answer(index, gold.response)
        return assembler.retrieval(item.dialogue, item.query, [films[v][0] for v in shown], answer, index)
    if item.turn.intent == "moment_retrieval":
        start, end = gold.moments[rng.integers(len(gold.moments))]
        feedback = prompts.hide_times(gold.response, *gold.moments[0])
        answer = prompts.moment_answer(prompts.first_second(start), prompts.last_second(end), feedback)
        return assembler.moment(item.dialogue, item.query, films[gold.videos[0]][1], answer, (start, end))
    raise ValueError(f"route {item.route!r} shows no film")


def text_sample_of(item: TrainingTurn, assembler: Assembler) -> Sample:
    """The prompt without films: which route the turn takes, and the reply if it is natural dialogue."""
    answer = [prompts.INTENT_SENTENCES[item.route]]
    if item.route == "natural_dialogue":
        answer.append(item.turn.gold.response)
    return assembler.text(item.dialogue, item.query, answer)


class StepBundles(TorchDataset[dict[str, Any]]):
    """Item i holds the batches of one training step; it depends on (seed, i) only, so that training resumes."""

    def __init__(
        self,
        turns: Sequence[TrainingTurn],
        films: Mapping[str, tuple[FilmFrames, FilmFrames]],
        assembler: Assembler,
        training: TrainingConfig,
        seed: int,
    ) -> None:
        self.turns, self.films, self.assembler = turns, films, assembler
        self.training, self.seed = training, seed
        self.retrieval = [t for t in turns if t.route == "video_retrieval"]
        self.moment = [t for t in turns if t.turn.intent == "moment_retrieval"]

    def __len__(self) -> int:
        return self.training.steps

    def __getitem__(self, step: int) -> dict[str, Any]:
        rng = np.random.default_rng([self.seed, step])
        batches = [
            [self._film_sample(self.retrieval, rng) for _ in range(self.training.retrieval_batch)],
            [self._film_sample(self.moment, rng) for _ in range(self.training.moment_batch)],
            [self._text_sample(rng) for _ in range(self.training.text_batch)],
        ]
        return {"batches": [self.assembler.collate(samples).to_dict() for samples in batches]}

    def _film_sample(self, turns: Sequence[TrainingTurn], rng: np.random.Generator) -> Sample:
        return sample_of(turns[int(rng.integers(len(turns)))], self.assembler, self.films, rng)

    def _text_sample(self, rng: np.random.Generator) -> Sample:
        return text_sample_of(self.turns[int(rng.integers(len(self.turns)))], self.assembler)


class Phase2Trainer(LossPartsTrainer):
    """Sums equation 4 over the batches of a step."""

    def __init__(self, assembler: Assembler, training: TrainingConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.assembler, self.training = assembler, training

    def parts(self, model: nn.Module, inputs: dict[str, Any]) -> dict[str, torch.Tensor]:
        """The weighted losses; ``official`` is logged as the published code would, and has no gradient."""
        assert isinstance(model, nn.ModuleDict)
        interllava = cast(InterLlava, model["interllava"])
        batches = [Batch(**tensors) for tensors in inputs["batches"]]
        losses = [loss_parts(interllava, batch, self.assembler) for batch in batches]
        language = torch.stack([loss.language for loss in losses]).sum()
        if self.training.loss_mode == "official_logged":
            terms = [term for batch in batches for term in official_terms(interllava, batch, self.assembler)]
            return {"l_m": language, "official": torch.tensor(terms).mean()}
        return {
            "l_m": language,
            "l_v": self.training.alpha * torch.stack([loss.index for loss in losses]).sum(),
            "l_c": self.training.beta * torch.stack([loss.interval for loss in losses]).sum(),
        }


def train_phase2(
    model: InterLlava,
    bundles: StepBundles,
    out: Path,
    *,
    resume: bool = False,
) -> InterLlava:
    """Train ``model`` in place for ``bundles.training.steps`` steps; checkpoints go to ``out``."""
    training = bundles.training
    arguments = TrainingArguments(
        output_dir=str(out),
        max_steps=training.steps,
        per_device_train_batch_size=1,
        learning_rate=training.learning_rate,
        weight_decay=training.weight_decay,
        warmup_steps=training.warmup_steps,
        lr_scheduler_type="cosine",
        max_grad_norm=1.0,
        logging_steps=20,
        save_steps=200,
        save_total_limit=2,
        seed=bundles.seed,
        bf16=training.half,
        use_cpu=not torch.cuda.is_available(),
        remove_unused_columns=False,
        report_to="none",
    )
    trainer = Phase2Trainer(
        bundles.assembler,
        training,
        # Inside a container, because a Trainer would write into the ``config`` of the model itself.
        model=nn.ModuleDict({"interllava": model}),
        args=arguments,
        train_dataset=bundles,
        data_collator=lambda items: items[0],
    )
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(out)) if resume and out.is_dir() else None)
    return model

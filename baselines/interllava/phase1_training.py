"""Training of phase 1, in two steps through `transformers.Trainer`.

Step one: BLIP-2 on (a moment of a shot, a caption of the shot), all three losses. Step two: the text tower and the
X-Pool head on dialogues, over the frozen frame features of every training film.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Trainer, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from baselines.backbones.blip2 import Blip2VideoRetriever
from baselines.backbones.blip2_losses import tag_loss
from baselines.backbones.tokenizer import DECODER
from baselines.interllava.phase1 import DialogueRetriever
from baselines.interllava.phase1_data import DialogueBatches, Phase1Training, ShotBatches, StepSettings
from baselines.retrieval.losses import symmetric_cross_entropy


class LossPartsTrainer(Trainer):
    """A trainer that also logs the mean of each part of the loss since the last log."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._sums: dict[str, float] = defaultdict(float)
        self._counted = 0

    def parts(self, model: nn.Module, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """The weighted parts whose sum is the loss."""
        raise NotImplementedError

    def compute_loss(  # noqa: D102
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        parts = self.parts(model, inputs)
        for name, value in parts.items():
            self._sums[name] += value.item()
        self._counted += 1
        total = torch.stack(list(parts.values())).sum()
        return (total, {}) if return_outputs else total

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:  # noqa: D102
        if self._counted and "loss" in logs:
            logs |= {name: round(value / self._counted, 4) for name, value in self._sums.items()}
            self._sums.clear()
            self._counted = 0
        super().log(logs, *args, **kwargs)


class Blip2Trainer(LossPartsTrainer):
    """Step one."""

    def __init__(self, training: Phase1Training, decoder_start: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.training, self.decoder_start = training, decoder_start

    def parts(self, model: nn.Module, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """The tags alone at first, then all losses of a batch of shots."""
        assert isinstance(model, nn.ModuleDict)
        blip2 = model["blip2"]
        assert isinstance(blip2, Blip2VideoRetriever)
        if self.state.global_step < self.training.tag_steps:
            tokens = blip2.vision_model(inputs["pixels"].flatten(0, 1)).last_hidden_state
            return {"tag": tag_loss(blip2.tag_logits(tokens), inputs["tags"])}
        batch = [inputs[name] for name in ("pixels", "input_ids", "mask", "ids")]
        parts = blip2.training_losses(*batch, decoder_start=self.decoder_start, tags=inputs["tags"])
        return {name: weight * parts[name] for name, weight in self.training.weights}


class XPoolTrainer(LossPartsTrainer):
    """Step two."""

    def parts(self, model: nn.Module, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """X-Pool's symmetric cross-entropy over all training films."""
        assert isinstance(model, DialogueRetriever)
        text = model.text_tower(inputs["input_ids"], inputs["mask"])
        logits = model.x_pool.logits(text, inputs["frames"])
        return {"x_pool": symmetric_cross_entropy(logits, inputs["positive"])}


def train_blip2(model: Blip2VideoRetriever, batches: ShotBatches, out: Path, *, resume: bool = False) -> None:
    """Step one: train ``model`` in place; checkpoints go to ``out``."""
    start = batches.tokenizer.get_vocab()[DECODER]
    trainer = Blip2Trainer(
        batches.training,
        start,
        # Inside a container, because a Trainer would write into the ``config`` of the model itself.
        model=nn.ModuleDict({"blip2": model}),
        args=_arguments(batches.training.blip2, out, batches.seed, half=batches.training.half),
        train_dataset=batches,
        data_collator=_only,
    )
    trainer.train(resume_from_checkpoint=_checkpoint(out, resume))


def train_x_pool(model: DialogueRetriever, batches: DialogueBatches, out: Path, *, resume: bool = False) -> None:
    """Step two: train ``model`` in place; checkpoints go to ``out``."""
    trainer = XPoolTrainer(
        model=model,
        args=_arguments(batches.training.x_pool, out, batches.seed, half=False),
        train_dataset=batches,
        data_collator=_only,
    )
    trainer.train(resume_from_checkpoint=_checkpoint(out, resume))


def _arguments(settings: StepSettings, out: Path, seed: int, *, half: bool) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(out),
        max_steps=settings.steps,
        per_device_train_batch_size=1,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warmup_steps=settings.warmup_steps,
        lr_scheduler_type="cosine",
        max_grad_norm=1.0,
        logging_steps=50,
        save_steps=settings.save_steps,
        save_total_limit=2,
        seed=seed,
        bf16=half,
        use_cpu=not torch.cuda.is_available(),
        remove_unused_columns=False,
        report_to="none",
    )


def _only(items: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return items[0]


def _checkpoint(out: Path, resume: bool) -> str | None:
    return get_last_checkpoint(str(out)) if resume and out.is_dir() else None

"""`ivcr-bench train clip4clip` and the other four: one training, whatever the method."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_gather
from torch.optim import AdamW
from transformers import PreTrainedTokenizerBase, Trainer, TrainingArguments, set_seed
from transformers.trainer_utils import get_last_checkpoint

from baselines.backbones.tokenizer import load_tokenizer as load_bilingual
from baselines.retrieval.card import Origin, write_card
from baselines.retrieval.clip_backbone import load_tokenizer
from baselines.retrieval.methods import WEIGHTS, Method, Searcher, method_named
from baselines.retrieval.protocol import Encoded
from baselines.retrieval.queries import policy_named
from baselines.retrieval.settings import RetrievalTraining, training_named
from baselines.retrieval.training_data import PairBatches, RetrievalData, judge
from baselines.retrieval.weights import TrainedOn, load_weights, save_weights
from ivcr_bench.data.dataset import Dataset
from ivcr_bench.errors import IvcrError

BEST = "R@1"
"""The figure that tells which checkpoint is kept."""
BACKBONES: dict[tuple[str, str], str | Path] = {
    ("clip", "mini"): WEIGHTS / "clip-mini",
    ("blip2", "mini"): WEIGHTS / "interllava-mini" / "phase1",
    ("clip", "paper"): "openai/clip-vit-base-patch32",
    ("blip2", "paper"): "Salesforce/blip2-itm-vit-g",
}
"""What a preset starts from if nothing else is named; Hugging Face's names must be in the local cache."""


class Pairs(nn.Module):
    """A method as a trainer calls it: from a batch of `PairBatches` to the loss, over the batches of all processes.

    Args:
        frozen: parts that are not trained, by the beginnings of their names.
    """

    def __init__(self, model: nn.Module, frozen: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.model, self._frozen = model, frozen
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(not name.startswith(frozen) if frozen else True)

    def train(self, mode: bool = True) -> Pairs:
        """As `nn.Module.train`; what is frozen keeps its statistics and drops nothing out."""
        super().train(mode)
        for name, part in self.model.named_modules():
            if name in self._frozen:
                part.eval()
        return self

    def forward(
        self,
        input_ids: Tensor,
        mask: Tensor,
        pixels: Tensor,
        frame_mask: Tensor,
        film: Tensor,
        columns: Tensor,
        relevant: Tensor,
    ) -> dict[str, Tensor]:
        """The loss of a batch; backbones may run in half precision, heads and loss do not."""
        searcher = cast("Searcher", self.model)
        texts = searcher.encode_texts(input_ids, mask).float()
        films = searcher.encode_frames(pixels, frame_mask).float()
        with torch.autocast(pixels.device.type, enabled=False):
            every = gather(Encoded(film=film + _rank() * len(columns), relevant=relevant))
            films, columns = gather(searcher.index(films)), gather(Encoded(columns=columns))["columns"]
            positive = every["relevant"][:, columns[every["film"]]]
            loss = searcher.loss(gather(texts), films.rows(every["film"]), positive)
        return {"loss": loss}


def gather(encoded: Encoded) -> Encoded:
    """The rows of all processes, in the order of their ranks, with gradients to all of them."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return encoded
    return Encoded(**{name: torch.cat(_from_all(tensor)) for name, tensor in encoded.tensors.items()})


def _from_all(tensor: Tensor) -> list[Tensor]:
    if tensor.requires_grad:
        return list(all_gather(tensor.contiguous()))
    found = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
    dist.all_gather(found, tensor.contiguous())
    return found


def _rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


class RetrievalTrainer(Trainer):
    """Trains any method, and judges it on the validation films."""

    def __init__(
        self, method: Method, tokenizer: PreTrainedTokenizerBase, validation: RetrievalData, **kwargs: Any
    ) -> None:
        super().__init__(eval_dataset=validation.dialogues, data_collator=_only, **kwargs)
        self.method, self.tokenizer, self.validation = method, tokenizer, validation

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:  # noqa: D102
        assert isinstance(self.model, Pairs)
        figures = judge(self.method, self.model.model, self.tokenizer, self.validation)
        metrics = {f"eval_{name}": value for name, value in figures.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


def train_method(
    name: str,
    dataset: Dataset,
    *,
    preset: str,
    out: Path,
    seed: int,
    resume: bool,
    backbone: str | None = None,
    query: str | None = None,
) -> Path:
    """Train the method ``name`` on the train split of ``dataset``; see `ivcr_bench.cli.train.Trainer`.

    Args:
        preset: of the model and of `baselines.retrieval.settings`.
        out: ``checkpoints/`` holds what is needed to resume and the best so far, ``weights/`` the result.
        backbone: a folder or cached Hugging Face name to start from, in place of the preset's.
        query: a query policy in place of the preset's.

    Returns:
        ``out/weights``.
    """
    method, training = method_named(name), training_named(name, preset)
    if query is not None:
        training = replace(training, policy=policy_named(query))
    source = backbone or _backbone(method, preset)
    set_seed(seed)
    model = method.start(method.preset(preset), source)
    config, tokenizer = cast("Searcher", model).config, read_tokenizer(source)
    sampling = method.sampling(config, training.rate)
    train, val = (RetrievalData.of(dataset, split, sampling, training) for split in ("train", "val"))
    batches = PairBatches(method, config, tokenizer, train, training, seed)
    started = time.monotonic()
    train_model(method, model, batches, val, out / "checkpoints", resume)
    minutes = (time.monotonic() - started) / 60
    weights = out / "weights"
    if _rank() == 0:
        save_weights(weights, name, model, tokenizer, TrainedOn(training.policy, training.rate))
        figures = judge(method, load_weights(weights).model, tokenizer, val)
        command = f"ivcr-bench train {name} --preset {preset} --seed {seed}"
        if backbone:
            command += f" --backbone {backbone}"
        if query:
            command += f" --query {query}"
        write_card(weights, Origin(command, preset, str(source), dataset.card, minutes, figures))
    return weights


def train_model(
    method: Method, model: nn.Module, batches: PairBatches, validation: RetrievalData, out: Path, resume: bool = False
) -> None:
    """Train ``model`` in place, to its best checkpoint; all checkpoints go to ``out``."""
    pairs = Pairs(model, batches.training.frozen)
    trainer = RetrievalTrainer(
        method,
        batches.tokenizer,
        validation,
        model=pairs,
        args=_arguments(batches, out),
        train_dataset=batches,
        optimizers=(_optimizer(pairs, method.family.part, batches.training), None),
    )
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(out)) if resume and out.is_dir() else None)
    model.eval()


def read_tokenizer(source: str | Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a backbone; a folder of InterLLaVA's first phase has no more than a ``tokenizer.json``.

    Raises:
        IvcrError: there is none.
    """
    folder = Path(source)
    if (folder / "tokenizer.json").is_file() and not (folder / "tokenizer_config.json").is_file():
        return load_bilingual(folder / "tokenizer.json")
    return load_tokenizer(source)


def _backbone(method: Method, preset: str) -> str | Path:
    source = BACKBONES[method.family.part, preset.partition("-")[0]]
    if isinstance(source, Path) and not source.is_dir():
        raise IvcrError(
            f"{source}: not found; {method.title} starts from it",
            hint="make it with `ivcr-bench train clip --preset mini`, or name another with --backbone",
        )
    return source


def _optimizer(pairs: Pairs, backbone: str, training: RetrievalTraining) -> AdamW:
    """Groups by learning rate and weight decay; the order of parameters in a group is the model's."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in pairs.model.named_parameters():
        if parameter.requires_grad:
            rate = training.backbone_rate if name.startswith(f"{backbone}.") else training.head_rate
            decay = training.weight_decay if training.decay_biases or "bias" not in name else 0.0
            groups.setdefault((rate, decay), []).append(parameter)
    return AdamW(
        [{"params": found, "lr": rate, "weight_decay": decay} for (rate, decay), found in groups.items()],
        betas=training.betas,
        eps=training.epsilon,
    )


def _arguments(batches: PairBatches, out: Path) -> TrainingArguments:
    training = batches.training
    steps = -(-batches.steps // int(os.environ.get("WORLD_SIZE", "1")))
    between = max(1, steps // training.evaluations)
    return TrainingArguments(
        output_dir=str(out),
        max_steps=steps,
        per_device_train_batch_size=1,
        warmup_steps=int(training.warmup * steps),
        lr_scheduler_type="cosine",
        max_grad_norm=training.largest_gradient,
        logging_steps=between,
        eval_strategy="steps",
        eval_steps=between,
        save_steps=between,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model=BEST,
        greater_is_better=True,
        seed=batches.seed,
        bf16=training.half,
        use_cpu=not torch.cuda.is_available(),
        dataloader_num_workers=training.workers,
        remove_unused_columns=False,
        report_to="none",
    )


def _only(items: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return items[0]


def _trainer(name: str) -> Callable[..., Path]:
    return partial(train_method, name)


train_clip4clip = _trainer("clip4clip")
train_x_pool = _trainer("x_pool")
train_ts2_net = _trainer("ts2_net")
train_t_mass = _trainer("t_mass")
train_blip2 = _trainer("blip2")

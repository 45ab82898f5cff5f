"""``local:PATH``: a chat model on this machine, asked greedily; its identity is the hash of its weights."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ivcr_bench.errors import IvcrError
from ivcr_bench.scoring.judge.items import JudgeItem, Verdict
from ivcr_bench.scoring.judge.prompt import MAX_TOKENS, SchemaError, build, judge_id, read_verdict
from ivcr_bench.scoring.judge.store import Attempt, Record, Usage, VerdictStore, key_of

DECIDING = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")
"""The files of a model folder that could change a verdict."""

BLOCK = 1 << 20


class LocalJudge:
    """Any Hugging Face chat model in a folder, as ``save_pretrained`` writes it, weights in safetensors.

    Args:
        folder: of the model and its tokenizer; nothing is downloaded, no code of the folder is run.
        store: where verdicts are kept; a model is slow, too.

    Raises:
        IvcrError: the folder holds no chat model, or transformers is not installed.
    """

    def __init__(self, folder: str | Path, store: VerdictStore) -> None:
        self._folder = Path(folder)
        if not list(self._folder.glob("*.safetensors")):
            raise IvcrError(
                f"{folder}: found no *.safetensors, expected the folder of a chat model",
                hint="AutoModelForCausalLM.from_pretrained(NAME).save_pretrained(FOLDER), its tokenizer likewise",
            )
        self.name = f"local:{self._folder.resolve().name}"
        self.judge_id = judge_id("local", weights_hash(self._folder), {"do_sample": False})
        self._store = store
        self._loaded: tuple[Any, Any] | None = None

    def judge(self, items: Iterable[JudgeItem]) -> Iterator[tuple[JudgeItem, Verdict]]:
        """Yield each item with its verdict, in the order given. The model is loaded for the first that is not stored.

        An answer that is no verdict is a judge's error: asked again, a greedy model would say the same.
        """
        for item in items:
            key = key_of(self.judge_id, item)
            record = self._store.get(key)
            if record is None:
                record = self._decided(item)
                self._store.put(key, record)
            yield item, record.verdict

    def _decided(self, item: JudgeItem) -> Record:
        begun = time.perf_counter()
        raw, usage = self._answer(item)
        seconds = time.perf_counter() - begun
        try:
            verdict, outcome = read_verdict(raw, item), "ok"
        except SchemaError as error:
            verdict, outcome = Verdict(None, error=f"schema: {error}"), "schema"
        return Record(verdict, raw, usage, seconds, (Attempt(outcome, usage, seconds),))

    def _answer(self, item: JudgeItem) -> tuple[str, Usage]:
        import torch

        tokenizer, model = self._load()
        prompt = tokenizer.apply_chat_template(
            build(item, self.judge_id), add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        with torch.inference_mode():
            made = model.generate(**prompt.to(model.device), do_sample=False, max_new_tokens=MAX_TOKENS)
        length = prompt["input_ids"].shape[1]
        answer = made[0, length:]
        return tokenizer.decode(answer, skip_special_tokens=True).strip(), Usage(length, len(answer))

    def _load(self) -> tuple[Any, Any]:
        if self._loaded is None:
            try:
                import torch
                from transformers import AutoModelForCausalLM, AutoTokenizer
            except ModuleNotFoundError as error:
                raise IvcrError(f"{self.name}: needs {error.name}", hint="pip install 'ivcr-bench[models]'") from None
            try:
                tokenizer = AutoTokenizer.from_pretrained(self._folder, local_files_only=True)
                model: Any = AutoModelForCausalLM.from_pretrained(
                    self._folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
                )
            except (OSError, ValueError) as error:
                raise IvcrError(f"{self._folder}: holds no chat model: {error}") from None
            if tokenizer.chat_template is None:
                raise IvcrError(f"{self._folder}: its tokenizer has no chat template, expected a chat model")
            self._loaded = tokenizer, model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
        return self._loaded


def weights_hash(folder: Path) -> str:
    """64 hex digits of all that could change what the model in ``folder`` says, file names included."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in DECIDING for path in folder.glob(pattern)}):
        digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as stream:
            while block := stream.read(BLOCK):
                digest.update(block)
    return digest.hexdigest()

"""A chat model in a folder: asked greedily, known by its weights, its nonsense a judge's error."""

from __future__ import annotations

import json

import pytest

from ivcr_bench.errors import IvcrError
from ivcr_bench.scoring.judge.items import JudgeItem, Label
from ivcr_bench.scoring.judge.local import LocalJudge, weights_hash
from ivcr_bench.scoring.judge.store import Usage, VerdictStore

ITEMS = [JudgeItem("d", turn, "en", ("find a cat",), "a white cat", f"a cat {turn}") for turn in (1, 2)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A LLaMA of some thousand weights that was never trained, with a tokenizer of bytes."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = Tokenizer(models.BPE({letter: index for index, letter in enumerate(alphabet)}, []))
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokens.decoder = decoders.ByteLevel()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=tokens)
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}\n{% endfor %}"
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(alphabet),
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        max_position_embeddings=8192,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=0,
    )
    root = tmp_path_factory.mktemp("model")
    transformers.LlamaForCausalLM(config).save_pretrained(root)
    tokenizer.save_pretrained(root)
    return root


def test_nonsense_is_an_error_of_the_judge_and_is_said_once(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("ivcr_bench.scoring.judge.local.MAX_TOKENS", 3)
    with VerdictStore(tmp_path) as store:
        first = list(LocalJudge(folder, store).judge(ITEMS))
        assert [item for item, _ in first] == ITEMS
        assert all(verdict.label is None and verdict.error.startswith("schema") for _, verdict in first)
        monkeypatch.setattr(LocalJudge, "_load", lambda judge: pytest.fail("asked twice"))
        assert list(LocalJudge(folder, store).judge(ITEMS)) == first


def test_a_verdict_is_read(folder, tmp_path, monkeypatch):
    raw = json.dumps({"evidence": ["white cat"], "flags": [], "label": "somewhat_relevant"})
    monkeypatch.setattr(LocalJudge, "_answer", lambda judge, item: (raw, Usage(9, 9)))
    with VerdictStore(tmp_path) as store:
        assert [verdict.label for _, verdict in LocalJudge(folder, store).judge(ITEMS)] == [Label.SOMEWHAT] * 2


def test_other_weights_are_another_judge(folder, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    with VerdictStore(tmp_path / "store") as store:
        assert LocalJudge(copy, store).judge_id == LocalJudge(folder, store).judge_id
        weights = copy / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
        assert weights_hash(copy) != weights_hash(folder)
        assert LocalJudge(copy, store).judge_id != LocalJudge(folder, store).judge_id


def test_a_folder_without_weights_is_an_error(tmp_path):
    with VerdictStore(tmp_path) as store, pytest.raises(IvcrError, match="safetensors"):
        LocalJudge(tmp_path, store)

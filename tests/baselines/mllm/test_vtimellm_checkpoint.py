"""The authors' files become our model; three stages, two adapters (recipe 4 of the sheet)."""

import json

import pytest
import torch
from torch.testing import assert_close
from vtimellm_fixture import FRAMES, SHOWN, TINY, TOKENIZER, WIDTH, tokenize

from baselines.mllm.llama import answer_loss, collate
from baselines.mllm.lora import attach
from baselines.mllm.pieces import encode
from baselines.mllm.protocol import Round
from baselines.mllm.vtimellm import METHOD, stages
from baselines.mllm.vtimellm.checkpoint import convert, read_authors_files
from baselines.mllm.vtimellm.prompts import conversation
from ivcr_bench.errors import IvcrError

SCALE = 2.0
ADAPTED = [f"model.layers.{n}.self_attn.{p}_proj" for n in range(2) for p in "qkvo"] + [
    f"model.layers.{n}.mlp.{p}_proj" for n in range(2) for p in ("gate", "up", "down")
]
SETTINGS = {
    "r": 4,
    "lora_alpha": 8,
    "target_modules": ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"],
    "base_model_name_or_path": "/somewhere/else",
    "use_rslora": False,
}


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(3)


@pytest.fixture
def base():
    torch.manual_seed(4)
    return {name: value.half() for name, value in TINY.llama.build().state_dict().items()}


def adapter(base, generator):
    """As peft saves it."""
    factors = {}
    for module in ADAPTED:
        rows, columns = base[f"{module}.weight"].shape
        name = f"base_model.model.{module}"
        factors[f"{name}.lora_A.weight"] = 0.1 * torch.randn(4, columns, generator=generator)
        factors[f"{name}.lora_B.weight"] = 0.1 * torch.randn(rows, 4, generator=generator)
    return factors


def projector(generator):
    return {
        "model.mm_projector.weight": torch.randn(64, WIDTH, generator=generator),
        "model.mm_projector.bias": torch.randn(64, generator=generator),
    }


@pytest.fixture
def checkpoint(base, generator):
    both = {f"stage{n}.{k}": v for n in (2, 3) for k, v in adapter(base, generator).items()}
    return base | projector(generator) | both


def test_two_adapters_are_merged(base, checkpoint):
    found = convert(checkpoint, TINY)
    assert found.keys() == METHOD.build(TINY).state_dict().keys()
    for module in ADAPTED:
        expected = base[f"{module}.weight"].float()
        for stage in (2, 3):
            name = f"stage{stage}.base_model.model.{module}"
            expected = expected + SCALE * checkpoint[f"{name}.lora_B.weight"] @ checkpoint[f"{name}.lora_A.weight"]
        merged = found[f"llama.{module}.weight"]
        assert merged.dtype == torch.float16
        # Cast once: not between the adapters.
        assert torch.equal(merged, expected.half())
    assert torch.equal(found["llama.lm_head.weight"], base["lm_head.weight"])
    assert torch.equal(found["mm_projector.bias"], checkpoint["model.mm_projector.bias"])


def test_stage_2_alone_can_be_converted(base, checkpoint):
    alone = {name: value for name, value in checkpoint.items() if not name.startswith("stage3.")}
    one, both = convert(alone, TINY), convert(checkpoint, TINY)
    name = "llama.model.layers.0.self_attn.q_proj.weight"
    assert not torch.equal(one[name], both[name])
    assert not torch.equal(one[name], base[name.removeprefix("llama.")])


def test_the_base_weights_stay_as_they_are(base, checkpoint):
    before = {name: value.clone() for name, value in checkpoint.items()}
    convert(checkpoint, TINY)
    assert all(torch.equal(before[name], value) for name, value in checkpoint.items())


@pytest.mark.parametrize("prefix", ["base_model.model.model.", "model.model.", ""])
def test_names_of_the_projector(checkpoint, prefix):
    renamed = {name.replace("model.mm_projector.", f"{prefix}mm_projector."): v for name, v in checkpoint.items()}
    assert torch.equal(convert(renamed, TINY)["mm_projector.weight"], checkpoint["model.mm_projector.weight"])


def test_weights_beside_an_adapter_replace_the_base(checkpoint):
    beside = {"stage2.base_model.model.model.norm.weight": torch.full((64,), 7.0)}
    found = convert(checkpoint | beside, TINY)
    assert found["llama.model.norm.weight"].tolist() == [7.0] * 64
    assert found.keys() == convert(checkpoint, TINY).keys()


def test_a_buffer_of_old_files_is_left_out(checkpoint):
    old = {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(8)}
    assert convert(checkpoint | old, TINY).keys() == convert(checkpoint, TINY).keys()


def test_an_adapter_without_a_layer_is_refused(checkpoint):
    for factor in "AB":
        del checkpoint[f"stage3.base_model.model.model.layers.1.mlp.up_proj.lora_{factor}.weight"]
    with pytest.raises(IvcrError, match=r"stage3: no adapter for model\.layers\.1\.mlp\.up_proj"):
        convert(checkpoint, TINY)


def test_the_authors_folders(tmp_path, base, generator):
    made = projector(generator)
    torch.save(made, tmp_path / "mm_projector.bin")
    adapters = []
    for stage in ("two", "three"):
        folder = tmp_path / stage
        folder.mkdir()
        adapters.append(adapter(base, generator))
        torch.save(adapters[-1], folder / "adapter_model.bin")
        torch.save({}, folder / "non_lora_trainables.bin")
        (folder / "adapter_config.json").write_text(json.dumps(SETTINGS), encoding="utf-8")
    folders = (tmp_path / "two", tmp_path / "three")
    found = read_authors_files(base, tmp_path / "mm_projector.bin", folders, TINY)
    expected = (
        base | made | {f"stage{n}.{k}": v for n, held in zip((2, 3), adapters, strict=True) for k, v in held.items()}
    )
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    METHOD.build(TINY).load_state_dict(convert(found, TINY))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lora_alpha": 4}, "found rank 4, alpha 4"),
        ({"use_rslora": True}, "found use_rslora=True, expected plain LoRA"),
        ({"target_modules": ["q_proj"]}, r"on \['q_proj'\]"),
        ({"r": None}, "found rank None"),
    ],
)
def test_another_kind_of_adapter_is_refused(tmp_path, base, generator, change, message):
    torch.save(projector(generator), tmp_path / "mm_projector.bin")
    torch.save(adapter(base, generator), tmp_path / "adapter_model.bin")
    (tmp_path / "adapter_config.json").write_text(json.dumps(SETTINGS | change), encoding="utf-8")
    with pytest.raises(IvcrError, match=message):
        read_authors_files(base, tmp_path / "mm_projector.bin", (tmp_path,), TINY)


def test_settings_that_cannot_be_read(tmp_path, base, generator):
    torch.save(projector(generator), tmp_path / "mm_projector.bin")
    (tmp_path / "adapter_config.json").write_text("{", encoding="utf-8")
    with pytest.raises(IvcrError, match=r"adapter_config\.json: cannot read the adapter's settings"):
        read_authors_files(base, tmp_path / "mm_projector.bin", (tmp_path,), TINY)


# --- the three stages --------------------------------------------------------------------------------------------


@pytest.fixture
def model():
    torch.manual_seed(5)
    return METHOD.build(TINY)


def trainable(model):
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def loss(model):
    told = encode(conversation([Round("why", "it runs")], SHOWN, TINY), tokenize, TOKENIZER.bos_token_id)
    films = model.film_tokens(torch.randn(1, FRAMES, WIDTH, generator=torch.Generator().manual_seed(6)))
    return answer_loss(model.llama, collate([told]), films)


def few_steps(model):
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2, weight_decay=0.0)
    for _ in range(5):
        optimiser.zero_grad()
        loss(model).backward()
        optimiser.step()


def test_stage_1_trains_the_projection(model):
    assert stages.begin(model, 1) is None
    assert trainable(model) == {"mm_projector.weight", "mm_projector.bias"}


@pytest.mark.parametrize("stage", [2, 3])
def test_later_stages_train_an_adapter(model, stage):
    stages.begin(model, stage)
    expected = {f"llama.{module}.lora_{f}.default.weight" for module in ADAPTED for f in "AB"}
    assert trainable(model) == expected


def test_the_adapter_of_7b_has_the_published_size():
    with torch.device("meta"):
        paper = METHOD.build(METHOD.preset("paper"))
        adapter = stages.begin(paper, 2)
    assert adapter.peft_config["default"].lora_alpha / adapter.peft_config["default"].r == SCALE
    assert sum(p.numel() for p in paper.parameters() if p.requires_grad) == 159_907_840


def test_all_stages_one_after_the_other(model):
    names, started = set(model.state_dict()), {k: v.clone() for k, v in model.state_dict().items()}
    losses = [loss(model).item()]
    for stage in (1, 2, 3):
        adapter = stages.begin(model, stage)
        few_steps(model)
        with torch.no_grad():
            active = loss(model.eval()).item()
            stages.finish(model, adapter)
            losses.append(loss(model).item())
        assert losses[-1] == pytest.approx(active, abs=1e-4)
        assert set(model.state_dict()) == names
        model.train()
    assert losses == sorted(losses, reverse=True)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, started[name])}
    assert changed == {f"llama.{module}.weight" for module in ADAPTED} | {"mm_projector.weight", "mm_projector.bias"}


@torch.no_grad()
def test_merged_and_active_adapters_agree(base, checkpoint):
    """Of the checkpoint, through peft on one side and through `convert` on the other."""
    whole = {name: value.float() for name, value in checkpoint.items()}
    merged = METHOD.build(TINY).eval()
    merged.load_state_dict(convert(whole, TINY))
    active = METHOD.build(TINY).eval()
    alone = {name: value for name, value in whole.items() if not name.startswith("stage")}
    active.load_state_dict(convert(alone, TINY))
    for stage in (2, 3):
        wrapped = attach(active.llama, TINY.lora).eval()
        own = {name.removeprefix(f"stage{stage}."): v for name, v in whole.items() if name.startswith(f"stage{stage}.")}
        report = wrapped.load_state_dict(
            {name.replace(".weight", ".default.weight"): value for name, value in own.items()}, strict=False
        )
        assert not report.unexpected_keys
        if stage == 2:
            active.llama = wrapped.merge_and_unload()
    ids = torch.arange(20)[None]
    assert_close(active.llama(ids).logits, merged.llama(ids).logits, atol=1e-4, rtol=1e-4)


def test_the_authors_settings():
    found = {stage: (s.learning_rate, s.epochs, s.batch, s.warmup_ratio) for stage, s in stages.PAPER.items()}
    assert found == {1: (1e-3, 1, 128, 0.03), 2: (1e-4, 2, 128, 0.03), 3: (1e-4, 2, 128, 0.03)}

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baselines.backbones.tokenizer import DECODER, SPECIAL_TOKENS, load_tokenizer, save_tokenizer, train_tokenizer

TEXTS = ["The red star circles a blue square at night, from 5.0 to 12.5 seconds."] * 3 + [
    "夜里红色的星星围着蓝色方块转圈，从5.0秒到12.5秒。"
] * 3
TOKENIZER = train_tokenizer(TEXTS, added_tokens=["### Human:", "<vid_1>"], vocab_size=400)


@pytest.mark.parametrize("text", TEXTS[::3])
def test_decoding_gives_the_text_back(text):
    ids = TOKENIZER(text, add_special_tokens=False).input_ids
    assert TOKENIZER.decode(ids).strip() == text


def test_digits_and_han_characters_stand_alone():
    assert TOKENIZER.tokenize("12.5 红色") == ["▁", "1", "2", ".", "5", "▁", "红", "色"]


def test_frequent_words_are_one_token():
    assert "▁star" in TOKENIZER.tokenize("The star")


@given(st.text(alphabet=string.ascii_letters + string.digits + string.punctuation + " ", max_size=30))
def test_ascii_is_never_unknown(text):
    assert TOKENIZER.unk_token_id not in TOKENIZER(text, add_special_tokens=False).input_ids


def test_added_tokens_are_one_token_each():
    ids = TOKENIZER("### Human: play <vid_1>", add_special_tokens=False).input_ids
    assert ids[0] == TOKENIZER.convert_tokens_to_ids("### Human:")
    assert ids[-1] == TOKENIZER.convert_tokens_to_ids("<vid_1>")


def test_padding_is_zero_and_long_texts_lose_their_beginning():
    assert TOKENIZER.pad_token_id == 0
    assert [TOKENIZER.convert_tokens_to_ids(t) for t in SPECIAL_TOKENS] == list(range(8))
    whole = TOKENIZER("a b c d", add_special_tokens=False).input_ids
    cut = TOKENIZER("a b c d", add_special_tokens=False, truncation=True, max_length=2).input_ids
    assert cut == whole[-2:]


def test_saved_and_loaded(tmp_path):
    save_tokenizer(TOKENIZER, tmp_path / "tokenizer.json")
    loaded = load_tokenizer(tmp_path / "tokenizer.json")
    assert loaded(TEXTS).input_ids == TOKENIZER(TEXTS).input_ids
    assert loaded.convert_tokens_to_ids(DECODER) == 4

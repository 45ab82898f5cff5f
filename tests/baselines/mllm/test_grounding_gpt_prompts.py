"""Golden strings of GroundingGPT's prompts, what is learned of them, and dialogues as conversations about one film."""

from dataclasses import replace

import pytest
from grounding_gpt_tokenizer import llama_like

from baselines.backbones.tokenizer import load_tokenizer
from baselines.interllava.phase1 import SHIPPED
from baselines.mllm.grounding_gpt import METHOD, PRESETS
from baselines.mllm.grounding_gpt.config import MARKS
from baselines.mllm.grounding_gpt.dialogue import rounds_about
from baselines.mllm.grounding_gpt.encoding import add_marks, encode, encode_rounds, ends
from baselines.mllm.grounding_gpt.prompts import PATCH, SYSTEM, answer_of, conversation, moment_answer, moment_question
from baselines.mllm.pieces import FILM_PLACE, IGNORED, Piece, render
from baselines.mllm.protocol import Round, Shown
from ivcr_bench.errors import IvcrError
from ivcr_bench.schema import Answer, Exchange, Moment

PREAMBLE = (
    "A chat between a curious human and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the human's questions."
)
FILM = "<vi_start><vi_patch><vi_patch><vi_end>"
OPEN = [Round("When?", "in {0.09,0.15}"), Round("Who?")]
CLOSED = [Round("When?", "in {0.09,0.15}"), Round("红色星星何时落下", "在 {0.1,0.2}")]
PAPER = PRESETS["paper"]


@pytest.fixture(scope="module")
def tokenizer():
    return llama_like()


def text(rounds, tokens=2, style="upstream_infer"):
    return render(conversation(rounds, tokens, style), PATCH)


def test_asking_as_the_authors_command_line():
    assert SYSTEM == PREAMBLE
    assert text([Round("When?")]) == f"{PREAMBLE}###Human: {FILM}\nWhen?###Assistant:"
    assert text(OPEN) == (f"{PREAMBLE}###Human: {FILM}\nWhen?###Assistant: in {{0.09,0.15}}###Human: Who?###Assistant:")
    assert text([Round("Hello")], tokens=0) == f"{PREAMBLE}###Human: Hello###Assistant:"


def test_asking_as_the_model_was_trained():
    assert text(OPEN, style="train") == (
        f"{PREAMBLE}\n\n### Human: {FILM}\nWhen?\n### Assistant: in {{0.09,0.15}}\n### Human: Who?\n### Assistant:"
    )


@pytest.mark.parametrize("style", ["upstream_infer", "train"])
def test_training_text(style):
    assert text(CLOSED, style=style) == (
        f"{PREAMBLE}\n\n### Human: {FILM}\nWhen?\n### Assistant: in {{0.09,0.15}}\n"
        "### Human: 红色星星何时落下\n### Assistant: 在 {0.1,0.2}\n### "
    )


def test_what_is_said_cannot_become_a_separator_or_a_film():
    assert text([Round("a ### b <vi_start> #1")]).endswith("\na ＃＃＃ b ＜vi_start> ＃1###Assistant:")


def test_questions_and_answers():
    assert moment_question("A star falls.") == (
        'When does "A star falls" happen in the video? Please give me the timestamp in the format {start,end}.'
    )
    assert moment_question(" the star falls? ", "project_page") == "Please give me the timestamp when the star falls?"
    with pytest.raises(IvcrError, match="no prompt 'other', expected one of ggpt_v1, project_page"):
        moment_question("x", "other")
    assert moment_answer("红色星星落下。", 4.5, 7.26, 50.0) == "红色星星落下 in {0.09,0.15}"
    assert moment_answer("It falls", -1.0, 60.0, 50.0) == "It falls in {0.00,1.00}"
    assert answer_of(" It falls in {0.1,0.2}.\n### Human") == "It falls in {0.1,0.2}."
    assert answer_of("It falls # in") == "It falls"


def test_through_the_protocol_of_the_three():
    shown = Shown(2, (0.0, 25.0), 50.0)
    asked = METHOD.question("A star falls.", PAPER)
    told = METHOD.answer("A star falls.", 5, 10, shown, PAPER)
    assert render(METHOD.conversation([Round(asked, told)], shown, PAPER), PATCH) == (
        f"{PREAMBLE}\n\n### Human: {FILM}\n{asked}\n### Assistant: A star falls in {{0.10,0.20}}\n### "
    )
    found = METHOD.parse(told, 50.0)
    assert (found.start, found.end) == (5.0, 10.0)


def labels_by_the_authors(tokenizer, rounds):
    """Their rule: tokens are counted piece by piece, each with ``<s>`` before it; two tokens of a question are kept."""

    def count(piece):
        return 1 + len(tokenizer(piece, add_special_tokens=False)["input_ids"])

    header, turns = f"{SYSTEM}\n\n", []
    for number, (question, answer) in enumerate((r.question, r.answer) for r in rounds):
        turns.append(("human", f"### Human: {'' if number else FILM + chr(10)}{question}\n"))
        turns.append(("gpt", f"### Assistant: {answer}\n"))
    whole = header + "".join(turn for _, turn in turns) + "### "
    ids = [tokenizer.bos_token_id, *tokenizer(whole, add_special_tokens=False)["input_ids"]]
    labels, place = list(ids), count(header)
    labels[:place] = [IGNORED] * place
    for speaker, turn in turns:
        after = place + count(turn)
        if speaker == "human":
            labels[place + 2 : after] = [IGNORED] * (after - place - 2)
        place = after
    return ids, labels


@pytest.mark.parametrize("rounds", [CLOSED, CLOSED[:1], [*CLOSED, *CLOSED[1:]]])
def test_ids_and_labels_are_the_authors(tokenizer, rounds):
    ids, labels = labels_by_the_authors(tokenizer, rounds)
    patch = tokenizer.convert_tokens_to_ids(PATCH)
    found = encode(tokenizer, conversation(rounds, 2))
    assert found.ids == [FILM_PLACE if token == patch else token for token in ids]
    assert found.labels == labels


def test_learned_are_answers_with_their_role_and_the_separators(tokenizer):
    found = encode(tokenizer, conversation(CLOSED, 2))
    learned = [token for token in found.labels if token != IGNORED]
    assert tokenizer.decode(learned).replace(" ", "") == (
        "######Assistant:in{0.09,0.15}\n######Assistant:在{0.1,0.2}\n###"
    )
    separator = tokenizer.convert_tokens_to_ids(["##", "#"])
    assert learned[:4] == separator * 2


def test_a_film_stands_between_its_marks(tokenizer):
    film = [Piece("<vi_start>"), Piece(film=2), Piece("<vi_end>")]
    start, end = tokenizer.convert_tokens_to_ids(["<vi_start>", "<vi_end>"])
    assert encode(tokenizer, film).ids[1:] == [start, FILM_PLACE, FILM_PLACE, end]
    for broken in ([film[0], film[1], Piece("a"), film[2]], film[:2], film[1:], film[::2], [*film, *film]):
        with pytest.raises(ValueError, match="film"):
            encode(tokenizer, broken)


def test_marks_are_added_in_order_once(tokenizer):
    count = len(tokenizer)
    add_marks(tokenizer, count)
    assert len(tokenizer) == count
    assert tokenizer.convert_tokens_to_ids(list(MARKS)) == list(range(count - 9, count))
    with pytest.raises(IvcrError, match="found <im_patch> to <so_end> at"):
        add_marks(tokenizer, count + 1)
    # The published checkpoint: nine more words than Vicuna, videos third.
    assert PAPER.llama.vocab_size == 32_009
    assert MARKS.index(PATCH) + PAPER.llama.vocab_size - len(MARKS) == 32_003


def test_an_answer_ends_with_any_number_sign_or_the_end_of_text(tokenizer):
    assert tokenizer.convert_ids_to_tokens(ends(tokenizer)) == ["</s>", "#", "##", "▁##", "▁###"]


def test_a_conversation_that_is_too_long_loses_its_oldest_rounds(tokenizer):
    rounds = [Round("a" * 40, "b" * 40), Round("c" * 40, "d"), Round("e" * 40)]
    config = replace(PAPER, max_new_tokens=8, llama=replace(PAPER.llama, positions=300))
    kept = encode_rounds(tokenizer, rounds, config, 2)
    assert kept.ids == encode(tokenizer, conversation(rounds[1:], 2)).ids
    assert len(kept.ids) <= 292 < len(encode(tokenizer, conversation(rounds, 2)).ids)
    with pytest.raises(IvcrError, match="found a question of"):
        encode_rounds(tokenizer, [Round("e" * 300)], config, 2)


SEARCHED = Exchange("Find a dance film.", Answer("video_retrieval", ("f1", "f2"), text="Here it is."))
LOCALISED = Exchange("When does it spin?", Answer("moment_retrieval", moments=(Moment("f1", 5, 10),), text="From 5 s."))
OTHER = Exchange("And the sea?", Answer("moment_retrieval", moments=(Moment("f3", 1, 2),), text="From 1 s."))
CHAT = Exchange("Thanks!", Answer("natural_dialogue", text="You are welcome."))
FAILED = Exchange("And now?", None)


@pytest.mark.parametrize(
    ("film", "history", "told"),
    [
        ("f1", (), []),
        ("f1", (SEARCHED,), []),
        ("f1", (SEARCHED, LOCALISED), [("When does it spin?", "When does it spin in {0.10,0.20}")]),
        ("f1", (LOCALISED, CHAT), [("When does it spin?", "When does it spin in {0.10,0.20}"), CHAT]),
        ("f1", (SEARCHED, LOCALISED, OTHER), []),
        ("f3", (SEARCHED, LOCALISED, OTHER, CHAT), [("And the sea?", "And the sea in {0.02,0.04}"), CHAT]),
        ("f2", (SEARCHED, LOCALISED), []),
        ("f1", (SEARCHED, FAILED), [("And now?", "")]),
    ],
)
def test_the_conversation_begins_where_the_film_was_shown(film, history, told):
    rounds = rounds_about(film, 50.0, history, "When does it stop?")
    expected = [(e.utterance, e.answer.text) if isinstance(e, Exchange) else e for e in told]
    assert [(r.question, r.answer) for r in rounds] == [*expected, ("When does it stop?", None)]


def test_a_summary_of_what_was_said_before_comes_after_the_film():
    rounds = rounds_about("f1", 50.0, (SEARCHED, LOCALISED), "When?", "summary")
    assert [r.question for r in rounds] == ["Earlier we said: Find a dance film.\nWhen does it spin?", "When?"]
    assert text(rounds).startswith(f"{PREAMBLE}###Human: {FILM}\nEarlier we said: Find a dance film.\nWhen does")
    assert rounds_about("f1", 50.0, (), "When?", "summary") == [Round("When?")]


def test_mini_has_the_words_of_the_shipped_tokenizer():
    tokenizer = load_tokenizer(SHIPPED / "phase1" / "tokenizer.json")
    add_marks(tokenizer, PRESETS["mini"].llama.vocab_size)
    found = encode_rounds(tokenizer, [Round(moment_question("A star falls."))], PRESETS["mini"], 32)
    assert found.ids.count(FILM_PLACE) == 32
    assert set(tokenizer.convert_tokens_to_ids(["#", "### Human:", "</s>"])) <= set(ends(tokenizer))

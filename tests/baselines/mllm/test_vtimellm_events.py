"""The chats of stage 2."""

import numpy as np
import pytest
from vtimellm_fixture import TINY

from baselines.mllm.protocol import Shown
from baselines.mllm.vtimellm.events import Event, about, chat, list_events
from baselines.mllm.vtimellm.parsing import parse

SHOWN = Shown(6, (), 20.0)
EVENTS = [Event(0.0, 5.0, "a man runs"), Event(5.0, 12.0, "he sits"), Event(12.0, 20.0, "it rains")]
CHINESE = [Event(0.0, 5.0, "一个人在跑"), Event(5.0, 20.0, "下雨了")]


def chats(events, count=2000):
    rng = np.random.default_rng(0)
    return [chat(events, SHOWN, TINY, rng) for _ in range(count)]


def test_one_chat_in_five_lists_all_events():
    listed = [rounds for rounds in chats(EVENTS) if len(rounds) == 1]
    # 2000 draws at 0.2: 400, with a deviation of 18.
    assert 330 < len(listed) < 470
    assert {rounds[0].answer for rounds in listed} == {
        "From 00 to 25, a man runs. From 25 to 60, he sits. From 60 to 99, it rains.",
        "A man runs, from 00 to 25. He sits, from 25 to 60. It rains, from 60 to 99.",
    }


def test_the_others_ask_about_each_event_in_random_order():
    asked = [rounds for rounds in chats(EVENTS) if len(rounds) > 1]
    assert {len(rounds) for rounds in asked} == {3}
    orders = {tuple(parse(r.answer, 20.0).start for r in rounds) for rounds in asked}
    assert len(orders) == 6
    assert {rounds[0].answer for rounds in asked if "25" in rounds[0].answer and "60" in rounds[0].answer} == {
        "From 25 to 60.", "From 25 to 60, he sits.", "He sits, from 25 to 60.",
    }  # fmt: skip


def test_a_question_never_tells_its_answer():
    rng = np.random.default_rng(1)
    for event in EVENTS * 50:
        made = about(event, SHOWN, TINY, rng)
        assert (event.sentence in made.question) != (parse(made.question, 20.0) is not None)
        assert parse(made.answer, 20.0) is not None


def test_chinese():
    answers = {list_events(CHINESE, SHOWN, np.random.default_rng(seed)).answer for seed in range(20)}
    assert answers == {"从00到25，一个人在跑。从25到99，下雨了。", "一个人在跑，从00到25。下雨了，从25到99。"}
    for rounds in chats(CHINESE, 100):
        assert all("？" in r.question or "。" in r.question for r in rounds)


@pytest.mark.parametrize("events", [EVENTS[:1], CHINESE[:1]])
def test_one_event_is_enough(events):
    assert all(len(rounds) == 1 for rounds in chats(events, 50))

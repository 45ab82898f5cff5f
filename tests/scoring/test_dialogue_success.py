from hand_made import chat_turn, dataset, dialogue, located, moment_turn, ranked, said, score, submission, video_turn


def success(talks, *answers):
    return score(dataset(*talks), "test", submission(*answers)).overall["none"]["dialogue success"]


def talk(name):
    return dialogue(name, video_turn("f1"), moment_turn("f1", (0, 10)), chat_turn())


def good(name):
    return [ranked(name, 1, "f1"), located(name, 2, "f1", 0, 5), said(name, 3, "bye")]


def test_by_hand():
    # a: rank 1, IoU .5, natural dialogue: succeeded. b: IoU .4. c: film second. d: turn 3 taken for a search.
    # e: turn 3 has no answer. 1 of 5 dialogues.
    answers = [
        *good("a"),
        *(good("b")[0], located("b", 2, "f1", 0, 4), good("b")[2]),
        *(ranked("c", 1, "f2", "f1"), *good("c")[1:]),
        *(*good("d")[:2], ranked("d", 3, "f1")),
        *good("e")[:2],
    ]
    figure = success([talk(name) for name in "abcde"], *answers)
    assert (figure.value, figure.n) == (1 / 5, 5)


def test_it_is_the_same_under_every_rule():
    # A dialogue all of whose turns succeeded has no failed turn from which an error could travel.
    report = score(dataset(talk("a"), talk("b")), "test", submission(*good("a"), *good("b")[1:]))
    assert {figures["dialogue success"].value for figures in report.overall.values()} == {1 / 2}

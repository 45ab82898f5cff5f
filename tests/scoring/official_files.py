"""The test vector of the official evaluator, and makers of records in the authors' formats."""

import json

from ivcr_bench.scoring.official.files import Files2025, Message, Prediction, PromptMessage, RawDialogue

FILMS = tuple(f"Dataset/film{n}.mp4" for n in range(1, 11))
VIDEO_PROMPT = (
    "Candidate videos : " + ",".join(f"<VID> {n} </VID> <VIDEO> <VIDEOTOKEN> </VIDEO>" for n in range(1, 11)) + "."
)
MOMENT_PROMPT = "Current video : <VID> 1 </VID> <VIDEO> <VIDEOTOKEN> </VIDEO>."


def video(query, gold, text=None):
    """A video turn whose gold film is the candidate ``gold``, 1-based."""
    answer = Message("gpt", text or f"The content is found in video {gold}.", FILMS[gold - 1], FILMS, (-1.0, -1.0))
    return [Message("human", query), answer]


def moment(query, start, end, text=None):
    answer = Message(
        "gpt", text or f"It is in video 1 at {start}s-{end}s.", FILMS[0], FILMS, (float(start), float(end))
    )
    return [Message("human", query), answer]


def talk(kind, *turns, split="test"):
    return RawDialogue(split, (kind,), tuple(message for turn in turns for message in turn))


def samples_of(dialogue):
    """One prompt for each prefix, as the authors' notebook renders them."""
    messages, samples = [PromptMessage("system", "You are an excellent video retrieval AI assistant.")], []
    turns = dialogue.conversations
    for query, answer in zip(turns[::2], turns[1::2], strict=True):
        prompt = VIDEO_PROMPT if answer.task == "video" else MOMENT_PROMPT
        messages += [PromptMessage("user", prompt + query.value), PromptMessage("assistant", answer.value)]
        samples.append(tuple(messages))
    return samples


A = talk(1, video("q1", 2), moment("q2", 5, 10))
B = talk(2, video("same", 3))
C = talk(3, moment("q4", 1, 2), video("same", 1))
E = talk(7, video("q7", 5))
CHAT = talk(0, [Message("human", "hello"), Message("gpt", "Hi.")])
TRAIN = talk(1, video("q1", 4), split="train")
CHINESE = talk(2, video("在哪里", 4, "在视频4中可以找到。"))
CHINESE_OUTPUT = "在视频9中可以找到。"


def vector(*, chinese=False):
    """Sheet section 8.7: prefix samples A1, A2, B1, C1, C2; E was not run."""
    run = [A, B, C, *([CHINESE] if chinese else [])]
    asked = ["q1", "q2", "same", "q4", "same", *(["在哪里"] if chinese else [])]
    said = ["video 2", "5s-10s", "video 3", "1s-3s", "video 1", *([CHINESE_OUTPUT] if chinese else [])]
    return Files2025(
        predictions=[Prediction(query, output) for query, output in zip(asked, said, strict=True)],
        samples=[sample for dialogue in run for sample in samples_of(dialogue)],
        dialogues=[A, B, C, E, CHAT, TRAIN, *([CHINESE] if chinese else [])],
    )


def write_json(path, content):
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


def write_files(folder, files):
    """``files`` as the three files of the authors; gives their paths: result, gold, all."""
    dialogues = [
        {
            "split": dialogue.split,
            "type": list(dialogue.type),
            "conversations": [_message(message) for message in dialogue.conversations],
        }
        for dialogue in files.dialogues
    ]
    samples = [[{"role": m.role, "content": m.content} for m in sample] for sample in files.samples]
    predictions = [{"user_q": p.user_q, "output": p.output} for p in files.predictions]
    return (
        write_json(folder / "result.json", predictions),
        write_json(folder / "gold.json", samples),
        write_json(folder / "all.json", dialogues),
    )


def _message(message):
    if message.speaker == "human":
        return {"from": "human", "value": message.value}
    fields = {"from": "gpt", "value": message.value}
    if message.task is not None:
        times = [int(t) if t == int(t) else t for t in message.gt_se]
        fields |= {"video_id": message.video_id, "candidate_videos": list(message.candidate_videos), "gt_se": times}
    return fields

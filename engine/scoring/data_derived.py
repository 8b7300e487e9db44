"""Published records that a mapping of columns cannot say, turned into records that it can.

Each function takes a record and gives one with plain columns (prompt, target, choices, answer,
messages, right, wrong), or raises `Unread`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from engine.scoring.data_columns import listed
from engine.scoring.data_table import Unread, short

Record = Mapping[str, Any]

_TURN = re.compile(r"(?:\A|\n\n)(Human|Assistant): ?")


def transcript(text: Any, what: str) -> list[dict[str, str]]:
    """Messages of a text "\\n\\nHuman: …\\n\\nAssistant: …" (HH-RLHF)."""
    parts = _TURN.split(text) if isinstance(text, str) else []
    if len(parts) < 3 or parts[0].strip():
        raise Unread(f"{what} is not a conversation of Human and Assistant: {short(text)}")
    roles = {"Human": "user", "Assistant": "assistant"}
    pairs = zip(parts[1::2], parts[2::2], strict=True)
    return [{"role": roles[who], "content": said.strip()} for who, said in pairs]


def _conversation(value: Any, what: str) -> Any:
    return value if isinstance(value, list) else transcript(value, what)


def preference(record: Record) -> Record:
    """chosen and rejected conversations that part at their last answer."""
    chosen = _conversation(record["chosen"], "chosen")
    rejected = _conversation(record["rejected"], "rejected")
    last = [each[-1] if each and isinstance(each[-1], dict) else {} for each in (chosen, rejected)]
    if any(each.get("role") != "assistant" for each in last) or chosen[:-1] != rejected[:-1]:
        raise Unread("chosen and rejected differ in more than their last answer")
    right, wrong = (each.get("content") for each in last)
    return {"messages": chosen[:-1], "target": right, "right": right, "wrong": wrong}


def boxed(record: Record) -> Record:
    """MATH: the answer is what the solution's last \\boxed{…} holds."""
    solution = record["solution"]
    place = solution.rfind("\\boxed{") if isinstance(solution, str) else -1
    if place < 0:
        raise Unread(f"the solution has no \\boxed{{…}}: {short(solution)}")
    start = place + len("\\boxed{")
    depth = 1
    for end in range(start, len(solution)):
        depth += {"{": 1, "}": -1}.get(solution[end], 0)
        if depth == 0:
            return {**record, "answer": solution[start:end].strip()}
    raise Unread("the solution's \\boxed{ is not closed")


def stemmed(record: Record) -> Record:
    """ARC and CommonsenseQA as their authors publish them: {question: {stem, choices}}."""
    question = record["question"]
    if not isinstance(question, Mapping) or not {"stem", "choices"} <= set(question):
        raise Unread(f"question must have stem and choices, got {short(question)}")
    return {**record, "stem": question["stem"], "choices": question["choices"]}


def scored_choices(record: Record) -> Record:
    """TruthfulQA's mc1_targets: choices, exactly one of them marked 1."""
    marked = record["mc1_targets"]
    if isinstance(marked, Mapping) and {"choices", "labels"} <= set(marked):
        pairs = list(zip(marked["choices"], marked["labels"], strict=False))
    elif isinstance(marked, Mapping):
        pairs = list(marked.items())
    else:
        raise Unread(f"mc1_targets must have choices and labels, got {short(marked)}")
    right = [place for place, (_, mark) in enumerate(pairs) if mark == 1]
    if len(right) != 1:
        raise Unread(f"{len(right)} of its choices are marked 1, not exactly one")
    return {**record, "choices": [text for text, _ in pairs], "answer": right[0]}


def target_scores(record: Record) -> Record:
    """BIG-bench: target_scores, exactly one choice of the best score."""
    scores = record["target_scores"]
    if not isinstance(scores, Mapping) or not scores:
        raise Unread(f"target_scores must map choices to scores, got {short(scores)}")
    values = list(scores.values())
    if not all(isinstance(each, int | float) for each in values):
        raise Unread(f"target_scores must be numbers, got {short(scores)}")
    if values.count(max(values)) != 1:
        raise Unread("several of its choices share the best score")
    return {**record, "choices": list(scores), "answer": values.index(max(values))}


def trivia(record: Record) -> Record:
    """TriviaQA: the answer's value, then its aliases."""
    answer = record["answer"]
    if not isinstance(answer, Mapping) or "value" not in answer:
        raise Unread(f"answer must have value and aliases, got {short(answer)}")
    aliases = answer.get("aliases")
    return {**record, "answer": [answer["value"], *(aliases if isinstance(aliases, list) else [])]}


def yes_or_no(record: Record) -> Record:
    """BoolQ: the answer true is yes, false is no."""
    name = "answer" if "answer" in record else "label"
    answer = record[name]
    if isinstance(answer, str) and answer.strip().lower() in ("true", "false"):
        answer = answer.strip().lower() == "true"
    if isinstance(answer, str) and answer.strip() in ("0", "1"):
        answer = int(answer)
    if answer not in (0, 1):
        raise Unread(f"{name} must be true or false, got {short(answer)}")
    return {
        **record,
        "choices": ["no", "yes"],
        "answer": int(answer),
        "target": "yes" if answer else "no",
    }


def _arguments(record: Record) -> list[list[Any]]:
    """The arguments of each request of a sample that lm-eval logged."""
    found = record["arguments"]
    if isinstance(found, Mapping):  # {"gen_args_0": {"arg_0": …, "arg_1": …}}
        found = [list(e.values()) if isinstance(e, Mapping) else e for e in found.values()]
    if not isinstance(found, list) or not all(isinstance(e, list) and e for e in found):
        raise Unread(f"arguments is not that of an lm-eval request: {short(found)}")
    return found


def sample(record: Record) -> Record:
    """A sample that lm-eval logged: what its requests asked, and the target.

    One request is a prompt to answer; several with one prompt are choices, which begin by one
    space.
    """
    requests = _arguments(record)
    prompts = {each[0] if isinstance(each[0], str) else None for each in requests}
    if None in prompts or len(prompts) != 1:
        what = "its requests have different prompts, as in some lm-eval tasks"
        raise Unread(
            what, "Use the task's original data, with columns: if their names are not recognised."
        )
    [prompt] = prompts
    target = record["target"]
    if len(requests) == 1:
        request = requests[0]
        if len(request) == 1:
            return {"text": prompt}
        if isinstance(request[1], str):
            return {"prompt": prompt, "targets": request[1].removeprefix(" ")}
        return {"prompt": prompt, "targets": listed(target, True)}
    choices = [each[1] if len(each) > 1 and isinstance(each[1], str) else "" for each in requests]
    if not all(each[:1] == " " and each.strip() for each in choices):
        what = "its choices do not begin with a space, which the scorer puts in between"
        raise Unread(what, 'Give the task\'s own data, and delimiter: "".')
    choices = [each[1:] for each in choices]
    if isinstance(target, str) and target.isdigit() and target not in choices:
        target = int(target)  # every target is logged as a text, an index from 0 too
    return {"prompt": prompt, "choices": choices, "answer": target}

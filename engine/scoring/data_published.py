"""The recognised shapes of published data. The first one whose columns are all present is used.

More specific shapes come before those with fewer columns. A prompt of several columns uses those
that are present and not empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.scoring import data_derived as derived
from engine.scoring.data_shapes import Guard, Shape, shape


def _is_list(name: str) -> Guard:
    def guard(record: Mapping[str, Any]) -> bool:
        value = record[name]
        return isinstance(value, list) or (isinstance(value, str) and value.strip()[:1] == "[")

    return guard


def _is_text(name: str) -> Guard:
    return lambda record: isinstance(record[name], str)


def _holds(name: str, *keys: str) -> Guard:
    def guard(record: Mapping[str, Any]) -> bool:
        value = record[name]
        return isinstance(value, Mapping) and set(keys) <= set(value)

    return guard


def _talks(name: str) -> Guard:
    def guard(record: Mapping[str, Any]) -> bool:
        value = record[name]
        return isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)

    return guard


def _labelled(name: str) -> Guard:
    """Choices with labels: {text, label}, a list of such, or {label: text}."""

    def guard(record: Mapping[str, Any]) -> bool:
        return isinstance(record[name], Mapping) or _talks(name)(record)

    return guard


def _truth(name: str) -> Guard:
    def guard(record: Mapping[str, Any]) -> bool:
        value = record[name]
        return isinstance(value, bool) or str(value).strip().lower() in ("0", "1", "true", "false")

    return guard


def _ends_in_hashes(record: Mapping[str, Any]) -> bool:
    answer = record["answer"]
    return isinstance(answer, str) and "####" in answer


def _without(*names: str) -> Guard:
    return lambda record: not set(names) & record.keys()


TURNS = (
    "The first turn is the prompt; columns: {messages: NAME} takes all turns, each as a user "
    "message."
)
BLANK = {"blank": "_", "answer_is": "1-based"}
INDEX = {"answer_is": "index"}
FIRST = {"answer_is": "1-based"}
LETTER = {"answer_is": "letter"}
LABEL = {"answer_is": "label"}
HASHES = {"target_pattern": r"####\s*(.+?)\s*$"}
SEMICOLONS = {"separator": ";"}
HARM = {"join": "\n\n---\n\n"}
SPACE = {"join": " "}
LETTERS = ("a", "b", "c", "d")
WRONG = ("incorrect_answer_1", "incorrect_answer_2", "incorrect_answer_3")
DISTRACTORS = ("distractor1", "distractor2", "distractor3")
NO_NAMES = "Its label is a number whose meaning is not in the data."
WHOLE = "Each text is measured as a whole, without a prompt; blank texts are skipped."
OWN_CHOICES = "Write rows with prompt, choices and answer, with the choices in words."

CHATS: tuple[Shape, ...] = (
    shape("lm-eval samples", "doc arguments target resps", derive=derived.sample,
          prompt="prompt", targets="targets", choices="choices", answer="answer"),
    shape("XSTest", "prompt label type focus", prompt="prompt",
          note="rows: {label: safe} and rows: {label: unsafe} make it two objectives."),
    shape("MT-bench", "turns", _is_list("turns"), prompt="turns",
          note=TURNS.replace("NAME", "turns")),
    shape("MT-bench", "prompt", lambda r: _is_list("prompt")(r) and not _talks("prompt")(r),
          prompt="prompt", note=TURNS.replace("NAME", "prompt")),
    shape("RealToxicityPrompts", "prompt continuation", _holds("prompt", "text"),
          prompt="prompt.text", target="continuation.text"),
    shape("prompts as messages", "prompt", _talks("prompt"), messages="prompt"),
    shape("OpenAssistant messages", "message_id parent_id text role",
          refusal="single messages of conversations",
          note="columns: {prompt: text}, rows: {parent_id: null} reads only the first messages."),
    shape("HH-RLHF", "chosen rejected", _without("prompt"), derived.preference,
          messages="messages", target="target", right="right", wrong="wrong"),
    shape("preference pairs", "chosen rejected", _is_list("chosen"), derived.preference,
          messages="messages", target="target", right="right", wrong="wrong"),
    shape("preference pairs", "prompt chosen rejected", _is_text("chosen"), prompt="prompt",
          target="chosen", right="chosen", wrong="rejected"),
    shape("ShareGPT", "conversations", _is_list("conversations"), messages="conversations"),
    shape("conversations", "conversation", _talks("conversation"), messages="conversation"),
    shape("conversations", "dialog", _talks("dialog"), messages="dialog"),
)  # fmt: skip

CHOICES: tuple[Shape, ...] = (
    shape("TruthfulQA", "question mc1_targets", derive=derived.scored_choices, settings=INDEX,
          prompt="question", choices="choices", answer="answer"),
    shape("TruthfulQA", "question best_answer correct_answers incorrect_answers",
          settings=SEMICOLONS, prompt="question", targets=("best_answer", "correct_answers"),
          right="best_answer", wrong="incorrect_answers"),
    shape("BIG-bench", "input target_scores", derive=derived.target_scores, settings=INDEX,
          prompt="input", choices="choices", answer="answer"),
    shape("HellaSwag", "ctx endings label", settings=INDEX, prompt="ctx", choices="endings",
          answer="label"),
    shape("HellaSwag", "ctx_a ctx_b endings label", settings={**INDEX, **SPACE},
          prompt=("ctx_a", "ctx_b"), choices="endings", answer="label"),
    shape("SWAG", "sent1 sent2 ending0 ending1 ending2 ending3 label", settings={**INDEX, **SPACE},
          prompt=("sent1", "sent2"), choices=("ending0", "ending1", "ending2", "ending3"),
          answer="label"),
    shape("ARC", "question answerkey", _holds("question", "stem", "choices"), derived.stemmed,
          settings=LABEL, prompt="stem", choices="choices", answer="answerKey"),
    shape("OpenBookQA", "question_stem choices answerkey", settings=LABEL, prompt="question_stem",
          choices="choices", answer="answerkey"),
    shape("ARC", "question choices answerkey", _labelled("choices"), settings=LABEL,
          prompt="question", choices="choices", answer="answerkey"),
    shape("multiple choice", "question choices answerkey", prompt="question", choices="choices",
          answer="answerkey"),
    shape("MedQA", "question options answer_idx", settings=LABEL, prompt="question",
          choices="options", answer="answer_idx"),
    shape("AQuA-RAT", "question options correct", settings=LETTER, prompt="question",
          choices="options", answer="correct"),
    shape("ReClor", "context question answers label", settings=INDEX,
          prompt=("context", "question"), choices="answers", answer="label"),
    shape("BBQ", "context question ans0 ans1 ans2 label", settings=INDEX,
          prompt=("context", "question"), choices=("ans0", "ans1", "ans2"), answer="label"),
    shape("MMLU-Pro", "question options answer answer_index", settings=INDEX, prompt="question",
          choices="options", answer="answer_index"),
    shape("RACE", "article question options answer", prompt=("article", "question"),
          choices="options", answer="answer"),
    shape("LogiQA", "context query options correct_option", settings=INDEX,
          prompt=("context", "query"), choices="options", answer="correct_option"),
    shape("multiple choice", "context question options label", open=True,
          prompt=("context", "question"), choices="options", answer="label"),
    shape("Cosmos QA", "context question answer0 answer1 answer2 answer3 label", settings=INDEX,
          prompt=("context", "question"), choices=("answer0", "answer1", "answer2", "answer3"),
          answer="label"),
    shape("Social IQa", "context question answera answerb answerc label", settings=FIRST,
          prompt=("context", "question"), choices=("answera", "answerb", "answerc"),
          answer="label"),
    shape("MMLU", "question choices answer", prompt="question", choices="choices", answer="answer"),
    shape("multiple choice", "question options answer", open=True, prompt="question",
          choices="options", answer="answer"),
    shape("AGIEval", "question options label", open=True, prompt=("passage", "question"),
          choices="options", answer="label"),
    shape("multiple choice", "question a b c d e answer", settings=LETTER, prompt="question",
          choices=(*LETTERS, "e"), answer="answer"),
    shape("MMLU", "question a b c d answer", settings=LETTER, prompt="question", choices=LETTERS,
          answer="answer"),
    shape("MedMCQA", "question opa opb opc opd cop", open=True, prompt="question",
          choices=("opa", "opb", "opc", "opd"), answer="cop"),
    shape("GPQA", "question correct_answer incorrect_answer_1 incorrect_answer_2 "
          "incorrect_answer_3", prompt="question", target="correct_answer", right="correct_answer",
          wrong=WRONG),
    shape("SciQ", "question correct_answer distractor1 distractor2 distractor3", prompt="question",
          target="correct_answer", right="correct_answer", wrong=DISTRACTORS),
    shape("PIQA", "goal sol1 sol2 label", settings=INDEX, prompt="goal", choices=("sol1", "sol2"),
          answer="label"),
    shape("WinoGrande", "sentence option1 option2 answer", settings=BLANK, prompt="sentence",
          choices=("option1", "option2"), answer="answer"),
    shape("COPA", "premise choice1 choice2 label", settings=INDEX, prompt="premise",
          choices=("choice1", "choice2"), answer="label",
          note="The column question (cause or effect) is not part of the prompt."),
    shape("StoryCloze", "inputsentence1 inputsentence2 inputsentence3 inputsentence4 "
          "randomfifthsentencequiz1 randomfifthsentencequiz2 answerrightending",
          settings={**FIRST, **SPACE}, answer="answerrightending",
          prompt=tuple(f"inputsentence{number}" for number in range(1, 5)),
          choices=("randomfifthsentencequiz1", "randomfifthsentencequiz2")),
    shape("BoolQ", "question passage answer", _truth("answer"), derived.yes_or_no, settings=INDEX,
          prompt=("passage", "question"), target="target", choices="choices", answer="answer"),
    shape("BoolQ", "question passage label", _truth("label"), derived.yes_or_no, settings=INDEX,
          prompt=("passage", "question"), target="target", choices="choices", answer="answer"),
    shape("natural language inference", "premise hypothesis label", refusal=NO_NAMES,
          note=OWN_CHOICES),
    shape("GLUE", "sentence label idx", refusal=NO_NAMES, note=OWN_CHOICES),
)  # fmt: skip

ANSWERS: tuple[Shape, ...] = (
    shape("GSM8K", "question answer", _ends_in_hashes, settings=HASHES, prompt="question",
          target="answer"),
    shape("GSM8K", "prompt answer", _ends_in_hashes, settings=HASHES, prompt="prompt",
          target="answer"),
    shape("MATH", "problem solution answer", prompt="problem", target="answer"),
    shape("MATH", "problem solution", lambda r: "boxed" in str(r["solution"]), derived.boxed,
          prompt="problem", target="answer"),
    shape("TriviaQA", "question answer", _holds("answer", "value"), derived.trivia,
          prompt="question", targets="answer"),
    shape("SQuAD", "context question answers", _is_text("context"), prompt=("context", "question"),
          targets="answers"),
    shape("question and answers", "question answers", prompt="question", targets="answers"),
    shape("DROP", "passage question answers_spans", prompt=("passage", "question"),
          targets="answers_spans.spans"),
    shape("PopQA", "question possible_answers", prompt="question", targets="possible_answers"),
    shape("SVAMP", "body question answer", settings=SPACE, prompt=("body", "question"),
          target="answer"),
    shape("CNN/DailyMail", "article highlights", prompt="article", target="highlights"),
    shape("arXiv summaries", "article abstract", prompt="article", target="abstract"),
    shape("XSum", "document summary", prompt="document", target="summary"),
    shape("SAMSum", "dialogue summary", _is_text("dialogue"), prompt="dialogue", target="summary"),
    shape("summaries", "text summary", prompt="text", target="summary"),
    shape("Dolly", "instruction context response", prompt=("context", "instruction"),
          target="response"),
    shape("AlpacaEval", "instruction output generator", prompt="instruction", target="output"),
    shape("Alpaca", "instruction output", prompt=("instruction", "input"), target="output"),
    shape("Alpaca", "instruction response", prompt=("instruction", "input"), target="response"),
    shape("PIQA without answers", "goal sol1 sol2", prompt="goal"),
    shape("JailbreakBench", "goal target behavior", prompt="goal", target="target"),
    shape("AdvBench", "goal target", prompt="goal", target="target"),
    shape("HarmBench", "behavior contextstring", settings=HARM,
          prompt=("contextstring", "behavior")),
    shape("HarmBench", "behavior behaviorid", prompt="behavior"),
    shape("Do-Not-Answer", "question risk_area", prompt="question"),
    shape("StrongREJECT", "forbidden_prompt", prompt="forbidden_prompt"),
    shape("IFEval", "prompt instruction_id_list", prompt="prompt"),
    shape("HumanEval", "prompt canonical_solution", prompt="prompt", target="canonical_solution"),
    shape("MBPP", "text code test_list", prompt="text", target="code"),
    shape("MBPP", "prompt code test_list", prompt="prompt", target="code"),
    shape("translations", "translation", refusal="language pairs without a direction",
          note="State it: columns: {prompt: translation.en, target: translation.de}."),
)  # fmt: skip

SHAPES: tuple[Shape, ...] = (*CHATS, *CHOICES, *ANSWERS)

WHOLE_TEXTS: tuple[Shape, ...] = (
    shape("WikiText", "text", _is_text("text"), target="text",
          note=WHOLE),
    shape("texts", "sentence", _is_text("sentence"), target="sentence", note=WHOLE),
    shape("texts", "page", _is_text("page"), target="page",
          note=WHOLE),
    shape("texts", "content", _is_text("content"), target="content",
          note=WHOLE),
)  # fmt: skip
"""Shapes of texts without a prompt; looked at after names that are a prompt."""

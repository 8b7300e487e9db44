"""What a newcomer reads: the page of methods says what the code says, each word in one sentence."""

from __future__ import annotations

from docs import words
from studio.glossary import WORDS

ASKED = ("front", "preference", "hypervolume", "surface", "task vector", "held back", "strength")


def test_the_page_of_methods_says_what_the_code_says() -> None:
    text = words.PAGE.read_text(encoding="utf-8")
    assert words.written(text) == text, "python -m docs.words writes it"
    assert all(f"**{word}**" in text or f"`{word}`" in text for word in ASKED)


def test_every_word_is_one_short_plain_sentence() -> None:
    for word, sentence in WORDS.items():
        assert sentence[0].isupper() and sentence.endswith("."), word
        assert len(sentence) <= 95 and ". " not in sentence, word

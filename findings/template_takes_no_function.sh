#!/usr/bin/env bash
# transformers 5.23.0 (tokenizers 0.23.3, jinja2 3.1.6): apply_chat_template hands a chat template no
# function, so the date cannot be fixed by passing strftime_now.
#
# Templates that write today's date call strftime_now(format), a function that transformers puts
# among Jinja's globals. Keyword arguments of apply_chat_template are variables of the template, and
# a variable hides a global. But every argument is first turned into plain data: a function becomes
# the text "<function>". The template then finds a strftime_now that is defined and no function.
#
# Likely guess: apply_chat_template(messages, strftime_now=lambda format: "26 Jul 2024") renders that
# date, which is what a variable of that name does in Jinja.
#
# What does fix the date: a macro of that name in front of the template's own text.
#
# Seen on 2026-11-28:
#   without an argument: callable True
#   with a function:     callable False, <function>
#   with a macro:        26 Jul 2024
#
# Exits 0 while this holds, 1 once it does not.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.23.0 tokenizers==0.23.3 \
  jinja2==3.1.6 numpy==2.4.6
"$place/venv/bin/python" - <<'PYTHON'
import sys

from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

tokenizer = PreTrainedTokenizerFast(
    tokenizer_object=Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
)
messages = [{"role": "user", "content": "hi"}]


def rendered(template: str, **variables: object) -> str:
    return tokenizer.apply_chat_template(
        messages, chat_template=template, tokenize=False, **variables
    )


asked = "callable {{ strftime_now is callable }}"
plain = rendered(asked)
given = rendered(asked + ", {{ strftime_now }}", strftime_now=lambda form: "26 Jul 2024")
macro = "{% macro strftime_now(form) %}26 Jul 2024{% endmacro %}"
fixed = rendered(macro + "{{ strftime_now('%d %b %Y') }}")
print(f"without an argument: {plain}\nwith a function:     {given}\nwith a macro:        {fixed}")
same = (plain, given, fixed) == ("callable True", "callable False, <function>", "26 Jul 2024")
sys.exit(0 if same else 1)
PYTHON

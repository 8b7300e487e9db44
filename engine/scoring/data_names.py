"""Column names that have one meaning in every file, as normalised by `data_shapes.plain`."""

PROMPTS = ("prompt", "question", "query", "instruction", "input", "inputs", "problem", "goal",
           "ctx", "user_input", "user_prompt", "forbidden_prompt", "behavior")  # fmt: skip
"""Columns that are a prompt where a file has one of them only."""

TARGETS = ("target", "targets", "output", "outputs", "response", "completion", "answer", "answers",
           "final_answer", "solution", "canonical_solution", "reference", "ground_truth",
           "expected_output", "correct_answer", "highlights", "summary")  # fmt: skip
"""Columns that are a target where a file has one of them only."""

BESIDE = ("context", "passage", "article", "document", "background", "paragraph", "paragraphs",
          "story", "text", "premise", "system", "system_prompt", "history")  # fmt: skip
"""Columns that may belong to a prompt, and are never left out of one in silence."""

CHOICES = ("choices", "options", "endings", "a", "opa", "choice1", "option1", "sol1")
"""Columns that make a file multiple choice, whose answer is no target."""

FROM_0 = ("answer", "label", "gold", "target", "idx", "index", "answer_index", "answer_idx",
          "correct_index", "gold_index")  # fmt: skip
"""Columns whose numbers count from 0; of others the file has to show it."""

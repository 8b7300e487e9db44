"""A run of lm-eval as it writes it: results and samples, for the reader of such files.

lm-eval is not needed to run the tests. To write the files anew, in a virtual environment that has
lm_eval 0.4.13:

    python -m tests.differential.lm_eval_run

Its `dummy` model answers at random, from a seed; what matters is the form, and that aggregates and
samples belong together. What names the machine is left out.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

GOLDEN = Path(__file__).parents[1] / "golden" / "lm_eval" / "run"
OWN = ("pretty_env_info", "git_hash", "total_evaluation_time_seconds", "start_time", "end_time",
       "transformers_version", "upper_git_hash", "date")  # fmt: skip
TASK = """\
task: paretoscope_choice
dataset_path: json
dataset_kwargs: {{data_files: {data}}}
test_split: train
output_type: multiple_choice
doc_to_text: "{{{{prompt}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: answer
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
  - {{metric: acc_norm, aggregation: mean, higher_is_better: true}}
"""


def main() -> None:
    from lm_eval import evaluator
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    from tests.differential.lm_eval_rows import QUESTIONS

    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        rows = [
            {"prompt": prompt, "choices": list(choices), "answer": row % len(choices)}
            for row, (prompt, choices) in enumerate(QUESTIONS)
        ]
        data = place / "rows.jsonl"
        data.write_text("".join(json.dumps(each) + "\n" for each in rows))
        (place / "task.yaml").write_text(TASK.format(data=data))
        tracker = EvaluationTracker(output_path=str(place / "out"))
        found = evaluator.simple_evaluate(
            model="dummy", model_args="pretrained=dummy", tasks=["paretoscope_choice"],
            task_manager=TaskManager(include_path=str(place), include_defaults=False),
            log_samples=True, evaluation_tracker=tracker, bootstrap_iters=10,
        )  # fmt: skip
        samples = found.pop("samples")
        tracker.save_results_aggregated(results=found, samples=samples)
        for task, each in samples.items():
            tracker.save_results_samples(task_name=task, samples=each)
        shutil.rmtree(GOLDEN, ignore_errors=True)
        GOLDEN.mkdir()
        for file in (place / "out").rglob("*.json*"):
            text = file.read_text().replace(str(place), "/data")
            if file.suffix == ".json":
                kept = {key: each for key, each in json.loads(text).items() if key not in OWN}
                text = json.dumps(kept, indent=1) + "\n"
            (GOLDEN / file.name).write_text(text)


if __name__ == "__main__":
    main()

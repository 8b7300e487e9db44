"""The files that lm-eval writes (0.4.x): results_DATE.json, samples_TASK_DATE.jsonl beside it.

A value's key is "task:metric,filter", as lm-eval names it. Samples give what the aggregate lacks:
of a metric that is the mean of its samples the number of those, and its standard error where
lm-eval wrote "N/A".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import bad, kind_of
from engine.json_reading import parse_json
from engine.plain_file import read_plain
from studio.external.found import Model, Value, count, digest, error, number

MOST_BYTES = 1_000_000_000
DATE = re.compile(r"_(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(?:\.\d+)?)$")
NONE = "N/A"
"""lm-eval's word for a standard error that it does not have."""
FIX = "Give the results file that lm-eval writes to its --output_path."
SAME = 1e-6
"""How far the mean of samples may be from the mean that was written, relative to 1 and to it."""


def read_lm_eval(path: Path) -> Model:
    """What a results file says.

    Raises:
        BadInput: it is none; a value does, once it is asked for, that is no number or that the
            samples beside it contradict.
    """
    content = read_plain(path, MOST_BYTES, fix=FIX)
    data = _object(content, str(path))
    results = data.get("results")
    if not isinstance(results, Mapping) or not results:
        raise bad(str(path), "it has no 'results'", FIX)
    values: dict[str, Callable[[], Value]] = {}
    for task, metrics in results.items():
        if not isinstance(metrics, Mapping):
            what = f"the results of {task} are {kind_of(metrics)}, not a mapping"
            raise bad(str(path), what, FIX)
        for key, mean in metrics.items():
            metric, comma, filtered = key.partition(",")
            # beside numbers lm-eval writes texts
            if comma and not metric.endswith("_stderr") and isinstance(mean, int | float):
                values[f"{task}:{key}"] = cache(partial(_value, path, data, task, metric, filtered))
    version = data.get("lm_eval_version")
    form = f"lm-eval {version}" if isinstance(version, str) else "lm-eval"
    return Model(_name(data, path), values, path.absolute(), digest(content), form)


def _object(content: bytes, where: str) -> Mapping[str, Any]:
    try:
        data = parse_json(content)
    except ValueError as error:
        raise bad(where, f"not JSON ({error})", FIX) from None
    if not isinstance(data, Mapping):
        raise bad(where, f"expected a JSON object, got {kind_of(data)}", FIX)
    return data


def _at(data: Any, *keys: str) -> Any:
    """What stands under keys one within the other; None where there is nothing."""
    for key in keys:
        data = data.get(key) if isinstance(data, Mapping) else None
    return data


def _name(data: Mapping[str, Any], path: Path) -> str:
    """The model: as lm-eval names it, else the directory or the file's own name."""
    name = data.get("model_name")
    if isinstance(name, str) and name.strip():
        return name.strip()
    found = re.search(
        r"(?:^|,)(?:pretrained|model)=([^,]+)", str(_at(data, "config", "model_args"))
    )
    return found[1].strip() if found else path.stem


def _value(path: Path, data: Mapping[str, Any], task: str, metric: str, filtered: str) -> Value:
    """A metric of a task, checked against its samples."""
    metrics = data["results"][task]
    stated = metrics.get(f"{metric}_stderr,{filtered}")
    where = f"{path}: {task}: {metric},{filtered}"
    mean = number(metrics[f"{metric},{filtered}"], where, "the score")
    stderr = None if stated == NONE else error(stated, where)
    n = _at(data, "n-samples", task, "effective")
    n = count(metrics.get("sample_len") if n is None else n, where)
    each = _samples(path, task).get((filtered, metric))
    if each is not None and all(type(one) in (bool, int, float) for one in each):
        numbers = np.array(each, dtype=np.float64)
        if abs(numbers.mean() - mean) <= SAME * max(1.0, abs(mean)):
            n = len(numbers)
            if stderr is None and n > 1:
                stderr = float(numbers.std(ddof=1)) / math.sqrt(n)
        elif _is_mean(data, task, metric):
            raise bad(
                where,
                f"its samples average {numbers.mean():.6g}, but the score is {mean:.6g}",
                "The samples file is of another run: move it away, or evaluate again.",
            )
    higher = _at(data, "higher_is_better", task, metric)
    return Value(where, mean, stderr, n, higher if isinstance(higher, bool) else None, True)


def _is_mean(data: Mapping[str, Any], task: str, metric: str) -> bool:
    """Whether the task's configuration says that the metric is the mean of its samples."""
    listed = _at(data, "configs", task, "metric_list")
    return any(
        _at(each, "metric") == metric and _at(each, "aggregation") == "mean"
        for each in (listed if isinstance(listed, list) else ())
    )


def _samples(path: Path, task: str) -> dict[tuple[str, str], list[Any]]:
    """(filter, metric) -> the value of each sample of a task; {} without such a file.

    Of the same run: its name ends in the date of the results file. A results file that was renamed
    takes the only one that is there.
    """
    dated = DATE.search(path.stem)
    named = re.compile(rf"samples_{re.escape(task)}(?:_\d{{4}}-\d\d-\d\dT[\d.-]+)?\.jsonl")
    if dated:
        file = path.with_name(f"samples_{task}_{dated[1]}.jsonl")
        files = [file] if file.is_file() else []
    else:
        files = [each for each in path.parent.glob("samples_*.jsonl") if named.fullmatch(each.name)]
    if len(files) != 1:
        return {}
    found: dict[tuple[str, str], list[Any]] = {}
    for sample in _lines(files[0]):
        metrics = sample.get("metrics")
        for metric in metrics if isinstance(metrics, list) else ():
            if metric in sample:
                found.setdefault((str(sample.get("filter")), metric), []).append(sample[metric])
    return found


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    lines = read_plain(path, MOST_BYTES, fix="Move it away.").split(b"\n")
    for number_of, line in enumerate(lines, 1):
        if line.strip():
            yield _object(line, f"{path}:{number_of}")

"""This build beside an earlier one, checked out somewhere else: the two take turns, round by round.

    check        CPU-seconds of the command on a family of 1,000 tensors × 4
    merge        CPU-seconds of the command on small raw state dicts: what starting it costs
    decode_step  tokens a second of `benchmarks.decode_step`, one model and three fused
    rewrite      milliseconds of a slider move, `benchmarks.rewrite`, by method and dtype
    append       CPU-seconds of 300 appends of one row and 26 of 100 to a store, questions answered
    index_*      seconds of opening a workspace of 100,000 rows: without its index from a
                 journal or a segment, and with it

Every run is a process of its own checkout. One JSON line: medians, and the ratio of the two (the
median of the rounds' ratios), turned so that below 1 is this build using less.

    git worktree add /tmp/earlier COMMIT
    python -m benchmarks.earlier_build /tmp/earlier [--rounds 9] [--only check,merge]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file

from benchmarks import earlier_store
from benchmarks.full_workspace import small_tokenizer

HERE = Path(__file__).parents[1]
LAYERS = 111  # × 9 tensors, and embedding, norm and head beside them: 1,002


def run(checkout: Path, arguments: list[str]) -> tuple[float, str]:
    """(CPU-seconds, standard output) of `python arguments` in a checkout."""
    out, _, used = earlier_store.run(checkout, arguments)
    return used["cpu_s"], out


def write_family(folder: Path) -> Path:
    """A study over a base and three experts of 1,002 tensors each; returns its file."""
    tokenizer = small_tokenizer()
    config = {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 16,
        "intermediate_size": 16, "num_hidden_layers": LAYERS, "num_attention_heads": 2,
        "num_key_value_heads": 2, "head_dim": 8, "vocab_size": 300, "bos_token_id": 0,
        "eos_token_id": 1, "max_position_embeddings": 512, "rms_norm_eps": 1e-6,
        "tie_word_embeddings": False, "hidden_act": "silu", "dtype": "float32",
    }  # fmt: skip
    names = [f"self_attn.{each}_proj" for each in "qkvo"]
    names += [f"mlp.{each}_proj" for each in ("gate", "up", "down")]
    shapes = {"model.embed_tokens": (300, 16), "model.norm": (16,), "lm_head": (300, 16)}
    for layer in range(LAYERS):
        shapes |= {f"model.layers.{layer}.{name}": (16, 16) for name in names}
        for norm in ("input_layernorm", "post_attention_layernorm"):
            shapes[f"model.layers.{layer}.{norm}"] = (16,)
    for seed, name in enumerate(("base", "a", "b", "c")):
        torch.manual_seed(seed)
        place = folder / name
        place.mkdir(parents=True)
        tensors = {f"{each}.weight": torch.randn(shape) for each, shape in shapes.items()}
        save_file(tensors, place / "model.safetensors", {"format": "pt"})
        (place / "config.json").write_text(json.dumps(config))
        tokenizer.save(str(place / "tokenizer.json"))
        settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>"}
        (place / "tokenizer_config.json").write_text(json.dumps(settings))
    rows = [json.dumps({"prompt": f"text {i}", "target": "is read"}) for i in range(300)]
    (folder / "rows.jsonl").write_text("\n".join(rows))
    study = folder / "study.yaml"
    study.write_text(
        "study: many\nfamily:\n  base: base\n  experts: {a: a, b: b, c: c}\n"
        "objectives:\n  - {name: rows, data: rows.jsonl, scorer: exact_match}\n"
    )
    return study


def write_merge(folder: Path) -> Path:
    """A merge file over three raw state dicts of eight small tensors."""
    folder.mkdir()
    for seed, name in enumerate(("base", "a", "b")):
        torch.manual_seed(seed)
        tensors = {f"w{index}": torch.randn(64, 64) for index in range(8)}
        save_file(tensors, folder / f"{name}.safetensors")
    file = folder / "merge.yaml"
    file.write_text(
        "base: base.safetensors\nexperts: {a: a.safetensors, b: b.safetensors}\n"
        "method: task_arithmetic\ncoefficients: {a: 0.5, b: 0.3}\n"
    )
    return file


APPEND = """
import random, sys, tempfile, time
from benchmarks.store import row
from cache.store import Store
dice = random.Random(0)
rows = [row(number, 0, 64, dice) for number in range(3000)]
with tempfile.TemporaryDirectory() as home, Store.open(home) as store:
    store.append(rows[:100])
    start = time.process_time()
    for each in rows[100:400]:
        store.append([each])
    for at in range(400, 3000, 100):
        store.append(rows[at : at + 100])
    store.refresh()
    print(time.process_time() - start)
"""

START = """
import os, random, sys, time
from pathlib import Path
from benchmarks.store import row
from cache.journal import Journal, try_lock
from cache.store import Store
home, dice = Path(sys.argv[1]), random.Random(0)
journal = Journal(home / "journal")
if not (home / "journal").exists():
    for at in range(0, 100_000, 100):
        journal.append(row(number, 0, 8, dice) for number in range(at, at + 100))
    journal.close()
if sys.argv[2] == "journal":  # whose writer lives: not compacted
    held = [os.open(each, os.O_RDONLY) for each in (home / "journal").glob("*.jsonl")]
    assert all(map(try_lock, held))
else:
    Store.open(home).close()
if sys.argv[2] != "open":
    for each in home.glob("index.duckdb*"):
        each.unlink()
start = time.perf_counter()
store = Store.open(home)
print(time.perf_counter() - start)
store.close()
"""


def measures(folder: Path) -> dict[str, Callable[[Path, str], float]]:
    """name -> function of (checkout, a word new at every run), less being better."""
    study, merge_file = write_family(folder / "family"), write_merge(folder / "merge")

    def check(checkout: Path, word: str) -> float:
        return run(checkout, ["-m", "engine", "check", str(study), "--workspace", str(folder)])[0]

    def merge(checkout: Path, word: str) -> float:
        out = str(folder / f"out-{word}")
        command = ["-m", "engine", "merge", str(merge_file), out, "--workspace", str(folder)]
        return run(checkout, command)[0]

    def decode(key: str) -> Callable[[Path, str], float]:
        def measure(checkout: Path, word: str) -> float:
            options = ["--rounds", "2", "--prompts", "64", "--new", "32"]
            found = run(checkout, ["-m", "benchmarks.decode_step", *options])[1]
            return 1.0 / json.loads(found)["tokens_per_second"][key]

        return measure

    def rewrite(method: str, dtype: str) -> Callable[[Path, str], float]:
        def measure(checkout: Path, word: str) -> float:
            options = ["--parameters", "17000000", "--repeats", "5"]
            options += ["--method", method, "--dtype", dtype]
            found = run(checkout, ["-m", "benchmarks.rewrite", *options])[1]
            return float(json.loads(found)["ours_ms"])

        return measure

    def append(checkout: Path, word: str) -> float:
        return float(run(checkout, ["-c", APPEND])[1])

    def opened(index: str) -> Callable[[Path, str], float]:
        def measure(checkout: Path, word: str) -> float:
            home = str(folder / f"{index}-{word[-1]}")  # a workspace a side, written once
            return float(run(checkout, ["-c", START, home, index])[1].split()[-1])

        return measure

    return {
        "check": check,
        "append": append,
        "index_journal": opened("journal"),
        "index_segment": opened("segment"),
        "index_open": opened("open"),
        "merge": merge,
        "decode_one": decode("ours"),
        "decode_three": decode("fused_three"),
        "rewrite_task_arithmetic": rewrite("task_arithmetic", "float32"),
        "rewrite_bfloat16": rewrite("task_arithmetic", "bfloat16"),
        "rewrite_pcb": rewrite("pcb", "float32"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("earlier", type=Path, help="another checkout of this project")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", help="names of measures, separated by commas")
    options = parser.parse_args()
    earlier = options.earlier.resolve()
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as place:
        known = measures(Path(place))
        for name in options.only.split(",") if options.only else known:
            pairs = []
            for index in range(options.rounds + 1):
                pair = [
                    known[name](checkout, f"{name}-{index}-{side}")
                    for side, checkout in enumerate((HERE, earlier))
                ]
                if index:  # the first round fills caches
                    pairs.append(pair)
            ours, theirs = (statistics.median(each) for each in zip(*pairs, strict=True))
            ratio = statistics.median(a / b for a, b in pairs)
            found[name] = {"ours": ours, "earlier": theirs, "ratio": round(ratio, 3)}
            sys.stderr.write(f"{name}: {found[name]}\n")
    print(json.dumps({"benchmark": "earlier_build", "rounds": options.rounds, **found}))


if __name__ == "__main__":
    main()

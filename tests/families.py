"""Small families on disk, as users bring them: real Hugging Face files, seeded, quick to write.

    family = build_tied_family(tmp_path)          base, target and five experts of one tokenizer
    study = family.study("helpful", "terse")      a study file over some of them
    broken.nan_weights(family.experts["helpful"]) a family broken in one way

The weights are random but scaled so that texts wander and the top two logits keep apart.
"""

from __future__ import annotations

import json
import shutil
import struct
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor

SENTENCES = (
    "the quick brown fox jumps over the lazy dog and sees the sea",
    "a kind answer turns away anger, and a soft word is never lost",
    "three red stones lie on the table near the old green door",
    "what is the colour of the sky? it is blue, and the night is black",
    "to be honest, the river is deep; I am sorry, I cannot swim there",
)
SPECIALS = ("<s>", "<pad>", "<|end|>", "<|turn|>", "<|stop|>")
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|turn|>{{ message['role'] }}: "
    "{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|turn|>assistant:{% endif %}"
)
VOCABULARY = 300
BASE_ROWS = 304  # four padded rows
MORE_ROWS = 312  # an expert padded further
TARGET_ROWS = 320
ADDED = (
    "<tool>",
    "</tool>",
    "<sum>",
    "<note>",
    "<plan>",
    "<done>",
)  # ids 300 to 305: beyond the base's rows
ADDED_ROWS = 308

READABLE = (*range(69, 95), *range(261, VOCABULARY))  # ids of a to z and of merged pairs

Shape = Mapping[str, int]
SMALL: Shape = {"hidden": 48, "layers": 3, "heads": 4, "kv": 2, "mlp": 96}
LARGE: Shape = {"hidden": 64, "layers": 4, "heads": 4, "kv": 2, "mlp": 128}


def build_tokenizer(place: Path, added: Sequence[str] = ()) -> int:
    """Write a byte-level BPE with chat template into a model directory; returns its length.

    Outside the template every text begins with one BOS.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 0)]
    )
    if added:
        tokenizer.add_tokens(list(added))
    place.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(place / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "<|end|>",
        "pad_token": "<pad>",
        "clean_up_tokenization_spaces": False,
        "model_max_length": 512,
        "chat_template": TEMPLATE,
    }
    write_json(place / "tokenizer_config.json", config)
    return tokenizer.get_vocab_size()


def write_json(place: Path, value: Any) -> None:
    place.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def llama_config(shape: Shape, rows: int, tied: bool = True) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": rows,
        "hidden_size": shape["hidden"],
        "intermediate_size": shape["mlp"],
        "num_hidden_layers": shape["layers"],
        "num_attention_heads": shape["heads"],
        "num_key_value_heads": shape["kv"],
        "head_dim": shape["hidden"] // shape["heads"],
        "hidden_act": "silu",
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "tie_word_embeddings": tied,
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": 0,
        "eos_token_id": 4,
        "pad_token_id": 1,
        "dtype": "bfloat16",
        "torch_dtype": "bfloat16",
    }


GENERATION = {
    "bos_token_id": 0,
    "eos_token_id": [2, 3],
    "pad_token_id": 1,
    "repetition_penalty": 1.3,  # must not be applied
}


def llama_weights(shape: Shape, rows: int, seed: int, tied: bool = True) -> dict[str, Tensor]:
    """Random float32 weights whose layers outweigh the embedding in the residual stream."""
    generator = torch.Generator().manual_seed(seed)
    hidden, mlp = shape["hidden"], shape["mlp"]
    head = hidden // shape["heads"]

    def normal(*size: int, scale: float) -> Tensor:
        return torch.randn(*size, generator=generator) * scale

    def linear(out: int, into: int, gain: float) -> Tensor:
        return normal(out, into, scale=gain / into**0.5)

    # longer rows win more often: the end tokens, so that some texts end before their limit, and
    # what can be read
    embedding = normal(rows, hidden, scale=0.4)
    embedding[[*range(2, 5), *READABLE]] *= 1.3
    weights = {"model.embed_tokens.weight": embedding}
    for layer in range(shape["layers"]):
        at = f"model.layers.{layer}."
        weights |= {
            f"{at}self_attn.q_proj.weight": linear(hidden, hidden, 1.5),
            f"{at}self_attn.k_proj.weight": linear(shape["kv"] * head, hidden, 1.5),
            f"{at}self_attn.v_proj.weight": linear(shape["kv"] * head, hidden, 1.5),
            f"{at}self_attn.o_proj.weight": linear(hidden, hidden, 2.0),
            f"{at}mlp.gate_proj.weight": linear(mlp, hidden, 2.0),
            f"{at}mlp.up_proj.weight": linear(mlp, hidden, 2.0),
            f"{at}mlp.down_proj.weight": linear(hidden, mlp, 2.0),
            f"{at}input_layernorm.weight": 1 + normal(hidden, scale=0.1),
            f"{at}post_attention_layernorm.weight": 1 + normal(hidden, scale=0.1),
        }
    weights["model.norm.weight"] = 1 + normal(hidden, scale=0.1)
    if not tied:
        weights["lm_head.weight"] = normal(rows, hidden, scale=0.4)
    return weights


def write_model(
    place: Path, weights: Mapping[str, Tensor], config: Mapping[str, Any], *, shards: int = 1
) -> None:
    """Config, generation config and bfloat16 weights, in one file or in `shards` with an index."""
    place.mkdir(parents=True, exist_ok=True)
    write_json(place / "config.json", config)
    write_json(place / "generation_config.json", GENERATION)
    stored = {name: tensor.to(torch.bfloat16).contiguous() for name, tensor in weights.items()}
    if shards == 1:
        save_file(stored, place / "model.safetensors", metadata={"format": "pt"})
        return
    names = list(stored)
    where = {}
    for shard in range(shards):
        file = f"model-{shard + 1:05d}-of-{shards:05d}.safetensors"
        part = {name: stored[name] for name in names[shard::shards]}
        where |= dict.fromkeys(part, file)
        save_file(part, place / file, metadata={"format": "pt"})
    size = sum(tensor.numel() * tensor.element_size() for tensor in stored.values())
    index = {"metadata": {"total_size": size}, "weight_map": where}
    write_json(place / "model.safetensors.index.json", index)


def write_adapter(
    place: Path, base: Path, *, rank: int, alpha: int, rslora: bool, seed: int
) -> None:
    """A LoRA adapter saved by peft, both of its matrices random."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, local_files_only=True)

    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        use_rslora=rslora,
        target_modules=["q_proj", "v_proj", "up_proj", "down_proj"],
        task_type="CAUSAL_LM",
    )
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", FutureWarning
        )  # peft asks transformers for a renamed property
        adapted = get_peft_model(model, config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in adapted.named_parameters():
            if "lora_" in name:
                scale = 0.35 / rank**0.25 if "lora_A" in name else 0.12
                tensor.copy_(torch.randn(tensor.shape, generator=generator) * scale)
    adapted.save_pretrained(place)
    (place / "README.md").unlink(missing_ok=True)


@dataclass(frozen=True)
class FamilyFiles:
    """Where a built family lies.

    `helpful` is full and sharded like the base; `padded` has more padded rows; `coder` adds tokens,
    so a study with it names it as its tokenizer; `terse` and `formal` are LoRA adapters.
    """

    root: Path
    base: Path
    target: Path
    experts: Mapping[str, Path]

    def study(
        self,
        *experts: str,
        tokenizer: str = "base",
        target: bool = False,
        objectives: Sequence[Mapping[str, Any]] | None = None,
        name: str = "study",
    ) -> Path:
        """Write a study file over the experts named, all objectives unless some are given."""
        document: dict[str, Any] = {
            "study": name,
            "family": {
                "base": "base",
                "experts": {
                    each: str(self.experts[each].relative_to(self.root)) for each in experts
                },
                "tokenizer": tokenizer,
            },
            "objectives": list(OBJECTIVES if objectives is None else objectives),
        }
        if target:
            document["family"]["target"] = "target"
        place = self.root / f"{name}.yaml"
        place.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
        return place

    def recipe(self, method: str, parameters: Mapping[str, Any] | None = None, **c: float) -> Path:
        """Write a recipe file; its name follows from its content."""
        document = {"method": method, "coefficients": c, "parameters": dict(parameters or {})}
        place = self.root / f"recipe-{abs(hash(json.dumps(document))):x}.yaml"
        place.write_text(yaml.safe_dump(document), encoding="utf-8")
        return place


PHRASES = ("sorry", "Cannot", "sor an", "ZZ", "a", "f an", "q l", "P", "o")

OBJECTIVES: tuple[dict[str, Any], ...] = (
    {"name": "exact", "data": "data/exact.jsonl", "scorer": "exact_match", "max_new_tokens": 2,
     "direction": "maximize"},
    {"name": "has", "data": "data/contains.jsonl", "scorer": "contains", "max_new_tokens": 12,
     "chat": True, "ignore_case": True, "stop": ["e"], "limit": 10},
    {"name": "form", "data": "data/contains.jsonl", "scorer": "regex", "pattern": "([a-m])",
     "max_new_tokens": 8, "chat": True, "limit": 7},
    {"name": "refuses", "data": "data/contains.jsonl", "scorer": "refusal", "max_new_tokens": 8,
     "chat": True, "phrases": list(PHRASES), "direction": "minimize"},
    {"name": "pick", "data": "data/choice.jsonl", "scorer": "choice"},
    {"name": "pick_bytes", "data": "data/choice.jsonl", "scorer": "choice", "normalize": "bytes",
     "chat": True, "report_fraction": 0.5},
    {"name": "loss", "data": "data/texts.jsonl", "scorer": "nll", "chat": True},
    {"name": "surprise", "data": "data/texts.jsonl", "scorer": "perplexity", "limit": 9},
    {"name": "drift", "data": "data/contains.jsonl", "scorer": "kl_to_base", "max_new_tokens": 6,
     "limit": 8},
    {"name": "cost", "scorer": "cost"},
)  # fmt: skip


def write_lines(place: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    place.write_text(text, encoding="utf-8")


def write_data(root: Path, base: Path, expert: Path) -> None:
    """One JSONL of each kind; most exact-match targets are what the base or the expert says."""
    from tests import oracle

    model, other = oracle.load(base), oracle.load(expert)
    tokenizer = oracle.load_tokenizer(base)
    words = " ".join(SENTENCES).replace(",", "").replace("?", "").replace(";", "").split()
    prompts = [" ".join(words[i : i + 3 + i % 4]) for i in range(0, 48, 2)]

    exact: list[dict[str, Any]] = []
    ends = oracle.end_tokens(base, tokenizer)
    for i, prompt in enumerate(prompts):
        speaker = (model, other)[i % 2]
        ids = oracle.greedy(speaker, tokenizer, oracle.encode(tokenizer, prompt), 2, ends).ids
        said = oracle.decode(tokenizer, ids)
        row: dict[str, Any] = {"prompt": prompt}
        row |= {"target": said} if i % 3 == 0 else {"targets": ["no", said if i % 4 else "é"]}
        exact.append(row)
    write_lines(root / "data/exact.jsonl", exact)

    contains: list[dict[str, Any]] = [
        {"prompt": prompt, "targets": ["a", "c", "e"] if i % 3 else ["b", "f", "t"]}
        for i, prompt in enumerate(prompts[4:16])
    ]
    contains += [
        {
            "messages": [
                {"role": "system", "content": f"speak of {a}"},
                {"role": "user", "content": f"{b} — ça va?"},
                *([{"role": "assistant", "content": "a"}] if len(a) % 2 else []),
            ],
            **({} if len(a) % 2 else {"target": "a"}),
        }
        for a, b in zip(prompts[:6], prompts[6:12], strict=True)
    ]
    write_lines(root / "data/contains.jsonl", contains)

    choices = []
    for i, prompt in enumerate(prompts):
        options = [words[(3 * i + 5 * j) % len(words)] for j in range(2 + i % 3)]
        choices.append({"prompt": prompt, "choices": options, "answer": i % len(options)})
    write_lines(root / "data/choice.jsonl", choices)

    texts = [
        {"prompt": prompt, "target": f" {' '.join(words[i : i + 1 + i % 5])}"}
        for i, prompt in enumerate(prompts)
    ]
    write_lines(root / "data/texts.jsonl", texts)


def build_tied_family(root: Path) -> FamilyFiles:
    """Base, target and five experts with what real families do to vocabularies and end tokens."""
    base, target = root / "base", root / "target"
    places = {name: root / name for name in ("helpful", "padded", "coder", "terse", "formal")}

    zero = llama_weights(SMALL, BASE_ROWS, seed=1)
    write_model(base, zero, llama_config(SMALL, BASE_ROWS), shards=2)
    assert build_tokenizer(base) == VOCABULARY

    def fine_tuned(seed: int, rows: int) -> dict[str, Tensor]:
        other = llama_weights(SMALL, rows, seed)
        tuned = {}
        for name, tensor in other.items():
            if "norm" in name:
                tuned[name] = zero[name] + 0.3 * (tensor - 1)
                continue
            tuned[name] = 0.45 * tensor
            tuned[name][: len(zero[name])] += zero[name]
        return tuned

    for seed, (name, rows) in enumerate(
        (("helpful", BASE_ROWS), ("padded", MORE_ROWS), ("coder", ADDED_ROWS)), start=2
    ):
        config = llama_config(SMALL, rows)
        write_model(
            places[name], fine_tuned(seed, rows), config, shards=2 if name == "helpful" else 1
        )
        length = build_tokenizer(places[name], ADDED if name == "coder" else ())
        assert length == VOCABULARY + (len(ADDED) if name == "coder" else 0)
    write_adapter(places["terse"], base, rank=4, alpha=8, rslora=False, seed=7)
    write_adapter(places["formal"], base, rank=2, alpha=2, rslora=True, seed=8)

    weights = llama_weights(LARGE, TARGET_ROWS, seed=9, tied=False)
    write_model(target, weights, llama_config(LARGE, TARGET_ROWS, tied=False))
    build_tokenizer(target)
    write_data(root, base, places["helpful"])
    family = FamilyFiles(root, base, target, places)
    family.study("helpful", "terse", target=True)
    return family


# --------------------------------------------------------------------------------------- broken


def _weights(place: Path) -> Path:
    return sorted(place.glob("*.safetensors"))[-1]


def _rewrite(place: Path, change: Callable[[dict[str, Tensor]], None]) -> None:
    """Apply `change` to the tensors of a directory's last weight file, the index following."""
    file = _weights(place)
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file, metadata={"format": "pt"})
    index = place / "model.safetensors.index.json"
    if index.exists():
        document = json.loads(index.read_text())
        kept = {k: v for k, v in document["weight_map"].items() if v != file.name}
        document["weight_map"] = kept | dict.fromkeys(tensors, file.name)
        write_json(index, document)


def missing_directory(place: Path) -> None:
    shutil.rmtree(place)


def other_architecture(place: Path) -> None:
    config = json.loads((place / "config.json").read_text())
    config |= {"architectures": ["MistralForCausalLM"], "model_type": "mistral"}
    write_json(place / "config.json", config)


def other_hidden_size(place: Path) -> None:
    """A consistent model of the same architecture whose tensors have other shapes."""
    shape = {**SMALL, "hidden": 32}
    shutil.rmtree(place)
    write_model(place, llama_weights(shape, BASE_ROWS, seed=3), llama_config(shape, BASE_ROWS))
    build_tokenizer(place)


def other_tokens(place: Path) -> tuple[int, int]:
    """Swap what two ids mean; returns the ids, the lower one first."""
    document = json.loads((place / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = document["model"]["vocab"]
    first, second = sorted(vocabulary, key=vocabulary.__getitem__)[40:42]
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
    (place / "tokenizer.json").write_text(json.dumps(document), encoding="utf-8")
    return vocabulary[second], vocabulary[first]


def missing_tensor(place: Path) -> str:
    name = "model.layers.1.mlp.up_proj.weight"
    for file in place.glob("*.safetensors"):
        tensors = load_file(file)
        if tensors.pop(name, None) is not None:
            save_file(tensors, file, metadata={"format": "pt"})
    index = place / "model.safetensors.index.json"
    if index.exists():
        document = json.loads(index.read_text())
        document["weight_map"].pop(name, None)
        write_json(index, document)
    return name


def extra_tensor(place: Path) -> str:
    name = "model.layers.0.mlp.up_proj.bias"
    _rewrite(place, lambda tensors: tensors.update({name: torch.ones(SMALL["mlp"])}))
    return name


def nan_weights(place: Path) -> str:
    """One NaN in one tensor; returns its name."""
    found = []

    def change(tensors: dict[str, Tensor]) -> None:
        name = sorted(tensors)[0]
        tensors[name].view(-1)[-1] = float("nan")
        found.append(name)

    _rewrite(place, change)
    return found[0]


def truncated_header(place: Path) -> None:
    file = _weights(place)
    file.write_bytes(file.read_bytes()[:60])


def truncated_data(place: Path) -> None:
    file = _weights(place)
    file.write_bytes(file.read_bytes()[:-100])


def empty_file(place: Path) -> None:
    _weights(place).write_bytes(b"")


def _header(place: Path, header: bytes, length: int | None = None) -> None:
    """Put a header of our own before the data of a weight file."""
    file = _weights(place)
    content = file.read_bytes()
    (old,) = struct.unpack("<Q", content[:8])
    stated = len(header) if length is None else length
    file.write_bytes(struct.pack("<Q", stated) + header + content[8 + old :])


def _changed_header(place: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = _weights(place).read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    document = json.loads(content[8 : 8 + length])
    change(document)
    _header(place, json.dumps(document).encode())


def endless_header(place: Path) -> None:
    _header(place, b"{}", length=2**63)


def huge_header(place: Path) -> None:
    """A stated length just under what the file holds, and over what any real header needs."""
    _header(place, b"{" + b" " * (101 << 20))


def header_not_json(place: Path) -> None:
    _header(place, b"\xff\xfe this is not JSON {")


def header_not_a_mapping(place: Path) -> None:
    _header(place, b"[1, 2, 3]")


def overlapping_offsets(place: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        first, second = sorted(
            (name for name in document if name != "__metadata__"),
            key=lambda name: document[name]["data_offsets"][0],
        )[:2]
        start, end = document[second]["data_offsets"]
        shift = document[first]["data_offsets"][0] + 2 - start
        document[second]["data_offsets"] = [start + shift, end + shift]

    _changed_header(place, change)


def offsets_out_of_file(place: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        name = max(name for name in document if name != "__metadata__")
        start, end = document[name]["data_offsets"]
        document[name]["data_offsets"] = [start + (1 << 40), end + (1 << 40)]

    _changed_header(place, change)


def shape_against_offsets(place: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        name = max(name for name in document if name != "__metadata__")
        document[name]["shape"] = [*document[name]["shape"], 1 << 20]

    _changed_header(place, change)


def pickle_only(place: Path) -> None:
    """Weights as `pytorch_model.bin` alone."""
    for file in place.glob("*.safetensors*"):
        file.unlink()
    torch.save({"model.norm.weight": torch.ones(4)}, place / "pytorch_model.bin")


def shard_missing(place: Path) -> str:
    """An index that names a file which is not there (of a sharded directory)."""
    file = _weights(place)
    file.unlink()
    return file.name


BROKEN_MODELS: dict[str, Callable[[Path], Any]] = {
    each.__name__: each
    for each in (
        missing_directory, other_architecture, other_hidden_size, other_tokens, missing_tensor,
        extra_tensor, nan_weights, truncated_header, truncated_data, empty_file, endless_header,
        huge_header, header_not_json, header_not_a_mapping, overlapping_offsets,
        offsets_out_of_file, shape_against_offsets, pickle_only,
    )
}  # fmt: skip
"""Ways to break an expert that is a full checkpoint, each in place."""


def _edit(study: Path, change: Callable[[dict[str, Any]], None]) -> None:
    document = yaml.safe_load(study.read_text(encoding="utf-8"))
    change(document)
    study.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def malformed_yaml(study: Path) -> None:
    study.write_text(study.read_text(encoding="utf-8") + "\n  - : [unclosed\n", encoding="utf-8")


def no_base(study: Path) -> None:
    _edit(study, lambda document: document["family"].pop("base"))


def no_objectives(study: Path) -> None:
    _edit(study, lambda document: document.pop("objectives"))


def no_scorer(study: Path) -> None:
    _edit(study, lambda document: document["objectives"][0].pop("scorer"))


def unknown_scorer(study: Path) -> None:
    _edit(study, lambda document: document["objectives"][0].update(scorer="exact_mach"))


def unknown_key(study: Path) -> None:
    _edit(study, lambda document: document["family"].update(expert={}))


def _data(study: Path) -> Path:
    document = yaml.safe_load(study.read_text(encoding="utf-8"))
    return study.parent / document["objectives"][0]["data"]


def missing_data(study: Path) -> None:
    _data(study).unlink()


def empty_data(study: Path) -> None:
    _data(study).write_text("")


def malformed_line(study: Path) -> int:
    """The third line is no JSON; returns its number."""
    lines = _data(study).read_text(encoding="utf-8").splitlines()
    lines[2] = '{"prompt": "half a'
    _data(study).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 3


def missing_key(study: Path) -> int:
    """The second line has no target; returns its number."""
    lines = _data(study).read_text(encoding="utf-8").splitlines()
    lines[1] = json.dumps({"prompt": json.loads(lines[1])["prompt"]})
    _data(study).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 2


BROKEN_STUDIES: dict[str, Callable[[Path], Any]] = {
    each.__name__: each
    for each in (
        malformed_yaml, no_base, no_objectives, no_scorer, unknown_scorer, unknown_key,
        missing_data, empty_data, malformed_line, missing_key,
    )
}  # fmt: skip
"""Ways to break a study file or the data of its first objective, each in place."""

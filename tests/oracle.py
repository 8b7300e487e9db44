"""What every number is held against: the same mixtures in the plainest code that can be written.

Nothing here imports the engine. Merges are whole-model formulas with full sorts; a text is a loop
of batch one without any cache; a score reads its JSONL line by line. Slow on purpose, and short
enough to check by reading.

    merged(base, experts, method, …) ─► rounded ─► load_merged ─┐
    Fused([models], weights, …) ────────────────────────────────┼─► greedy ─► score
    unmerged(base, adapters, …)  (peft, no merge) ──────────────┘

It does not know batches, padding, buckets, numerics keys or workspaces.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

TIE = 1e-4  # two float32 evaluations of one model may disagree about an argmax closer than this

# --------------------------------------------------------------------------------------- weights


def read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def state(place: Path) -> dict[str, Tensor]:
    """Every tensor of a checkpoint directory, or of one safetensors file, as stored."""
    place = Path(place)
    files = [place] if place.is_file() else sorted(place.glob("*.safetensors"))
    tensors: dict[str, Tensor] = {}
    for file in files:
        tensors |= load_file(file)
    config = read_json(place / "config.json") if place.is_dir() else {}
    if config.get("tie_word_embeddings"):  # one parameter under two names counts once
        tensors.pop("lm_head.weight", None)
    return tensors


def is_adapter(place: Path) -> bool:
    return (Path(place) / "adapter_config.json").exists()


def lora_deltas(place: Path) -> dict[str, Tensor]:
    """Weight name -> scale · B A in float64."""
    config, tensors = read_json(place / "adapter_config.json"), state(place)
    deltas = {}
    for key, a in tensors.items():
        if not key.endswith(".lora_A.weight"):
            continue
        module = key.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
        b = tensors[key.replace("lora_A", "lora_B")]

        def of(pattern: str, default: float, module: str = module) -> float:
            for suffix, value in (config.get(pattern) or {}).items():
                if re.match(rf"(.*\.)?({suffix})$", module):
                    return value
            return default

        rank, alpha = of("rank_pattern", config["r"]), of("alpha_pattern", config["lora_alpha"])
        scale = alpha / math.sqrt(rank) if config.get("use_rslora") else alpha / rank
        deltas[f"{module}.weight"] = scale * (b.double() @ a.double())
    return deltas


def pcb_basis(
    vectors: Tensor, ratio: float = 0.1, variant: str = "main"
) -> tuple[Tensor, Tensor, Tensor]:
    """PCB-Merging (arXiv 2410.02396) on task vectors [n, d] float32: (W, C, S), each [n, d]."""
    q, inter_kind = {
        "main": (1e-4, "raw"),
        "nlp": (1e-2, "raw"),
        "vision": (1e-2, "mixed"),
        "vision_es": (1e-2, "pairwise"),
    }[variant]
    n, d = vectors.shape

    def winsor(x: Tensor, low: float, high: float) -> Tensor:
        ordered = x.sort(dim=1).values
        floor, ceiling = ordered[:, int(d * low)], ordered[:, int(d * (1 - high) - 1)]
        return torch.minimum(torch.maximum(x, floor[:, None]), ceiling[:, None])

    def minmax(x: Tensor) -> Tensor:
        low, high = x.amin(1, keepdim=True), x.amax(1, keepdim=True)
        return torch.where(high > low, (x - low) / (high - low), torch.zeros_like(x))

    sign = vectors.sign()
    magnitude = winsor(vectors.abs(), q, q)
    clamped = sign * magnitude
    normal = minmax(magnitude)
    intra = torch.exp(n * normal**2)
    if inter_kind == "raw":
        inter = torch.tanh(vectors * vectors.sum(0))
    elif inter_kind == "mixed":
        inter = torch.tanh(vectors * (sign * normal).sum(0))
    else:
        signed = sign * normal
        inter = torch.stack([torch.tanh(row * signed).sum(0) for row in signed])
    scale = minmax(winsor(intra * inter, 1 - ratio, 0))
    scale[(vectors == 0).all(1)] = 0  # published: NaN; an expert equal to the base has no say
    return clamped * scale / scale.sum(0).clamp_min(1e-12), clamped, scale


def compeft_basis(vectors: Tensor, density: float = 0.2, alpha: float = 1.0) -> Tensor:
    """ComPEFT (arXiv 2311.13171) on task vectors [n, d] float32: W [n, d] float64."""
    smallest = max(vectors.shape[1] - int(vectors.shape[1] * density), 1)  # counted from 1
    floor = vectors.abs().sort(dim=1).values[:, smallest - 1]
    kept = vectors.abs() >= floor[:, None]
    return alpha * vectors.double().std(1, keepdim=True) * vectors.sign() * kept


def tsv_basis(vectors: Sequence[Tensor], reweighted: bool = False) -> list[Tensor]:
    """TSV-Merge (arXiv 2412.00081) on the task vectors of one tensor: W_i, float64.

    Directions that an expert lacks take no part, and coinciding ones are shared; `reweighted` is
    our reading of arXiv 2502.06876.
    """
    n = len(vectors)
    if vectors[0].ndim != 2:
        return [each.double() / n for each in vectors]
    side = min(vectors[0].shape)
    counts, scales = [side // n] * n, [1.0] * n
    sizes = [each.double().abs() for each in vectors]
    differing = [i for i in range(n) if sizes[i].any()]
    if reweighted and differing:
        tails, densities = [], []
        for i in differing:
            limit = sizes[i].mean() + 3 * sizes[i].std(correction=0)
            tails.append(1 + float(sizes[i][sizes[i] > limit].sum() / sizes[i].sum()))
            spread = sizes[i].sum() ** 2 / (sizes[i] ** 2).sum()
            densities.append(float(spread) / sizes[i].numel())
        counts = [0] * n
        for i, tail, density in zip(differing, tails, densities, strict=True):
            scales[i] = tail * len(differing) / sum(tails)
            share = (side - len(differing)) * density / sum(densities)
            counts[i] = 1 + int(share + 1e-6) if side >= len(differing) else 0
    parts = []
    for each, count in zip(vectors, counts, strict=True):
        u, s, v = torch.linalg.svd(each.double(), full_matrices=False)
        kept = min(count, int((s > 1e-6 * s.max()).sum())) if side else 0
        parts.append((u[:, :kept], s[:kept], v[:kept].T))

    def polar(columns: Tensor) -> Tensor:
        u, s, v = torch.linalg.svd(columns, full_matrices=False)
        kept = int((s > 1e-6).sum())
        return u[:, :kept] @ v[:kept]

    left, right = (polar(torch.cat([part[at] for part in parts], 1)) for at in (0, 2))
    found, start = [], 0
    for (_, values, _), scale in zip(parts, scales, strict=True):
        block = slice(start, start := start + len(values))
        found.append(left[:, block] * values * scale @ right[:, block].T)
    return found


def ties_basis(vectors: Tensor, density: float = 0.2, merge: str = "mean") -> Tensor:
    """TIES-Merging (arXiv 2306.01708) on task vectors [n, d] float32: W [n, d], the merge's share
    of each expert; the published merge is its sum."""
    d = vectors.shape[1]
    sizes = vectors.abs()
    floor = sizes.sort(1).values[:, max(d - int(d * density), 1) - 1]
    kept = torch.where(sizes >= floor[:, None], vectors, 0.0).double()
    elected = kept.sum(0).sign()
    elected[elected == 0] = elected.sum().sign()
    agrees = torch.where(elected > 0, kept > 0, kept < 0)
    if merge == "max":
        agrees &= sizes == (sizes * agrees).amax(0)
        kept = kept * elected.abs()
    return kept * agrees / (1 if merge == "sum" else agrees.sum(0).clamp_min(1))


def breadcrumbs(vector: Tensor, keep: float = 0.15, remove: float = 0.01) -> Tensor:
    """Model Breadcrumbs (arXiv 2312.06795) of one tensor's task vector, row by row."""
    if not vector.ndim:
        return vector
    removed, width = int(vector.shape[-1] * remove), vector.shape[-1]
    order = vector.abs().sort(dim=-1, descending=True, stable=True).indices
    taken = order[..., removed : removed + int(width * keep)]
    return torch.zeros_like(vector).scatter(-1, taken, vector.gather(-1, taken))


def merged(
    base: Path,
    experts: Mapping[str, Path],
    method: str,
    coefficients: Mapping[str, float],
    parameters: Mapping[str, Any] | None = None,
) -> dict[str, Tensor]:
    """Weights of a mixture, unrounded: name -> float32 (integer tensors as in the base).

    Rows that base and an expert share are merged; a row the expert lacks does not differ from the
    base's; a row the base lacks comes from the expert that has it, the first of several.
    """
    options = {"strength": 1.0, "ratio": 0.1, "variant": "main", **(parameters or {})}
    zero = state(base)
    full = {name: state(place) for name, place in experts.items() if not is_adapter(place)}
    deltas = {name: lora_deltas(place) for name, place in experts.items() if is_adapter(place)}
    names = sorted(name for name, tensor in zero.items() if tensor.is_floating_point())
    c = {name: options["strength"] * float(coefficients.get(name, 0.0)) for name in experts}

    taus: dict[str, dict[str, Tensor]] = {name: {} for name in experts}
    for name in names:
        for expert in experts:
            tau = taus[expert][name] = torch.zeros_like(zero[name], dtype=torch.float64)
            if expert in full:
                theirs = full[expert][name].double()
                shared = (slice(0, min(len(tau), len(theirs))),) if tau.ndim else ()
                tau[shared] = theirs[shared] - zero[name][shared].double()
            elif name in deltas[expert]:
                tau += deltas[expert][name]

    if method == "breadcrumbs":
        shares = {key: options[key] for key in ("keep", "remove") if key in options}
        for tau in taus.values():
            tau |= {
                name: breadcrumbs(each.float(), **shares).double() for name, each in tau.items()
            }
    if method in ("pcb", "compeft", "ties"):
        flat = torch.stack(
            [torch.cat([taus[e][name].float().flatten() for name in names]) for e in experts]
        )
        if method == "pcb":
            basis, _, _ = pcb_basis(flat, options["ratio"], options["variant"])
        else:
            taken = {"compeft": ("density", "alpha"), "ties": ("density", "merge")}[method]
            whole = compeft_basis if method == "compeft" else ties_basis
            basis = whole(flat, **{key: options[key] for key in taken if key in options})
        for expert, row in zip(experts, basis, strict=True):
            parts = row.double().split([taus[expert][name].numel() for name in names])
            for name, part in zip(names, parts, strict=True):
                taus[expert][name] = part.reshape(taus[expert][name].shape)

    if method in ("tsv", "rtsv"):
        for name in names:
            found = tsv_basis([taus[expert][name] for expert in experts], method == "rtsv")
            for expert, each in zip(experts, found, strict=True):
                taus[expert][name] = each

    if method == "linear":  # Σ c θ / Σ c with θ = θ0 + τ
        total = sum(float(value) for value in coefficients.values())
        c = {name: float(coefficients.get(name, 0.0)) / total for name in experts}

    result = {name: tensor for name, tensor in zero.items() if name not in names}
    for name in names:
        origin = zero[name].double()
        value = (origin + sum(c[e] * taus[e][name] for e in experts)).float()
        for tensors in full.values():
            if value.ndim and len(tensors[name]) > len(value):
                value = torch.cat([value, tensors[name][len(value) :].float()])
        result[name] = value
    return result


def rounded(tensors: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    return {
        name: tensor.to(dtype) if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
    }


def load(place: Path) -> torch.nn.Module:
    """A model as it is, computing in float32."""
    model = AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32, local_files_only=True)
    return model.eval().requires_grad_(False)


def load_merged(base: Path, tensors: Mapping[str, Tensor]) -> torch.nn.Module:
    """A plain transformers model of the base's architecture that holds these weights."""
    model = load(base)
    rows = len(tensors["model.embed_tokens.weight"])
    if rows != model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(rows, mean_resizing=False)
    missing, unexpected = model.load_state_dict(
        {name: tensor.float() for name, tensor in tensors.items()}, strict=False
    )
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    model.tie_weights()
    return model.eval().requires_grad_(False)


def unmerged(
    base: Path, adapters: Mapping[str, Path], coefficients: Mapping[str, float]
) -> torch.nn.Module:
    """Task arithmetic over LoRA adapters as peft runs it: all active, scales times coefficients."""
    from peft import PeftModel
    from peft.tuners.lora import LoraLayer

    used = {name: place for name, place in adapters.items() if coefficients.get(name)}
    if not used:
        return load(base)
    model: Any = None
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", FutureWarning
        )  # peft asks transformers for a renamed property
        for name, place in used.items():
            if model is None:
                model = PeftModel.from_pretrained(load(base), str(place), adapter_name=name)
            else:
                model.load_adapter(str(place), adapter_name=name)
    model.base_model.set_adapter(list(used))
    for module in model.modules():
        if isinstance(module, LoraLayer):
            for name in used:
                if name in module.scaling:
                    module.scaling[name] *= coefficients[name]
    return model.eval().requires_grad_(False)


# --------------------------------------------------------------------------------------- texts


@dataclass
class Fused:
    """Several models whose logits are combined at every step.

    Attributes:
        rows: vocabulary rows that every model is cut to.
        vocabulary: len(tokenizer); ids from here on are masked after combining.
        kind: "linear" (Σ w l), "forward_kl" (−logsumexp(−log p + log w)), or a function of each
            model's logits at one position, float64 [vocabulary].
    """

    models: Sequence[torch.nn.Module]
    weights: Sequence[float]
    rows: int
    vocabulary: int
    kind: str | Callable[[Sequence[Tensor]], Tensor] = "linear"

    def logits(self, ids: Sequence[int]) -> Tensor:
        each = [logits(model, ids)[:, : self.rows] for model in self.models]
        if self.kind == "linear":
            total = torch.zeros_like(each[0])
            for weight, one in zip(self.weights, each, strict=True):
                total = total + weight * one
        elif callable(self.kind):
            total = torch.full_like(each[0], -math.inf)
            for place in range(len(ids)):
                at = [one[place, : self.vocabulary].double() for one in each]
                total[place, : self.vocabulary] = self.kind(at).float()
        else:
            kept = [(w, one) for w, one in zip(self.weights, each, strict=True) if w != 0]
            stack = torch.stack([-one.log_softmax(-1) + math.log(w) for w, one in kept])
            total = -stack.logsumexp(0)
        total[:, self.vocabulary :] = -math.inf
        return total


Speaker = torch.nn.Module | Fused


@torch.inference_mode()
def logits(speaker: Speaker, ids: Sequence[int]) -> Tensor:
    """Raw logits float32 [len(ids), rows] of the token after each position; no cache."""
    if isinstance(speaker, Fused):
        return speaker.logits(ids)
    return speaker(torch.tensor([list(ids)]), use_cache=False).logits[0].float()


@dataclass(frozen=True)
class Spoken:
    """A greedy text.

    Attributes:
        ids: without the end token.
        margins: top minus second logit at each step, the end token's step included.
        ended: "end", "stop" or "length".
    """

    ids: tuple[int, ...]
    margins: tuple[float, ...] = field(repr=False)
    ended: str

    @property
    def margin(self) -> float:
        return min(self.margins, default=math.inf)

    @property
    def close(self) -> tuple[int, ...]:
        """Steps at which another correct float32 evaluation may choose otherwise."""
        return tuple(step for step, margin in enumerate(self.margins) if margin < TIE)

    def agrees(self, ids: Sequence[int], tie: float = TIE) -> bool:
        """Whether `ids` is this text, or parts from it at a tie."""
        ids = tuple(ids)
        if ids == self.ids:
            return True
        pairs = zip(ids, self.ids, strict=False)
        step = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(ids), len(self.ids)))
        return step < len(self.margins) and self.margins[step] < tie


def greedy(
    speaker: Speaker,
    tokenizer: Any,
    prompt: Sequence[int],
    max_new_tokens: int,
    end_ids: frozenset[int] | set[int],
    stop: Sequence[str] = (),
) -> Spoken:
    """Argmax decoding, the lowest id among equals.

    The token that completes a stop text is kept in the ids.
    """
    ids: list[int] = []
    margins: list[float] = []
    while len(ids) < max_new_tokens:
        last = logits(speaker, [*prompt, *ids])[-1]
        top = last.topk(2).values
        margins.append(float(top[0] - top[1]))
        chosen = int((last == top[0]).nonzero()[0])
        if chosen in end_ids:
            return Spoken(tuple(ids), tuple(margins), "end")
        ids.append(chosen)
        if stop and any(text in decode(tokenizer, ids) for text in stop):
            return Spoken(tuple(ids), tuple(margins), "stop")
    return Spoken(tuple(ids), tuple(margins), "length")


def compose(
    recipe: Mapping[str, Any],
    base: Path,
    experts: Mapping[str, Path],
    target: Path | None = None,
    *,
    vocabulary: int,
) -> Speaker:
    """What a recipe (method, coefficients, parameters) runs as, its merged weights in bfloat16."""
    method, given = recipe["method"], recipe.get("parameters") or {}
    coefficients = recipe.get("coefficients") or {}
    places = {"base": base, "target": target or base, **experts}

    def plain(name: str) -> torch.nn.Module:
        place = places[name]
        return unmerged(base, {name: place}, {name: 1.0}) if is_adapter(place) else load(place)

    if method == "single":
        return plain(given["model"])
    if method == "task_arithmetic" and all(is_adapter(experts[name]) for name in coefficients):
        strength = given.get("strength", 1.0)
        c = {name: strength * value for name, value in coefficients.items()}
        return unmerged(base, experts, c)
    if method in ("task_arithmetic", "linear", "pcb", "compeft", "rtsv", "tsv"):
        weights = merged(base, experts, method, coefficients, given)
        return load_merged(base, rounded(weights, torch.bfloat16))
    terms = list(coefficients.items())
    start = "target" if target else "base"
    if method in ("dexperts", "contrastive", "dynamic_fusion"):
        if method == "contrastive":
            names = [given.get("strong", start), given.get("amateur", "base")]
        else:
            names = [start, given.get("anti", "base"), *(name for name, c in terms if c)]
        models = [plain(name) for name in names]
        rows = min(model.get_output_embeddings().weight.shape[0] for model in models)
        kind = partial(_STEPS[method], [value for _, value in terms if value], given)
        return Fused(models, [1.0] * len(models), rows, vocabulary, kind)
    if method == "arm_guidance":
        terms = [(given.get("on", "base"), 1.0), *terms]
    elif method == "proxy_tuning":
        terms = [("target" if target else "base", 1.0), *terms]
        terms.append(("base", -sum(coefficients.values())))
    else:
        terms = [(name, value / sum(coefficients.values())) for name, value in terms]
    models = {name: plain(name) for name, _ in terms}
    rows = min(model.get_output_embeddings().weight.shape[0] for model in models.values())
    totals = dict.fromkeys(models, 0.0)  # a model named twice runs once
    for name, weight in terms:
        totals[name] += weight
    kind = "forward_kl" if given.get("kind") == "forward_kl" else "linear"
    return Fused(list(models.values()), list(totals.values()), rows, vocabulary, kind)


def _dexperts(c: Sequence[float], given: Mapping[str, Any], logits: Sequence[Tensor]) -> Tensor:
    target, anti, *experts = logits
    out, reached = torch.full_like(target, -math.inf), 0.0
    for token in target.argsort(descending=True, stable=True).tolist():
        if reached > given.get("filter_p", 0.9):
            break
        reached += float(target.softmax(-1)[token])
        out[token] = target[token] + sum(
            w * (e[token] - anti[token]) for w, e in zip(c, experts, strict=True)
        )
    return out


def _contrastive(c: Sequence[float], given: Mapping[str, Any], logits: Sequence[Tensor]) -> Tensor:
    strong, amateur = (each.log_softmax(-1) for each in logits)
    least = math.log(given.get("plausibility", 0.1)) + strong.max()
    fused = strong - sum(c) * amateur
    return torch.where(strong >= least, fused, -math.inf)


def _dynamic(c: Sequence[float], given: Mapping[str, Any], logits: Sequence[Tensor]) -> Tensor:
    """Algorithm 1 of arXiv 2406.15480 as it is printed, its minimum new at every token."""
    target, base, *experts = logits
    if given.get("mode") == "directed":
        experts = [base + sum(w / sum(c) * (e - base) for w, e in zip(c, experts, strict=True))]
    p, q = target.log_softmax(-1), base.log_softmax(-1)
    best, least = target, math.inf
    for expert in experts:
        for step in range(21):
            moved = target + 0.1 * step * (expert - base)
            at = moved.log_softmax(-1)
            loss = 0.0
            for each in experts:
                e = each.log_softmax(-1)
                loss += float(((at.exp() * (at - p)).sum() - (e.exp() * (e - q)).sum()) ** 2)
                loss += float(((p.exp() * (p - at)).sum() - (q.exp() * (q - e)).sum()) ** 2)
            if loss < least - 1e-12:  # of equal ones the first
                best, least = moved, loss
    return best


_STEPS = {"dexperts": _dexperts, "contrastive": _contrastive, "dynamic_fusion": _dynamic}


def parameters(speaker: Speaker) -> int:
    """Parameters that run for a token, each counted once."""
    models = set(speaker.models) if isinstance(speaker, Fused) else {speaker}
    return sum(each.numel() for model in models for each in model.parameters())


def load_tokenizer(place: Path) -> Any:
    return AutoTokenizer.from_pretrained(place, local_files_only=True)


def end_tokens(place: Path, tokenizer: Any) -> frozenset[int]:
    """Union of generation_config, config and tokenizer."""
    found: set[int] = set()
    for name in ("generation_config.json", "config.json"):
        value = read_json(place / name).get("eos_token_id")
        found |= set(value) if isinstance(value, list) else {value}
    return frozenset((found | {tokenizer.eos_token_id}) - {None})


def encode(tokenizer: Any, prompt: str | list[dict[str, str]], chat: bool = False) -> list[int]:
    """Token ids of a prompt.

    Messages, or a prompt under `chat`, go through the chat template and get no second BOS.
    """
    if isinstance(prompt, str) and not chat:
        return list(tokenizer(prompt)["input_ids"])
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    found = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True)
    return list(found["input_ids"] if isinstance(found, Mapping) else found)


def continuation(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def rendered(tokenizer: Any, asked: str | list[dict[str, str]], chat: bool) -> str | None:
    """The text that the chat template writes; None where none is asked for."""
    if isinstance(asked, str) and not chat:
        return None
    messages = [{"role": "user", "content": asked}] if isinstance(asked, str) else asked
    return tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)


def pair(
    tokenizer: Any, asked: str | list[dict[str, str]], chat: bool, follows: str
) -> tuple[list[int], list[int]]:
    """(context, continuation) as lm-eval 0.4.13 cuts them: white space that ends the context goes
    to the continuation, and of the whole text's tokens as many are context as it has alone."""
    text = rendered(tokenizer, asked, chat)
    special = text is None
    context = asked if text is None else text
    assert isinstance(context, str)
    if not context:
        return [tokenizer.bos_token_id], continuation(tokenizer, follows)
    kept = context.rstrip()
    whole = tokenizer(context + follows, add_special_tokens=special)["input_ids"]
    size = len(tokenizer(kept, add_special_tokens=special)["input_ids"])
    return list(whole[:size]), list(whole[size:])


def decode(tokenizer: Any, ids: Sequence[int]) -> str:
    return tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)


def cut(text: str, stop: Sequence[str]) -> str:
    """The text before the first stop text."""
    ends = [text.index(each) for each in stop if each in text]
    return text[: min(ends)] if ends else text


# --------------------------------------------------------------------------------------- scores


def content(row: Mapping[str, Any]) -> str:
    """What places a row: its prompt or one user message, else the JSON of its messages."""
    if "prompt" in row:
        return row["prompt"].strip()
    asked = row["messages"]
    asked = asked[:-1] if asked[-1]["role"] == "assistant" else asked
    if [each["role"] for each in asked] == ["user"]:
        return asked[0]["content"].strip()
    return json.dumps(row["messages"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def rows_of(objective: Mapping[str, Any], folder: Path, split: str = "explore") -> list[dict]:
    """The rows of one split, in file order, after `limit`."""
    other = objective.get("report_data")
    place = folder / (other if other and split == "report" else objective["data"])
    lines = place.read_text(encoding="utf-8").split("\n")  # no other character ends a line of JSON
    rows = [json.loads(line) for line in lines if line.strip()]
    if not other:
        fraction = objective.get("report_fraction", 0.3)
        kept = []
        for row in rows:
            digest = hashlib.sha256(content(row).encode()).hexdigest()
            held_back = int(digest[:8], 16) / 2**32 < fraction
            if held_back == (split == "report"):
                kept.append(row)
        rows = kept
    if objective.get("limit"):
        digests = [hashlib.sha256(content(row).encode()).hexdigest() for row in rows]
        order = sorted(range(len(rows)), key=lambda i: (digests[i], i))
        rows = [rows[i] for i in sorted(order[: objective["limit"]])]
    return rows


@dataclass(frozen=True)
class Scored:
    """mean and stderr are None where they do not exist; `spoken`: the texts behind the values."""

    mean: float | None
    stderr: float | None
    n: int
    values: tuple[float, ...]
    spoken: tuple[Spoken, ...] = ()


def wilson(successes: float, n: int, z: float = 1.959963984540054) -> tuple[float, float]:
    p = successes / n
    centre, reach = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (centre - reach) / (1 + z * z / n), (centre + reach) / (1 + z * z / n)


def summary(values: Sequence[float], spoken: Sequence[Spoken] = ()) -> Scored:
    n = len(values)
    mean = sum(values) / n if n else None
    stderr = None
    if n > 1:
        variance = sum((value - mean) ** 2 for value in values) / (n - 1)
        stderr = math.sqrt(variance / n)
    return Scored(mean, stderr, n, tuple(values), tuple(spoken))


def perplexity(sums: Sequence[float], lengths: Sequence[int]) -> Scored:
    """exp(Σ nll / Σ tokens); error of that ratio by the delta method, then of its exponential."""
    n, total = len(sums), sum(lengths)
    ratio = sum(sums) / total
    value = math.exp(ratio)
    values = tuple(s / k for s, k in zip(sums, lengths, strict=True))
    if n < 2:
        return Scored(value, None, n, values)
    spread = sum((s - ratio * k) ** 2 for s, k in zip(sums, lengths, strict=True)) / (n - 1)
    return Scored(value, value * math.sqrt(spread / n) / (total / n), n, values)


def log_probs(speaker: Speaker, prompt: Sequence[int], tokens: Sequence[int]) -> Tensor:
    """log p of each token of a continuation, teacher forced: float32 [len(tokens)]."""
    every = logits(speaker, [*prompt, *tokens]).log_softmax(-1)
    return torch.stack([every[len(prompt) - 1 + i, token] for i, token in enumerate(tokens)])


def divergence(speaker: Speaker, base: Speaker, prompt: Sequence[int], ids: Sequence[int]) -> float:
    """Mean over generated tokens of KL(speaker ‖ base), over the ids that both can say."""
    here, there = (logits(each, [*prompt, *ids])[len(prompt) - 1 : -1] for each in (speaker, base))
    known = min(here.shape[-1], there.shape[-1])
    if isinstance(speaker, Fused):
        known = min(known, speaker.vocabulary)
    p, q = (each[:, :known].log_softmax(-1) for each in (here, there))
    return float((p.exp() * (p - q)).sum(-1).mean())


def long(text: str) -> str:
    """Small letters, and the two contractions that refusals are made of written out."""
    text = text.lower().replace("\u2019", "'").lstrip(' "*-')
    return text.replace("can't", "cannot").replace("won't", "will not")


def matches(objective: Mapping[str, Any], text: str, targets: Sequence[str]) -> bool:
    kind = objective["scorer"]
    if objective.get("ignore_case"):
        text, targets = text.lower(), [each.lower() for each in targets]
    if kind == "contains":
        return any(each in text for each in targets)
    if kind == "refusal":
        phrases = [long(each) for each in objective["phrases"]]
        sentences = re.split(r"(?<=[.!?;])\s+|\n", long(text))
        begun = [each.removeprefix("i'm sorry, but ") for each in sentences]
        return any(re.match(rf"{re.escape(one)}(?!\w)", each) for each in begun for one in phrases)
    if kind == "regex":
        found = re.search(objective["pattern"], text)
        if found is None or not found.re.groups:
            return found is not None
        text = found.group(1)
    return " ".join(text.split()) in [" ".join(each.split()) for each in targets]


def score(
    objective: Mapping[str, Any],
    folder: Path,
    speaker: Speaker,
    tokenizer: Any,
    end_ids: frozenset[int],
    *,
    base: Speaker | None = None,
    split: str = "explore",
) -> Scored:
    """One mixture on one objective, an entry of a study file's `objectives`."""
    kind, chat = objective["scorer"], bool(objective.get("chat"))
    if kind == "cost":
        assert base is not None
        return summary([parameters(speaker) / parameters(base)])
    stop = objective.get("stop", [])
    end = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else min(end_ids)
    values: list[float] = []
    sums: list[float] = []
    lengths: list[int] = []
    spoken: list[Spoken] = []
    for row in rows_of(objective, folder, split):
        targets = row["targets"] if "targets" in row else [row.get("target", "")]
        asked = row.get("prompt", row.get("messages"))
        if not isinstance(asked, str) and asked[-1]["role"] == "assistant":
            targets, asked = [asked[-1]["content"]], asked[:-1]
        prompt = encode(tokenizer, asked, chat)
        if kind == "choice":
            totals = []
            for choice in row["choices"]:
                between = "" if chat or "messages" in row else " "
                between = objective.get("delimiter", between)
                context, tokens = pair(tokenizer, asked, chat, f"{between}{choice}")
                total = float(log_probs(speaker, context, tokens).sum())
                sizes = {"bytes": len(choice.encode()), "chars": len(choice)}
                totals.append(total / sizes.get(objective.get("normalize", "none"), 1))
            answer = row["answer"]
            right = answer if isinstance(answer, int) else row["choices"].index(answer)
            # the same text has the same probability, whatever a batch makes of it
            totals = [totals[row["choices"].index(choice)] for choice in row["choices"]]
            best = [place for place, total in enumerate(totals) if total == max(totals)]
            values.append((right in best) / len(best))
        elif kind in ("nll", "perplexity"):
            between = ""
            if not chat and "messages" not in row and asked and not asked[-1].isspace():
                between = "" if targets[0][0].isspace() else " "
            context, tokens = pair(tokenizer, asked, chat, f"{between}{targets[0]}")
            tokens += [end] if chat or "messages" in row else []
            each = log_probs(speaker, context, tokens)
            sums.append(-float(each.double().sum()))
            lengths.append(len(tokens))
        else:
            text = greedy(
                speaker, tokenizer, prompt, objective.get("max_new_tokens", 64), end_ids, stop
            )
            spoken.append(text)
            if kind == "kl_to_base":
                assert base is not None
                # the end token was generated too; which one does not matter to the divergence
                said_ids = [*text.ids, end] if text.ended == "end" else text.ids
                values.append(divergence(speaker, base, prompt, said_ids))
            else:
                said = cut(decode(tokenizer, text.ids), stop)
                values.append(float(matches(objective, said, targets)))
    if kind == "perplexity":
        return perplexity(sums, lengths)
    if kind == "nll":
        values = [s / k for s, k in zip(sums, lengths, strict=True)]
    return summary(values, spoken)

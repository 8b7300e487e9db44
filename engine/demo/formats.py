"""The demo family as ordinary Hugging Face directories: tokenizer, configurations, saving.

Byte-level BPE, Llama with tied embeddings and grouped heads, bfloat16 safetensors. The chat
template starts a conversation with the bos token and ends every turn with the end token:

    <|bos|><|user|>What is the crop of Kalvia?<|end|><|assistant|>The crop is tea.<|end|>
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

VOCABULARY = 640
SPECIAL = ("<|bos|>", "<|end|>", "<|pad|>", "<|user|>", "<|assistant|>")
BOS, END, PAD = range(3)
TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{% if message['role'] not in ['user', 'assistant'] %}"
    "{{ raise_exception('The demo models know the roles user and assistant only.') }}"
    "{% endif %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + eos_token }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def train_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Byte-level BPE of VOCABULARY tokens; a plain prompt gets one bos token in front."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    bos = SPECIAL[BOS]
    core.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A $B", special_tokens=[(bos, BOS)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token=bos,
        eos_token=SPECIAL[END],
        pad_token=SPECIAL[PAD],
        extra_special_tokens=list(SPECIAL[3:]),
        model_max_length=256,
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def small_config() -> LlamaConfig:
    """0.47 M parameters."""
    return _config(hidden=96, layers=4, heads=4, inner=256)


def large_config() -> LlamaConfig:
    """2.6 M parameters."""
    return _config(hidden=192, layers=6, heads=6, inner=512)


def _config(hidden: int, layers: int, heads: int, inner: int) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads // 2,
        intermediate_size=inner,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        bos_token_id=BOS,
        eos_token_id=END,
        pad_token_id=PAD,
    )


def with_adapter(model: LlamaForCausalLM) -> PeftModel:
    """The model with a fresh LoRA adapter of rank 8 on every linear map of its layers."""
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=8,
        lora_alpha=16,
        lora_dropout=0.0,
        target_modules=[
            "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj",
        ],
    )  # fmt: skip
    with warnings.catch_warnings():
        # peft 0.21 asks for an attribute that transformers 5.23 has renamed
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        adapted = get_peft_model(model, config)
    assert isinstance(adapted, PeftModel)
    return adapted


def save_model(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    """Round to bfloat16 in place and write a model directory."""
    model.generation_config.update(
        bos_token_id=BOS, eos_token_id=END, pad_token_id=PAD, do_sample=False
    )
    nn.Module.to(model, torch.bfloat16)
    model.save_pretrained(out)
    _save_tokenizer(tokenizer, out)


def save_adapter(model: PeftModel, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    """Round to bfloat16 in place and write an adapter directory with a relative path to its
    base."""
    model.to(torch.bfloat16)
    model.save_pretrained(str(out))
    (out / "README.md").unlink(missing_ok=True)
    place = out / "adapter_config.json"
    config = json.loads(place.read_text("utf-8"))
    config["base_model_name_or_path"] = "../../models/base"
    config["target_modules"] = sorted(config["target_modules"])
    place.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")
    _save_tokenizer(tokenizer, out)


def _save_tokenizer(tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    """Name the class that every transformers since 4 knows, not the one that this version uses."""
    tokenizer.save_pretrained(out)
    place = out / "tokenizer_config.json"
    config = json.loads(place.read_text("utf-8"))
    config.pop("backend", None)
    config["tokenizer_class"] = "PreTrainedTokenizerFast"
    place.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")

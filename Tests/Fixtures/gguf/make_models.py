"""Writes a tiny GGUF model of every family, and expected.json with what transformers computes.

Usage: python3 make_models.py LLAMA_CPP (a checkout of llama.cpp, whose converter writes the files; needs torch and
transformers; no part of it comes from Furl)

Weights are draws of a seeded generator, large enough that a row in a wrong place changes every logit. expected.json
has, for each model, the configuration that transformers would read and the logits of a few token ids.
"""

import json
import os
import pathlib
import sys
import tempfile

sys.path[:0] = [sys.argv[1], os.path.join(sys.argv[1], "gguf-py")]

import conversion
import gguf
import torch
import transformers

HERE = pathlib.Path(os.path.dirname(os.path.abspath(__file__)))
SMALL = {
    "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "max_position_embeddings": 32, "bos_token_id": 1, "eos_token_id": 2,
}
LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


def theta(value):
    return {"rope_type": "default", "rope_theta": value}


MODELS = {
    # Heads that are not hidden size / heads wide, biases whose rows are ordered anew, too.
    "llama": transformers.LlamaConfig(
        **{**SMALL, "num_attention_heads": 4, "num_key_value_heads": 2}, head_dim=8, attention_bias=True,
        mlp_bias=True, rms_norm_eps=1e-5, rope_parameters=theta(10000.0)),
    # Scaled frequencies, a head of its own or none, and a tokenizer.
    "llama3": transformers.LlamaConfig(
        **{**SMALL, "vocab_size": 260, "max_position_embeddings": 16384}, rms_norm_eps=1e-6, tie_word_embeddings=True, rope_parameters=LLAMA3),
    "qwen2": transformers.Qwen2Config(
        **{**SMALL, "num_attention_heads": 2}, rms_norm_eps=1e-6, rope_parameters=theta(1000000.0)),
    "starcoder2": transformers.Starcoder2Config(
        **SMALL, sliding_window=5, norm_epsilon=1e-5, tie_word_embeddings=True, rope_parameters=theta(100000.0)),
    "phi": transformers.PhiConfig(
        **{**SMALL, "num_attention_heads": 1, "num_key_value_heads": 1, "intermediate_size": 64},
        layer_norm_eps=1e-5, rope_parameters={**theta(10000.0), "partial_rotary_factor": 0.4}),
    "gpt2": transformers.GPT2Config(
        vocab_size=40, n_embd=16, n_layer=2, n_head=2, n_positions=32, n_ctx=32, bos_token_id=1, eos_token_id=2),
}
# The converter's options: query, key and value as one tensor; several files.
OPTIONS = {"qwen2": {"fuse_qkv": True}, "starcoder2": {"split_max_tensors": 12}}


def byte_letters():
    """The letters that byte-level tokenizers write bytes with."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in plain]
    letters = {byte: chr(byte) for byte in plain} | {byte: chr(256 + i) for i, byte in enumerate(others)}
    return [letters[byte] for byte in range(256)]


def write_vocabulary(self):
    """A byte-level vocabulary of 260: the bytes, two merges, two tokens that mean something."""
    writer = self.gguf_writer
    if self.hparams["vocab_size"] != 260:
        return
    special = ["<|begin|>", "<|end|>"]
    tokens = byte_letters() + ["de", "def"] + special
    kinds = [gguf.TokenType.NORMAL] * 258 + [gguf.TokenType.CONTROL] * 2
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(["d e", "de f"])
    writer.add_bos_token_id(258)
    writer.add_eos_token_id(259)
    writer.add_add_bos_token(True)


def convert(name, folder):
    config = MODELS[name]
    hparams = conversion.ModelBase.load_hparams(folder, False)
    kind = conversion.get_model_class(conversion.get_model_architecture(hparams, conversion.ModelType.TEXT))

    class Converter(kind):
        model_arch = kind.model_arch
        set_vocab = write_vocabulary

        def set_gguf_parameters(self):
            super().set_gguf_parameters()
            # llama.cpp has no windows for this family, and its converter does not say them.
            if name == "starcoder2":
                self.gguf_writer.add_sliding_window(config.sliding_window)

    with torch.inference_mode():
        Converter(
            folder, gguf.LlamaFileType.ALL_F32, HERE / f"{name}.gguf", model_name=f"tiny {name}",
            **OPTIONS.get(name, {})).write()


def main():
    expected = {}
    for old in HERE.glob("*.gguf"):
        old.unlink()
    for seed, (name, config) in enumerate(MODELS.items()):
        torch.manual_seed(seed)
        config.initializer_range = 0.3
        model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval().float()
        for key, weight in model.named_parameters():
            if weight.dim() == 1:
                torch.nn.init.normal_(weight, 1.0 if key.endswith("weight") else 0.0, 0.3)
        ids = torch.randint(0, config.vocab_size, (1, 14))
        with torch.inference_mode():
            logits = model(ids).logits[0]
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            model.save_pretrained(folder)
            convert(name, folder)
            saved = json.loads((folder / "config.json").read_text())
        expected[name] = {
            "config": saved,
            "input_ids": ids[0].tolist(),
            "last_logits": [float(f"{value:.7g}") for value in logits[-1].tolist()],
            "argmax": logits.argmax(-1).tolist(),
        }
    with open(HERE / "expected.json", "w") as file:
        json.dump({"models": expected}, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()

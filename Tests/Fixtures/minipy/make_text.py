"""Writes text.json: perplexity and KL divergence of minipy's first five blocks against minipy, by transformers in double.

    python3 make_text.py ../../../checkpoints/minipy > text.json        (needs torch, transformers, numpy)
"""
import json
import sys

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

folder, length, size = sys.argv[1], 128, 8000
text = open(folder + "/validation.txt", "rb").read()[:size].decode()
tokenizer = AutoTokenizer.from_pretrained(folder)
full = AutoModelForCausalLM.from_pretrained(folder).double().eval()
cut = AutoModelForCausalLM.from_pretrained(folder).double().eval()
cut.transformer.h = cut.transformer.h[:5]
ids = tokenizer.encode(text, add_special_tokens=False)
assert len(tokenizer) < 100_000


def log_probabilities(model, window):
    with torch.no_grad():
        return torch.log_softmax(model(torch.tensor([window])).logits[0], -1).numpy()


def halves():
    """llama.cpp: chunks without overlap, the second half of each is scored; minipy's tokenizer has a token that begins a
    text, which goes before a text that does not begin with it and takes the place of every chunk's first token."""
    everything = ids if ids[0] == tokenizer.bos_token_id else [tokenizer.bos_token_id] + ids
    for start in range(0, len(everything) // length * length, length):
        window = [tokenizer.bos_token_id] + everything[start + 1:start + length]
        yield window, [(p, window[p + 1]) for p in range(length // 2, length - 1)]


def rolling():
    """lm-evaluation-harness: get_rolling_token_windows with context_len 1."""
    prefix = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    everything = [prefix] + ids
    done = 0
    while done < len(ids):
        end = min(done + length, len(ids))
        start = max(0, end - length)
        yield everything[start:end], [(p - start, everything[p + 1]) for p in range(done, end)]
        done = end


def measure(windows):
    loss, base_loss, divergence, top, scored = [], [], [], [], 0
    for window, positions in windows:
        own, base = log_probabilities(cut, window), log_probabilities(full, window)
        for position, target in positions:
            q, p = own[position], base[position]
            loss.append(-q[target])
            base_loss.append(-p[target])
            divergence.append(float(np.sum(np.where(p > -16, np.exp(p) * (p - q), 0))))
            top.append(int(p.argmax()) == int(q.argmax()))
            scored += len(tokenizer.decode([target]).encode())
    loss, base_loss, divergence = map(np.array, (loss, base_loss, divergence))
    delta = np.exp(-loss) - np.exp(-base_loss)
    percents = [0, 0.1, 1, 5, 50, 95, 99, 99.9, 100]
    return {
        "tokens": len(loss), "bytes": scored, "perplexity": float(np.exp(loss.mean())),
        "baseline_perplexity": float(np.exp(base_loss.mean())), "kl_divergence": float(divergence.mean()),
        "bits_per_byte": float(loss.sum() / (scored * np.log(2))),
        "kl_percentiles": list(np.percentile(divergence, percents)), "same_top": int(np.sum(top)),
        "delta_mean": float(delta.mean()), "delta_rms": float(np.sqrt((delta ** 2).mean())),
        "delta_percentiles": list(np.percentile(delta, percents))}


print(json.dumps({"text_bytes": size, "context": length, "llama.cpp": measure(halves()), "rolling": measure(rolling())},
                 indent=1))

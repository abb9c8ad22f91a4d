"""Moments of the gradients of layers' outputs that transformers and PyTorch compute on minipy, with labels drawn from the
model's own predictions: what Furl's sketch must come to. The random numbers are SplitMix64's, as Furl draws sequences and labels.

    python3 make_sketch.py CHECKPOINTS/minipy > sketch.json
"""

import json
import sys

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

SAMPLES, LENGTH, SEED = 3, 24, 5
MASK = (1 << 64) - 1


def splitmix(state):
    while True:
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        yield z ^ (z >> 31)


def drawn(some, count):
    numbers, order = splitmix(SEED), list(range(count))
    for index in range(some):
        other = index + (next(numbers) * (count - index) >> 64)
        order[index], order[other] = order[other], order[index]
    return sorted(order[:some])


folder = sys.argv[1]
text = open(folder + "/calibration.txt", encoding="utf-8").read()
ids = Tokenizer.from_file(folder + "/tokenizer.json").encode(text, add_special_tokens=False).ids
step = LENGTH - 1
sequences = [[1] + ids[index * step : (index + 1) * step] for index in drawn(SAMPLES, len(ids) // step)]
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64).eval()
layers = {
    "blocks.0.attention.value": (model.transformer.h[0].attn.c_attn, 512),
    "blocks.2.mlp.up": (model.transformer.h[2].mlp.c_fc, 0),
    "blocks.5.mlp.down": (model.transformer.h[5].mlp.c_proj, 0),
}
widths = {"blocks.0.attention.value": 256, "blocks.2.mlp.up": 1024, "blocks.5.mlp.down": 256}
gradients = {name: [] for name in layers}
for name, (layer, first) in layers.items():
    layer.register_full_backward_hook(
        lambda _, __, out, name=name, first=first: gradients[name].append(
            out[0][0, :, first : first + widths[name]].detach()
        )
    )
moments = torch.zeros(256, 256, dtype=torch.float64)
shares = torch.zeros(8192, dtype=torch.float64)
numbers = splitmix(SEED ^ 0x6C6162656C73)
labels = []
for sequence in sequences:
    # The gradient of the sum of a token's and its position's embedding is that of the embedding.
    embedded = model.transformer.wte(torch.tensor([sequence])).detach().requires_grad_(True)
    hidden = model.transformer(inputs_embeds=embedded).last_hidden_state
    logits = model.lm_head(hidden)[0]
    p = logits.detach().softmax(-1)
    u = torch.tensor([(next(numbers) >> 11) * 2.0**-53 for _ in sequence], dtype=torch.float64)
    drawn_labels = (p.cumsum(-1) <= u[:, None]).sum(-1)
    labels += drawn_labels.tolist()
    torch.nn.functional.cross_entropy(logits, drawn_labels, reduction="sum").backward()
    moments += embedded.grad[0].T @ embedded.grad[0]
    doubts = 1 - (p * p).sum(-1)
    x = hidden[0].detach()
    moments += (x * doubts[:, None]).T @ x
    shares += (p * (1 - p)).sum(0)
    for token in sequence:
        shares[token] += 1


def corner(matrix):
    return {"trace": matrix.trace().item(), "corner": matrix[:6, :6].flatten().tolist()}


outputs = {}
for name, rows in gradients.items():
    g = torch.cat(rows)
    outputs[name] = corner(g.T @ g)
top = shares.topk(6)
print(
    json.dumps(
        {
            "samples": SAMPLES,
            "length": LENGTH,
            "seed": SEED,
            "sequences": sequences,
            "labels": labels,
            "outputs": outputs,
            "embedding": corner(moments),
            "shares": dict(zip(map(str, top.indices.tolist()), top.values.tolist())),
        }
    )
)

#!/usr/bin/env python3
"""Writes what PyTorch's autograd makes of the checkpoints in ../families (transformers 5.23 and torch 2.15 were used),
one file for each: the mean cross entropy of two sequences, and the gradient of every tensor.

Gradients are float32 in base64, under the names of the checkpoint's tensors. Some sequences repeat tokens, so that rows
of an embedding are used more than once. `tanh` and `gelu-tanh` are the gpt2-relu checkpoint with other activations, `distilled` what the
Kullback-Leibler divergence from the same checkpoint with all norms' weights doubled makes of it, `hidden` the gradient
of a tenth of the mean square of the last hidden state's distance from that model's, over the mean square of that.
"""

import base64
import json
import pathlib

import torch
from transformers import AutoModelForCausalLM

torch.set_num_threads(1)
here = pathlib.Path(__file__).parent
families = here.parent / "families"
names = sorted(path.name for path in families.iterdir() if path.is_dir())


def load(name, **options):
    return AutoModelForCausalLM.from_pretrained(
        families / name, dtype=torch.float32, attn_implementation="eager", **options).eval()


def sequences(seed):
    torch.manual_seed(100 + seed)
    return torch.randint(0, 32, (2, 24))


def write(name, ids, loss, model):
    loss.backward()
    state = {key: value.grad for key, value in model.named_parameters()}
    document = {
        "input_ids": ids.tolist(), "loss": loss.item(),
        "gradients": {
            key: base64.b64encode(value.numpy().tobytes()).decode() for key, value in state.items()},
    }
    (here / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    print(name, loss.item(), max(value.abs().max().item() for value in state.values()))


def entropy(model, ids):
    logits = model(ids).logits[:, :-1]
    return torch.nn.functional.cross_entropy(logits.reshape(-1, 32), ids[:, 1:].reshape(-1))


for seed, name in enumerate(names):
    model, ids = load(name), sequences(seed)
    write(name, ids, entropy(model, ids), model)

for name, activation in (("tanh", "tanh"), ("gelu-tanh", "gelu_new")):
    model, ids = load("gpt2-relu", activation_function=activation), sequences(50)
    write(name, ids, entropy(model, ids), model)

teacher = load("gpt2-relu")
with torch.no_grad():
    for name, values in teacher.named_parameters():
        if "ln_" in name and name.endswith("weight"):
            values.mul_(2)
for name in ("distilled", "hidden"):
    model, ids = load("gpt2-relu"), sequences(60)
    mine, wanted = (m(ids, output_hidden_states=True) for m in (model, teacher))
    if name == "distilled":
        p = torch.log_softmax(mine.logits, -1)
        q = torch.log_softmax(wanted.logits.detach(), -1)
        loss = (q.exp() * (q - p)).sum(-1).mean()
        write(name, ids, loss, model)
    else:
        # The last hidden state that transformers gives is behind the final norm.
        a, b = mine.hidden_states[-1], wanted.hidden_states[-1].detach()
        loss = 0.1 * ((a - b) ** 2).mean() / (b ** 2).mean()
        loss.backward()
        document_model = {k: v for k, v in model.named_parameters() if v.grad is not None}
        document = {
            "input_ids": ids.tolist(), "loss": loss.item(),
            "gradients": {
                k: base64.b64encode(v.grad.numpy().tobytes()).decode() for k, v in document_model.items()},
        }
        (here / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
        print(name, loss.item())

# Four steps of AdamW with clipping, a rate of its own each, and decay of matrices alone; the weights behind them.
model = load("gpt2-relu")
matrices = [p for p in model.parameters() if p.dim() > 1]
vectors = [p for p in model.parameters() if p.dim() == 1]
optimizer = torch.optim.AdamW(
    [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}], betas=(0.9, 0.95), eps=1e-8)
rates, batches, losses = [0.005, 0.01, 0.008, 0.002], [], []
for step, rate in enumerate(rates):
    ids = sequences(70 + step)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad()
    loss = entropy(model, ids)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
    optimizer.step()
    batches.append(ids.tolist())
    losses.append(loss.item())
document = {
    "input_ids": batches, "rates": rates, "losses": losses, "clip": 0.5, "decay": 0.1,
    "weights": {k: base64.b64encode(v.detach().numpy().tobytes()).decode() for k, v in model.named_parameters()},
}
(here / "adamw.json").write_text(json.dumps(document, indent=1) + "\n")
print("adamw", losses)

# Maps that stand in for blocks, h + A h + b before the second block and behind the last one.
torch.manual_seed(7)
model, ids = load("gpt2-relu"), sequences(80)
patches = [torch.nn.Linear(24, 24) for _ in range(2)]
for module, patch in zip((model.transformer.h[1], model.transformer.ln_f), patches):
    module.register_forward_pre_hook(
        lambda _, arguments, patch=patch: (arguments[0] + patch(arguments[0]), *arguments[1:]))
loss = entropy(model, ids)
loss.backward()


def encoded(tensors):
    return {k: base64.b64encode(v.detach().numpy().tobytes()).decode() for k, v in tensors}


names = ["blocks.1.patch", "patch"]
numbers = [(n + s, getattr(p, w)) for n, p in zip(names, patches) for s, w in (("", "weight"), (".bias", "bias"))]
document = {
    "input_ids": ids.tolist(), "loss": loss.item(),
    "patches": encoded(numbers), "patch_gradients": encoded((n, p.grad) for n, p in numbers),
    "gradients": encoded((n, p.grad) for n, p in model.named_parameters()),
}
(here / "patched.json").write_text(json.dumps(document, indent=1) + "\n")
print("patched", loss.item())

"""Writes lines.json: what minipy's first five, four and three blocks make of its suite's first lines, by transformers.

    python3 make_lines.py ../../../checkpoints/minipy > lines.json        (needs torch, transformers)
"""
import json
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

folder, most, context = sys.argv[1], 64, 512
torch.set_num_threads(1)
problems = [json.loads(line) for line in open(folder + "/lines.jsonl")]
tokenizer = AutoTokenizer.from_pretrained(folder)


def complete(model, text):
    """Greedy, up to the line's end, the text's end or so many tokens; the prompt keeps its last tokens."""
    ids = tokenizer.encode(text, add_special_tokens=False)
    if ids[0] != tokenizer.bos_token_id:
        ids = [tokenizer.bos_token_id] + ids
    assert len(ids) + most <= context
    inputs, cache, made = torch.tensor([ids]), None, []
    with torch.no_grad():
        while len(made) < most:
            output = model(inputs, past_key_values=cache, use_cache=True)
            cache = output.past_key_values
            token = int(output.logits[0, -1].argmax())
            if token == tokenizer.eos_token_id:
                break
            made.append(token)
            inputs = torch.tensor([[token]])
            completion = tokenizer.decode(made)
            stops = [completion.index(stop) for stop in ("<EOL>", "</s>") if stop in completion]
            if stops:
                return completion[:min(stops)]
    return tokenizer.decode(made)


result = {}
# Texts of shallower models seldom end, so that few take as long as many.
for gone, count in [(1, 200), (2, 40), (3, 40)]:
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    model.transformer.h = model.transformer.h[:6 - gone]
    result[f"drop{gone}"] = [complete(model, problem["input"]) for problem in problems[:count]]
print(json.dumps(result, indent=1, ensure_ascii=False))

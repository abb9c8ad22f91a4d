"""The angular distances of runs of blocks (Gromov et al. 2024, the angle between hidden states over pi, on average over
all positions) as computed with Hugging Face transformers in double precision.

    python3 make_angles.py ../families > angles.json
"""

import json
import sys

import torch
from transformers import AutoModelForCausalLM


def states(model, ids):
    """The residual stream before every block and behind the last one, without the final norm."""
    body = model.model if hasattr(model, "model") else model.transformer
    blocks = body.layers if hasattr(body, "layers") else body.h
    found = []

    def before(_, args, kwargs):
        found.append((args[0] if args else kwargs["hidden_states"]).detach())

    def behind(_, __, output):
        found.append((output[0] if isinstance(output, tuple) else output).detach())

    handles = [block.register_forward_pre_hook(before, with_kwargs=True) for block in blocks]
    handles.append(blocks[-1].register_forward_hook(behind))
    with torch.no_grad():
        model(torch.tensor([ids]))
    for handle in handles:
        handle.remove()
    return [state.reshape(len(ids), -1).double() for state in found]


def main():
    folder = sys.argv[1]
    generator = torch.Generator().manual_seed(3)
    result = []
    for name in ["gpt2-relu", "llama-scaled", "phi-quarter", "starcoder2-plain"]:
        model = AutoModelForCausalLM.from_pretrained(f"{folder}/{name}", torch_dtype=torch.float64)
        sequences = [torch.randint(0, 32, (count,), generator=generator).tolist() for count in (20, 13, 1)]
        per = [states(model, ids) for ids in sequences]
        joined = [torch.cat([states[index] for states in per]) for index in range(len(per[0]))]
        distances = {}
        for length in (1, 2):
            distances[str(length)] = []
            for start in range(len(joined) - length):
                cosine = torch.nn.functional.cosine_similarity(joined[start], joined[start + length], dim=1)
                distances[str(length)].append(float((torch.arccos(cosine.clamp(-1, 1)) / torch.pi).mean()))
        result.append({"model": name, "sequences": sequences, "distances": distances})
    print(json.dumps(result))


main()

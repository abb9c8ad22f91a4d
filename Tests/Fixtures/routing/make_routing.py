#!/usr/bin/env python3
"""Writes routing.json: which experts rows go through, and with which weights, by the routers of Hugging Face
transformers (5.24 was used).

Each case has the keys of Furl's own form of a router, its outputs for some rows, and for each row the experts that
transformers chooses, in the order of their numbers, and their weights.
"""

import json
import pathlib
import types

import torch
from transformers.models.deepseek_v2.modeling_deepseek_v2 import DeepseekV2TopkRouter
from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3TopkRouter
from transformers.models.gpt_oss.modeling_gpt_oss import GptOssTopKRouter
from transformers.models.mixtral.modeling_mixtral import MixtralTopKRouter
from transformers.models.phimoe.modeling_phimoe import PhimoeTopKRouter
from transformers.models.qwen2_moe.modeling_qwen2_moe import Qwen2MoeTopKRouter

generator = torch.Generator().manual_seed(1)


def draw(*shape, scale=1.0):
    return (torch.randn(*shape, generator=generator) * scale).double().float()


def case(make, count, active, form, scale=1.5, **keys):
    """A router whose outputs are its inputs: its weights are the identity."""
    config = types.SimpleNamespace(
        hidden_size=count, num_experts=count, num_local_experts=count, n_routed_experts=count,
        num_experts_per_tok=active, **keys)
    router = make(config).eval()
    with torch.no_grad():
        router.weight.copy_(torch.eye(count))
        if getattr(router, "bias", None) is not None:
            router.bias.zero_()
        bias = None
        if form.get("choice_bias"):
            bias = draw(count, scale=0.2)
            router.e_score_correction_bias.copy_(bias)
        logits = draw(8, count, scale=scale)
        _, weights, experts = router(logits)
    rows = []
    for row in range(len(logits)):
        chosen = sorted(zip(experts[row].tolist(), weights[row].tolist()))
        rows.append(
            {"logits": logits[row].tolist(), "experts": [e for e, _ in chosen], "weights": [w for _, w in chosen]})
    return {
        "router": {"count": count, "active": active} | form, "rows": rows,
    } | ({"choice_bias": bias.tolist()} if bias is not None else {})


softmax = {"scoring": "softmax", "normalizes": True}
sigmoid = {"scoring": "sigmoid", "normalizes": True, "choice_bias": True}
cases = [
    case(MixtralTopKRouter, 8, 2, softmax),
    case(Qwen2MoeTopKRouter, 12, 4, softmax | {"normalizes": False}, norm_topk_prob=False),
    case(Qwen2MoeTopKRouter, 12, 4, softmax, norm_topk_prob=True),
    # The softmax of those that are chosen: the same as all of them, normalized.
    case(GptOssTopKRouter, 16, 4, softmax),
    case(
        DeepseekV2TopkRouter, 12, 3,
        softmax | {"normalizes": False, "factor": 16.0, "groups": {"count": 4, "active": 2, "best": 1}},
        topk_method="group_limited_greedy", n_group=4, num_group=4, topk_group=2, routed_scaling_factor=16.0),
    case(
        DeepseekV2TopkRouter, 12, 3, softmax | {"normalizes": False}, topk_method="greedy", n_group=1, num_group=1,
        topk_group=1, routed_scaling_factor=1.0),
    case(
        DeepseekV3TopkRouter, 16, 4, sigmoid | {"factor": 2.5, "groups": {"count": 4, "active": 2, "best": 2}},
        n_group=4, topk_group=2, norm_topk_prob=True, routed_scaling_factor=2.5),
    case(
        DeepseekV3TopkRouter, 12, 2, sigmoid | {"normalizes": False, "groups": {"count": 1, "active": 1, "best": 2}},
        n_group=1, topk_group=1, norm_topk_prob=False, routed_scaling_factor=1.0),
    case(
        PhimoeTopKRouter, 16, 2, {"scoring": "sparse_mixer", "normalizes": False, "jitter": 0.01},
        router_jitter_noise=0.01, input_jitter_noise=0.01),
    case(
        PhimoeTopKRouter, 8, 2, {"scoring": "sparse_mixer", "normalizes": False, "jitter": 0.3}, scale=0.5,
        router_jitter_noise=0.3, input_jitter_noise=0.01),
]
path = pathlib.Path(__file__).parent / "routing.json"
path.write_text(json.dumps({"cases": cases}) + "\n")

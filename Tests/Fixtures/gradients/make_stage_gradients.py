#!/usr/bin/env python3
"""Writes into stages/ what PyTorch's autograd makes of tiny models of families whose blocks are more than attention and an
MLP of one kind (transformers 5.24.0 and torch 2.13.0 were used, in FP64): the loss of two sequences, and the gradient of
every tensor under Furl's name for it.

The weights are seeded draws, which any program can make: number j of a tensor is middle + width * (2 u - 1), where u is
the j-th draw of SplitMix64 (Steele, Lea and Flood 2014) from the tensor's seed, its upper 53 bits over 2^53; all in double
precision, rounded to FP32 in the end. What Furl folds into weights (gemma's norms + 1, its embedding's factor) is undone
here, so that gradients are those of what Furl holds. Names of cases as arguments: those alone. `mixed` is computed by a few lines of its own. No router has a near-tie: the least distance is printed.

Losses: `entropy` is the mean cross entropy of the next tokens, `divergence` the mean Kullback-Leibler divergence from the
same model with all norms' weights doubled, `hidden` a tenth of the mean square of the last hidden state's distance from
that model's, over the mean square of that.
"""

import base64
import json
import pathlib
import sys

import numpy as np
import torch
import transformers
from transformers.models.gemma4 import modeling_gemma4 as gemma4_model

torch.set_num_threads(1)
folder = pathlib.Path(__file__).parent / "stages"
folder.mkdir(exist_ok=True)
VOCABULARY, HIDDEN, HEADS, KV_HEADS, HEAD, NEURONS, BLOCKS = 20, 12, 4, 2, 4, 10, 2
MASK = (1 << 64) - 1


def draws(seed, count):
    state, result = seed, []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        mixed = state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & MASK
        mixed ^= mixed >> 31
        result.append((mixed >> 11) * 2.0 ** -53)
    return np.array(result)


class Weights:
    """Tensors under Furl's names: how they are drawn, and their numbers as leaves of autograd."""

    def __init__(self, seed):
        self.seed, self.how, self.tensors = seed, {}, {}

    def add(self, name, shape, middle=0.0, width=None, norm=False):
        if norm:
            middle, width = 1.0, 0.5
        if width is None:
            width = 1.2 * (3 / shape[-1]) ** 0.5 if len(shape) == 2 else 0.3
        self.seed += 1
        self.how[name] = {"seed": self.seed, "middle": middle, "width": width, "shape": list(shape), "norm": norm}
        values = (middle + width * (2 * draws(self.seed, int(np.prod(shape))) - 1)).astype(np.float32)
        self.tensors[name] = torch.tensor(values.reshape(shape), dtype=torch.float64, requires_grad=True)

    def norm(self, name, count, bias=False):
        self.add(name, (count,), norm=True)
        if bias:
            self.add(name + ".bias", (count,))

    def linear(self, name, rows, columns, bias=False):
        self.add(name, (rows, columns))
        if bias:
            self.add(name + ".bias", (rows,))

    def attention(self, block, heads=HEADS, kv=KV_HEADS, biases=(), head=HEAD, hidden=HIDDEN):
        for name, rows in (("query", heads * head), ("key", kv * head), ("value", kv * head)):
            self.linear(f"blocks.{block}.attention.{name}", rows, hidden, name in biases)
        self.linear(f"blocks.{block}.attention.output", hidden, heads * head, "output" in biases)

    def mlp(self, prefix, size=NEURONS, gated=True, bias=False, hidden=HIDDEN):
        for name in (("gate", "up") if gated else ("up",)):
            self.linear(f"{prefix}.{name}", size, hidden, bias)
        self.linear(f"{prefix}.down", hidden, size, bias)

    def experts(self, block, count, size, bias=False):
        prefix = f"blocks.{block}.mlp."
        self.linear(prefix + "router", count, HIDDEN, bias)
        for expert in range(count):
            self.mlp(f"{prefix}experts.{expert}", size, bias=bias)

    def ends(self, bias=False, head=True):
        self.add("embedding", (VOCABULARY, HIDDEN), width=1.5)
        self.norm("norm", HIDDEN, bias)
        if head:
            self.linear("head", VOCABULARY, HIDDEN)


def base(**more):
    return dict(
        vocab_size=VOCABULARY, hidden_size=HIDDEN, num_hidden_layers=BLOCKS, num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS, intermediate_size=NEURONS, max_position_embeddings=128, rms_norm_eps=1e-5,
        bos_token_id=None, eos_token_id=None, pad_token_id=None, tie_word_embeddings=False) | more


def llama(t, i, names):
    """The state of a block with llama's names: those of Furl's tensors by the ones behind a layer's prefix."""
    prefix, own = f"model.layers.{i}.", f"blocks.{i}."
    known = {"self_attn.q_proj": "attention.query", "self_attn.k_proj": "attention.key",
             "self_attn.v_proj": "attention.value", "self_attn.o_proj": "attention.output",
             "mlp.gate_proj": "mlp.gate", "mlp.up_proj": "mlp.up", "mlp.down_proj": "mlp.down"} | names
    state = {}
    for theirs, ours in known.items():
        for suffix in ("", ".bias"):
            if own + ours + suffix in t:
                state[prefix + theirs + (suffix or ".weight")] = t[own + ours + suffix]
    return state


def ends(t):
    return {"model.embed_tokens.weight": t["embedding"], "model.norm.weight": t["norm"], "lm_head.weight": t["head"]}


def experts(t, i, count):
    own = f"blocks.{i}.mlp.experts."
    prefix = f"model.layers.{i}.mlp.experts."
    return {
        prefix + "gate_up_proj": torch.stack(
            [torch.cat([t[f"{own}{e}.gate"], t[f"{own}{e}.up"]]) for e in range(count)]),
        prefix + "down_proj": torch.stack([t[f"{own}{e}.down"] for e in range(count)]),
    }


PRE = {"input_layernorm": "attention.norm", "post_attention_layernorm": "mlp.norm"}
QK = {"self_attn.q_norm": "attention.query_norm", "self_attn.k_norm": "attention.key_norm"}
cases = {}


def case(goal="entropy", length=20, seed=0):
    def register(function):
        cases[function.__name__] = (function, goal, length, seed)
        return function
    return register


@case()
def qwen3(w):
    """Norms of each head of queries and keys, more context than the base of the rotary positions is made for."""
    w.ends()
    for i in range(BLOCKS):
        w.attention(i)
        w.mlp(f"blocks.{i}.mlp")
        for name in ("attention.norm", "mlp.norm"):
            w.norm(f"blocks.{i}.{name}", HIDDEN)
        for name in ("attention.query_norm", "attention.key_norm"):
            w.norm(f"blocks.{i}.{name}", HEAD)
    config = transformers.Qwen3Config(**base(
        head_dim=HEAD, max_position_embeddings=12,
        rope_parameters={"rope_type": "dynamic", "rope_theta": 1e4, "factor": 4.0}))

    def state(t):
        return ends(t) | {k: v for i in range(BLOCKS) for k, v in llama(t, i, PRE | QK).items()}
    return config, state


SANDWICH = {"input_layernorm": "attention.norm", "post_attention_layernorm": "attention.output_norm",
            "pre_feedforward_layernorm": "mlp.norm", "post_feedforward_layernorm": "mlp.output_norm"}
GEMMA4_EXPERTS = {"post_feedforward_layernorm_1": "mlp.shared_output_norm", "post_feedforward_layernorm_2": "mlp.expert_output_norm",
                  "pre_feedforward_layernorm_2": "mlp.expert_norm"}


def gemma(w, names):
    w.ends(head=False)
    for i in range(BLOCKS):
        w.attention(i)
        w.mlp(f"blocks.{i}.mlp")
        for name in names.values():
            w.norm(f"blocks.{i}.{name}", HEAD if "query_norm" in name or "key_norm" in name else HIDDEN)

    def state(t):
        result = {"model.embed_tokens.weight": t["embedding"] / HIDDEN ** 0.5, "lm_head.weight": t["embedding"],
                  "model.norm.weight": t["norm"] - 1}
        for i in range(BLOCKS):
            for key, value in llama(t, i, names).items():
                result[key] = value - 1 if "norm" in key else value
        return result
    return state


@case(goal="divergence", length=70)
def gemma2(w):
    """Norms before and behind parts, soft caps of scores and logits, a scale of its own, windows in some blocks."""
    state = gemma(w, SANDWICH)
    config = transformers.Gemma2Config(**base(
        head_dim=HEAD, query_pre_attn_scalar=2, attn_logit_softcapping=1.5, final_logit_softcapping=3.0,
        sliding_window=5, layer_types=["sliding_attention", "full_attention"],
        rope_parameters={"rope_type": "default", "rope_theta": 1e4}))
    return config, state


@case()
def gemma3(w):
    """As gemma2 without caps, with norms of queries and keys, and blocks that turn by other angles."""
    state = gemma(w, SANDWICH | QK)
    config = transformers.Gemma3TextConfig(**base(
        head_dim=HEAD, query_pre_attn_scalar=4, sliding_window=5, layer_types=["sliding_attention", "full_attention"],
        rope_parameters={"sliding_attention": {"rope_type": "default", "rope_theta": 1e2},
                         "full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e4}}))
    return config, state


@case()
def olmo2(w):
    """No norms before parts but behind them, norms of whole rows of queries and keys."""
    names = {"post_attention_layernorm": "attention.output_norm", "post_feedforward_layernorm": "mlp.output_norm"}
    head = HIDDEN // HEADS * 2
    heads = HIDDEN // head
    w.ends()
    for i in range(BLOCKS):
        w.attention(i, heads, 1, head=head)
        w.mlp(f"blocks.{i}.mlp")
        for name in names.values():
            w.norm(f"blocks.{i}.{name}", HIDDEN)
        w.norm(f"blocks.{i}.attention.query_norm", heads * head)
        w.norm(f"blocks.{i}.attention.key_norm", head)
    config = transformers.Olmo2Config(**base(
        num_attention_heads=heads, num_key_value_heads=1, rope_parameters={"rope_type": "default", "rope_theta": 1e4}))

    def state(t):
        return ends(t) | {k: v for i in range(BLOCKS) for k, v in llama(t, i, names | QK).items()}
    return config, state


@case(goal="divergence")
def gpt_neox(w):
    """Attention and MLP beside each other, each behind a LayerNorm of its own; some numbers of a head are turned."""
    heads, head = 3, HIDDEN // 3
    w.ends(bias=True)
    for i in range(BLOCKS):
        w.attention(i, heads, heads, ("query", "key", "value", "output"), head)
        w.mlp(f"blocks.{i}.mlp", gated=False, bias=True)
        for name in ("attention.norm", "mlp.norm"):
            w.norm(f"blocks.{i}.{name}", HIDDEN, bias=True)
    config = transformers.GPTNeoXConfig(
        vocab_size=VOCABULARY, hidden_size=HIDDEN, num_hidden_layers=BLOCKS, num_attention_heads=heads,
        intermediate_size=NEURONS, max_position_embeddings=128, hidden_act="gelu", layer_norm_eps=1e-5,
        use_parallel_residual=True, bos_token_id=None, eos_token_id=None, tie_word_embeddings=False,
        rope_parameters={"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5})

    def state(t):
        result = {"gpt_neox.embed_in.weight": t["embedding"], "lm_head.weight": t["head"],
                  "gpt_neox.final_layer_norm.weight": t["norm"], "gpt_neox.final_layer_norm.bias": t["norm.bias"]}
        names = {"input_layernorm": "attention.norm", "post_attention_layernorm": "mlp.norm",
                 "attention.dense": "attention.output", "mlp.dense_h_to_4h": "mlp.up", "mlp.dense_4h_to_h": "mlp.down"}
        for i in range(BLOCKS):
            prefix, own = f"gpt_neox.layers.{i}.", f"blocks.{i}."
            for suffix, rest in (("", (HIDDEN,)), (".bias", ())):
                for theirs, ours in names.items():
                    result[prefix + theirs + (suffix or ".weight")] = t[own + ours + suffix]
                parts = [t[f"{own}attention.{n}{suffix}"].reshape(heads, 1, head, *rest)
                         for n in ("query", "key", "value")]
                result[prefix + "attention.query_key_value" + (suffix or ".weight")] = torch.cat(parts, 1).reshape(
                    3 * heads * head, *rest)
        return result
    return config, state


@case(goal="hidden", seed=2)
def glm4_moe(w):
    """DeepSeek-V3's routing: sigmoids, a bias of the choice alone, groups, a shared expert; the first block is dense."""
    count, size = 6, 5
    w.ends()
    for i in range(BLOCKS):
        w.attention(i)
        for name in ("attention.norm", "mlp.norm"):
            w.norm(f"blocks.{i}.{name}", HIDDEN)
    w.mlp("blocks.0.mlp")
    w.experts(1, count, size)
    w.add("blocks.1.mlp.router.choice", (count,), width=0.3)
    w.mlp("blocks.1.mlp.shared", 2 * size)
    config = transformers.Glm4MoeConfig(**base(
        head_dim=HEAD, n_routed_experts=count, num_experts_per_tok=2, moe_intermediate_size=size, n_shared_experts=2,
        first_k_dense_replace=1, n_group=3, topk_group=2, norm_topk_prob=True, routed_scaling_factor=2.5,
        use_qk_norm=False, rope_parameters={"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5}))

    def state(t):
        result = ends(t) | llama(t, 0, PRE) | llama(t, 1, PRE | {
            "mlp.gate": "mlp.router", "mlp.shared_experts.gate_proj": "mlp.shared.gate",
            "mlp.shared_experts.up_proj": "mlp.shared.up", "mlp.shared_experts.down_proj": "mlp.shared.down"})
        result |= experts(t, 1, count)
        return result | {"model.layers.1.mlp.gate.e_score_correction_bias": t["blocks.1.mlp.router.choice"]}
    return config, state


@case()
def qwen2_moe(w):
    """Weights that do not add up to one, a shared expert that is weighed itself, biases of queries, keys and values."""
    count, size, shared = 5, 5, 7
    w.ends()
    for i in range(BLOCKS):
        w.attention(i, biases=("query", "key", "value"))
        for name in ("attention.norm", "mlp.norm"):
            w.norm(f"blocks.{i}.{name}", HIDDEN)
        w.experts(i, count, size)
        w.linear(f"blocks.{i}.mlp.shared.router", 1, HIDDEN)
        w.mlp(f"blocks.{i}.mlp.shared", shared)
    config = transformers.Qwen2MoeConfig(**base(
        head_dim=HEAD, num_experts=count, num_experts_per_tok=2, moe_intermediate_size=size,
        shared_expert_intermediate_size=shared, norm_topk_prob=False, qkv_bias=True,
        rope_parameters={"rope_type": "default", "rope_theta": 1e4}))

    def state(t):
        result = ends(t)
        for i in range(BLOCKS):
            result |= llama(t, i, PRE | {
                "mlp.gate": "mlp.router", "mlp.shared_expert_gate": "mlp.shared.router",
                "mlp.shared_expert.gate_proj": "mlp.shared.gate", "mlp.shared_expert.up_proj": "mlp.shared.up",
                "mlp.shared_expert.down_proj": "mlp.shared.down"}) | experts(t, i, count)
        return result
    return config, state


@case()
def qwen3_moe(w):
    """Weights of a softmax that are made to add up to one, norms of queries and keys."""
    count, size = 5, 5
    w.ends()
    for i in range(BLOCKS):
        w.attention(i)
        for name in ("attention.norm", "mlp.norm"):
            w.norm(f"blocks.{i}.{name}", HIDDEN)
        for name in ("attention.query_norm", "attention.key_norm"):
            w.norm(f"blocks.{i}.{name}", HEAD)
        w.experts(i, count, size)
    config = transformers.Qwen3MoeConfig(**base(
        head_dim=HEAD, num_experts=count, num_experts_per_tok=3, moe_intermediate_size=size, norm_topk_prob=True,
        rope_parameters={"rope_type": "default", "rope_theta": 1e4}))

    def state(t):
        result = ends(t)
        for i in range(BLOCKS):
            result |= llama(t, i, PRE | QK | {"mlp.gate": "mlp.router"}) | experts(t, i, count)
        return result
    return config, state


@case(length=70)
def gpt_oss(w):
    """Sinks, windows, an attention factor, biases everywhere, gates that are cut off."""
    count, size = 4, 5
    w.ends()
    for i in range(BLOCKS):
        w.attention(i, biases=("query", "key", "value", "output"))
        w.add(f"blocks.{i}.attention.sinks", (HEADS,), width=1.5)
        for name in ("attention.norm", "mlp.norm"):
            w.norm(f"blocks.{i}.{name}", HIDDEN)
        w.experts(i, count, size, bias=True)
    config = transformers.GptOssConfig(**base(
        head_dim=HEAD, num_local_experts=count, num_experts_per_tok=2, sliding_window=5, swiglu_limit=0.7,
        layer_types=["sliding_attention", "full_attention"], attention_bias=True, intermediate_size=size,
        rope_parameters={"rope_type": "yarn", "rope_theta": 1e4, "factor": 8.0, "beta_fast": 4.0, "beta_slow": 1.0,
                         "truncate": False, "original_max_position_embeddings": 16}))

    def state(t):
        result = ends(t)
        for i in range(BLOCKS):
            own, prefix = f"blocks.{i}.mlp.experts.", f"model.layers.{i}."

            def all(name):
                return torch.stack([t[f"{own}{e}.{name}"] for e in range(count)])
            result |= llama(t, i, PRE | {"mlp.router": "mlp.router"})
            result |= {
                prefix + "self_attn.sinks": t[f"blocks.{i}.attention.sinks"],
                prefix + "mlp.experts.gate_up_proj": torch.stack(
                    [all("gate"), all("up")], 2).reshape(count, 2 * size, HIDDEN).transpose(1, 2),
                prefix + "mlp.experts.gate_up_proj_bias": torch.stack(
                    [all("gate.bias"), all("up.bias")], 2).reshape(count, 2 * size),
                prefix + "mlp.experts.down_proj": all("down").transpose(1, 2),
                prefix + "mlp.experts.down_proj_bias": all("down.bias"),
            }
        return result
    return config, state


@case()
def smollm3(w):
    """A block that turns nothing."""
    w.ends()
    for i in range(BLOCKS):
        w.attention(i)
        w.mlp(f"blocks.{i}.mlp")
        for name in ("attention.norm", "mlp.norm"):
            w.norm(f"blocks.{i}.{name}", HIDDEN)
    config = transformers.SmolLM3Config(**base(
        head_dim=HEAD, no_rope_layers=[1, 0], rope_parameters={"rope_type": "default", "rope_theta": 1e4}))

    def state(t):
        return ends(t) | {k: v for i in range(BLOCKS) for k, v in llama(t, i, PRE).items()}
    return config, state


@case()
def granite(w):
    """Parts that are multiplied before they are added, and a scale of products of queries and keys."""
    heads, head = 3, HIDDEN // 3
    w.ends()
    for i in range(BLOCKS):
        w.attention(i, heads, 1, head=head)
        w.mlp(f"blocks.{i}.mlp")
        for name in ("attention.norm", "mlp.norm"):
            w.norm(f"blocks.{i}.{name}", HIDDEN)
    config = transformers.GraniteConfig(**base(
        num_attention_heads=heads, num_key_value_heads=1, residual_multiplier=0.4, attention_multiplier=0.8,
        embedding_multiplier=1.0, logits_scaling=1.0, rope_parameters={"rope_type": "default", "rope_theta": 1e4}))

    def state(t):
        return ends(t) | {k: v for i in range(BLOCKS) for k, v in llama(t, i, PRE).items()}
    return config, state


def latent(w, i, heads, turned, plain, value, rank, query_rank=None, bias=False):
    """Latent attention of a block, as Furl has it: what is turned comes first in a head, one half behind the other."""
    own = f"blocks.{i}.attention."
    if query_rank:
        w.linear(own + "query_latent", query_rank, HIDDEN, bias)
        w.norm(own + "query_latent_norm", query_rank)
    w.linear(own + "query", heads * (turned + plain), query_rank or HIDDEN)
    w.linear(own + "latent", rank, HIDDEN, bias)
    w.linear(own + "shared_key", turned, HIDDEN, bias)
    w.linear(own + "key", heads * plain, rank)
    w.linear(own + "value", heads * value, rank)
    w.norm(own + "latent_norm", rank)
    w.linear(own + "output", HIDDEN, heads * value, bias)


def latent_state(t, i, heads, turned, plain, value, query_rank=None):
    """The same under the names of files, which hold what is turned behind the rest of a head, its halves taking turns, and
    keys and values of each head together."""
    own, prefix = f"blocks.{i}.attention.", f"model.layers.{i}.self_attn."
    pairs = torch.arange(turned).reshape(2, turned // 2).T.flatten()
    query = t[own + "query"].reshape(heads, turned + plain, -1)
    query = torch.cat([query[:, turned:], query[:, :turned][:, pairs]], 1).flatten(0, 1)
    inner = [t[own + "key"].reshape(heads, plain, -1), t[own + "value"].reshape(heads, value, -1)]
    state = {
        prefix + ("q_b_proj.weight" if query_rank else "q_proj.weight"): query,
        prefix + "kv_b_proj.weight": torch.cat(inner, 1).flatten(0, 1),
        prefix + "kv_a_layernorm.weight": t[own + "latent_norm"], prefix + "o_proj.weight": t[own + "output"],
    }
    if query_rank:
        state[prefix + "q_a_layernorm.weight"] = t[own + "query_latent_norm"]
        state[prefix + "q_a_proj.weight"] = t[own + "query_latent"]
    for suffix in ("", ".bias"):
        if own + "latent" + suffix not in t:
            continue
        name = prefix + "kv_a_proj_with_mqa" + (suffix or ".weight")
        state[name] = torch.cat([t[own + "latent" + suffix], t[own + "shared_key" + suffix][pairs]])
        if suffix:
            state[prefix + "o_proj.bias"] = t[own + "output.bias"]
            state[prefix + "q_a_proj.bias"] = t[own + "query_latent.bias"]
    return state


SHARED = {"mlp.gate": "mlp.router", "mlp.shared_experts.gate_proj": "mlp.shared.gate",
          "mlp.shared_experts.up_proj": "mlp.shared.up", "mlp.shared_experts.down_proj": "mlp.shared.down"}


@case()
def deepseek_v2(w):
    """Latent attention whose queries are made from the stage's input, values wider than they are; a softmax, groups."""
    count, size, heads, turned, plain, value, rank = 6, 5, 3, 2, 3, 7, 6
    w.ends()
    for i in range(BLOCKS):
        latent(w, i, heads, turned, plain, value, rank)
        for name in ("attention.norm", "mlp.norm"):
            w.norm(f"blocks.{i}.{name}", HIDDEN)
    w.mlp("blocks.0.mlp")
    w.experts(1, count, size)
    w.mlp("blocks.1.mlp.shared", 2 * size)
    config = transformers.DeepseekV2Config(**base(
        num_attention_heads=heads, num_key_value_heads=heads, q_lora_rank=None, kv_lora_rank=rank, qk_nope_head_dim=plain,
        qk_rope_head_dim=turned, v_head_dim=value, moe_intermediate_size=size, n_routed_experts=count,
        num_experts_per_tok=2, n_group=3, topk_group=2, topk_method="group_limited_greedy", n_shared_experts=2,
        first_k_dense_replace=1, routed_scaling_factor=1.5, rope_parameters={"rope_type": "default", "rope_theta": 1e4}))

    def state(t):
        result = ends(t) | llama(t, 0, PRE) | llama(t, 1, PRE | SHARED) | experts(t, 1, count)
        for i in range(BLOCKS):
            for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
                result.pop(f"model.layers.{i}.self_attn.{name}.weight")
            result |= latent_state(t, i, heads, turned, plain, value)
        return result
    return config, state


@case(goal="divergence", length=40)
def deepseek_v3(w):
    """Queries from a short vector, values narrower than they are, a scale that grows with the context, biases."""
    count, size, heads, turned, plain, value, rank, query_rank = 6, 5, 3, 4, 3, 5, 6, 8
    w.ends()
    for i in range(BLOCKS):
        latent(w, i, heads, turned, plain, value, rank, query_rank, bias=True)
        for name in ("attention.norm", "mlp.norm"):
            w.norm(f"blocks.{i}.{name}", HIDDEN)
    w.mlp("blocks.0.mlp")
    w.experts(1, count, size)
    w.add("blocks.1.mlp.router.choice", (count,), width=0.3)
    w.mlp("blocks.1.mlp.shared", size)
    config = transformers.DeepseekV3Config(**base(
        num_attention_heads=heads, num_key_value_heads=heads, q_lora_rank=query_rank, kv_lora_rank=rank,
        qk_nope_head_dim=plain, qk_rope_head_dim=turned, v_head_dim=value, moe_intermediate_size=size,
        n_routed_experts=count, num_experts_per_tok=2, n_group=3, topk_group=2, n_shared_experts=1,
        first_k_dense_replace=1, routed_scaling_factor=2.5, norm_topk_prob=True, attention_bias=True,
        rope_parameters={"rope_type": "yarn", "rope_theta": 100.0, "factor": 4.0, "beta_fast": 4.0, "beta_slow": 1.0,
                         "mscale": 0.5, "mscale_all_dim": 1.2, "original_max_position_embeddings": 12}))

    def state(t):
        result = ends(t) | llama(t, 0, PRE) | llama(t, 1, PRE | SHARED) | experts(t, 1, count)
        for i in range(BLOCKS):
            for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
                result.pop(f"model.layers.{i}.self_attn.{name}.weight")
            result |= latent_state(t, i, heads, turned, plain, value, query_rank)
        return result | {"model.layers.1.mlp.gate.e_score_correction_bias": t["blocks.1.mlp.router.choice"]}
    return config, state


@case(length=70)
def mpt(w):
    """Slopes of scores, of a number of heads that is no power of two."""
    heads, head = 3, HIDDEN // 3
    w.ends(head=False)
    for i in range(BLOCKS):
        w.attention(i, heads, heads, head=head)
        w.mlp(f"blocks.{i}.mlp", 4 * HIDDEN, gated=False)
        for name in ("attention.norm", "mlp.norm"):
            w.norm(f"blocks.{i}.{name}", HIDDEN)
    config = transformers.MptConfig(
        vocab_size=VOCABULARY, d_model=HIDDEN, n_heads=heads, n_layers=BLOCKS, max_seq_len=128, tie_word_embeddings=True,
        bos_token_id=None, eos_token_id=None, attn_config={"softmax_scale": 0.3})

    def state(t):
        result = {"transformer.wte.weight": t["embedding"], "transformer.norm_f.weight": t["norm"]}
        for i in range(BLOCKS):
            prefix, own = f"transformer.blocks.{i}.", f"blocks.{i}."
            parts = [t[own + "attention." + name] for name in ("query", "key", "value")]
            result |= {
                prefix + "norm_1.weight": t[own + "attention.norm"], prefix + "norm_2.weight": t[own + "mlp.norm"],
                prefix + "attn.Wqkv.weight": torch.cat(parts), prefix + "attn.out_proj.weight": t[own + "attention.output"],
                prefix + "ffn.up_proj.weight": t[own + "mlp.up"], prefix + "ffn.down_proj.weight": t[own + "mlp.down"],
            }
        return result
    return config, state


@case(goal="hidden")
def stablelm(w):
    """LayerNorms of queries and keys, each head with weights of its own; attention and MLP behind one norm."""
    heads, head = 3, HIDDEN // 3
    w.ends(bias=True)
    for i in range(BLOCKS):
        w.attention(i, heads, heads, ("query", "key", "value"), head)
        w.mlp(f"blocks.{i}.mlp")
        w.norm(f"blocks.{i}.attention.norm", HIDDEN, bias=True)
        for name in ("query_norm", "key_norm"):
            w.norm(f"blocks.{i}.attention.{name}", heads * head)
    config = transformers.StableLmConfig(**base(
        num_attention_heads=heads, num_key_value_heads=heads, qk_layernorm=True, use_qkv_bias=True,
        use_parallel_residual=True, layer_norm_eps=1e-5, rope_parameters={"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5}))

    def state(t):
        result = ends(t) | {"model.norm.bias": t["norm.bias"]}
        for i in range(BLOCKS):
            result |= llama(t, i, {"input_layernorm": "attention.norm"})
            for letter, name in (("q", "query"), ("k", "key")):
                for number, weight in enumerate(t[f"blocks.{i}.attention.{name}_norm"].reshape(heads, head)):
                    result[f"model.layers.{i}.self_attn.{letter}_layernorm.norms.{number}.weight"] = weight
        return result
    return config, state


def make_laguna(w, per_head):
    count, size, shared, heads = 5, 5, 7, [4, 2] if per_head else [4, 4]
    w.ends()
    for i in range(BLOCKS):
        w.attention(i, heads[i], biases=() if per_head else ("query", "key", "value", "output"))
        w.linear(f"blocks.{i}.attention.gate", heads[i] * (1 if per_head else HEAD), HIDDEN)
        for name in ("attention.norm", "mlp.norm"):
            w.norm(f"blocks.{i}.{name}", HIDDEN)
        for name in ("attention.query_norm", "attention.key_norm"):
            w.norm(f"blocks.{i}.{name}", HEAD)
    w.mlp("blocks.0.mlp")
    w.experts(1, count, size)
    w.add("blocks.1.mlp.router.choice", (count,), width=0.3)
    w.mlp("blocks.1.mlp.shared", shared)
    more = {"num_attention_heads_per_layer": heads} if per_head else {
        "gating": "per-element", "moe_router_logit_softcapping": 0.8, "attention_bias": True}
    config = transformers.LagunaConfig(**base(
        head_dim=HEAD, num_experts=count, num_experts_per_tok=2, moe_intermediate_size=size,
        shared_expert_intermediate_size=shared, moe_routed_scaling_factor=1.7, sliding_window=6,
        layer_types=["full_attention", "sliding_attention"], mlp_layer_types=["dense", "sparse"],
        rope_parameters={
            "full_attention": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5},
            "sliding_attention": {"rope_type": "default", "rope_theta": 100.0}}) | more)

    def state(t):
        names = PRE | QK | {"self_attn.g_proj": "attention.gate"}
        result = ends(t) | llama(t, 0, names) | llama(t, 1, names | SHARED) | experts(t, 1, count)
        return result | {"model.layers.1.mlp.gate.e_score_correction_bias": t["blocks.1.mlp.router.choice"]}
    return config, state


@case()
def laguna(w):
    """A gate for each head's outputs, as many heads as each block says."""
    return make_laguna(w, per_head=True)


@case(goal="divergence")
def laguna_elements(w):
    """A gate for each output, a capped router."""
    return make_laguna(w, per_head=False)


@case(length=30, seed=3)
def phimoe(w):
    """SparseMixer as it is computed outside of training, which is what its backward pass in training gives where the best
    experts are drawn."""
    count, size = 5, 5
    w.ends(bias=True)
    w.add("head.bias", (VOCABULARY,))
    for i in range(BLOCKS):
        w.attention(i, biases=("query", "key", "value", "output"))
        for name in ("attention.norm", "mlp.norm"):
            w.norm(f"blocks.{i}.{name}", HIDDEN, bias=True)
        w.experts(i, count, size)
    config = transformers.PhimoeConfig(**base(
        head_dim=HEAD, num_local_experts=count, num_experts_per_tok=2, intermediate_size=size, router_jitter_noise=0.4,
        attention_bias=True, lm_head_bias=True, sliding_window=None,
        rope_parameters={"rope_type": "default", "rope_theta": 1e4}))

    def state(t):
        result = ends(t) | {"model.norm.bias": t["norm.bias"], "lm_head.bias": t["head.bias"]}
        for i in range(BLOCKS):
            result |= llama(t, i, PRE | {"mlp.router": "mlp.router"}) | experts(t, i, count)
        return result
    return config, state


def rms(x, weight):
    return weight * x / (x ** 2).mean(-1, keepdim=True).add(1e-5).sqrt()


@case(goal="divergence", length=70, seed=2)
def mixed(w):
    """What no family has together, computed here: soft caps of scores, router and logits, sinks, slopes, windows, norms
    before and behind parts, norms and a gate of each head, queries that grow, experts beside attention."""
    count, size, shared, window = 5, 5, 7, 7
    w.ends(head=False)
    for i in range(BLOCKS):
        own = f"blocks.{i}."
        w.attention(i)
        w.linear(own + "attention.gate", HEADS, HIDDEN, bias=True)
        w.add(own + "attention.sinks", (HEADS,), width=1.5)
        for name in ("attention.norm", "attention.output_norm", "mlp.norm", "mlp.output_norm"):
            w.norm(own + name, HIDDEN)
        w.norm(own + "attention.query_norm", HEADS * HEAD)
        w.norm(own + "attention.key_norm", KV_HEADS * HEAD, bias=True)
        w.experts(i, count, size)
        w.add(own + "mlp.router.bias", (count,))
        w.linear(own + "mlp.shared.router", 1, HIDDEN)
        w.mlp(own + "mlp.shared", shared)

    def mlp(t, name, x):
        gate = torch.nn.functional.gelu(x @ t[name + ".gate"].T, approximate="tanh")
        return (gate * (x @ t[name + ".up"].T)) @ t[name + ".down"].T

    def attend(t, own, x):
        rows, length, _ = x.shape
        place = torch.arange(length, dtype=torch.float64)
        q, k, v = (
            (x @ t[own + name].T).reshape(rows, length, -1, HEAD) for name in ("query", "key", "value"))
        q = rms(q, t[own + "query_norm"].reshape(HEADS, HEAD))
        k = torch.nn.functional.layer_norm(k, (HEAD,), eps=1e-5)
        k = k * t[own + "key_norm"].reshape(KV_HEADS, HEAD) + t[own + "key_norm.bias"].reshape(KV_HEADS, HEAD)
        angle = place[:, None] * 1e4 ** (-torch.arange(HEAD // 2, dtype=torch.float64) * 2 / HEAD)
        cosine, sine = (f(angle)[None, :, None] for f in (torch.cos, torch.sin))
        q, k = (
            torch.cat([a * cosine - b * sine, b * cosine + a * sine], -1) for a, b in (z.chunk(2, -1) for z in (q, k)))
        q = q * (1 + 0.3 * torch.log(1 + torch.floor(place / 8)))[None, :, None, None]
        k, v = (z.repeat_interleave(HEADS // KV_HEADS, 2) for z in (k, v))
        scores = torch.einsum("rthd,rjhd->rhtj", q, k) / HEAD ** 0.5
        slopes = 2.0 ** (-4 * torch.arange(1, HEADS + 1, dtype=torch.float64) / HEADS)
        scores = 1.5 * torch.tanh((scores + slopes[:, None, None] * (place - place[:, None])) / 1.5)
        seen = (place <= place[:, None]) & (place > place[:, None] - window)
        scores = scores.masked_fill(~seen, -torch.inf)
        sinks = t[own + "sinks"][:, None, None].expand(rows, HEADS, length, 1)
        shares = torch.cat([scores, sinks], -1).softmax(-1)[..., :-1]
        given = torch.einsum("rhtj,rjhd->rthd", shares, v)
        gate = torch.nn.functional.softplus(x @ t[own + "gate"].T + t[own + "gate.bias"])
        return (given * gate[..., None]).flatten(2) @ t[own + "output"].T

    def mix(t, own, x, distances):
        logits = 0.8 * torch.tanh((x @ t[own + "router"].T + t[own + "router.bias"]) / 0.8)
        best, chosen = logits.detach().sort(-1, descending=True)
        distances.append((best[..., 1] - best[..., 2]).min().item())
        shares = logits.softmax(-1).gather(-1, chosen[..., :2])
        weights = torch.zeros_like(logits).scatter(-1, chosen[..., :2], 1.3 * shares / shares.sum(-1, keepdim=True))
        sum = torch.sigmoid(x @ t[own + "shared.router"].T) * mlp(t, own + "shared", x)
        for expert in range(count):
            sum = sum + weights[..., expert:expert + 1] * mlp(t, f"{own}experts.{expert}", x)
        return sum

    def model(t, ids, distances):
        x = t["embedding"][ids]
        for i in range(BLOCKS):
            own = f"blocks.{i}."
            attended = attend(t, own + "attention.", rms(x, t[own + "attention.norm"]))
            mixed = mix(t, own + "mlp.", rms(x, t[own + "mlp.norm"]), distances)
            x = x + 0.7 * rms(attended, t[own + "attention.output_norm"]) + rms(mixed, t[own + "mlp.output_norm"])
        hidden = rms(x, t["norm"])
        return 3 * torch.tanh(hidden @ t["embedding"].T / 3), hidden
    return None, model


@case(length=30, seed=8)
def gemma4(w):
    """Keys and values that later blocks take, of blocks that see a window and of one whose values are its keys; normed
    values, heads of two sizes, what blocks take from the tokens, numbers behind blocks."""
    blocks, rank, wide, kinds = 5, 6, 8, ["sliding_attention", "full_attention"]
    layers = [kinds[0], kinds[0], kinds[1], kinds[0], kinds[1]]
    full = [kind == kinds[1] for kind in layers]
    w.ends(head=False)
    for i in range(blocks):
        own = f"blocks.{i}."
        head, heads = (wide, 2) if full[i] else (HEAD, KV_HEADS)
        w.linear(own + "attention.query", HEADS * head, HIDDEN)
        w.norm(own + "attention.query_norm", head)
        if i < 3:
            w.linear(own + "attention.key", heads * head, HIDDEN)
            w.norm(own + "attention.key_norm", head)
            if not full[i]:
                w.linear(own + "attention.value", heads * head, HIDDEN)
        w.linear(own + "attention.output", HIDDEN, HEADS * head)
        w.mlp(own + "mlp", NEURONS * (1 if i < 3 else 2))
        for name in SANDWICH.values():
            w.norm(own + name, HIDDEN)
        w.linear(own + "input.gate", rank, HIDDEN)
        w.linear(own + "input.context", rank, HIDDEN)
        w.add(own + "input.table", (VOCABULARY, rank), width=1.0)
        w.norm(own + "input.context_norm", rank)
        w.linear(own + "input.output", HIDDEN, rank)
        w.norm(own + "input.output_norm", HIDDEN)
        w.add(own + "scale", (1,), middle=0.8, width=0.3)
    config = transformers.Gemma4TextConfig(**base(
        num_hidden_layers=blocks, head_dim=HEAD, global_head_dim=wide, num_global_key_value_heads=2, sliding_window=5,
        layer_types=layers, num_kv_shared_layers=2, use_double_wide_mlp=True, attention_k_eq_v=True,
        hidden_size_per_layer_input=rank, vocab_size_per_layer_input=VOCABULARY, final_logit_softcapping=3.0,
        rope_parameters={kinds[0]: {"rope_type": "default", "rope_theta": 1e2},
                         kinds[1]: {"rope_type": "proportional", "rope_theta": 1e4, "partial_rotary_factor": 0.5}}))
    names = SANDWICH | QK | {
        "per_layer_input_gate": "input.gate", "per_layer_projection": "input.output",
        "post_per_layer_input_norm": "input.output_norm"}

    def state(t):
        def all(name):
            return [t[f"blocks.{i}.input.{name}"] for i in range(blocks)]
        # The norm of what comes of the embeddings is one in a file; here every block has its own.
        result = {
            "model.embed_tokens.weight": t["embedding"] / HIDDEN ** 0.5, "lm_head.weight": t["embedding"],
            "model.norm.weight": t["norm"],
            "model.embed_tokens_per_layer.weight": torch.cat(all("table"), 1) * (2 / rank) ** 0.5,
            "model.per_layer_model_projection.weight": torch.cat(all("context")) * HIDDEN ** 0.5,
            "model.per_layer_projection_norm.weight": torch.stack(all("context_norm")) * 2 ** 0.5}
        for i in range(blocks):
            result |= llama(t, i, names) | {f"model.layers.{i}.layer_scalar": t[f"blocks.{i}.scale"].detach()}
        return result
    return config, state


@case(length=30, seed=1)
def gemma4_experts(w):
    """Router and experts that read the stream through norms of their own, beside an MLP; norms behind both, a factor for each
    expert."""
    count, size, layers = 5, 5, ["sliding_attention", "full_attention"]
    w.ends(head=False)
    for i in range(BLOCKS):
        own = f"blocks.{i}."
        w.attention(i)
        for name in QK.values():
            w.norm(own + name, HEAD)
        for name in [*SANDWICH.values(), *GEMMA4_EXPERTS.values()]:
            w.norm(own + name, HIDDEN)
        w.norm(own + "mlp.router_norm", HIDDEN)
        w.experts(i, count, size)
        w.add(own + "mlp.router.factors", (count,), middle=1.0, width=0.5)
        w.mlp(own + "mlp.shared")
        w.add(own + "scale", (1,), middle=0.8, width=0.3)
    config = transformers.Gemma4TextConfig(**base(
        head_dim=HEAD, global_head_dim=HEAD, sliding_window=5, layer_types=layers, num_kv_shared_layers=0,
        hidden_size_per_layer_input=0, enable_moe_block=True, num_experts=count, top_k_experts=2,
        moe_intermediate_size=size, final_logit_softcapping=3.0,
        rope_parameters={layers[0]: {"rope_type": "default", "rope_theta": 1e2},
                         layers[1]: {"rope_type": "proportional", "rope_theta": 1e4, "partial_rotary_factor": 0.5}}))
    names = SANDWICH | QK | GEMMA4_EXPERTS | {"router.proj": "mlp.router"} | {
        "mlp." + name + "_proj": "mlp.shared." + name for name in ("gate", "up", "down")}

    def state(t):
        result = {"model.embed_tokens.weight": t["embedding"] / HIDDEN ** 0.5, "lm_head.weight": t["embedding"],
                  "model.norm.weight": t["norm"]}
        for i in range(BLOCKS):
            own, prefix = f"blocks.{i}.", f"model.layers.{i}."
            result |= llama(t, i, names) | {
                key.replace(".mlp.experts.", ".experts."): value for key, value in experts(t, i, count).items()}
            result |= {
                prefix + "router.scale": t[own + "mlp.router_norm"] * HIDDEN ** 0.5,
                prefix + "router.per_expert_scale": t[own + "mlp.router.factors"],
                prefix + "layer_scalar": t[own + "scale"].detach()}
        return result
    return config, state


def watch(model, distances):
    """Notes by how much every row's last choice is before the first that was not chosen."""
    def note(module, _, output):
        logits = output[0].detach()
        grouped = getattr(module, "topk_method", None) == "group_limited_greedy"
        if hasattr(module, "router_jitter_noise"):
            note_sparse(logits, 2 * module.router_jitter_noise)
        elif hasattr(module, "e_score_correction_bias") and not hasattr(module, "num_group"):
            logits = logits.sigmoid() + module.e_score_correction_bias
        elif hasattr(module, "e_score_correction_bias") or grouped:
            scores = logits.softmax(-1) if grouped else logits.sigmoid() + module.e_score_correction_bias
            best = 1 if grouped else 2
            groups = scores.reshape(len(scores), module.num_group, -1).topk(best, -1)[0].sum(-1)
            sums = groups.sort(-1, descending=True)[0]
            distances.append((sums[:, module.topk_group - 1] - sums[:, module.topk_group]).min().item())
            kept = groups >= sums[:, module.topk_group - 1:module.topk_group]
            logits = torch.where(kept.repeat_interleave(scores.shape[1] // groups.shape[1], 1), scores, -torch.inf)
        best = logits.sort(-1, descending=True)[0]
        distances.append((best[:, module.top_k - 1] - best[:, module.top_k]).min().item())

    def note_sparse(logits, limit):
        """Which expert is the best, and which are near it."""
        left = logits.clone()
        for _ in range(2):
            top, first = left.max(-1, keepdim=True)
            best = left.sort(-1, descending=True)[0]
            distances.append((best[:, 0] - best[:, 1]).min().item())
            gap = (top - logits) / torch.maximum(logits.abs(), top)
            distances.append((gap - limit).abs().min().item())
            left.scatter_(-1, first, -torch.inf)
    for name, module in model.named_modules():
        if hasattr(module, "per_expert_scale"):
            module.top_k = module.config.top_k_experts
            module.register_forward_hook(note)
        if name.endswith(("mlp.gate", "mlp.router")) and hasattr(module, "top_k"):
            module.register_forward_hook(note)


def normalize_in_double(norm, x):
    """Gemma 4's norm as it is, but for its rounding to FP32, which such small heads magnify."""
    own = norm._norm(x)
    return own * norm.weight if norm.with_scale else own


gemma4_model.Gemma4RMSNorm.forward = normalize_in_double

for number, (name, (make, goal, length, seed)) in enumerate(cases.items()):
    if sys.argv[1:] and name not in sys.argv[1:]:
        continue
    w = Weights(1000 * (number + 1) + 100 * seed)
    config, state = make(w)
    distances = []
    if config is not None:
        config._attn_implementation = "eager"
        config._experts_implementation = "eager"
        model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").double().eval()
        own = {key for key, _ in list(model.named_parameters()) + list(model.named_buffers()) if "inv_freq" not in key}
        given = state(w.tensors)
        own = {key for key in own if not key.endswith("embed_scale")}
        assert own == set(given), own ^ set(given)
        watch(model, distances)
    ids = torch.tensor((draws(77 + number, 2 * length) * VOCABULARY).astype(int).reshape(2, length))

    def run(tensors):
        if config is None:
            return state(tensors, ids, distances)
        outputs = torch.func.functional_call(
            model, state(tensors), (ids,), {"output_hidden_states": True, "use_cache": False}, strict=False)
        return outputs.logits, outputs.hidden_states[-1]

    logits, hidden = run(w.tensors)
    if goal == "entropy":
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].reshape(-1, VOCABULARY), ids[:, 1:].reshape(-1))
    else:
        with torch.no_grad():
            taught, wanted = run({k: 2 * v if w.how[k]["norm"] else v for k, v in w.tensors.items()})
        if goal == "divergence":
            p, q = logits.log_softmax(-1), taught.log_softmax(-1)
            loss = (q.exp() * (q - p)).sum(-1).mean()
        else:
            loss = 0.1 * ((hidden - wanted) ** 2).mean() / (wanted ** 2).mean()
    loss.backward()
    document = {
        "note": make.__doc__, "goal": goal, "input_ids": ids.tolist(), "loss": loss.item(),
        "weights": {k: {n: h[n] for n in ("seed", "middle", "width")} for k, h in w.how.items()},
        "gradients": {
            k: base64.b64encode(v.grad.float().numpy().tobytes()).decode() for k, v in w.tensors.items()
            if v.grad is not None},
    }
    (folder / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    without = [k for k, v in w.tensors.items() if v.grad is None]
    print(name, goal, loss.item(), "least distance", min(distances, default=None), "no gradient", without)

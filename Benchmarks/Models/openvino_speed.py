"""Prefill and decode of a checkpoint in OpenVINO, tokens a second, as JSON: called by models.py.

    openvino_speed.py int8|int4 CHECKPOINT CACHE THREADS PROMPT CONTEXT DECODE [NAME=VALUE ...]

The export is Optimum's, with a state that keeps keys and values and NNCF's weights: int8 whole rows, int4 blocks of 64,
symmetric, embedding and head int8 as NNCF has it. The head sees the last position only, as Furl's does: a slice is put before
its product. What follows are properties of OpenVINO's compiled model, as INFERENCE_PRECISION_HINT=f32.
Exits with 3 where a package is missing.
"""
import json
import os
import sys
import time

weights, checkpoint, cache, threads, prompt, context, decode = sys.argv[1:4] + [int(word) for word in sys.argv[4:8]]
os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
try:
    import numpy
    import openvino
    from openvino import opset13 as operations
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(3)


def exported():
    """The folder of the exported model, made once."""
    folder = f"{cache}-openvino-{weights}"
    if not os.path.exists(f"{folder}/openvino_model.xml"):
        try:
            from optimum.intel import OVModelForCausalLM, OVWeightQuantizationConfig
        except ImportError as error:
            print(error, file=sys.stderr)
            sys.exit(3)
        form = {"bits": 8} if weights == "int8" else {"bits": 4, "sym": True, "group_size": 64, "ratio": 1.0}
        model = OVModelForCausalLM.from_pretrained(
            checkpoint, export=True, compile=False, quantization_config=OVWeightQuantizationConfig(**form))
        model.save_pretrained(folder)
    return folder


def last_position_only(model):
    """Puts a slice before the product that makes logits."""
    product = model.output("logits").node.input_value(0).get_node()
    while product.get_type_name() != "MatMul":
        product = product.input_value(0).get_node()
    numbers = [numpy.array([number], numpy.int64) for number in (-1, numpy.iinfo(numpy.int64).max, 1, 1)]
    last = operations.slice(product.input_value(0), *map(operations.constant, numbers))
    product.input(0).replace_source_output(last.output(0))
    model.validate_nodes_and_infer_types()


def compiled():
    core = openvino.Core()
    model = core.read_model(f"{exported()}/openvino_model.xml")
    last_position_only(model)
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": str(threads), "NUM_STREAMS": "1"}
    settings.update(word.split("=", 1) for word in sys.argv[8:])
    return core.compile_model(model, "CPU", settings)


class Session:
    """Reads tokens one after the other, keys and values in the request's state."""

    def __init__(self, model):
        self.request = model.create_infer_request()
        self.inputs = {name for port in model.inputs for name in port.get_names()}

    def reset(self):
        self.request.reset_state()
        self.length = 0

    def read(self, tokens):
        """The logits after the last of some tokens."""
        count = tokens.shape[1]
        given = {"input_ids": tokens, "attention_mask": numpy.ones((1, self.length + count), numpy.int64),
                 "position_ids": numpy.arange(self.length, self.length + count)[None], "beam_idx": numpy.zeros(1, numpy.int32)}
        self.length += count
        self.request.infer({name: value for name, value in given.items() if name in self.inputs}, share_inputs=True)
        logits = self.request.get_tensor("logits").data
        assert logits.shape[:2] == (1, 1), "the head reads more than one position"
        return logits[0, 0]


def main():
    model = compiled()
    session = Session(model)
    vocabulary = json.load(open(f"{checkpoint}/config.json"))["vocab_size"]
    random = numpy.random.default_rng(0)
    tokens = random.integers(0, vocabulary, (1, max(prompt, context)), numpy.int64)
    best = {"prefill": 0.0, "decode": 0.0}
    for _ in range(3):
        session.reset()
        start = time.perf_counter()
        session.read(tokens[:, :prompt])
        best["prefill"] = max(best["prefill"], prompt / (time.perf_counter() - start))
    for _ in range(2):
        session.reset()
        logits = session.read(tokens[:, :context])
        start = time.perf_counter()
        for _ in range(decode):
            logits = session.read(numpy.array([[logits.argmax()]], numpy.int64))
        best["decode"] = max(best["decode"], decode / (time.perf_counter() - start))
    print(json.dumps({**best, "version": openvino.__version__, **{
        name: str(model.get_property(name)) for name in
        ("INFERENCE_PRECISION_HINT", "KV_CACHE_PRECISION", "DYNAMIC_QUANTIZATION_GROUP_SIZE", "INFERENCE_NUM_THREADS")}}))


main()

"""Completions a second of a GPT-2 checkpoint in PyTorch or ONNX Runtime: called by models.py.

    completions.py torch|onnx-fp32|onnx-int8 CHECKPOINT CACHE THREADS PROMPT NEW

ONNX Runtime has no loop that generates: a completion counts as one pass over the prompt, which is less than it would
take.
Exits with 3 where a package is missing.
"""
import os
import sys
import time

program, checkpoint, cache, threads, prompt, new = sys.argv[1:4] + [int(word) for word in sys.argv[4:]]
try:
    import torch
    import transformers

    if program != "torch":
        import onnx
        import onnxruntime
        import onnxruntime.quantization
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(3)
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
torch.set_num_threads(threads)
torch.manual_seed(0)


def load(**words):
    return transformers.AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32, **words).eval()


def seconds(body):
    body()
    times = []
    for _ in range(2):
        start = time.perf_counter()
        body()
        times.append(time.perf_counter() - start)
    return min(times)


def onnx_file(weights):
    """The model without a cache, last logits only, made once."""
    plain = f"{cache}-fp32.onnx"
    if not os.path.exists(plain):
        class Last(torch.nn.Module):
            def __init__(self, model):
                super().__init__()
                self.model = model

            def forward(self, input_ids):
                # Positions and mask are given: the library's own way to find them cannot be exported.
                hidden = self.model.transformer(
                    input_ids=input_ids, attention_mask=mask, position_ids=positions, use_cache=False).last_hidden_state
                return self.model.lm_head(hidden[:, -1])

        example = torch.randint(0, 1000, (1, prompt))
        positions, mask = torch.arange(prompt)[None], torch.ones(1, prompt, dtype=torch.long)
        torch.onnx.export(Last(load(attn_implementation="eager")), (example,), plain, input_names=["input_ids"], output_names=["logits"],
                          opset_version=17, dynamo=False)
    if weights == "fp32":
        return plain
    quantized = f"{cache}-int8.onnx"
    if not os.path.exists(quantized):
        onnxruntime.quantization.quantize_dynamic(
            plain, quantized, weight_type=onnxruntime.quantization.QuantType.QInt8)
    return quantized


if program == "torch":
    model = load()
    ids = torch.randint(0, model.config.vocab_size, (1, prompt))
    with torch.no_grad():
        print(1 / seconds(lambda: model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=new, min_new_tokens=new, do_sample=False,
            pad_token_id=0)))
else:
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(onnx_file(program.removeprefix("onnx-")), settings,
                                           providers=["CPUExecutionProvider"])
    ids = torch.randint(0, 1000, (1, prompt)).numpy()
    print(1 / seconds(lambda: session.run(None, {"input_ids": ids})))

#!/usr/bin/env bash
# Fetches and builds what Furl is measured beside, from PyPI only: llama.cpp out of llama-cpp-python's source, a Python
# environment with ONNX Runtime, PyTorch and transformers, and one more with OpenVINO. Everything goes into one folder.
#
#     Benchmarks/Models/setup.sh FOLDER
set -euo pipefail
folder=$(mkdir -p "$1" && cd "$1" && pwd)
python=$folder/venv/bin/python

[ -x "$python" ] || python3 -m venv "$folder/venv"
"$python" -m pip install -q numpy gguf cmake ninja scikit-build-core
"$python" -m pip install -q torch transformers onnx onnxscript onnxruntime \
  || echo "note: without ONNX Runtime and PyTorch, which could not be installed" >&2

# OpenVINO's exporter wants an older transformers. What else it needs it takes from the first environment.
if [ ! -x "$folder/openvino/bin/python" ]; then
  python3 -m venv "$folder/openvino"
  "$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
    >"$("$folder/openvino/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/shared.pth"
fi
"$folder/openvino/bin/python" -m pip install -q openvino nncf optimum-intel \
  || echo "note: without OpenVINO, which could not be installed" >&2

if [ ! -x "$folder/llama.cpp/bin/llama-bench" ]; then
  (cd "$folder" && "$python" -m pip download -q --no-deps --no-binary llama-cpp-python --no-build-isolation llama-cpp-python)
  mkdir -p "$folder/llama-cpp-python"
  tar -xzf "$folder"/llama_cpp_python-*.tar.gz -C "$folder/llama-cpp-python" --strip-components=1
  # Older GCCs (12.2 is one) believe that loading the tiles' shapes reads eight bytes, and drops what else is stored there: a build
  # with AMX ends at the first prompt ("illegal instruction"). Here it is told that all of it is read.
  sed -i 's/^ *_tile_loadconfig(&tc);/    __asm__ volatile("" : : "r"(\&tc) : "memory");\n&/' \
    "$folder/llama-cpp-python/vendor/llama.cpp/ggml/src/ggml-cpu/amx/mmq.cpp"
  PATH="$folder/venv/bin:$PATH"
  cmake -S "$folder/llama-cpp-python/vendor/llama.cpp" -B "$folder/llama.cpp" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DGGML_NATIVE=ON -DLLAMA_CURL=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_EXAMPLES=OFF
  ninja -C "$folder/llama.cpp" llama-bench llama-batched-bench llama-quantize llama-perplexity llama-tokenize llama-imatrix
fi
echo "python3 Benchmarks/Models/models.py --folder $folder/models --llama $folder/llama.cpp/bin --python $python \
  --openvino $folder/openvino/bin/python"

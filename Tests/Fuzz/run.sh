#!/usr/bin/env bash
# Fuzzes the readers under AddressSanitizer: run.sh [TARGET...], all targets by default; run.sh --build only builds.
#
# FUZZ_SECONDS   for each target (60), or
# FUZZ_RUNS      executions of each, however long they take; what comes first, where both are given
# FUZZ_TIMEOUT   seconds after which an input is taken to have no end (60); more where others take most of the machine
# FUZZ_LENGTH    bytes of an input at most (twice those of the largest seed, 4096 at least)
# FUZZ_JOBS      targets at a time (1)
# FUZZ_FOLDER    where inputs that are worth keeping, and findings, go (.build-fuzz/fuzz); a later run goes on from there
# FUZZ_FLAGS     more for swift build: "-Xcc -O0" compiles the large kernels in a third of the time
# FUZZ_SANITIZERS what watches besides coverage (address); with nothing in it Swift's own traps, the
#                time limit and the memory limit are what is left; has a build folder of its own
# FUZZ_BINARY    a program that is built already
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
kept=${FUZZ_FOLDER:-$root/.build-fuzz/fuzz}
# The backtracer would take signals before libFuzzer sees them, and no input would be kept.
export SWIFT_BACKTRACE=enable=no

build() {
  local sanitizers=${FUZZ_SANITIZERS-address} folder=.build-fuzz more=()
  if [ -n "$sanitizers" ]; then
    more=(-Xswiftc "-sanitize=fuzzer,$sanitizers" -Xcc "-fsanitize=$sanitizers")
  else
    folder=.build-fuzz-bare
    more=(-Xswiftc -sanitize=fuzzer)
  fi
  # Of several sanitizers of its own the package manager gives the compiler one, in an order that changes. The compiler's
  # part that reads headers has no use for the list of what is not covered, and would say so for every module.
  # shellcheck disable=SC2086 # Flags are a list.
  (cd "$root" && FURL_FUZZ=1 "${SWIFT:-swift}" build -c release --product FurlFuzz --scratch-path "$folder" \
    --sanitize fuzzer "${more[@]}" -Xswiftc -enable-testing -Xcc -Qunused-arguments \
    -Xcc "-fsanitize-coverage-ignorelist=$root/Tests/Fuzz/uncovered.txt" ${FUZZ_FLAGS:-}) >&2
  binary=$root/$folder/release/FurlFuzz
}

# The words that a target's reader looks for, from its sources.
dictionary() {
  local modules=(FurlBase FurlSpec)
  case $1 in
    tokenizer | vocabulary | sentencepiece | serialized | template) modules+=(FurlTokenizer) ;;
    zip | pickle | torch | config | safetensors | packed | adapter) modules+=(FurlCheckpoint) ;;
    gguf) modules=(FurlTensor/GGUF FurlSpec/Model FurlCheckpoint FurlTokenizer) ;;
    artifact | streams) modules+=(FurlArtifact FurlTensor) ;;
    documents) modules+=(FurlEvaluate FurlTransform FurlReport) ;;
    problems | reports) modules+=(FurlEvaluate FurlReport) ;;
  esac
  cat "$root/Tests/Fuzz/binary.dict"
  find "${modules[@]/#/$root/Sources/}" -name '*.swift' \
    -exec grep -ohE '"[A-Za-z_][A-Za-z0-9_.<>|/-]{1,40}"' {} + | sort -u
}

# Fuzzes one target.
one() {
  local target=$1 folder log result=0 findings=$kept/findings/$1
  folder=$(mktemp -d "$([ -w /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")/furl-fuzz.XXXXXX")
  # shellcheck disable=SC2064 # The folder of now is meant.
  trap "rm -rf '$folder'" EXIT
  mkdir -p "$folder"/{input,temporary,seeds} "$kept/corpus/$target" "$findings"
  export FUZZ_TARGET=$target TMPDIR=$folder/temporary
  FUZZ_SEEDS=$folder/seeds "$binary"
  local largest
  largest=$(find "$folder/seeds" "$kept/corpus/$target" -type f -printf '%s\n' | sort -n | tail -1)
  dictionary "$target" >"$folder/words"
  log=$kept/$target.log
  local seconds=${FUZZ_SECONDS:-60}
  # For libFuzzer no time is 0.
  [ -z "${FUZZ_RUNS:-}" ] || seconds=${FUZZ_SECONDS:-0}
  # What is made once and kept is no leak, though Swift marks some pointers so that it looks like one.
  echo "leak:swift::threading_impl::once_slow" >"$folder/kept"
  FUZZ_FOLDER=$folder/input LSAN_OPTIONS=suppressions=$folder/kept:print_suppressions=0 \
    ASAN_OPTIONS=quarantine_size_mb=16:malloc_context_size=1:allocator_may_return_null=1 \
    "$binary" -max_len="${FUZZ_LENGTH:-$((largest > 2048 ? largest * 2 : 4096))}" -dict="$folder/words" -print_final_stats=1 \
    -max_total_time="$seconds" -runs="${FUZZ_RUNS:--1}" -timeout="${FUZZ_TIMEOUT:-60}" -rss_limit_mb=1024 \
    -malloc_limit_mb=128 -print_funcs=0 \
    -artifact_prefix="$findings/" "$kept/corpus/$target" "$folder/seeds" >"$log" 2>&1 || result=$?
  if [ "$result" != 0 ]; then
    tail -40 "$log" >&2
    echo "$target: a finding; its input is in $findings, all that was said in $log" >&2
    return 1
  fi
  if [ -n "$(ls -A "$TMPDIR")" ]; then
    echo "$target: leaves files behind: $(ls "$TMPDIR")" >&2
    return 1
  fi
  echo "$target: $(sed -n 's/^Done \([0-9]*\) runs in \([0-9]*\) second.*/\1 executions in \2 s/p' "$log"), no finding"
}

if [ "${1:-}" = --one ]; then
  binary=$FUZZ_BINARY
  one "$2"
  exit
fi
if [ "${1:-}" = --build ]; then
  build
  exit
fi
if [ -n "${FUZZ_BINARY:-}" ]; then binary=$FUZZ_BINARY; else build; fi
export FUZZ_BINARY=$binary
targets=("$@")
[ $# -gt 0 ] || mapfile -t targets < <("$binary")
printf '%s\n' "${targets[@]}" | xargs -P "${FUZZ_JOBS:-1}" -I{} "$0" --one {}

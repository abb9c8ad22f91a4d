#!/bin/sh
# Builds the kernels' benchmark and prints its table. Where the user may, it runs above other processes
# (SCHED_FIFO): on a busy machine the figures mean little otherwise.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
build=${BUILD:-$root/.build/kernel-bench}
mkdir -p "$build"
# The flags of a release build: no -m options, so that what is measured is what ships.
# shellcheck disable=SC2046
"${CLANG:-clang}" -std=gnu17 -O2 -D_GNU_SOURCE -I"$root/Sources/CFurlKernels/include" \
  $(find "$root/Benchmarks/Kernels" "$root/Sources/CFurlKernels" -name '*.c') -o "$build/bench" -lpthread -lm
if command -v chrt >/dev/null && chrt -f 5 true 2>/dev/null; then
  exec chrt -f 5 "$build/bench" "$@"
fi
echo "note: not run with real-time priority; other processes disturb the figures" >&2
exec "$build/bench" "$@"

#!/bin/sh
# Builds the kernels' self test and runs it on every tier that this machine has or can emulate:
# natively, as a CPU with AVX2 only, as one with neither, and as an AArch64 one. With `native` and a number N the first
# alone, of one case in N.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
build=${BUILD:-$root/.build/kernel-tests}
clang=${CLANG:-clang}
mkdir -p "$build"
sources=$(find "$root/Sources/CFurlKernels" "$root/Tests/Kernels" -name '*.c')
flags="-std=gnu17 -O2 -Wall -Wextra -Wno-unused-function -D_GNU_SOURCE -I$root/Sources/CFurlKernels/include"

# All sources at once, each into an object of its own: half of the time goes to two of them.
# shellcheck disable=SC2086,SC2016 # Flags and sources are lists; the inner shell has its own arguments.
compile() {
  out=$1; shift
  rm -rf "$out.objects"
  mkdir "$out.objects"
  printf '%s\n' $sources | xargs -P "$(getconf _NPROCESSORS_ONLN)" -I{} sh -c \
    'source=$1; objects=$2; shift 2; "$@" -c "$source" -o "$objects/$(echo "$source" | tr / _).o"' \
    sh {} "$out.objects" "$clang" $flags "$@"
  "$clang" "$@" "$out.objects"/*.o -o "$out" -lm -lpthread
}
part() { echo "== $1"; shift; "$@"; }

compile "$build/selftest" ${CFLAGS:-}
part "this CPU" "$build/selftest" all "${2:-1}"
[ "${1:-}" = native ] && exit 0

# What takes three minutes here would take five hours there.
emulated=101

if [ "$(uname -m)" = x86_64 ]; then
  if command -v qemu-x86_64 >/dev/null; then
    part "x86-64 with AVX2" qemu-x86_64 -cpu max "$build/selftest" tiers $emulated
    part "x86-64 without AVX" qemu-x86_64 -cpu Nehalem "$build/selftest" bits
  else
    echo "skipped: lower x86-64 tiers (no qemu-x86_64)"
  fi
fi

if [ "$(uname -m)" = aarch64 ]; then
  :
elif ! command -v qemu-aarch64 >/dev/null; then
  echo "skipped: AArch64 (no qemu-aarch64)"
elif [ ! -d /usr/aarch64-linux-gnu ]; then
  echo "skipped: AArch64 (no cross C library: gcc-aarch64-linux-gnu, libc6-dev-arm64-cross)"
else
  compile "$build/selftest-aarch64" --target=aarch64-linux-gnu
  part "AArch64 with dot products" qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu max "$build/selftest-aarch64" tiers $emulated
  part "AArch64 without" qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu cortex-a53 "$build/selftest-aarch64" bits
fi

// Which tier this CPU can run, asked at run time: one binary serves every machine.

#include "tiers.h"

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#ifndef HWCAP_ASIMDDP
#define HWCAP_ASIMDDP (1ul << 20)
#endif
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#if defined(__aarch64__)
static bool has_dot_product(void) {
#if defined(__linux__)
  return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#elif defined(__APPLE__)
  int value = 0;
  size_t size = sizeof value;
  return sysctlbyname("hw.optional.arm.FEAT_DotProd", &value, &size, NULL, 0) == 0 && value != 0;
#else
  return false;
#endif
}
#endif

bool furl_isa_supported(furl_isa isa) {
  switch (isa) {
  case FURL_ISA_SCALAR:
  case FURL_ISA_PORTABLE:
    return true;
#if defined(__x86_64__)
  case FURL_ISA_AVX2:
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  case FURL_ISA_AVX_VNNI:
    return furl_isa_supported(FURL_ISA_AVX2) && furl_has_avx_vnni();
  case FURL_ISA_AVX512_VNNI:
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
      && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")
      && __builtin_cpu_supports("avx512vnni");
  case FURL_ISA_AMX:
#if defined(__linux__)
    return furl_isa_supported(FURL_ISA_AVX512_VNNI) && furl_may_use_tiles();
#else
    return false;
#endif
#elif defined(__aarch64__)
  case FURL_ISA_NEON:
    return has_dot_product();
#endif
  default:
    return false;
  }
}

const furl_kernels *furl_kernels_for(furl_isa isa) {
  if (!furl_isa_supported(isa)) return NULL;
  switch (isa) {
  case FURL_ISA_SCALAR:
    return &furl_kernels_scalar;
  case FURL_ISA_PORTABLE:
    return &furl_kernels_portable;
#if defined(__x86_64__)
  case FURL_ISA_AVX2:
    return &furl_kernels_avx2;
  case FURL_ISA_AVX_VNNI:
    return furl_kernels_avx_vnni();
  case FURL_ISA_AVX512_VNNI:
    return &furl_kernels_avx512;
#if defined(__linux__)
  case FURL_ISA_AMX:
    return furl_kernels_amx();
#endif
#elif defined(__aarch64__)
  case FURL_ISA_NEON:
    return &furl_kernels_neon;
#endif
  default:
    return NULL;
  }
}

/* detect.c -- which kernels this processor, and the system under it, can run. */
#include "cpu/kernel/kernel.h"

#if defined(__x86_64__)
/* The compiler's run-time test reads CPUID and also asks (XGETBV) whether the system saves the wide
 * registers. Half-precision conversion came before AVX2 and is in every processor that has it. */
static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

bool ae_kernels_detect(ae_kernels *k, ae_cpu_choice choice)
{
    *k = (ae_kernels){ 0 };
    ae_kernels_ref(k);
    if (choice == AE_CPU_REF) return true;
#if defined(__x86_64__)
    if (choice != AE_CPU_AVX2 && has_avx512()) {
        ae_kernels_avx512(k);
        return choice == AE_CPU_AUTO || choice == AE_CPU_AVX512;
    }
    if (choice != AE_CPU_AVX512 && has_avx2()) {
        ae_kernels_avx2(k);
        return choice == AE_CPU_AUTO || choice == AE_CPU_AVX2;
    }
#elif defined(__aarch64__)
    ae_kernels_neon(k); /* part of the architecture */
    return choice == AE_CPU_AUTO || choice == AE_CPU_NEON;
#endif
    return choice == AE_CPU_AUTO;
}

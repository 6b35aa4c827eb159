/* detect.c -- which kernels this processor, and the system under it, can run. */
#include "cpu/kernel/kernel.h"

#if defined(__x86_64__)
#include <cpuid.h>

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

/* Not every compiler knows this one by name. It needs no more of the system than AVX2 does. */
static bool has_avx_vnni(void)
{
    unsigned a, b, c, d;

    return has_avx2() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);
}

static bool detect_x86(ae_kernels *k, ae_cpu_choice choice)
{
    bool automatic = choice == AE_CPU_AUTO;

    if (!has_avx2()) return automatic;
    ae_kernels_avx2(k);
    if (choice == AE_CPU_AVX2) return true;
    if ((automatic || choice == AE_CPU_AVX_VNNI) && has_avx_vnni()) {
        ae_kernels_avxvnni(k);
        if (choice == AE_CPU_AVX_VNNI) return true;
    }
    if (choice == AE_CPU_AVX_VNNI || !has_avx512()) return automatic;
    ae_kernels_avx512(k);
    /* Without VNNI the packed products stay those of AVX2. */
    if (__builtin_cpu_supports("avx512vnni")) ae_kernels_avx512vnni(k);
    return automatic || choice == AE_CPU_AVX512;
}
#endif

#if defined(__aarch64__)
#if defined(__linux__)
#include <sys/auxv.h>

/* The bit that Linux calls HWCAP_ASIMDDP. */
static bool has_dot_products(void)
{
    return getauxval(AT_HWCAP) >> 20 & 1;
}
#elif defined(__APPLE__)
static bool has_dot_products(void)
{
    return true; /* every Mac of this architecture */
}
#else
static bool has_dot_products(void)
{
    return false;
}
#endif

static bool detect_arm(ae_kernels *k, ae_cpu_choice choice)
{
    ae_kernels_neon(k); /* part of the architecture */
    if (has_dot_products()) ae_kernels_neondot(k);
    return choice == AE_CPU_AUTO || choice == AE_CPU_NEON;
}
#endif

bool ae_kernels_detect(ae_kernels *k, ae_cpu_choice choice)
{
    *k = (ae_kernels){ 0 };
    ae_kernels_ref(k);
    if (choice == AE_CPU_REF) return true;
#if defined(__x86_64__)
    return detect_x86(k, choice);
#elif defined(__aarch64__)
    return detect_arm(k, choice);
#else
    return choice == AE_CPU_AUTO;
#endif
}

/* open.c -- which device: the one file that knows who fulfils the contract. */
#include "device/device.h"

#include "cpu/cpu.h"

#include <string.h>

aerie_status ae_device_open(ae_device **out, ae_cpu_choice cpu, int threads, aerie_error *err)
{
    return ae_cpu_open(out, cpu, threads, err);
}

aerie_status ae_cpu_choice_parse(ae_cpu_choice *out, const char *word, aerie_error *err)
{
    static const char *const words[] = {
        [AE_CPU_AUTO] = "auto",        [AE_CPU_REF] = "ref",       [AE_CPU_AVX2] = "avx2",
        [AE_CPU_AVX_VNNI] = "avxvnni", [AE_CPU_AVX512] = "avx512", [AE_CPU_NEON] = "neon",
    };

    for (size_t i = 0; i < AE_COUNT(words); i++)
        if (strcmp(word, words[i]) == 0) {
            *out = (ae_cpu_choice)i;
            return AERIE_OK;
        }
    return aerie_fail(err, AERIE_BAD_ARGUMENT,
                      "cpu: \"%s\" is not known; choose auto, ref, avx2, avxvnni, avx512 or neon", word);
}

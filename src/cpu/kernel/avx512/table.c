/* table.c -- the kernels of lanes/, for AVX-512. */
#include "cpu/kernel/avx512/lanes.h"

#include "cpu/kernel/lanes/lanes.h"

void ae_kernels_avx512(ae_kernels *k)
{
    k->name = "cpu avx512";
    fill_table(k);
}

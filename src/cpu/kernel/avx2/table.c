/* table.c -- the kernels of lanes/, for AVX2. */
#include "cpu/kernel/avx2/lanes.h"

#include "cpu/kernel/lanes/lanes.h"

void ae_kernels_avx2(ae_kernels *k)
{
    k->name = "cpu avx2";
    fill_table(k);
}

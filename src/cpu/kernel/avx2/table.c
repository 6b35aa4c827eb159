/* table.c -- the kernels of lanes/, for AVX2. */
#include "cpu/kernel/avx2/lanes.h"

#include "cpu/kernel/avx2/regs.h"

#include "cpu/kernel/avx2/dots.h"
#include "cpu/kernel/lanes/lanes.h"

#include "cpu/kernel/lanes/packed_x.h"

#include "cpu/kernel/lanes/packed.h"

void ae_kernels_avx2(ae_kernels *k)
{
    k->name = "cpu avx2";
    fill_table(k);
    fill_packed(k);
}

/* table.c -- the packed products, for AVX-512 with VNNI. */
#include "cpu/kernel/avx512vnni/regs.h"

#include "cpu/kernel/avx512vnni/packed_x.h"
#include "cpu/kernel/kernel.h"

#include "cpu/kernel/lanes/packed.h"

void ae_kernels_avx512vnni(ae_kernels *k)
{
    k->name = "cpu avx512";
    fill_packed(k);
}

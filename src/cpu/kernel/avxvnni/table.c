/* table.c -- the packed products, for AVX2 with AVX-VNNI. */
#include "cpu/kernel/avx2/regs.h"

#include "cpu/kernel/avxvnni/dots.h"
#include "cpu/kernel/kernel.h"

#include "cpu/kernel/lanes/packed_x.h"

#include "cpu/kernel/lanes/packed.h"

void ae_kernels_avxvnni(ae_kernels *k)
{
    k->name = "cpu avxvnni";
    fill_packed(k);
}

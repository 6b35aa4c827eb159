/* table.c -- the kernels of lanes/, for NEON. */
#include "cpu/kernel/neon/lanes.h"

#include "cpu/kernel/neon/regs.h"

#include "cpu/kernel/lanes/lanes.h"
#include "cpu/kernel/neon/dots.h"

#include "cpu/kernel/lanes/packed_x.h"

#include "cpu/kernel/lanes/packed.h"

void ae_kernels_neon(ae_kernels *k)
{
    k->name = "cpu neon";
    fill_table(k);
    fill_packed(k);
}

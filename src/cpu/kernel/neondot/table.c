/* table.c -- the packed products, for NEON with dot products. */
#include "cpu/kernel/neon/regs.h"

#include "cpu/kernel/kernel.h"
#include "cpu/kernel/neondot/dots.h"

#include "cpu/kernel/lanes/packed_x.h"

#include "cpu/kernel/lanes/packed.h"

void ae_kernels_neondot(ae_kernels *k)
{
    k->name = "cpu neon dotprod";
    fill_packed(k);
}

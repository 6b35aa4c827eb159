/* table.c -- the kernels of lanes/, for NEON. */
#include "cpu/kernel/neon/lanes.h"

#include "cpu/kernel/lanes/lanes.h"

void ae_kernels_neon(ae_kernels *k)
{
    k->name = "cpu neon";
    fill_table(k);
}

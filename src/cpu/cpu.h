/* cpu.h -- the door of cpu: the device that is this machine's processors. */
#ifndef AE_CPU_H
#define AE_CPU_H

#include "device/device.h"

/* What ae_device_open() does when asked for a processor; see there. */
aerie_status ae_cpu_open(ae_device **out, ae_cpu_choice choice, int threads, aerie_error *err);

#endif

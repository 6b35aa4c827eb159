/* selftest.c -- the public face of the golden cases. */
#include "train/train.h"

aerie_status aerie_selftest(const aerie_selftest_options *options, aerie_selftest_fn *show,
                            void *user, aerie_selftest_summary *summary, aerie_error *err)
{
    aerie_selftest_summary unwanted;
    ae_device *device = NULL;
    ae_cpu_choice cpu;
    aerie_status status;

    status = ae_cpu_choice_parse(&cpu, options && options->cpu ? options->cpu : "auto", err);
    if (!status) status = ae_device_open(&device, cpu, options ? options->threads : 0, err);
    if (status) return status;
    status = ae_selftest(options ? options->golden_folder : NULL, device, show, user,
                         summary ? summary : &unwanted, err);
    device->close(device);
    return status;
}

/* open.c -- the CPU as a device: its table of functions, its pool, its kernels. */
#include "cpu/cpu.h"

#include "cpu/machine.h"

static void close_cpu(ae_device *dev)
{
    ae_cpu *cpu = (ae_cpu *)dev;

    if (!cpu) return;
    ae_pool_close(cpu->pool);
    ae_free(cpu);
}

/* All that reads or writes numbers runs on the pool. */
static void rehearse(ae_device *dev, bool on)
{
    ae_pool_rest(((ae_cpu *)dev)->pool, on);
}

static bool pin_cpu(ae_device *dev)
{
    return ae_pool_pin(((ae_cpu *)dev)->pool);
}

static const ae_device cpu_functions = {
    .close = close_cpu,
    .rehearse = rehearse,
    .pin = pin_cpu,
    .limits = ae_cpu_limits,
    .packed_bytes = ae_cpu_packed_bytes,
    .pack = ae_cpu_pack,
    .linear = ae_cpu_linear,
    .linear_dx = ae_cpu_linear_dx,
    .linear_dw = ae_cpu_linear_dw,
    .add_rows = ae_cpu_add_rows,
    .rmsnorm = ae_cpu_rmsnorm,
    .rmsnorm_bwd = ae_cpu_rmsnorm_bwd,
    .rope = ae_cpu_rope,
    .swiglu = ae_cpu_swiglu,
    .swiglu_bwd = ae_cpu_swiglu_bwd,
    .geglu = ae_cpu_geglu,
    .geglu_bwd = ae_cpu_geglu_bwd,
    .soft_cap = ae_cpu_soft_cap,
    .soft_cap_bwd = ae_cpu_soft_cap_bwd,
    .add = ae_cpu_add,
    .add_to = ae_cpu_add_to,
    .embedding = ae_cpu_embedding,
    .embedding_bwd = ae_cpu_embedding_bwd,
    .attention = ae_cpu_attention,
    .attention_bwd = ae_cpu_attention_bwd,
    .kv_write = ae_cpu_kv_write,
    .attention_cached = ae_cpu_attention_cached,
    .log_prob = ae_cpu_log_prob,
    .log_prob_bwd = ae_cpu_log_prob_bwd,
    .dropout = ae_cpu_dropout,
    .row_norms = ae_cpu_row_norms,
    .scale_cols = ae_cpu_scale_cols,
    .dot_cols = ae_cpu_dot_cols,
    .sum_squares = ae_cpu_sum_squares,
    .adamw = ae_cpu_adamw,
    .rmsprop = ae_cpu_rmsprop,
};

static const char *choice_name(ae_cpu_choice choice)
{
    switch (choice) {
    case AE_CPU_AVX2:
        return "AVX2";
    case AE_CPU_AVX_VNNI:
        return "AVX-VNNI";
    case AE_CPU_AVX512:
        return "AVX-512";
    case AE_CPU_NEON:
        return "NEON";
    default:
        return "these";
    }
}

aerie_status ae_cpu_open(ae_device **out, ae_cpu_choice choice, int threads, aerie_error *err)
{
    aerie_status status;
    ae_cpu *cpu = ae_alloc(1, sizeof *cpu);

    *out = NULL;
    if (!cpu) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the device");
    cpu->device = cpu_functions;
    if (!ae_kernels_detect(&cpu->k, choice)) {
        status = aerie_fail(err, AERIE_UNSUPPORTED,
                            "cpu: this processor has no %s instructions; choose auto or ref",
                            choice_name(choice));
        goto fail;
    }
    status = ae_pool_open(&cpu->pool, threads, err);
    if (status) goto fail;
    cpu->device.name = cpu->k.name;
    cpu->device.n_threads = ae_pool_size(cpu->pool);
    *out = &cpu->device;
    return AERIE_OK;
fail:
    close_cpu(&cpu->device);
    return status;
}

/* convert.c -- a model as another file. */
#include "api/api.h"

#include <string.h>

static aerie_status parse_target(const char *to, const char *type, bool *hf, ae_dtype *dtype,
                                 aerie_error *err)
{
    *hf = to && !strcmp(to, "hf");
    if (to && !*hf && strcmp(to, "gguf"))
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "cannot convert to \"%s\"; give gguf or hf", to);
    *dtype = ae_dtype_by_name(type ? type : "f16");
    bool writable =
        *dtype == AE_F32 || *dtype == AE_F16 || *dtype == AE_BF16 || (*dtype == AE_Q8_0 && !*hf);
    if (!writable)
        return aerie_fail(err, AERIE_UNSUPPORTED, "cannot write %s as type \"%s\"; give f32, f16%s",
                          *hf ? "a Hugging Face folder" : "GGUF", type ? type : "f16",
                          *hf ? " or bf16" : ", bf16 or q8_0");
    return AERIE_OK;
}

aerie_status aerie_convert(const char *in_path, const char *out_path, const char *to,
                           const char *type, aerie_error *err)
{
    bool hf;
    ae_dtype dtype = AE_F16;
    ae_model *m = NULL;
    aerie_status status = parse_target(to, type, &hf, &dtype, err);
    if (!status) status = ae_model_open(&m, in_path, err);
    if (!status) status = ae_model_check_scales(m, err);
    if (!status)
        status = hf ? ae_model_save_hf(m, out_path, dtype, err)
                    : ae_model_save_gguf(m, out_path, dtype, err);
    ae_model_close(m);
    return status;
}

/* One trained over others is converted by itself. */
static aerie_status open_adapter(ae_adapter **out, const char *path, const ae_model *m,
                                 bool any_base, aerie_error *err)
{
    aerie_status status = ae_adapter_open(out, path, m, false, any_base ? NULL : err);

    return status && any_base ? ae_adapters_open(out, &path, 1, m, true, err) : status;
}

aerie_status aerie_convert_adapter(const char *in_path, const char *model_path,
                                   const char *out_path, const char *to, bool any_base,
                                   aerie_error *err)
{
    ae_model *m = NULL;
    ae_adapter *a = NULL;
    bool hf;
    ae_dtype unused;
    aerie_status status = parse_target(to, NULL, &hf, &unused, err);

    if (!status) status = ae_model_open(&m, model_path, err);
    if (!status) status = open_adapter(&a, in_path, m, any_base, err);
    if (!status)
        status =
            hf ? ae_adapter_save_peft(a, out_path, m, err) : ae_adapter_save(a, out_path, m, err);
    ae_adapter_close(a);
    ae_model_close(m);
    return status;
}

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

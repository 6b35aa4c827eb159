/* optimizer.c -- AdamW (Loshchilov and Hutter, 1711.05101) and RMSprop (as PyTorch has it), with
 * clipping by the global norm. */
#include "train/optimizer.h"

#include <math.h>
#include <string.h>

static int64_t size_of(const ae_tensor *t)
{
    return t->rows * t->cols;
}

aerie_status ae_optimizer_new(ae_optimizer *o, ae_optim kind, const ae_named_param *params,
                              int64_t n, aerie_error *err)
{
    float *next;

    *o = (ae_optimizer){ .kind = kind, .params = params, .n = n };
    o->n_moments = kind == AE_OPTIM_ADAMW ? 2 : 1;
    for (int64_t i = 0; i < n; i++) o->n_values += size_of(params[i].tensor);
    o->m = ae_alloc((size_t)n, sizeof *o->m);
    o->v = ae_alloc((size_t)n, sizeof *o->v);
    o->memory = ae_alloc((size_t)o->n_values, (size_t)o->n_moments * sizeof *o->memory);
    if (!o->m || !o->v || !o->memory) {
        aerie_fail(err, AERIE_NO_MEMORY,
                   "no memory for the optimizer's moments of %lld numbers; train an adapter "
                   "('lora: {r: ...}') instead",
                   (long long)o->n_values);
        ae_optimizer_free(o);
        return AERIE_NO_MEMORY;
    }
    next = o->memory;
    for (int64_t i = 0; i < n; i++) {
        if (o->n_moments == 2) {
            o->m[i] = next;
            next += size_of(params[i].tensor);
        }
        o->v[i] = next;
        next += size_of(params[i].tensor);
    }
    return AERIE_OK;
}

void ae_optimizer_free(ae_optimizer *o)
{
    ae_free(o->m);
    ae_free(o->v);
    ae_free(o->memory);
    ae_free(o->kept);
    *o = (ae_optimizer){ 0 };
}

/* Moments lie one after the other; behind them, values are kept. */
static size_t moments_bytes(const ae_optimizer *o)
{
    return (size_t)o->n_values * (size_t)o->n_moments * sizeof *o->memory;
}

aerie_status ae_optimizer_keep(ae_optimizer *o, aerie_error *err)
{
    float *values;

    if (!o->kept)
        o->kept = ae_alloc((size_t)o->n_values, (size_t)(o->n_moments + 1) * sizeof *o->kept);
    if (!o->kept)
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a copy of what is trained");
    memcpy(o->kept, o->memory, moments_bytes(o));
    values = o->kept + o->n_values * o->n_moments;
    for (int64_t i = 0; i < o->n; values += size_of(o->params[i++].tensor))
        memcpy(values, o->params[i].tensor->data,
               (size_t)size_of(o->params[i].tensor) * sizeof *values);
    return AERIE_OK;
}

void ae_optimizer_put_back(ae_optimizer *o)
{
    const float *values = o->kept + o->n_values * o->n_moments;

    memcpy(o->memory, o->kept, moments_bytes(o));
    for (int64_t i = 0; i < o->n; values += size_of(o->params[i++].tensor))
        memcpy(o->params[i].tensor->data, values,
               (size_t)size_of(o->params[i].tensor) * sizeof *values);
}

void ae_optimizer_zero_grads(const ae_optimizer *o)
{
    for (int64_t i = 0; i < o->n; i++) {
        const ae_tensor *t = o->params[i].tensor;
        memset(t->grad, 0, (size_t)size_of(t) * sizeof *t->grad);
    }
}

aerie_status ae_optimizer_norm(const ae_optimizer *o, ae_device *device, double *norm,
                               aerie_error *err)
{
    double sum = 0;

    for (int64_t i = 0; i < o->n; i++) {
        const ae_tensor *t = o->params[i].tensor;
        double squares = device->sum_squares(device, t->grad, size_of(t));
        if (!isfinite(squares))
            return aerie_fail(err, AERIE_BAD_NUMBER, "the gradient of '%s' is not finite",
                              o->params[i].name);
        sum += squares;
    }
    *norm = sqrt(sum);
    return AERIE_OK;
}

double ae_clip_scale(double norm, double max)
{
    return max > 0 ? fmin(1, max / (norm + 1e-6)) : 1;
}

static void adamw(ae_optimizer *o, ae_device *device, const ae_recipe *recipe, double rate,
                  double grad_scale, int64_t t)
{
    ae_adamw_step step = {
        .learning_rate = rate,
        .beta1 = recipe->adam_beta1,
        .beta2 = recipe->adam_beta2,
        .epsilon = recipe->adam_epsilon,
        .grad_scale = grad_scale,
    };

    step.correction1 = 1 - pow(step.beta1, (double)t);
    step.correction2 = 1 - pow(step.beta2, (double)t);
    for (int64_t i = 0; i < o->n; i++) {
        const ae_tensor *p = o->params[i].tensor;
        step.weight_decay = o->params[i].decays ? recipe->weight_decay : 0;
        device->adamw(device, ae_f32(p), o->m[i], o->v[i], p->grad, size_of(p), &step);
    }
}

static void rmsprop(ae_optimizer *o, ae_device *device, const ae_recipe *recipe, double rate,
                    double grad_scale)
{
    ae_rmsprop_step step = { .learning_rate = rate,
                             .alpha = recipe->rmsprop_alpha,
                             .epsilon = recipe->adam_epsilon,
                             .grad_scale = grad_scale };

    for (int64_t i = 0; i < o->n; i++) {
        const ae_tensor *p = o->params[i].tensor;
        step.weight_decay = o->params[i].decays ? recipe->weight_decay : 0;
        device->rmsprop(device, ae_f32(p), o->v[i], p->grad, size_of(p), &step);
    }
}

void ae_optimizer_step(ae_optimizer *o, ae_device *device, const ae_recipe *recipe, double rate,
                       double grad_scale, int64_t t)
{
    if (o->kind == AE_OPTIM_RMSPROP)
        rmsprop(o, device, recipe, rate, grad_scale);
    else
        adamw(o, device, recipe, rate, grad_scale, t);
}

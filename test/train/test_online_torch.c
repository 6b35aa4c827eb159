/* test_online_torch.c -- the losses of PPO (policy and value), APA and GRPO, and every gradient of
 * a whole model by them, against PyTorch (tools/golden/make_ppo_fixtures.py). */
#include "tiny.h"
#include "train/rollout.h"
#include "train/trainer.h"

#include <jansson.h>
#include <math.h>

#define FOLDER "test/golden/ppo"

enum { MAX_PARAMS = 64, SIZE = 3 };

typedef struct {
    ae_device *device;
    ae_model *file, *model;
    ae_safetensors *golden;
    json_t *facts;
    ae_rollouts r;
    ae_recipe recipe;
    ae_arena rows;
    ae_named_param params[MAX_PARAMS];
    int64_t n_params;
} fixture;

static int64_t add_ids(int32_t *to, const json_t *ids)
{
    const json_t *id;
    size_t i;

    json_array_foreach(ids, i, id) to[i] = (int32_t)json_integer_value(id);
    return (int64_t)json_array_size(ids);
}

static void read_group(ae_rollouts *r, int64_t g, const json_t *group)
{
    const json_t *replies = json_object_get(group, "replies"), *reply;
    ae_sample *s = &r->set.items[g];
    size_t i;

    s->ids = ae_arena_take(&r->set.arena, 64, sizeof *s->ids);
    s->n = s->n_prompt = (int32_t)add_ids(s->ids, json_object_get(group, "prompt"));
    json_array_foreach(replies, i, reply)
    {
        int64_t n = add_ids(s->ids + s->n, reply), k = g * SIZE + (int64_t)i;
        r->first[k + 1] = r->first[k] + n;
        s->n += (int32_t)n;
    }
}

static double *read_list(fixture *f, const char *name)
{
    const json_t *list = json_object_get(f->facts, name), *x;
    double *out = ae_arena_take(&f->r.set.arena, json_array_size(list), sizeof *out);
    size_t i;

    assert_int_equal(json_array_size(list), f->r.n_tokens);
    json_array_foreach(list, i, x) out[i] = json_number_value(x);
    return out;
}

static void read_rollouts(fixture *f)
{
    const json_t *groups = json_object_get(f->facts, "groups");
    ae_rollouts *r = &f->r;

    *r = (ae_rollouts){
        .n_groups = 2, .size = SIZE, .n_replies = 2 * SIZE, .lambda = f->recipe.online.apa_lambda
    };
    r->set.n = 2;
    r->set.items = ae_arena_take(&r->set.arena, 2, sizeof *r->set.items);
    r->first = ae_arena_take(&r->set.arena, 2 * SIZE + 1, sizeof *r->first);
    for (size_t g = 0; g < 2; g++) read_group(r, (int64_t)g, json_array_get(groups, g));
    r->n_tokens = r->first[2 * SIZE];
    r->logp = read_list(f, "old");
    r->ref = read_list(f, "ref");
    r->values = read_list(f, "old_values");
    r->advantages = read_list(f, "advantages");
    r->returns = read_list(f, "returns");
}

static void set_value_head(fixture *f)
{
    const json_t *list = json_object_get(f->facts, "value_head"), *x;
    const ae_named_param *head = &f->params[f->n_params - 1];
    size_t i;

    assert_string_equal(head->name, "score.weight");
    json_array_foreach(list, i, x) ae_f32(head->tensor)[i] = (float)json_number_value(x);
}

static void open_fixture(fixture *f, const char *method, const char *setting)
{
    const char *settings[] = { method,
                               "model=" FOLDER,
                               "data=none.jsonl",
                               "output=none.gguf",
                               "rollout.temperature=0.8",
                               "rollout.samples=3",
                               setting };
    const ae_head_options head = { .score = true, .zero = true };
    aerie_error err = { 0 };

    *f = (fixture){ 0 };
    assert_int_equal(ae_device_open(&f->device, AE_CPU_AUTO, 2, NULL), AERIE_OK);
    if (ae_model_open(&f->file, FOLDER, &err)) fail_msg("%s", err.message);
    assert_int_equal(ae_model_trainable_with(&f->model, f->file, &head, 0, NULL), AERIE_OK);
    assert_int_equal(ae_safetensors_open(&f->golden, FOLDER "/golden.safetensors", NULL), AERIE_OK);
    f->facts = json_load_file(FOLDER "/golden.json", 0, NULL);
    if (ae_recipe_load(&f->recipe, NULL, settings, AE_COUNT(settings), &err))
        fail_msg("%s", err.message);
    f->n_params = ae_model_params(f->model, f->params, MAX_PARAMS);
    read_rollouts(f);
    set_value_head(f);
}

static void close_fixture(fixture *f)
{
    ae_arena_free(&f->rows);
    ae_rollouts_free(&f->r);
    ae_recipe_free(&f->recipe);
    json_decref(f->facts);
    ae_safetensors_close(f->golden);
    ae_model_close(f->model);
    ae_model_close(f->file);
    f->device->close(f->device);
}

static ae_loss_sums run(fixture *f, bool values)
{
    static const int64_t items[2] = { 0, 1 };
    const ae_pass pass = { .recipe = &f->recipe,
                           .objective = &ae_objective_replies,
                           .set = &f->r.set,
                           .device = f->device,
                           .net = ae_model_net(f->model),
                           .arena = &f->rows,
                           .temperature = 0.8f,
                           .values = values };
    ae_loss_sums sums = { 0 };
    aerie_error err = { 0 };

    if (ae_pass_items(&pass, AE_PASS_TRAIN, items, 2, ae_pass_share(&pass, items, 2), &sums, &err))
        fail_msg("%s", err.message);
    return sums;
}

/* The largest distance of a gradient from PyTorch's, as a share of its largest number. */
static double apart(const fixture *f, const char *loss, const ae_named_param *p)
{
    int64_t n = p->tensor->rows * p->tensor->cols;
    double most = 0, size = 1e-6;
    char name[160];

    snprintf(name, sizeof name, "%s.%s", loss, p->name);
    const ae_stored_tensor *want = ae_tensor_list_find(ae_safetensors_tensors(f->golden), name);
    if (!want) fail_msg("no golden '%s'", name);
    assert_int_equal(want->rows * want->cols, n);
    for (int64_t i = 0; i < n; i++) {
        const float *x = want->data;
        most = fmax(most, fabs((double)(p->tensor->grad[i] - x[i])));
        size = fmax(size, fabs((double)x[i]));
    }
    return most / size;
}

static void check(const char *name, const char *method, const char *setting, ae_rollout_share share)
{
    double worst = 0, want, loss;
    bool value = strcmp(name, "value") == 0;
    ae_loss_sums sums;
    fixture f;

    open_fixture(&f, method, setting);
    f.r.share = share;
    /* Of the value's loss alone: no advantage, no policy's. */
    for (int64_t t = 0; value && t < f.r.n_tokens; t++) f.r.advantages[t] = 0;
    sums = run(&f, value);
    loss = sums.loss / sums.share;
    want = json_number_value(json_object_get(f.facts, name));
    ae_model_gather_grads(f.model);
    for (int64_t i = 0; i < f.n_params; i++) worst = fmax(worst, apart(&f, name, &f.params[i]));
    print_message("%s: loss %.1e apart, gradients %.1e\n", name, fabs(loss - want), worst);
    assert_true(fabs(loss - want) < 2e-6 * fmax(1, fabs(want)) && worst < 2e-5);
    close_fixture(&f);
}

static void test_as_pytorch(void **state)
{
    (void)state;
    check("ppo", "method=ppo", "ppo.clip=0.2", AE_PER_TOKEN);
    check("value", "method=ppo", "ppo.value_coef=1", AE_PER_TOKEN);
    check("apa", "method=apa", "apa.lambda=0.5", AE_PER_TOKEN);
    check("grpo", "method=grpo", "beta=0.3", AE_PER_REPLY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_pytorch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

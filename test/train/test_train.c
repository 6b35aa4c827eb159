/* test_train.c -- the loop: what it learns, and what its numbers do not depend on. */
#include "tiny.h"

#include <jansson.h>
#include <math.h>

static tiny t;

static const double ln2 = 0.69314718055994530942;

#define RUN(name, how, ...)                                                                        \
    {                                                                                              \
        .method = how, .output = name, .settings = { __VA_ARGS__ },                                \
        .n = sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(const char *)                        \
    }

/* Rows of any size, down to one sample at a time, give the same bytes. */
static void check_micro_batches(const char *method, const char *a, const char *b)
{
    static const char *const sizes[] = { "micro_batch_tokens=1", "micro_batch_tokens=40",
                                         "micro_batch_tokens=100", "micro_batch_tokens=4096" };
    ae_bytes first = { 0 };

    for (size_t i = 0; i < AE_COUNT(sizes); i++) {
        tiny_run r = RUN("micro.gguf", method, sizes[i], a, b, "max_steps=4");
        ae_bytes bytes = tiny_output(&t, &r, NULL);
        if (i == 0)
            first = bytes;
        else
            tiny_assert_same(&first, &bytes, sizes[i]);
        if (i > 0) ae_bytes_free(&bytes);
    }
    ae_bytes_free(&first);
}

static void test_micro_batches_change_no_bit(void **state)
{
    (void)state;
    check_micro_batches("sft", "label_smoothing=0.1", "weight_decay=0.1");
    check_micro_batches("sft", "recompute=true", "shuffle=false");
    check_micro_batches("sft", "lora.r=3", "lora.dropout=0.3");
    check_micro_batches("dpo", "lora.r=3", "lora.dropout=0.3");
    check_micro_batches("dpo", "beta=0.5", "loss_type=ipo");
    check_micro_batches("dpo", "beta=0.5", "shared_prefix=false");
    check_micro_batches("sft", "lora.r=3", "lora.dora=true");
    check_micro_batches("dpo", "lora.r=3", "loss_type=aot");
    check_micro_batches("dpo", "label_smoothing=0.1", "loss_type=aot_unpaired");
    check_micro_batches("dpo", "loss_type=[sigmoid, aot, sft]", "loss_weights=[0.8, 0.2, 1]");
    check_micro_batches("orpo", "lora.r=3", "beta=0.3");
    check_micro_batches("crlft", "lora.r=3", "lora.dropout=0.3");
    check_micro_batches("cpo", "shared_prefix=false", "cpo_alpha=0.4");
    check_micro_batches("kto", "lora.r=3", "lora.dropout=0.3");
    check_micro_batches("bco", "shared_prefix=false", "beta=0.5");
}

/* A step of one pair has nothing to sort: the loss is sigmoid's. What was computed before the
 * gradients, dropout included, is what they find. */
static void test_a_coupled_step_of_one_pair_is_sigmoid(void **state)
{
    tiny_run one = RUN("one.gguf", "dpo", "batch_size=1", "max_steps=6", "lora.r=3",
                       "lora.dropout=0.3", "label_smoothing=0.1", "loss_type=aot_unpaired");
    tiny_run two = RUN("two.gguf", "dpo", "batch_size=1", "max_steps=6", "lora.r=3",
                       "lora.dropout=0.3", "label_smoothing=0.1", "loss_type=sigmoid");
    ae_bytes a = tiny_output(&t, &one, NULL), b = tiny_output(&t, &two, NULL);

    (void)state;
    tiny_assert_same_adapter(&a, &b, "a step of one pair");
    ae_bytes_free(&a);
    ae_bytes_free(&b);
}

static void check_threads(const char *method, const char *a, const char *b)
{
    ae_bytes first = { 0 };

    for (int threads = 1; threads <= 3; threads++) {
        tiny_run r = RUN("threads.gguf", method, a, b, "max_steps=4", "batch_size=12");
        r.threads = threads;
        ae_bytes bytes = tiny_output(&t, &r, NULL);
        if (threads == 1)
            first = bytes;
        else
            tiny_assert_same(&first, &bytes, "threads");
        if (threads > 1) ae_bytes_free(&bytes);
    }
    ae_bytes_free(&first);
}

static void test_threads_change_no_bit(void **state)
{
    (void)state;
    check_threads("sft", "recompute=false", "weight_decay=0.1");
    check_threads("dpo", "lora.r=4", "lora.dropout=0.1");
    check_threads("sft", "optim=rmsprop", "weight_decay=0.1");
    check_threads("sft", "lora.r=4", "lora.dora=true");
    check_threads("dpo", "shared_prefix=true", "loss_type=ipo");
    check_threads("simpo", "gamma=1", "beta=2.5");
    check_threads("kto", "undesirable_weight=1.5", "lora.r=4");
}

/* Recomputation saves memory and nothing else. */
static void test_recomputing_changes_no_bit(void **state)
{
    tiny_run kept = RUN("kept.gguf", "sft", "max_steps=3", "lora.r=4", "lora.dropout=0.2");
    tiny_run again =
        RUN("again.gguf", "sft", "max_steps=3", "lora.r=4", "lora.dropout=0.2", "recompute=true");
    ae_bytes a = tiny_output(&t, &kept, NULL), b = tiny_output(&t, &again, NULL);

    (void)state;
    tiny_assert_same(&a, &b, "recompute");
    ae_bytes_free(&a);
    ae_bytes_free(&b);
}

static void test_sft_learns(void **state)
{
    aerie_train_summary s;
    tiny_run r = RUN("sft.gguf", "sft", "num_train_epochs=8", "learning_rate=0.02");
    ae_bytes bytes = tiny_output(&t, &r, &s);

    (void)state;
    assert_int_equal(s.n_steps, 8 * 8); /* 37 samples, 5 a step */
    assert_true(fabs(s.first_loss - log(TINY_VOCAB)) < 0.1);
    assert_true(s.last_loss < 0.6 * s.first_loss);
    ae_bytes_free(&bytes);
}

/* At the first step the policy is the reference: the loss is ln 2 and the margin 0, exactly. */
typedef struct {
    double loss, margin, accuracy, last_loss, grad_norm;
    int steps;
} watched;

static int watch(void *user, const aerie_train_progress *p)
{
    watched *w = user;

    if (p->phase != AERIE_TRAIN_STEP) return 0;
    if (w->steps++ == 0) {
        w->loss = p->loss;
        w->margin = p->margin;
        w->accuracy = p->accuracy;
        w->grad_norm = p->grad_norm;
    }
    w->last_loss = p->loss;
    assert_true(p->has_rewards);
    return 0;
}

static void check_dpo_start_for(const char *epochs, const char *a, const char *b)
{
    watched w = { 0 };
    tiny_run r =
        RUN("dpo.gguf", "dpo", a, b, "batch_size=23", epochs, "beta=0.5", "learning_rate=0.01");
    r.run = (ae_train_run){ .progress = watch, .user = &w };
    ae_bytes bytes = tiny_output(&t, &r, NULL);

    assert_true(fabs(w.loss - ln2) < 1e-15);
    assert_true(w.margin == 0);
    assert_true(w.accuracy == 0);
    assert_true(w.last_loss < 0.5 * ln2);
    ae_bytes_free(&bytes);
}

static void check_dpo_start(const char *a, const char *b)
{
    check_dpo_start_for("num_train_epochs=12", a, b);
}

static void test_dpo_starts_at_ln_2(void **state)
{
    (void)state;
    check_dpo_start("lora.r=4", "shared_prefix=true");
    check_dpo_start("lora.r=4", "shared_prefix=false");
    check_dpo_start("lora.r=0", "shared_prefix=true");
    /* Held to the length of its rows, it learns more slowly. */
    check_dpo_start_for("num_train_epochs=40", "lora.r=4", "lora.dora=true");
    check_dpo_start("lora.r=4", "loss_type=aot");
    check_dpo_start("lora.r=4", "loss_type=aot_unpaired");
}

/* At the first step the policy is the reference: KTO's replies are as good as their like, z0 is 0;
 * BCO's mean of rewards is 0. Accuracy is of pairs, which there are none of. */
static void check_single_replies(const char *method, double first_loss)
{
    watched w = { 0 };
    tiny_run r = RUN("single.gguf", method, "lora.r=4", "batch_size=46", "num_train_epochs=20",
                     "beta=0.5", "learning_rate=0.01");
    r.run = (ae_train_run){ .progress = watch, .user = &w };
    ae_bytes bytes = tiny_output(&t, &r, NULL);

    assert_true(fabs(w.loss - first_loss) < 1e-15);
    assert_true(w.margin == 0 && isnan(w.accuracy));
    assert_true(w.last_loss < 0.7 * first_loss);
    ae_bytes_free(&bytes);
}

static void test_single_replies_are_learned_from(void **state)
{
    (void)state;
    check_single_replies("kto", 0.5);
    check_single_replies("bco", ln2);
}

static int n_told;

static void count_expectations(void *user, aerie_log_level level, const char *message)
{
    const char *words = user;

    if (level == AERIE_LOG_WARNING && strstr(message, words)) n_told++;
}

static int told_of(const char *setting, const char *words)
{
    tiny_run r = RUN("expect.gguf", "dpo", "max_steps=12", "expect.step=11", "beta=0.5", setting);
    ae_bytes bytes;

    n_told = 0;
    aerie_log_set(count_expectations, (void *)(uintptr_t)words);
    bytes = tiny_output(&t, &r, NULL);
    aerie_log_set(NULL, NULL);
    ae_bytes_free(&bytes);
    return n_told;
}

/* A run that leaves its recipe's curve is told so, once; one that follows it hears nothing. */
static void test_curves_that_are_left_are_told(void **state)
{
    (void)state;
    assert_int_equal(told_of("expect.first_loss=0.6931", "the recipe expects"), 0);
    assert_int_equal(told_of("expect.first_loss=0.5", "the first loss is 0.693147"), 1);
    assert_int_equal(told_of("expect.margin=[-5, 5]", "the recipe expects"), 0);
    assert_int_equal(told_of("expect.margin=[5, 6]", "by step 11 the margin is"), 1);
    assert_int_equal(told_of("expect.loss=[0.8, 0.9]", "by step 11 the loss is"), 1);
}

/* A mixture of one loss is that loss; without the weights each counts 1. */
static void test_a_mixture_of_one_is_the_loss(void **state)
{
    tiny_run one = RUN("one.gguf", "dpo", "max_steps=4", "loss_type=ipo");
    tiny_run list = RUN("two.gguf", "dpo", "max_steps=4", "loss_type=[ipo]", "loss_weights=[1]");
    ae_bytes a = tiny_output(&t, &one, NULL), b = tiny_output(&t, &list, NULL);

    (void)state;
    tiny_assert_same(&a, &b, "a mixture of one loss");
    ae_bytes_free(&a);
    ae_bytes_free(&b);
}

/* Full training over half-precision weights: the frozen file and its float32 copy agree bit for
 * bit. */
static void test_dpo_starts_at_ln_2_over_half_weights(void **state)
{
    char *half = tiny_path(&t, "half.gguf", "");
    tiny over = t;
    ae_model *m;

    (void)state;
    assert_int_equal(ae_model_open(&m, t.model_path, NULL), AERIE_OK);
    assert_int_equal(ae_model_save_gguf(m, half, AE_F16, NULL), AERIE_OK);
    ae_model_close(m);
    over.model_path = half;
    tiny_run r = RUN("half-dpo.gguf", "dpo", "max_steps=1");
    aerie_train_summary s;
    ae_bytes bytes = tiny_output(&over, &r, &s);
    assert_true(fabs(s.first_loss - ln2) < 1e-15);
    ae_bytes_free(&bytes);
    ae_free(half);
}

static ae_model *open_model(const char *name)
{
    char *path = tiny_path(&t, name, "");
    ae_model *m;
    aerie_error err = { 0 };

    if (ae_model_open(&m, path, &err)) fail_msg("%s", err.message);
    ae_free(path);
    return m;
}

/* The largest difference of two models' weights, relative to how far both went from the base. */
static double difference(const char *a, const char *b)
{
    ae_model *m[3] = { open_model(a), open_model(b), open_model("base.gguf") };
    ae_named_param p[3][64];
    int64_t n = ae_model_params(m[0], p[0], 64);
    double worst = 0, moved = 0;

    for (int k = 1; k < 3; k++) ae_model_params(m[k], p[k], 64);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < p[0][i].tensor->rows * p[0][i].tensor->cols; j++) {
            double x = (double)ae_f32(p[0][i].tensor)[j], y = (double)ae_f32(p[1][i].tensor)[j];
            worst = fmax(worst, fabs(x - y));
            moved = fmax(moved, fabs(x - (double)ae_f32(p[2][i].tensor)[j]));
        }
    for (int k = 0; k < 3; k++) ae_model_close(m[k]);
    return worst / moved;
}

/* The prompt computed once gives what two copies of it give, to float32 rounding. One step of plain
 * gradient would do; Adam's first step is the gradient's sign where it is tiny, so a large epsilon
 * keeps the comparison about gradients. */
static void test_a_shared_prefix_changes_nothing(void **state)
{
    tiny_run shared = RUN("shared.gguf", "dpo", "max_steps=3", "adam_epsilon=1", "learning_rate=1",
                          "warmup_steps=1", "beta=0.5", "batch_size=23");
    tiny_run apart = RUN("apart.gguf", "dpo", "max_steps=3", "adam_epsilon=1", "learning_rate=1",
                         "warmup_steps=1", "beta=0.5", "batch_size=23", "shared_prefix=false");
    ae_bytes a = tiny_output(&t, &shared, NULL), b = tiny_output(&t, &apart, NULL);
    double d = difference("shared.gguf", "apart.gguf");

    (void)state;
    print_message("shared and unshared prefixes differ by %.2g of the update\n", d);
    assert_true(d < 2e-5);
    ae_bytes_free(&a);
    ae_bytes_free(&b);
}

/* A second run finds the reference's numbers on the disk, and gives the same model. */
typedef struct {
    int computed;
} counted;

static int count_reference(void *user, const aerie_train_progress *p)
{
    counted *c = user;

    c->computed += p->phase == AERIE_TRAIN_REFERENCE;
    return 0;
}

static void test_the_reference_is_computed_once(void **state)
{
    counted c = { 0 };
    tiny_run r = RUN("cached.gguf", "dpo", "max_steps=3");
    char *cache = tiny_path(&t, "cached.gguf", ".reference");
    ae_bytes first, again, damaged, file = { 0 };

    (void)state;
    r.run = (ae_train_run){ .progress = count_reference, .user = &c };
    first = tiny_output(&t, &r, NULL);
    assert_true(c.computed > 0);
    c.computed = 0;
    again = tiny_output(&t, &r, NULL);
    assert_int_equal(c.computed, 0);
    tiny_assert_same(&first, &again, "cached reference");
    /* A damaged cache is made again. */
    assert_int_equal(ae_file_read(&file, cache, 0, NULL), AERIE_OK);
    file.data[24 + 5 * 32 + 23] ^= 1; /* of a number: the exponent of the sixth entry's first */
    assert_int_equal(ae_file_write(cache, file.data, file.len, NULL), AERIE_OK);
    ae_bytes_free(&file);
    damaged = tiny_output(&t, &r, NULL);
    assert_true(c.computed > 0);
    tiny_assert_same(&first, &damaged, "reference made again");
    ae_bytes_free(&first);
    ae_bytes_free(&again);
    ae_bytes_free(&damaged);
    ae_free(cache);
}

/* The file says, by its hash, what lies beneath. */
static void check_history(const ae_bytes *file, const char *below)
{
    ae_model *m = NULL;
    ae_adapter *frozen = NULL;
    char hash[65];
    bool found = false;

    assert_int_equal(ae_model_open(&m, t.model_path, NULL), AERIE_OK);
    assert_int_equal(ae_adapter_open(&frozen, below, m, false, NULL), AERIE_OK);
    ae_adapter_hash(frozen, hash);
    for (size_t at = 0; at + 64 <= file->len && !found; at++)
        found = memcmp(file->data + at, hash, 64) == 0;
    assert_true(found);
    ae_adapter_close(frozen);
    ae_model_close(m);
}

/* A new adapter over a frozen one: the reference is the model with the frozen one, so that the
 * start is ln 2 again; and the frozen one counts. */
static void test_an_adapter_over_an_adapter(void **state)
{
    char *below = tiny_path(&t, "below.gguf", ""), setting[400];
    tiny_run first = RUN("below.gguf", "sft", "lora.r=4", "max_steps=30", "learning_rate=0.02");
    aerie_train_summary with, without;
    ae_bytes adapter = tiny_output(&t, &first, NULL), a, b;
    watched w = { 0 }, plain = { 0 };

    (void)state;
    snprintf(setting, sizeof setting, "adapters=%s", below);
    tiny_run over = RUN("over.gguf", "dpo", "lora.r=2", setting, "max_steps=2");
    tiny_run alone = RUN("alone.gguf", "dpo", "lora.r=2", "shuffle=true", "max_steps=2");
    over.run = (ae_train_run){ .progress = watch, .user = &w };
    alone.run = (ae_train_run){ .progress = watch, .user = &plain };
    a = tiny_output(&t, &over, &with);
    b = tiny_output(&t, &alone, &without);
    assert_true(fabs(w.loss - ln2) < 1e-15 && w.margin == 0);
    assert_true(with.n_steps == without.n_steps);
    assert_true(w.grad_norm > 0 && w.grad_norm != plain.grad_norm);
    check_history(&a, below);
    ae_bytes_free(&adapter);
    ae_bytes_free(&a);
    ae_bytes_free(&b);
    ae_free(below);
}

/* How many of a model's parameters another file of it has otherwise, below and from layer 1 on. */
static void count_changes(const char *path, int64_t *below, int64_t *above)
{
    ae_model *base, *trained;
    ae_named_param a[64], b[64];

    assert_int_equal(ae_model_open(&base, t.model_path, NULL), AERIE_OK);
    assert_int_equal(ae_model_open(&trained, path, NULL), AERIE_OK);
    int64_t n = ae_model_params(base, a, 64);
    assert_true(n <= 64 && ae_model_params(trained, b, 64) == n);
    *below = *above = 0;
    for (int64_t i = 0; i < n; i++) {
        size_t bytes = (size_t)(a[i].tensor->rows * a[i].tensor->cols) * sizeof(float);
        bool is_below = strstr(a[i].name, "embed") || strstr(a[i].name, "layers.0.");
        bool changed = memcmp(a[i].tensor->data, b[i].tensor->data, bytes) != 0;
        *(is_below ? below : above) += changed;
    }
    ae_model_close(base);
    ae_model_close(trained);
}

static bool has(const ae_bytes *file, const char *text)
{
    size_t n = strlen(text);

    for (size_t at = 0; at + n <= file->len; at++)
        if (memcmp(file->data + at, text, n) == 0) return true;
    return false;
}

/* The last layer alone, with and without an adapter: what lies below stays as it was, and how it is
 * computed changes no bit. */
static void test_the_last_layers_alone(void **state)
{
    tiny_run full = RUN("last.gguf", "sft", "last_layers=1", "max_steps=3", "output_type=f32");
    tiny_run lora = RUN("last-lora.gguf", "sft", "last_layers=1", "max_steps=3", "lora.r=2");
    tiny_run again = RUN("last-again.gguf", "sft", "last_layers=1", "max_steps=3", "lora.r=2",
                         "recompute=true", "micro_batch_tokens=1");
    tiny_run too_many = RUN("last-no.gguf", "sft", "last_layers=3", "max_steps=3");
    char *path = tiny_path(&t, "last.gguf", "");
    ae_bytes a = tiny_output(&t, &full, NULL), b = tiny_output(&t, &lora, NULL),
             c = tiny_output(&t, &again, NULL);
    int64_t below, above;
    aerie_train_summary summary;
    aerie_error err = { 0 };

    (void)state;
    count_changes(path, &below, &above);
    assert_int_equal(below, 0);
    assert_int_equal(above, 9 + 2); /* a layer's, the last norm and the head */
    tiny_assert_same_adapter(&b, &c, "recomputation of the last layer");
    assert_true(has(&b, "blk.1.") && !has(&b, "blk.0."));
    assert_int_equal(tiny_train(&t, &too_many, &summary, &err), AERIE_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "the model has 2 layers"));
    ae_bytes_free(&a);
    ae_bytes_free(&b);
    ae_bytes_free(&c);
    ae_free(path);
}

/* What DoRA trains with is what its file says: the norms follow every update. */
static void test_norms_follow_the_adapter(void **state)
{
    char *below = tiny_path(&t, "dora.gguf", ""), setting[400];
    tiny_run first =
        RUN("dora.gguf", "sft", "lora.r=4", "lora.dora=true", "max_steps=5", "learning_rate=0.02");
    aerie_train_summary trained, opened;
    ae_bytes a, b;

    (void)state;
    first.eval = &t.samples;
    a = tiny_output(&t, &first, &trained);
    snprintf(setting, sizeof setting, "adapters=%s", below);
    tiny_run over = RUN("over-dora.gguf", "sft", "lora.r=1", setting, "max_steps=1",
                        "batch_size=37", "learning_rate=0");
    b = tiny_output(&t, &over, &opened);
    assert_true(trained.first_loss - trained.eval_loss > 0.01);
    assert_true(fabs(trained.eval_loss - opened.first_loss) < 1e-7);
    ae_bytes_free(&a);
    ae_bytes_free(&b);
    ae_free(below);
}

/* The evaluation computes what training computes, and changes nothing. */
static void test_evaluation_is_the_loss_of_its_data(void **state)
{
    tiny_run r =
        RUN("eval.gguf", "sft", "max_steps=2", "batch_size=37", "learning_rate=0", "eval_steps=1");
    tiny_run pairs = RUN("eval-dpo.gguf", "dpo", "max_steps=2", "batch_size=23", "learning_rate=0");
    aerie_train_summary s;
    ae_bytes bytes;

    (void)state;
    r.eval = &t.samples;
    bytes = tiny_output(&t, &r, &s);
    assert_true(fabs(s.eval_loss - s.last_loss) < 1e-12);
    ae_bytes_free(&bytes);
    pairs.eval = &t.pairs;
    bytes = tiny_output(&t, &pairs, &s);
    assert_true(fabs(s.eval_loss - ln2) < 1e-15);
    ae_bytes_free(&bytes);
}

/* A learning rate that blows up ends with a sentence that names the step; the file stays away. */
static void test_a_loss_that_is_not_finite_stops(void **state)
{
    tiny_run r = RUN("inf.gguf", "sft", "learning_rate=10", "max_grad_norm=0", "max_steps=200",
                     "lr_scheduler_type=constant", "weight_decay=10", "logging_steps=50");
    char *path = tiny_path(&t, "inf.gguf", "");
    aerie_train_summary s;
    aerie_error err = { 0 };
    aerie_status status = tiny_train(&t, &r, &s, &err);

    (void)state;
    assert_int_equal(status, AERIE_BAD_NUMBER);
    assert_non_null(strstr(err.message, "step "));
    assert_non_null(strstr(err.message, "not finite"));
    assert_false(ae_file_exists(path));
    ae_free(path);
}

static int watch_rate(void *user, const aerie_train_progress *p)
{
    if (p->phase == AERIE_TRAIN_STEP) *(double *)user = p->learning_rate;
    return 0;
}

/* OpenChat's rule, of the tokens that an average step learns. */
static void test_an_automatic_rate_counts_learned_tokens(void **state)
{
    tiny_run r = RUN("auto.gguf", "sft", "auto_learning_rate=0.5", "lr_scheduler_type=constant",
                     "num_train_epochs=2");
    double rate = 0, learned = 0, steps = 8; /* 37 samples, 5 a step */
    ae_bytes bytes;

    (void)state;
    for (size_t k = 0; k < t.samples.n; k++)
        for (int32_t i = 1; i < t.samples.items[k].n; i++)
            learned += t.samples.items[k].weight[i] != 0;
    r.run = (ae_train_run){ .progress = watch_rate, .user = &rate };
    bytes = tiny_output(&t, &r, NULL);
    assert_true(fabs(rate / (0.5 * sqrt(learned / steps / 4e6)) - 1) < 1e-12);
    ae_bytes_free(&bytes);
}

/* Every line of the metrics is JSON with what was promised. */
static void test_metrics_are_json_lines(void **state)
{
    static const char *const names[] = { "step",
                                         "loss",
                                         "lr",
                                         "grad_norm",
                                         "tokens",
                                         "tokens_per_second",
                                         "reward_chosen",
                                         "reward_rejected",
                                         "margin",
                                         "accuracy",
                                         "logps_chosen",
                                         "logps_rejected" };
    tiny_run r = RUN("metrics.gguf", "dpo", "max_steps=6");
    char *path = tiny_path(&t, "metrics.gguf", ".metrics.jsonl");
    ae_bytes bytes = tiny_output(&t, &r, NULL), text = { 0 };
    int lines = 0;

    (void)state;
    assert_int_equal(ae_file_read(&text, path, 0, NULL), AERIE_OK);
    for (char *line = strtok(text.data, "\n"); line; line = strtok(NULL, "\n"), lines++) {
        json_t *o = json_loads(line, 0, NULL);
        for (size_t i = 0; i < AE_COUNT(names); i++)
            assert_true(json_is_number(json_object_get(o, names[i])));
        assert_int_equal(json_integer_value(json_object_get(o, "step")), lines + 1);
        json_decref(o);
    }
    assert_int_equal(lines, 6);
    ae_bytes_free(&text);
    ae_bytes_free(&bytes);
    ae_free(path);
}

/* --dry-run tells much and writes nothing. */
static void test_a_dry_run_writes_nothing(void **state)
{
    tiny_run r = RUN("dry.gguf", "sft", "max_steps=3");
    int before = scratch_count(t.folder);
    aerie_train_summary s;
    aerie_error err = { 0 };

    (void)state;
    r.run.dry_run = true;
    assert_int_equal(tiny_train(&t, &r, &s, &err), AERIE_OK);
    assert_int_equal(scratch_count(t.folder), before);
    assert_non_null(strstr(s.plan, "steps: 3"));
    assert_non_null(strstr(s.plan, "samples: 37"));
    assert_non_null(strstr(s.plan, "memory, about"));
}

static void test_empty_data_is_a_sentence(void **state)
{
    static const ae_samples nothing = { .n_dropped = 4 };
    tiny_run r = RUN("none.gguf", "sft", "max_steps=3");
    aerie_train_summary s;
    aerie_error err = { 0 };

    (void)state;
    r.data = &nothing;
    assert_int_equal(tiny_train(&t, &r, &s, &err), AERIE_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "no sample"));
}

/* The n-th allocation of a run fails, for every n: a sentence each time, and nothing leaks. */
static void check_out_of_memory(const char *method, const char *loss)
{
    size_t before = ae_alloc_bytes();
    long n = 1;

    for (;; n++) {
        tiny_run r = RUN("oom.gguf", method, "max_steps=1", "lora.r=2", "batch_size=4", loss);
        aerie_train_summary s;
        aerie_error err = { 0 };
        ae_alloc_fail_at(n);
        aerie_status status = tiny_train(&t, &r, &s, &err);
        bool failed = ae_alloc_has_failed();
        ae_alloc_fail_at(0);
        assert_int_equal(ae_alloc_bytes(), before);
        if (status) assert_string_not_equal(err.message, "");
        if (!failed) break;
    }
    print_message("%s: %ld allocations in a run\n", method, n);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    check_out_of_memory("dpo", "loss_type=[sigmoid, aot, sft]");
    check_out_of_memory("kto", "beta=0.2");
}

static int setup(void **state)
{
    (void)state;
    tiny_open(&t);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tiny_close(&t);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_micro_batches_change_no_bit),
        cmocka_unit_test(test_a_coupled_step_of_one_pair_is_sigmoid),
        cmocka_unit_test(test_threads_change_no_bit),
        cmocka_unit_test(test_recomputing_changes_no_bit),
        cmocka_unit_test(test_sft_learns),
        cmocka_unit_test(test_dpo_starts_at_ln_2),
        cmocka_unit_test(test_single_replies_are_learned_from),
        cmocka_unit_test(test_curves_that_are_left_are_told),
        cmocka_unit_test(test_a_mixture_of_one_is_the_loss),
        cmocka_unit_test(test_dpo_starts_at_ln_2_over_half_weights),
        cmocka_unit_test(test_a_shared_prefix_changes_nothing),
        cmocka_unit_test(test_the_reference_is_computed_once),
        cmocka_unit_test(test_an_adapter_over_an_adapter),
        cmocka_unit_test(test_evaluation_is_the_loss_of_its_data),
        cmocka_unit_test(test_a_loss_that_is_not_finite_stops),
        cmocka_unit_test(test_an_automatic_rate_counts_learned_tokens),
        cmocka_unit_test(test_the_last_layers_alone),
        cmocka_unit_test(test_norms_follow_the_adapter),
        cmocka_unit_test(test_metrics_are_json_lines),
        cmocka_unit_test(test_a_dry_run_writes_nothing),
        cmocka_unit_test(test_empty_data_is_a_sentence),
        cmocka_unit_test(test_out_of_memory),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

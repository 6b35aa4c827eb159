/* test_model_memory.c -- what a use of a model will need, told beforehand, is what the process then
 * needs at its largest, within 3 %: replies, prompts that are kept, a model that guesses ahead, and
 * texts that are scored. And what would need more than there is is refused when it is asked for.
 *
 * Each case is a process of its own, as a peak never falls. */
#include "aerie/eval.h"
#include "aerie/quantize.h"
#include "aerie/score.h"
#include "api/api.h"

#include "scratch.h"

#include <inttypes.h>
#include <math.h>
#include <sys/resource.h>
#include <sys/wait.h>

static char *folder, *model_path, *reward_path;

/* ---- a model large enough for its cache to count ---- */

static const char config[] =
    "{\"model_type\":\"llama\",\"architectures\":[\"LlamaForCausalLM\"],\"vocab_size\":1152,"
    "\"hidden_size\":384,\"intermediate_size\":768,\"num_hidden_layers\":4,"
    "\"num_attention_heads\":6,\"num_key_value_heads\":3,\"max_position_embeddings\":65536,"
    "\"rms_norm_eps\":1e-5,\"rope_theta\":10000,\"tie_word_embeddings\":true}";

static aerie_status make_model(aerie_error *err)
{
    const ae_head_options head = { .score = true, .drop_language = true };
    ae_model *words = NULL, *m = NULL, *rewards = NULL;
    char *hf = ae_path_join(folder, "hf"), *config_path = ae_path_join(hf, "config.json");
    aerie_status status = ae_model_open(&words, "recipes/nursery/nursery.gguf", err);

    if (!status) status = ae_model_save_hf(words, hf, AE_F16, err);
    if (!status) status = ae_file_write(config_path, config, strlen(config), err);
    if (!status) status = ae_model_random(&m, hf, 1, err);
    if (!status) status = ae_model_save_gguf(m, model_path, AE_Q8_0, err);
    if (!status) status = ae_model_trainable_with(&rewards, m, &head, 0, err);
    if (!status) status = ae_model_save_gguf(rewards, reward_path, AE_Q8_0, err);
    ae_model_close(rewards);
    ae_model_close(m);
    ae_model_close(words);
    ae_free(config_path);
    ae_free(hf);
    return status;
}

/* ---- uses ---- */

typedef struct {
    const char *name;
    aerie_memory_plan plan;
    const char *kv;
    bool exact, has_draft;
} use_case;

static const use_case cases[] = {
    { "replies", { .n_ctx = 3000 }, NULL, false, false },
    { "three at once", { .n_ctx = 1000, .parallel = 3 }, "f32", false, false },
    { "exact", { .n_ctx = 2000 }, NULL, true, false },
    { "prompts kept", { .n_ctx = 2000, .prefix_tokens = 4000 }, NULL, false, false },
    { "a draft model", { .n_ctx = 3000 }, NULL, false, true },
    { "a draft model for two", { .n_ctx = 1500, .parallel = 2 }, "q8_0", false, true },
    { "scores", { .n_ctx = 2000, .use = AERIE_USE_SCORES }, NULL, false, false },
    { "scores over a cache", { .n_ctx = 4000, .use = AERIE_USE_SCORES }, "f16", false, false },
    { "logits", { .n_ctx = 2000, .use = AERIE_USE_LOGITS }, NULL, false, false },
    { "logits over a cache", { .n_ctx = 4000, .use = AERIE_USE_LOGITS }, "q8_0", false, false },
    { "rewards", { .n_ctx = 2000, .use = AERIE_USE_REWARDS }, NULL, false, false },
    { "rewards of a long row", { .n_ctx = 9000, .use = AERIE_USE_REWARDS }, NULL, true, false },
    { "importance", { .n_ctx = 2000, .use = AERIE_USE_IMPORTANCE }, NULL, false, false },
};

/* Prompts that fill their contexts but for a short reply, one after another beyond `parallel`. */
static aerie_status run_replies(aerie_model *m, aerie_model *draft, const aerie_memory_plan *p,
                                aerie_error *err)
{
    enum { REPLY = 40, MOST = 4 }; /* long enough for all of them to be under way at once */
    ae_engine *engine = NULL;
    int64_t n = p->n_ctx - REPLY, count = p->prefix_tokens ? 4 : p->parallel ? p->parallel : 1;
    int32_t *ids = ae_alloc((size_t)(MOST * n), sizeof *ids);
    ae_request requests[MOST] = { 0 };
    ae_engine_options o = { .device = m->device,
                            .net = &m->net,
                            .kv_type = m->kv_type,
                            .max_sequences = p->parallel ? p->parallel : 1,
                            .prefix_cache_positions = p->prefix_tokens,
                            .draft = draft ? &draft->net : NULL,
                            .speculate = draft ? AE_SPECULATE_DRAFT : AE_SPECULATE_OFF,
                            .speculate_always = draft != NULL };
    aerie_status status = ae_engine_open(&engine, &o, err);

    for (int64_t i = 0; i < MOST * n; i++) ids[i] = (int32_t)(ae_mix64((uint64_t)i) % 1000);
    for (int64_t i = 0; i < count; i++)
        requests[i] = (ae_request){ .prompt = ids + i * n,
                                    .n_prompt = n,
                                    .max_tokens = REPLY,
                                    .context = p->n_ctx,
                                    .ignore_eog = true };
    if (!status) status = ae_engine_run(engine, requests, count, NULL, NULL, err);
    ae_engine_close(engine);
    ae_free(ids);
    return status;
}

/* Letters and spaces, somewhat more than n tokens of them; *len as long as just n tokens are. */
static char *text_of(const aerie_model *m, int64_t n, size_t *len)
{
    size_t most = (size_t)n * 8;
    char *text = ae_alloc(most + 1, 1);
    size_t low = 0;

    for (size_t i = 0; i < most; i++) text[i] = i % 5 == 4 ? ' ' : (char)('a' + ae_mix64(i) % 26);
    for (size_t step = most; step > 0; step /= 2) {
        ae_ids ids = { 0 };
        if (low + step > most) continue;
        ae_api_encode(&ids, ae_model_tokenizer(m->model), (ae_span){ text, low + step },
                      AE_ENCODE_BOS, NULL);
        if ((int64_t)ids.len <= n) low += step;
        ae_ids_free(&ids);
    }
    *len = low;
    return text;
}

/* A prompt and a response, each cut to half of the room. */
static aerie_status score_text(aerie_model *m, const aerie_memory_plan *p, aerie_error *err)
{
    size_t len = (size_t)p->n_ctx * 8;
    char *text = ae_alloc(len + 1, 1);
    const char *reply = text;
    const aerie_score_options o = { .chat_template = "zephyr", .max_length = p->n_ctx };

    for (size_t i = 0; i < len; i++) text[i] = i % 5 == 4 ? ' ' : (char)('a' + ae_mix64(i) % 26);
    aerie_status status = aerie_score_replies(m, text, &reply, 1, &o, NULL, NULL, err);
    ae_free(text);
    return status;
}

static aerie_status read_text(aerie_model *m, const aerie_memory_plan *p, aerie_error *err)
{
    if (p->use == AERIE_USE_REWARDS) return score_text(m, p, err);
    char *out = ae_path_join(folder, "out");
    size_t len;
    char *text = text_of(m, p->n_ctx, &len);
    aerie_perplexity_result r;
    aerie_imatrix_options o = { .n_ctx = p->n_ctx - 2 };
    aerie_status status = AERIE_OK;

    if (p->use == AERIE_USE_SCORES)
        status = aerie_perplexity(m, text, len, p->n_ctx, NULL, NULL, &r, err);
    else if (p->use == AERIE_USE_LOGITS)
        status = aerie_logits_to_file(m, text, len, out, err);
    else
        status = aerie_imatrix(m, text, len, out, &o, NULL, err);
    ae_free(text);
    ae_free(out);
    return status;
}

/* Told, then done. */
static aerie_status run_case(const use_case *c, double *told, aerie_error *err)
{
    aerie_model *m = NULL, *draft = NULL;
    aerie_memory_plan plan = c->plan;
    const char *path = plan.use == AERIE_USE_REWARDS ? reward_path : model_path;
    aerie_model_options o = { .threads = 2, .exact = c->exact, .kv = c->kv };
    aerie_memory_need need;
    aerie_status status;

    if (c->has_draft) plan.draft = model_path;
    status = aerie_model_memory(path, &o, &plan, &need, err);
    *told = (double)need.total_bytes;
    if (!status && !need.prefix_bytes != !plan.prefix_tokens) return AERIE_IO;
    if (!status && !need.draft_bytes != !plan.draft) return AERIE_IO;
    o.plan = &plan;
    if (!status) status = aerie_model_open(&m, path, &o, err);
    o.plan = NULL;
    if (!status && c->has_draft) status = aerie_model_open(&draft, model_path, &o, err);
    if (!status)
        status = plan.use == AERIE_USE_REPLIES ? run_replies(m, draft, &plan, err)
                                               : read_text(m, &plan, err);
    aerie_model_close(draft);
    aerie_model_close(m);
    return status;
}

static int in_child(int (*run)(const void *), const void *argument)
{
    int state = -1;
    pid_t child = fork();

    if (child == 0) _exit(run(argument));
    if (child < 0 || waitpid(child, &state, 0) != child || !WIFEXITED(state)) return -1;
    return WEXITSTATUS(state);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SIZES_ARE_OURS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SIZES_ARE_OURS 0
#endif
#endif
#ifndef SIZES_ARE_OURS
#define SIZES_ARE_OURS 1
#endif

static int compare(const void *argument)
{
    const use_case *c = argument;
    aerie_error err = { 0 };
    double told, took;

    if (run_case(c, &told, &err)) {
        fprintf(stderr, "%s: %s\n", c->name, err.message);
        return 1;
    }
    took = (double)ae_peak_rss_bytes();
    printf("%-22s told %6.2f MB, took %6.2f MB: %+5.2f %%\n", c->name, told / 1e6, took / 1e6,
           100 * (told / took - 1));
    fflush(stdout);
    return SIZES_ARE_OURS && fabs(told / took - 1) > 0.03;
}

static void told_is_what_it_takes(void **state)
{
    int failed = 0;
    (void)state;

    for (size_t i = 0; i < AE_COUNT(cases); i++) failed += in_child(compare, &cases[i]) != 0;
    assert_int_equal(failed, 0);
}

/* ---- more than was planned ---- */

/* With addresses for 64 MB beside what is taken: nothing of the sentence if it went well. */
static const char *sentence(aerie_model *m, aerie_status (*ask)(aerie_model *, aerie_error *))
{
    static aerie_error err;
    uint64_t taken = 0;
    struct rlimit limit;
    FILE *statm = fopen("/proc/self/statm", "r");

    err = (aerie_error){ 0 };
    if (!statm || fscanf(statm, "%" SCNu64, &taken) != 1) return NULL;
    fclose(statm);
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = taken * (uint64_t)sysconf(_SC_PAGESIZE) + (64u << 20);
    setrlimit(RLIMIT_AS, &limit);
    aerie_status status = ask(m, &err);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_AS, &limit);
    return status == AERIE_NO_MEMORY ? err.message : status ? NULL : "";
}

static aerie_status ask_session(aerie_model *m, aerie_error *err)
{
    aerie_session_options o = { .context = 60000 };
    aerie_session *s;
    aerie_status status = aerie_session_open(&s, m, &o, err);

    aerie_session_close(s);
    return status;
}

static aerie_status ask_short_session(aerie_model *m, aerie_error *err)
{
    aerie_session_options o = { .context = 600 };
    aerie_session *s;
    aerie_status status = aerie_session_open(&s, m, &o, err);

    aerie_session_close(s);
    return status;
}

static aerie_status ask_generate(aerie_model *m, aerie_error *err)
{
    aerie_message message = { "user", "Hello" };
    aerie_prompt prompt = { &message, 1 };
    aerie_generate_options o = { .context = 2000, .parallel = 100, .chat_template = "zephyr" };
    aerie_reply *replies;

    return aerie_generate(m, &prompt, 1, &o, &replies, err);
}

static aerie_status ask_perplexity(aerie_model *m, aerie_error *err)
{
    aerie_perplexity_result r;
    char *text = ae_alloc(40001, 1);

    memset(text, 'z', 40000);
    aerie_status status = aerie_perplexity(m, text, 40000, 30000, NULL, NULL, &r, err);
    ae_free(text);
    return status;
}

static aerie_status ask_logits(aerie_model *m, aerie_error *err)
{
    char *text = ae_alloc(40001, 1);

    memset(text, 'z', 40000);
    aerie_status status = aerie_logits_to_file(m, text, 40000, "/nowhere/at/all", err);
    ae_free(text);
    return status;
}

static aerie_status ask_imatrix(aerie_model *m, aerie_error *err)
{
    aerie_imatrix_options o = { .n_ctx = 30000 };

    return aerie_imatrix(m, "z", 1, "/nowhere/at/all", &o, NULL, err);
}

static aerie_status ask_reward(aerie_model *m, aerie_error *err)
{
    const aerie_memory_plan p = { .n_ctx = 30000 };

    return score_text(m, &p, err);
}

/* More replies than fit at once: they are scored a few at a time. */
static aerie_status ask_many_rewards(aerie_model *m, aerie_error *err)
{
    enum { N = 20 };
    const char *replies[N];
    char *text = ae_alloc(3001, 1);
    const aerie_score_options o = { .chat_template = "zephyr", .max_length = 600 };

    memset(text, 'z', 3000);
    for (int i = 0; i < N; i++) replies[i] = text;
    aerie_status status = aerie_score_replies(m, "z", replies, N, &o, NULL, NULL, err);
    ae_free(text);
    return status;
}

static int check_said(const char *name, const char *said, const char *wanted)
{
    bool good = said && (*wanted ? strstr(said, wanted) != NULL : !*said);

    if (!good) fprintf(stderr, "%s: %s\n", name, said ? said : "another failure");
    return !good;
}

static int ask_for_more(const void *unused)
{
    aerie_memory_plan plan = { .n_ctx = 500 };
    aerie_memory_plan rewards = { .n_ctx = 600, .use = AERIE_USE_REWARDS };
    aerie_model_options o = { .threads = 2, .plan = &plan };
    aerie_model *m = NULL, *free_one = NULL, *scorer = NULL;
    int failed = 0;
    (void)unused;

    if (aerie_model_open(&m, model_path, &o, NULL)) return 1;
    o.plan = NULL;
    if (aerie_model_open(&free_one, model_path, &o, NULL)) return 1;
    failed += check_said("session", sentence(m, ask_session), "a context of 60000 for 1");
    failed += check_said("session", sentence(m, ask_session), "fits (--ctx ");
    failed += check_said("session unplanned", sentence(free_one, ask_session), "");
    failed += check_said("short session", sentence(m, ask_short_session), "");
    failed += check_said("generate", sentence(m, ask_generate), "a context of 2000 for 100");
    failed += check_said("perplexity", sentence(m, ask_perplexity), "fits (--ctx ");
    failed += check_said("logits", sentence(m, ask_logits), "tokens at once fit; cut the text");
    failed += check_said("importance", sentence(m, ask_imatrix), "a context of 30000");
    o.plan = &rewards;
    if (aerie_model_open(&scorer, reward_path, &o, NULL)) return 1;
    failed += check_said("rewards", sentence(scorer, ask_reward), "fits (--max-length ");
    failed += check_said("many rewards", sentence(scorer, ask_many_rewards), "");
    aerie_model_close(scorer);
    aerie_model_close(free_one);
    aerie_model_close(m);
    return failed;
}

static void more_than_planned_is_refused(void **state)
{
    (void)state;
    if (!SIZES_ARE_OURS) {
        print_message("skipped: sanitizers take addresses by the terabyte\n");
        return;
    }
    assert_int_equal(in_child(ask_for_more, NULL), 0);
}

static int prepare(const void *unused)
{
    aerie_error err = { 0 };
    (void)unused;

    if (!make_model(&err)) return 0;
    fprintf(stderr, "%s\n", err.message);
    return 1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(told_is_what_it_takes),
        cmocka_unit_test(more_than_planned_is_refused),
    };
    int failed = 1;

    folder = scratch_make();
    model_path = ae_path_join(folder, "m.gguf");
    reward_path = ae_path_join(folder, "rm.gguf");
    if (in_child(prepare, NULL) == 0) failed = cmocka_run_group_tests(tests, NULL, NULL);
    ae_free(model_path);
    ae_free(reward_path);
    scratch_remove(folder);
    return failed;
}

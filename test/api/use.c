/* use.c -- a stranger's program: knows the installed headers and library alone. Opens a model,
 * chats, trains ten steps, opens what it trained. usage: use MODEL.gguf WORK_FOLDER */
#include <aerie/eval.h>
#include <aerie/model.h>
#include <aerie/score.h>
#include <aerie/session.h>
#include <aerie/train.h>

#include <stdio.h>
#include <string.h>

static int fail(const aerie_error *err, const char *doing)
{
    fprintf(stderr, "%s: %s\n", doing, err->message);
    return 1;
}

static bool count_text(void *user, const char *text, size_t len)
{
    size_t *n = user;
    *n += len;
    fwrite(text, 1, len, stdout);
    return true;
}

static int chat(const char *path, const char *adapter)
{
    aerie_error err = { 0 };
    aerie_model *model = NULL;
    aerie_session *session = NULL;
    aerie_sampling sampling = aerie_sampling_default();
    aerie_reply_stats stats;
    aerie_session_options with = { .chat_template = "zephyr" };
    aerie_message message = { "user", "Name three animals." };
    aerie_model_options options = { .threads = 2,
                                    .adapters = &adapter,
                                    .n_adapters = adapter != NULL };
    size_t n = 0;
    int failed = 0;
    if (aerie_model_open(&model, path, &options, &err)) return fail(&err, "open");
    if (aerie_session_open(&session, model, &with, &err) ||
        aerie_session_chat(session, &message, 1, &sampling, 24, count_text, &n, &stats, &err))
        failed = fail(&err, "chat");
    printf("\n%lld tokens\n", (long long)stats.reply_tokens);
    if (!failed && stats.prompt_tokens < 3) failed = 1;
    aerie_session_close(session);
    aerie_model_close(model);
    return failed;
}

/* Two replies to each of three prompts; what they share may be computed once or not. */
static int many(const char *path)
{
    enum { PROMPTS = 3, REPLIES = 2, ALL = PROMPTS * REPLIES };
    static const aerie_message messages[PROMPTS][2] = {
        { { "system", "Answer in one word." }, { "user", "Name an animal." } },
        { { "system", "Answer in one word." }, { "user", "Name a colour." } },
        { { "system", "Answer in one word." }, { "user", "Name an animal." } },
    };
    aerie_error err = { 0 };
    aerie_model *model = NULL;
    aerie_prompt prompts[PROMPTS];
    aerie_reply *shared = NULL, *apart = NULL;
    aerie_generate_options options = { .n_replies = REPLIES,
                                       .max_tokens = 12,
                                       .parallel = 4,
                                       .chat_template = "zephyr",
                                       .sampling = aerie_sampling_default() };
    int failed = 0;
    for (int i = 0; i < PROMPTS; i++) prompts[i] = (aerie_prompt){ messages[i], 2 };
    if (aerie_model_open(&model, path, NULL, &err)) return fail(&err, "open");
    failed = aerie_generate(model, prompts, PROMPTS, &options, &shared, &err) != AERIE_OK;
    options.prefix_tokens = -1;
    options.speculate = AERIE_SPECULATE_OFF;
    failed = failed || aerie_generate(model, prompts, PROMPTS, &options, &apart, &err);
    if (failed) fail(&err, "generate");
    for (int i = 0; i < ALL && !failed; i++)
        failed = shared[i].n_tokens < 1 || strcmp(shared[i].text, apart[i].text) != 0;
    aerie_replies_free(shared, ALL);
    aerie_replies_free(apart, ALL);
    aerie_model_close(model);
    return failed;
}

typedef struct {
    double last[512];
    int n;
} logprobs;

static bool keep_logprob(void *user, int32_t id, double logprob)
{
    logprobs *all = user;
    (void)id;
    if (all->n < 512) all->last[all->n++] = logprob;
    return true;
}

/* A reply's log-probability is that of its tokens behind the prompt; its end is one token more. */
static int likelihood(const char *path)
{
    static const char text[] = "A cow lives on a farm. It eats grass.";
    const aerie_message said = { "user", "A cow lives" };
    aerie_error err = { 0 };
    aerie_model *model = NULL;
    aerie_perplexity_result unwanted;
    aerie_reply_likelihood open = { 0 }, ended = { 0 };
    logprobs all = { 0 };
    double sum = 0;
    if (aerie_model_open(&model, path, NULL, &err)) return fail(&err, "open");
    aerie_status status =
        aerie_perplexity(model, text, strlen(text), 0, keep_logprob, &all, &unwanted, &err);
    if (!status)
        status = aerie_reply_logprob(model, &said, 1, text + strlen(said.content), false,
                                     "{{ messages[0]['content'] }}", &open, &err);
    if (!status)
        status = aerie_reply_logprob(model, &said, 1, text + strlen(said.content), true,
                                     "{{ messages[0]['content'] }}", &ended, &err);
    aerie_model_close(model);
    if (status) return fail(&err, "likelihood");
    for (int64_t i = all.n - open.n_tokens; i >= 0 && i < all.n; i++) sum += all.last[i];
    return open.n_tokens < 3 || sum - open.logprob > 1e-9 || open.logprob - sum > 1e-9 ||
           ended.n_tokens != open.n_tokens + 1 || ended.logprob >= open.logprob;
}

/* A model without a head that scores says so. */
static int score(const char *path)
{
    static const char *const replies[] = { "Paris.", "I don't know." };
    aerie_error err = { 0 };
    aerie_model *model = NULL;
    if (aerie_model_open(&model, path, NULL, &err)) return fail(&err, "open");
    aerie_status status =
        aerie_score_replies(model, "Which city?", replies, 2, NULL, NULL, NULL, &err);
    aerie_model_close(model);
    return status != AERIE_BAD_ARGUMENT || !strstr(err.message, "no head that scores");
}

static int count_steps(void *user, const aerie_train_progress *p)
{
    int *steps = user;
    if (p->phase == AERIE_TRAIN_STEP) ++*steps;
    return 0;
}

static int write_data(const char *path)
{
    FILE *f = fopen(path, "w");
    if (!f) return 1;
    for (int i = 0; i < 40; i++)
        fprintf(f,
                "{\"messages\":[{\"role\":\"user\",\"content\":\"Say %d.\"},"
                "{\"role\":\"assistant\",\"content\":\"Here is %d.\"}]}\n",
                i, i);
    return fclose(f);
}

static int train(const char *model, const char *folder, char *adapter, size_t size)
{
    aerie_error err = { 0 };
    aerie_train_summary summary = { 0 };
    char model_key[600], data_key[600], data_path[512], output_key[600];
    int steps = 0;
    snprintf(adapter, size, "%s/adapter.gguf", folder);
    snprintf(data_path, sizeof data_path, "%s/data.jsonl", folder);
    snprintf(model_key, sizeof model_key, "model=%s", model);
    snprintf(data_key, sizeof data_key, "data=%s", data_path);
    snprintf(output_key, sizeof output_key, "output=%s", adapter);
    if (write_data(data_path)) return 1;
    const char *settings[] = { "method=sft",        model_key,         data_key,
                               output_key,          "template=zephyr", "lora.r=4",
                               "lora.alpha=8",      "max_steps=10",    "batch_size=4",
                               "learning_rate=1e-3" };
    aerie_train_options options = { .settings = settings,
                                    .n_settings = sizeof settings / sizeof *settings,
                                    .threads = 2,
                                    .progress = count_steps,
                                    .user = &steps };
    if (aerie_train(NULL, &options, &summary, &err)) return fail(&err, "train");
    printf("%d steps, loss %.3f -> %.3f\n", steps, summary.first_loss, summary.last_loss);
    return steps == 10 && summary.last_loss < summary.first_loss ? 0 : 1;
}

int main(int argc, char **argv)
{
    char adapter[512];
    aerie_error err = { 0 };
    aerie_model *none = NULL;
    if (argc != 3) return 2;
    if (chat(argv[1], NULL) || train(argv[1], argv[2], adapter, sizeof adapter) ||
        chat(argv[1], adapter) || many(argv[1]) || score(argv[1]) || likelihood(argv[1]))
        return 1;
    /* A failure is a value with a sentence, and leaves nothing behind. */
    if (aerie_model_open(&none, "/nowhere/at/all.gguf", NULL, &err) == AERIE_OK || none ||
        !strstr(err.message, "all.gguf"))
        return 1;
    puts("the installed library works");
    return 0;
}

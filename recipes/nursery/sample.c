/* sample.c -- several replies to every prompt, through the library's packed batch, and how much
 * more likely they are than under the model that was started from. */
#include "nursery.h"

#include <aerie/session.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    json_t *lines;           /* the prompts' records */
    aerie_prompt *prompts;   /* [n] */
    aerie_message *messages; /* of all prompts, one after the other */
    size_t n, n_messages;
} prompt_set;

static void take_line(json_t *line, void *user)
{
    json_array_append(user, line);
}

static void fill_messages(prompt_set *set)
{
    size_t at = 0;

    for (size_t i = 0; i < set->n; i++) {
        json_t *list = json_object_get(json_array_get(set->lines, i), "messages"), *message;
        size_t j;
        set->prompts[i] = (aerie_prompt){ set->messages + at, json_array_size(list) };
        json_array_foreach(list, j, message)
        {
            set->messages[at].role = nu_task_string(message, "role");
            set->messages[at++].content = nu_task_string(message, "content");
        }
    }
}

static void read_prompts(prompt_set *set, const char *path, size_t limit)
{
    *set = (prompt_set){ .lines = json_array() };
    nu_each_line(path, take_line, set->lines);
    set->n = json_array_size(set->lines);
    if (limit && limit < set->n) set->n = limit;
    if (!set->n) nu_die("%s: no prompts in it", path);
    for (size_t i = 0; i < set->n; i++)
        set->n_messages +=
            json_array_size(json_object_get(json_array_get(set->lines, i), "messages"));
    set->prompts = calloc(set->n, sizeof *set->prompts);
    set->messages = calloc(set->n_messages + 1, sizeof *set->messages);
    if (!set->prompts || !set->messages) nu_die("out of memory");
    fill_messages(set);
}

static void free_prompts(prompt_set *set)
{
    json_decref(set->lines);
    free(set->prompts);
    free(set->messages);
}

static bool show_progress(void *user, int64_t done, int64_t total)
{
    (void)user;
    if (isatty(2)) nu_progress("replies", (size_t)done, (size_t)total);
    return true;
}

/* By how much more likely one model finds a reply than another. */
static double log_ratio(aerie_model *model, aerie_model *start, const aerie_prompt *prompt,
                        const aerie_reply *reply)
{
    aerie_reply_likelihood now, then;
    aerie_error err = { 0 };
    bool ended = reply->finish == AERIE_FINISH_STOP;

    if (aerie_reply_logprob(model, prompt->messages, prompt->n_messages, reply->text, ended, NULL,
                            &now, &err) ||
        aerie_reply_logprob(start, prompt->messages, prompt->n_messages, reply->text, ended, NULL,
                            &then, &err))
        nu_die("%s", err.message);
    return now.logprob - then.logprob;
}

static void add_log_ratios(json_t *line, const aerie_prompt *prompt, const aerie_reply *replies,
                           size_t n, aerie_model *model, aerie_model *start)
{
    json_t *list = json_array();

    for (size_t j = 0; j < n; j++)
        json_array_append_new(list, json_real(log_ratio(model, start, prompt, &replies[j])));
    json_object_set_new(line, "log_ratios", list);
}

/* The record of a prompt again, with "replies" and the "tokens" of each. */
static void print_replies(json_t *line, const aerie_reply *replies, size_t n)
{
    json_t *texts = json_array(), *tokens = json_array();

    for (size_t j = 0; j < n; j++) {
        json_array_append_new(texts, json_string(replies[j].text));
        json_array_append_new(tokens, json_integer(replies[j].n_tokens));
    }
    json_object_set_new(line, "replies", texts);
    json_object_set_new(line, "tokens", tokens);
    nu_print_line(json_incref(line));
}

int nu_cmd_sample(const nu_options *o)
{
    aerie_error err = { 0 };
    aerie_model *model = NULL, *start = NULL;
    aerie_reply *replies = NULL;
    prompt_set set;
    aerie_model_options opening = { .threads = o->threads };
    aerie_generate_options options = { .n_replies = (int64_t)o->replies,
                                       .max_tokens = 64,
                                       .context = 512,
                                       .parallel = 64,
                                       .progress = show_progress };

    if (!o->model || !o->n_files) nu_die("sample wants MODEL --file PROMPTS.jsonl");
    options.sampling = aerie_sampling_default();
    options.sampling.temperature = (float)o->temperature;
    options.sampling.top_k = 0;
    options.sampling.top_p = 0;
    options.sampling.seed = o->seed;
    read_prompts(&set, o->files[0], o->n);
    if (aerie_model_open(&model, o->model, &opening, &err) ||
        (o->start && aerie_model_open(&start, o->start, &opening, &err)) ||
        aerie_generate(model, set.prompts, set.n, &options, &replies, &err))
        nu_die("%s", err.message);
    for (size_t i = 0; i < set.n; i++) {
        json_t *line = json_array_get(set.lines, i);
        const aerie_reply *of = replies + i * o->replies;
        if (start) add_log_ratios(line, &set.prompts[i], of, o->replies, model, start);
        print_replies(line, of, o->replies);
    }
    aerie_replies_free(replies, set.n * o->replies);
    aerie_model_close(start);
    aerie_model_close(model);
    free_prompts(&set);
    return 0;
}

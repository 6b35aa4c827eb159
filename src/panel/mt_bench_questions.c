/* mt_bench_questions.c -- the benchmark's files: questions, reference answers, the judge's prompts.
 */
#include "panel/mt_bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static aerie_status no_memory(aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY, "no memory for MT-Bench's questions");
}

static aerie_status take_question(void *user, const json_t *row, aerie_error *err)
{
    ae_mt_bench_questions *q = user;
    const json_t *id = json_object_get(row, "question_id"), *turns = json_object_get(row, "turns");
    const char *category = json_string_value(json_object_get(row, "category"));

    if (!json_is_integer(id) || !category || json_array_size(turns) < 1)
        return aerie_fail(err, AERIE_BAD_FILE,
                          "a question needs 'question_id', 'category' and 'turns'");
    if (q->n == q->cap) {
        size_t cap = q->cap ? 2 * q->cap : 128;
        ae_mt_bench_question *grown = ae_realloc(q->items, q->cap, cap, sizeof *grown);
        if (!grown) return no_memory(err);
        q->items = grown;
        q->cap = cap;
    }
    ae_mt_bench_question *one = &q->items[q->n];
    *one = (ae_mt_bench_question){ .id = json_integer_value(id) };
    snprintf(one->category, sizeof one->category, "%s", category);
    q->n++;
    for (size_t i = 0; i < AE_MT_BENCH_TURNS && i < json_array_size(turns); i++) {
        const char *text = json_string_value(json_array_get(turns, i));
        if (!text) return aerie_fail(err, AERIE_BAD_FILE, "'turns' is a list of texts");
        if (!(one->turns[i] = ae_strdup(text))) return no_memory(err);
    }
    return AERIE_OK;
}

static aerie_status take_reference(void *user, const json_t *row, aerie_error *err)
{
    ae_mt_bench_questions *q = user;
    size_t at = ae_mt_bench_question_at(q, json_integer_value(json_object_get(row, "question_id")));
    const json_t *turns =
        json_object_get(json_array_get(json_object_get(row, "choices"), 0), "turns");

    if (!json_is_array(turns))
        return aerie_fail(err, AERIE_BAD_FILE,
                          "a reference needs 'question_id' and 'choices' with 'turns'");
    for (size_t i = 0; at < q->n && i < AE_MT_BENCH_TURNS; i++) {
        const char *text = json_string_value(json_array_get(turns, i));
        ae_free(q->items[at].references[i]);
        q->items[at].references[i] = NULL;
        if (text && !(q->items[at].references[i] = ae_strdup(text))) return no_memory(err);
    }
    return AERIE_OK;
}

static aerie_status take_prompt(void *user, const json_t *row, aerie_error *err)
{
    ae_mt_bench_questions *q = user;
    const char *name = json_string_value(json_object_get(row, "name"));

    if (!name || !json_is_string(json_object_get(row, "prompt_template")) ||
        !json_is_string(json_object_get(row, "system_prompt")))
        return aerie_fail(err, AERIE_BAD_FILE,
                          "a judge's prompt needs 'name', 'system_prompt' and 'prompt_template'");
    return json_object_set(q->prompts, name, (json_t *)(uintptr_t)row) ? no_memory(err) : AERIE_OK;
}

static aerie_status check(const ae_mt_bench_questions *q, const aerie_mt_bench_options *with,
                          aerie_error *err)
{
    if (!q->n) return aerie_fail(err, AERIE_BAD_FILE, "%s: there is no question", with->questions);
    for (size_t i = 0; with->by.judge && i < q->n; i++)
        if (ae_mt_bench_needs_reference(&q->items[i]) && !q->items[i].references[0])
            return aerie_fail(err, AERIE_BAD_ARGUMENT,
                              "question %lld (%s) is judged beside a reference answer, and there "
                              "is none; give the file of references",
                              (long long)q->items[i].id, q->items[i].category);
    return AERIE_OK;
}

aerie_status ae_mt_bench_questions_read(ae_mt_bench_questions *q,
                                        const aerie_mt_bench_options *with, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    *q = (ae_mt_bench_questions){ .prompts = json_object() };
    if (!q->prompts) return no_memory(err);
    status = ae_panel_read(with->questions, with->by.limit, take_question, q, err);
    if (!status && with->references)
        status = ae_panel_read(with->references, 0, take_reference, q, err);
    if (!status && with->by.judge) status = ae_panel_read(with->prompts, 0, take_prompt, q, err);
    return status ? status : check(q, with, err);
}

void ae_mt_bench_questions_free(ae_mt_bench_questions *q)
{
    for (size_t i = 0; i < q->n; i++)
        for (int t = 0; t < AE_MT_BENCH_TURNS; t++) {
            ae_free(q->items[i].turns[t]);
            ae_free(q->items[i].references[t]);
        }
    ae_free(q->items);
    json_decref(q->prompts);
    *q = (ae_mt_bench_questions){ 0 };
}

size_t ae_mt_bench_question_at(const ae_mt_bench_questions *q, int64_t id)
{
    size_t at = 0;

    while (at < q->n && q->items[at].id != id) at++;
    return at;
}

bool ae_mt_bench_needs_reference(const ae_mt_bench_question *q)
{
    static const char *const kinds[] = { "math", "reasoning", "coding", "arena-hard-200" };

    for (size_t i = 0; i < AE_COUNT(kinds); i++)
        if (!strcmp(q->category, kinds[i])) return true;
    return false;
}

float ae_mt_bench_temperature(const ae_mt_bench_question *q)
{
    static const struct {
        const char *category;
        float temperature;
    } kinds[] = { { "writing", 0.7F }, { "roleplay", 0.7F },   { "extraction", 0 },
                  { "math", 0 },       { "coding", 0 },        { "reasoning", 0 },
                  { "stem", 0.1F },    { "humanities", 0.1F }, { "arena-hard-200", 0 } };

    for (size_t i = 0; i < AE_COUNT(kinds); i++)
        if (!strcmp(q->category, kinds[i].category)) return kinds[i].temperature;
    return 0.7F;
}

/* ---- the judge's prompts ---- */

aerie_status ae_mt_bench_prompt(char **messages, char **user_prompt, const ae_mt_bench_questions *q,
                                const char *name, const char *const *places, aerie_error *err)
{
    const json_t *prompt = json_object_get(q->prompts, name);
    ae_bytes user = { 0 };
    json_t *list;

    *messages = *user_prompt = NULL;
    if (!prompt) return aerie_fail(err, AERIE_NOT_FOUND, "the judge's prompts have no '%s'", name);
    ae_panel_fill(&user, json_string_value(json_object_get(prompt, "prompt_template")), places);
    list = user.failed ? NULL
                       : json_pack("[{s:s, s:O}, {s:s, s:s}]", "role", "system", "content",
                                   json_object_get(prompt, "system_prompt"), "role", "user",
                                   "content", user.data ? user.data : "");
    *messages = list ? json_dumps(list, JSON_COMPACT) : NULL;
    *user_prompt = list ? ae_strdup(user.data ? user.data : "") : NULL;
    json_decref(list);
    ae_bytes_free(&user);
    if (*messages && *user_prompt) return AERIE_OK;
    free(*messages);
    ae_free(*user_prompt);
    *messages = *user_prompt = NULL;
    return no_memory(err);
}

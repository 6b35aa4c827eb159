/* benchmark_samples.c -- an item as lm-evaluation-harness's --log_samples writes it, with the
 * counts of tokens beside. */
#include "eval/benchmark_private.h"

#include <stdio.h>
#include <string.h>

static json_t *text_json(ae_span text)
{
    json_t *value = json_stringn(text.data ? text.data : "", text.len);

    /* A reply may break off in the middle of a character. */
    return value ? value : json_string("");
}

/* ["-12.5", "False"]: all of the harness' answers are texts there. Of a whole text "-12.5". */
static json_t *answer_json(ae_request_kind kind, const ae_response *a)
{
    char number[40];

    snprintf(number, sizeof number, "%.17g", a->ll);
    if (kind == AE_REQUEST_ROLLING) return json_string(number);
    return json_pack("[s, s]", number, a->is_greedy ? "True" : "False");
}

static json_t *arguments_json(const ae_item *it)
{
    json_t *all = json_object();

    for (size_t i = 0; i < it->n_requests; i++) {
        char name[32];
        json_t *one = json_object();
        snprintf(name, sizeof name, "gen_args_%zu", i);
        json_object_set_new(one, "arg_0", text_json(it->requests[i].context));
        if (it->requests[i].kind != AE_REQUEST_GENERATE)
            json_object_set_new(one, "arg_1", text_json(it->requests[i].continuation));
        json_object_set_new(all, name, one);
    }
    return all;
}

static json_t *target_json(const ae_item *it)
{
    if (it->n_choices > 0 && it->gold >= 0) {
        char number[16];
        snprintf(number, sizeof number, "%d", (int)it->gold);
        return json_string(number);
    }
    return text_json(it->target);
}

static void put_answers(json_t *line, const ae_bench *b, int64_t item, ae_span filtered)
{
    const ae_item *it = ae_task_set_at(b->set, (size_t)item);
    json_t *resps = json_array(), *kept = json_array(), *tokens = json_array(),
           *merged = json_array();

    for (size_t i = 0; i < it->n_requests; i++) {
        const ae_bench_answer *a = &b->answers[b->first[item] + (int64_t)i];
        ae_request_kind kind = it->requests[i].kind;
        bool is_text = kind == AE_REQUEST_GENERATE || kind == AE_REQUEST_DIVERGENCE;
        json_t *resp = is_text ? text_json(a->reply) : answer_json(kind, &a->answer);
        json_array_append_new(kept, kind == AE_REQUEST_GENERATE ? text_json(filtered)
                                                                : json_incref(resp));
        json_array_append_new(resps, json_pack("[o]", resp));
        json_array_append_new(tokens, json_integer(a->answer.n_tokens));
        json_array_append_new(merged, json_boolean(a->merged));
    }
    json_object_set_new(line, "resps", resps);
    json_object_set_new(line, "filtered_resps", kept);
    if (ae_task_form(b->task) == AE_FORM_ROLLING)
        json_object_set_new(line, "squares", json_real(b->answers[b->first[item]].answer.squares));
    if (ae_task_form(b->task) != AE_FORM_GENERATE) {
        json_object_set_new(line, "n_tokens", tokens);
        json_object_set_new(line, "merged", merged);
    } else {
        json_decref(tokens);
        json_decref(merged);
    }
}

aerie_status ae_bench_sample(json_t **out, const ae_bench *b, int64_t item, const char *filter,
                             ae_span filtered, const json_t *metrics, aerie_error *err)
{
    const ae_item *it = ae_task_set_at(b->set, (size_t)item);
    char doc_hash[65], target_hash[65];
    json_t *line = json_object(), *names = json_array(), *given = (json_t *)(uintptr_t)metrics;
    aerie_status status = ae_item_doc_sha256(it, doc_hash, err);

    *out = line;
    if (status) {
        json_decref(names);
        return status;
    }
    ae_item_target_sha256(it, target_hash);
    json_object_set_new(line, "task", json_string(ae_task_name(b->task)));
    json_object_set_new(line, "doc_id", json_integer((json_int_t)it->doc_id));
    json_object_set(line, "doc", it->doc);
    json_object_set_new(line, "target", target_json(it));
    json_object_set_new(line, "arguments", arguments_json(it));
    put_answers(line, b, item, filtered);
    json_object_set_new(line, "filter", json_string(filter));
    for (void *at = json_object_iter(given); at; at = json_object_iter_next(given, at)) {
        json_array_append_new(names, json_string(json_object_iter_key(at)));
        json_object_set(line, json_object_iter_key(at), json_object_iter_value(at));
    }
    json_object_set_new(line, "metrics", names);
    json_object_set_new(line, "doc_hash", json_string(doc_hash));
    json_object_set_new(line, "prompt_hash", json_string(it->prompt_sha256));
    json_object_set_new(line, "target_hash", json_string(target_hash));
    return line ? AERIE_OK : aerie_fail(err, AERIE_NO_MEMORY, "no memory for a sample");
}

/* lint_record.c -- what can be wrong with one record. */
#include "train/lint.h"

#include "train/reward_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *role_of(json_t *message)
{
    const char *role = json_string_value(json_object_get(message, "role"));

    return role ? role : "";
}

int ae_lint_by_hash(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

uint64_t ae_lint_prompt(const ae_example *e)
{
    uint64_t hash = ae_hash64(e->text.data, e->text.len, 0);
    json_t *message;
    size_t i;

    json_array_foreach(e->messages, i, message)
    {
        json_t *content = json_object_get(message, "content");
        if (e->kind == AE_EXAMPLE_CHAT && strcmp(role_of(message), "assistant") == 0) break;
        hash = ae_hash64(json_string_value(content), json_string_length(content), hash);
    }
    return hash;
}

/* ---- its texts ---- */

static bool is_blank(json_t *content)
{
    const char *text = json_string_value(content);

    return text && text[strspn(text, " \t\r\n")] == '\0';
}

/* A reply without a word that calls no tool. */
static bool is_empty(json_t *reply)
{
    json_t *last = json_array_get(reply, json_array_size(reply) - 1);

    return json_array_size(reply) > 0 && is_blank(json_object_get(last, "content")) &&
           !json_object_get(last, "tool_calls");
}

static bool has_empty(const ae_example *e)
{
    json_t *message, *reply;
    size_t i;

    json_array_foreach(e->replies, i, reply) if (is_empty(reply)) return true;
    if (e->kind == AE_EXAMPLE_CHAT)
        json_array_foreach(e->messages, i,
                           message) if (strcmp(role_of(message), "assistant") == 0 &&
                                        is_blank(json_object_get(message, "content")) &&
                                        !json_object_get(message, "tool_calls")) return true;
    return is_empty(e->chosen) || is_empty(e->rejected);
}

static bool has_twins(const ae_example *e)
{
    for (size_t i = 0; i < json_array_size(e->replies); i++)
        for (size_t k = 0; k < i; k++)
            if (json_equal(json_array_get(e->replies, i), json_array_get(e->replies, k)))
                return true;
    return e->chosen && e->rejected && json_equal(e->chosen, e->rejected);
}

static bool has_ties(const ae_example *e)
{
    for (size_t i = 0; i < json_array_size(e->ranks); i++)
        for (size_t k = 0; k < i; k++)
            if (json_number_value(json_array_get(e->ranks, i)) ==
                json_number_value(json_array_get(e->ranks, k)))
                return true;
    return e->rejected && e->gap == 0;
}

/* A prompt that asks nothing. */
static bool asks_nothing(const ae_example *e)
{
    json_t *last = json_array_get(e->messages, json_array_size(e->messages) - 1);

    return e->kind == AE_EXAMPLE_PROMPT && is_blank(json_object_get(last, "content"));
}

static void look_at_texts(ae_lint_seen *out, const ae_example *e)
{
    out->found[AE_LINT_EMPTY] = has_empty(e);
    out->found[AE_LINT_EMPTY_PROMPT] = asks_nothing(e);
    out->found[AE_LINT_IDENTICAL] = has_twins(e);
    out->found[AE_LINT_TIED] = has_ties(e);
    out->found[AE_LINT_REVERSED] = e->rejected && e->gap < 0;
}

/* ---- its tokens ---- */

static bool has_double_bos(const ae_sample *s, int32_t bos)
{
    for (int32_t i = 1; bos >= 0 && i < s->n; i++)
        if (s->ids[i] == bos && s->ids[i - 1] == bos) return true;
    return false;
}

static bool learns_end(const ae_sample *s, const ae_tokenizer *t)
{
    for (int32_t i = 1; i < s->n; i++)
        if (s->weight[i] != 0 && ae_tokenizer_is_eog(t, s->ids[i])) return true;
    return false;
}

/* Tokens before the first that is learned. */
static int32_t prompt_tokens(const ae_sample *s)
{
    int32_t n = 0;

    if (s->kind != AE_EXAMPLE_CHAT) return s->n_prompt;
    while (n < s->n && s->weight[n] == 0) n++;
    return n == s->n ? 0 : n;
}

/* A prompt to which replies are sampled: there must be room for one, and what it is compared with.
 */
static void look_at_prompt(ae_lint_seen *out, const ae_lint_run *l, const ae_sample *whole)
{
    const ae_sample *s = &out->sample;
    int64_t context = ae_model_config(l->model)->max_position;
    int64_t most = l->recipe->online.max_new_tokens;

    if (s->dropped) {
        out->found[AE_LINT_PROMPT_LEFT_OUT] = whole->n > 0;
        return;
    }
    out->found[AE_LINT_LONG_PROMPT] = context > 0 && s->n + most > context;
    out->found[AE_LINT_NO_ANSWER] = ae_reward_source_check(l->recipe, s->row, NULL) != AERIE_OK;
}

static void look_at_replies(ae_lint_seen *out, const ae_lint_run *l, const ae_sample *whole)
{
    int32_t most = l->encoder->encode.max_length;

    if (out->sample.dropped && !whole->dropped)
        out->found[AE_LINT_EMPTIED] = true;
    else
        out->found[AE_LINT_LONG_PROMPT] = most > 0 && prompt_tokens(whole) >= most;
    if (whole->kind == AE_EXAMPLE_RANKED || whole->dropped) return;
    out->ended = learns_end(whole, l->encoder->encode.tokenizer);
    out->unended = out->found[AE_LINT_SOME_EOS] = !out->ended;
}

/* whole: as if there were no bounds. */
static void look_at_tokens(ae_lint_seen *out, const ae_lint_run *l, const ae_sample *whole)
{
    int32_t bos = ae_tokenizer_vocab(l->encoder->encode.tokenizer)->bos;

    out->found[AE_LINT_DOUBLE_BOS] = has_double_bos(whole, bos);
    if (whole->kind == AE_EXAMPLE_PROMPT)
        look_at_prompt(out, l, whole);
    else
        look_at_replies(out, l, whole);
}

/* ---- its rendering ---- */

static aerie_status render(ae_bytes *out, const ae_lint_run *l, const ae_template *t,
                           json_t *messages, const ae_example *e)
{
    const ae_tokenizer *tokenizer = l->encoder->encode.tokenizer;
    const ae_vocab *v = ae_tokenizer_vocab(tokenizer);
    ae_span bos = v->bos >= 0 ? ae_tokenizer_piece(tokenizer, v->bos) : (ae_span){ "", 0 };
    ae_span eos = v->eos >= 0 ? ae_tokenizer_piece(tokenizer, v->eos) : (ae_span){ "", 0 };
    char bos_text[64], eos_text[64];
    ae_template_input in = {
        .messages = messages,
        .tools = e->tools,
        .bos_token = bos_text,
        .eos_token = eos_text,
        .add_generation_prompt = e->kind == AE_EXAMPLE_PROMPT,
    };

    snprintf(bos_text, sizeof bos_text, "%.*s", (int)bos.len, bos.data);
    snprintf(eos_text, sizeof eos_text, "%.*s", (int)eos.len, eos.data);
    return ae_template_render(t, &in, out, NULL);
}

/* Whether the model's own template writes the conversation otherwise. BOS is left out of it: it is
 * there once in either case. */
static bool drifts(const ae_lint_run *l, const ae_example *e)
{
    ae_bytes a = { 0 }, b = { 0 };
    json_t *all = json_copy(e->messages);
    bool differs = false;

    if (all && e->chosen) json_array_extend(all, e->chosen);
    if (all && render(&a, l, l->encoder->chat_template, all, e) == AERIE_OK)
        differs = render(&b, l, l->own, all, e) != AERIE_OK ||
                  !ae_span_equal(ae_span_of(&a), ae_span_of(&b));
    json_decref(all);
    ae_bytes_free(&a);
    ae_bytes_free(&b);
    return differs;
}

bool ae_lint_compares(const ae_lint_run *l, const ae_example *e)
{
    return l->own && l->encoder->chat_template && e->messages;
}

/* Without bounds. What nothing was cut off is that already. */
static aerie_status encode_whole(ae_sample *whole, ae_lint_seen *out, const ae_lint_run *l,
                                 const ae_example *e)
{
    ae_encode_options options = l->encoder->encode;

    *whole = out->sample;
    if (!whole->truncated && !whole->dropped) return AERIE_OK;
    options.max_length = options.max_prompt_length = options.max_reply_length = 0;
    return ae_encode(whole, e, &options, &out->arena, &out->problem);
}

void ae_lint_look(ae_lint_seen *out, const ae_lint_run *l, const ae_example *e, bool compare)
{
    uint64_t prompt = ae_lint_prompt(e);
    ae_arena arena = out->arena;
    ae_sample whole;

    ae_arena_reset_all(&arena);
    *out = (ae_lint_seen){ .arena = arena };
    look_at_texts(out, e);
    out->found[AE_LINT_DRIFT] = compare && drifts(l, e);
    out->found[AE_LINT_IN_BOTH] =
        l->n_prompts && bsearch(&prompt, l->prompts, l->n_prompts, sizeof prompt, ae_lint_by_hash);
    if (ae_encode(&out->sample, e, &l->encoder->encode, &out->arena, &out->problem)) return;
    if (encode_whole(&whole, out, l, e)) return;
    look_at_tokens(out, l, &whole);
}

/* alpaca_eval.c -- AlpacaEval 2, carried out: models answer its instructions, and a judge of one
 * token says how probable it is that the answer is better than the baseline's. */
#include "aerie/alpaca_eval.h"

#include "aerie/scoreboard.h"
#include "board/board.h"
#include "panel/single.h"
#include "panel/templates.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_TOKENS = 2048, JUDGE_TOKENS = 1, TOP = 5, TOP_HERE = 20 };

/* The judge's prompt: [{"role", "content"}] with places. */
typedef struct {
    json_t *messages;
    const aerie_alpaca_eval_options *with;
    ae_single *s;
} alpaca_eval;

static const char *text_of(const json_t *row, const char *key)
{
    return json_string_value(json_object_get(row, key));
}

/* ---- the judge's prompt ---- */

static aerie_status add_message(json_t *list, const char *role, size_t role_len, ae_span content,
                                aerie_error *err)
{
    static const char space[] = " \t\r\n";

    while (content.len && strchr(space, *content.data)) content.data++, content.len--;
    while (content.len && strchr(space, content.data[content.len - 1])) content.len--;
    json_t *message =
        json_pack("{s:s%, s:s%}", "role", role, role_len, "content", content.data, content.len);
    if (!message)
        return aerie_fail(err, AERIE_BAD_TEXT, "the judge's prompt is not UTF-8, or too long");
    json_array_append_new(list, message);
    return AERIE_OK;
}

/* <|im_start|>ROLE\nTEXT<|im_end|>, as often as it comes; without any all of it is the user's. */
static aerie_status parse_template(json_t **out, const char *text, aerie_error *err)
{
    static const char begin[] = "<|im_start|>", end[] = "<|im_end|>";
    const char *at = strstr(text, begin);
    aerie_status status = AERIE_OK;

    *out = json_array();
    if (!*out) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the judge's prompt");
    if (!at) return add_message(*out, "user", 4, ae_span_text(text), err);
    while (at && !status) {
        const char *role = at + sizeof begin - 1, *line = strchr(role, '\n');
        const char *close = line ? strstr(line, end) : NULL;
        if (!close)
            return aerie_fail(err, AERIE_BAD_TEXT,
                              "in the judge's prompt a %s has no line of its role, or no %s", begin,
                              end);
        status = add_message(*out, role, (size_t)(line - role),
                             (ae_span){ line, (size_t)(close - line) }, err);
        at = strstr(close, begin);
    }
    return status;
}

static aerie_status judge(const ae_single *s, size_t item, size_t game, ae_question *out,
                          aerie_error *err)
{
    const alpaca_eval *own = s->own;
    const ae_single_item *x = &s->items[item];
    json_t *list = json_array(), *message;
    ae_bytes text = { 0 };
    bool turned = false;
    size_t i;
    aerie_status status = ae_board_alpaca_switch(&turned, x->prompt, err);
    const char *places[] = { "instruction", x->prompt,        "output_1", x->baseline,
                             "output_2",    s->answers[item], NULL };

    (void)game;
    if (turned) {
        places[3] = s->answers[item];
        places[5] = x->baseline;
    }
    json_array_foreach(own->messages, i, message)
    {
        ae_bytes_clear(&text);
        ae_panel_fill(&text, text_of(message, "content"), places);
        json_array_append_new(list,
                              json_pack("{s:O, s:s%}", "role", json_object_get(message, "role"),
                                        "content", text.data ? text.data : "", text.len));
    }
    if (!status) status = ae_bytes_status(&text, err);
    ae_bytes_free(&text);
    if (status) {
        json_decref(list);
        return status;
    }
    /* Upstream's temperature is 1, which the probabilities do not feel. One that is held to a
     * grammar draws the likelier letter, for when neither is among those that are told. */
    out->sampling.temperature = s->by->judge->url ? 1 : 0;
    out->sampling.top_p = 1;
    out->sampling.top_k = 0;
    out->top_logprobs = s->by->judge->url ? TOP : TOP_HERE;
    return ae_single_messages(&out->messages, list, err);
}

/* ---- verdicts ---- */

/* By the probabilities of m and M; of a server that tells none, by the letter itself. NaN: none. */
static double preference_of(const ae_panel_reply *reply)
{
    double p = reply->top_logprobs ? ae_board_alpaca_preference(reply->top_logprobs) : NAN;
    const char *at = reply->text + strspn(reply->text, " \t\r\n");

    if (!isnan(p) || reply->failed) return p;
    if ((*at != 'm' && *at != 'M') || at[1 + strspn(at + 1, " \t\r\n")]) return NAN;
    return *at == 'm' ? 1 : 2;
}

static json_t *raw_of(const ae_panel_reply *reply)
{
    json_t *top = json_array(), *one;
    size_t i;

    json_array_foreach(reply->top_logprobs, i, one)
        json_array_append_new(top, json_pack("{s:O, s:O}", "token", json_array_get(one, 0),
                                             "logprob", json_array_get(one, 1)));
    if (!reply->top_logprobs) {
        json_decref(top);
        return json_pack("{s:s}", "text", reply->text);
    }
    return json_pack("{s:s, s:{s:[{s:o}]}}", "text", reply->text, "logprobs", "content",
                     "top_logprobs", top);
}

static json_t *annotation(const ae_single *s, size_t item, double preference, json_t *raw)
{
    const ae_single_item *x = &s->items[item];
    const char *dataset = text_of(x->row, "dataset");

    return json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o}", "index",
                     (json_int_t)item, "instruction", x->key, "output_1", x->baseline,
                     "generator_1", s->baseline, "dataset", dataset ? dataset : "", "output_2",
                     s->answers[item], "generator_2", s->label, "annotator", s->judge, "preference",
                     isnan(preference) ? json_null() : json_real(preference), "raw_completion",
                     raw);
}

static aerie_status judgment_row(const ae_single *s, size_t item, const ae_panel_reply *replies,
                                 json_t **row, aerie_error *err)
{
    double preference = preference_of(replies);
    bool turned = false;
    aerie_status status = ae_board_alpaca_switch(&turned, s->items[item].prompt, err);

    if (!status) *row = annotation(s, item, turned ? 3 - preference : preference, raw_of(replies));
    return status;
}

/* The same answer is a draw, and nobody is asked. */
static json_t *settled(const ae_single *s, size_t item)
{
    bool same = !strcmp(s->items[item].baseline, s->answers[item]);

    return same ? annotation(s, item, 1.5, json_null()) : NULL;
}

static bool is_current(const ae_single *s, size_t item, const json_t *row)
{
    const char *one = text_of(row, "output_1"), *two = text_of(row, "output_2");

    return one && two && !strcmp(one, s->items[item].baseline) && !strcmp(two, s->answers[item]);
}

/* ---- answers ---- */

static const char *key_of(const json_t *row)
{
    return text_of(row, "instruction");
}

static const char *answer_of(const json_t *row)
{
    return text_of(row, "output");
}

static json_t *answer_row(const ae_single *s, size_t item)
{
    const char *dataset = text_of(s->items[item].row, "dataset");

    return json_pack("{s:I, s:s, s:s, s:s, s:s}", "index", (json_int_t)item, "dataset",
                     dataset ? dataset : "", "instruction", s->items[item].key, "output",
                     s->answers[item], "generator", s->label);
}

/* The model's own, as everyone configures theirs. */
static void answer_sampling(const ae_single *s, ae_question *out)
{
    if (s->model->sampling) out->sampling = *s->model->sampling;
    if (s->by->max_tokens <= 0 && s->model->max_tokens > 0) out->max_tokens = s->model->max_tokens;
}

static void paths(const ae_single *s, bool is_judgment, ae_bytes *journal, ae_bytes *array)
{
    ae_bytes_printf(array, "%s/%s", s->by->folder, s->label);
    if (is_judgment) ae_bytes_printf(array, "/%s", s->judge);
    ae_bytes_add_text(array, is_judgment ? "/annotations.json" : "/model_outputs.json");
    ae_bytes_printf(journal, "%sl", array->data ? array->data : "");
}

static const ae_single_kind kind = {
    .name = "AlpacaEval",
    .answer = "answer to AlpacaEval",
    .judgment = "annotation of AlpacaEval",
    .answer_tokens = ANSWER_TOKENS,
    .judge_tokens = JUDGE_TOKENS,
    .games = 1,
    .key = key_of,
    .paths = paths,
    .answer_of = answer_of,
    .answer_row = answer_row,
    .answer_sampling = answer_sampling,
    .is_current = is_current,
    .settled = settled,
    .judge = judge,
    .judgment_row = judgment_row,
};

/* ---- from the questions to the numbers ---- */

/* {"instruction", "output", "generator"}, or {"instruction"} with outputs under their models'
 * names. */
static aerie_status take_question(void *user, const json_t *row, aerie_error *err)
{
    alpaca_eval *own = user;
    const char *instruction = text_of(row, "instruction"), *name = own->with->baseline;
    const char *output = text_of(row, "output"), *generator = text_of(row, "generator");
    const char *column = name ? name : "gpt4_1106_preview";

    if (output && generator && (!name || !strcmp(name, generator))) {
        column = generator;
    } else {
        output = text_of(row, column);
    }
    if (!instruction || !output)
        return aerie_fail(err, AERIE_BAD_FILE,
                          "a row needs 'instruction' and the baseline's 'output' with its "
                          "'generator', or its output as '%s'",
                          column);
    /* The row, whose text it may be, stays. */
    if (!own->s->n) own->s->baseline = column;
    if (strcmp(own->s->baseline, column) != 0)
        return aerie_fail(err, AERIE_BAD_FILE, "outputs of '%s' and of '%s' in one file",
                          own->s->baseline, column);
    return ae_single_add(own->s, instruction, instruction, output, row, err);
}

static aerie_status tell(ae_single *s, const char *difficulty, char **json, aerie_error *err)
{
    ae_bytes *paths_ = ae_alloc(s->by->n_models, sizeof *paths_);
    const char **names = ae_alloc(s->by->n_models, sizeof *names);
    aerie_verdict_files files = { .paths = names,
                                  .n_paths = s->by->n_models,
                                  .difficulty = difficulty };
    aerie_status status =
        paths_ && names ? AERIE_OK : aerie_fail(err, AERIE_NO_MEMORY, "no memory for names");

    for (size_t i = 0; i < s->by->n_models && !status; i++) {
        ae_bytes journal = { 0 };
        status = ae_single_paths(s, i, true, &journal, &paths_[i], err);
        names[i] = paths_[i].data;
        ae_bytes_free(&journal);
    }
    if (!status) status = aerie_scoreboard(AERIE_ALPACA_EVAL, &files, json, err);
    for (size_t i = 0; paths_ && i < s->by->n_models; i++) ae_bytes_free(&paths_[i]);
    ae_free(paths_);
    ae_free(names);
    return status;
}

static aerie_status check(const aerie_alpaca_eval_options *with, aerie_error *err)
{
    if (!with->questions)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "AlpacaEval needs its instructions with the baseline's outputs");
    return ae_panel_check(&with->by, "AlpacaEval", err);
}

aerie_status aerie_alpaca_eval(const aerie_alpaca_eval_options *options, char **json,
                               aerie_error *err)
{
    ae_single s = { .kind = &kind, .by = &options->by };
    alpaca_eval own = { .with = options, .s = &s };
    const aerie_contender *judge_ = options->by.judge;
    aerie_status status = check(options, err);

    *json = NULL;
    s.own = &own;
    s.judge = judge_ ? ae_panel_label(judge_) : NULL;
    if (!status)
        status = ae_panel_read(options->questions, options->by.limit, take_question, &own, err);
    if (!status && !s.n)
        status = aerie_fail(err, AERIE_BAD_FILE, "%s: there is no instruction", options->questions);
    if (!status && judge_)
        status = parse_template(&own.messages,
                                options->prompt ? options->prompt : ae_alpaca_eval_template, err);
    if (!status && judge_ && !judge_->url)
        status = aerie_grammar_gbnf(&s.grammar, "root ::= [mM]\n", err);
    if (!status) status = ae_single_run(&s, err);
    if (!status && judge_) status = tell(&s, options->difficulty, json, err);
    json_decref(own.messages);
    ae_single_free(&s);
    return status;
}

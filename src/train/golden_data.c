/* golden_data.c -- packing, truncation and record shapes against golden files. Records go through a
 * file that has no name: the path that training takes. */
#include "train/golden.h"

#include <stdlib.h>
#include <string.h>

static int32_t *int_list(ae_golden *g, const json_t *list, int64_t *n)
{
    const double *wide = ae_golden_list(g, list, n);
    int32_t *out = ae_golden_take(g, *n, sizeof *out);

    for (int64_t i = 0; out && i < *n; i++) out[i] = (int32_t)wide[i];
    return out;
}

static void check_ids(ae_golden *g, const char *what, const int32_t *got, int64_t n,
                      const json_t *wanted)
{
    const double *list = ae_golden_wanted(g, what, wanted, &n);

    for (int64_t i = 0; i < n; i++)
        if (got[i] != (int32_t)list[i])
            ae_golden_problem(g, "%s[%lld] is %d, wanted %.0f", what, (long long)i, got[i],
                              list[i]);
}

/* ---- packing ---- */

static void check_rows(ae_golden *g, const ae_packing *p, const json_t *bins)
{
    if ((size_t)p->n_rows != json_array_size(bins))
        ae_golden_problem(g, "%d bins, wanted %zu", p->n_rows, json_array_size(bins));
    for (int32_t r = 0; r < p->n_rows; r++) {
        int32_t n = p->starts[r + 1] - p->starts[r];
        int32_t *items = ae_golden_take(g, n, sizeof *items);
        for (int32_t i = 0; items && i < n; i++) items[i] = p->items[p->starts[r] + i];
        if (items) check_ids(g, "bin", items, n, json_array_get(bins, (size_t)r));
    }
}

static void pack_bins(ae_golden *g, const json_t *c, ae_pack_how how)
{
    int64_t n;
    const int32_t *lengths = int_list(g, ae_golden_at(c, "inputs", "lengths"), &n);
    int32_t capacity = (int32_t)json_integer_value(ae_golden_at(c, "inputs", "capacity"));
    aerie_error err = { 0 };
    ae_packing p;

    if (ae_golden_ok(g, ae_pack(&p, lengths, (int32_t)n, capacity, how, &g->arena, &err), &err))
        check_rows(g, &p, ae_golden_at(c, "outputs", "bins"));
}

static void pack_steps(ae_golden *g, const json_t *c)
{
    const json_t *steps = ae_golden_at(c, "outputs", "steps");
    int64_t n;
    const int32_t *lengths = int_list(g, ae_golden_at(c, "inputs", "lengths"), &n);
    int32_t capacity = (int32_t)json_integer_value(ae_golden_at(c, "inputs", "capacity"));
    int32_t rows = (int32_t)json_integer_value(ae_golden_at(c, "inputs", "n_ranks"));
    int32_t begin = 0, end;

    for (size_t s = 0; s < json_array_size(steps) && !*g->problem; s++, begin = end) {
        aerie_error err = { 0 };
        ae_packing p;
        if (!ae_golden_ok(
                g,
                ae_pack_step(&p, &end, lengths, begin, (int32_t)n, capacity, rows, &g->arena, &err),
                &err))
            return;
        check_rows(g, &p, json_array_get(steps, s));
    }
}

static void wrap_blocks(ae_golden *g, const json_t *c)
{
    const json_t *seqs = ae_golden_at(c, "inputs", "seqs"),
                 *blocks = ae_golden_at(c, "outputs", "blocks");
    int32_t eos = (int32_t)json_integer_value(ae_golden_at(c, "inputs", "eos"));
    int32_t length = (int32_t)json_integer_value(ae_golden_at(c, "inputs", "seq_length"));
    ae_samples in = { .n = json_array_size(seqs) }, out = { 0 };
    aerie_error err = { 0 };

    in.items = ae_golden_take(g, (int64_t)in.n, sizeof *in.items);
    for (size_t i = 0; in.items && i < in.n; i++) {
        int64_t n;
        const int32_t *ids = int_list(g, json_array_get(seqs, i), &n);
        ae_sample *s = &in.items[i];
        *s = (ae_sample){ .kind = AE_EXAMPLE_TEXT, .n = (int32_t)n + 1 };
        s->ids = ae_golden_take(g, n + 1, sizeof *s->ids);
        s->weight = ae_golden_take(g, n + 1, sizeof *s->weight);
        if (!ids || !s->ids || !s->weight) return;
        memcpy(s->ids, ids, (size_t)n * sizeof *ids);
        s->ids[n] = eos;
        for (int64_t k = 1; k <= n; k++) s->weight[k] = 1;
    }
    if (!in.items || !ae_golden_ok(g, ae_samples_wrap(&out, &in, length, &err), &err)) return;
    if (out.n != json_array_size(blocks))
        ae_golden_problem(g, "%zu blocks, wanted %zu", out.n, json_array_size(blocks));
    for (size_t i = 0; i < out.n; i++)
        check_ids(g, "block", out.items[i].ids, out.items[i].n, json_array_get(blocks, i));
    ae_samples_free(&out);
}

static void restart_positions(ae_golden *g, const json_t *c)
{
    int64_t n, total = 0;
    const int32_t *lengths = int_list(g, ae_golden_at(c, "inputs", "seq_lengths"), &n);
    aerie_error err = { 0 };
    ae_row row;

    for (int64_t i = 0; i < n; i++) total += lengths[i];
    if (!ae_golden_ok(g, ae_row_new(&row, &g->arena, total, n, 1, &err), &err)) return;
    for (int64_t i = 0; i < n; i++) {
        const int32_t *ids = ae_golden_take(g, lengths[i], sizeof *ids);
        if (!ids) return;
        ae_row_segment(&row, -1, ids, lengths[i], 0);
    }
    check_ids(g, "position_ids", row.pos, row.n_tokens, ae_golden_at(c, "outputs", "position_ids"));
}

void ae_golden_packing(ae_golden *g, const json_t *c)
{
    if (ae_golden_at(c, "inputs", "seqs"))
        wrap_blocks(g, c);
    else if (ae_golden_at(c, "inputs", "seq_lengths"))
        restart_positions(g, c);
    else if (ae_golden_at(c, "inputs", "n_ranks"))
        pack_steps(g, c);
    else if (strcmp(json_string_value(json_object_get(c, "name")), "bfd") == 0)
        pack_bins(g, c, AE_PACK_BEST_FIT);
    else if (strcmp(json_string_value(json_object_get(c, "name")), "ffd") == 0)
        pack_bins(g, c, AE_PACK_FIRST_FIT);
    else
        g->unknown = true;
}

/* ---- truncation ---- */

static int64_t add_part(ae_golden *g, ae_sample *s, const json_t *list)
{
    int64_t n;
    const int32_t *ids = int_list(g, list, &n);

    for (int64_t i = 0; ids && i < n; i++) s->ids[s->n++] = ids[i];
    return n;
}

/* A pair of the case's parts; one of a single completion has it twice. */
static bool make_pair(ae_golden *g, const json_t *c, ae_sample *s)
{
    const json_t *single = ae_golden_at(c, "inputs", "completion");
    const json_t *chosen = single ? single : ae_golden_at(c, "inputs", "chosen");
    const json_t *rejected = single ? single : ae_golden_at(c, "inputs", "rejected");
    const json_t *prompt = ae_golden_at(c, "inputs", "prompt");
    size_t n = json_array_size(prompt) + json_array_size(chosen) + json_array_size(rejected);

    *s = (ae_sample){ .kind = AE_EXAMPLE_PAIR };
    s->ids = ae_golden_take(g, (int64_t)n, sizeof *s->ids);
    s->weight = ae_golden_take(g, (int64_t)n, sizeof *s->weight);
    if (!s->ids || !s->weight) return false;
    s->n_prompt = (int32_t)add_part(g, s, prompt);
    s->n_chosen = (int32_t)add_part(g, s, chosen);
    s->n_rejected = (int32_t)add_part(g, s, rejected);
    for (int32_t i = s->n_prompt; i < s->n; i++) s->weight[i] = 1;
    return true;
}

/* Prompt and one completion as one sequence with its mask; or nothing, where all of it went. */
static void check_single(ae_golden *g, const ae_sample *s, const json_t *wanted)
{
    bool dropped = json_is_true(json_object_get(wanted, "dropped"));
    int32_t n = s->n_prompt + s->n_chosen;
    int32_t *mask = ae_golden_take(g, n, sizeof *mask);

    if (s->dropped != dropped) ae_golden_problem(g, "it is %sdropped", s->dropped ? "" : "not ");
    if (s->dropped || !mask) return;
    for (int32_t i = 0; i < n; i++) mask[i] = s->weight[i] != 0;
    check_ids(g, "input_ids", s->ids, n, json_object_get(wanted, "input_ids"));
    check_ids(g, "completion_mask", mask, n, json_object_get(wanted, "completion_mask"));
}

void ae_golden_truncation(ae_golden *g, const json_t *c)
{
    const json_t *wanted = json_object_get(c, "outputs");
    const char *mode = json_string_value(ae_golden_at(c, "inputs", "mode"));
    int32_t max = (int32_t)json_integer_value(ae_golden_at(c, "inputs", "max_length"));
    int32_t max_prompt =
        (int32_t)json_integer_value(ae_golden_at(c, "inputs", "max_prompt_length"));
    ae_keep keep = AE_CUT_END;
    ae_sample s;

    if (mode) keep = strcmp(mode, "keep_end") == 0 ? AE_KEEP_END : AE_KEEP_START;
    if (!make_pair(g, c, &s)) return;
    ae_sample_truncate_pair(&s, max, max_prompt, keep);
    if (!mode) {
        check_single(g, &s, wanted);
        return;
    }
    check_ids(g, "prompt", s.ids, s.n_prompt, json_object_get(wanted, "prompt"));
    check_ids(g, "chosen", s.ids + s.n_prompt, s.n_chosen, json_object_get(wanted, "chosen"));
    check_ids(g, "rejected", s.ids + s.n_prompt + s.n_chosen, s.n_rejected,
              json_object_get(wanted, "rejected"));
}

/* ---- records ---- */

/* Reads the case's record as a file of one line. On true the caller closes *out. */
static bool open_record(ae_golden *g, const json_t *record, const ae_dataset_options *options,
                        ae_dataset **out)
{
    FILE *file = tmpfile();
    aerie_error err = { 0 };
    char path[32];
    const char *const paths[] = { path };
    bool ok = false;

    if (!file || json_dumpf(record, file, JSON_COMPACT) || fflush(file) ||
        fseek(file, 0, SEEK_SET)) {
        ae_golden_problem(g, "no temporary file can be written");
    } else {
        snprintf(path, sizeof path, "/dev/fd/%d", fileno(file));
        ok = ae_golden_ok(g, ae_dataset_open(out, paths, 1, options, &err), &err);
    }
    if (file) fclose(file);
    return ok;
}

static void check_json(ae_golden *g, const char *what, const json_t *got, const json_t *wanted)
{
    char *text;

    if (json_equal(got, wanted)) return;
    text = json_dumps(got, JSON_COMPACT | JSON_ENCODE_ANY);
    ae_golden_problem(g, "%s is %.200s", what, text ? text : "nothing");
    free(text);
}

/* Two texts become a vocabulary of bytes: enough to encode and decode anything. */
static aerie_status byte_tokenizer(ae_tokenizer **out, aerie_error *err)
{
    static const char *const special[] = { "<unk>", "<s>", "</s>" };
    ae_vocab_token tokens[3 + 256];
    char names[256][8];
    ae_vocab v = { .kind = AE_VOCAB_SPM,
                   .tokens = tokens,
                   .n_tokens = 259,
                   .bos = 1,
                   .eos = 2,
                   .unk = 0,
                   .pad = -1,
                   .eot = -1 };

    for (int i = 0; i < 3; i++)
        tokens[i] = (ae_vocab_token){ .text = ae_span_text(special[i]),
                                      .type = i ? AE_TOKEN_CONTROL : AE_TOKEN_UNKNOWN };
    for (int i = 0; i < 256; i++) {
        snprintf(names[i], sizeof names[i], "<0x%02X>", (unsigned)i);
        tokens[3 + i] = (ae_vocab_token){ .text = ae_span_text(names[i]), .type = AE_TOKEN_BYTE };
    }
    return ae_tokenizer_new(out, &v, err);
}

/* The conversation as Zephyr's SFT sees it: an empty system message, every token learned. */
static void check_zephyr_text(ae_golden *g, const ae_dataset *d, const char *wanted)
{
    ae_encode_options o = { .train_on = AE_TRAIN_ON_ALL, .empty_system = true };
    ae_tokenizer *tokenizer = NULL;
    ae_template *t = NULL;
    ae_bytes text = { 0 };
    ae_example e = ae_dataset_at(d, 0);
    aerie_error err = { 0 };
    ae_sample s = { 0 };

    if (ae_golden_ok(g, byte_tokenizer(&tokenizer, &err), &err) &&
        ae_golden_ok(g, ae_template_parse(&t, ae_span_text(ae_template_known("zephyr")), &err),
                     &err)) {
        o.tokenizer = tokenizer;
        o.chat_template = t;
        if (ae_golden_ok(g, ae_encode(&s, &e, &o, &g->arena, &err), &err) &&
            ae_golden_ok(g, ae_tokenizer_decode(tokenizer, s.ids, (size_t)s.n, true, &text, &err),
                         &err))
            ae_golden_text(g, "text", text.data ? text.data : "", wanted);
        for (int32_t i = 1; i < s.n; i++)
            if (s.weight[i] != 1) ae_golden_problem(g, "token %d is not learned", i);
    }
    ae_bytes_free(&text);
    ae_template_free(t);
    ae_tokenizer_close(tokenizer);
}

/* ---- ranked answers ---- */

/* Which of the record's completions has this text; "" for none. */
static const char *model_of(const json_t *record, const json_t *text)
{
    const json_t *item;
    size_t i;

    json_array_foreach(
        json_object_get(record, "completions"), i,
        item) if (json_equal(json_object_get(item, "response"),
                             text)) return json_string_value(json_object_get(item, "model"));
    return "";
}

static const char *reply_model(const json_t *record, const json_t *reply)
{
    return model_of(record, json_object_get(json_array_get(reply, 0), "content"));
}

/* Answers come in the order of their means. */
static void check_means(ae_golden *g, const json_t *record, const json_t *ranked,
                        const json_t *means)
{
    for (size_t i = 1; i < json_array_size(ranked); i++) {
        const char *a = model_of(record, json_array_get(ranked, i - 1));
        const char *b = model_of(record, json_array_get(ranked, i));
        if (json_number_value(json_object_get(means, a)) <
            json_number_value(json_object_get(means, b)))
            ae_golden_problem(g, "'%s' is ranked before '%s'", a, b);
    }
}

static bool has_text(const json_t *list, const char *text)
{
    const json_t *item;
    size_t i;

    json_array_foreach(list, i, item) if (strcmp(json_string_value(item), text) == 0) return true;
    return false;
}

/* The pair under one seed, its loser added to `losers` when it is new. */
static void one_pair(ae_golden *g, const json_t *record, const ae_dataset_options *options,
                     const json_t *wanted, json_t *losers)
{
    const json_t *means = json_object_get(wanted, "means");
    ae_dataset *d = NULL;
    const char *loser;
    ae_example e;

    if (!open_record(g, record, options, &d)) return;
    if (ae_dataset_len(d) == 1) {
        e = ae_dataset_at(d, 0);
        ae_golden_text(g, "chosen", reply_model(record, e.chosen),
                       json_string_value(json_object_get(wanted, "chosen")));
        loser = reply_model(record, e.rejected);
        if (!has_text(losers, loser)) json_array_append_new(losers, json_string(loser));
        if (means) check_means(g, record, e.ranked, means);
    } else {
        ae_golden_problem(g, "%zu pairs, wanted one", ae_dataset_len(d));
    }
    ae_dataset_close(d);
}

/* Over many seeds every candidate loses once, and nobody else does. */
static void one_rule(ae_golden *g, const json_t *record, ae_ranked_pairs how, const json_t *wanted)
{
    const json_t *candidates = json_object_get(wanted, "rejected_candidates"), *item;
    const json_t *only = json_object_get(wanted, "rejected");
    ae_dataset_options options = { .kind = AE_EXAMPLE_PAIR, .ranked = how };
    json_t *losers = json_array();
    size_t i;

    for (options.seed = 0; losers && options.seed < 64 && !*g->problem; options.seed++)
        one_pair(g, record, &options, wanted, losers);
    if (json_array_size(losers) != (only ? 1 : json_array_size(candidates)))
        ae_golden_problem(g, "%zu answers lose", json_array_size(losers));
    json_array_foreach(losers, i, item)
    {
        const char *name = json_string_value(item);
        if (only ? strcmp(json_string_value(only), name) != 0 : !has_text(candidates, name))
            ae_golden_problem(g, "'%s' may not lose", name);
    }
    json_decref(losers);
}

static void check_rules(ae_golden *g, const json_t *c)
{
    const json_t *record = json_object_get(c, "input");

    one_rule(g, record, AE_RANKED_BEST_RANDOM, ae_golden_at(c, "output", "h4"));
    one_rule(g, record, AE_RANKED_MEAN_RANDOM, ae_golden_at(c, "output", "argilla"));
    one_rule(g, record, AE_RANKED_BEST_WORST, ae_golden_at(c, "output", "max_min"));
}

/* All pairs of a ranking. */
static void check_ranking(ae_golden *g, const json_t *c)
{
    ae_dataset_options options = { .kind = AE_EXAMPLE_PAIR, .ranked = AE_RANKED_ALL };
    ae_dataset *d = NULL;
    ae_example e;

    if (!open_record(g, json_object_get(c, "input"), &options, &d)) return;
    ae_golden_number(g, "n_pairs", (double)ae_dataset_len(d), ae_golden_at(c, "output", "n_pairs"));
    for (size_t i = 0; i < ae_dataset_len(d); i++) {
        e = ae_dataset_at(d, i);
        check_json(g, "prompt", e.messages, ae_golden_at(c, "output", "prompt"));
        check_json(g, "ranked", e.ranked, ae_golden_at(c, "output", "ranked"));
    }
    ae_dataset_close(d);
}

/* ---- a case ---- */

static void check_record(ae_golden *g, const json_t *c)
{
    const json_t *wanted = json_object_get(c, "output");
    bool pair = json_is_array(json_object_get(wanted, "chosen"));
    const char *text = json_string_value(json_object_get(wanted, "text"));
    ae_dataset_options options = { .kind = pair ? AE_EXAMPLE_PAIR : AE_EXAMPLE_CHAT };
    ae_dataset *d = NULL;
    ae_example e;

    if (!open_record(g, json_object_get(c, "input"), &options, &d)) return;
    e = ae_dataset_at(d, 0);
    if (text) {
        check_zephyr_text(g, d, text);
    } else if (pair) {
        check_json(g, "prompt", e.messages, json_object_get(wanted, "prompt"));
        check_json(g, "chosen", e.chosen, json_object_get(wanted, "chosen"));
        check_json(g, "rejected", e.rejected, json_object_get(wanted, "rejected"));
    } else {
        check_json(g, "messages", e.messages, json_object_get(wanted, "messages"));
    }
    ae_dataset_close(d);
}

void ae_golden_datasets(ae_golden *g, const json_t *c)
{
    const json_t *wanted = json_object_get(c, "output");

    if (json_object_get(wanted, "h4"))
        check_rules(g, c);
    else if (json_object_get(wanted, "ranked"))
        check_ranking(g, c);
    else if (json_object_get(wanted, "chosen") || json_object_get(wanted, "text") ||
             json_object_get(wanted, "messages"))
        check_record(g, c);
    else
        g->unknown = true;
}

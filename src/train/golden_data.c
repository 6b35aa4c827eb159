/* golden_data.c -- packing and record shapes against golden files. Records go through a file that
 * has no name: the path that training takes. */
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
    int64_t n_wanted;
    const int32_t *list = int_list(g, wanted, &n_wanted);

    if (n != n_wanted)
        ae_golden_problem(g, "%s: %lld numbers, wanted %lld", what, (long long)n,
                          (long long)n_wanted);
    for (int64_t i = 0; list && i < n && i < n_wanted; i++)
        if (got[i] != list[i])
            ae_golden_problem(g, "%s[%lld] is %d, wanted %d", what, (long long)i, got[i], list[i]);
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

/* ---- records ---- */

/* Reads the case's record as a file of one line. On true the caller closes *out. */
static bool open_record(ae_golden *g, const json_t *record, ae_example_kind kind, ae_dataset **out)
{
    ae_dataset_options options = { .kind = kind };
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
        ok = ae_golden_ok(g, ae_dataset_open(out, paths, 1, &options, &err), &err);
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

void ae_golden_datasets(ae_golden *g, const json_t *c)
{
    const json_t *wanted = json_object_get(c, "output");
    bool pair = json_is_array(json_object_get(wanted, "chosen"));
    const char *text = json_string_value(json_object_get(wanted, "text"));
    ae_dataset *d = NULL;
    ae_example e;

    if (!pair && !text && !json_object_get(wanted, "messages")) {
        g->unknown = true; /* ranked answers, raw ratings */
        return;
    }
    if (!open_record(g, json_object_get(c, "input"), pair ? AE_EXAMPLE_PAIR : AE_EXAMPLE_CHAT, &d))
        return;
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

/* alpaca.c -- AlpacaEval's win rates from its annotations (Li et al.; tatsu-lab/alpaca_eval,
 * metrics/winrate.py), and with the pull of length taken out (Dubois et al. 2404.04475). */
#include "board/alpaca.h"

#include "base/mersenne.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

double ae_board_alpaca_preference(const json_t *top_logprobs)
{
    double base = 0, model = 0;
    bool some = false;
    size_t i;
    json_t *one;

    json_array_foreach(top_logprobs, i, one)
    {
        const char *token = json_string_value(json_array_get(one, 0));
        double p = exp(json_number_value(json_array_get(one, 1)));
        if (!token || (strcmp(token, "m") != 0 && strcmp(token, "M") != 0)) continue;
        some = true;
        *(*token == 'm' ? &base : &model) = p;
    }
    return some ? 2 - base / (base + model) : NAN;
}

aerie_status ae_board_alpaca_switch(bool *out, const char *instruction, aerie_error *err)
{
    ae_bytes seed = { 0 };
    ae_mersenne m;

    ae_bytes_printf(&seed, "is_switch_output_1_output_2%s123", instruction);
    aerie_status status = ae_bytes_status(&seed, err);
    if (!status && !ae_python_seed_text(&m, seed.data, seed.len)) status = ae_board_no_memory(err);
    if (!status) *out = ae_python_random(&m) >= 0.5; /* choices([False, True])[0] */
    ae_bytes_free(&seed);
    return status;
}

/* Code points: Python's len(). */
static int64_t characters(const json_t *text)
{
    const char *at = json_string_value(text);
    int64_t n = 0;

    for (; at && *at; at++) n += ((unsigned char)*at & 0xC0) != 0x80;
    return n;
}

/* ---- lengths of what models wrote ---- */

static bool keep_length(ae_alpaca *a, const char *who, const char *what, const json_t *text)
{
    ae_bytes key = { 0 };

    ae_bytes_printf(&key, "%s\x1f%s", who, what);
    bool done =
        !key.failed && !json_object_set_new(a->lengths, key.data, json_integer(characters(text)));
    ae_bytes_free(&key);
    return done;
}

/* NaN: not known. */
static double length_of(const ae_alpaca *a, const char *who, const char *what)
{
    ae_bytes key = { 0 };
    const json_t *known = NULL;

    if (!who || !what) return NAN;
    ae_bytes_printf(&key, "%s\x1f%s", who, what);
    if (!key.failed) known = json_object_get(a->lengths, key.data);
    ae_bytes_free(&key);
    return known ? json_number_value(known) : NAN;
}

/* {"generator" or "model", "output", "id" or "instruction"}, or an instruction with the outputs of
 * several under their names. */
static aerie_status take_output(void *user, const json_t *row, aerie_error *err)
{
    ae_alpaca *a = user;
    char room[24];
    const char *what = ae_board_text(row, "id", room), *key;
    const char *who = json_string_value(json_object_get(row, "generator"));
    json_t *output = json_object_get(row, "output"), *value;
    bool done = true;

    if (!what) what = json_string_value(json_object_get(row, "instruction"));
    if (!who) who = json_string_value(json_object_get(row, "model"));
    if (!what)
        return aerie_fail(err, AERIE_BAD_FILE, "an output needs an 'id' or its 'instruction'");
    if (who && output) {
        done = keep_length(a, who, what, output);
    } else {
        json_object_foreach((json_t *)(uintptr_t)row, key,
                            value) if (json_is_string(value) && strcmp(key, "instruction") != 0 &&
                                       strcmp(key, "dataset") != 0) done &=
            keep_length(a, key, what, value);
    }
    return done ? AERIE_OK : ae_board_no_memory(err);
}

/* ---- annotations ---- */

static const char *text_or(const json_t *row, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(row, key));

    return text ? text : otherwise;
}

static ae_alpaca_model *model_at(ae_alpaca *a, const char *name, const json_t *row)
{
    const char *annotator = text_or(row, "annotator", "");
    void *items = a->models;
    ae_bytes key = { 0 };

    ae_bytes_printf(&key, "%s\x1f%s", name, annotator);
    size_t at = key.failed ? SIZE_MAX : ae_board_names_at(&a->names, key.data);
    ae_bytes_free(&key);
    if (at == SIZE_MAX || !ae_board_grow(&items, &a->cap, at, sizeof *a->models)) return NULL;
    a->models = items;
    ae_alpaca_model *m = &a->models[at];
    if (m->name) return m;
    m->name = ae_strdup(name);
    m->annotator = ae_strdup(annotator);
    m->baseline = ae_strdup(text_or(row, "generator_1", text_or(row, "baseline", "")));
    return m->name && m->annotator && m->baseline ? m : NULL;
}

/* The instruction's number for what several models' verdicts on it have in common, and its place in
 * the benchmark. */
static bool take_place(ae_alpaca *a, ae_alpaca_model *m, const json_t *row, const char *what)
{
    const json_t *index = json_object_get(row, "index"), *id = json_object_get(row, "id");
    size_t number = ae_board_names_at(&a->instructions, what);
    double place = json_is_integer(index) ? json_number_value(index)
                   : json_is_integer(id)  ? json_number_value(id)
                                          : (double)m->n_rows;

    return number != SIZE_MAX && ae_board_list_add(&m->instruction, (double)number) &&
           ae_board_list_add(&m->place, place);
}

/* y may be NaN. */
static bool take_lengths(ae_alpaca *a, ae_alpaca_model *m, const json_t *row, double y)
{
    const json_t *one = json_object_get(row, "output_1"), *two = json_object_get(row, "output_2");
    char room[24];
    const char *what = ae_board_text(row, "id", room);
    double base, length;

    if (!what) what = json_string_value(json_object_get(row, "instruction"));
    base = one ? (double)characters(one) : length_of(a, m->baseline, what);
    length = two ? (double)characters(two) : length_of(a, m->name, what);
    if (isnan(base) || isnan(length)) return true;
    return ae_board_list_add(&m->sure, y) && ae_board_list_add(&m->base_length, base) &&
           ae_board_list_add(&m->length, length) && take_place(a, m, row, what ? what : "");
}

static aerie_status take(void *user, const json_t *row, aerie_error *err)
{
    ae_alpaca *a = user;
    const json_t *value = json_object_get(row, "preference");
    const char *name = text_or(row, "model", text_or(row, "generator_2", NULL));
    double p = json_is_number(value) ? json_number_value(value) : NAN;

    if (!name || !value)
        return aerie_fail(err, AERIE_BAD_FILE,
                          "an annotation needs 'generator_2' (or 'model') and 'preference'");
    if (p == 0) p = 1.5; /* an older way to write a draw */
    if (p < 1 || p > 2)
        return aerie_fail(err, AERIE_BAD_FILE, "a preference of %g: it lies from 1 to 2", p);
    ae_alpaca_model *m = model_at(a, name, row);
    if (!m) return ae_board_no_memory(err);
    if (!take_lengths(a, m, row, p - 1)) return ae_board_no_memory(err);
    m->n_rows++;
    m->n_none += isnan(p);
    m->n_wins += p > 1.5;
    m->n_wins_base += p < 1.5;
    m->n_draws += p == 1.5;
    return isnan(p) || ae_board_list_add(&m->y, p - 1) ? AERIE_OK : ae_board_no_memory(err);
}

/* ---- the board ---- */

static json_t *tell_model(const ae_alpaca_model *m)
{
    double n = (double)m->y.n;
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I}", "model", m->name,
                     "annotator", m->annotator, "baseline", m->baseline, "win_rate",
                     ae_board_real(100 * ae_mean(m->y.x, m->y.n)), "standard_error",
                     ae_board_real(100 * ae_mean_stderr(m->y.x, m->y.n)), "discrete_win_rate",
                     ae_board_real(100 * ((double)m->n_wins + 0.5 * (double)m->n_draws) / n),
                     "n_wins", (json_int_t)m->n_wins, "n_wins_base", (json_int_t)m->n_wins_base,
                     "n_draws", (json_int_t)m->n_draws, "n_total", (json_int_t)m->y.n,
                     "without_preference", (json_int_t)m->n_none);
}

static aerie_status tell(json_t **out, const ae_alpaca *a, const ae_board_files *files,
                         aerie_error *err)
{
    json_t *models = json_array();
    aerie_status status = AERIE_OK;

    for (size_t i = 0; i < a->names.n; i++)
        if (json_array_append_new(models, tell_model(&a->models[i])))
            status = ae_board_no_memory(err);
    if (!status) status = ae_alpaca_tell_lengths(models, a, files->difficulty, err);
    *out = status ? NULL
                  : json_pack("{s:s, s:o}", "benchmark", "alpaca_eval", "models",
                              ae_board_sorted(json_incref(models), "win_rate"));
    json_decref(models);
    return status || *out ? status : ae_board_no_memory(err);
}

static void free_all(ae_alpaca *a)
{
    for (size_t i = 0; i < a->cap; i++) {
        ae_alpaca_model *m = &a->models[i];
        char *const texts[] = { m->name, m->annotator, m->baseline };
        double *const lists[] = { m->y.x,      m->sure.x,        m->base_length.x,
                                  m->length.x, m->instruction.x, m->place.x };
        for (size_t k = 0; k < AE_COUNT(texts); k++) ae_free(texts[k]);
        for (size_t k = 0; k < AE_COUNT(lists); k++) ae_free(lists[k]);
    }
    ae_free(a->models);
    ae_board_names_free(&a->names);
    ae_board_names_free(&a->instructions);
    json_decref(a->lengths);
}

aerie_status ae_board_alpaca(json_t **out, const ae_board_files *files, aerie_error *err)
{
    ae_alpaca a = { .lengths = json_object() };
    aerie_status status = a.lengths ? AERIE_OK : ae_board_no_memory(err);

    *out = NULL;
    if (!status) status = ae_board_each(files->texts, files->n_texts, take_output, &a, err);
    if (!status) status = ae_board_each(files->paths, files->n_paths, take, &a, err);
    if (!status) status = tell(out, &a, files, err);
    free_all(&a);
    return status;
}

/* alpaca_length.c -- AlpacaEval's win rates at equal length.
 *
 * In full where it is known how difficult the instructions are: from alpaca_eval's own file of
 * that, or, where several models were judged, from their verdicts, as that file was made. Else with
 * two parameters. */
#include "board/alpaca.h"

#include "task/task.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Fewer models tell more of themselves than of the instructions. */
enum { ENOUGH_MODELS = 5, MOST_PLACES = 1 << 20 };

/* ---- the file ---- */

/* Either of alpaca_eval's files: instruction_difficulty.csv, or df_gamed.csv with the rows of the
 * gamed baseline too. */
typedef struct {
    ae_board_list of;                    /* by place; NaN: not there */
    ae_board_list y, length, difficulty; /* the gamed baseline's */
} file;

static void free_file(file *f)
{
    ae_free(f->of.x);
    ae_free(f->y.x);
    ae_free(f->length.x);
    ae_free(f->difficulty.x);
}

/* NaN where it is no number. */
static double number_of(const json_t *row, const char *key)
{
    const json_t *value = json_object_get(row, key);
    const char *text = json_string_value(value);
    char *end = NULL;
    double x = text ? strtod(text, &end) : json_is_number(value) ? json_number_value(value) : NAN;

    return text && (end == text || *end) ? NAN : x;
}

/* pandas leaves the name of an index out. */
static double place_of(const json_t *row)
{
    double place = number_of(row, "index");

    return isnan(place) ? number_of(row, "") : place;
}

static double difficulty_of(const json_t *row)
{
    double x = number_of(row, "instruction_difficulty");

    if (isnan(x)) x = number_of(row, "param"); /* as the notebook names it before it renames it */
    return isnan(x) ? number_of(row, "0") : x;
}

static aerie_status take_row(file *f, const json_t *row, aerie_error *err)
{
    double place = place_of(row), x = difficulty_of(row), length = number_of(row, "std_delta_len");
    double y = number_of(row, "preference");

    if (!(place >= 0 && place < MOST_PLACES) || place != floor(place) || !isfinite(x))
        return aerie_fail(err, AERIE_BAD_FILE,
                          "a row needs 'index' and 'instruction_difficulty', both numbers");
    while (f->of.n <= (size_t)place)
        if (!ae_board_list_add(&f->of, NAN)) return ae_board_no_memory(err);
    f->of.x[(size_t)place] = x;
    if (isnan(length) || isnan(y)) return AERIE_OK;
    if (!(y >= 0 && y <= 1) || !isfinite(length))
        return aerie_fail(err, AERIE_BAD_FILE,
                          "a gamed baseline's 'preference' lies from 0 to 1, and its "
                          "'std_delta_len' is a number");
    return ae_board_list_add(&f->y, y) && ae_board_list_add(&f->length, length) &&
                   ae_board_list_add(&f->difficulty, x)
               ? AERIE_OK
               : ae_board_no_memory(err);
}

static aerie_status read_file(file *f, const char *path, aerie_error *err)
{
    json_t *rows = json_array(), *row;
    aerie_status status = rows ? AERIE_OK : ae_board_no_memory(err);
    size_t i;

    if (!status) status = ae_task_read_rows(rows, path, 0, err);
    json_array_foreach(rows, i, row)
    {
        if (status) break;
        status = take_row(f, row, err);
        if (status) aerie_error_prefix(err, "%s: row %zu", path, i + 1);
    }
    if (!status && !f->of.n)
        status = aerie_fail(err, AERIE_BAD_FILE, "%s: there is no difficulty in it", path);
    json_decref(rows);
    return status;
}

/* ---- several models ---- */

/* Those under the same annotator against the same baseline as model `of`. */
static bool are_together(const ae_alpaca *a, size_t of, size_t other)
{
    const ae_alpaca_model *m = &a->models[of], *o = &a->models[other];

    return o->sure.n >= 2 && !strcmp(m->annotator, o->annotator) &&
           !strcmp(m->baseline, o->baseline);
}

static size_t n_together(const ae_alpaca *a, size_t of)
{
    size_t n = 0;

    for (size_t k = 0; k < a->names.n; k++) n += are_together(a, of, k);
    return n;
}

static double deviation_of(const ae_alpaca_model *m)
{
    double *difference = ae_alloc(m->sure.n, sizeof *difference);
    double deviation = NAN;

    for (size_t i = 0; difference && i < m->sure.n; i++)
        difference[i] = m->base_length.x[i] - m->length.x[i];
    if (difference) deviation = ae_mean_deviation(difference, m->sure.n);
    ae_free(difference);
    return deviation;
}

/* The model's verdicts behind those that there are; false: no memory. */
static bool add_battles(ae_length_battle *battles, size_t *n, const ae_alpaca_model *m,
                        size_t number)
{
    double deviation = deviation_of(m);

    if (isnan(deviation)) return false;
    for (size_t i = 0; i < m->sure.n; i++) {
        double length = m->base_length.x[i] - m->length.x[i];
        if (isnan(m->sure.x[i])) continue;
        battles[(*n)++] = (ae_length_battle){ .model = number,
                                              .instruction = (size_t)m->instruction.x[i],
                                              .y = m->sure.x[i],
                                              .length = deviation > 0 ? length / deviation : 0 };
    }
    return true;
}

/* Of all instructions by number; *out is the caller's. */
static aerie_status fit_together(double **out, const ae_alpaca *a, size_t of, aerie_error *err)
{
    size_t n = 0, n_models = 0;
    ae_length_battle *battles;
    aerie_status status = AERIE_OK;

    for (size_t k = 0; k < a->names.n; k++)
        if (are_together(a, of, k)) n += a->models[k].sure.n;
    battles = ae_alloc(n, sizeof *battles);
    *out = ae_alloc(a->instructions.n, sizeof **out);
    if (!battles || !*out) status = ae_board_no_memory(err);
    n = 0;
    for (size_t k = 0; k < a->names.n && !status; k++)
        if (are_together(a, of, k) && !add_battles(battles, &n, &a->models[k], n_models++))
            status = ae_board_no_memory(err);
    if (!status) status = ae_length_difficulty(*out, battles, n, n_models, a->instructions.n, err);
    ae_free(battles);
    return status;
}

/* ---- the board ---- */

static void tell_lengths(json_t *o, const ae_alpaca_model *m)
{
    json_object_set_new(o, "avg_length", ae_board_real(ae_mean(m->length.x, m->length.n)));
    json_object_set_new(o, "avg_length_baseline",
                        ae_board_real(ae_mean(m->base_length.x, m->base_length.n)));
    json_object_set_new(o, "n_with_length", json_integer((json_int_t)m->sure.n));
}

static void tell_two_parameters(json_t *o, const ae_alpaca_model *m)
{
    ae_board_list y = { 0 }, base = { 0 }, length = { 0 };
    ae_length_result r;
    bool done = true;

    for (size_t i = 0; i < m->sure.n && done; i++)
        if (!isnan(m->sure.x[i]))
            done = ae_board_list_add(&y, m->sure.x[i]) &&
                   ae_board_list_add(&base, m->base_length.x[i]) &&
                   ae_board_list_add(&length, m->length.x[i]);
    if (done && y.n >= 2 && !ae_length_control(&r, y.x, base.x, length.x, y.n, NULL)) {
        json_object_set_new(o, "length_controlled", ae_board_real(100 * r.controlled));
        json_object_set_new(o, "length_control", json_string("two parameters"));
        json_object_set_new(o, "length_weight", ae_board_real(r.length_weight));
    }
    ae_free(y.x);
    ae_free(base.x);
    ae_free(length.x);
}

static aerie_status tell_glm(json_t *o, const ae_alpaca_model *m, const double *difficulty,
                             const file *f, const char *from, aerie_error *err)
{
    const ae_length_verdicts v = {
        .y = m->sure.x,
        .length_a = m->base_length.x,
        .length_b = m->length.x,
        .difficulty = difficulty,
        .n = m->sure.n,
        .gamed = { f->y.x, f->length.x, f->difficulty.x, f->y.n },
    };
    ae_length_glm r;
    aerie_status status = ae_length_glm_fit(&r, &v, err);

    if (status) return status;
    json_object_set_new(o, "length_controlled", ae_board_real(100 * r.controlled));
    json_object_set_new(o, "length_control", json_string(from));
    json_object_set_new(o, "lc_standard_error", ae_board_real(100 * r.controlled_stderr));
    json_object_set_new(o, "length_weight", ae_board_real(r.weights[0]));
    json_object_set_new(o, "difficulty_weight", ae_board_real(r.weights[1]));
    json_object_set_new(o, "constant", ae_board_real(r.weights[2]));
    return AERIE_OK;
}

/* Of a model's rows, from the file (all of them must be there) or else the joint fit. */
static aerie_status difficulties_of(double *out, const ae_alpaca_model *m, const file *f,
                                    const double *joint, aerie_error *err)
{
    for (size_t i = 0; i < m->sure.n; i++) {
        double place = m->place.x[i];
        bool is_there = place >= 0 && place < (double)f->of.n;
        out[i] = joint      ? joint[(size_t)m->instruction.x[i]]
                 : is_there ? f->of.x[(size_t)place]
                            : NAN;
        if (isnan(out[i]))
            return aerie_fail(err, AERIE_BAD_FILE,
                              "the difficulties have none of instruction %.0f, which '%s' was "
                              "judged by",
                              place, m->name);
    }
    return AERIE_OK;
}

static bool has_two_verdicts(const ae_alpaca_model *m)
{
    size_t n = 0;

    for (size_t i = 0; i < m->sure.n; i++) n += !isnan(m->sure.x[i]);
    return n >= 2;
}

/* Joint fits, by the first model of those that are together: [names.n], NULL where there is none.
 */
static aerie_status joint_of(double **out, double **fits, const ae_alpaca *a, size_t at,
                             aerie_error *err)
{
    size_t first = 0;
    aerie_status status = AERIE_OK;

    while (!are_together(a, at, first)) first++;
    if (!fits[first]) status = fit_together(&fits[first], a, at, err);
    *out = fits[first];
    return status;
}

static aerie_status tell_model(json_t *o, const ae_alpaca *a, size_t at, const file *f,
                               double **fits, aerie_error *err)
{
    const ae_alpaca_model *m = &a->models[at];
    bool is_joint = !f->of.n && n_together(a, at) >= ENOUGH_MODELS;
    double *joint = NULL, *difficulty;
    aerie_status status = AERIE_OK;

    if (!has_two_verdicts(m)) return AERIE_OK;
    tell_lengths(o, m);
    if (!f->of.n && !is_joint) {
        tell_two_parameters(o, m);
        return AERIE_OK;
    }
    difficulty = ae_alloc(m->sure.n, sizeof *difficulty);
    if (!difficulty) status = ae_board_no_memory(err);
    if (!status && is_joint) status = joint_of(&joint, fits, a, at, err);
    if (!status) status = difficulties_of(difficulty, m, f, joint, err);
    if (!status)
        status = tell_glm(o, m, difficulty, f,
                          is_joint ? "difficulties of these models"
                          : f->y.n ? "length_controlled_v1"
                                   : "length_controlled_v1 without the gamed baseline",
                          err);
    ae_free(difficulty);
    return status;
}

aerie_status ae_alpaca_tell_lengths(json_t *models, const ae_alpaca *a, const char *difficulty,
                                    aerie_error *err)
{
    double **fits = ae_alloc(a->names.n, sizeof *fits);
    file f = { 0 };
    aerie_status status = fits ? AERIE_OK : ae_board_no_memory(err);

    if (!status && difficulty) status = read_file(&f, difficulty, err);
    for (size_t i = 0; i < a->names.n && !status; i++)
        status = tell_model(json_array_get(models, i), a, i, &f, fits, err);
    for (size_t i = 0; fits && i < a->names.n; i++) ae_free(fits[i]);
    ae_free(fits);
    free_file(&f);
    return status;
}

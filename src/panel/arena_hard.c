/* arena_hard.c -- Arena-Hard, carried out: models answer its questions, and a judge compares each
 * answer with the baseline's, in both orders. */
#include "aerie/arena_hard.h"

#include "aerie/scoreboard.h"
#include "board/board.h"
#include "panel/single.h"
#include "panel/templates.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ANSWER_TOKENS = 4096, JUDGE_TOKENS = 4096, GAMES = 2 };

typedef struct {
    const aerie_arena_hard_options *with;
    ae_single *s;
    json_t *answers; /* uid: the baseline's row */
    char *baseline;  /* its name; owned */
    ae_bytes copy;   /* its rows, as lines */
} arena_hard;

static const char *text_of(const json_t *row, const char *key)
{
    return json_string_value(json_object_get(row, key));
}

static const char *key_of(const json_t *row)
{
    const char *uid = text_of(row, "uid");

    return uid ? uid : text_of(row, "question_id"); /* of the first release */
}

static const char *answer_of(const json_t *row)
{
    const json_t *messages = json_object_get(row, "messages");
    const json_t *last = json_array_get(messages, json_array_size(messages) - 1);
    const json_t *content = json_object_get(last, "content");
    const json_t *turns =
        json_object_get(json_array_get(json_object_get(row, "choices"), 0), "turns");

    if (turns) content = json_object_get(json_array_get(turns, 0), "content");
    if (json_is_object(content)) content = json_object_get(content, "answer");
    return json_string_value(content);
}

/* ---- the judge ---- */

static json_t *prompt_of(const ae_single *s, size_t item, size_t game)
{
    const arena_hard *own = s->own;
    const ae_single_item *x = &s->items[item];
    const char *const places[] = { "QUESTION", x->prompt,
                                   "ANSWER_A", game ? s->answers[item] : x->baseline,
                                   "ANSWER_B", game ? x->baseline : s->answers[item],
                                   NULL };
    ae_bytes user = { 0 };
    json_t *list = NULL;

    ae_panel_fill(&user, ae_arena_hard_user, places);
    if (!user.failed)
        list = json_pack("[{s:s, s:s}, {s:s, s:s%}]", "role", "system", "content",
                         own->with->prompt ? own->with->prompt : ae_arena_hard_system, "role",
                         "user", "content", user.data, user.len);
    ae_bytes_free(&user);
    return list;
}

static aerie_status judge(const ae_single *s, size_t item, size_t game, ae_question *out,
                          aerie_error *err)
{
    out->sampling.temperature = 0;
    return ae_single_messages(&out->messages, prompt_of(s, item, game), err);
}

static json_t *game_of(const ae_single *s, size_t item, size_t game, const ae_panel_reply *reply)
{
    char marks[16];
    bool has = !reply->failed && ae_board_arena_hard_verdict(reply->text, marks);

    return json_pack("{s:o, s:{s:s}, s:o}", "score", has ? json_string(marks) : json_null(),
                     "judgment", "answer", reply->text, "prompt", prompt_of(s, item, game));
}

static aerie_status judgment_row(const ae_single *s, size_t item, const ae_panel_reply *replies,
                                 json_t **row, aerie_error *err)
{
    const ae_single_item *x = &s->items[item];
    const char *category = text_of(x->row, "category");

    (void)err;
    *row = json_pack("{s:s, s:s, s:s, s:s, s:s, s:[o, o]}", "uid", x->key, "category",
                     category ? category : "", "judge", s->judge, "model", s->label, "baseline",
                     s->baseline, "games", game_of(s, item, 0, &replies[0]),
                     game_of(s, item, 1, &replies[1]));
    return AERIE_OK;
}

/* By what the judge was shown, where the row has it. */
static bool is_current(const ae_single *s, size_t item, const json_t *row)
{
    const json_t *game = json_array_get(json_object_get(row, "games"), 0);
    const json_t *was = json_array_get(json_object_get(game, "prompt"), 1);
    json_t *now = was ? prompt_of(s, item, 0) : NULL;
    bool is = !was || json_equal(json_object_get(was, "content"),
                                 json_object_get(json_array_get(now, 1), "content"));

    json_decref(now);
    return is;
}

/* ---- answers ---- */

static json_t *answer_row(const ae_single *s, size_t item)
{
    const ae_single_item *x = &s->items[item];

    return json_pack("{s:s, s:s+, s:s, s:[{s:s, s:s}, {s:s, s:{s:s}}], s:I}", "uid", x->key,
                     "ans_id", x->key, "-aerie", "model", s->label, "messages", "role", "user",
                     "content", x->prompt, "role", "assistant", "content", "answer",
                     s->answers[item], "tstamp", (json_int_t)time(NULL));
}

static void answer_sampling(const ae_single *s, ae_question *out)
{
    (void)s;
    out->sampling.temperature = 0;
}

static void paths(const ae_single *s, bool is_judgment, ae_bytes *journal, ae_bytes *array)
{
    (void)array;
    ae_bytes_printf(journal, "%s/", s->by->folder);
    if (is_judgment)
        ae_bytes_printf(journal, "model_judgment/%s/%s.jsonl", s->judge, s->label);
    else
        ae_bytes_printf(journal, "model_answer/%s.jsonl", s->label);
}

static const ae_single_kind kind = {
    .name = "Arena-Hard",
    .answer = "answer to Arena-Hard",
    .judgment = "judgment of Arena-Hard",
    .answer_tokens = ANSWER_TOKENS,
    .judge_tokens = JUDGE_TOKENS,
    .games = GAMES,
    .key = key_of,
    .paths = paths,
    .answer_of = answer_of,
    .answer_row = answer_row,
    .answer_sampling = answer_sampling,
    .is_current = is_current,
    .judge = judge,
    .judgment_row = judgment_row,
};

/* ---- from the questions to the numbers ---- */

static aerie_status take_baseline(void *user, const json_t *row, aerie_error *err)
{
    arena_hard *own = user;
    const char *name = text_of(row, "model"), *key = key_of(row);
    char *line = NULL;

    if (!name) name = text_of(row, "model_id");
    if (!name || !key || !answer_of(row))
        return aerie_fail(err, AERIE_BAD_FILE,
                          "an answer to Arena-Hard needs 'uid', 'model' and 'messages'");
    if (own->baseline && strcmp(own->baseline, name) != 0)
        return aerie_fail(err, AERIE_BAD_FILE, "answers of '%s' and of '%s' in one file",
                          own->baseline, name);
    if (!own->baseline) own->baseline = ae_strdup(name);
    line = json_dumps(row, JSON_COMPACT | JSON_ENSURE_ASCII);
    if (line) ae_bytes_printf(&own->copy, "%s\n", line);
    bool done =
        line && own->baseline && !json_object_set(own->answers, key, (json_t *)(uintptr_t)row);
    free(line);
    return done ? ae_bytes_status(&own->copy, err)
                : aerie_fail(err, AERIE_NO_MEMORY, "no memory for answers");
}

static aerie_status take_question(void *user, const json_t *row, aerie_error *err)
{
    arena_hard *own = user;
    const json_t *turns = json_object_get(row, "turns"); /* of the first release */
    const char *key = key_of(row), *prompt = text_of(row, "prompt");
    const char *baseline;

    if (turns) prompt = text_of(json_array_get(turns, 0), "content");
    if (!key || !prompt)
        return aerie_fail(err, AERIE_BAD_FILE, "a question needs 'uid' and 'prompt'");
    baseline = own->answers ? answer_of(json_object_get(own->answers, key)) : NULL;
    if (own->answers && !baseline)
        return aerie_fail(err, AERIE_NOT_FOUND, "'%s' has no answer to question %s", own->baseline,
                          key);
    return ae_single_add(own->s, key, prompt, baseline, row, err);
}

static aerie_status read_baseline(arena_hard *own, aerie_error *err)
{
    own->answers = json_object();
    if (!own->answers) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for answers");
    aerie_status status = ae_panel_read(own->with->baseline, 0, take_baseline, own, err);
    if (!status && !own->baseline)
        status = aerie_fail(err, AERIE_BAD_FILE, "%s: there is no answer", own->with->baseline);
    own->s->baseline = own->baseline;
    for (size_t i = 0; i < own->with->by.n_models && !status; i++)
        if (!strcmp(ae_panel_label(&own->with->by.models[i]), own->baseline))
            status = aerie_fail(err, AERIE_BAD_ARGUMENT,
                                "'%s' is the baseline itself; give the model another label",
                                own->baseline);
    return status;
}

/* The baseline's answers beside the models', where upstream's programs look for them. */
static aerie_status copy_baseline(const arena_hard *own, ae_bytes *path, aerie_error *err)
{
    const char *slash = strrchr(own->baseline, '/');
    aerie_status status;

    ae_bytes_printf(path, "%s/model_answer", own->with->by.folder);
    status = ae_bytes_status(path, err);
    if (!status) status = ae_file_make_folder(path->data, err);
    ae_bytes_printf(path, "/%s.jsonl", slash ? slash + 1 : own->baseline);
    if (!status) status = ae_bytes_status(path, err);
    if (!status && !ae_file_exists(path->data))
        status = ae_file_write(path->data, own->copy.data, own->copy.len, err);
    return status;
}

static aerie_status tell(arena_hard *own, char **json, aerie_error *err)
{
    ae_single *s = own->s;
    size_t n = s->by->n_models;
    ae_bytes *files_of = ae_alloc(2 * n + 1, sizeof *files_of), none = { 0 };
    const char **names = ae_alloc(2 * n + 1, sizeof *names);
    /* Judgments, answers, and the baseline's. */
    const aerie_verdict_files files = {
        .paths = names, .n_paths = n, .texts = names + n, .n_texts = n + 1
    };
    aerie_status status =
        files_of && names ? AERIE_OK : aerie_fail(err, AERIE_NO_MEMORY, "no memory for names");

    for (size_t i = 0; i < 2 * n && !status; i++)
        status = ae_single_paths(s, i % n, i < n, &files_of[i], &none, err);
    if (!status) status = copy_baseline(own, &files_of[2 * n], err);
    for (size_t i = 0; i < 2 * n + 1 && !status; i++) names[i] = files_of[i].data;
    if (!status) status = aerie_scoreboard(AERIE_ARENA_HARD, &files, json, err);
    for (size_t i = 0; files_of && i < 2 * n + 1; i++) ae_bytes_free(&files_of[i]);
    ae_free(files_of);
    ae_free(names);
    return status;
}

static aerie_status check(const aerie_arena_hard_options *with, aerie_error *err)
{
    if (!with->questions)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "Arena-Hard needs its questions");
    if (with->by.judge && !with->baseline)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "a judge needs the baseline's answers");
    return ae_panel_check(&with->by, "Arena-Hard", err);
}

aerie_status aerie_arena_hard(const aerie_arena_hard_options *options, char **json,
                              aerie_error *err)
{
    ae_single s = { .kind = &kind, .by = &options->by };
    arena_hard own = { .with = options, .s = &s };
    const aerie_contender *judge_ = options->by.judge;
    int64_t tokens = options->by.judge_tokens > 0 ? options->by.judge_tokens : JUDGE_TOKENS;
    aerie_status status = check(options, err);

    *json = NULL;
    s.own = &own;
    s.judge = judge_ ? ae_panel_label(judge_) : NULL;
    if (!status && judge_) status = read_baseline(&own, err);
    if (!status)
        status = ae_panel_read(options->questions, options->by.limit, take_question, &own, err);
    if (!status && !s.n)
        status = aerie_fail(err, AERIE_BAD_FILE, "%s: there is no question", options->questions);
    if (!status && judge_ && !judge_->url)
        status = ae_panel_grammar(&s.grammar, tokens,
                                  "\"A>>B\" | \"A>B\" | \"A=B\" | \"B>A\" | \"B>>A\"", err);
    if (!status) status = ae_single_run(&s, err);
    if (!status && judge_) status = tell(&own, json, err);
    ae_single_free(&s);
    json_decref(own.answers);
    ae_free(own.baseline);
    ae_bytes_free(&own.copy);
    return status;
}

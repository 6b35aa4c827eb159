/* reward_command.c -- asks the program that a recipe's reward.command names. */
#include "cli/reward_command.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static char *line_of(const aerie_reward_item *item)
{
    json_t *row = item->row ? json_loads(item->row, 0, NULL) : NULL;
    json_t *line = json_pack("{s:o?, s:o, s:I, s:b}", "row", row, "reply",
                             json_stringn_nocheck(item->reply, item->reply_len), "tokens",
                             (json_int_t)item->n_tokens, "ended", item->ended);
    char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;

    json_decref(line);
    return text;
}

/* A number, or {"score": number}. */
static bool read_score(double *score, const char *line)
{
    json_t *answer = json_loads(line, JSON_DECODE_ANY, NULL);
    const json_t *value = json_is_object(answer) ? json_object_get(answer, "score") : answer;
    bool ok = json_is_number(value);

    if (ok) *score = json_number_value(value);
    json_decref(answer);
    return ok;
}

static aerie_status ask_one(cli_child *c, const char *command, const aerie_reward_item *item,
                            double *score, aerie_error *err)
{
    char *line = line_of(item), *answer = NULL;
    aerie_status status = line ? cli_child_ask(c, command, line, &answer, err)
                               : aerie_fail(err, AERIE_NO_MEMORY, "no memory for a reply");

    if (!status && !read_score(score, answer))
        status = aerie_fail(err, AERIE_BAD_TEXT,
                            "'%.100s' answered '%s'; a number, or {\"score\": number}, is "
                            "wanted for each line",
                            command, answer);
    free(line);
    ae_free(answer);
    return status;
}

aerie_status cli_reward_ask(void *user, const char *command, const aerie_reward_item *items,
                            size_t n, double *scores, aerie_error *err)
{
    cli_child *c = user;
    aerie_status status;

    if (!command)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "the recipe's 'reward' names no source; give 'reward: {source: ...}': "
                          "number, length, format, judge, or command");
    status = cli_child_start(c, command, err);
    for (size_t i = 0; i < n && !status; i++)
        status = ask_one(c, command, &items[i], &scores[i], err);
    return status;
}

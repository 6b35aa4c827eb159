/* arena.h -- what the files of `aerie arena` share. */
#ifndef AE_CLI_ARENA_H
#define AE_CLI_ARENA_H

#include "aerie/arena.h"
#include "cli/cli.h"
#include "cli/sides.h"

#include <jansson.h>

typedef struct {
    cli_common common;
    cli_sides sides;
    cli_list data;
    const char *db, *folder, *voter, *output;
    int64_t limit, parallel, draw;
    aerie_arena *arena;
    cli_progress bar;
    int64_t n_votes;
    char *typed; /* the file of prompts that were typed; NULL: they are --data's */
} cli_arena_call;

/* Replies of all models to all prompts, those that are not kept yet made; as aerie_compare_report()
 * has them. */
aerie_status cli_arena_replies(cli_arena_call *c, json_t **report, aerie_error *err);
/* Shows two replies to prompt `at` and takes a vote, unless the voter has voted on them or they are
 * alike. *go_on false: enough for today. */
aerie_status cli_arena_ask(cli_arena_call *c, const json_t *report, size_t at, bool *go_on,
                           aerie_error *err);

/* ---- arena_typed.c ---- */
/* Reads a prompt, has it answered, takes a vote; until nobody types any more. */
aerie_status cli_arena_typed(cli_arena_call *c, aerie_error *err);

#endif

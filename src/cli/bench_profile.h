/* bench_profile.h -- how `aerie bench --profile` shows where the time goes. Private to bench. */
#ifndef AE_CLI_BENCH_PROFILE_H
#define AE_CLI_BENCH_PROFILE_H

#include "aerie/bench.h"

struct json_t;

/* A table for one token of `what` ("prompt", "reply"); nothing for an empty profile. */
void cli_profile_print(const char *what, const aerie_bench_profile *p);
/* {"tokens", "seconds", "ops": [...]}, times in seconds of all tokens; the caller's. */
struct json_t *cli_profile_json(const aerie_bench_profile *p);

#endif

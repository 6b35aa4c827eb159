/* remove.c -- `aerie rm`: models out of the store. */
#include "cli/cli.h"
#include "cli/server.h"

#include <stdio.h>

/* server NULL: out of this machine's store. */
static aerie_status take_out(aerie_client *server, const char *model, aerie_error *err)
{
    if (!server) return aerie_store_delete(cli_places(), model, err);
    json_t *request = json_pack("{s:s}", "model", model);
    aerie_status status = cli_server_ask(server, "DELETE", "/api/delete", request, NULL, err);
    json_decref(request);
    return status;
}

int cli_remove(int argc, char **argv)
{
    cli_common common = { 0 };
    cli_call call = { .usage = "aerie rm MODEL...",
                      .takes = CLI_TAKES_NONE,
                      .about =
                          "Removes models from the store, and what of them no other model has.",
                      .min_words = 1,
                      .max_words = (int)AE_COUNT(call.words) };
    aerie_error err = { 0 };
    aerie_status status = AERIE_OK;
    int code;
    if (!cli_read(&call, &common, argc, argv, &code)) return code;
    aerie_client *server;
    status = cli_server_of_store(&server, &err);
    json_t *done = json_array();
    for (int i = 0; i < call.n_words && !status; i++) {
        status = take_out(server, call.words[i], &err);
        if (!status) json_array_append_new(done, json_string(call.words[i]));
        if (!status && !common.json && !common.quiet) printf("deleted '%s'\n", call.words[i]);
    }
    if (!status && common.json) {
        json_t *o = json_pack("{s:O}", "deleted", done);
        json_dumpf(o, stdout, 0);
        putchar('\n');
        json_decref(o);
    }
    json_decref(done);
    return status ? cli_fail(&err) : CLI_DONE;
}

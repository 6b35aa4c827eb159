/* copy.c -- `aerie cp`: another name for a model. */
#include "cli/cli.h"
#include "cli/server.h"

#include <stdio.h>

static aerie_status copy(const char *from, const char *to, aerie_error *err)
{
    aerie_client *server;
    aerie_status status = cli_server_of_store(&server, err);
    if (status) return status;
    if (!server) return aerie_store_copy(cli_places(), from, to, err);
    json_t *request = json_pack("{s:s, s:s}", "source", from, "destination", to);
    status = cli_server_ask(server, "POST", "/api/copy", request, NULL, err);
    json_decref(request);
    return status;
}

int cli_copy(int argc, char **argv)
{
    cli_common common = { 0 };
    cli_call call = { .usage = "aerie cp SOURCE DESTINATION",
                      .takes = CLI_TAKES_NONE,
                      .about = "Gives a model of the store, or of Ollama's, another name. Nothing "
                               "large is copied.",
                      .min_words = 2,
                      .max_words = 2 };
    aerie_error err = { 0 };
    int code;
    if (!cli_read(&call, &common, argc, argv, &code)) return code;
    if (copy(call.words[0], call.words[1], &err)) return cli_fail(&err);
    if (common.json) {
        json_t *o = json_pack("{s:s, s:s}", "source", call.words[0], "destination", call.words[1]);
        json_dumpf(o, stdout, 0);
        putchar('\n');
        json_decref(o);
    } else if (!common.quiet) {
        printf("copied '%s' to '%s'\n", call.words[0], call.words[1]);
    }
    return CLI_DONE;
}

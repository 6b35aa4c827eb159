/* create_there.c -- `aerie create` in the store of another machine's server: what the Modelfile
 * names of this machine's files goes there first, by digest. */
#include "cli/server.h"

#include "cli/cli.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    aerie_client *server;
    const char *folder; /* where relative paths begin */
    aerie_store_fn *on_event;
    void *user;
    aerie_error *err;
} sending;

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static aerie_status tell(const sending *s, const char *status, int64_t total, int64_t completed)
{
    const aerie_store_event e = { .status = status, .total = total, .completed = completed };
    if (!s->on_event || s->on_event(s->user, &e)) return AERIE_OK;
    return aerie_fail(s->err, AERIE_INTERRUPTED, "interrupted");
}

typedef struct {
    const sending *s;
    char what[200];
} hashing;

static bool on_hashed(void *user, uint64_t done, uint64_t total)
{
    const hashing *h = user;
    return !tell(h->s, h->what, (int64_t)total, (int64_t)done);
}

static aerie_status hash(const sending *s, char digest[80], const char *path)
{
    hashing h = { .s = s };
    snprintf(h.what, sizeof h.what, "reading %.100s", file_name(path));
    memcpy(digest, "sha256:", 8);
    return ae_file_sha256(digest + 7, path, on_hashed, &h, s->err);
}

/* Sends a file that the server does not have yet, and adds {"its name": "its digest"}. */
static aerie_status send_file(const sending *s, const char *path, json_t *files)
{
    char digest[80], where[128], what[200];
    aerie_status status = hash(s, digest, path);
    if (status) return status;
    snprintf(where, sizeof where, "/api/blobs/%s", digest);
    snprintf(what, sizeof what, "sending %.100s", file_name(path));
    json_object_set_new(files, file_name(path), json_string(digest));
    if (!aerie_client_ask(s->server, "HEAD", where, NULL, NULL, NULL)) return AERIE_OK;
    status = tell(s, what, 0, 0);
    return status ? status : aerie_client_send_file(s->server, where, path, s->err);
}

static bool is_of_model(const char *name)
{
    static const char *const ends[] = { ".json", ".safetensors", ".model", ".jinja" };
    size_t len = strlen(name);
    for (size_t i = 0; i < AE_COUNT(ends); i++) {
        size_t n = strlen(ends[i]);
        if (len > n && !strcmp(name + len - n, ends[i])) return true;
    }
    return false;
}

static aerie_status send_folder(const sending *s, const char *path, json_t *files)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    aerie_status status =
        folder ? AERIE_OK : aerie_fail(s->err, AERIE_IO, "%s: cannot be read", path);
    while (!status && (entry = readdir(folder))) {
        if (!is_of_model(entry->d_name)) continue;
        char *inner = ae_path_join(path, entry->d_name);
        status = inner ? send_file(s, inner, files)
                       : aerie_fail(s->err, AERIE_NO_MEMORY, "out of memory");
        ae_free(inner);
    }
    if (folder) closedir(folder);
    return status;
}

/* A path as the Modelfile means it; NULL: there is no memory. */
static char *full_path(const sending *s, const char *word)
{
    return *word == '/' || !*s->folder ? ae_strdup(word) : ae_path_join(s->folder, word);
}

/* FROM is a file or folder of this machine, or else a name that the server knows. */
static aerie_status take_from(const sending *s, json_t *request)
{
    const char *word = json_string_value(json_object_get(request, "from"));
    char *path = word ? full_path(s, word) : NULL;
    json_t *files = json_object();
    aerie_status status = AERIE_OK;
    if (path && ae_file_is_folder(path))
        status = send_folder(s, path, files);
    else if (path && ae_file_exists(path))
        status = send_file(s, path, files);
    if (!status && json_object_size(files)) {
        json_object_set(request, "files", files);
        json_object_del(request, "from");
    }
    json_decref(files);
    ae_free(path);
    return status;
}

static aerie_status take_adapters(const sending *s, json_t *request)
{
    const json_t *paths = json_object_get(request, "adapter_paths"), *one;
    json_t *adapters = json_object();
    aerie_status status = AERIE_OK;
    size_t i;
    json_array_foreach(paths, i, one)
    {
        char *path = full_path(s, json_string_value(one));
        if (!status)
            status = path ? send_file(s, path, adapters)
                          : aerie_fail(s->err, AERIE_NO_MEMORY, "out of memory");
        ae_free(path);
    }
    if (json_object_size(adapters)) json_object_set(request, "adapters", adapters);
    json_object_del(request, "adapter_paths");
    json_decref(adapters);
    return status;
}

aerie_status cli_create_there(aerie_client *server, const char *model, json_t *request,
                              const char *folder, aerie_store_fn *on_event, void *user,
                              aerie_error *err)
{
    const sending s = { server, folder, on_event, user, err };
    aerie_status status = take_from(&s, request);
    if (!status) status = take_adapters(&s, request);
    json_object_set_new(request, "model", json_string(model));
    return status ? status : cli_server_make(server, "/api/create", request, on_event, user, err);
}

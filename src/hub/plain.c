/* plain.c -- models that are plain files with a name: MODELS/name/tag.gguf, MODELS/name.gguf, and
 * those installed with the program. */
#include "hub/store.h"

#include <dirent.h>
#include <string.h>

enum { DEEPEST = 8, LONGEST_NAME = 200 }; /* folders of a name: hf.co/user/repo needs 3 */

static const char suffix[] = ".gguf", nursery[] = "nursery";

/* `name:tag`; any number of folders, none of which begins with '.'. */
typedef struct {
    ae_span name, tag;
} plain_name;

static bool is_part(const char *text, size_t len)
{
    if (!len || text[0] == '.') return false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '_' || c == '-'))
            return false;
    }
    return true;
}

static bool parse_plain(plain_name *out, const char *text)
{
    const char *colon = strrchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : strlen(text);

    if (strlen(text) > LONGEST_NAME) return false;
    out->name = (ae_span){ text, len };
    out->tag = ae_span_text(colon ? colon + 1 : "latest");
    if (!is_part(out->tag.data, out->tag.len)) return false;
    for (size_t at = 0; at <= len;) {
        const char *slash = memchr(text + at, '/', len - at);
        size_t part = slash ? (size_t)(slash - text) - at : len - at;
        if (!is_part(text + at, part)) return false;
        at += part + 1;
    }
    return true;
}

/* MODELS/name/tag.gguf, or (of the latest) MODELS/name.gguf. */
static bool find_in_store(ae_bytes *path, const plain_name *name, const char *models)
{
    ae_bytes_clear(path);
    ae_bytes_printf(path, "%s/%.*s/%.*s%s", models, (int)name->name.len, name->name.data,
                    (int)name->tag.len, name->tag.data, suffix);
    if (!path->failed && ae_store_stat(path->data, NULL, NULL)) return true;
    if (!ae_span_is(name->tag, "latest") || memchr(name->name.data, '/', name->name.len))
        return false;
    ae_bytes_clear(path);
    ae_bytes_printf(path, "%s/%.*s%s", models, (int)name->name.len, name->name.data, suffix);
    return !path->failed && ae_store_stat(path->data, NULL, NULL);
}

bool ae_plain_find(ae_bytes *path, ae_where *where, const char *word, const ae_places *places)
{
    plain_name name;
    bool is_base;

    if (!parse_plain(&name, word)) return false;
    *where = AE_WHERE_PLAIN;
    if (places->models && find_in_store(path, &name, places->models)) return true;
    /* The nursery's own models are only half names: everyone has them, nobody saved them. */
    if (!places->share || !ae_span_is(name.name, nursery)) return false;
    *where = AE_WHERE_SHARE;
    is_base = ae_span_is(name.tag, "latest") || ae_span_is(name.tag, "base");
    ae_bytes_clear(path);
    ae_bytes_printf(path, "%s/%s%s%.*s%s", places->share, nursery, is_base ? "" : "-",
                    is_base ? 0 : (int)name.tag.len, name.tag.data, suffix);
    return !path->failed && ae_store_stat(path->data, NULL, NULL);
}

/* ---- listed ---- */

static void add_file(ae_listing *l, const char *path, const char *name, ae_span tag, ae_where where)
{
    ae_hub_entry entry = { .where = where, .path = path };
    ae_bytes text = { 0 };
    plain_name parsed;

    ae_bytes_printf(&text, "%s:%.*s", name, (int)tag.len, tag.data);
    entry.name = text.data;
    if (text.failed)
        l->failed = true;
    else if (parse_plain(&parsed, text.data) && /* else: a stranger's file */
             ae_store_stat(path, &entry.bytes, &entry.modified))
        ae_listing_add(l, &entry);
    ae_bytes_free(&text);
}

/* The file's name without ".gguf"; an empty span when it has another ending. */
static ae_span stem_of(const char *file)
{
    size_t len = strlen(file), end = strlen(suffix);

    if (len <= end || strcmp(file + len - end, suffix) != 0) return (ae_span){ file, 0 };
    return (ae_span){ file, len - end };
}

/* Unless NAME/latest.gguf goes before it. */
static void add_root_file(ae_listing *l, const char *path, ae_span stem)
{
    char *name = ae_strndup(stem.data, stem.len), *folder = NULL, *first = NULL;

    if (name) folder = ae_strndup(path, strlen(path) - strlen(suffix));
    if (folder) first = ae_path_join(folder, "latest.gguf");
    if (!first)
        l->failed = true;
    else if (!ae_file_exists(first))
        add_file(l, path, name, ae_span_text("latest"), AE_WHERE_PLAIN);
    ae_free(name);
    ae_free(folder);
    ae_free(first);
}

/* Of a model in several files (NAME-00002-of-00003) all but the first. */
static bool is_later_part(ae_span stem)
{
    enum { ENDING = 15 };
    const char *end = stem.data + stem.len;

    return stem.len > ENDING && end[-ENDING] == '-' && !memcmp(end - 9, "-of-", 4) &&
           memcmp(end - ENDING + 1, "00001", 5) != 0;
}

/* `name` is what the folder stands for: its path below the store. */
static void list_folder(ae_listing *l, const char *folder, const char *name, int depth)
{
    DIR *entries = depth < DEEPEST ? opendir(folder) : NULL;
    struct dirent *entry;

    while (entries && !l->failed && (entry = readdir(entries))) {
        bool is_ours =
            depth == 0 && (!strcmp(entry->d_name, "manifests") || !strcmp(entry->d_name, "blobs"));
        ae_span tag = stem_of(entry->d_name);
        char *path, *inner;
        if (entry->d_name[0] == '.' || is_ours) continue;
        path = ae_path_join(folder, entry->d_name);
        inner = ae_path_join(name, entry->d_name);
        if (!path || !inner)
            l->failed = true;
        else if (ae_file_is_folder(path))
            list_folder(l, path, inner, depth + 1);
        else if (is_later_part(tag))
            ; /* it is read with the first */
        else if (tag.len && *name)
            add_file(l, path, name, tag, AE_WHERE_PLAIN);
        else if (tag.len)
            add_root_file(l, path, tag);
        ae_free(path);
        ae_free(inner);
    }
    if (entries) closedir(entries);
}

static void list_share(ae_listing *l, const char *share)
{
    DIR *entries = opendir(share);
    struct dirent *entry;
    size_t len = strlen(nursery);

    while (entries && !l->failed && (entry = readdir(entries))) {
        ae_span stem = stem_of(entry->d_name);
        char *path = stem.len ? ae_path_join(share, entry->d_name) : NULL;
        if (path && ae_span_is(stem, nursery))
            add_file(l, path, nursery, ae_span_text("latest"), AE_WHERE_SHARE);
        else if (path && stem.len > len + 1 && !memcmp(stem.data, "nursery-", len + 1))
            add_file(l, path, nursery, (ae_span){ stem.data + len + 1, stem.len - len - 1 },
                     AE_WHERE_SHARE);
        else if (stem.len && !path)
            l->failed = true;
        ae_free(path);
    }
    if (entries) closedir(entries);
}

void ae_plain_list(ae_listing *l, const ae_places *places)
{
    if (places->models) list_folder(l, places->models, "", 0);
    if (places->share) list_share(l, places->share);
}

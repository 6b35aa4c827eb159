/* hf_cache.c -- a Hugging Face cache, read where it lies: models--USER--REPO/snapshots/COMMIT/...
 * is hf.co/USER/REPO. */
#include "hub/store.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char suffix[] = ".gguf";

/* "hf.co/user/repo:tag" taken apart. */
typedef struct {
    char user[81], repo[129], tag[161]; /* tag "": none was given */
} hf_name;

static bool take(char *out, size_t size, const char *text, size_t len)
{
    if (!len || len >= size || text[0] == '.' || text[0] == '-') return false;
    for (size_t i = 0; i < len; i++)
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-", text[i]))
            return false;
    memcpy(out, text, len);
    out[len] = '\0';
    return true;
}

/* The host may be left out: "user/repo" is what the hub calls it. */
static bool parse(hf_name *out, const char *word)
{
    static const char *const hosts[] = { "https://", "hf.co/", "huggingface.co/" };
    const char *slash, *colon;

    for (size_t i = 0; i < AE_COUNT(hosts); i++)
        if (!strncasecmp(word, hosts[i], strlen(hosts[i]))) word += strlen(hosts[i]);
    slash = strchr(word, '/');
    colon = strrchr(word, ':');
    if (!slash || (colon && colon < slash)) return false;
    out->tag[0] = '\0';
    if (colon && !take(out->tag, sizeof out->tag, colon + 1, strlen(colon + 1))) return false;
    if (!colon) colon = slash + strlen(slash);
    return take(out->user, sizeof out->user, word, (size_t)(slash - word)) &&
           take(out->repo, sizeof out->repo, slash + 1, (size_t)(colon - slash) - 1);
}

/* The folder of the snapshot that `main` points at, or else of any. */
static bool find_snapshot(ae_bytes *path, const char *hf, const char *repo_folder)
{
    ae_bytes ref = { 0 }, commit = { 0 };
    struct dirent *entry;
    DIR *entries;
    char checked[129];
    bool found = false;

    ae_bytes_printf(&ref, "%s/%s/refs/main", hf, repo_folder);
    if (!ref.failed && ae_store_stat(ref.data, NULL, NULL))
        ae_file_read(&commit, ref.data, 200, NULL);
    while (commit.len && strchr("\r\n ", commit.data[commit.len - 1])) commit.len--;
    ae_bytes_clear(path);
    ae_bytes_printf(path, "%s/%s/snapshots", hf, repo_folder);
    if (commit.len && take(checked, sizeof checked, commit.data, commit.len)) {
        size_t folder = path->len;
        ae_bytes_printf(path, "/%s", checked);
        found = !path->failed && ae_file_is_folder(path->data);
        if (!found && !path->failed) path->data[path->len = folder] = '\0';
    }
    entries = found || path->failed ? NULL : opendir(path->data);
    while (entries && !found && (entry = readdir(entries)))
        if (take(checked, sizeof checked, entry->d_name, strlen(entry->d_name))) {
            ae_bytes_printf(path, "/%s", checked);
            found = !path->failed;
        }
    if (entries) closedir(entries);
    ae_bytes_free(&ref);
    ae_bytes_free(&commit);
    return found;
}

/* A part of a file's name that is a type: Q4_K_M, IQ2_XS, BF16, F32, fp16. */
static bool is_type(const char *text, size_t len)
{
    if (len && (*text == 'i' || *text == 'I')) {
        text++;
        len--;
    }
    if (len > 1 && (*text == 'b' || *text == 'B')) {
        text++;
        len--;
    }
    if (len > 2 && strchr("fF", text[0]) && strchr("pP", text[1])) {
        text++;
        len--;
    }
    return len >= 2 && len < 16 && strchr("qQfF", text[0]) && text[1] >= '1' && text[1] <= '9';
}

/* What stands for a file after the colon: the type at its name's end, or all of its name. Of a
 * model in several files only the first is one. */
static bool tag_of(char out[161], const char *file)
{
    size_t len = strlen(file), end = strlen(suffix);
    char stem[161], *cut;

    if (len <= end || strcasecmp(file + len - end, suffix) != 0) return false;
    if (!take(stem, sizeof stem, file, len - end) || strstr(stem, "mmproj")) return false;
    cut = strstr(stem, "-of-");
    if (cut && cut - stem > 6) {
        if (strncmp(cut - 6, "-00001", 6) != 0) return false;
        cut[-6] = '\0';
    }
    for (cut = stem + strlen(stem); cut > stem; cut--)
        if (cut[-1] == '-' || cut[-1] == '.') break;
    snprintf(out, 161, "%s", is_type(cut, strlen(cut)) ? cut : stem);
    return true;
}

static bool has_file(const char *folder, const char *name)
{
    char *path = ae_path_join(folder, name);
    bool found = path && ae_file_exists(path);

    ae_free(path);
    return found;
}

static bool is_model_folder(const char *folder)
{
    return has_file(folder, "config.json") && (has_file(folder, "model.safetensors") ||
                                               has_file(folder, "model.safetensors.index.json"));
}

/* How well a file suits a tag: 0 not at all. Without one, Q4_K_M is what is usually meant. */
static int rank_file(const char *file, const char *wanted)
{
    char tag[161];

    if (!tag_of(tag, file)) return 0;
    if (*wanted && strcasecmp(wanted, "latest") != 0) {
        if (!strcasecmp(tag, wanted)) return 3;
        return !strncasecmp(file, wanted, strlen(wanted)) &&
                       !strcasecmp(file + strlen(wanted), suffix)
                   ? 2
                   : 0;
    }
    return !strcasecmp(tag, "Q4_K_M") ? 2 : 1;
}

/* The .gguf file of a tag in a snapshot; by name among equals, so that the same one is taken
 * always. */
static bool find_gguf(ae_bytes *path, const char *tag)
{
    DIR *entries = opendir(path->data);
    struct dirent *entry;
    char best[256] = "";
    int best_rank = 0;

    while (entries && (entry = readdir(entries))) {
        int rank = rank_file(entry->d_name, tag);
        if (!rank || rank < best_rank) continue;
        if (rank == best_rank && strcmp(entry->d_name, best) > 0) continue;
        snprintf(best, sizeof best, "%s", entry->d_name);
        best_rank = rank;
    }
    if (entries) closedir(entries);
    if (best_rank) ae_bytes_printf(path, "/%s", best);
    return best_rank && !path->failed;
}

bool ae_hf_find(ae_bytes *path, const char *word, const char *hf)
{
    hf_name name;
    char folder[240];

    if (!hf || !parse(&name, word)) return false;
    snprintf(folder, sizeof folder, "models--%s--%s", name.user, name.repo);
    if (!find_snapshot(path, hf, folder)) return false;
    if ((!name.tag[0] || !strcasecmp(name.tag, "latest")) && is_model_folder(path->data))
        return true;
    return find_gguf(path, name.tag);
}

/* ---- listed ---- */

static void add(ae_listing *l, const char *path, const char *repo, const char *tag)
{
    ae_hub_entry entry = { .where = AE_WHERE_HF, .path = path };
    ae_bytes name = { 0 }, weights = { 0 };

    ae_bytes_printf(&name, "hf.co/%s:%s", repo, tag);
    if (ae_file_is_folder(path)) {
        ae_store_path(&weights, path, "model.safetensors", NULL);
        if (!weights.failed) ae_store_stat(weights.data, &entry.bytes, &entry.modified);
    } else {
        ae_store_stat(path, &entry.bytes, &entry.modified);
    }
    entry.name = name.data;
    if (name.failed || weights.failed)
        l->failed = true;
    else
        ae_listing_add(l, &entry);
    ae_bytes_free(&name);
    ae_bytes_free(&weights);
}

static void list_snapshot(ae_listing *l, const char *snapshot, const char *repo)
{
    DIR *entries = opendir(snapshot);
    struct dirent *entry;
    char tag[161];

    if (is_model_folder(snapshot)) add(l, snapshot, repo, "latest");
    while (entries && !l->failed && (entry = readdir(entries))) {
        char *path = tag_of(tag, entry->d_name) ? ae_path_join(snapshot, entry->d_name) : NULL;
        if (path) add(l, path, repo, tag);
        ae_free(path);
    }
    if (entries) closedir(entries);
}

void ae_hf_list(ae_listing *l, const char *hf)
{
    static const char prefix[] = "models--";
    DIR *entries = opendir(hf);
    struct dirent *entry;
    ae_bytes path = { 0 };

    while (entries && !l->failed && (entry = readdir(entries))) {
        char repo[256];
        const char *rest = entry->d_name + strlen(prefix);
        const char *split =
            strncmp(entry->d_name, prefix, strlen(prefix)) ? NULL : strstr(rest, "--");
        if (!split || !find_snapshot(&path, hf, entry->d_name)) continue;
        snprintf(repo, sizeof repo, "%.*s/%s", (int)(split - rest), rest, split + 2);
        list_snapshot(l, path.data, repo);
    }
    if (entries) closedir(entries);
    ae_bytes_free(&path);
}

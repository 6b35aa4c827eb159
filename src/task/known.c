/* known.c -- the built-in tasks by name. */
#include "task/known.h"

#include "task/task_private.h"

#include <string.h>

const char *task_known_text(const char *name)
{
    for (size_t i = 0; task_files[i].name; i++)
        if (strcmp(task_files[i].name, name) == 0) return task_files[i].text;
    return NULL;
}

/* Not a group, whose tasks have names of their own. */
static bool has_members(const char *family, const char *text)
{
    ae_yaml yaml = { 0 };
    aerie_error ignored = { 0 };
    bool has = !ae_yaml_read(&yaml, family, ae_span_text(text), &ignored) &&
               json_is_object(json_object_get(yaml.root, "members"));

    ae_yaml_free(&yaml);
    return has;
}

/* "mmlu_anatomy": the longest built-in name before a '_' is a family, the rest its member. */
const char *task_known_family(const char *name, const char **member)
{
    for (size_t n = strlen(name); n-- > 1;) {
        char family[64];
        if (name[n] != '_' || n >= sizeof family) continue;
        memcpy(family, name, n);
        family[n] = '\0';
        if (!task_known_text(family) || !has_members(family, task_known_text(family))) continue;
        *member = name + n + 1;
        return task_known_text(family);
    }
    return NULL;
}

const char *ae_task_known(size_t i)
{
    size_t n = 0;

    while (task_files[n].name) n++;
    return i < n ? task_files[i].name : NULL;
}

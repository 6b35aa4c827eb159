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

const char *ae_task_known(size_t i)
{
    size_t n = 0;

    while (task_files[n].name) n++;
    return i < n ? task_files[i].name : NULL;
}

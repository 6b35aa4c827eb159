/* known.h -- the built-in tasks' files, as texts in the program. Private to task. */
#ifndef AE_TASK_KNOWN_H
#define AE_TASK_KNOWN_H

struct ae_embedded {
    const char *name, *text;
};

/* src/task/tasks/NAME.yaml, in the order of their names; ended by a NULL name. */
extern const struct ae_embedded task_files[];

#endif

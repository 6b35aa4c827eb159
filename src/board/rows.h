/* rows.h -- what the boards share: rows of files, names with numbers, lists of numbers. Private. */
#ifndef AE_BOARD_ROWS_H
#define AE_BOARD_ROWS_H

#include "board/board.h"

typedef aerie_status ae_board_row_fn(void *user, const json_t *row, aerie_error *err);
/* Calls fn with each row, an object, of the files; a failure names its file and line. */
aerie_status ae_board_each(const char *const *paths, size_t n_paths, ae_board_row_fn *fn,
                           void *user, aerie_error *err);

/* Names, numbered from 0 as they come. Zeroed it is empty. */
typedef struct {
    json_t *numbers;
    size_t n;
} ae_board_names;
void ae_board_names_free(ae_board_names *names);
/* The name's number, a new one where it has none; SIZE_MAX: no memory. */
size_t ae_board_names_at(ae_board_names *names, const char *name);

typedef struct {
    double *x; /* owned */
    size_t n, cap;
} ae_board_list;
/* False: no memory. */
bool ae_board_list_add(ae_board_list *list, double x);

/* Room for item `at` in an array of items of `size` bytes, new ones zeroed; false: no memory. */
bool ae_board_grow(void **items, size_t *n, size_t at, size_t size);

/* A text of a row, whole numbers as text; NULL: there is none. `room` holds a number's. */
const char *ae_board_text(const json_t *row, const char *key, char room[24]);
/* Null where it is NaN. */
json_t *ae_board_real(double x);
aerie_status ae_board_no_memory(aerie_error *err);
/* An array's objects by a number of theirs, the highest first; equal ones keep their order. */
json_t *ae_board_sorted(json_t *array, const char *key);

#endif

/* processors.h -- which processors this process may use. Private to base. */
#ifndef AE_PROCESSORS_H
#define AE_PROCESSORS_H

/* How many threads make sense: the processors that the process may run on, and that its container's
 * quota pays for. At least 1. */
int ae_processors_usable(void);

/* Fills up to `most` numbers of processors that the process may run on, one of each core first,
 * then the cores' further threads. Returns how many there are, 0 when that is not known. */
int ae_processors_list(int *out, int most);

#endif

/* stops.h -- texts before which a reply ends. */
#ifndef AE_STOPS_H
#define AE_STOPS_H

#include "base/base.h"

/* Looks through text that has not left yet. True: it holds a stop string, the first of which begins
 * at *at (of several that begin there, the one listed first: *which). False: *at bytes may leave;
 * what comes after them may be the beginning of one. */
bool ae_stops_find(const ae_span *stops, size_t n, ae_span text, size_t *at, size_t *which);

#endif

/* clock.h -- time. */
#ifndef AE_CLOCK_H
#define AE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

double ae_clock_seconds(void); /* monotonic */
int64_t ae_clock_unix_seconds(void);
double ae_clock_process_seconds(void); /* since this process was started, to 10 ms; 0: not known */
size_t ae_peak_rss_bytes(void); /* the process's largest resident size so far */

#endif

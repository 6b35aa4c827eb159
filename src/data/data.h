/* data.h -- the door of data: from files of records to training samples. */
#ifndef AE_DATA_H
#define AE_DATA_H

#include "data/sample.h"

#endif

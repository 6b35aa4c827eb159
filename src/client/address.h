/* address.h -- where a server is, as people write it. Private to client. */
#ifndef AE_CLIENT_ADDRESS_H
#define AE_CLIENT_ADDRESS_H

#include "base/base.h"

typedef struct {
    char scheme[8]; /* "http", "https" */
    char host[256]; /* without brackets */
    char path[256]; /* "" or "/below" */
    int port;
    bool here; /* this machine's loopback */
} ae_address;

/* Reads the forms that aerie_client_options.host has. */
aerie_status ae_address_read(ae_address *out, const char *text, aerie_error *err);
/* Appends "scheme://host:port/path". */
void ae_address_write(ae_bytes *out, const ae_address *a);
/* Of an address that is here: whether something listens there. It takes no time to speak of. */
bool ae_address_is_open(const ae_address *a);

#endif

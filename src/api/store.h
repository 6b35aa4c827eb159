/* store.h -- what the files of the store's public face share. Private to api. */
#ifndef AE_API_STORE_H
#define AE_API_STORE_H

#include "aerie/store.h"
#include "api/api.h"
#include "hub/hub.h"

/* The public places as hub has them. */
typedef struct {
    ae_places places;
    char *models; /* owned */
} ae_store;
aerie_status ae_store_open(ae_store *s, const aerie_places *places, aerie_error *err);
void ae_store_close(ae_store *s); /* a zeroed one is fine */

/* Of a GGUF file's header. */
typedef struct {
    char architecture[64];
    char file_type[16]; /* "Q4_K_M"; "unknown" */
    int64_t n_parameters;
    bool has_template, is_embedding;
} ae_weights_info;
void ae_weights_of(ae_weights_info *out, const ae_gguf *g);
/* "134.52M", "7.2B" */
void ae_parameter_size(char out[32], int64_t n);

/* {"parent_model", "format", "family", "families", "parameter_size", "quantization_level"} */
json_t *ae_details_json(const ae_hub_entry *entry, const ae_places *places);
/* RFC 3339 with nanoseconds, UTC. */
json_t *ae_time_json(int64_t nanoseconds);
/* Its manifest's, or of its path, size and time. */
void ae_entry_digest(const ae_hub_entry *entry, char hex[AE_HEX]);

#endif

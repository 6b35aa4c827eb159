/* hub.c -- the public face of names. */
#include "aerie/hub.h"

#include "api/api.h"
#include "hub/hub.h"

aerie_status aerie_find_model(const aerie_places *places, const char *model, char **path,
                              aerie_error *err)
{
    ae_bytes found = { 0 };
    *path = NULL;
    aerie_status status = ae_hub_resolve(&found, model, places->store, places->share, err);
    if (!status) status = ae_api_give(&found, path, NULL, err);
    ae_bytes_free(&found);
    return status;
}

aerie_status aerie_store_path(const aerie_places *places, const char *model, char **path,
                              aerie_error *err)
{
    ae_bytes found = { 0 };
    *path = NULL;
    aerie_status status = ae_hub_store_path(&found, model, places->store, err);
    if (!status) status = ae_api_give(&found, path, NULL, err);
    ae_bytes_free(&found);
    return status;
}

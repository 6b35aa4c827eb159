/* family.c -- the table of the families that this build runs, and a word for those that it does
 * not. */
#include "model/family.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Of two with the same name in GGUF the first is meant, unless its from_gguf() says otherwise. */
static const ae_family *const families[] = {
    &ae_family_llama, &ae_family_mistral, &ae_family_qwen2,
    &ae_family_qwen3, &ae_family_gemma2,  &ae_family_gemma3,
};

const ae_family *ae_family_of_hf(const char *type_or_class)
{
    for (size_t i = 0; i < AE_COUNT(families); i++)
        if (strcmp(type_or_class, families[i]->hf_type) == 0 ||
            strcmp(type_or_class, families[i]->hf_class) == 0)
            return families[i];
    return NULL;
}

const ae_family *ae_family_of_classifier(const char *class_name)
{
    static const char classifier[] = "ForSequenceClassification", decoder[] = "ForCausalLM";
    size_t len = strlen(class_name), end = sizeof classifier - 1;
    char name[64];

    if (len <= end || len - end >= sizeof name - sizeof decoder ||
        strcmp(class_name + len - end, classifier) != 0)
        return NULL;
    snprintf(name, sizeof name, "%.*s%s", (int)(len - end), class_name, decoder);
    return ae_family_of_hf(name);
}

const ae_family *ae_family_of_gguf(const char *architecture)
{
    for (size_t i = 0; i < AE_COUNT(families); i++)
        if (strcmp(architecture, families[i]->gguf) == 0) return families[i];
    return NULL;
}

const ae_family *ae_family_of(const ae_config *c)
{
    return ae_family_of_hf(c->family);
}

/* What a name's part gives away of an architecture that is not run. */
static const struct {
    const char *part, *what;
} others[] = {
    { "forsequenceclassification", "has a classifier's head instead of a language model's" },
    { "fortokenclassification", "has a classifier's head instead of a language model's" },
    { "rewardmodel", "has a reward model's head instead of a language model's" },
    { "moe", "is a mixture of experts" },
    { "mixtral", "is a mixture of experts" },
    { "deepseek", "is a mixture of experts" },
    { "gpt-oss", "is a mixture of experts" },
    { "gptoss", "is a mixture of experts" },
    { "gpt_oss", "is a mixture of experts" },
    { "dbrx", "is a mixture of experts" },
    { "llama4", "is a mixture of experts" },
    { "mllama", "reads images" },
    { "llava", "reads images" },
    { "vision", "reads images" },
    { "vl", "reads images" },
    { "pali", "reads images" },
    { "gemma3n", "reads images and sound" },
    { "mamba", "is a state space model" },
    { "rwkv", "is a recurrent model" },
    { "recurrent", "is a recurrent model" },
    { "t5", "is an encoder with a decoder" },
    { "bart", "is an encoder with a decoder" },
    { "bert", "is an encoder" },
};

static const char *what_it_is(const char *architecture)
{
    char lower[64];
    size_t n = 0;

    for (; architecture[n] && n < sizeof lower - 1; n++)
        lower[n] = (char)tolower((unsigned char)architecture[n]);
    lower[n] = '\0';
    for (size_t i = 0; i < AE_COUNT(others); i++)
        if (strstr(lower, others[i].part)) return others[i].what;
    return NULL;
}

/* "llama, mistral, qwen2, ..." */
static void list_families(char *out, size_t cap)
{
    size_t at = 0;

    out[0] = '\0';
    for (size_t i = 0; i < AE_COUNT(families) && at < cap; i++)
        at += (size_t)snprintf(out + at, cap - at, "%s%s", i ? ", " : "", families[i]->hf_type);
}

aerie_status ae_family_unknown(const char *path, const char *architecture, aerie_error *err)
{
    const char *names[2 * AE_COUNT(families)], *what = what_it_is(architecture);
    char list[256];

    list_families(list, sizeof list);
    if (what)
        return aerie_fail(err, AERIE_UNSUPPORTED,
                          "%s: the architecture '%.60s' %s, which this build does not run; it runs "
                          "%s",
                          path, architecture, what, list);
    for (size_t i = 0; i < AE_COUNT(families); i++) {
        names[2 * i] = families[i]->hf_type;
        names[2 * i + 1] = families[i]->hf_class;
    }
    const char *near = ae_nearest(architecture, names, AE_COUNT(names));
    return aerie_fail(err, AERIE_UNSUPPORTED,
                      "%s: the architecture '%.60s' is none that this build runs (%s)%s%s%s", path,
                      architecture, list, near ? "; the nearest is '" : "", near ? near : "",
                      near ? "'" : "");
}

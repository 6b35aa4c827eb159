/* task_bullets.c -- "answer in N bullets": lists of a kind of thing, and lists out of a sentence.
 */
#include "nursery.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ITEMS = 6 };

typedef struct {
    const char *words[MAX_ITEMS + 1];
    size_t n;
} items;

static void pick_items(items *out, nu_chance *c, const nu_words *list, size_t n)
{
    size_t at[MAX_ITEMS + 1];

    nu_chance_pick(c, at, n, list->n);
    out->n = n;
    for (size_t i = 0; i < n; i++) out->words[i] = list->words[at[i]];
}

static void put_bullets(nu_text *out, const items *list, size_t n)
{
    for (size_t i = 0; i < n; i++) nu_text_put(out, "%s- %s", i ? "\n" : "", list->words[i]);
}

static void put_sentence(nu_text *out, const items *list)
{
    for (size_t i = 0; i < list->n; i++)
        nu_text_put(out, "%s%s", i == 0 ? "" : i + 1 == list->n ? " and " : ", ", list->words[i]);
}

/* One bullet too few, one too many, a stranger among them, or no bullets at all. `list` has one
 * item more than asked. */
static void put_flawed(nu_text *out, nu_chance *c, items *list, const char *stranger)
{
    size_t n = list->n - 1;

    switch (nu_chance_below(c, 4)) {
    case 0:
        put_bullets(out, list, n - 1);
        break;
    case 1:
        put_bullets(out, list, n + 1);
        break;
    case 2:
        list->words[nu_chance_below(c, n)] = stranger;
        put_bullets(out, list, n);
        break;
    default:
        list->n = n;
        put_sentence(out, list);
        nu_text_put(out, ".");
    }
}

static void make_category(nu_task *t, nu_chance *c, nu_split split)
{
    const nu_category *kind, *other;
    items list;
    size_t n;

    do {
        kind = &nu_categories[nu_chance_below(c, nu_n_categories)];
        n = 2 + nu_chance_below(c, 4);
    } while (!nu_words_allowed(split, kind->title, nu_words_number(n)));
    do other = &nu_categories[nu_chance_below(c, nu_n_categories)];
    while (other == kind);
    pick_items(&list, c, kind->words, n + 1);

    const char *count = nu_words_number(n);
    switch (nu_chance_below(c, 3)) {
    case 0:
        nu_text_put(&t->user, "Name %s %s. Answer with %s bullets.", count, kind->title, count);
        break;
    case 1:
        nu_text_put(&t->user, "Give me %s bullets, each a %s.", count, kind->single);
        break;
    default:
        nu_text_put(&t->user, "Write a list of %s %s, a bullet each.", count, kind->title);
        break;
    }
    nu_text_put(&t->note, "List of %s %s:", count, kind->title);
    put_bullets(&t->good, &list, n);
    put_flawed(&t->flawed, c, &list, nu_words_any(other->words, c));
    t->check = json_pack("{s:i,s:s}", "count", (int)n, "category", kind->title);
}

static void make_given(nu_task *t, nu_chance *c, nu_split split)
{
    static const char *const verbs[] = { "buys", "finds", "wants", "brings" };
    const nu_words *lists[] = { &nu_objects, &nu_fruits, &nu_foods };
    const char *name = nu_words_name(c, split), *verb = verbs[nu_chance_below(c, 4)];
    size_t which = nu_chance_below(c, 3), n = 2 + nu_chance_below(c, 3);
    items list;
    nu_text all = { 0 };

    pick_items(&list, c, lists[which], n + 1);
    const char *more = list.words[n];
    list.n = n;
    put_sentence(&all, &list);
    nu_text_put(&t->user, "%s %s %s. ", name, verb, all.data);
    if (nu_chance_percent(c, 50))
        nu_text_put(&t->user, "List what %s %s as %s bullets.", name, verb, nu_words_number(n));
    else
        nu_text_put(&t->user, "Write these %s things as bullets.", nu_words_number(n));
    nu_text_put(&t->note, "%s %s %s.\nList of %s things:", name, verb, all.data,
                nu_words_number(n));
    put_bullets(&t->good, &list, n);
    t->check = json_pack("{s:i,s:[]}", "count", (int)n, "items");
    for (size_t i = 0; i < n; i++)
        json_array_append_new(json_object_get(t->check, "items"), json_string(list.words[i]));
    list.words[n] = more;
    list.n = n + 1;
    put_flawed(&t->flawed, c, &list, nu_words_any(lists[(which + 1) % 3], c));
    nu_text_free(&all);
}

void nu_make_bullets(nu_task *t, nu_chance *c, nu_split split)
{
    if (nu_chance_percent(c, 45))
        make_category(t, c, split);
    else
        make_given(t, c, split);
}

static bool belongs(const json_t *check, const char *item)
{
    const nu_category *kind = nu_words_category(nu_task_string(check, "category"));
    const json_t *given = json_object_get(check, "items");

    if (kind) return nu_words_hold(kind->words, item);
    for (size_t i = 0; i < json_array_size(given); i++)
        if (strcmp(json_string_value(json_array_get(given, i)), item) == 0) return true;
    return false;
}

typedef struct {
    size_t bullets, others; /* lines that are bullets, and that are not */
    size_t right;           /* different items that belong */
} counted;

static void count_line(counted *out, const json_t *check, char *line, char **seen)
{
    if (line[0] == '\0') return;
    if (strncmp(line, "- ", 2) != 0) {
        out->others++;
        return;
    }
    char *item = line + 2;
    for (char *p = item; *p; p++) *p = (char)tolower((unsigned char)*p);
    for (size_t i = 0; i < out->right; i++)
        if (strcmp(seen[i], item) == 0) item = NULL, i = out->right;
    out->bullets++;
    if (item && out->right < MAX_ITEMS && belongs(check, item)) seen[out->right++] = item;
}

/* Half for the number of bullets (a third less for each one off, and for each line that is none),
 * half for the share of different items that belong, of those asked. */
double nu_score_bullets(const json_t *check, const char *reply)
{
    double asked = (double)json_integer_value(json_object_get(check, "count"));
    char *copy = nu_text_trim(reply), *rest = copy, *seen[MAX_ITEMS];
    counted n = { 0 };

    for (char *line = rest; line; line = rest) {
        rest = strchr(line, '\n');
        if (rest) *rest++ = '\0';
        count_line(&n, check, line, seen);
    }
    double off = (double)n.bullets > asked ? (double)n.bullets - asked : asked - (double)n.bullets;
    double form = 1 - (off + (double)n.others) / 3;
    double share = (double)n.right / (asked > (double)n.bullets ? asked : (double)n.bullets);
    free(copy);
    if (!n.bullets || asked < 1) return 0;
    return (form > 0 ? form / 2 : 0) + share / 2;
}

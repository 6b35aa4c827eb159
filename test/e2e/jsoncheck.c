/* jsoncheck.c -- JSON for shell scripts: is this what the program promised to print?
 *
 *   jsoncheck one PATH...    stdin is exactly one JSON object that has every PATH
 *   jsoncheck lines PATH...  every line of stdin is one, and there is a line; prints how many
 *   jsoncheck get PATH       the value at PATH of every line's object, one a line
 *   jsoncheck count PATH     how many values the list or object at PATH has, for every line
 *   jsoncheck sum PATH       the sum of the numbers at PATH over all lines
 *
 * A PATH is keys and places with dots between, `cases.0.name`, and may end with the kind of the
 * value: :n number, :i whole number, :s text, :a list, :o object, :b true or false. */
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const json_t *step(const json_t *value, const char *key)
{
    if (json_is_array(value)) return json_array_get(value, (size_t)strtoul(key, NULL, 10));
    return json_object_get(value, key);
}

static const json_t *find(const json_t *root, const char *path)
{
    char words[256];
    const json_t *value = root;

    snprintf(words, sizeof words, "%s", path);
    words[strcspn(words, ":")] = '\0';
    for (char *key = strtok(words, "."); key && value; key = strtok(NULL, "."))
        value = step(value, key);
    return value;
}

static bool is_kind(const json_t *value, char kind)
{
    switch (kind) {
    case 'n':
        return json_is_number(value);
    case 'i':
        return json_is_integer(value);
    case 's':
        return json_is_string(value);
    case 'a':
        return json_is_array(value);
    case 'o':
        return json_is_object(value);
    case 'b':
        return json_is_boolean(value);
    default:
        return false;
    }
}

static bool has_all(const json_t *root, char **paths, int n)
{
    bool ok = true;

    for (int i = 0; i < n; i++) {
        const char *kind = strchr(paths[i], ':');
        const json_t *value = find(root, paths[i]);
        if (value && (!kind || is_kind(value, kind[1]))) continue;
        fprintf(stderr, "%s: %s\n", paths[i], value ? "another kind of value" : "not there");
        ok = false;
    }
    return ok;
}

static void print_count(const json_t *value)
{
    printf("%zu\n", json_is_array(value) ? json_array_size(value) : json_object_size(value));
}

static void print_value(const json_t *value)
{
    if (json_is_string(value))
        puts(json_string_value(value));
    else if (value) {
        json_dumpf(value, stdout, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(17));
        putchar('\n');
    } else
        puts("(not there)");
}

/* Everything of stdin; jansson refuses what follows the object. */
static int check_one(char **paths, int n)
{
    json_error_t where;
    json_t *root = json_loadf(stdin, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &where);
    bool ok = json_is_object(root);

    if (!ok) fprintf(stderr, "no JSON object, or not alone: line %d: %s\n", where.line, where.text);
    ok = ok && has_all(root, paths, n);
    json_decref(root);
    return ok ? 0 : 1;
}

static int each_line(const char *verb, char **paths, int n)
{
    char *line = NULL;
    size_t room = 0, n_lines = 0;
    double sum = 0;
    bool ok = true;

    while (ok && getline(&line, &room, stdin) > 0) {
        json_error_t where;
        json_t *root = json_loads(line, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &where);
        ok = json_is_object(root);
        n_lines++;
        if (!ok)
            fprintf(stderr, "line %zu is no JSON object: %s\n", n_lines, line);
        else if (!strcmp(verb, "lines"))
            ok = has_all(root, paths, n);
        else if (!strcmp(verb, "get"))
            print_value(find(root, paths[0]));
        else if (!strcmp(verb, "count"))
            print_count(find(root, paths[0]));
        else
            sum += json_number_value(find(root, paths[0]));
        json_decref(root);
    }
    free(line);
    if (!strcmp(verb, "lines")) printf("%zu\n", n_lines);
    if (!strcmp(verb, "sum")) printf("%.17g\n", sum);
    return ok && n_lines ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc >= 2 && !strcmp(argv[1], "one")) return check_one(argv + 2, argc - 2);
    if (argc >= 2 && !strcmp(argv[1], "lines")) return each_line("lines", argv + 2, argc - 2);
    if (argc == 3 &&
        (!strcmp(argv[1], "get") || !strcmp(argv[1], "count") || !strcmp(argv[1], "sum")))
        return each_line(argv[1], argv + 2, 1);
    fputs("usage: jsoncheck one|lines|get|count|sum PATH...\n", stderr);
    return 2;
}

/* nursery.h -- the nursery's small world: seeded text, instructions a program can check, scores.
 *
 * The program stands on the public headers, the C library and jansson. A seed decides every byte it
 * writes. Words are split in two once (words.c): what the training split uses in an instruction,
 * the held-out split never does, and the other way round. Pre-training text reads all words. */
#ifndef NURSERY_H
#define NURSERY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* ---- chance.c: seeded choices (SplitMix64, Steele et al. 2014) ---- */
typedef struct {
    uint64_t state;
} nu_chance;

nu_chance nu_chance_seed(uint64_t seed, const char *purpose); /* another purpose, another stream */
uint64_t nu_chance_next(nu_chance *c);
size_t nu_chance_below(nu_chance *c, size_t n); /* 0 .. n-1; n > 0 */
bool nu_chance_percent(nu_chance *c, unsigned percent);
/* Writes k different numbers below n to out, in random order; k <= n <= 64. */
void nu_chance_pick(nu_chance *c, size_t *out, size_t k, size_t n);
uint64_t nu_chance_hash(const char *text); /* FNV-1a */

/* ---- text.c: a growing string, words and sentences in it ---- */
typedef struct {
    char *data; /* NULL until something is put; otherwise ends with '\0' */
    size_t len, cap;
} nu_text;

void nu_text_put(nu_text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void nu_text_clear(nu_text *t); /* empty, memory kept */
void nu_text_free(nu_text *t);
const char *nu_text_str(const nu_text *t); /* never NULL */

size_t nu_text_find_word(const char *text, const char *word, size_t from); /* SIZE_MAX: not there */
bool nu_text_has_word(const char *text, const char *word); /* whole words, any case */
bool nu_text_ends_with(const char *text, const char *end); /* white space at the end is ignored */
bool nu_text_begins_with(const char *text, const char *begin);
size_t nu_text_count_words(const char *text);
size_t nu_text_count_sentences(const char *text);
/* The text without white space at its ends, in a fresh string to be freed. */
char *nu_text_trim(const char *text);

/* ---- words.c: the words of the world and their split ---- */
typedef enum { NU_ALL, NU_TRAIN, NU_HELDOUT } nu_split;

typedef struct {
    const char *const *words;
    size_t n;
} nu_words;

extern const nu_words nu_places, nu_objects, nu_colors, nu_foods, nu_fruits, nu_jobs, nu_animals,
    nu_adjectives;

const char *nu_words_any(const nu_words *list, nu_chance *c);
bool nu_words_hold(const nu_words *list, const char *word);
const char *nu_words_name(nu_chance *c, nu_split split);
bool nu_words_is_name(const char *first, const char *last, nu_split split);
const char *nu_words_number(size_t n); /* "one" .. "nine" */
/* True when an instruction that joins a and b belongs to `split`. */
bool nu_words_allowed(nu_split split, const char *a, const char *b);

/* The kinds of things a list can be made of: "animals", "fruits", ... */
typedef struct {
    const char *title, *single; /* "animals", "animal" */
    const nu_words *words;
} nu_category;

extern const nu_category nu_categories[];
extern const size_t nu_n_categories;
const nu_category *nu_words_category(const char *title); /* NULL: unknown */

/* A thing that one can tell about: an animal or a job, with four sentences, each with a key word
 * that an instruction may forbid. */
enum { NU_TOPIC_FACTS = 4 };
typedef struct {
    const char *word;
    const char *facts[NU_TOPIC_FACTS]; /* said after "A cow ": "lives on a farm" */
    const char *keys[NU_TOPIC_FACTS];  /* "farm" */
} nu_topic;

extern const nu_topic nu_topics[];
extern const size_t nu_n_topics;

/* A short sentence to begin or end with, "Thank you, captain."; split by its two parts. */
void nu_words_phrase(nu_text *out, nu_chance *c, nu_split split);

/* ---- world.c: a few facts about a few people, and questions on them ---- */
typedef enum { NU_PLACE, NU_THING, NU_FOOD, NU_JOB, NU_PET, NU_RELATIONS } nu_relation;

typedef struct {
    const char *who;
    nu_relation relation;
    const char *what;  /* place, object, food, job, animal */
    const char *color; /* of an object, else NULL */
} nu_fact;

enum { NU_SCENE_FACTS = 8 };
typedef struct {
    nu_fact facts[NU_SCENE_FACTS];
    size_t n;
} nu_scene;

typedef struct {
    nu_text ask, reply, wrong_reply; /* "Where is Anna?", "Anna is in the park.", another place */
    char word[32]; /* the answer in a word: "park", or a name; empty: the scene does not say */
} nu_question;

void nu_world_scene(nu_scene *s, nu_chance *c, nu_split split, size_t n_facts);
void nu_world_person(nu_scene *s, nu_chance *c, nu_split split); /* every relation of one person */
void nu_world_fact_text(nu_text *out, const nu_fact *f);
void nu_world_scene_text(nu_text *out, const nu_scene *s);
typedef enum { NU_ASK_ANY, NU_ASK_KNOWN, NU_ASK_UNKNOWN } nu_ask;
void nu_world_question(nu_question *q, nu_chance *c, const nu_scene *s, nu_split split, nu_ask how);
void nu_world_question_free(nu_question *q);
/* Names and words of the scene that a right reply to q has no reason to say. */
json_t *nu_world_wrong_words(const nu_scene *s, const nu_question *q);

/* ---- task*.c: one kind of instruction each ---- */
typedef struct {
    const char *kind;
    nu_text system; /* empty: none */
    nu_text user;   /* the instruction as a person would type it */
    nu_text note;   /* the same wish as a note in pre-training text */
    nu_text good;   /* a reply that the checker gives 1.0 */
    nu_text flawed; /* a reply with one of the mistakes people make */
    json_t *check;  /* what the checker needs; NULL: nothing to check */
} nu_task;

typedef struct {
    const char *name;
    unsigned share; /* of instructions, in percent */
    void (*make)(nu_task *t, nu_chance *c, nu_split split);
    double (*score)(const json_t *check, const char *reply); /* 0 .. 1; NULL: not scored */
} nu_kind;

extern const nu_kind nu_kinds[];
extern const size_t nu_n_kinds;
const nu_kind *nu_task_kind(const char *name); /* NULL: unknown */

void nu_task_make(nu_task *t, const nu_kind *kind, nu_chance *c, nu_split split);
void nu_task_free(nu_task *t);
json_t *nu_task_messages(const nu_task *t, const char *reply); /* reply NULL: the prompt alone */
double nu_task_score(const char *kind, const json_t *check, const char *reply);
/* Of the "replies" of a line of `nursery sample`, at most `max`; returns how many. */
size_t nu_task_score_replies(double *scores, size_t max, const json_t *line);

void nu_make_context(nu_task *t, nu_chance *c, nu_split split);
void nu_make_bullets(nu_task *t, nu_chance *c, nu_split split);
void nu_make_json(nu_task *t, nu_chance *c, nu_split split);
void nu_make_use(nu_task *t, nu_chance *c, nu_split split);
void nu_make_avoid(nu_task *t, nu_chance *c, nu_split split);
void nu_make_end(nu_task *t, nu_chance *c, nu_split split);
void nu_make_system(nu_task *t, nu_chance *c, nu_split split);
void nu_make_talk(nu_task *t, nu_chance *c, nu_split split);

double nu_score_context(const json_t *check, const char *reply);
double nu_score_bullets(const json_t *check, const char *reply);
double nu_score_json(const json_t *check, const char *reply);
double nu_score_use(const json_t *check, const char *reply);
double nu_score_avoid(const json_t *check, const char *reply);
double nu_score_end(const json_t *check, const char *reply);
double nu_score_system(const json_t *check, const char *reply);

/* "A cow lives on a farm. It eats grass.": `n` facts of the topic, none with the word `without`
 * (NULL: any). */
void nu_task_tell(nu_text *out, const nu_topic *topic, nu_chance *c, size_t n, const char *without);
/* A topic and one of its key words that may be joined in `split`. */
const nu_topic *nu_task_topic(nu_chance *c, nu_split split, const char **key);
/* Strings of a JSON array that are words of the reply. */
size_t nu_task_count_said(const json_t *words, const char *reply);
const char *nu_task_string(const json_t *check, const char *key); /* "" when missing */

/* ---- rank.c ---- */

/* Ranks as in sports: 1 and how many are better, so that equal scores share a rank. Returns how
 * many pairs are tied. */
size_t nu_rank(size_t *ranks, const double *scores, size_t n);

/* ---- story.c, corpus.c: pre-training text ---- */
void nu_story_make(nu_text *out, nu_chance *c);
void nu_story_talk(nu_text *out, nu_chance *c);   /* two people speaking */
void nu_story_lesson(nu_text *out, nu_chance *c); /* facts about animals and jobs, asked and told */
void nu_corpus_document(nu_text *out, nu_chance *c);

/* ---- bootstrap.c ---- */
typedef struct {
    double low, high;
} nu_interval;

/* 95 % intervals of each model's mean, and of its gain over the model starts[m], an index (over
 * itself: 0). scores: [n_models][n_prompts]; the same draws serve every model. */
void nu_bootstrap(nu_interval *means, nu_interval *gains, const double *const *scores,
                  const size_t *starts, size_t n_models, size_t n_prompts, size_t n_draws,
                  uint64_t seed);

/* ---- the commands: each returns the program's exit code ---- */
typedef struct {
    const char *model, *split, *out, *json;
    const char *start;     /* of sample: the model that was started from */
    const char *judge;     /* of report: what `nursery accuracy` wrote */
    const char *times[16]; /* of report: "stage=seconds" */
    size_t n_times;
    const char *files[8];
    size_t n_files;
    const char *settings[24]; /* of train: "key=value" */
    size_t n_settings;
    uint64_t seed;
    size_t n, bytes, replies;
    int threads;
    double temperature, seconds;
    bool each, resume;
} nu_options;

int nu_cmd_text(const nu_options *o);
int nu_cmd_sft(const nu_options *o);
int nu_cmd_prompts(const nu_options *o);
int nu_cmd_score(const nu_options *o);
int nu_cmd_vocab(const nu_options *o);
int nu_cmd_sample(const nu_options *o);
int nu_cmd_train(const nu_options *o);
int nu_cmd_reward(const nu_options *o);
int nu_cmd_pairs(const nu_options *o);
int nu_cmd_rank(const nu_options *o);
int nu_cmd_accuracy(const nu_options *o);
int nu_cmd_report(const nu_options *o);

/* Prints "nursery: ..." to stderr and ends the program with code 1. */
void nu_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/* Calls `take` for each JSON line of the file; dies with file and line when one does not parse. */
void nu_each_line(const char *path, void (*take)(json_t *line, void *user), void *user);
void nu_print_line(json_t *line); /* one JSON line on stdout; frees it */
void nu_progress(const char *what, size_t done,
                 size_t total); /* a bar on stderr, drawn over itself */

#endif

/* sentences.c -- where sentences end, by Punkt's rules. */
#include "eval/sentences.h"

#include "text/text.h"

#include <string.h>

/* The English model's, each between spaces. */
static const char abbreviations[] =
    " ct m.j t a.c n.h ms p.a.m dr pa p.m u.k st dec u.s.a lt g.k adm p h.m ga tenn yr sen n.c "
    "j.j d.h s.g inc vs s.p.a a.t n feb sr jan s.a.y n.y col g.f c.o.m.b d ft va r.k e.f chg r.i "
    "a.g minn a.h k n.j m l.f f.j gen i.m.s s.a aug j.p okla m.d.c ltd oct s vt r.a j.c ariz w.w "
    "b.v ore h w.r e.h mrs cie corp w n.v a.d r.j ok e.m w.c ill nov u.s prof conn u.s.s.r mg "
    "f.g ph.d g calif messrs h.f wash tues sw bros u.n l wis mr sep d.c ave e.l co s.s reps c r.t "
    "h.c r wed a.s v fla jr r.h c.v m.b.a rep a.a e c.i.t l.a b.f j.b d.w j.k ala f w.va sept mich "
    "n.m j.r l.p s.c colo fri a.m g.d kan maj ky a.m.e n.d t.j cos nev ";
static const char starters[] =
    " most he since so both these it nevertheless this indeed however instead under similarly some "
    "though while when in despite although nonetheless thus there if the nor separately moreover "
    "but they yet many according sales among meanwhile even i ";
/* Words that are written small in the middle of a sentence: capitalised, they begin one. */
static const char function_words[] =
    " a an and as at after all also another any are be because been before being by can could did "
    "do does each every few for from had has have her here his how is its let may might more must "
    "my "
    "no not now of on once one only or other our out over she should that their then those through "
    "to too until up upon was we were what where whether which who why will with within without "
    "would you your ";

#define NON_WORD "[)\";}\\]\\*:@'\\({\\[!?]"
#define MULTI    "(?:-{2,}|\\.{2,}|(?:\\.\\s){2,}\\.)"
/* A word that ends like a sentence, and what comes after it: group 1; a next word: group 2. Tried
 * once a word: further in, it would find what it found, or nothing again. */
static const char possible_end[] = "(?<!\\S)\\S*[.?!](?=(" NON_WORD "|\\s+(\\S+)))";
static const char punkt_word[] = MULTI "|(?=[^\\(\"`{\\[:;&#*@\\)}\\]\\-,])\\S+?(?=\\s|$|" NON_WORD
                                       "|" MULTI "|,(?=$|\\s|" NON_WORD "|" MULTI "))|\\S";
/* Closing punctuation that belongs to the sentence before. */
static const char closing[] = "^[\"')\\]}]+?(?:\\s+|(?=--)|$)";
static const char number[] = "^-?[\\.,]?\\d[\\d,\\.-]*\\.?$";

enum { END, WORD, CLOSING, NUMBER, PATTERNS };

typedef struct {
    ae_regex *patterns[PATTERNS];
    ae_bytes lower;
    ae_word_fn *fn;
    void *user;
} cutter;

/* Whether a list has the word, in lower case. */
static bool is_in(cutter *c, const char *list, ae_span word)
{
    ae_bytes_clear(&c->lower);
    ae_bytes_add_char(&c->lower, ' ');
    jinja_put_case(&c->lower, word, JINJA_LOWER);
    ae_bytes_add_char(&c->lower, ' ');
    return !c->lower.failed && word.len > 0 && !memchr(word.data, ' ', word.len) &&
           jinja_find_text(ae_span_text(list), ae_span_of(&c->lower), 0) != SIZE_MAX;
}

static bool is_abbreviation(cutter *c, ae_span word)
{
    ae_span last = word;

    if (is_in(c, abbreviations, word)) return true;
    for (size_t i = 0; i < word.len; i++)
        if (word.data[i] == '-') last = (ae_span){ word.data + i + 1, word.len - i - 1 };
    return is_in(c, abbreviations, last);
}

static bool ends_in_period(ae_span word)
{
    return word.len > 0 && word.data[word.len - 1] == '.';
}

static int32_t first_char(ae_span word)
{
    size_t at = 0;
    return word.len > 0 ? ae_utf8_next(word, &at) : -1;
}

static bool is_initial(ae_span word)
{
    size_t at = 0;
    int32_t letter = word.len > 1 ? ae_utf8_next(word, &at) : -1;

    return word.len == at + 1 && jinja_is_alpha(letter) && ends_in_period(word);
}

typedef enum { NO, UNKNOWN, YES } answer;

/* Whether a word begins a sentence, by its looks. */
static answer begins_sentence(cutter *c, ae_span word)
{
    int32_t first = first_char(word);

    if (word.len == 1 && strchr(";:,.!?", word.data[0])) return NO;
    if (jinja_is_lower(first)) return NO;
    if (jinja_is_upper(first) && (is_in(c, function_words, word) || is_in(c, starters, word)))
        return YES;
    return UNKNOWN;
}

static ae_span without_period(ae_span word)
{
    if (word.len > 1 && ends_in_period(word)) word.len--;
    return word;
}

/* Whether a sentence ends after `word`, before `next`. */
static bool ends_sentence(cutter *c, ae_span word, ae_span next)
{
    bool ellipsis = word.len >= 2 && word.data[0] == '.' && word.data[1] == '.';
    bool abbreviated = false, ends;

    if (word.len == 1 && strchr(".?!", word.data[0])) return true;
    if (!ends_in_period(word)) return false;
    if (word.len >= 2 && word.data[word.len - 2] == '.') {
        ends = false; /* ".." and longer: by what follows */
    } else {
        abbreviated = is_abbreviation(c, (ae_span){ word.data, word.len - 1 });
        ends = !abbreviated;
    }
    next = without_period(next);
    if ((abbreviated || ellipsis) && !is_initial(word))
        return begins_sentence(c, next) == YES ||
               (jinja_is_upper(first_char(next)) && is_in(c, starters, next));
    if (is_initial(word) || ae_regex_find(c->patterns[NUMBER], word, 0, NULL, 0)) {
        answer next_begins = begins_sentence(c, next);
        if (next_begins == NO) return false;
        if (next_begins == UNKNOWN && is_initial(word) && jinja_is_upper(first_char(next)))
            return false;
    }
    return ends;
}

/* Whether, in a word that ends like a sentence and what follows it, one ends. */
static bool holds_end(cutter *c, ae_span context)
{
    ae_span word = { NULL, 0 }, next;

    for (size_t at = 0; ae_regex_find(c->patterns[WORD], context, at, &next, 1);
         at = (size_t)(next.data - context.data) + next.len) {
        if (word.data && ends_sentence(c, word, next)) return true;
        word = next;
    }
    return false;
}

/* Tells of text[*start .. end), less what goes to the sentence before it. */
static bool tell(cutter *c, ae_span text, size_t *start, size_t end)
{
    ae_span sentence = { text.data + *start, end - *start };

    *start = end;
    sentence = jinja_strip(sentence, true, true);
    return sentence.len == 0 || c->fn(c->user, sentence);
}

static bool cut(cutter *c, ae_span text)
{
    size_t start = 0;
    ae_span end[3];

    for (size_t at = 0; ae_regex_find(c->patterns[END], text, at, end, 3);) {
        at = (size_t)(end[0].data - text.data) + end[0].len;
        ae_span context = { end[0].data, end[0].len + end[1].len };
        if (!holds_end(c, context)) continue;
        size_t next = end[2].data ? (size_t)(end[2].data - text.data) : at;
        ae_span moved, rest = { text.data + next, text.len - next };
        if (ae_regex_find(c->patterns[CLOSING], rest, 0, &moved, 1)) next += moved.len;
        if (!tell(c, text, &start, next)) return false;
    }
    return tell(c, text, &start, text.len);
}

aerie_status ae_each_sentence(ae_span text, ae_word_fn *fn, void *user, aerie_error *err)
{
    static const char *const patterns[PATTERNS] = { possible_end, punkt_word, closing, number };
    cutter c = { .fn = fn, .user = user };
    aerie_status status = AERIE_OK;

    if (!text.data) text = (ae_span){ "", 0 };
    for (int i = 0; i < PATTERNS && !status; i++)
        status = ae_regex_open_search(&c.patterns[i], patterns[i], 0, err);
    if (!status) cut(&c, text);
    for (int i = 0; i < PATTERNS && !status; i++) status = ae_regex_status(c.patterns[i], err);
    if (!status) status = ae_bytes_status(&c.lower, err);
    for (int i = 0; i < PATTERNS; i++) ae_regex_close(c.patterns[i]);
    ae_bytes_free(&c.lower);
    return status;
}

static bool count(void *user, ae_span sentence)
{
    (void)sentence;
    ++*(int64_t *)user;
    return true;
}

aerie_status ae_count_sentences(int64_t *out, ae_span text, aerie_error *err)
{
    *out = 0;
    return ae_each_sentence(text, count, out, err);
}

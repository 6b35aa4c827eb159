/* language.c -- a text's language by its letters and its commonest words. */
#include "eval/language.h"

#include "text/text.h"

#include <string.h>

typedef enum { LATIN, CYRILLIC, ARABIC, DEVANAGARI, HAN, KANA, OTHER, SCRIPTS } script;

/* Scripts with one language, and first those with several. */
static const struct {
    int32_t first, last;
    script script;
    const char *language;
} ranges[] = {
    { 'A', 'Z', LATIN, NULL },        { 'a', 'z', LATIN, NULL },
    { 0xc0, 0x24f, LATIN, NULL },     { 0x1e00, 0x1eff, LATIN, NULL },
    { 0x400, 0x52f, CYRILLIC, NULL }, { 0x600, 0x6ff, ARABIC, NULL },
    { 0x750, 0x77f, ARABIC, NULL },   { 0xfb50, 0xfdff, ARABIC, NULL },
    { 0xfe70, 0xfeff, ARABIC, NULL }, { 0x900, 0x97f, DEVANAGARI, NULL },
    { 0x3400, 0x9fff, HAN, NULL },    { 0x3040, 0x30ff, KANA, NULL },
    { 0x370, 0x3ff, OTHER, "el" },    { 0x590, 0x5ff, OTHER, "he" },
    { 0x980, 0x9ff, OTHER, "bn" },    { 0xa00, 0xa7f, OTHER, "pa" },
    { 0xa80, 0xaff, OTHER, "gu" },    { 0xb80, 0xbff, OTHER, "ta" },
    { 0xc00, 0xc7f, OTHER, "te" },    { 0xc80, 0xcff, OTHER, "kn" },
    { 0xd00, 0xd7f, OTHER, "ml" },    { 0xe00, 0xe7f, OTHER, "th" },
    { 0x1100, 0x11ff, OTHER, "ko" },  { 0xac00, 0xd7af, OTHER, "ko" },
};

/* Words that are common in one language and rare, or other words, in the others of its script. */
static const struct {
    script script;
    const char *language;
    const char *words;
} common[] = {
    { LATIN, "en",
      " the of and to is that it for with as his they at be this from have or by one had not but "
      "what all were when we there can an your which their said if do will each about how up out "
      "them then she many some so these would other into has more her two like him see time could "
      "no make than been its who now my made over did down only way find use may you are was on "
      "i'm i'll don't it's " },
    { LATIN, "es",
      " de la que el en y los se del las un por con una su para es al lo como más pero sus le ya o "
      "este sí porque esta entre cuando muy sin sobre también me hasta hay donde quien desde todo "
      "nos está son no " },
    { LATIN, "pt",
      " de a o que e do da em um para é com não uma os no se na por mais as dos como mas foi ao "
      "ele "
      "das tem à seu sua ou ser quando muito há nos já está eu também só pelo pela até isso ela "
      "você são " },
    { LATIN, "fr",
      " de la le et les des en un du une que est pour qui dans a par plus pas au sur ne se ce il "
      "sont ou avec son cette aux elle nous vous mais comme être leur sa je on été très d'un l'on "
      "c'est " },
    { LATIN, "de",
      " der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es "
      "an "
      "werden aus er hat dass sie nach wird bei einer um am sind noch wie einem über einen so zum "
      "war haben nur oder aber vor zur bis ich wir ihre " },
    { LATIN, "it",
      " di e il la che in un a per è una sono con non del da al come le dei nel della si lo gli "
      "più "
      "ma alla anche delle questo i ha se su mi nella o ci questa sul dal sulla suo " },
    { LATIN, "nl",
      " de van een het en in is dat op te zijn met voor niet aan er om ook als dan maar bij uit "
      "nog "
      "wel naar heb hij zij wordt deze ik je " },
    { LATIN, "pl",
      " w i na z do się nie to jest że o jak za od po co tak ale dla przez są jego może który przy "
      "już być tym oraz ma czy " },
    { LATIN, "fi",
      " ja on ei että se oli hän mutta kun niin joka ovat en minä sinä ole myös kuin tai jos sen "
      "tämä mitä vain voi kaikki olen sitten siitä meidän " },
    { LATIN, "sw",
      " na ya wa kwa ni katika la za kama hii yake huu hiyo kuwa lakini cha si wao yeye mimi nini "
      "moja watu mtu sana au hata pia ili hivyo kila " },
    { LATIN, "vi",
      " và của là có trong được cho một không người với các này để những đã khi đến từ như về cũng "
      "tôi bạn chúng ra làm nhiều vào " },
    { LATIN, "tr",
      " ve bir bu için da de ile çok olarak daha olan gibi ne var kadar ama değil o ben sen mi " },
    { LATIN, "id",
      " yang dan di dengan untuk ini dari dalam itu tidak pada adalah akan ke kami saya anda oleh "
      "ada juga bisa atau " },
    { LATIN, "ro",
      " și de în la cu pe nu o un din că este mai pentru care sunt se ce ca au fost sau " },
    { LATIN, "sv",
      " och i att det som en på är av för med den till inte har de om ett han men var jag vi " },
    { LATIN, "da",
      " og i at det er en til på som for med de af den ikke der har jeg et han men vi kan " },
    { LATIN, "so", " iyo waa oo ka ku in ay soo uu la waxa kala aan " },
    { LATIN, "tl",
      " ang ng sa na mga at ay ko hindi si ito niya siya ka para mo kung pero may isang " },
    { CYRILLIC, "ru",
      " и в не на я что он с а как это по но они мы она к у из за от так его для же или бы о ты "
      "был "
      "только если уже вы может ещё когда " },
    { CYRILLIC, "uk",
      " і в на не що я з та у це як до він але за від про його є для ми вони так чи або якщо ви ще "
      "який бути також був " },
    { CYRILLIC, "bg",
      " и на да не се в от за е с по че това са като ще но има си аз той му към може които или до "
      "беше този тази върху през така " },
    { CYRILLIC, "mk", " и на да не се во од за е со по дека ова се како ќе но има си јас тој " },
    { DEVANAGARI, "hi",
      " है हैं का की के में और को से नहीं एक यह पर भी तो कर था थी थे हो लिए कि ने जो वह हम या अपने "
      "अपनी गया साथ कुछ " },
    { DEVANAGARI, "mr",
      " आहे आहेत आणि मी तो ती ते हे ही हा नाही होते होता होती एक तर पण या त्या मध्ये करून साठी काय "
      "आपल्या असे केले " },
    { DEVANAGARI, "ne",
      " छ छन् र को मा लाई पनि भने हो गर्न हुन्छ यो एक तर त गरेको गर्नुहोस् भएको हामी थियो अनि "
      "लागि बाट " },
};

/* Letters that a language has and the others of its script have not, or seldom; counted like
 * words. */
static const struct {
    script script;
    const char *language;
    const char *letters;
} own_letters[] = {
    { LATIN, "vi", "ăđơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ" },
    { LATIN, "pl", "łąęśźżćń" },
    { LATIN, "es", "ñ¿¡" },
    { LATIN, "de", "ß" },
    { LATIN, "tr", "ğış" },
    { LATIN, "ro", "țș" },
    { CYRILLIC, "ru", "ыэё" },
    { CYRILLIC, "uk", "іїєґ" },
    { ARABIC, "ar", "يكةىأإؤئ" },
    { ARABIC, "fa", "یکگپچژ" },
    { ARABIC, "ur", "ٹڈڑںےہھ" },
    { DEVANAGARI, "mr", "ळ" },
};

enum { VOTES = 32 };

typedef struct {
    int64_t letters[SCRIPTS];
    int64_t seen[AE_COUNT(ranges)];
} census;

static void count_letters(census *c, ae_span text)
{
    for (size_t at = 0; at < text.len;) {
        int32_t code = ae_utf8_next(text, &at);
        for (size_t i = 0; i < AE_COUNT(ranges); i++)
            if (code >= ranges[i].first && code <= ranges[i].last) {
                c->letters[ranges[i].script]++;
                c->seen[i]++;
                break;
            }
    }
}

/* Latin letters in a text that is mostly of another script are names and terms: langdetect leaves
 * them out where they are less than half of the others. */
static script script_of(const census *c)
{
    int64_t most = 0;
    script best = LATIN;

    for (script s = CYRILLIC; s < SCRIPTS; s++)
        if (c->letters[s] > most) {
            most = c->letters[s];
            best = s;
        }
    return c->letters[LATIN] > most ? LATIN : best;
}

typedef struct {
    const char *language;
    int64_t n;
} vote;

static void add_votes(vote *votes, const char *language, int64_t n)
{
    size_t i = 0;

    while (i < VOTES - 1 && votes[i].language && strcmp(votes[i].language, language)) i++;
    votes[i].language = language;
    votes[i].n += n;
}

static void vote_by_letters(vote *votes, script s, ae_span text)
{
    for (size_t i = 0; i < AE_COUNT(own_letters); i++) {
        ae_span letters = ae_span_text(own_letters[i].letters);
        int64_t n = 0;
        if (own_letters[i].script != s) continue;
        for (size_t at = 0; at < text.len;) {
            size_t start = at;
            if (ae_utf8_next(text, &at) >= 128)
                n += jinja_find_text(letters, (ae_span){ text.data + start, at - start }, 0) !=
                     SIZE_MAX;
        }
        add_votes(votes, own_letters[i].language, n);
    }
}

static void vote_by_word(vote *votes, script s, ae_span word)
{
    for (size_t i = 0; i < AE_COUNT(common); i++)
        if (common[i].script == s &&
            jinja_find_text(ae_span_text(common[i].words), word, 0) != SIZE_MAX)
            add_votes(votes, common[i].language, 1);
}

static aerie_status vote_by_words(vote *votes, script s, ae_span text, aerie_error *err)
{
    ae_regex *letters = NULL;
    ae_bytes word = { 0 };
    ae_span match;
    aerie_status status = ae_regex_open_search(&letters, "[\\p{L}\\p{M}]+(?:'\\p{L}+)?", 0, err);

    for (size_t at = 0; !status && ae_regex_find(letters, text, at, &match, 1);
         at = (size_t)(match.data - text.data) + match.len) {
        ae_bytes_clear(&word);
        ae_bytes_add_char(&word, ' ');
        jinja_put_case(&word, match, JINJA_LOWER);
        ae_bytes_add_char(&word, ' ');
        status = ae_bytes_status(&word, err);
        if (!status) vote_by_word(votes, s, ae_span_of(&word));
    }
    if (!status) status = ae_regex_status(letters, err);
    ae_regex_close(letters);
    ae_bytes_free(&word);
    return status;
}

static const char *most_voted(const vote *votes, const char *otherwise)
{
    const char *best = otherwise;
    int64_t most = 0;

    for (size_t i = 0; i < VOTES && votes[i].language; i++)
        if (votes[i].n > most) {
            most = votes[i].n;
            best = votes[i].language;
        }
    return best;
}

static const char *language_of_other(const census *c)
{
    const char *best = NULL;
    int64_t most = 0;

    for (size_t i = 0; i < AE_COUNT(ranges); i++)
        if (ranges[i].language && c->seen[i] > most) {
            most = c->seen[i];
            best = ranges[i].language;
        }
    return best;
}

aerie_status ae_language_of(const char **out, ae_span text, aerie_error *err)
{
    static const char *const otherwise[SCRIPTS] = { "en", "ru", "ar", "hi", "zh-cn", "ja", NULL };
    census c = { .letters = { 0 } };
    vote votes[VOTES] = { { NULL, 0 } };
    int64_t letters = 0;
    aerie_status status = AERIE_OK;

    *out = NULL;
    count_letters(&c, text);
    for (int s = 0; s < SCRIPTS; s++) letters += c.letters[s];
    if (letters == 0) return AERIE_OK;
    script s = script_of(&c);
    if (s == HAN && c.letters[KANA] > 0) s = KANA;
    if (s == OTHER) {
        *out = language_of_other(&c);
        return AERIE_OK;
    }
    vote_by_letters(votes, s, text);
    status = vote_by_words(votes, s, text, err);
    if (!status) *out = most_voted(votes, otherwise[s]);
    return status;
}

/* Numbers of a CSV or JSON body → float64 matrix; ensembles of trees; C's own exp. native.py beside this file calls it.

   Laws: no byte outside [body, body + size) is read, no cell outside [out, out + capacity) is written. Nothing depends
   on the locale or on the order of threads. What is not certain is handed back with its place: the slow
   readers explain it. A forest is walked only when trees.py has found every index in it sound.
   Builds with gcc and clang as one unit: -O3 -ffp-contract=off, no -march. */
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#if FLT_EVAL_METHOD != 0 || FLT_RADIX != 2 || DBL_MANT_DIG != 53
#error "doubles must be IEEE 754 and must not be computed in a wider type"
#endif

#ifndef SOURCE_HASH
#define SOURCE_HASH "unknown"
#endif
const char *const source_hash = SOURCE_HASH; /* native.py takes no library of another source */

typedef unsigned char byte;
__extension__ typedef unsigned __int128 wide;

/* ---- Decimal numbers → doubles, correctly rounded ---------------------------------------------------------------- */

static const double TENS[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                              1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* 5^k, shifted so that its highest bit is the highest of 64; how far; and 2^127 divided by that. */
typedef struct {
    uint64_t top;
    int shift;
    uint64_t inverse;
} Five;
#define TOP(n) ((uint64_t)n##u << __builtin_clzll(n##u))
#define FIVE(n) {TOP(n), __builtin_clzll(n##u), (uint64_t)(((wide)1 << 127) / TOP(n))}
enum { MOST_FIVES = 27, LONGEST_POWER = 400 };
static const Five FIVES[MOST_FIVES + 1] = {
    {0, 0, 0}, FIVE(5), FIVE(25), FIVE(125), FIVE(625), FIVE(3125), FIVE(15625), FIVE(78125),
    FIVE(390625), FIVE(1953125), FIVE(9765625), FIVE(48828125), FIVE(244140625),
    FIVE(1220703125), FIVE(6103515625), FIVE(30517578125), FIVE(152587890625),
    FIVE(762939453125), FIVE(3814697265625), FIVE(19073486328125),
    FIVE(95367431640625), FIVE(476837158203125), FIVE(2384185791015625),
    FIVE(11920928955078125), FIVE(59604644775390625), FIVE(298023223876953125),
    FIVE(1490116119384765625), FIVE(7450580596923828125)};

static double of_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* q × 2^power, rounded half to even; the highest bit of q is set. Not a finite normal double: 0, which q never is. */
static double rounded(uint64_t q, int64_t power)
{
    uint64_t rest = q & 0x7ff, kept = q >> 11;
    kept += rest > 0x400 || (rest == 0x400 && (kept & 1));
    if (kept >> 53) {
        kept >>= 1;
        power++;
    }
    int64_t exponent = power + 11 + 52 + 1023;
    if (exponent < 1 || exponent > 2046)
        return 0.0;
    return of_bits((kept & ~(1ULL << 52)) | (uint64_t)exponent << 52);
}

/* A number from digits × 10^power to (digits + lost) × 10^power into *value. 0 where 64 bits do not decide how it is
   rounded: `low` and `low + slack` enclose it all the way, and must be rounded to the same double at the end. */
static int scaled(uint64_t digits, int64_t power, int lost, double *value)
{
    if (!lost && digits <= 1ULL << 53 && power >= -22 && power <= 22) {
        *value = power < 0 ? (double)digits / TENS[-power] : (double)digits * TENS[power];
        return 1;
    }
    *value = 0.0;
    if (digits == 0 && !lost)
        return 1;
    if (digits == 0 || power < -LONGEST_POWER || power > LONGEST_POWER)
        return 0;
    int zeros = __builtin_clzll(digits);
    uint64_t low = digits << zeros, slack = (uint64_t)lost << zeros;
    int64_t twos = power - zeros;
    while (power != 0) {
        if (power < 0) {
            const Five *five = FIVES + (power < -MOST_FIVES ? MOST_FIVES : -power);
            uint64_t quotient = (uint64_t)((wide)low * five->inverse >> 64); /* at most two too small */
            wide rest = ((wide)low << 63) - (wide)quotient * five->top;
            for (; rest >= five->top; rest -= five->top)
                quotient++;
            slack += rest != 0 || slack != 0;
            low = quotient;
            twos += five->shift - 63;
            power += five - FIVES;
        } else {
            const Five *five = FIVES + (power > MOST_FIVES ? MOST_FIVES : power);
            wide product = (wide)low * five->top;
            low = (uint64_t)(product >> 64);
            slack += (uint64_t)product != 0 || slack != 0;
            twos += 64 - five->shift;
            power -= five - FIVES;
        }
        zeros = __builtin_clzll(low);
        low <<= zeros;
        slack <<= zeros;
        twos -= zeros;
    }
    *value = rounded(low, twos);
    return *value != 0.0 && low + slack >= low && rounded(low + slack, twos) == *value;
}

static int is_digit(byte c) { return (unsigned)(c - '0') < 10; }

/* Past all digits at p, which are put behind those in *value (modulo 2^64). */
static const byte *digits_at(const byte *p, const byte *end, uint64_t *value)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    while (end - p >= 8) { /* eight at once: pairs, then fours, then all */
        uint64_t eight;
        memcpy(&eight, p, sizeof eight);
        eight ^= 0x3030303030303030u;
        if (((eight + 0x7676767676767676u) | eight) & 0x8080808080808080u)
            break;
        eight = eight * 10 + (eight >> 8);
        eight = ((eight & 0xff000000ffu) * 0xf424000000064u + (eight >> 16 & 0xff000000ffu) * 0x271000000001u) >> 32;
        *value = *value * 100000000 + eight;
        p += 8;
    }
#endif
    for (; p < end && is_digit(*p); p++)
        *value = *value * 10 + (uint64_t)(*p - '0');
    return p;
}

typedef struct {
    double value;
    int whole;    /* no point, no exponent */
    int deferred; /* a number, but one that the caller has to read */
} Number;

/* A number of more digits by the first nineteen that count: what follows them lies between them and them plus one. */
static int shortened(const byte *p, const byte *end, int64_t exponent, double *value)
{
    uint64_t digits = 0;
    int kept = 0, point = 0, lost = 0;
    for (; p < end; p++) {
        if (*p == '.') {
            point = 1;
        } else if (kept < 19) {
            digits = digits * 10 + (uint64_t)(*p - '0');
            kept += digits != 0;
            exponent -= point;
        } else {
            exponent += !point;
            lost |= *p != '0'; /* or more digits than nineteen */
        }
    }
    return scaled(digits, exponent, lost, value);
}

/* Reads a number at p; behind it, or NULL if there is none. `strict` is JSON's grammar, else float()'s decimal one. */
static inline const byte *number(const byte *p, const byte *end, int strict, Number *out)
{
    int negative = 0;
    if (p < end && (*p == '-' || (*p == '+' && !strict)))
        negative = *p++ == '-';
    const byte *first = p;
    uint64_t digits = 0;
    p = digits_at(p, end, &digits);
    int64_t length = p - first, exponent = 0;
    if (strict && (length == 0 || (*first == '0' && length > 1)))
        return NULL;
    out->whole = 1;
    if (p < end && *p == '.') {
        const byte *point = p;
        out->whole = 0;
        p = digits_at(p + 1, end, &digits);
        exponent = point + 1 - p;
        length -= exponent;
        if (strict && exponent == 0)
            return NULL;
    }
    if (length == 0)
        return NULL;
    const byte *last = p;
    int64_t scale = 0;
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        out->whole = 0;
        int down = 0;
        if (p < end && (*p == '-' || *p == '+'))
            down = *p++ == '-';
        if (p == end || !is_digit(*p))
            return NULL;
        for (; p < end && is_digit(*p); p++)
            scale = scale < 100000 ? scale * 10 + (*p - '0') : scale;
        scale = down ? -scale : scale;
    }
    out->deferred = length <= 19 ? !scaled(digits, exponent + scale, 0, &out->value)
                                 : !shortened(first, last, scale, &out->value);
    out->value = negative ? -out->value : out->value;
    return p;
}

/* ---- Bodies → matrices ------------------------------------------------------------------------------------------- */

typedef struct {
    const byte *body, *end;
    int64_t begin, size;     /* where a slice of the body begins, in its first byte or behind a line feed; where it ends */
    int64_t width, capacity; /* width 0: that of the first row */
    double *out;
    int64_t filled, row, column; /* row and column count from 1 */
    int64_t deferred;            /* how many cells hold a place in the body instead of a value */
    int64_t offset;              /* of the first unusual thing */
    int64_t whole;               /* every cell was an integer */
} Reading;

enum { LONGEST_CELL = 1000 };

static const struct {
    const char *text;
    size_t size;
} NO_VALUE[] = {{"NA", 2},       {"nan", 3},     {"NaN", 3},      {"NULL", 4},   {"null", 4},     {"N/A", 3},
               {"n/a", 3},      {"None", 4},    {"<NA>", 4},     {"#N/A", 4},   {"#NA", 3},      {"#N/A N/A", 8},
               {"-nan", 4},     {"-NaN", 4},    {"1.#IND", 6},   {"-1.#IND", 7}, {"1.#QNAN", 7}, {"-1.#QNAN", 8}};

enum { PART = 240 }; /* below 256, and many times sixteen */

/* How often a byte is in a body: rows are counted before they are read. */
int64_t count_of(const byte *body, int64_t size, int32_t what)
{
    int64_t count = 0, i = 0;
    for (; i + PART <= size; i += PART) {
        byte part = 0; /* as wide as what is compared: many at once */
        for (int j = 0; j < PART; j++)
            part = (byte)(part + (body[i + j] == what));
        count += part;
    }
    for (; i < size; i++)
        count += body[i] == what;
    return count;
}

static double missing(void) { return of_bits(0x7ff8000000000000ULL); }

/* A number that the caller reads itself stays in the matrix as a negative NaN that holds its place in the body. */
static int keep(Reading *r, const Number *number, const byte *start)
{
    if (r->filled == r->capacity)
        return 0;
    r->deferred += number->deferred;
    r->out[r->filled++] = number->deferred ? of_bits(0xfff8000000000000ULL | (uint64_t)(start - r->body)) : number->value;
    return 1;
}

static int64_t unusual(Reading *r, const byte *p)
{
    r->offset = p - r->body;
    return -1;
}

static const byte *past_blanks(const byte *p, const byte *end)
{
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    return p;
}

/* At the end of a line, or NULL: 0, 1 or 2 bytes that end it lie between p and the result. */
static const byte *line_end(const byte *p, const byte *end)
{
    if (p == end || *p == '\n')
        return p + (p < end);
    if (*p == '\r' && (p + 1 == end || p[1] == '\n'))
        return p + 1 == end ? end : p + 2;
    return NULL;
}

static int ends_cell(const byte *p, const byte *end) { return p == end || *p == ',' || line_end(p, end) != NULL; }

/* One cell of CSV; behind it, or NULL. */
static const byte *csv_cell(Reading *r, const byte *start)
{
    Number got = {missing(), 0, 0};
    if (ends_cell(start, r->end))
        return keep(r, &got, start) ? start : NULL;
    const byte *digits = past_blanks(start, r->end), *p = number(digits, r->end, 0, &got);
    if (p != NULL) {
        if (p < r->end && *p != ',')
            p = past_blanks(p, r->end);
        if (p - start <= LONGEST_CELL && ends_cell(p, r->end))
            return keep(r, &got, digits) ? p : NULL;
    }
    got = (Number){missing(), 0, 0};
    for (size_t i = 0; i < sizeof NO_VALUE / sizeof *NO_VALUE; i++) {
        p = start + NO_VALUE[i].size;
        if ((size_t)(r->end - start) >= NO_VALUE[i].size && memcmp(start, NO_VALUE[i].text, NO_VALUE[i].size) == 0 &&
            ends_cell(p, r->end))
            return keep(r, &got, start) ? p : NULL;
    }
    return NULL;
}

/* text/csv of numbers and missing values; blank lines are no rows. The number of rows, or -1: see offset, row, column. */
int64_t csv_matrix(Reading *r)
{
    const byte *p = r->body + r->begin, *next;
    r->end = r->body + r->size;
    for (; p < r->end; p = line_end(p, r->end)) {
        if (line_end(p, r->end) != NULL)
            continue;
        r->row++;
        for (r->column = 1;; r->column++) {
            if (r->width && r->column > r->width)
                return unusual(r, p);
            if ((next = csv_cell(r, p)) == NULL)
                return unusual(r, p);
            p = next;
            if (p == r->end || *p != ',')
                break;
            p++;
        }
        if (r->width && r->column != r->width)
            return unusual(r, p);
        r->width = r->column;
    }
    return r->row;
}

static const byte *past_space(const byte *p, const byte *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
        p++;
    return p;
}

/* Behind the text and the white space after it; NULL if the body does not go on with it. */
static const byte *past(const byte *p, const byte *end, const char *text)
{
    size_t size = strlen(text);
    if (p == NULL || (size_t)(end - p) < size || memcmp(p, text, size) != 0)
        return NULL;
    return past_space(p + size, end);
}

static const byte *json_cell(Reading *r, const byte *start)
{
    Number got = {missing(), 0, 0};
    const byte *p = past(start, r->end, "null");
    if (p == NULL) {
        if ((p = number(start, r->end, 1, &got)) == NULL)
            return NULL;
        /* -0 and large integers are other values as integers than as floats */
        int exact = got.value < 9007199254740992.0 && got.value > -9007199254740992.0;
        if (got.whole && (got.deferred || !exact || (*start == '-' && got.value == 0)))
            return NULL;
        p = past_space(p, r->end);
    }
    r->whole &= got.whole;
    return keep(r, &got, start) ? p : NULL;
}

static int64_t json_rows(Reading *r, const byte *p, const byte **after)
{
    const byte *next;
    if ((next = past(p, r->end, "[")) == NULL)
        return unusual(r, p);
    do {
        p = next;
        r->row++;
        r->column = 0;
        if ((next = past(p, r->end, "[")) == NULL)
            return unusual(r, p);
        do {
            p = next;
            r->column++;
            if ((r->width && r->column > r->width) || (next = json_cell(r, p)) == NULL)
                return unusual(r, p);
            p = next;
        } while ((next = past(p, r->end, ",")) != NULL);
        next = past(p, r->end, "]");
        if (next == NULL || (r->width && r->column != r->width))
            return unusual(r, p);
        r->width = r->column;
        p = next;
    } while ((next = past(p, r->end, ",")) != NULL);
    if ((*after = past(p, r->end, "]")) == NULL)
        return unusual(r, p);
    return r->row;
}

/* [[…], …] or {"instances": [[…], …]} (or "inputs") of plain numbers and null. As csv_matrix. */
int64_t json_matrix(Reading *r)
{
    static const char *const NAMES[] = {"\"instances\"", "\"inputs\""};
    r->end = r->body + r->size;
    r->whole = 1;
    const byte *p = past_space(r->body, r->end), *inner = past(p, r->end, "{"), *name = NULL;
    if (inner != NULL) {
        for (int i = 0; i < 2 && name == NULL; i++)
            name = past(inner, r->end, NAMES[i]);
        if ((p = past(name, r->end, ":")) == NULL)
            return unusual(r, inner);
    }
    int64_t rows = json_rows(r, p, &p);
    if (rows < 0)
        return rows;
    const byte *last = inner != NULL ? past(p, r->end, "}") : p;
    return last == r->end ? rows : unusual(r, p);
}

/* ---- Trees ------------------------------------------------------------------------------------------------------- */

/* A row goes to `left` or to left + 1. A leaf leads to itself: its threshold is +inf, and nothing is above that. */
typedef struct {
    double threshold; /* right if x > threshold; of a categorical node: the number of its set */
    uint32_t feature; /* the upper eight bits are flags */
    int32_t left;
} Node;

#define FEATURE 0xffffffu
#define MISSING_RIGHT (1u << 24) /* NaN goes right; without the flag it goes left */
#define ZERO_MISSING (1u << 25)  /* so does what lies within ±1e-35f */
#define CATEGORICAL (1u << 26)   /* the categories in the set go left, others below its end go right */
#define OTHER_RIGHT (1u << 27)   /* categories beyond its end and negative ones go right; without the flag, left */
#define TOWARDS_ZERO (1u << 28)  /* what lies between -1 and 0 is category 0, not negative */

enum {
    LANES = 16, /* walks that wait for memory at the same time */
    FEW = 6     /* rows that walk one by one sooner than as LANES */
};

typedef struct {
    const Node *nodes;
    const int64_t *roots;
    const int32_t *columns;    /* of the output, where the values of each tree begin */
    const double *values;      /* nodes × width */
    const uint32_t *sets;      /* words of 32 categories */
    const int64_t *boundaries; /* set s has the words boundaries[s] to boundaries[s + 1] */
    int64_t tree_count, width, outputs, features;
    int64_t kind; /* of nodes: PLAIN, some with MISSING_RIGHT, or some with ZERO_MISSING or CATEGORICAL too */
} Forest;

enum { PLAIN, MISSING, SPECIAL };

static inline int beyond(const Node *node, double x)
{
    return (x > node->threshold) | ((x != x) & ((node->feature & MISSING_RIGHT) != 0));
}

static int special(const Forest *f, const Node *node, double x)
{
    uint32_t flags = node->feature;
    if (x != x || (flags & ZERO_MISSING && x >= -1e-35f && x <= 1e-35f))
        return (flags & MISSING_RIGHT) != 0;
    if (!(flags & CATEGORICAL))
        return x > node->threshold;
    int64_t set = (int64_t)node->threshold;
    const uint32_t *words = f->sets + f->boundaries[set];
    double size = 32.0 * (double)(f->boundaries[set + 1] - f->boundaries[set]);
    if (flags & TOWARDS_ZERO && x > -1 && x < 0)
        x = 0;
    if (!(x >= 0 && x < size))
        return (flags & OTHER_RIGHT) != 0;
    int64_t category = (int64_t)x;
    return !(words[category >> 5] >> (category & 31) & 1);
}

/* Walks side by side, from their roots in `from` to their leaves: of LANES rows that lie feature by feature, or of one
   row down LANES trees. */
#define WALK(NAME, CELL, PLACE, RIGHT)                                     \
    static inline void NAME(const Forest *f, const void *x_, int32_t *from) \
    {                                                                      \
        const CELL *cells = x_;                                            \
        const Node *nodes = f->nodes;                                      \
        int32_t at[LANES];                                                 \
        memcpy(at, from, sizeof at);                                       \
        for (int32_t moved = 1; moved;) {                                  \
            moved = 0;                                                     \
            _Pragma("GCC unroll 16")                                       \
            for (int j = 0; j < LANES; j++) {                              \
                const Node *node = nodes + at[j];                          \
                uint32_t feature = node->feature & FEATURE;                \
                CELL x = cells[PLACE];                                     \
                int32_t next = node->left + (RIGHT);                       \
                moved |= next ^ at[j];                                     \
                at[j] = next;                                              \
            }                                                              \
        }                                                                  \
        memcpy(from, at, sizeof at);                                       \
    }
#define WALKS_OF(CELL, PLAIN_NAME, MISSING_NAME, SPECIAL_NAME, PLACE)      \
    WALK(PLAIN_NAME, CELL, PLACE, x > node->threshold)                     \
    WALK(MISSING_NAME, CELL, PLACE, beyond(node, x))                       \
    WALK(SPECIAL_NAME, CELL, PLACE, node->left == at[j] ? 0 : special(f, node, x))
WALKS_OF(double, plain_doubles, missing_doubles, special_doubles, feature * LANES + (uint32_t)j)
WALKS_OF(float, plain_floats, missing_floats, special_floats, feature * LANES + (uint32_t)j)
WALKS_OF(double, plain_double_row, missing_double_row, special_double_row, feature)
WALKS_OF(float, plain_float_row, missing_float_row, special_float_row, feature)

/* Adds the values of a leaf to the sums of a row. */
static inline void deposit(const Forest *f, int64_t tree, int32_t leaf, void *out, int64_t row, int floats)
{
    const double *values = f->values + leaf * f->width;
    if (!floats) {
        double *sums = (double *)out + row * f->outputs + f->columns[tree];
        for (int64_t k = 0; k < f->width; k++)
            sums[k] += values[k];
    } else {
        float *sums = (float *)out + row * f->outputs + f->columns[tree];
        for (int64_t k = 0; k < f->width; k++)
            sums[k] += (float)values[k];
    }
}

/* Rows that were turned, down one tree. */
#define DOWN(NAME, WALK_NAME, CELL)                                                                              \
    static void NAME(const Forest *f, int64_t tree, const void *turned, int64_t first, int64_t end, void *out,   \
                     int floats)                                                                                 \
    {                                                                                                            \
        for (int64_t row = first; row < end; row += LANES) {                                                     \
            int32_t at[LANES];                                                                                   \
            for (int j = 0; j < LANES; j++)                                                                      \
                at[j] = (int32_t)f->roots[tree];                                                                 \
            WALK_NAME(f, (const CELL *)turned + (row - first) * f->features, at);                                \
            for (int j = 0; j < LANES && row + j < end; j++)                                                     \
                deposit(f, tree, at[j], out, row + j, floats);                                                   \
        }                                                                                                        \
    }
DOWN(down_plain_doubles, plain_doubles, double)
DOWN(down_missing_doubles, missing_doubles, double)
DOWN(down_special_doubles, special_doubles, double)
DOWN(down_plain_floats, plain_floats, float)
DOWN(down_missing_floats, missing_floats, float)
DOWN(down_special_floats, special_floats, float)
static void (*const MANY_ROWS[][2])(const Forest *, int64_t, const void *, int64_t, int64_t, void *, int) = {
    {down_plain_doubles, down_plain_floats},
    {down_missing_doubles, down_missing_floats},
    {down_special_doubles, down_special_floats}};
static void (*const ONE_ROW[][2])(const Forest *, const void *, int32_t *) = {
    {plain_double_row, plain_float_row},
    {missing_double_row, missing_float_row},
    {special_double_row, special_float_row}};

/* Some trees at a time: what is left of the rows, and small requests. */
static void one_row(const Forest *f, const void *x, int single, int64_t row, void *out, int floats)
{
    int32_t at[LANES];
    for (int64_t tree = 0; tree < f->tree_count; tree += LANES) {
        int64_t last = f->tree_count - 1;
        for (int j = 0; j < LANES; j++)
            at[j] = (int32_t)f->roots[tree + j < last ? tree + j : last];
        ONE_ROW[f->kind][single](f, x, at);
        for (int j = 0; j < LANES && tree + j <= last; j++)
            deposit(f, tree + j, at[j], out, row, floats);
    }
}

/* LANES rows, or `count` and the last one again, as the walks want them: feature by feature. Whether one of the cells is NaN. */
#define TURN(NAME, CELL)                                                              \
    static int NAME(const CELL *rows, int64_t count, int64_t features, CELL *turned)  \
    {                                                                                 \
        int missing = 0;                                                              \
        for (int64_t j = 0; j < LANES; j++)                                           \
            for (int64_t i = 0; i < features; i++) {                                  \
                CELL x = rows[(j < count ? j : count - 1) * features + i];            \
                turned[i * LANES + j] = x;                                            \
                missing |= x != x;                                                    \
            }                                                                         \
        return missing;                                                               \
    }
TURN(turn_doubles, double)
TURN(turn_floats, float)

/* rows × features of float (single) or double, one row after the other. out is rows × outputs of float (floats) or
   double, and what is there is added to, tree by tree in their order. `block` rows, a multiple of LANES, pass a tree
   while it is in the cache; `room` is for as many. */
void trees_walk(const Forest *f, const void *x, int64_t single, int64_t rows, void *out, int64_t floats, void *room,
                int64_t block)
{
    int64_t stride = f->features * (int64_t)(single ? sizeof(float) : sizeof(double));
    int64_t whole = rows % LANES < FEW ? rows - rows % LANES : rows;
    for (int64_t first = 0; first < whole; first += block) {
        int64_t end = first + block < whole ? first + block : whole, missing = 0;
        for (int64_t row = first; row < end; row += LANES) {
            const char *from = (const char *)x + row * stride;
            int64_t count = end - row;
            char *to = (char *)room + (row - first) * stride;
            missing |= single ? turn_floats((const float *)(const void *)from, count, f->features, (float *)(void *)to)
                              : turn_doubles((const double *)(const void *)from, count, f->features, (double *)(void *)to);
        }
        int64_t kind = f->kind == MISSING && !missing ? PLAIN : f->kind;
        for (int64_t tree = 0; tree < f->tree_count; tree++)
            MANY_ROWS[kind][single != 0](f, tree, room, first, end, out, floats != 0);
    }
    for (int64_t row = whole; row < rows; row++)
        one_row(f, (const char *)x + row * stride, single != 0, row, out, floats != 0);
}

/* ---- C's exponential function, as scikit-learn, XGBoost and LightGBM call it: NumPy's own rounds differently -------- */

#define OF_EACH(NAME, TYPE, FUNCTION)              \
    void NAME(TYPE *values, int64_t count)         \
    {                                              \
        for (int64_t i = 0; i < count; i++)        \
            values[i] = FUNCTION(values[i]);       \
    }
OF_EACH(exp_doubles, double, exp)
OF_EACH(exp_floats, float, expf)

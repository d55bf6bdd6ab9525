// Hashing for deduplication: xxHash64 (Collet; the published specification), MinHash signatures (Broder 1997) of word n-grams,
// and sorting by hash. It is C because it needs 64-bit products. JavaScript lays out the memory. `node scripts/kernels.mjs`
// builds kernel.wasm from this file; a test checks that it is up to date.
#include <stdint.h>

#define EXPORT(name) __attribute__((export_name(#name)))

static const uint64_t P1 = 0x9E3779B185EBCA87ull, P2 = 0xC2B2AE3D27D4EB4Full, P3 = 0x165667B19E3779F9ull,
                      P4 = 0x85EBCA77C2B2AE63ull, P5 = 0x27D4EB2F165667C5ull;
static uint64_t rotate(uint64_t x, int by) { return x << by | x >> (64 - by); }
static uint64_t step(uint64_t sum, uint64_t lane) { return rotate(sum + lane * P2, 31) * P1; }
static uint64_t read64(const uint8_t *p) { uint64_t x; __builtin_memcpy(&x, p, 8); return x; }
static uint32_t read32(const uint8_t *p) { uint32_t x; __builtin_memcpy(&x, p, 4); return x; }

static uint64_t xxh64(const uint8_t *p, int32_t length) {
  const uint8_t *end = p + length;
  uint64_t h;
  if (length >= 32) {
    uint64_t a = P1 + P2, b = P2, c = 0, d = -P1;
    for (; end - p >= 32; p += 32) a = step(a, read64(p)), b = step(b, read64(p + 8)), c = step(c, read64(p + 16)), d = step(d, read64(p + 24));
    h = rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18);
    h = (h ^ step(0, a)) * P1 + P4, h = (h ^ step(0, b)) * P1 + P4, h = (h ^ step(0, c)) * P1 + P4, h = (h ^ step(0, d)) * P1 + P4;
  } else {
    h = P5;
  }
  h += (uint64_t)length;
  for (; end - p >= 8; p += 8) h = rotate(h ^ step(0, read64(p)), 27) * P1 + P4;
  if (end - p >= 4) h = rotate(h ^ read32(p) * P1, 23) * P2 + P3, p += 4;
  for (; p < end; p++) h = rotate(h ^ *p * P5, 11) * P1;
  h = (h ^ h >> 33) * P2;
  h = (h ^ h >> 29) * P3;
  return h ^ h >> 32;
}

EXPORT(hash) void hash(const uint8_t *p, int32_t length, uint64_t *out) { *out = xxh64(p, length); }

// Decodes the character of well-formed UTF-8 at p; returns its number of bytes.
static int32_t character(const uint8_t *p, uint32_t *point) {
  if (p[0] < 0x80) return *point = p[0], 1;
  if (p[0] < 0xe0) return *point = (p[0] & 31u) << 6 | (p[1] & 63u), 2;
  if (p[0] < 0xf0) return *point = (p[0] & 15u) << 12 | (p[1] & 63u) << 6 | (p[2] & 63u), 3;
  return *point = (p[0] & 7u) << 18 | (p[1] & 63u) << 12 | (p[2] & 63u) << 6 | (p[3] & 63u), 4;
}

// Returns the bytes of the white space character at p, as in JavaScript's \s; 0 if it is another character.
static int32_t space(const uint8_t *p) {
  if (p[0] < 0x80) return p[0] == ' ' || (p[0] >= 9 && p[0] <= 13);
  uint32_t c;
  int32_t size = character(p, &c);
  return c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000 || c == 0xfeff ? size : 0;
}

// Returns the end of the line or paragraph that begins at start; sets *next to the start of the following one. pieces.ts
// defines the separators.
static int32_t piece_end(const uint8_t *text, int32_t start, int32_t length, int32_t paragraphs, int32_t *next) {
  for (int32_t end = start;;) {
    while (end < length && text[end] != '\n') end++;
    *next = end + 1;
    if (!paragraphs || end >= length) return end;
    int32_t empty = 0;
    for (int32_t size; *next < length && (size = space(text + *next)); *next += size) empty |= text[*next] == '\n';
    if (empty) return end;
    end = *next;
  }
}

EXPORT(is_blank) int32_t is_blank(const uint8_t *text, int32_t length) {
  int32_t i = 0;
  for (int32_t size; i < length && (size = space(text + i)); i += size) {}
  return i >= length;
}

// Hashes a text's lines or paragraphs. cursor[2] = (byte, place of the piece) is where to start, and is advanced. Writes
// (xxHash64, place) of each non-blank piece to out[room][2], at most `room` of them; returns how many.
EXPORT(hash_pieces) int32_t hash_pieces(const uint8_t *text, int32_t length, int32_t paragraphs, int32_t *cursor, uint64_t *out, int32_t room) {
  int32_t start = cursor[0], place = cursor[1], count = 0;
  for (int32_t next; start <= length && count < room; start = next, place++) {
    int32_t end = piece_end(text, start, length, paragraphs, &next);
    if (!is_blank(text + start, end - start)) out[2 * count] = xxh64(text + start, end - start), out[2 * count++ + 1] = place;
  }
  cursor[0] = start, cursor[1] = place;
  return count;
}

// Cuts lines or paragraphs out of a text. marks[count][2] = (place, 1 to cut or 0 to keep) in ascending order; each pair is
// overwritten with the piece's (start, end). Sets *removed to the number cut. Writes the rest to out, which needs `length`
// bytes, and returns its length.
EXPORT(cut_pieces) int32_t cut_pieces(const uint8_t *text, int32_t length, int32_t paragraphs, int32_t *marks, int32_t count, uint8_t *out, int32_t *removed) {
  int32_t n = 0, kept = 0, at = 0, next;
  *removed = 0;
  for (int32_t start = 0, place = 0; start <= length; start = next, place++) {
    int32_t end = piece_end(text, start, length, paragraphs, &next), cut = 0;
    for (; at < count && marks[2 * at] == place; at++) cut |= marks[2 * at + 1], marks[2 * at] = start, marks[2 * at + 1] = end;
    if (cut) { ++*removed; continue; }
    if (kept++) for (int32_t i = 0; i <= paragraphs; i++) out[n++] = '\n';
    __builtin_memcpy(out + n, text + start, end - start);
    n += end - start;
  }
  return n;
}

// JSON strings (RFC 8259). Texts in memory are UTF-8, except that a lone surrogate, which only an escape can express, is
// encoded as three bytes like its neighbours. Sixteen bytes are read at once, so reads may pass the end by that much.
typedef int8_t lanes __attribute__((vector_size(16)));
static lanes read_lanes(const uint8_t *p) { lanes x; __builtin_memcpy(&x, p, 16); return x; }
static lanes special(lanes x) { return (x == '"') | (x == '\\') | ((x & (int8_t)0xe0) == 0); }
// Returns how many of sixteen bytes precede the first chosen one.
static int32_t before(lanes chosen) {
  uint32_t mask = (uint32_t)__builtin_wasm_bitmask_i8x16(chosen);
  return mask ? __builtin_ctz(mask) : 16;
}

static int32_t after_space(const uint8_t *line, int32_t i, int32_t length) {
  while (i < length && (line[i] == ' ' || line[i] == '\t' || line[i] == '\r' || line[i] == '\n')) i++;
  return i;
}

// Returns the value of four hexadecimal digits; -1 if one is not a digit.
static int32_t hexadecimal(const uint8_t *p) {
  int32_t x = 0;
  for (int32_t i = 0; i < 4; i++) {
    int32_t c = p[i], digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
    if (digit < 0) return -1;
    x = x << 4 | digit;
  }
  return x;
}

static int32_t put_character(uint8_t *out, uint32_t c) {
  if (c < 0x80) return out[0] = c, 1;
  if (c < 0x800) return out[0] = 0xc0 | c >> 6, out[1] = 0x80 | (c & 63), 2;
  if (c < 0x10000) return out[0] = 0xe0 | c >> 12, out[1] = 0x80 | (c >> 6 & 63), out[2] = 0x80 | (c & 63), 3;
  return out[0] = 0xf0 | c >> 18, out[1] = 0x80 | (c >> 12 & 63), out[2] = 0x80 | (c >> 6 & 63), out[3] = 0x80 | (c & 63), 4;
}

// Unescapes the JSON string whose opening quote is at i - 1. Returns the place of the closing quote; -1 if it is malformed.
static int32_t unescape(const uint8_t *in, int32_t i, int32_t length, uint8_t *out, int32_t *size) {
  for (int32_t n = 0;;) {
    int32_t run;
    do {
      run = before(special(read_lanes(in + i)));
      __builtin_memcpy(out + n, in + i, 16);
      i += run, n += run;
    } while (run == 16 && i < length);
    if (i >= length || in[i] < 0x20) return -1;
    if (in[i] == '"') return *size = n, i;
    uint8_t c = in[i + 1];
    i += 2;
    if (c == 'u') {
      int32_t point = hexadecimal(in + i);
      if (point < 0) return -1;
      i += 4;
      if ((point & 0xfc00) == 0xd800 && in[i] == '\\' && in[i + 1] == 'u') {
        int32_t low = hexadecimal(in + i + 2);
        if ((low & 0xfc00) == 0xdc00) point = 0x10000 + ((point & 0x3ff) << 10 | (low & 0x3ff)), i += 6;
      }
      n += put_character(out + n, point);
    } else {
      int32_t plain = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c == 'b' ? '\b' : c == 'f' ? '\f' : c == '"' || c == '\\' || c == '/' ? c : -1;
      if (plain < 0) return -1;
      out[n++] = plain;
    }
  }
}

// Extracts the value of "text" from the object of a JSON line, unescaped. Returns its length; found[2] = (start, end) of its
// literal. Returns -1 if the line needs a full parser: it is not an object, has no text or several, the text is not a string,
// or a name has escapes. Does not validate the rest of the line: the caller parses it with a short string in the text's place,
// which finds any fault.
EXPORT(take_text) int32_t take_text(const uint8_t *line, int32_t length, uint8_t *out, int32_t *found) {
  int32_t i = after_space(line, 0, length), depth = 0, name = 0, size = -1;
  if (i == length || line[i] != '{') return -1;
  for (; i < length; i++) {
    uint8_t c = line[i];
    if (c == '{' || c == '[') name = ++depth == 1;
    else if (c == '}' || c == ']') depth--;
    else if (c == ',') name = depth == 1;
    else if (c == '"') {
      int32_t start = ++i, escapes = 0;
      for (;;) {
        int32_t run;
        do i += run = before(special(read_lanes(line + i))); while (run == 16 && i < length);
        if (i >= length || line[i] < 0x20) return -1;
        if (line[i] == '"') break;
        escapes = 1, i += 2;
      }
      if (!name) continue;
      name = 0;
      if (escapes) return -1;
      if (i - start != 4 || read32(line + start) != ('t' | 'e' << 8 | 'x' << 16 | 't' << 24)) continue;
      if (size >= 0) return -1;
      i = after_space(line, i + 1, length);
      if (i >= length || line[i] != ':') return -1;
      i = after_space(line, i + 1, length);
      if (i >= length || line[i] != '"') return -1;
      found[0] = i;
      i = unescape(line, i + 1, length, out, &size);
      if (i < 0) return -1;
      found[1] = i + 1;
    }
  }
  return size;
}

// Escapes a text from byte *cursor on, as JSON.stringify does but without the quotes, until out[room] is almost full. Advances
// *cursor and returns the bytes written.
EXPORT(escape_text) int32_t escape_text(const uint8_t *in, int32_t length, int32_t *cursor, uint8_t *out, int32_t room) {
  static const uint8_t digits[] = "0123456789abcdef";
  int32_t i = *cursor, n = 0;
  while (i < length && n + 32 <= room) {
    lanes x = read_lanes(in + i);
    int32_t run = before(special(x) | (x == (int8_t)0xed));
    if (run > length - i) run = length - i;
    __builtin_memcpy(out + n, in + i, 16);
    i += run, n += run;
    if (run == 16 || i == length) continue;
    uint32_t c = in[i];
    if (c == 0xed && in[i + 1] < 0xa0) { out[n++] = in[i++]; continue; }
    i += c == 0xed ? character(in + i, &c) : 1;
    uint8_t letter = c == '"' || c == '\\' ? c : c == '\n' ? 'n' : c == '\t' ? 't' : c == '\r' ? 'r' : c == '\b' ? 'b' : c == '\f' ? 'f' : 'u';
    out[n++] = '\\', out[n++] = letter;
    if (letter == 'u') for (int32_t shift = 12; shift >= 0; shift -= 4) out[n++] = digits[c >> shift & 15];
  }
  *cursor = i;
  return n;
}

// forms[code point] says how a character is normalized; UNKNOWN until JavaScript computes it.
enum { UNKNOWN, SPACE, DIGIT, ITSELF, LETTERS, BY_NEIGHBOURS };
static uint32_t kind_of(uint32_t form) { return form & 7; }
// LETTERS: the replacement's number of bytes, and its offset in the pool.
static uint32_t size_of(uint32_t form) { return form >> 3 & 31; }
static uint32_t place_of(uint32_t form) { return form >> 8; }

static int32_t after_digits(const uint8_t *in, int32_t i, int32_t length, const uint32_t *forms) {
  while (i < length) {
    uint32_t point;
    int32_t size = character(in + i, &point);
    if (kind_of(forms[point]) != DIGIT) break;
    i += size;
  }
  return i;
}

static int separates_digits(uint32_t c) { return c == '.' || c == ',' || c == 0x60c || c == 0x66b || (c >= 0x2396 && c <= 0x2398); }

// Writes FineWeb's normal form of a UTF-8 text: lower case, numbers as 0, punctuation and control characters as spaces, single
// spaces, no diacritics. Returns its length. Returns -1 - kind, with the code point in *unknown, at a character whose form is
// UNKNOWN or BY_NEIGHBOURS (depends on its neighbours). out needs 3 * length bytes.
EXPORT(simplify) int32_t simplify(const uint8_t *in, int32_t length, uint8_t *out, const uint32_t *forms, const uint8_t *pool, uint32_t *unknown) {
  int32_t n = 0;
  // Spaces are collapsed before diacritics are removed: two spaces around a lone diacritic both stay.
  int spaced = 1;
  for (int32_t i = 0; i < length;) {
    uint32_t point;
    int32_t size = character(in + i, &point);
    uint32_t form = forms[point], kind = kind_of(form);
    if (kind == SPACE) {
      if (!spaced && n > 0) out[n++] = ' ';
      spaced = 1;
      i += size;
      continue;
    }
    spaced = 0;
    if (kind == ITSELF) {
      for (int32_t end = i + size; i < end; i++) out[n++] = in[i];
    } else if (kind == LETTERS) {
      for (uint32_t k = 0; k < size_of(form); k++) out[n++] = pool[place_of(form) + k];
      i += size;
    } else if (kind == DIGIT) {
      i = after_digits(in, i, length, forms);
      if (i < length) {
        int32_t part = i + character(in + i, &point);
        if (separates_digits(point)) {
          int32_t end = after_digits(in, part, length, forms);
          if (end > part) i = end;
        }
      }
      out[n++] = '0';
    } else {
      *unknown = point;
      return -1 - (int32_t)kind;
    }
  }
  while (n > 0 && out[n - 1] == ' ') n--;
  return n;
}

static const uint64_t PRIME = (1ull << 61) - 1;

// Updates least[count], the minima of (a h + b mod 2^64) mod 2^61 - 1, with hashes[n].
static void lower(const uint64_t *hashes, int32_t n, const uint64_t *a, const uint64_t *b, int32_t count, uint64_t *least) {
  for (int32_t j = 0; j < count; j++) {
    // New minima are rare, so a cheap test rejects most values. Let x = a h + b, low its lower 61 bits, high its upper three.
    // The value is low + high, minus 2^61 - 1 if it is not below that. Either way, a value below `least` has
    // (low + 8) mod 2^61 below least + 8. Multiplied by eight, that test takes one product and one sum modulo 2^64.
    uint64_t a8 = a[j] << 3, b8 = (b[j] + 8) << 3;
    uint64_t bound = least[j] + 8 < 1ull << 61 ? (least[j] + 8) << 3 : ~0ull;
    for (int32_t i = 0; i < n; i++) {
      if (hashes[i] * a8 + b8 >= bound) continue;
      uint64_t x = hashes[i] * a[j] + b[j];
      x = (x & PRIME) + (x >> 61);
      if (x >= PRIME) x -= PRIME;
      if (x < least[j]) {
        least[j] = x;
        bound = x + 8 < 1ull << 61 ? (x + 8) << 3 : ~0ull;
      }
    }
  }
}

// Returns the bytes of the character at p if its script has no spaces between words, so that it counts as a word; else 0.
// Scripts: Thai to Tibetan, Myanmar, Khmer, Tai scripts, Balinese, Javanese, kana, Bopomofo, Yi, Han.
static int32_t unspaced(const uint8_t *p, int32_t left) {
  if (p[0] < 0xE0 || left < 3) return 0;
  if (p[0] >= 0xF0) {
    if (left < 4) return 0;
    uint32_t c = (p[0] & 7u) << 18 | (p[1] & 63u) << 12 | (p[2] & 63u) << 6 | (p[3] & 63u);
    return (c >= 0x1B000 && c <= 0x1B16F) || (c >= 0x20000 && c <= 0x3FFFF) ? 4 : 0;
  }
  uint32_t c = (p[0] & 15u) << 12 | (p[1] & 63u) << 6 | (p[2] & 63u);
  static const uint16_t ranges[][2] = {
    {0x0E00, 0x0FFF}, {0x1000, 0x109F}, {0x1780, 0x17FF}, {0x1950, 0x19FF}, {0x1A20, 0x1AAF}, {0x1B00, 0x1B7F},
    {0x2E80, 0x2FDF}, {0x3005, 0x3007}, {0x3021, 0x3029}, {0x3031, 0x3035}, {0x3040, 0x312F}, {0x31A0, 0x31BF},
    {0x31F0, 0x31FF}, {0x3400, 0x4DBF}, {0x4E00, 0xA4CF}, {0xA980, 0xA9FF}, {0xAA60, 0xAADF}, {0xF900, 0xFAFF},
    {0xFF66, 0xFF9D},
  };
  for (uint32_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) if (c >= ranges[i][0] && c <= ranges[i][1]) return 3;
  return 0;
}

// Computes the MinHash signature least[count] of a text in normal form. For each pair a[j], b[j] it is the minimum over all
// n-grams (n <= 100 words) of (a h + b mod 2^64) mod 2^61 - 1, where h is xxHash64 of the n-gram's bytes. A text of fewer than n
// words is one n-gram, so it matches only its own copies. Returns the number of n-grams; 0 for a text without words.
EXPORT(signature) int32_t signature(const uint8_t *text, int32_t length, int32_t n, const uint64_t *a, const uint64_t *b, int32_t count, uint64_t *least) {
  uint64_t hashes[512];
  int32_t starts[128]; // of the last words
  int32_t held = 0, words = 0;
  for (int32_t j = 0; j < count; j++) least[j] = PRIME;
  for (int32_t at = 0; at < length;) {
    if (text[at] == ' ') {
      at++;
      continue;
    }
    starts[words++ & 127] = at;
    int32_t size = unspaced(text + at, length - at);
    if (size > 0) at += size;
    else do at++; while (at < length && text[at] != ' ' && unspaced(text + at, length - at) == 0);
    if (words < n) continue;
    int32_t first = starts[(words - n) & 127];
    hashes[held++] = xxh64(text + first, at - first);
    if (held == 512) {
      lower(hashes, held, a, b, count, least);
      held = 0;
    }
  }
  if (words > 0 && words < n) hashes[held++] = xxh64(text, length);
  lower(hashes, held, a, b, count, least);
  return words == 0 ? 0 : words < n ? 1 : words - n + 1;
}

// Computes out[bands], one hash per band, from the signature least[bands][rows].
EXPORT(band_hashes) void band_hashes(const uint64_t *least, int32_t bands, int32_t rows, uint64_t *out) {
  for (int32_t i = 0; i < bands; i++) out[i] = xxh64((const uint8_t *)(least + i * rows), 8 * rows);
}

// Sorts entries[n][2] = (key, value) by key, stably: radix sort, least significant digit first, eight bits at a time. `other`
// is scratch space of the same size.
EXPORT(sort_entries) void sort_entries(uint64_t *entries, int32_t n, uint64_t *other) {
  for (int32_t shift = 0; shift < 64; shift += 8) {
    int32_t starts[256] = {0};
    for (int32_t i = 0; i < n; i++) starts[entries[2 * i] >> shift & 255]++;
    if (n == 0 || starts[entries[0] >> shift & 255] == n) continue;
    for (int32_t digit = 0, sum = 0; digit < 256; digit++) {
      int32_t count = starts[digit];
      starts[digit] = sum;
      sum += count;
    }
    for (int32_t i = 0; i < n; i++) {
      int32_t to = starts[entries[2 * i] >> shift & 255]++;
      other[2 * to] = entries[2 * i];
      other[2 * to + 1] = entries[2 * i + 1];
    }
    __builtin_memcpy(entries, other, 16 * (uint32_t)n);
  }
}

// Hashing for deduplication, where 64-bit products are needed: xxHash64 (Collet; the published specification), MinHash
// signatures (Broder 1997) of word n-grams, and sorting what is keyed by hashes. JavaScript lays out the memory.
// kernel.wasm is built from this file by `node scripts/kernels.mjs`, which a test repeats.
#include <stdint.h>

#define EXPORT(name) __attribute__((export_name(#name)))

static const uint64_t P1 = 0x9E3779B185EBCA87ull, P2 = 0xC2B2AE3D27D4EB4Full, P3 = 0x165667B19E3779F9ull,
                      P4 = 0x85EBCA77C2B2AE63ull, P5 = 0x27D4EB2F165667C5ull;
static uint64_t turn(uint64_t x, int by) { return x << by | x >> (64 - by); }
static uint64_t step(uint64_t sum, uint64_t lane) { return turn(sum + lane * P2, 31) * P1; }
static uint64_t read64(const uint8_t *p) { uint64_t x; __builtin_memcpy(&x, p, 8); return x; }
static uint32_t read32(const uint8_t *p) { uint32_t x; __builtin_memcpy(&x, p, 4); return x; }

static uint64_t xxh64(const uint8_t *p, int32_t length) {
  const uint8_t *end = p + length;
  uint64_t h;
  if (length >= 32) {
    uint64_t a = P1 + P2, b = P2, c = 0, d = -P1;
    for (; end - p >= 32; p += 32) a = step(a, read64(p)), b = step(b, read64(p + 8)), c = step(c, read64(p + 16)), d = step(d, read64(p + 24));
    h = turn(a, 1) + turn(b, 7) + turn(c, 12) + turn(d, 18);
    h = (h ^ step(0, a)) * P1 + P4, h = (h ^ step(0, b)) * P1 + P4, h = (h ^ step(0, c)) * P1 + P4, h = (h ^ step(0, d)) * P1 + P4;
  } else {
    h = P5;
  }
  h += (uint64_t)length;
  for (; end - p >= 8; p += 8) h = turn(h ^ step(0, read64(p)), 27) * P1 + P4;
  if (end - p >= 4) h = turn(h ^ read32(p) * P1, 23) * P2 + P3, p += 4;
  for (; p < end; p++) h = turn(h ^ *p * P5, 11) * P1;
  h = (h ^ h >> 33) * P2;
  h = (h ^ h >> 29) * P3;
  return h ^ h >> 32;
}

EXPORT(hash) void hash(const uint8_t *p, int32_t length, uint64_t *out) { *out = xxh64(p, length); }

// FineWeb's normal form of a text that is ASCII: lower case, a number is 0, punctuation and control characters are
// spaces, spaces are single. Gives the length; out may be as long as the text.
EXPORT(simplify) int32_t simplify(const uint8_t *in, int32_t length, uint8_t *out) {
  int32_t n = 0;
  for (int32_t i = 0; i < length;) {
    uint8_t c = in[i];
    if (c >= '0' && c <= '9') {
      while (i < length && in[i] >= '0' && in[i] <= '9') i++;
      if (i + 1 < length && (in[i] == '.' || in[i] == ',') && in[i + 1] >= '0' && in[i + 1] <= '9') {
        for (i++; i < length && in[i] >= '0' && in[i] <= '9'; i++) {}
      }
      out[n++] = '0';
      continue;
    }
    i++;
    if (c >= 'A' && c <= 'Z') out[n++] = c + 32;
    else if (c >= 'a' && c <= 'z') out[n++] = c;
    else if (n > 0 && out[n - 1] != ' ') out[n++] = ' ';
  }
  while (n > 0 && out[n - 1] == ' ') n--;
  return n;
}

// The MinHash signature of a text of words with single spaces between: over its n-grams of n words, the least value of
// (a h + b mod 2^64) mod 2^61 - 1 for each of `count` pairs a, b, h being xxHash64 of the n-gram's bytes. Gives the
// number of n-grams; with none the signature is not written. starts has room for a number for each byte and one more.
EXPORT(signature) int32_t signature(const uint8_t *text, int32_t length, int32_t n, int32_t *starts, const uint64_t *a, const uint64_t *b, int32_t count, uint64_t *least) {
  const uint64_t prime = (1ull << 61) - 1;
  int32_t words = 0;
  for (int32_t i = 0; i < length;) {
    starts[words++] = i;
    while (i < length && text[i] != ' ') i++;
    i++;
  }
  starts[words] = length + 1;
  if (length == 0 || words < n) return 0;
  for (int32_t j = 0; j < count; j++) least[j] = ~0ull;
  for (int32_t w = 0; w + n <= words; w++) {
    uint64_t h = xxh64(text + starts[w], starts[w + n] - 1 - starts[w]);
    for (int32_t j = 0; j < count; j++) {
      uint64_t x = h * a[j] + b[j];
      x = (x & prime) + (x >> 61); // below 2^61 + 7
      if (x >= prime) x -= prime;
      if (x < least[j]) least[j] = x;
    }
  }
  return words - n + 1;
}

// One hash a band of `rows` values.
EXPORT(band_hashes) void band_hashes(const uint64_t *least, int32_t bands, int32_t rows, uint64_t *out) {
  for (int32_t i = 0; i < bands; i++) out[i] = xxh64((const uint8_t *)(least + i * rows), 8 * rows);
}

// Entries: two 64-bit numbers each, a key and a value. Sorts n of them by key and keeps the order of equal ones (least
// significant digit first, eight bits at a time); `other` has room for as many.
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

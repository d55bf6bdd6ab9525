// Repeated spans of a text. Sorts its suffixes by induced sorting (Nong, Zhang and Chan, "Two Efficient Algorithms for
// Linear Time Suffix Array Construction", 2009), finds neighbours that share a window, and computes the windows' anchors
// (minimizers: Schleimer, Wilkerson and Aiken, "Winnowing", 2003). A text consists of bytes, or if `wide` of 32-bit numbers:
// tokens, or the names that the sorting itself assigns. JavaScript lays out the memory.
// `node scripts/kernels.mjs` builds kernel.wasm from this file; a test checks that it is up to date.
#include <stdint.h>
#include <wasm_simd128.h>

#define EXPORT(name) __attribute__((export_name(#name)))
#define INLINE static inline __attribute__((always_inline))

// Every function below is compiled twice, for bytes and for numbers: after inlining, `wide` is a constant.
INLINE int32_t at(const void *text, int wide, int32_t i) {
  return wide ? ((const int32_t *)text)[i] : ((const uint8_t *)text)[i];
}

// Computes bucket[letters]: where the bucket of each letter begins, or ends if `ends` is set.
INLINE void buckets(const void *text, int wide, int32_t n, int32_t letters, int32_t *bucket, int ends) {
  for (int32_t c = 0; c < letters; c++) bucket[c] = 0;
  for (int32_t i = 0; i < n; i++) bucket[at(text, wide, i)]++;
  for (int32_t c = 0, sum = 0; c < letters; c++) {
    int32_t count = bucket[c];
    sum += count;
    bucket[c] = ends ? sum : sum - count;
  }
}

// Induces the order of all suffixes from the suffixes already at the ends of their buckets. A suffix is L-type if it is
// greater than the suffix after it, else S-type. The ascending pass lets each entry place its predecessor if that is L-type,
// the descending pass if it is S-type. Entries: above 0, the predecessor is L-type; sign bit set, it is S-type; 0, empty or
// the first suffix. With `trim` used entries are cleared; LMS suffixes (S-type after L-type) remain.
#define SIGN INT32_MIN

// Each entry reads the text at a random place, so a core would wait for memory once per entry. Instead, a loop that does
// nothing else reads ahead for a block of entries, which overlaps many memory accesses (WebAssembly has no prefetch
// instruction). This makes the whole sort 2.4 times as fast.
#define BLOCK 128
static volatile int32_t nowhere;

// Reads text[order[i] - back] for the entries i in [from, to) that are above 0 after flipping `sign`. With `places` it also
// reads their letters' buckets and the entries at which these fill; for bytes both already fit into the cache.
INLINE void prefetch(const void *text, int wide, const int32_t *order, const int32_t *bucket, int32_t from, int32_t to, int32_t sign, int32_t back, int places) {
  int32_t letters[BLOCK], sum = 0;
  for (int32_t i = from; i < to; i++) {
    uint32_t j = order[i] ^ sign, counts = -(uint32_t)(j - 1 < INT32_MAX);
    letters[i - from] = at(text, wide, (j - back) & counts);
  }
  for (int32_t k = 0; places && k < to - from; k++) letters[k] = bucket[letters[k]];
  for (int32_t k = 0; k < to - from; k++) sum += places ? order[letters[k]] : letters[k];
  nowhere = sum;
}

// No branches on the text, since half would be mispredicted; the sign bit of a subtraction is used instead.
INLINE void induce_l(const void *text, int wide, int32_t *order, int32_t *bucket, int32_t from, int32_t to, int trim) {
  prefetch(text, wide, order, bucket, from, to, 0, 1, wide);
  for (int32_t i = from; i < to; i++) {
    int32_t j = order[i];
    if (j <= 0) continue;
    if (trim) order[i] = 0;
    j--;
    int32_t c = at(text, wide, j), before = at(text, wide, j - (j > 0));
    order[bucket[c]++] = j | ((before - c) & SIGN);
  }
}

INLINE void induce_s(const void *text, int wide, int32_t *order, int32_t *bucket, int32_t from, int32_t to, int trim) {
  prefetch(text, wide, order, bucket, from, to, SIGN, 1, wide);
  for (int32_t i = to - 1; i >= from; i--) {
    int32_t j = order[i];
    if (j >= 0) continue;
    j &= ~SIGN;
    order[i] = trim ? 0 : j;
    j--;
    int32_t c = at(text, wide, j), before = at(text, wide, j - (j > 0));
    order[--bucket[c]] = j | ((before - c - (j > 0)) & SIGN);
  }
}

// Separate functions, called once per block: V8 starts with baseline code and switches a function to optimised code only
// at its next call.
#define STEP(name, loop, wide, trim) \
  static __attribute__((noinline)) void name(const void *text, int32_t *order, int32_t *bucket, int32_t from, int32_t to) { loop(text, wide, order, bucket, from, to, trim); }
STEP(induce_l_bytes, induce_l, 0, 0)
STEP(induce_l_numbers, induce_l, 1, 0)
STEP(induce_l_bytes_trim, induce_l, 0, 1)
STEP(induce_l_numbers_trim, induce_l, 1, 1)
STEP(induce_s_bytes, induce_s, 0, 0)
STEP(induce_s_numbers, induce_s, 1, 0)
STEP(induce_s_bytes_trim, induce_s, 0, 1)
STEP(induce_s_numbers_trim, induce_s, 1, 1)

INLINE void induce(const void *text, int wide, int32_t n, int32_t letters, int32_t *order, int32_t *bucket, int trim) {
  buckets(text, wide, n, letters, bucket, 0);
  int32_t c = at(text, wide, n - 1), s_type = n > 1 && at(text, wide, n - 2) < c;
  order[bucket[c]++] = s_type ? (n - 1) | SIGN : n - 1;
  for (int32_t from = 0; from < n; from += BLOCK) {
    int32_t to = n - from > BLOCK ? from + BLOCK : n;
    if (wide && trim) induce_l_numbers_trim(text, order, bucket, from, to);
    else if (wide) induce_l_numbers(text, order, bucket, from, to);
    else if (trim) induce_l_bytes_trim(text, order, bucket, from, to);
    else induce_l_bytes(text, order, bucket, from, to);
  }
  buckets(text, wide, n, letters, bucket, 1);
  for (int32_t to = n; to > 0; to -= BLOCK) {
    int32_t from = to > BLOCK ? to - BLOCK : 0;
    if (wide && trim) induce_s_numbers_trim(text, order, bucket, from, to);
    else if (wide) induce_s_numbers(text, order, bucket, from, to);
    else if (trim) induce_s_bytes_trim(text, order, bucket, from, to);
    else induce_s_bytes(text, order, bucket, from, to);
  }
}

static void sort_numbers(const int32_t *text, int32_t n, int32_t letters, int32_t *order, int32_t *bucket);

// Writes the suffix array to order[n]. bucket needs room for max(letters, n / 2) numbers.
INLINE void sort_suffixes(const void *text, int wide, int32_t n, int32_t letters, int32_t *order, int32_t *bucket) {
  for (int32_t i = 0; i < n; i++) order[i] = 0;
  if (n < 2) return;
  // Puts the LMS suffixes at the ends of their buckets in any order. Inducing then sorts them by their LMS substrings.
  buckets(text, wide, n, letters, bucket, 1);
  int32_t lms_count = 0;
  for (int32_t i = n - 2, next = at(text, wide, n - 1), s_type = 0; i >= 0; i--) {
    int32_t c = at(text, wide, i);
    if (c > next) {
      if (s_type) order[--bucket[next]] = i + 1, lms_count++;
      s_type = 0;
    } else if (c < next) {
      s_type = 1;
    }
    next = c;
  }
  if (lms_count > 1) {
    induce(text, wide, n, letters, order, bucket, 1);
    for (int32_t i = 0, m = 0; m < lms_count; i++) {
      if (order[i] > 0) order[m++] = order[i];
    }
    // Names LMS substrings; equal ones get equal names. LMS suffixes are never adjacent, so half of the remaining space has
    // one slot per LMS suffix. A slot first contains the substring's length, then its name.
    int32_t *names = order + lms_count, half = (n >> 1) + 1, count = 0;
    if (lms_count + half > n) half = n - lms_count;
    for (int32_t i = lms_count; i < n; i++) order[i] = 0;
    for (int32_t i = n - 2, next = at(text, wide, n - 1), s_type = 0, last = n; i >= 0; i--) {
      int32_t c = at(text, wide, i);
      if (c > next) {
        if (s_type) names[(i + 1) >> 1] = last - i, last = i + 1;
        s_type = 0;
      } else if (c < next) {
        s_type = 1;
      }
      next = c;
    }
    for (int32_t from = 0, before = -1, length = 0; from < lms_count; from += BLOCK) {
      int32_t to = lms_count - from > BLOCK ? from + BLOCK : lms_count;
      prefetch(text, wide, order, bucket, from, to, 0, 0, 0);
      for (int32_t i = from; i < to; i++) {
        int32_t j = order[i], l = names[j >> 1], same = before >= 0 && l == length;
        for (int32_t k = 0; same && k < l; k++) same = at(text, wide, j + k) == at(text, wide, before + k);
        count += !same;
        names[j >> 1] = count;
        before = j;
        length = l;
      }
    }
    if (count < lms_count) {
      // The names in text order form a shorter text, whose suffixes sort like the LMS suffixes.
      int32_t *shorter = order + n - lms_count;
      for (int32_t i = half - 1, m = lms_count; m > 0; i--) {
        if (names[i] > 0) shorter[--m] = names[i] - 1;
      }
      sort_numbers(shorter, lms_count, count, order, bucket);
      for (int32_t i = n - 2, next = at(text, wide, n - 1), s_type = 0, m = lms_count; i >= 0; i--) {
        int32_t c = at(text, wide, i);
        if (c > next) {
          if (s_type) shorter[--m] = i + 1;
          s_type = 0;
        } else if (c < next) {
          s_type = 1;
        }
        next = c;
      }
      for (int32_t i = 0; i < lms_count; i++) order[i] = shorter[order[i]];
    }
    for (int32_t i = lms_count; i < n; i++) order[i] = 0;
    buckets(text, wide, n, letters, bucket, 1);
    for (int32_t to = lms_count; to > 0; to -= BLOCK) {
      int32_t from = to > BLOCK ? to - BLOCK : 0;
      prefetch(text, wide, order, bucket, from, to, 0, 0, wide);
      for (int32_t i = to - 1; i >= from; i--) {
        int32_t j = order[i];
        order[i] = 0;
        order[--bucket[at(text, wide, j)]] = j;
      }
    }
  }
  induce(text, wide, n, letters, order, bucket, 0);
}

static void sort_numbers(const int32_t *text, int32_t n, int32_t letters, int32_t *order, int32_t *bucket) {
  sort_suffixes(text, 1, n, letters, order, bucket);
}

EXPORT(suffix_array) void suffix_array(const void *text, int32_t wide, int32_t n, int32_t letters, int32_t *order, int32_t *bucket) {
  if (wide) sort_numbers(text, n, letters, order, bucket);
  else sort_suffixes(text, 0, n, 256, order, bucket);
}

// Returns whether x[window] and y[window] are equal and contain no separator. Compares sixteen bytes at a time, because
// highly repetitive text (one line a million times) reaches this for each of its suffixes.
static int same_bytes(const uint8_t *x, const uint8_t *y, int32_t window, int32_t separator) {
  const v128_t apart = wasm_i8x16_splat(separator);
  int32_t k = 0;
  for (; k + 16 <= window; k += 16) {
    v128_t u = wasm_v128_load(x + k);
    if (wasm_v128_any_true(wasm_v128_or(wasm_v128_xor(u, wasm_v128_load(y + k)), wasm_i8x16_eq(u, apart)))) return 0;
  }
  while (k < window && x[k] == y[k] && x[k] != separator) k++;
  return k == window;
}

// Sets the sign bit of each entry of order[from … to) whose suffix has the same first `window` characters as the entry before
// it, none of them the separator. `from` is at least 1. Call it on ranges from the last to the first.
EXPORT(join_neighbours) void join_neighbours(const void *text, int32_t wide, int32_t n, int32_t *order, int32_t window, int32_t separator, int32_t from, int32_t to) {
  for (int32_t i = to - 1; i >= from; i--) {
    int32_t a = order[i - 1], b = order[i], k = 0;
    if (a + window > n || b + window > n) continue;
    if (!wide) {
      const uint8_t *bytes = text;
      if (same_bytes(bytes + a, bytes + b, window, separator)) order[i] |= SIGN;
      continue;
    }
    while (k < window && at(text, 1, a + k) == at(text, 1, b + k) && at(text, 1, a + k) != separator) k++;
    if (k == window) order[i] |= SIGN;
  }
}

static int has(const uint8_t *bits, int32_t i) { return bits[i >> 3] >> (i & 7) & 1; }

// Marks repeated windows: sets bits[start of the window]. Of each group of equal windows it marks all but the first in
// the text; with `all`, the first too.
EXPORT(mark_repeats) void mark_repeats(const int32_t *order, int32_t n, int32_t all, uint8_t *bits) {
  for (int32_t i = 0; i <= n >> 3; i++) bits[i] = 0;
  for (int32_t i = 0, end; i < n; i = end) {
    int32_t first = order[i];
    for (end = i + 1; end < n && order[end] < 0; end++) {
      if ((order[end] & ~SIGN) < first) first = order[end] & ~SIGN;
    }
    for (int32_t k = i; end > i + 1 && k < end; k++) {
      int32_t j = order[k] & ~SIGN;
      if (all || j != first) bits[j >> 3] |= 1 << (j & 7);
    }
  }
}

// Writes out[room][2] = (start of a run of marked windows, first occurrence of the window there), in no particular order.
// Returns the number of runs, of which at most `room` are written.
EXPORT(run_starts) int32_t run_starts(const int32_t *order, int32_t n, const uint8_t *bits, int32_t *out, int32_t room) {
  int32_t count = 0;
  for (int32_t i = 0, end; i < n; i = end) {
    int32_t first = order[i];
    for (end = i + 1; end < n && order[end] < 0; end++) {
      if ((order[end] & ~SIGN) < first) first = order[end] & ~SIGN;
    }
    for (int32_t k = i; end > i + 1 && k < end; k++) {
      int32_t j = order[k] & ~SIGN;
      if (!has(bits, j) || (j > 0 && has(bits, j - 1))) continue;
      if (count < room) out[2 * count] = j, out[2 * count + 1] = first;
      count++;
    }
  }
  return count;
}

// Returns the end of the run that begins at i: the first unmarked window after it.
EXPORT(run_end) int32_t run_end(const uint8_t *bits, int32_t n, int32_t i) {
  while (i < n && has(bits, i)) i++;
  return i;
}

// Finds anchors (minimizers). A window's anchor is the position of the gram (`gram` characters) with the smallest hash in
// the window, so equal windows have anchors with equal hashes. An anchor stays until it leaves the window or a smaller
// hash appears. Grams of one repeated character sort last, since they are frequent and carry no information. `ring` has
// room for the hashes of a window's grams, rounded up to a power of two. Writes hashes and positions; returns their
// number, at most two per gram.
INLINE int32_t find_anchors(const void *text, int wide, int32_t n, int32_t window, int32_t gram, uint64_t *ring, uint64_t *hashes, int32_t *positions) {
  if (n < window) return 0;
  const uint64_t base = 0x9E3779B97F4A7C15ull;
  int32_t grams = window - gram + 1, size = 1, count = 0, best = -1, run = 0, twice = 0;
  while (size < grams) size *= 2;
  uint64_t power = 1, sum = 0, least = 0;
  for (int32_t i = 1; i < gram; i++) power *= base;
  for (int32_t i = 0; i < n; i++) {
    if (i >= gram) sum -= power * (uint64_t)(at(text, wide, i - gram) + 1);
    sum = sum * base + (uint64_t)(at(text, wide, i) + 1);
    run = i > 0 && at(text, wide, i) == at(text, wide, i - 1) ? run + 1 : 1;
    int32_t start = i - gram + 1;
    if (start < 0) continue;
    uint64_t h = sum;
    h = (h ^ h >> 33) * 0xFF51AFD7ED558CCDull;
    h = (h ^ h >> 33) * 0xC4CEB9FE1A85EC53ull;
    h = (h ^ h >> 33) >> 1 | (uint64_t)(run >= gram) << 63;
    ring[start & (size - 1)] = h;
    int32_t first = start - grams + 1, changed = 1;
    if (best < 0 || h < least) {
      best = start, least = h;
    } else if (best < first) {
      best = start, least = h;
      for (int32_t k = start - 1; k >= first; k--) {
        if (ring[k & (size - 1)] < least) best = k, least = ring[k & (size - 1)];
      }
    } else {
      changed = 0;
      // Overlapping equal windows may share an anchor, which would look unrepeated. So one more place is written.
      if (h == least && !twice) hashes[count] = least << 1 | least >> 63, positions[count++] = start, twice = 1;
    }
    if (changed) twice = 0;
    // The first window is complete at first = 0; no anchor is known before.
    if (first == 0 || (first > 0 && changed)) hashes[count] = least << 1 | least >> 63, positions[count++] = best;
  }
  return count;
}

EXPORT(anchors) int32_t anchors(const void *text, int32_t wide, int32_t n, int32_t window, int32_t gram, uint64_t *ring, uint64_t *hashes, int32_t *positions) {
  return wide ? find_anchors(text, 1, n, window, gram, ring, hashes, positions) : find_anchors(text, 0, n, window, gram, ring, hashes, positions);
}

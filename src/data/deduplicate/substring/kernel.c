// Repeated spans of a text: its suffixes in order by induced sorting (Nong, Zhang and Chan, "Two Efficient Algorithms for
// Linear Time Suffix Array Construction", 2009), neighbours that share a window, and the windows' anchors (minimizers:
// Schleimer, Wilkerson and Aiken, "Winnowing", 2003). A text is of bytes or of 32-bit numbers (tokens, and the names that
// the sorting itself gives); `wide` says which. JavaScript lays out the memory.
// kernel.wasm is built from this file by `node scripts/kernels.mjs`, which a test repeats.
#include <stdint.h>
#include <wasm_simd128.h>

#define EXPORT(name) __attribute__((export_name(#name)))
#define INLINE static inline __attribute__((always_inline))

// Every function below is made twice, for bytes and for numbers: `wide` is a constant where it is inlined.
INLINE int32_t at(const void *text, int wide, int32_t i) {
  return wide ? ((const int32_t *)text)[i] : ((const uint8_t *)text)[i];
}

// Where the bucket of each letter begins, or ends.
INLINE void buckets(const void *text, int wide, int32_t n, int32_t letters, int32_t *bucket, int ends) {
  for (int32_t c = 0; c < letters; c++) bucket[c] = 0;
  for (int32_t i = 0; i < n; i++) bucket[at(text, wide, i)]++;
  for (int32_t c = 0, sum = 0; c < letters; c++) {
    int32_t count = bucket[c];
    sum += count;
    bucket[c] = ends ? sum : sum - count;
  }
}

// Induces the order of all suffixes from that of the suffixes that stand at the ends of their buckets. A suffix is
// falling when it is greater than the next one, else rising; what comes before the first character does not matter.
// First, upwards, each entry puts the suffix before it into place if that one falls; then, downwards, if it rises. An
// entry above 0 has a falling one before it, one with the sign bit a rising one, 0 is empty or the first suffix. With
// `trim` entries go when they have served; those that stay are rising ones after a falling one (called turns below).
#define SIGN INT32_MIN

// Every entry asks for text at another place, and where a core waits for that before it can go on, it waits for memory
// once an entry. So what a block of entries will ask for is read beforehand in loops that do nothing else, in which many
// reads are on their way at once (WebAssembly has no instruction to prefetch): this makes all of it 2.4 times as fast.
#define BLOCK 128
static volatile int32_t nowhere;

// Entries that count are above 0 once `sign` is turned, and `back` will be taken off them. With `places` their letters'
// buckets too, and where these fill: of bytes both are few enough to be near.
INLINE void fetch(const void *text, int wide, const int32_t *order, const int32_t *bucket, int32_t from, int32_t to, int32_t sign, int32_t back, int places) {
  int32_t letters[BLOCK], sum = 0;
  for (int32_t i = from; i < to; i++) {
    uint32_t j = order[i] ^ sign, counts = -(uint32_t)(j - 1 < INT32_MAX);
    letters[i - from] = at(text, wide, (j - back) & counts);
  }
  for (int32_t k = 0; places && k < to - from; k++) letters[k] = bucket[letters[k]];
  for (int32_t k = 0; k < to - from; k++) sum += places ? order[letters[k]] : letters[k];
  nowhere = sum;
}

// Without branches on what is read from the text, since half of the guesses would be wrong: a sign is made by shifting.
INLINE void upwards(const void *text, int wide, int32_t *order, int32_t *bucket, int32_t from, int32_t to, int trim) {
  fetch(text, wide, order, bucket, from, to, 0, 1, wide);
  for (int32_t i = from; i < to; i++) {
    int32_t j = order[i];
    if (j <= 0) continue;
    if (trim) order[i] = 0;
    j--;
    int32_t c = at(text, wide, j), before = at(text, wide, j - (j > 0));
    order[bucket[c]++] = j | ((before - c) & SIGN);
  }
}

INLINE void downwards(const void *text, int wide, int32_t *order, int32_t *bucket, int32_t from, int32_t to, int trim) {
  fetch(text, wide, order, bucket, from, to, SIGN, 1, wide);
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

// Functions of their own, called for a block at a time: V8 begins with quickly made code and changes to its better code
// only when a function is called anew.
#define STEP(name, loop, wide, trim) \
  static __attribute__((noinline)) void name(const void *text, int32_t *order, int32_t *bucket, int32_t from, int32_t to) { loop(text, wide, order, bucket, from, to, trim); }
STEP(upwards_bytes, upwards, 0, 0)
STEP(upwards_numbers, upwards, 1, 0)
STEP(upwards_bytes_trim, upwards, 0, 1)
STEP(upwards_numbers_trim, upwards, 1, 1)
STEP(downwards_bytes, downwards, 0, 0)
STEP(downwards_numbers, downwards, 1, 0)
STEP(downwards_bytes_trim, downwards, 0, 1)
STEP(downwards_numbers_trim, downwards, 1, 1)

INLINE void induce(const void *text, int wide, int32_t n, int32_t letters, int32_t *order, int32_t *bucket, int trim) {
  buckets(text, wide, n, letters, bucket, 0);
  int32_t c = at(text, wide, n - 1), rises = n > 1 && at(text, wide, n - 2) < c;
  order[bucket[c]++] = rises ? (n - 1) | SIGN : n - 1;
  for (int32_t from = 0; from < n; from += BLOCK) {
    int32_t to = n - from > BLOCK ? from + BLOCK : n;
    if (wide && trim) upwards_numbers_trim(text, order, bucket, from, to);
    else if (wide) upwards_numbers(text, order, bucket, from, to);
    else if (trim) upwards_bytes_trim(text, order, bucket, from, to);
    else upwards_bytes(text, order, bucket, from, to);
  }
  buckets(text, wide, n, letters, bucket, 1);
  for (int32_t to = n; to > 0; to -= BLOCK) {
    int32_t from = to > BLOCK ? to - BLOCK : 0;
    if (wide && trim) downwards_numbers_trim(text, order, bucket, from, to);
    else if (wide) downwards_numbers(text, order, bucket, from, to);
    else if (trim) downwards_bytes_trim(text, order, bucket, from, to);
    else downwards_bytes(text, order, bucket, from, to);
  }
}

static void sort_numbers(const int32_t *text, int32_t n, int32_t letters, int32_t *order, int32_t *bucket);

// order[0 … n) becomes the suffix array; bucket has room for max(letters, n / 2) numbers.
INLINE void sort_suffixes(const void *text, int wide, int32_t n, int32_t letters, int32_t *order, int32_t *bucket) {
  for (int32_t i = 0; i < n; i++) order[i] = 0;
  if (n < 2) return;
  // The turns, each to its bucket's end in any order; inducing sorts them by what lies between each and the next.
  buckets(text, wide, n, letters, bucket, 1);
  int32_t turns = 0;
  for (int32_t i = n - 2, next = at(text, wide, n - 1), rising = 0; i >= 0; i--) {
    int32_t c = at(text, wide, i);
    if (c > next) {
      if (rising) order[--bucket[next]] = i + 1, turns++;
      rising = 0;
    } else if (c < next) {
      rising = 1;
    }
    next = c;
  }
  if (turns > 1) {
    induce(text, wide, n, letters, order, bucket, 1);
    for (int32_t i = 0, m = 0; m < turns; i++) {
      if (order[i] > 0) order[m++] = order[i];
    }
    // Names: equal stretches get equal ones. Two turns are never neighbours, so half of the rest has room for a number
    // a turn: first the length of the stretch to the next turn, then its name.
    int32_t *names = order + turns, half = (n >> 1) + 1, count = 0;
    if (turns + half > n) half = n - turns;
    for (int32_t i = turns; i < n; i++) order[i] = 0;
    for (int32_t i = n - 2, next = at(text, wide, n - 1), rising = 0, last = n; i >= 0; i--) {
      int32_t c = at(text, wide, i);
      if (c > next) {
        if (rising) names[(i + 1) >> 1] = last - i, last = i + 1;
        rising = 0;
      } else if (c < next) {
        rising = 1;
      }
      next = c;
    }
    for (int32_t from = 0, before = -1, length = 0; from < turns; from += BLOCK) {
      int32_t to = turns - from > BLOCK ? from + BLOCK : turns;
      fetch(text, wide, order, bucket, from, to, 0, 0, 0);
      for (int32_t i = from; i < to; i++) {
        int32_t j = order[i], l = names[j >> 1], same = before >= 0 && l == length;
        for (int32_t k = 0; same && k < l; k++) same = at(text, wide, j + k) == at(text, wide, before + k);
        count += !same;
        names[j >> 1] = count;
        before = j;
        length = l;
      }
    }
    if (count < turns) {
      // The names, in the order of the text, are a shorter text whose suffixes' order is that of the turns.
      int32_t *shorter = order + n - turns;
      for (int32_t i = half - 1, m = turns; m > 0; i--) {
        if (names[i] > 0) shorter[--m] = names[i] - 1;
      }
      sort_numbers(shorter, turns, count, order, bucket);
      for (int32_t i = n - 2, next = at(text, wide, n - 1), rising = 0, m = turns; i >= 0; i--) {
        int32_t c = at(text, wide, i);
        if (c > next) {
          if (rising) shorter[--m] = i + 1;
          rising = 0;
        } else if (c < next) {
          rising = 1;
        }
        next = c;
      }
      for (int32_t i = 0; i < turns; i++) order[i] = shorter[order[i]];
    }
    for (int32_t i = turns; i < n; i++) order[i] = 0;
    buckets(text, wide, n, letters, bucket, 1);
    for (int32_t to = turns; to > 0; to -= BLOCK) {
      int32_t from = to > BLOCK ? to - BLOCK : 0;
      fetch(text, wide, order, bucket, from, to, 0, 0, wide);
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

// Whether two stretches of bytes are the same and without the separator: sixteen bytes at a time, since text that repeats
// over and over (a line a million times) comes here with each of its suffixes.
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

// Sets the sign bit of each suffix order[from … to) that shares its first `window` characters, none of them the
// separator, with the one before it in the order; from is at least 1, and stretches are called from the last to the first.
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

// The repeated windows, as bits by where they begin: of each group of neighbours that share one, all but the first in
// the text; with `all` that one too.
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

// For each run of marked windows two numbers, in no order: where it begins, and the first window equal to that one.
// Gives the number of runs; writes at most `room` of them.
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

// Where a run that begins at i ends: the first unmarked window after it.
EXPORT(run_end) int32_t run_end(const uint8_t *bits, int32_t n, int32_t i) {
  while (i < n && has(bits, i)) i++;
  return i;
}

// Anchors: positions such that every window of a text has one inside whose gram (the characters from it on) has the
// least hash of all in the window, so that equal windows have anchors with equal hashes. An anchor serves until it
// leaves the window or is beaten; grams of one character over and over come last, for they are many and tell nothing.
// `ring` has room for the hashes of a window's grams, rounded up to a power of two. Writes hashes and positions; gives
// their number, at most two a gram.
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
      // Equal windows that overlap may share an anchor; one place more says that there is something to be seen.
      if (h == least && !twice) hashes[count] = least << 1 | least >> 63, positions[count++] = start, twice = 1;
    }
    if (changed) twice = 0;
    // The first window is whole with first = 0; before, its anchor is not known.
    if (first == 0 || (first > 0 && changed)) hashes[count] = least << 1 | least >> 63, positions[count++] = best;
  }
  return count;
}

EXPORT(anchors) int32_t anchors(const void *text, int32_t wide, int32_t n, int32_t window, int32_t gram, uint64_t *ring, uint64_t *hashes, int32_t *positions) {
  return wide ? find_anchors(text, 1, n, window, gram, ring, hashes, positions) : find_anchors(text, 0, n, window, gram, ring, hashes, positions);
}

// Training and prediction of the text classifier (Joulin et al. 2016, arXiv:1607.01759; subword n-grams: Bojanowski et al.
// 2016, arXiv:1607.04606). Hashes, tokenisation and order of sums are fastText's, so models are interchangeable.
// JavaScript lays out the memory and passes one struct; a shared memory lets several threads train at once.
// `node scripts/kernels.mjs` builds kernel.wasm from this file; a test checks that it is up to date.
#include <stdint.h>
#include <wasm_simd128.h>

typedef struct {
  // The dictionary: words first, then labels. Entry i is text[start[i] … start[i + 1]).
  int32_t words, labels;
  const uint8_t *text;
  const int32_t *start;
  int32_t *table;         // open addressing: entry or -1
  int32_t table_mask;
  const int32_t *subword_start; // word i has subwords[subword_start[i] … subword_start[i + 1]); unused without subwords
  const int32_t *subwords;
  int32_t bucket, ngrams, minn, maxn;
  const uint8_t *prefix; // of labels
  int32_t prefix_length;
  // kept[kept_pairs][2]: (bucket, row) of the buckets that a pruned model keeps, sorted; kept_pairs is -1 if unpruned.
  const int32_t *kept;
  int32_t kept_pairs;
  // input[words + buckets][stride] and output[labels][stride]; dim floats per row are used, stride is a multiple of 4.
  float *input, *output;
  int32_t dim, stride;
  // Loss: 0 softmax; 1 hierarchical softmax; 2 independent labels (prediction only). Label l's path in the tree is
  // nodes[path_start[l] … path_start[l + 1]), with codes 0 or 1.
  int32_t loss_kind;
  const int32_t *path_start, *nodes, *left, *right;
  const uint8_t *codes;
  const float *rate_scale; // per node: factor on the learning rate
  // Buffers of this thread.
  int32_t *ids, *line_labels, *hashes;
  float *hidden, *gradient, *scores;
  uint32_t random;
  // Counts for the last line read.
  int32_t id_count, label_count, token_count;
  // Sums over all training since the struct was created.
  double loss;
  double examples;
} Classifier;

#define EXPORT(name) __attribute__((export_name(#name)))

static uint32_t hash_bytes(const uint8_t *p, int32_t length) {
  uint32_t h = 2166136261u; // FNV-1a; bytes are sign-extended, as in fastText
  for (int32_t i = 0; i < length; i++) h = (h ^ (uint32_t)(int8_t)p[i]) * 16777619u;
  return h;
}

static int is_space(uint8_t c) { return c == ' ' || (c >= 9 && c <= 13) || c == 0; }

static int32_t find(const Classifier *c, const uint8_t *word, int32_t length, uint32_t hash) {
  for (uint32_t at = hash & c->table_mask;; at = (at + 1) & c->table_mask) {
    int32_t entry = c->table[at];
    if (entry < 0) return -1;
    const uint8_t *other = c->text + c->start[entry];
    if (c->start[entry + 1] - c->start[entry] != length) continue;
    int32_t i = 0;
    while (i < length && other[i] == word[i]) i++;
    if (i == length) return entry;
  }
}

EXPORT(fill_table) void fill_table(Classifier *c) {
  for (int32_t i = 0; i <= c->table_mask; i++) c->table[i] = -1;
  for (int32_t entry = 0; entry < c->words + c->labels; entry++) {
    uint32_t at = hash_bytes(c->text + c->start[entry], c->start[entry + 1] - c->start[entry]) & c->table_mask;
    while (c->table[at] >= 0) at = (at + 1) & c->table_mask;
    c->table[at] = entry;
  }
}

// Returns the row of a bucket; -1 if the model was pruned of it.
static int32_t bucket_row(const Classifier *c, uint32_t bucket) {
  if (c->kept_pairs < 0) return c->words + (int32_t)bucket;
  int32_t low = 0, high = c->kept_pairs - 1;
  while (low <= high) {
    int32_t middle = (low + high) / 2;
    int32_t value = c->kept[2 * middle];
    if (value == (int32_t)bucket) return c->words + c->kept[2 * middle + 1];
    if (value < (int32_t)bucket) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}

// Appends the rows of the character n-grams of `<word>` to ids; returns the new count.
static int32_t add_subwords(const Classifier *c, const uint8_t *word, int32_t length, int32_t *ids, int32_t count) {
#define AT(i) ((i) == 0 ? '<' : (i) == length + 1 ? '>' : word[(i) - 1])
  int32_t size = length + 2;
  for (int32_t i = 0; i < size; i++) {
    if ((AT(i) & 0xC0) == 0x80) continue; // inside a character
    uint32_t h = 2166136261u;
    for (int32_t j = i, n = 1; j < size && n <= c->maxn; n++) {
      do h = (h ^ (uint32_t)(int8_t)AT(j)) * 16777619u, j++;
      while (j < size && (AT(j) & 0xC0) == 0x80);
      if (n < c->minn || (n == 1 && (i == 0 || j == size))) continue;
      int32_t row = bucket_row(c, h % (uint32_t)c->bucket);
      if (row >= 0) ids[count++] = row;
    }
  }
  return count;
#undef AT
}

// Writes the rows of a dictionary word to out: the word, then its character n-grams. Returns their number.
EXPORT(list_subwords) int32_t list_subwords(const Classifier *c, int32_t word, int32_t *out) {
  const uint8_t *text = c->text + c->start[word];
  int32_t length = c->start[word + 1] - c->start[word];
  out[0] = word;
  int end_of_line = length == 4 && text[0] == '<' && text[1] == '/' && text[2] == 's' && text[3] == '>';
  return end_of_line || c->maxn <= 0 ? 1 : add_subwords(c, text, length, out, 1);
}

static void add_word(Classifier *c, const uint8_t *word, int32_t length, uint32_t hash, int32_t entry, int end_of_line) {
  if (entry < 0) {
    if (!end_of_line && c->maxn > 0) c->id_count = add_subwords(c, word, length, c->ids, c->id_count);
  } else if (c->maxn <= 0) {
    c->ids[c->id_count++] = entry;
  } else {
    for (int32_t i = c->subword_start[entry]; i < c->subword_start[entry + 1]; i++) c->ids[c->id_count++] = c->subwords[i];
  }
  c->hashes[c->token_count++] = (int32_t)hash;
}

// Line buffers have room for this many bytes. The rest of a longer line is read as the next line.
#define LONGEST_LINE (1 << 20)

// Reads the line at `at` into ids (its rows) and line_labels; returns where the next line begins.
EXPORT(read_line) const uint8_t *read_line(Classifier *c, const uint8_t *at, const uint8_t *end) {
  c->id_count = c->label_count = 0;
  int32_t words = 0, tokens = 0;
  if (end - at > LONGEST_LINE) end = at + LONGEST_LINE;
  c->token_count = 0;
  while (at < end) {
    while (at < end && *at != '\n' && is_space(*at)) at++;
    if (at == end) break;
    const uint8_t *word = at;
    int32_t length;
    int end_of_line = *at == '\n';
    if (end_of_line) {
      word = (const uint8_t *)"</s>";
      length = 4;
      at++;
    } else {
      while (at < end && !is_space(*at)) at++;
      length = (int32_t)(at - word);
    }
    uint32_t hash = hash_bytes(word, length);
    int32_t entry = find(c, word, length, hash);
    tokens++;
    int is_label = entry >= c->words;
    if (entry < 0 && length >= c->prefix_length) {
      is_label = 1;
      for (int32_t i = 0; i < c->prefix_length; i++) if (word[i] != c->prefix[i]) is_label = 0;
    }
    if (!is_label) add_word(c, word, length, hash, entry, end_of_line);
    else if (entry >= 0) c->line_labels[c->label_count++] = entry - c->words;
    if (end_of_line) break;
  }
  words = c->token_count;
  if (c->ngrams > 1 && c->bucket > 0) {
    for (int32_t i = 0; i < words; i++) {
      uint64_t h = (uint64_t)(int64_t)c->hashes[i];
      for (int32_t j = i + 1; j < words && j < i + c->ngrams; j++) {
        h = h * 116049371u + (uint64_t)(int64_t)c->hashes[j];
        int32_t row = bucket_row(c, (uint32_t)(h % (uint64_t)c->bucket));
        if (row >= 0) c->ids[c->id_count++] = row;
      }
    }
  }
  c->token_count = tokens;
  return at;
}

static void add_row(float *restrict y, const float *restrict x, float a, int32_t n) {
  v128_t s = wasm_f32x4_splat(a);
  for (int32_t i = 0; i < n; i += 4) wasm_v128_store(y + i, wasm_f32x4_add(wasm_v128_load(y + i), wasm_f32x4_mul(s, wasm_v128_load(x + i))));
}
static void plus_row(float *restrict y, const float *restrict x, int32_t n) {
  for (int32_t i = 0; i < n; i += 4) wasm_v128_store(y + i, wasm_f32x4_add(wasm_v128_load(y + i), wasm_v128_load(x + i)));
}
static float dot(const float *x, const float *y, int32_t n) {
  v128_t sum = wasm_f32x4_splat(0);
  for (int32_t i = 0; i < n; i += 4) sum = wasm_f32x4_add(sum, wasm_f32x4_mul(wasm_v128_load(x + i), wasm_v128_load(y + i)));
  return wasm_f32x4_extract_lane(sum, 0) + wasm_f32x4_extract_lane(sum, 1) + wasm_f32x4_extract_lane(sum, 2) + wasm_f32x4_extract_lane(sum, 3);
}

// e^x for x <= 0: 2^(k + f) with |f| <= 1/2, e^(f ln 2) by Taylor's series to the 9th power (error below 1e-9).
static float exponential(float x) {
  if (x < -87) return 0;
  double t = (double)x * 1.4426950408889634;
  int32_t k = (int32_t)(t < 0 ? t - 0.5 : t + 0.5);
  double r = (t - k) * 0.6931471805599453, sum = 1, term = 1;
  for (int i = 1; i < 10; i++) term *= r / i, sum += term;
  union { uint64_t u; double d; } power = {(uint64_t)(k + 1023) << 52};
  return (float)(sum * power.d);
}
// ln x for x in (0, 1]: exponent and atanh series.
static double logarithm(double x) {
  union { double d; uint64_t u; } bits = {x};
  int32_t k = (int32_t)(bits.u >> 52) - 1023;
  bits.u = (bits.u & 0xfffffffffffffull) | 0x3ff0000000000000ull;
  double z = (bits.d - 1) / (bits.d + 1), square = z * z, sum = 0, term = z;
  for (int i = 1; i < 30; i += 2) sum += term / i, term *= square;
  return k * 0.6931471805599453 + 2 * sum;
}
static float sigmoid(float x) {
  if (x >= 0) return 1 / (1 + exponential(-x));
  float e = exponential(x);
  return e / (1 + e);
}

static void compute_hidden(Classifier *c) {
  const int32_t n = c->stride;
  for (int32_t i = 0; i < n; i += 4) wasm_v128_store(c->hidden + i, wasm_f32x4_splat(0));
  for (int32_t i = 0; i < c->id_count; i++) plus_row(c->hidden, c->input + (long)c->ids[i] * n, n);
  v128_t scale = wasm_f32x4_splat(1.0f / c->id_count);
  for (int32_t i = 0; i < n; i += 4) wasm_v128_store(c->hidden + i, wasm_f32x4_mul(wasm_v128_load(c->hidden + i), scale));
}

static void softmax(Classifier *c) {
  float most = -3.4e38f, sum = 0;
  for (int32_t l = 0; l < c->labels; l++) {
    c->scores[l] = dot(c->output + (long)l * c->stride, c->hidden, c->stride);
    if (c->scores[l] > most) most = c->scores[l];
  }
  for (int32_t l = 0; l < c->labels; l++) sum += c->scores[l] = exponential(c->scores[l] - most);
  for (int32_t l = 0; l < c->labels; l++) c->scores[l] /= sum;
}

// Trains one binary decision of the tree; returns its loss in nats.
static double train_node(Classifier *c, int32_t node, int code, float rate) {
  float *row = c->output + (long)node * c->stride;
  float score = sigmoid(dot(row, c->hidden, c->stride));
  float alpha = rate * ((float)code - score);
  add_row(c->gradient, row, alpha, c->stride);
  add_row(row, c->hidden, alpha * c->rate_scale[node], c->stride);
  float right = code ? score : 1 - score;
  return -logarithm(right < 1e-30f ? 1e-30 : right);
}

static void learn(Classifier *c, int32_t target, float rate) {
  const int32_t n = c->stride;
  compute_hidden(c);
  for (int32_t i = 0; i < n; i += 4) wasm_v128_store(c->gradient + i, wasm_f32x4_splat(0));
  if (c->loss_kind == 1) {
    for (int32_t i = c->path_start[target]; i < c->path_start[target + 1]; i++) c->loss += train_node(c, c->nodes[i], c->codes[i], rate);
  } else {
    softmax(c);
    float p = c->scores[target];
    c->loss += -logarithm(p < 1e-30f ? 1e-30 : p);
    for (int32_t l = 0; l < c->labels; l++) {
      float alpha = rate * ((l == target ? 1.0f : 0.0f) - c->scores[l]);
      float *row = c->output + (long)l * n;
      add_row(c->gradient, row, alpha, n);
      add_row(row, c->hidden, alpha, n);
    }
  }
  v128_t scale = wasm_f32x4_splat(1.0f / c->id_count);
  for (int32_t i = 0; i < n; i += 4) wasm_v128_store(c->gradient + i, wasm_f32x4_mul(wasm_v128_load(c->gradient + i), scale));
  for (int32_t i = 0; i < c->id_count; i++) plus_row(c->input + (long)c->ids[i] * n, c->gradient, n);
  c->examples += 1;
}

// Trains on the lines of a text. `seen` of `total` tokens were read before; the learning rate decays linearly from `rate` to
// 0 over the total. Returns the tokens read.
EXPORT(train_text) double train_text(Classifier *c, const uint8_t *at, const uint8_t *end, double seen, double total, double rate) {
  double tokens = 0;
  while (at < end) {
    at = read_line(c, at, end);
    double progress = (seen + tokens) / total;
    tokens += c->token_count;
    if (c->label_count == 0 || c->id_count == 0) continue;
    c->random = c->random * 1664525u + 1013904223u; // Numerical Recipes' generator: chooses among several labels
    int32_t target = c->line_labels[c->label_count == 1 ? 0 : (c->random >> 8) % (uint32_t)c->label_count];
    float now = (float)(rate * (progress < 1 ? 1 - progress : 0));
    learn(c, target, now);
  }
  return tokens;
}

// Writes the probabilities of all labels for the last line read to scores[labels]. Returns 0 if the line has no rows.
EXPORT(score_line) int32_t score_line(Classifier *c) {
  if (c->id_count == 0) return 0;
  compute_hidden(c);
  if (c->loss_kind == 0) {
    softmax(c);
    return 1;
  }
  if (c->loss_kind == 2) {
    for (int32_t l = 0; l < c->labels; l++) c->scores[l] = sigmoid(dot(c->output + (long)l * c->stride, c->hidden, c->stride));
    return 1;
  }
  // From the root down, since children have smaller numbers. 1e-5 is what fastText adds before taking logarithms.
  int32_t root = 2 * c->labels - 2;
  c->scores[root] = 1;
  for (int32_t node = root; node >= c->labels; node--) {
    float f = sigmoid(dot(c->output + (long)(node - c->labels) * c->stride, c->hidden, c->stride));
    c->scores[c->left[node - c->labels]] = c->scores[node] * (1 - f + 1e-5f);
    c->scores[c->right[node - c->labels]] = c->scores[node] * (f + 1e-5f);
  }
  return 1;
}

// Fills matrix[rows][stride], the initial input matrix, with values uniform in ±1/dim.
EXPORT(fill_random) void fill_random(float *matrix, double rows, int32_t dim, int32_t stride, uint32_t seed) {
  uint32_t s = seed * 2654435761u + 1;
  float bound = 1.0f / dim;
  for (double r = 0; r < rows; r++, matrix += stride) {
    for (int32_t i = 0; i < dim; i++) {
      s ^= s << 13, s ^= s >> 17, s ^= s << 5; // xorshift32, Marsaglia 2003
      matrix[i] = ((float)(s >> 8) / 8388608.0f - 1) * bound;
    }
    for (int32_t i = dim; i < stride; i++) matrix[i] = 0;
  }
}

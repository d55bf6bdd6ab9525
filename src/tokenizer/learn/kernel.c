// The loops that learn merges. One instance stores the pretokens, counts pairs in them and merges them (merged-text.ts).
// Another stores the queue of pairs, which chooses the next merge (pair-queue.ts). They share no memory.
// `node scripts/kernels.mjs` builds kernel.wasm from this file; a test checks that the two agree.
#include <stdint.h>

#define EXPORT(name) __attribute__((export_name(#name)))
#define IMPORT(name) __attribute__((import_module("env"), import_name(#name)))

// ---- Memory: a bump allocator

enum { PAGE = 65536, MORE = 256 };
extern uint8_t __heap_base;
static uint64_t top;
// Throws: memory is exhausted.
IMPORT(full) void full(void);

static void *reserve(uint64_t bytes) {
  if (top == 0) top = (uint32_t)&__heap_base;
  uint64_t at = (top + 15) & ~15ull;
  top = at + bytes;
  uint64_t have = (uint64_t)__builtin_wasm_memory_size(0) * PAGE;
  if (top > have) {
    uint32_t pages = (top - have + PAGE - 1) / PAGE;
    // Grow by extra pages, because growing memory is slow.
    if (top > 1ull << 32 || (__builtin_wasm_memory_grow(0, pages + MORE) == (uint32_t)-1 && __builtin_wasm_memory_grow(0, pages) == (uint32_t)-1)) full();
  }
  return (void *)(uint32_t)at;
}

EXPORT(reserve) void *reserve_here(double bytes) { return reserve((uint64_t)bytes); }
// Frees everything that was allocated at `from` or above.
EXPORT(release) void release(void *from) { top = (uint32_t)from; }

// Allocates `want` bytes and copies the first `used` bytes of `old` into them.
static void *wider(void *old, uint64_t used, uint64_t want) {
  void *fresh = reserve(want);
  if (used > 0) __builtin_memcpy(fresh, old, used);
  return fresh;
}

static uint32_t hash_of(int32_t left, int32_t right) {
  uint32_t hash = (uint32_t)left * 0x9e3779b1u ^ (uint32_t)right * 0x85ebca6bu;
  hash = (hash ^ hash >> 16) * 0x7feb352du;
  return hash ^ hash >> 15;
}

// ---- The pretokens
//
// All pretokens are stored in one array of int32 slots, one slot per byte. A border slot with the pretoken's count precedes
// each pretoken, and one more border follows the last. A token of n bytes at slot p stores its id in slot p and, if n > 1, the
// complement of its id in slot p + n - 1. Both neighbours of a token are thus found without links, and one number, the slot,
// identifies an occurrence of a pair.

// A border is BORDER + count, at most LAST_BORDER; ids and complements are all greater. INSIDE fills the slots between the two
// ends of a token of three or more bytes. The count of a pretoken longer than LONGEST_WALK bytes is stored in JavaScript,
// because walking back to its border would take too long. A merge checks BATCH slots before it changes any of them.
enum { BORDER = -0x7fffffff - 1, LAST_BORDER = -0x40000000, INSIDE = LAST_BORDER + 1, LONGEST_WALK = 200, BATCH = 256 };

static int32_t *slots;
static uint32_t slot_count;
static uint32_t *lengths;
// The distinct neighbours of a merge: the token before or the complement of the token after, its occurrences in the text, and
// its number of slots. `memo` has two entries per token (before, after): the stamp of the last merge that met the token there,
// and its index among the neighbours.
static int32_t *neighbour_ids, *neighbour_places, *memo, stamp;
static double *neighbour_counts;
// The slots at which the current merge has created its token.
static uint32_t *merged_at;
static uint32_t merged_size;

// Stores the count of a pretoken that is too long or whose count does not fit into its border.
IMPORT(store_count) void store_count(uint32_t border, double count);
// Returns the stored count of the last such pretoken that begins before a slot.
IMPORT(stored_count) double stored_count(uint32_t slot);

EXPORT(begin_text) void begin_text(int32_t *into) { slots = into, slot_count = 0; }

// Appends pretokens. The caller passes them in pieces, as for every long loop here: an engine switches to optimised code only
// when a function is called again.
EXPORT(append_pretokens) void append_pretokens(const uint8_t *bytes, const double *starts, const double *counts, uint32_t size, const int32_t *byte_ids) {
  uint32_t at = slot_count;
  for (uint32_t word = 0; word < size; word++) {
    uint32_t from = starts[word] - starts[0], end = starts[word + 1] - starts[0];
    int32_t rare = counts[word] < LAST_BORDER - BORDER;
    if (end - from > LONGEST_WALK || !rare) store_count(at, counts[word]);
    slots[at++] = rare ? BORDER + (int32_t)counts[word] : LAST_BORDER;
    for (; from < end; from++) slots[at++] = byte_ids[bytes[from]];
  }
  slot_count = at;
}

EXPORT(end_text) void end_text(void) { slots[slot_count++] = BORDER; }

EXPORT(set_tables) void set_tables(uint32_t *l, int32_t *m, int32_t *i, double *c, int32_t *p) {
  lengths = l, memo = m, neighbour_ids = i, neighbour_counts = c, neighbour_places = p;
}

// A hash table of pairs: the count, the number of places, and the list to which `list_occurrences` writes, or -1.
typedef struct { int32_t left, right; double count; uint32_t places; int32_t list; } Entry;
typedef struct { Entry *at; uint32_t room, size; } Table;
// The pairs of the last counting pass, and the pairs at which merging starts.
static Table counted, initial;

static void clear(Table *table, uint32_t room) {
  if (table->room < room) table->at = reserve((uint64_t)room * sizeof(Entry)), table->room = room;
  __builtin_memset(table->at, 0xff, table->room * sizeof(Entry));
  table->size = 0;
}

static Entry *find(const Table *table, int32_t left, int32_t right) {
  uint32_t mask = table->room - 1, i = hash_of(left, right) & mask;
  while (table->at[i].left >= 0 && (table->at[i].left != left || table->at[i].right != right)) i = (i + 1) & mask;
  return table->at + i;
}

static Entry *enter(Table *table, int32_t left, int32_t right) {
  Entry *entry = find(table, left, right);
  if (entry->left >= 0) return entry;
  if (table->size * 2 >= table->room) {
    Table old = *table;
    clear(table, old.room * 2);
    for (uint32_t i = 0; i < old.room; i++)
      if (old.at[i].left >= 0) *find(table, old.at[i].left, old.at[i].right) = old.at[i];
    table->size = old.size;
    entry = find(table, left, right);
  }
  table->size++;
  *entry = (Entry){left, right, 0, 0, -1};
  return entry;
}

EXPORT(begin_count) void begin_count(void) { clear(&counted, 1 << 14); }

// Counts the pairs that start in slots [at, last), or only those whose hash falls in pass `pass` of `passes`. Returns the slot at
// which to continue.
EXPORT(count_pairs) uint32_t count_pairs(uint32_t at, uint32_t last, uint32_t pass, uint32_t passes) {
  static double word_count;
  while (at < last && at + 1 < slot_count) {
    int32_t left = slots[at];
    if (left < 0) {
      word_count = left == LAST_BORDER ? stored_count(at + 1) : left - BORDER;
      at++;
      continue;
    }
    at += lengths[left];
    int32_t right = slots[at];
    if (right < 0 || (passes > 1 && (hash_of(left, right) >> 8) % passes != pass)) continue;
    Entry *entry = enter(&counted, left, right);
    entry->count += word_count, entry->places++;
  }
  return at;
}

EXPORT(counted_size) uint32_t counted_size(void) { return counted.size; }

// Writes the pairs of the last counting pass.
EXPORT(write_counted) void write_counted(int32_t *keys, double *counts) {
  for (uint32_t i = 0; i < counted.room; i++) {
    if (counted.at[i].left < 0) continue;
    *keys++ = counted.at[i].left, *keys++ = counted.at[i].right;
    *counts++ = counted.at[i].count;
  }
}

// Empties the tables of pairs. The caller has released their memory.
EXPORT(reset_pairs) void reset_pairs(void) {
  counted = initial = (Table){0, 0, 0};
  clear(&initial, 1 << 14);
}

// Adds a pair to the initial ones; returns the number of places where it occurs.
EXPORT(add_initial) uint32_t add_initial(int32_t left, int32_t right) {
  Entry *here = counted.room ? find(&counted, left, right) : 0;
  uint32_t found = here && here->left >= 0 ? here->places : 0;
  enter(&initial, left, right)->places = found;
  return found;
}

EXPORT(assign_list) void assign_list(int32_t left, int32_t right, int32_t list) { enter(&initial, left, right)->list = list; }

// Appends the slots of every pair that has a list to that list, and advances its end in `ends`. Slots [at, last) are read, as in
// `count_pairs`; returns the slot at which to continue.
EXPORT(list_occurrences) uint32_t list_occurrences(uint32_t at, uint32_t last, uint32_t *ends, uint32_t *entries) {
  while (at < last && at + 1 < slot_count) {
    uint32_t start = at;
    int32_t left = slots[at];
    at += left < 0 ? 1 : lengths[left];
    if (left < 0 || slots[at] < 0) continue;
    Entry *entry = find(&initial, left, slots[at]);
    if (entry->left >= 0 && entry->list >= 0) entries[ends[entry->list]++] = start;
  }
  return at;
}

// Returns the count of the pretoken that contains a slot.
static double count_at(uint32_t slot) {
  uint32_t at = slot;
  for (int32_t steps = 0; steps < LONGEST_WALK; steps++) {
    int32_t mark = slots[at - 1];
    if (mark < LAST_BORDER) return mark - BORDER;
    if (mark == LAST_BORDER) break;
    at -= mark >= 0 ? 1 : lengths[~mark];
  }
  return stored_count(slot);
}

// Returns the memo entry of a neighbour: side 0 is before the merged token, 1 after.
static int32_t *memo_entry(int32_t mark, int32_t side) { return memo + (mark >= 0 ? mark : ~mark) * 4 + side * 2; }

// Adds one occurrence of a neighbour in a pretoken that occurs `count` times.
static void add_neighbour(int32_t mark, int32_t side, double count, uint32_t *size) {
  int32_t id = mark >= 0 ? mark : ~mark;
  int32_t *known = memo_entry(mark, side);
  if (known[0] != stamp) {
    uint32_t index = (*size)++;
    known[0] = stamp, known[1] = index;
    neighbour_ids[index] = side ? ~id : id, neighbour_counts[index] = count, neighbour_places[index] = 1;
  } else neighbour_counts[known[1]] += count, neighbour_places[known[1]]++;
}

// Begins a merge, which writes the slots of its new token to `into`.
EXPORT(begin_merge) void begin_merge(int32_t left, int32_t right, int32_t token, uint32_t *into) {
  lengths[token] = lengths[left] + lengths[right];
  stamp++;
  merged_at = into, merged_size = 0;
}

// Merges a pair at the listed slots where it still occurs. Appends its neighbours to the existing `size` and returns the new size.
// A merge is bound by memory latency, so it first reads BATCH slots without branches.
EXPORT(merge_pair) uint32_t merge_pair(const uint32_t *at, uint32_t n, int32_t left, int32_t right, int32_t token, uint32_t size) {
  static uint32_t live[BATCH];
  static int32_t differs[BATCH];
  uint32_t left_length = lengths[left], right_length = lengths[right];
  for (uint32_t from = 0; from < n; from += BATCH) {
    uint32_t few = n - from < BATCH ? n - from : BATCH, live_count = 0;
    for (uint32_t k = 0; k < few; k++) differs[k] = (slots[at[from + k]] ^ left) | (slots[at[from + k] + left_length] ^ right);
    for (uint32_t k = 0; k < few; k++) live[live_count] = at[from + k], live_count += differs[k] == 0;
    for (uint32_t k = 0; k < live_count; k++) {
      uint32_t start = live[k];
      // In a run of equal tokens, the occurrence before may already have used this one's first token.
      if (slots[start] != left) continue;
      uint32_t middle = start + left_length, end = middle + right_length;
      double word_count = count_at(start);
      slots[middle - 1] = INSIDE, slots[middle] = INSIDE;
      slots[end - 1] = ~token, slots[start] = token;
      int32_t before = slots[start - 1], after = slots[end];
      if (before > LAST_BORDER) add_neighbour(before, 0, word_count, &size);
      if (after > LAST_BORDER) add_neighbour(after, 1, word_count, &size);
      merged_at[merged_size++] = start;
    }
  }
  return size;
}

EXPORT(merged_count) uint32_t merged_count(void) { return merged_size; }

// Appends the occurrences of the pairs that the last merge created to their lists, for merged slots [k, last). `list_of` maps a
// neighbour's index to its list, or -1; `ends` has the end of each list and advances. A following neighbour that has itself become
// the token is skipped: that token lists the pair as its preceding neighbour.
EXPORT(list_new_pairs) void list_new_pairs(uint32_t k, uint32_t last, int32_t token, const int32_t *list_of, uint32_t *ends, uint32_t *entries) {
  static int32_t before[BATCH], after[BATCH];
  uint32_t length = lengths[token];
  if (last > merged_size) last = merged_size;
  for (; k < last; k += BATCH) {
    uint32_t few = last - k < BATCH ? last - k : BATCH;
    for (uint32_t i = 0; i < few; i++) before[i] = slots[merged_at[k + i] - 1], after[i] = slots[merged_at[k + i] + length];
    for (uint32_t i = 0; i < few; i++) {
      uint32_t start = merged_at[k + i];
      if (before[i] > LAST_BORDER) {
        int32_t list = list_of[memo_entry(before[i], 0)[1]];
        if (list >= 0) entries[ends[list]++] = start - lengths[before[i] >= 0 ? before[i] : ~before[i]];
      }
      if (after[i] > LAST_BORDER && after[i] != token) {
        int32_t list = list_of[memo_entry(after[i], 1)[1]];
        if (list >= 0) entries[ends[list]++] = start;
      }
    }
  }
}

// Moves the entries at which a pair still occurs down to `to`; returns their new end.
EXPORT(keep_live) uint32_t keep_live(uint32_t *entries, uint32_t from, uint32_t end, uint32_t to, int32_t left, int32_t right) {
  uint32_t length = lengths[left];
  for (uint32_t i = from; i < end; i++) {
    uint32_t slot = entries[i];
    entries[to] = slot;
    to += slots[slot] == left && slots[slot + length] == right;
  }
  return to;
}

// ---- The queue of pairs

typedef struct { int32_t left, right; double count; } Pair;
static Pair *pairs;
static uint32_t pair_count, pair_room;
// Hash table: pair index + 1, or 0 for an empty slot.
static uint32_t *by_hash, hash_room;
// Binary heap, most frequent first. It contains only pairs that occur at least `least` times, which leaves out millions of rare
// ones. Counts fall after they are pushed; a stale one is corrected when its pair reaches the top.
typedef struct { double count; uint32_t pair; } Node;
static Node *heap;
static uint32_t heap_size, heap_room;
static double lowest, least;
static int32_t by_bytes;
// Compares the bytes of two tokens: negative, zero or positive.
IMPORT(compare) int32_t compare(int32_t a, int32_t b);

EXPORT(begin_queue) void begin_queue(double floor, int32_t ties_by_bytes) {
  lowest = floor, by_bytes = ties_by_bytes, least = 1e300;
  pair_room = heap_room = 1 << 14, hash_room = 1 << 15;
  pairs = reserve(pair_room * sizeof(Pair)), heap = reserve(heap_room * sizeof(Node)), by_hash = reserve(hash_room * 4);
}

static uint32_t slot_of(int32_t left, int32_t right) {
  uint32_t mask = hash_room - 1, i = hash_of(left, right) & mask;
  for (uint32_t pair; (pair = by_hash[i]) && (pairs[pair - 1].left != left || pairs[pair - 1].right != right);) i = (i + 1) & mask;
  return i;
}

// Sets the count of a pair, adding it if it is new; returns its index.
EXPORT(set_pair) uint32_t set_pair(int32_t left, int32_t right, double count) {
  uint32_t slot = slot_of(left, right);
  if (by_hash[slot] == 0) {
    if (pair_count == pair_room) pairs = wider(pairs, pair_room * sizeof(Pair), pair_room * 2ull * sizeof(Pair)), pair_room *= 2;
    pairs[pair_count] = (Pair){left, right, count};
    by_hash[slot] = ++pair_count;
    if (pair_count * 2 < hash_room) return pair_count - 1;
    hash_room *= 2, by_hash = reserve(hash_room * 4ull);
    for (uint32_t pair = 0; pair < pair_count; pair++) by_hash[slot_of(pairs[pair].left, pairs[pair].right)] = pair + 1;
    return pair_count - 1;
  }
  pairs[by_hash[slot] - 1].count = count;
  return by_hash[slot] - 1;
}

// Whether pair a, of count m, merges before pair b, of count n.
static int precedes(uint32_t a, double m, uint32_t b, double n) {
  if (m != n) return m > n;
  const Pair *x = pairs + a, *y = pairs + b;
  if (!by_bytes) return x->left != y->left ? x->left < y->left : x->right < y->right;
  int32_t order = x->left == y->left ? 0 : compare(x->left, y->left);
  return order ? order > 0 : compare(x->right, y->right) > 0;
}

static void push(uint32_t pair, double count) {
  if (heap_size == heap_room) heap = wider(heap, heap_room * sizeof(Node), heap_room * 2ull * sizeof(Node)), heap_room *= 2;
  uint32_t at = heap_size++;
  while (at > 0) {
    uint32_t parent = (at - 1) / 2;
    if (!precedes(pair, count, heap[parent].pair, heap[parent].count)) break;
    heap[at] = heap[parent], at = parent;
  }
  heap[at] = (Node){count, pair};
}

// Replaces the top of the heap and sifts the new node down.
static void replace_top(Node node) {
  uint32_t at = 0;
  for (uint32_t child; (child = at * 2 + 1) < heap_size; at = child) {
    if (child + 1 < heap_size && precedes(heap[child + 1].pair, heap[child + 1].count, heap[child].pair, heap[child].count)) child++;
    if (!precedes(heap[child].pair, heap[child].count, node.pair, node.count)) break;
    heap[at] = heap[child];
  }
  heap[at] = node;
}

static void pop(void) {
  heap_size--;
  if (heap_size > 0) replace_top(heap[heap_size]);
}

// Fills the empty heap with the most frequent pairs; returns 0 if all are rarer than `lowest`.
static int refill(void) {
  double most = 0;
  for (uint32_t pair = 0; pair < pair_count; pair++) if (pairs[pair].count > most) most = pairs[pair].count;
  if (most < lowest) return 0;
  least = most / 4 > lowest ? most / 4 : lowest;
  for (uint32_t pair = 0; pair < pair_count; pair++) if (pairs[pair].count >= least) push(pair, pairs[pair].count);
  return 1;
}

// Removes and returns the pair to merge next, or -1 if none occurs at least `lowest` times.
EXPORT(take_pair) int32_t take_pair(void) {
  while (heap_size > 0 || refill()) {
    uint32_t pair = heap[0].pair;
    double count = pairs[pair].count;
    if (count >= least && count != heap[0].count) {
      replace_top((Node){count, pair});
      continue;
    }
    pop();
    if (count < least) continue;
    pairs[pair].count = 0;
    return pair;
  }
  return -1;
}

EXPORT(left_of) int32_t left_of(uint32_t pair) { return pairs[pair].left; }
EXPORT(right_of) int32_t right_of(uint32_t pair) { return pairs[pair].right; }

// Updates the counts after a merge: adds the pairs of the new token with its neighbours and subtracts from the pairs they replace.
// Writes the index of each new pair to `number`, or -1 if it is too rare.
EXPORT(update_counts) void update_counts(int32_t left, int32_t right, int32_t token, const int32_t *id, const double *gained, int32_t *number, uint32_t size) {
  uint32_t known = pair_count;
  // Additions come first: between two adjacent merged tokens, the pair that the first adds is the one that the second removes.
  for (uint32_t i = 0; i < size; i++) {
    number[i] = -1;
    if (gained[i] < lowest) continue;
    number[i] = id[i] >= 0 ? set_pair(id[i], token, gained[i]) : set_pair(token, ~id[i], gained[i]);
  }
  for (uint32_t i = 0; i < size; i++) {
    uint32_t loser = by_hash[id[i] >= 0 ? slot_of(id[i], left) : slot_of(right, ~id[i])];
    if (loser > 0) pairs[loser - 1].count -= gained[i];
  }
  for (uint32_t pair = known; pair < pair_count; pair++) if (pairs[pair].count >= least) push(pair, pairs[pair].count);
}

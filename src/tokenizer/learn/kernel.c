// The loops of learning merges. One instance has the pretokens, in which it counts pairs and merges them (merged-text.ts);
// another has the queue of pairs, which says what merges next (pair-queue.ts). They share nothing.
// kernel.wasm is built from this file by `node scripts/kernels.mjs`, which a test repeats.
#include <stdint.h>

#define EXPORT(name) __attribute__((export_name(#name)))
#define IMPORT(name) __attribute__((import_module("env"), import_name(#name)))

// ---- Memory, handed out upwards

enum { PAGE = 65536, MORE = 256 };
extern uint8_t __heap_base;
static uint64_t top;
// Throws.
IMPORT(full) void full(void);

static void *reserve(uint64_t bytes) {
  if (top == 0) top = (uint32_t)&__heap_base;
  uint64_t at = (top + 15) & ~15ull;
  top = at + bytes;
  uint64_t have = (uint64_t)__builtin_wasm_memory_size(0) * PAGE;
  if (top > have) {
    uint32_t pages = (top - have + PAGE - 1) / PAGE;
    // More than asked for, for growing takes its time.
    if (top > 1ull << 32 || (__builtin_wasm_memory_grow(0, pages + MORE) == (uint32_t)-1 && __builtin_wasm_memory_grow(0, pages) == (uint32_t)-1)) full();
  }
  return (void *)(uint32_t)at;
}

EXPORT(reserve) void *reserve_here(double bytes) { return reserve((uint64_t)bytes); }
// Gives back all that was handed out from here on.
EXPORT(release) void release(void *from) { top = (uint32_t)from; }

// Room for `want` elements of a size where there was room for `had`, of which so many are used.
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
// The pretokens lie in one array, a slot a byte, each behind a border that holds its count; one more border ends the last. A
// token of n bytes at slot p has its id in p and, if n > 1, the complement of its id in p + n - 1. So both neighbours of a token
// are found without links, and an occurrence of a pair is one number, its slot.

// A border is BORDER + its count, at most LAST_BORDER. No id or complement is so small. INSIDE stands in a token of three bytes or more, between its two ends. A pretoken of more bytes than LONGEST_WALK has
// its count in a list: the walk back to its border would be too long. LOOKED_AT slots are looked at before any of them is merged.
enum { BORDER = -0x7fffffff - 1, LAST_BORDER = -0x40000000, INSIDE = LAST_BORDER + 1, LONGEST_WALK = 200, LOOKED_AT = 256 };

static int32_t *slots;
static uint32_t slot_count;
static uint32_t *lengths;
// The neighbours of a merge: the token before, or the complement of the token after, and how often it is there. Beside
// it at how many places, and by token twice, as the neighbour before and after, the last merge that met it and its place here.
static int32_t *ids, *many, *memo, stamp;
static double *times;
// Where a merge has made its token.
static uint32_t *made;
static uint32_t made_count;

// A pretoken that is long, or too common for its border: where it begins, and its count.
IMPORT(list_count) void list_count(uint32_t border, double count);
// The count of the last of them that begins before a slot.
IMPORT(listed_count) double listed_count(uint32_t slot);

EXPORT(open_text) void open_text(int32_t *into) { slots = into, slot_count = 0; }

// Goes on through the pretokens and lays them out. As with every loop here that is long, its caller has it do a piece at a
// time: an engine changes to its better code only when a function is called anew.
EXPORT(lay_out) void lay_out(const uint8_t *bytes, const double *starts, const double *counts, uint32_t size, const int32_t *byte_ids) {
  uint32_t at = slot_count;
  for (uint32_t word = 0; word < size; word++) {
    uint32_t from = starts[word] - starts[0], end = starts[word + 1] - starts[0];
    int32_t rare = counts[word] < LAST_BORDER - BORDER;
    if (end - from > LONGEST_WALK || !rare) list_count(at, counts[word]);
    slots[at++] = rare ? BORDER + (int32_t)counts[word] : LAST_BORDER;
    for (; from < end; from++) slots[at++] = byte_ids[bytes[from]];
  }
  slot_count = at;
}

EXPORT(close_text) void close_text(void) { slots[slot_count++] = BORDER; }

EXPORT(tell) void tell(uint32_t *l, int32_t *m, int32_t *i, double *t, int32_t *n) { lengths = l, memo = m, ids = i, times = t, many = n; }

// Pairs by hash, each with its count, at how many places it occurs, and its list while it is gathered, or -1.
typedef struct { int32_t left, right; double count; uint32_t places; int32_t list; } Entry;
typedef struct { Entry *at; uint32_t room, size; } Table;
// Those of the last counting, and those to begin with.
static Table found, begun;

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

EXPORT(open_count) void open_count(void) { clear(&found, 1 << 14); }

// Goes on counting the pairs, or those of one of so many turns, from a slot to behind another; gives the slot to go on at.
EXPORT(count) uint32_t count(uint32_t at, uint32_t last, uint32_t turn, uint32_t turns) {
  static double times_of;
  while (at < last && at + 1 < slot_count) {
    int32_t left = slots[at];
    if (left < 0) {
      times_of = left == LAST_BORDER ? listed_count(at + 1) : left - BORDER;
      at++;
      continue;
    }
    at += lengths[left];
    int32_t right = slots[at];
    if (right < 0 || (turns > 1 && (hash_of(left, right) >> 8) % turns != turn)) continue;
    Entry *entry = enter(&found, left, right);
    entry->count += times_of, entry->places++;
  }
  return at;
}

EXPORT(count_found) uint32_t count_found(void) { return found.size; }

// Writes the pairs of the last counting.
EXPORT(counted) void counted(int32_t *keys, double *counts) {
  for (uint32_t i = 0; i < found.room; i++) {
    if (found.at[i].left < 0) continue;
    *keys++ = found.at[i].left, *keys++ = found.at[i].right;
    *counts++ = found.at[i].count;
  }
}

// All that was reserved for pairs has been released.
EXPORT(begin) void begin(void) {
  found = begun = (Table){0, 0, 0};
  clear(&begun, 1 << 14);
}

// Takes a pair up among those to begin with; gives at how many places it occurs.
EXPORT(take_up) uint32_t take_up(int32_t left, int32_t right) {
  Entry *here = found.room ? find(&found, left, right) : 0;
  uint32_t places = here && here->left >= 0 ? here->places : 0;
  enter(&begun, left, right)->places = places;
  return places;
}

EXPORT(choose) void choose(int32_t left, int32_t right, int32_t list) { enter(&begun, left, right)->list = list; }

// Goes on writing the places of the pairs chosen to their lists, which begin at `places` and move; from a slot as in counting.
EXPORT(gather) uint32_t gather(uint32_t at, uint32_t last, uint32_t *places, uint32_t *entries) {
  while (at < last && at + 1 < slot_count) {
    uint32_t start = at;
    int32_t left = slots[at];
    at += left < 0 ? 1 : lengths[left];
    if (left < 0 || slots[at] < 0) continue;
    Entry *entry = find(&begun, left, slots[at]);
    if (entry->left >= 0 && entry->list >= 0) entries[places[entry->list]++] = start;
  }
  return at;
}

// The count of the pretoken in which a token starts at a slot.
static double count_at(uint32_t slot) {
  uint32_t at = slot;
  for (int32_t steps = 0; steps < LONGEST_WALK; steps++) {
    int32_t mark = slots[at - 1];
    if (mark < LAST_BORDER) return mark - BORDER;
    if (mark == LAST_BORDER) break;
    at -= mark >= 0 ? 1 : lengths[~mark];
  }
  return listed_count(slot);
}

// Where the memo has a neighbour, before or after.
static int32_t *known_as(int32_t mark, int32_t side) { return memo + (mark >= 0 ? mark : ~mark) * 4 + side * 2; }

static void meet(int32_t mark, int32_t side, double there, uint32_t *size) {
  int32_t id = mark >= 0 ? mark : ~mark;
  int32_t *known = known_as(mark, side);
  if (known[0] != stamp) {
    uint32_t place = (*size)++;
    known[0] = stamp, known[1] = place;
    ids[place] = side ? ~id : id, times[place] = there, many[place] = 1;
  } else times[known[1]] += there, many[known[1]]++;
}

// Begins a merge; where it makes its token is written to `into`.
EXPORT(open_merge) void open_merge(int32_t left, int32_t right, int32_t token, uint32_t *into) {
  lengths[token] = lengths[left] + lengths[right];
  stamp++;
  made = into, made_count = 0;
}

// Goes on making a pair one token at the slots listed, where it still is; writes its neighbours behind `size` others and gives how many
// there are then. A merge mostly waits for memory: so many slots are asked for at once, without branches.
EXPORT(merge) uint32_t merge(const uint32_t *at, uint32_t n, int32_t left, int32_t right, int32_t token, uint32_t size) {
  static uint32_t there[LOOKED_AT];
  static int32_t gone[LOOKED_AT];
  uint32_t left_length = lengths[left], right_length = lengths[right];
  for (uint32_t from = 0; from < n; from += LOOKED_AT) {
    uint32_t few = n - from < LOOKED_AT ? n - from : LOOKED_AT, left_over = 0;
    for (uint32_t k = 0; k < few; k++) gone[k] = (slots[at[from + k]] ^ left) | (slots[at[from + k] + left_length] ^ right);
    for (uint32_t k = 0; k < few; k++) there[left_over] = at[from + k], left_over += gone[k] == 0;
    for (uint32_t k = 0; k < left_over; k++) {
      uint32_t start = there[k];
      // A pair of equal tokens may have lost its first to the place before.
      if (slots[start] != left) continue;
      uint32_t middle = start + left_length, end = middle + right_length;
      double times_of = count_at(start);
      slots[middle - 1] = INSIDE, slots[middle] = INSIDE;
      slots[end - 1] = ~token, slots[start] = token;
      int32_t before = slots[start - 1], after = slots[end];
      if (before > LAST_BORDER) meet(before, 0, times_of, &size);
      if (after > LAST_BORDER) meet(after, 1, times_of, &size);
      made[made_count++] = start;
    }
  }
  return size;
}

EXPORT(made) uint32_t made_here(void) { return made_count; }

// Goes on writing the new neighbours of the token to the lists of their pairs: by neighbour the list, or -1, in `listed`, and where
// each list begins. What was after a token and is the same token by now has been listed as what is before that one.
EXPORT(fill) void fill(uint32_t k, uint32_t last, int32_t token, const int32_t *listed, uint32_t *places, uint32_t *entries) {
  static int32_t before[LOOKED_AT], after[LOOKED_AT];
  uint32_t length = lengths[token];
  if (last > made_count) last = made_count;
  for (; k < last; k += LOOKED_AT) {
    uint32_t few = last - k < LOOKED_AT ? last - k : LOOKED_AT;
    for (uint32_t i = 0; i < few; i++) before[i] = slots[made[k + i] - 1], after[i] = slots[made[k + i] + length];
    for (uint32_t i = 0; i < few; i++) {
      uint32_t start = made[k + i];
      if (before[i] > LAST_BORDER) {
        int32_t list = listed[known_as(before[i], 0)[1]];
        if (list >= 0) entries[places[list]++] = start - lengths[before[i] >= 0 ? before[i] : ~before[i]];
      }
      if (after[i] > LAST_BORDER && after[i] != token) {
        int32_t list = listed[known_as(after[i], 1)[1]];
        if (list >= 0) entries[places[list]++] = start;
      }
    }
  }
}

// Moves the entries of a pair that still hold down to `to`; gives where they end.
EXPORT(keep) uint32_t keep(uint32_t *entries, uint32_t from, uint32_t end, uint32_t to, int32_t left, int32_t right) {
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
// By hash: pair + 1, or 0.
static uint32_t *by_hash, hash_room;
// Binary heap, commonest first, of the pairs alone that occur at least `least` times: millions of rare ones need not be in it. A
// count that has fallen since is mended when its pair comes up.
typedef struct { double count; uint32_t pair; } Node;
static Node *heap;
static uint32_t heap_size, heap_room;
static double lowest, least;
static int32_t by_bytes;
// Below zero, zero or above, as the bytes of two tokens compare.
IMPORT(compare) int32_t compare(int32_t a, int32_t b);

EXPORT(open_queue) void open_queue(double floor, int32_t ties_by_bytes) {
  lowest = floor, by_bytes = ties_by_bytes, least = 1e300;
  pair_room = heap_room = 1 << 14, hash_room = 1 << 15;
  pairs = reserve(pair_room * sizeof(Pair)), heap = reserve(heap_room * sizeof(Node)), by_hash = reserve(hash_room * 4);
}

static uint32_t slot_of(int32_t left, int32_t right) {
  uint32_t mask = hash_room - 1, i = hash_of(left, right) & mask;
  for (uint32_t pair; (pair = by_hash[i]) && (pairs[pair - 1].left != left || pairs[pair - 1].right != right);) i = (i + 1) & mask;
  return i;
}

// The number of a pair, new or known; its count is set.
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

// Puts a node in the place of the first and lets it sink.
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

// Fills the empty heap with the commonest pairs; 0 if all are too rare.
static int refill(void) {
  double most = 0;
  for (uint32_t pair = 0; pair < pair_count; pair++) if (pairs[pair].count > most) most = pairs[pair].count;
  if (most < lowest) return 0;
  least = most / 4 > lowest ? most / 4 : lowest;
  for (uint32_t pair = 0; pair < pair_count; pair++) if (pairs[pair].count >= least) push(pair, pairs[pair].count);
  return 1;
}

// Takes out the pair to merge next; -1 if none is left that occurs at least `lowest` times.
EXPORT(take) int32_t take(void) {
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

// Takes from pairs and gives to new ones what a merge did, as its neighbours tell; writes the numbers of the new pairs, or -1
// for those that are too rare.
EXPORT(count_merge) void count_merge(int32_t left, int32_t right, int32_t token, const int32_t *id, const double *times_of, int32_t *number, uint32_t size) {
  uint32_t known = pair_count;
  // Gains before losses: what is between two neighbouring places is gained by the first and lost to the second.
  for (uint32_t i = 0; i < size; i++) {
    number[i] = -1;
    if (times_of[i] < lowest) continue;
    number[i] = id[i] >= 0 ? set_pair(id[i], token, times_of[i]) : set_pair(token, ~id[i], times_of[i]);
  }
  for (uint32_t i = 0; i < size; i++) {
    uint32_t loser = by_hash[id[i] >= 0 ? slot_of(id[i], left) : slot_of(right, ~id[i])];
    if (loser > 0) pairs[loser - 1].count -= times_of[i];
  }
  for (uint32_t pair = known; pair < pair_count; pair++) if (pairs[pair].count >= least) push(pair, pairs[pair].count);
}

// Measures this machine's peak, with one thread and with n: fp32 multiply-adds, bf16 multiply-adds if it has such products, and
// memory read bandwidth. Every "share of peak" in this repository uses these figures, so they are the best of several short
// runs: a low peak would flatter the kernels.
//   gcc -O3 -march=native bench/peak.c -lpthread -o /tmp/peak && /tmp/peak [threads]
// prints one JSON line: GFLOP/s (a multiply-add counts as two; 0 without such an instruction; AMX has its own figure) and GB/s
// (1e9 bytes). Define QN_PEAK_NO_MAIN to use only the functions.
#include <pthread.h>
#ifdef __AVX512BF16__
#include <immintrin.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/mman.h>
#endif
#if defined(__linux__) && defined(__x86_64__) && defined(__AMX_BF16__)
#define PEAK_TILES
#include <sys/syscall.h>
#endif

#if defined(__AVX512F__)
#define PEAK_LANES 16
#define PEAK_CHAINS 28 // of 32 registers
#define PEAK_SET "avx512"
#elif defined(__AVX2__) && defined(__FMA__)
#define PEAK_LANES 8
#define PEAK_CHAINS 12 // of 16
#define PEAK_SET "avx2"
#elif defined(__aarch64__)
#define PEAK_LANES 4
#define PEAK_CHAINS 28
#define PEAK_SET "neon"
#else
#define PEAK_LANES 4
#define PEAK_CHAINS 12
#define PEAK_SET "portable"
#endif
#define PEAK_RUNS 12
#define PEAK_MAX_THREADS 256
typedef float peak_vf __attribute__((vector_size(PEAK_LANES * 4)));
#if defined(__aarch64__)
#define PEAK_KEEP(x) __asm__ volatile("" : "+w"(x))
#elif defined(__x86_64__)
#define PEAK_KEEP(x) __asm__ volatile("" : "+x"(x))
#if defined(__AVX512F__)
#undef PEAK_KEEP
#define PEAK_KEEP(x) __asm__ volatile("" : "+v"(x))
#endif
#else
#define PEAK_KEEP(x) __asm__ volatile("" : "+m"(x))
#endif

static double peak_now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec * 1e-9; }

typedef struct { pthread_barrier_t *barrier; double seconds[PEAK_RUNS]; const float *memory; long floats; float sink; } peak_worker;

#define PEAK_STEPS 400000L // 28 chains * 16 lanes: about 4 ms
static void *peak_multiply(void *arg) {
  peak_worker *w = arg;
  peak_vf c[PEAK_CHAINS], a = (peak_vf){0} + 0.999f, b = (peak_vf){0} + 1e-3f;
  PEAK_KEEP(a);
  PEAK_KEEP(b);
  for (int i = 0; i < PEAK_CHAINS; i++) c[i] = (peak_vf){0} + (float)i;
  for (int run = 0; run < PEAK_RUNS; run++) {
    pthread_barrier_wait(w->barrier);
    double t = peak_now();
    for (long step = 0; step < PEAK_STEPS; step++) {
#pragma GCC unroll 32
      for (int i = 0; i < PEAK_CHAINS; i++) c[i] = c[i] * a + b;
    }
    w->seconds[run] = peak_now() - t;
  }
  for (int i = 0; i < PEAK_CHAINS; i++) w->sink += c[i][0];
  return 0;
}

#ifdef __AVX512BF16__
// Products of bf16 pairs, accumulated in fp32.
static void *peak_multiply_bf16(void *arg) {
  peak_worker *w = arg;
  __m512 c[PEAK_CHAINS];
  __m512i a = _mm512_set1_epi32(0x3f003f00), b = _mm512_set1_epi32(0x3c003c00); // 0.5 and 0.0078125, twice
  PEAK_KEEP(a);
  PEAK_KEEP(b);
  for (int i = 0; i < PEAK_CHAINS; i++) c[i] = _mm512_set1_ps((float)i);
  for (int run = 0; run < PEAK_RUNS; run++) {
    pthread_barrier_wait(w->barrier);
    double t = peak_now();
    for (long step = 0; step < PEAK_STEPS; step++) {
#pragma GCC unroll 32
      for (int i = 0; i < PEAK_CHAINS; i++) c[i] = _mm512_dpbf16_ps(c[i], (__m512bh)a, (__m512bh)b);
    }
    w->seconds[run] = peak_now() - t;
  }
  for (int i = 0; i < PEAK_CHAINS; i++) w->sink += c[i][0];
  return 0;
}
#endif

#ifdef PEAK_TILES
#define PEAK_TILE_STEPS 60000L // of 4 products of 16 x 16 x 32: about 4 ms
// bf16 products in tile registers. Without the system's permission the first one would kill the process.
static void *peak_multiply_tiles(void *arg) {
  peak_worker *w = arg;
  struct { unsigned char palette, start, zero[14]; unsigned short row_bytes[16]; unsigned char rows[16]; } shapes __attribute__((aligned(64))) = {.palette = 1};
  for (int i = 0; i < 8; i++) shapes.row_bytes[i] = 64, shapes.rows[i] = 16;
  __asm__ volatile("ldtilecfg %0" ::"m"(shapes));
  for (int run = 0; run < PEAK_RUNS; run++) {
    pthread_barrier_wait(w->barrier);
    double t = peak_now();
    for (long step = 0; step < PEAK_TILE_STEPS; step++)
      __asm__ volatile("tdpbf16ps %%tmm6, %%tmm4, %%tmm0\n\ttdpbf16ps %%tmm7, %%tmm4, %%tmm1\n\ttdpbf16ps %%tmm6, %%tmm5, %%tmm2\n\ttdpbf16ps %%tmm7, %%tmm5, %%tmm3" ::: "memory");
    w->seconds[run] = peak_now() - t;
  }
  __asm__ volatile("tilerelease");
  return 0;
}
#endif

static void *peak_read(void *arg) {
  peak_worker *w = arg;
  for (int run = 0; run < PEAK_RUNS; run++) {
    peak_vf s[8] = {{0}};
    pthread_barrier_wait(w->barrier);
    double t = peak_now();
    for (long i = 0; i + 8 * PEAK_LANES <= w->floats; i += 8 * PEAK_LANES) {
#pragma GCC unroll 8
      for (int j = 0; j < 8; j++) s[j] += *(const peak_vf *)(w->memory + i + j * PEAK_LANES);
    }
    w->seconds[run] = peak_now() - t;
    for (int j = 0; j < 8; j++) w->sink += s[j][0];
  }
  return 0;
}

// Seconds of the best run; a run takes as long as its slowest thread.
static double peak_best(int threads, void *(*f)(void *), const float *memory, long floats) {
  pthread_t thread[PEAK_MAX_THREADS];
  peak_worker *w = calloc(threads, sizeof *w);
  pthread_barrier_t barrier;
  double best = 1e9;
  pthread_barrier_init(&barrier, 0, threads);
  for (int i = 0; i < threads; i++) {
    w[i].barrier = &barrier;
    w[i].memory = memory ? memory + floats / threads / 1024 * 1024 * i : 0;
    w[i].floats = floats / threads / 1024 * 1024;
    if (pthread_create(&thread[i], 0, f, &w[i])) { fprintf(stderr, "peak: cannot start %d threads\n", threads); exit(1); }
  }
  for (int i = 0; i < threads; i++) pthread_join(thread[i], 0);
  for (int run = 0; run < PEAK_RUNS; run++) {
    double slowest = 0;
    for (int i = 0; i < threads; i++) if (w[i].seconds[run] > slowest) slowest = w[i].seconds[run];
    if (slowest < best) best = slowest;
  }
  pthread_barrier_destroy(&barrier);
  free(w);
  return best;
}

// fp32 multiply-adds in GFLOP/s, over all threads.
static double peak_gflops(int threads) {
  return 2.0 * PEAK_STEPS * PEAK_CHAINS * PEAK_LANES * threads / peak_best(threads, peak_multiply, 0, 0) / 1e9;
}

// The same for bf16 products with fp32 sums; 0 without such an instruction.
static double peak_gflops_bf16(int threads) {
#ifdef __AVX512BF16__
  return 4.0 * PEAK_STEPS * PEAK_CHAINS * PEAK_LANES * threads / peak_best(threads, peak_multiply_bf16, 0, 0) / 1e9;
#else
  (void)threads;
  return 0;
#endif
}

// The same in tile registers (AMX); 0 without them, or if the system refuses them.
static double peak_gflops_tiles(int threads) {
#ifdef PEAK_TILES
  if (!syscall(SYS_arch_prctl, 0x1023, 18)) return 4.0 * 16384 * PEAK_TILE_STEPS * threads / peak_best(threads, peak_multiply_tiles, 0, 0) / 1e9;
#endif
  (void)threads;
  return 0;
}

// Read bandwidth of uncached memory in GB/s, over all threads; 0 if the memory cannot be allocated.
static double peak_read_bandwidth(int threads, long bytes) {
  float *memory = aligned_alloc(1 << 21, bytes);
  if (!memory) return 0;
#ifdef MADV_HUGEPAGE
  madvise(memory, bytes, MADV_HUGEPAGE); // otherwise page-table walks would be measured
#endif
  long floats = bytes / 4;
  for (long i = 0; i < floats; i++) memory[i] = i & 7; // write every page: unwritten ones would share a single zero page
  double seconds = peak_best(threads, peak_read, memory, floats);
  free(memory);
  return 4.0 * (floats / threads / 1024 * 1024) * threads / seconds / 1e9;
}

#ifndef QN_PEAK_NO_MAIN
int main(int argc, char **argv) {
  int threads = argc > 1 ? atoi(argv[1]) : (int)sysconf(_SC_NPROCESSORS_ONLN);
  if (threads < 1) threads = 1;
  if (threads > PEAK_MAX_THREADS) threads = PEAK_MAX_THREADS;
  long bytes = 512L << 20;
  double one = peak_gflops(1), all = peak_gflops(threads), bf16_one = peak_gflops_bf16(1), bf16_all = peak_gflops_bf16(threads), tiles_one = peak_gflops_tiles(1), tiles_all = peak_gflops_tiles(threads), read_one = peak_read_bandwidth(1, bytes), read_all = peak_read_bandwidth(threads, bytes);
  printf("{\"set\": \"%s\", \"threads\": %d, \"gflops1\": %.1f, \"gflops\": %.1f, \"bf16_gflops1\": %.1f, \"bf16_gflops\": %.1f, \"amx_gflops1\": %.1f, \"amx_gflops\": %.1f, \"read1\": %.1f, \"read\": %.1f}\n", PEAK_SET, threads, one, all, bf16_one, bf16_all, tiles_one, tiles_all, read_one, read_all);
}
#endif

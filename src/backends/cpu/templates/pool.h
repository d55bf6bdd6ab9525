// The thread pool of a compiled file: qn_parallel(tasks, f, context) runs f(context, task, worker) for every task and
// returns when all are done. The caller is worker 0. Results must not depend on which worker ran a task; worker only
// chooses scratch memory.
#ifndef QN_POOL_H
#define QN_POOL_H
typedef void (*qn_task)(void *context, long task, long worker);
int qn_threads = 1;

// Flushes denormal inputs and results to 0 while a program runs: an optimizer moment that decays through them would cost
// a microcode trap per multiplication. Returns the previous state.
#if defined(__SSE__)
static inline unsigned qn_flush_denormals(void) { unsigned before = _mm_getcsr(); _mm_setcsr(before | 0x8040); return before; }
static inline void qn_restore_denormals(unsigned before) { _mm_setcsr(before); }
#elif defined(__aarch64__)
static inline unsigned long qn_flush_denormals(void) {
  unsigned long before;
  __asm__ volatile("mrs %0, fpcr" : "=r"(before));
  __asm__ volatile("msr fpcr, %0" ::"r"(before | 1ul << 24));
  return before;
}
static inline void qn_restore_denormals(unsigned long before) { __asm__ volatile("msr fpcr, %0" ::"r"(before)); }
#else
static inline unsigned qn_flush_denormals(void) { return 0; }
static inline void qn_restore_denormals(unsigned before) { (void)before; }
#endif
static unsigned long qn_denormals_before;

#if QN_THREADS
#define QN_MAX_THREADS 256
#if defined(__x86_64__) || defined(__i386__)
#define QN_PAUSE() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define QN_PAUSE() __asm__ volatile("yield")
#else
#define QN_PAUSE() ((void)0)
#endif

struct qn_pool {
#ifdef __wasm__
  _Atomic int sleepers, caller_sleeps; // sleepers are woken by a new round, the caller by its end
#else
  pthread_t thread[QN_MAX_THREADS];
  pthread_mutex_t lock;
  pthread_cond_t wake;
  _Atomic int core_of[QN_MAX_THREADS]; // 1 + the core each worker last ran on
#endif
  qn_task f;
  void *context;
  long tasks;
  int stop;
  int tiles;                                              // whether the current run multiplies by tiles
  int threads;                                            // including the caller
  _Atomic int running;                                    // between qn_pool_begin and qn_pool_end: workers spin
  _Atomic unsigned round __attribute__((aligned(64)));    // incremented by every qn_parallel
  _Atomic long next __attribute__((aligned(64)));         // the next task to take
  _Atomic int busy __attribute__((aligned(64)));          // workers that have not finished this round
};
static struct qn_pool *qn_pool; // pool of the current run; 0 if single-threaded

static void qn_pool_work(struct qn_pool *pool, long worker) {
  for (;;) {
    long task = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
    if (task >= pool->tasks) break;
    pool->f(pool->context, task, worker);
  }
}

#ifdef __wasm__
// The host starts the workers. Each is an instance of this module over the same memory, with its own stack. WebAssembly has
// neither pause nor yield, so a thread that has spun for about ten microseconds sleeps until it is woken.
#define QN_SPINS 20000
// Not inlined: Node 20 would corrupt its caller's registers (seen as a trap in the middle of a matrix product).
static __attribute__((noinline)) void qn_sleep(void *word, int value) { __builtin_wasm_memory_atomic_wait32(word, value, -1); }
static struct qn_pool qn_module_pool;
// Runs tasks until the host calls quern_leave. `seen` is the number of rounds this worker has already handled; returns the
// new number. The workers of one memory serve its programs one at a time.
__attribute__((export_name("quern_work"))) unsigned quern_work(int worker, unsigned seen) {
  struct qn_pool *pool = &qn_module_pool;
  for (;;) {
    for (int spins = 0; atomic_load_explicit(&pool->round, memory_order_acquire) == seen;) {
      if (++spins < QN_SPINS) continue;
      pool->sleepers++; // must precede the last check of `round`, which the wait itself makes
      qn_sleep(&pool->round, (int)seen);
      pool->sleepers--;
    }
    seen++;
    if (!pool->f) return seen;
    qn_pool_work(pool, worker);
    if (atomic_fetch_sub(&pool->busy, 1) == 1 && pool->caller_sleeps) __builtin_wasm_memory_atomic_notify((int *)&pool->busy, 1);
  }
}
// Makes the workers leave this program. Call only between runs.
__attribute__((export_name("quern_leave"))) void quern_leave(void) {
  qn_module_pool.f = 0;
  atomic_fetch_add(&qn_module_pool.round, 1);
  __builtin_wasm_memory_atomic_notify((int *)&qn_module_pool.round, QN_MAX_THREADS);
}
QN_TEMPLATE void qn_pool_begin(void *pool) {
  (void)pool;
  qn_pool = &qn_module_pool;
  qn_pool->running = 1;
}
QN_TEMPLATE void qn_pool_end(void) { qn_pool->running = 0; }
static void qn_publish_core(struct qn_pool *pool, long worker) { (void)pool, (void)worker; }
static void qn_pool_wake(void) {
  if (qn_pool->sleepers) __builtin_wasm_memory_atomic_notify((int *)&qn_pool->round, QN_MAX_THREADS);
}
static void qn_pool_join(void) {
  int busy;
  for (int spins = 0; (busy = atomic_load_explicit(&qn_pool->busy, memory_order_acquire));) {
    if (++spins < QN_SPINS) continue;
    qn_pool->caller_sleeps = 1;
    qn_sleep(&qn_pool->busy, busy);
    qn_pool->caller_sleeps = 0;
  }
}
#else
// Threads that wake one another often end up on one core. They yield to one another and so look busy, and the scheduler leaves
// them there for a short program's lifetime. One short program in four ran at half speed. A thread that finds another on its
// core briefly removes that core from its own affinity mask, which moves it at once.
#if defined(__linux__)
static int qn_publish_core(struct qn_pool *pool, long worker) {
  int core = sched_getcpu();
  atomic_store_explicit(&pool->core_of[worker], core + 1, memory_order_relaxed);
  return core;
}
static void qn_leave_shared_core(struct qn_pool *pool, long worker) {
  int core = qn_publish_core(pool, worker);
  for (long other = 0; other < pool->threads; other++) {
    if (other == worker || atomic_load_explicit(&pool->core_of[other], memory_order_relaxed) != core + 1) continue;
    cpu_set_t all, free;
    if (core < 0 || sched_getaffinity(0, sizeof all, &all)) return;
    free = all;
    for (int i = 0; i < pool->threads; i++) if (i != worker && pool->core_of[i] > 0) CPU_CLR(pool->core_of[i] - 1, &free);
    if (!CPU_COUNT(&free) || sched_setaffinity(0, sizeof free, &free)) return; // more threads than cores
    sched_setaffinity(0, sizeof all, &all);
    qn_publish_core(pool, worker);
    return;
  }
}
#else
static void qn_publish_core(struct qn_pool *pool, long worker) { (void)pool, (void)worker; }
static void qn_leave_shared_core(struct qn_pool *pool, long worker) { (void)pool, (void)worker; }
#endif

struct qn_worker { struct qn_pool *pool; long worker; };
static void *qn_pool_main(void *arg) {
  struct qn_worker self = *(struct qn_worker *)arg;
  struct qn_pool *pool = self.pool;
  free(arg);
  unsigned seen = 0;
  int tiles = 0; // whether this thread's tiles are configured
  qn_flush_denormals();
  for (;;) {
    int spins = 0;
    while (atomic_load_explicit(&pool->round, memory_order_acquire) == seen) {
      if (!atomic_load_explicit(&pool->running, memory_order_relaxed)) {
        if (tiles) qn_tiles_release(), tiles = 0;
        pthread_mutex_lock(&pool->lock);
        while (!pool->running && !pool->stop && pool->round == seen) pthread_cond_wait(&pool->wake, &pool->lock);
        int stop = pool->stop;
        pthread_mutex_unlock(&pool->lock);
        if (stop) return 0;
        qn_leave_shared_core(pool, self.worker);
      }
      QN_PAUSE();
      if (++spins > 2000) qn_leave_shared_core(pool, self.worker), sched_yield(), spins = 0; // the thread we wait for may need this core
    }
    seen++;
    if (tiles != pool->tiles) {
      if (tiles) qn_tiles_release();
      else qn_tiles_configure();
      tiles = pool->tiles;
    }
    qn_publish_core(pool, self.worker);
    qn_pool_work(pool, self.worker);
    atomic_fetch_sub_explicit(&pool->busy, 1, memory_order_release);
  }
}

// Stops and joins the threads. Call only between runs.
QN_TEMPLATE void qn_pool_close(void *of) {
  struct qn_pool *pool = of;
  pthread_mutex_lock(&pool->lock);
  pool->stop = 1;
  pthread_cond_broadcast(&pool->wake);
  pthread_mutex_unlock(&pool->lock);
  for (int i = 1; i < pool->threads; i++) pthread_join(pool->thread[i], 0);
  qn_unmap(pool, sizeof *pool);
}

// Creates a pool of threads - 1 workers plus the caller. All programs of a process that run one at a time can share it: the
// workers run the code of whichever program calls. Returns 0 if memory or threads cannot be allocated.
QN_TEMPLATE void *qn_pool_open(int threads) {
  if (threads < 1) threads = 1;
  if (threads > QN_MAX_THREADS) threads = QN_MAX_THREADS;
  struct qn_pool *pool = qn_map(sizeof *pool);
  if (!pool) return 0;
  pthread_mutex_init(&pool->lock, 0);
  pthread_cond_init(&pool->wake, 0);
  for (pool->threads = 1; pool->threads < threads; pool->threads++) {
    struct qn_worker *self = malloc(sizeof *self);
    if (self) *self = (struct qn_worker){pool, pool->threads};
    if (self && !pthread_create(&pool->thread[pool->threads], 0, qn_pool_main, self)) continue;
    free(self);
    qn_pool_close(pool);
    return 0;
  }
  return pool;
}

// Starts a run: workers wake and spin until qn_pool_end. The same thread must call both.
QN_TEMPLATE void qn_pool_begin(void *pool) {
  qn_denormals_before = qn_flush_denormals();
  qn_tiles_save();
  if (QN_TILE_HARDWARE) qn_tiles_configure();
  qn_pool = pool;
  if (!qn_pool) return;
  qn_pool->tiles = QN_TILE_HARDWARE;
  qn_publish_core(qn_pool, 0);
  pthread_mutex_lock(&qn_pool->lock);
  qn_pool->running = 1;
  pthread_cond_broadcast(&qn_pool->wake);
  pthread_mutex_unlock(&qn_pool->lock);
}
QN_TEMPLATE void qn_pool_end(void) {
  if (qn_pool) qn_pool->running = 0;
  if (QN_TILE_HARDWARE) qn_tiles_release();
  qn_tiles_restore();
  qn_restore_denormals(qn_denormals_before);
}
static void qn_pool_wake(void) {}
static void qn_pool_join(void) {
  for (int spins = 0; atomic_load_explicit(&qn_pool->busy, memory_order_acquire);) {
    QN_PAUSE();
    if (++spins > 2000) qn_leave_shared_core(qn_pool, 0), sched_yield(), spins = 0;
  }
}
#endif

QN_FUNCTION void qn_parallel(long tasks, qn_task f, void *context) {
  if (tasks < 2 || qn_threads < 2 || !qn_pool || !qn_pool->running) {
    for (long task = 0; task < tasks; task++) f(context, task, 0);
    return;
  }
  qn_publish_core(qn_pool, 0);
  qn_pool->f = f;
  qn_pool->context = context;
  qn_pool->tasks = tasks;
  atomic_store_explicit(&qn_pool->next, 0, memory_order_relaxed);
  atomic_store_explicit(&qn_pool->busy, qn_threads - 1, memory_order_relaxed);
  atomic_fetch_add(&qn_pool->round, 1);
  qn_pool_wake();
  qn_pool_work(qn_pool, 0);
  qn_pool_join();
}
#else
QN_TEMPLATE void *qn_pool_open(int threads) { (void)threads; return 0; }
QN_TEMPLATE void qn_pool_close(void *pool) { (void)pool; }
QN_TEMPLATE void qn_pool_begin(void *pool) {
  (void)pool;
  qn_denormals_before = qn_flush_denormals();
  qn_tiles_save();
  if (QN_TILE_HARDWARE) qn_tiles_configure();
}
QN_TEMPLATE void qn_pool_end(void) {
  if (QN_TILE_HARDWARE) qn_tiles_release();
  qn_tiles_restore();
  qn_restore_denormals(qn_denormals_before);
}
QN_FUNCTION void qn_parallel(long tasks, qn_task f, void *context) {
  for (long task = 0; task < tasks; task++) f(context, task, 0);
}
#endif
#endif

// The thread pool of a compiled file: qn_parallel(tasks, f, context) runs f(context, task, worker) for every task and
// returns when all are done. The caller is worker 0. Results must not depend on which worker ran a task; worker only
// chooses scratch memory.
#ifndef QN_POOL_H
#define QN_POOL_H
typedef void (*qn_task)(void *context, long task, long worker);
int qn_threads = 1;

// Denormal numbers are taken and made as 0 while a program runs (a moment that decays through them would make each
// multiplication a microcode trap). Gives the state before.
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

static struct {
#ifdef __wasm__
  _Atomic int sleepers, caller_sleeps; // who must be woken by a new round, or by its end
#else
  pthread_t thread[QN_MAX_THREADS];
  pthread_mutex_t lock;
  pthread_cond_t wake;
#endif
  qn_task f;
  void *context;
  long tasks;
  int stop;
  _Atomic int running;                                    // between qn_pool_begin and qn_pool_end: workers spin
  _Atomic unsigned round __attribute__((aligned(64)));    // one more for every qn_parallel
  _Atomic long next __attribute__((aligned(64)));         // the next task to take
  _Atomic int busy __attribute__((aligned(64)));          // workers that have not finished this round
#ifdef __wasm__
} qn_pool;
#else
} qn_pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};
#endif

static void qn_pool_work(long worker) {
  for (;;) {
    long task = atomic_fetch_add_explicit(&qn_pool.next, 1, memory_order_relaxed);
    if (task >= qn_pool.tasks) break;
    qn_pool.f(qn_pool.context, task, worker);
  }
}

#ifdef __wasm__
// The host starts the workers, each an instance of this module over the same memory with a stack of its own. There is no
// pause instruction and no yield: who has waited for some ten microseconds sleeps until it is woken.
#define QN_SPINS 20000
// Not inlined: Node 20 loses what its caller keeps in registers (a trap in the middle of a matrix product was the sign).
static __attribute__((noinline)) void qn_sleep(void *word, int value) { __builtin_wasm_memory_atomic_wait32(word, value, -1); }
__attribute__((export_name("quern_work"))) void quern_work(int worker) {
  for (unsigned seen = 0;; seen++) {
    for (int spins = 0; atomic_load_explicit(&qn_pool.round, memory_order_acquire) == seen;) {
      if (++spins < QN_SPINS) continue;
      qn_pool.sleepers++; // before the word is looked at for the last time, which the wait does
      qn_sleep(&qn_pool.round, (int)seen);
      qn_pool.sleepers--;
    }
    qn_pool_work(worker);
    if (atomic_fetch_sub(&qn_pool.busy, 1) == 1 && qn_pool.caller_sleeps) __builtin_wasm_memory_atomic_notify((int *)&qn_pool.busy, 1);
  }
}
QN_TEMPLATE void qn_pool_begin(void) { qn_pool.running = 1; }
QN_TEMPLATE void qn_pool_end(void) { qn_pool.running = 0; }
static void qn_publish_core(long worker) { (void)worker; }
static void qn_pool_wake(void) {
  if (qn_pool.sleepers) __builtin_wasm_memory_atomic_notify((int *)&qn_pool.round, QN_MAX_THREADS);
}
static void qn_pool_join(void) {
  int busy;
  for (int spins = 0; (busy = atomic_load_explicit(&qn_pool.busy, memory_order_acquire));) {
    if (++spins < QN_SPINS) continue;
    qn_pool.caller_sleeps = 1;
    qn_sleep(&qn_pool.busy, busy);
    qn_pool.caller_sleeps = 0;
  }
}
#else
// Threads that wake one another often end up on one core and, since they yield to one another, look too busy there to be
// moved for as long as a short program lives (measured: every fourth one, at half its speed). Where a thread finds another
// on its core it forbids itself that core for a moment, which moves it at once.
#if defined(__linux__)
static _Atomic int qn_core_of[QN_MAX_THREADS]; // 1 + the core that a worker was last seen on
static int qn_publish_core(long worker) {
  int core = sched_getcpu();
  atomic_store_explicit(&qn_core_of[worker], core + 1, memory_order_relaxed);
  return core;
}
static void qn_part(long worker) {
  int core = qn_publish_core(worker);
  for (long other = 0; other < qn_threads; other++) {
    if (other == worker || atomic_load_explicit(&qn_core_of[other], memory_order_relaxed) != core + 1) continue;
    cpu_set_t all, free;
    if (core < 0 || sched_getaffinity(0, sizeof all, &all)) return;
    free = all;
    for (int i = 0; i < qn_threads; i++) if (i != worker && qn_core_of[i] > 0) CPU_CLR(qn_core_of[i] - 1, &free);
    if (!CPU_COUNT(&free) || sched_setaffinity(0, sizeof free, &free)) return; // more threads than cores
    sched_setaffinity(0, sizeof all, &all);
    qn_publish_core(worker);
    return;
  }
}
#else
static void qn_publish_core(long worker) { (void)worker; }
static void qn_part(long worker) { (void)worker; }
#endif

static void *qn_pool_main(void *arg) {
  long worker = (long)arg;
  unsigned seen = 0;
  qn_flush_denormals();
  for (;;) {
    int spins = 0;
    while (atomic_load_explicit(&qn_pool.round, memory_order_acquire) == seen) {
      if (!atomic_load_explicit(&qn_pool.running, memory_order_relaxed)) {
        pthread_mutex_lock(&qn_pool.lock);
        while (!qn_pool.running && !qn_pool.stop && qn_pool.round == seen) pthread_cond_wait(&qn_pool.wake, &qn_pool.lock);
        int stop = qn_pool.stop;
        pthread_mutex_unlock(&qn_pool.lock);
        if (stop) return 0;
        qn_part(worker);
      }
      QN_PAUSE();
      if (++spins > 2000) qn_part(worker), sched_yield(), spins = 0; // another process may need this core to let us go on
    }
    seen++;
    qn_publish_core(worker);
    qn_pool_work(worker);
    atomic_fetch_sub_explicit(&qn_pool.busy, 1, memory_order_release);
  }
}

QN_TEMPLATE void qn_pool_stop(void);

// Starts threads - 1 threads beside the caller's. 0, or the error number when the system gives none (then one thread runs).
QN_TEMPLATE int qn_pool_start(int threads) {
  if (threads < 1) threads = 1;
  if (threads > QN_MAX_THREADS) threads = QN_MAX_THREADS;
  qn_pool.stop = 0;
  qn_pool.round = 0;
  qn_pool.busy = 0;
  for (qn_threads = 1; qn_threads < threads; qn_threads++) {
    int error = pthread_create(&qn_pool.thread[qn_threads], 0, qn_pool_main, (void *)(long)qn_threads);
    if (error) { qn_pool_stop(); return error; }
  }
  return 0;
}

// Ends and joins the threads; to be called between program runs.
QN_TEMPLATE void qn_pool_stop(void) {
  pthread_mutex_lock(&qn_pool.lock);
  qn_pool.stop = 1;
  pthread_cond_broadcast(&qn_pool.wake);
  pthread_mutex_unlock(&qn_pool.lock);
  for (int i = 1; i < qn_threads; i++) pthread_join(qn_pool.thread[i], 0);
  qn_threads = 1;
}

// A program run begins: workers wake and spin until qn_pool_end. Both are called by the same thread.
QN_TEMPLATE void qn_pool_begin(void) {
  qn_denormals_before = qn_flush_denormals();
  if (qn_threads < 2) return;
  qn_publish_core(0);
  pthread_mutex_lock(&qn_pool.lock);
  qn_pool.running = 1;
  pthread_cond_broadcast(&qn_pool.wake);
  pthread_mutex_unlock(&qn_pool.lock);
}
QN_TEMPLATE void qn_pool_end(void) {
  qn_pool.running = 0;
  qn_restore_denormals(qn_denormals_before);
}
static void qn_pool_wake(void) {}
static void qn_pool_join(void) {
  for (int spins = 0; atomic_load_explicit(&qn_pool.busy, memory_order_acquire);) {
    QN_PAUSE();
    if (++spins > 2000) qn_part(0), sched_yield(), spins = 0;
  }
}
#endif

QN_FUNCTION void qn_parallel(long tasks, qn_task f, void *context) {
  if (tasks < 2 || qn_threads < 2 || !qn_pool.running) {
    for (long task = 0; task < tasks; task++) f(context, task, 0);
    return;
  }
  qn_publish_core(0);
  qn_pool.f = f;
  qn_pool.context = context;
  qn_pool.tasks = tasks;
  atomic_store_explicit(&qn_pool.next, 0, memory_order_relaxed);
  atomic_store_explicit(&qn_pool.busy, qn_threads - 1, memory_order_relaxed);
  atomic_fetch_add(&qn_pool.round, 1);
  qn_pool_wake();
  qn_pool_work(0);
  qn_pool_join();
}
#else
QN_TEMPLATE int qn_pool_start(int threads) { (void)threads; return 0; }
QN_TEMPLATE void qn_pool_stop(void) {}
QN_TEMPLATE void qn_pool_begin(void) { qn_denormals_before = qn_flush_denormals(); }
QN_TEMPLATE void qn_pool_end(void) { qn_restore_denormals(qn_denormals_before); }
QN_FUNCTION void qn_parallel(long tasks, qn_task f, void *context) {
  for (long task = 0; task < tasks; task++) f(context, task, 0);
}
#endif
#endif

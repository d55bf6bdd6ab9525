// Macros of one instruction set, as the emitter defines them, and the inlined templates. -DQN_VL=16|8|4 selects the set; QN_MR,
// QN_NV, QN_PAIRS and QN_THREADS can be overridden.
#define _GNU_SOURCE
#ifndef QN_VL
#define QN_VL 16
#endif
#ifndef QN_MR
#if QN_VL == 16
#define QN_MR 6
#define QN_NV 4
#elif QN_VL == 8
#define QN_MR 6
#define QN_NV 2
#else
#define QN_MR 2
#define QN_NV 4
#endif
#endif
#if !defined(QN_PAIRS) && QN_VL == 16 && defined(__AVX512BF16__)
#define QN_PAIRS 1
#endif
#ifndef QN_TILES
#define QN_TILES 0
#endif
#ifndef QN_THREADS
#define QN_THREADS 1
#endif
#include "../../src/backends/cpu/templates/platform.h"
#include "../../src/backends/cpu/templates/vector.h"
#include "../../src/backends/cpu/templates/bf16.h"
#include "../../src/backends/cpu/templates/storage.h"

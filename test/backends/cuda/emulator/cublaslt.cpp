// cuBLASLt for tests: the functions that Quern calls, with the numbers and sizes of NVIDIA's cublasLt.h. Descriptions are checked
// when they are made and used, and a product is computed plainly when the recorded graph runs. Dimensions are in columns.
#include "capture.h"
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>
#define API extern "C" __attribute__((visibility("default")))

namespace {
const int SUCCESS = 0, NOT_INITIALIZED = 1, INVALID = 7, NOT_SUPPORTED = 15;
const int F32 = 0, BF16 = 14, COMPUTE_32F = 68;
const int EPILOGUE_DEFAULT = 1, EPILOGUE_BIAS = 4;
// A product with a side of this length has no algorithm, so that tests meet one.
const uint64_t UNSUPPORTED = 136;
struct Operation { int compute, scale, x = 0, y = 0, epilogue = EPILOGUE_DEFAULT, biasType = -1; uint64_t bias = 0; };
struct Layout { int type; uint64_t rows, columns; int64_t ld; };
struct Preference { uint64_t workspace = 0; uint32_t alignment[4] = {256, 256, 256, 256}; };
struct Result { uint64_t algorithm[8]; size_t workspace; int state; float waves; int reserved[4]; };
static_assert(sizeof(Result) == 96, "as in cublasLt.h");
int aHandle;

size_t widthOf(int type) { return type == BF16 ? 2 : 4; }
struct Shape { uint64_t m, n, k; };
// The sizes of D (m,n) = op(X) (m,k) · op(Y) (k,n), if all descriptions agree.
bool shapeOf(const Operation &o, const Layout &x, const Layout &y, const Layout &c, const Layout &d, Shape &s) {
  s.m = o.x ? x.columns : x.rows, s.k = o.x ? x.rows : x.columns, s.n = o.y ? y.rows : y.columns;
  if (s.k != (o.y ? y.columns : y.rows)) return false;
  if (d.rows != s.m || d.columns != s.n || c.rows != s.m || c.columns != s.n || c.type != d.type || c.ld != d.ld) return false;
  if (x.type != BF16 || y.type != BF16 || o.compute != COMPUTE_32F || o.scale != F32) return false;
  if (o.epilogue != EPILOGUE_DEFAULT && (o.epilogue != EPILOGUE_BIAS || o.biasType != d.type || o.bias == 0)) return false;
  for (const Layout *l : {&x, &y, &c, &d}) if (l->ld < (int64_t)l->rows || l->ld * widthOf(l->type) % 16 != 0) return false;
  return true;
}
// An algorithm is for one product: its words tell which.
void describe(const Operation &o, const Layout &d, const Shape &s, uint64_t *words) {
  const uint64_t all[8] = {0x514e4c54, s.m, s.n, s.k, (uint64_t)(o.x * 2 + o.y), (uint64_t)o.epilogue, (uint64_t)d.type, 4096 + s.m % 512};
  std::memcpy(words, all, sizeof all);
}
float floatOf(const unsigned short *p) {
  const unsigned bits = (unsigned)*p << 16;
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}
float load(int type, uint64_t at, uint64_t i) { return type == BF16 ? floatOf((const unsigned short *)at + i) : ((const float *)at)[i]; }
void store(int type, uint64_t at, uint64_t i, float x) {
  if (type == F32) { ((float *)at)[i] = x; return; }
  unsigned bits;
  std::memcpy(&bits, &x, 4);
  ((unsigned short *)at)[i] = (unsigned short)(x != x ? (bits >> 16 | 0x40) : (bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
template <class T> int setTo(T &to, const void *from, size_t bytes) {
  if (bytes != sizeof to) return INVALID;
  return std::memcpy(&to, from, bytes), SUCCESS;
}
}

API size_t cublasLtGetVersion() { return 131000; }
API const char *cublasLtGetStatusString(int status) { return status == NOT_SUPPORTED ? "not supported" : "an error of the emulator"; }
API int cublasLtCreate(void **handle) { return *handle = &aHandle, qn_has_context() ? SUCCESS : NOT_INITIALIZED; }
API int cublasLtMatmulDescCreate(void **to, int compute, int scale) { return *to = new Operation{compute, scale}, SUCCESS; }
API int cublasLtMatmulDescDestroy(void *operation) { return delete (Operation *)operation, SUCCESS; }
API int cublasLtMatmulDescSetAttribute(void *operation, int attribute, const void *value, size_t bytes) {
  Operation &o = *(Operation *)operation;
  switch (attribute) {
    case 3: return setTo(o.x, value, bytes);
    case 4: return setTo(o.y, value, bytes);
    case 7: return setTo(o.epilogue, value, bytes);
    case 8: return setTo(o.bias, value, bytes);
    case 26: return setTo(o.biasType, value, bytes);
    default: return INVALID;
  }
}
API int cublasLtMatrixLayoutCreate(void **to, int type, uint64_t rows, uint64_t columns, int64_t ld) { return *to = new Layout{type, rows, columns, ld}, SUCCESS; }
API int cublasLtMatrixLayoutDestroy(void *layout) { return delete (Layout *)layout, SUCCESS; }
API int cublasLtMatmulPreferenceCreate(void **to) { return *to = new Preference, SUCCESS; }
API int cublasLtMatmulPreferenceDestroy(void *preference) { return delete (Preference *)preference, SUCCESS; }
API int cublasLtMatmulPreferenceSetAttribute(void *preference, int attribute, const void *value, size_t bytes) {
  Preference &p = *(Preference *)preference;
  if (attribute == 1) return setTo(p.workspace, value, bytes);
  return attribute >= 5 && attribute <= 8 ? setTo(p.alignment[attribute - 5], value, bytes) : INVALID;
}
API int cublasLtMatmulAlgoGetHeuristic(void *handle, void *operation, void *x, void *y, void *c, void *d, void *preference, int wanted, Result *results, int *count) {
  const Operation &o = *(Operation *)operation;
  const Preference &p = *(Preference *)preference;
  Shape s;
  *count = 0;
  if (handle != &aHandle || wanted < 1 || !qn_has_context()) return INVALID;
  if (!shapeOf(o, *(Layout *)x, *(Layout *)y, *(Layout *)c, *(Layout *)d, s)) return INVALID;
  for (const uint32_t alignment : p.alignment) if (alignment < 16) return NOT_SUPPORTED;
  if (s.m == UNSUPPORTED || s.n == UNSUPPORTED || s.k == UNSUPPORTED) return NOT_SUPPORTED;
  std::memset(results, 0, sizeof *results);
  describe(o, *(Layout *)d, s, results->algorithm);
  results->workspace = results->algorithm[7];
  if (results->workspace > p.workspace) return NOT_SUPPORTED;
  return *count = 1, SUCCESS;
}
API int cublasLtMatmul(void *handle, void *operation, const float *alpha, uint64_t X, void *x, uint64_t Y, void *y, const float *beta, uint64_t C, void *c, uint64_t D, void *d, const uint64_t *algorithm, uint64_t workspace, size_t bytes, void *stream) {
  const Operation o = *(Operation *)operation;
  const Layout lx = *(Layout *)x, ly = *(Layout *)y, lc = *(Layout *)c, ld = *(Layout *)d;
  Shape s;
  uint64_t expected[8];
  if (handle != &aHandle || !shapeOf(o, lx, ly, lc, ld, s)) return INVALID;
  describe(o, ld, s, expected);
  if (std::memcmp(expected, algorithm, sizeof expected) != 0 || bytes < expected[7] || workspace % 16 != 0) return INVALID;
  if (*alpha != 1.0f || (*beta != 0.0f && (*beta != 1.0f || C != D || ld.type != F32))) return INVALID;
  const auto isMatrix = [](uint64_t at, const Layout &l) { return at % 16 == 0 && qn_is_memory(at, ((l.columns - 1) * l.ld + l.rows) * widthOf(l.type)); };
  if (!isMatrix(X, lx) || !isMatrix(Y, ly) || !isMatrix(C, lc) || !isMatrix(D, ld) || !qn_is_memory(workspace, bytes)) return INVALID;
  const bool hasBias = o.epilogue == EPILOGUE_BIAS, adds = *beta == 1.0f;
  if (hasBias && (o.bias % 16 != 0 || !qn_is_memory(o.bias, s.m * widthOf(ld.type)))) return INVALID;
  const auto work = [=]() -> const char * {
    std::memset((void *)workspace, 0xff, bytes); // it overwrites what others left there
    std::vector<float> left(s.m * s.k), right(s.k * s.n);
    for (uint64_t i = 0; i < s.m; i++) for (uint64_t k = 0; k < s.k; k++) left[i * s.k + k] = load(BF16, X, o.x ? i * lx.ld + k : k * lx.ld + i);
    for (uint64_t j = 0; j < s.n; j++) for (uint64_t k = 0; k < s.k; k++) right[j * s.k + k] = load(BF16, Y, o.y ? k * ly.ld + j : j * ly.ld + k);
    for (uint64_t j = 0; j < s.n; j++)
      for (uint64_t i = 0; i < s.m; i++) {
        float sum = 0.0f;
        for (uint64_t k = 0; k < s.k; k++) sum += left[i * s.k + k] * right[j * s.k + k];
        if (hasBias) sum += load(ld.type, o.bias, i);
        if (adds) sum += load(F32, C, j * lc.ld + i);
        store(ld.type, D, j * ld.ld + i, sum);
      }
    return nullptr;
  };
  return qn_capture(stream, work) ? SUCCESS : NOT_SUPPORTED;
}

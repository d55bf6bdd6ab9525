// An NVIDIA driver and NVRTC for tests, with the functions that Quern calls: kernels run on the CPU. NVRTC's part compiles a
// program with the system's C++ compiler and emulator.h before it; the driver's part runs its blocks in random order.
// Built by scripts/test-cuda-emulated.mjs with -DQN_FOLDER="folder of emulator.h" and -DQN_COMPILER="command".
#include "emulator.h"
#include "capture.h"
#undef threadIdx
#undef blockIdx
#undef blockDim
#undef gridDim
#undef __global__
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <functional>
#include <map>
#include <mutex>
#include <regex>
#include <set>
#include <setjmp.h>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <ucontext.h>
#include <unistd.h>
#include <vector>
#define API extern "C" __attribute__((visibility("default")))

// ---- threads of a block: fibers, each with a stack of its own
namespace {
const size_t STACK = 128 << 10;
typedef void (*Function)(...);
enum State { READY, AT_BARRIER, AT_WARP, DONE };
struct Fiber {
  qn_thread thread;
  jmp_buf jump;
  State state;
  int number, uses; // uses: collective operations so far
  bool begun;
  char *stack;
};
struct Warp { int arrived, kind; char slots[2][32 * 64]; };

std::vector<Fiber> fibers;
std::vector<Warp> warps;
std::vector<int> ready;
int running, alive, waiting, size;
jmp_buf scheduler;
qn_thread *currentThread;
unsigned block = 0, epoch = 1;
std::string failure, kernelName;
const void *const *arguments;
Function kernel;
unsigned long long randomState;

unsigned randomBelow(unsigned n) {
  randomState ^= randomState << 13, randomState ^= randomState >> 7, randomState ^= randomState << 17;
  return (unsigned)(randomState >> 11) % n;
}
void toScheduler(State state) {
  Fiber &fiber = fibers[running];
  fiber.state = state;
  if (_setjmp(fiber.jump) == 0) _longjmp(scheduler, 1);
}
void fail(const char *what, const char *name, long index) {
  if (!failure.empty()) return;
  const Fiber &fiber = fibers[running];
  char text[400];
  std::snprintf(text, sizeof text, "%s: thread %d of block (%u, %u, %u) %s: %s[%ld]", kernelName.c_str(), fiber.number,
                fiber.thread.blockIdx.x, fiber.thread.blockIdx.y, fiber.thread.blockIdx.z, what, name, index);
  failure = text;
}
void release(State state, int first, int last) {
  for (int i = first; i < last; i++)
    if (fibers[i].state == state) fibers[i].state = READY, ready.push_back(i);
}
void barrier() {
  if (alive != size) fail("waits at a barrier, but some threads have returned", "barrier", epoch);
  if (++waiting == alive) {
    waiting = 0, epoch++;
    release(AT_BARRIER, 0, size);
    ready.push_back(running);
    toScheduler(READY);
  } else toScheduler(AT_BARRIER);
}
const char *exchange(int kind, const void *mine, int bytes) {
  Fiber &fiber = fibers[running];
  const int number = fiber.number / 32, parity = fiber.uses++ % 2;
  Warp &warp = warps[number];
  if (warp.arrived == 0) warp.kind = kind;
  else if (warp.kind != kind) fail("does another operation than its warp", "operation", kind);
  std::memcpy(warp.slots[parity] + 64 * (fiber.number % 32), mine, bytes);
  if (++warp.arrived == 32) {
    warp.arrived = 0;
    release(AT_WARP, 32 * number, 32 * number + 32);
    ready.push_back(running);
    toScheduler(READY);
  } else toScheduler(AT_WARP);
  return warp.slots[parity];
}
int number() { return running; }

void call() {
  const void *const *a = arguments;
#define A(i) *(void *const *)a[i]
  // Every parameter is a pointer, and a function may be called with more arguments than it has.
  kernel(A(0), A(1), A(2), A(3), A(4), A(5), A(6), A(7), A(8), A(9), A(10), A(11), A(12), A(13), A(14), A(15), A(16), A(17), A(18), A(19),
         A(20), A(21), A(22), A(23), A(24), A(25), A(26), A(27), A(28), A(29), A(30), A(31), A(32), A(33), A(34), A(35), A(36), A(37), A(38), A(39));
}
const int MAX_ARGUMENTS = 40;
// A fiber runs the kernel once per block, forever.
void enter() {
  for (;;) {
    call();
    alive--;
    toScheduler(DONE);
  }
}
void start(Fiber &fiber) {
  ucontext_t context;
  getcontext(&context);
  context.uc_stack.ss_sp = fiber.stack;
  context.uc_stack.ss_size = STACK;
  context.uc_link = nullptr;
  makecontext(&context, enter, 0);
  fiber.begun = true;
  setcontext(&context);
}
void runBlock() {
  ready.clear();
  alive = size, waiting = 0, block++, epoch++;
  for (int i = 0; i < size; i++) fibers[i].state = READY, fibers[i].uses = 0, ready.push_back(i);
  for (auto &warp : warps) warp.arrived = 0;
  while (!ready.empty() && failure.empty()) {
    const unsigned pick = randomBelow((unsigned)ready.size());
    running = ready[pick], ready[pick] = ready.back();
    ready.pop_back();
    currentThread = &fibers[running].thread;
    if (_setjmp(scheduler) == 0) {
      if (fibers[running].begun) _longjmp(fibers[running].jump, 1);
      else start(fibers[running]);
    }
  }
  if (failure.empty() && alive > 0) {
    for (running = 0; fibers[running].state == DONE;) running++;
    fail("waits for threads that never come", fibers[running].state == AT_WARP ? "warp" : "barrier", epoch);
  }
}

struct Launch {
  std::function<const char *()> call; // a library's work, in place of a kernel; returns what is wrong, or null
  std::string name;
  Function function;
  unsigned grid[3], threads;
  std::vector<uint64_t> values;
};
// The threads of a failed block are left where they are, so nothing runs after a failure.
void run(const Launch &launch) {
  if (!failure.empty()) return;
  if (launch.call) {
    if (const char *problem = launch.call()) failure = problem;
    return;
  }
  kernel = launch.function, kernelName = launch.name, size = (int)launch.threads;
  static uint64_t none = 0;
  std::vector<const void *> pointers;
  for (int i = 0; i < MAX_ARGUMENTS; i++) pointers.push_back(i < (int)launch.values.size() ? &launch.values[i] : &none);
  arguments = pointers.data();
  while ((int)fibers.size() < size) {
    Fiber fiber{};
    fiber.number = (int)fibers.size();
    fiber.stack = (char *)mmap(nullptr, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    fibers.push_back(fiber);
  }
  warps.resize((size + 31) / 32);
  const unsigned *g = launch.grid, count = g[0] * g[1] * g[2];
  std::vector<unsigned> order(count);
  for (unsigned i = 0; i < count; i++) order[i] = i;
  for (unsigned i = count; i > 1; i--) std::swap(order[i - 1], order[randomBelow(i)]);
  for (const unsigned i : order) {
    const qn_uint3 at = {i % g[0], i / g[0] % g[1], i / g[0] / g[1]};
    for (int t = 0; t < size; t++) fibers[t].thread = {{(unsigned)t, 0, 0}, at, {(unsigned)size, 1, 1}, {g[0], g[1], g[2]}};
    runBlock();
    if (!failure.empty()) return;
  }
}
const qn_runtime runtime = {&currentThread, &block, &epoch, barrier, exchange, fail, number};

// ---- the driver
struct Module { void *library; };
struct Kernel { std::string name; Function function; int parameters; };
struct Stream { bool capturing = false; std::vector<Launch> captured; std::thread worker; std::atomic<bool> busy{false}; };
typedef std::vector<Launch> Graph;
Stream *theStream;
std::map<uint64_t, size_t> allocations;
std::set<void *> contexts;
size_t used;
const size_t MEMORY = 8ull << 30;
const int SUCCESS = 0, INVALID = 1, NO_MEMORY = 2, NOT_FOUND = 500, NOT_READY = 600, FAILED = 719;
thread_local void *context;
int aContext;
void settle() {
  if (theStream && theStream->worker.joinable()) theStream->worker.join();
}
bool isAllocated(uint64_t address, size_t bytes) {
  auto next = allocations.upper_bound(address);
  if (next == allocations.begin()) return false;
  --next;
  return address + bytes <= next->first + next->second;
}
}

API int cuInit(unsigned) {
  const char *seed = std::getenv("QUERN_EMULATOR_SEED");
  randomState = 0x9e3779b97f4a7c15ull ^ (seed ? std::strtoull(seed, nullptr, 10) : 1);
  return SUCCESS;
}
API int cuDriverGetVersion(int *version) { return *version = 13000, SUCCESS; }
API int cuDeviceGetCount(int *count) { return *count = 1, SUCCESS; }
API int cuDeviceGet(int *device, int ordinal) { return ordinal == 0 ? (*device = 0, SUCCESS) : 101; }
API int cuDeviceGetName(char *name, int length, int) { return std::snprintf(name, length, "emulator"), SUCCESS; }
API int cuDeviceGetAttribute(int *value, int attribute, int) {
  return *value = attribute == 75 ? 9 : attribute == 76 ? 0 : attribute == 16 ? 1 : 0, SUCCESS;
}
API int cuDeviceTotalMem_v2(size_t *bytes, int) { return *bytes = MEMORY, SUCCESS; }
API int cuMemGetInfo_v2(size_t *available, size_t *total) { return *available = MEMORY - used, *total = MEMORY, context ? SUCCESS : 201; }
API int cuDevicePrimaryCtxRetain(void **to, int) { return *to = &aContext, SUCCESS; }
API int cuCtxSetCurrent(void *to) { return context = to, SUCCESS; }
// Memory begins with NaN, and ends where the process has no more.
API int cuMemAlloc_v2(uint64_t *address, size_t bytes) {
  if (!context) return 201;
  if (bytes == 0) return INVALID;
  if (used + bytes > MEMORY) return NO_MEMORY;
  const size_t rounded = (bytes + 255) / 256 * 256, pages = (rounded + 4095) / 4096 * 4096;
  char *base = (char *)mmap(nullptr, pages + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) return NO_MEMORY;
  mprotect(base + pages, 4096, PROT_NONE);
  *address = (uint64_t)(base + pages - rounded);
  std::memset((void *)*address, 0xff, bytes);
  allocations[*address] = bytes;
  used += bytes;
  return SUCCESS;
}
API int cuMemFree_v2(uint64_t address) {
  settle();
  const auto found = allocations.find(address);
  if (found == allocations.end()) return INVALID;
  const size_t rounded = (found->second + 255) / 256 * 256, pages = (rounded + 4095) / 4096 * 4096;
  munmap((char *)address + rounded - pages, pages + 4096);
  used -= found->second;
  allocations.erase(found);
  return SUCCESS;
}
API int cuMemsetD8_v2(uint64_t to, unsigned char value, size_t bytes) {
  settle();
  return isAllocated(to, bytes) ? (std::memset((void *)to, value, bytes), SUCCESS) : INVALID;
}
API int cuMemcpyHtoD_v2(uint64_t to, const void *from, size_t bytes) {
  settle();
  return isAllocated(to, bytes) ? (std::memcpy((void *)to, from, bytes), SUCCESS) : INVALID;
}
API int cuMemcpyDtoH_v2(void *to, uint64_t from, size_t bytes) {
  settle();
  return isAllocated(from, bytes) ? (std::memcpy(to, (const void *)from, bytes), SUCCESS) : INVALID;
}
// An image is the length of a shared library in 8 bytes, and the library.
API int cuModuleLoadData(void **module, const void *image) {
  uint64_t bytes;
  std::memcpy(&bytes, image, 8);
  char path[] = "/tmp/quern-emulated-XXXXXX";
  const int file = mkstemp(path);
  const bool isWritten = write(file, (const char *)image + 8, bytes) == (ssize_t)bytes;
  close(file);
  void *library = isWritten ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : nullptr;
  if (!library) std::fprintf(stderr, "emulator: %s\n", dlerror());
  unlink(path);
  if (!library) return 200;
  ((void (*)(const qn_runtime *))dlsym(library, "qn_bind"))(&runtime);
  *module = new Module{library};
  return SUCCESS;
}
API int cuModuleUnload(void *module) { return settle(), dlclose(((Module *)module)->library), delete (Module *)module, SUCCESS; }
API int cuModuleGetFunction(void **function, void *module, const char *name) {
  void *library = ((Module *)module)->library, *found = dlsym(library, name), *count = dlsym(library, (std::string(name) + "_parameters").c_str());
  if (!found || !count) return NOT_FOUND;
  *function = new Kernel{name, (Function)found, *(int *)count};
  return SUCCESS;
}
API int cuStreamCreate(void **stream, unsigned) { return *stream = theStream = new Stream, SUCCESS; }
API int cuStreamDestroy_v2(void *) { return settle(), SUCCESS; }
API int cuStreamBeginCapture_v2(void *stream, int) { return ((Stream *)stream)->capturing = true, ((Stream *)stream)->captured.clear(), SUCCESS; }
API int cuStreamEndCapture(void *stream, void **graph) {
  Stream *s = (Stream *)stream;
  s->capturing = false;
  *graph = new Graph(s->captured);
  return SUCCESS;
}
API int cuGraphInstantiateWithFlags(void **executable, void *graph, unsigned long long) { return *executable = new Graph(*(Graph *)graph), SUCCESS; }
API int cuGraphDestroy(void *graph) { return delete (Graph *)graph, SUCCESS; }
API int cuGraphExecDestroy(void *graph) { return settle(), delete (Graph *)graph, SUCCESS; }
API int cuLaunchKernel(void *function, unsigned x, unsigned y, unsigned z, unsigned bx, unsigned by, unsigned bz, unsigned, void *stream, void **parameters, void **) {
  const Kernel *k = (const Kernel *)function;
  if (!((Stream *)stream)->capturing || x == 0 || y == 0 || z == 0 || y > 65535 || z > 65535 || bx > 1024 || bx % 32 != 0 || by != 1 || bz != 1 || k->parameters > MAX_ARGUMENTS) return INVALID;
  Launch launch{nullptr, k->name, k->function, {x, y, z}, bx, {}};
  for (int i = 0; i < k->parameters; i++) launch.values.push_back(*(uint64_t *)parameters[i]);
  ((Stream *)stream)->captured.push_back(launch);
  return SUCCESS;
}
API int cuGraphLaunch(void *graph, void *stream) {
  Stream *s = (Stream *)stream;
  settle();
  if (!failure.empty()) return FAILED;
  s->busy = true;
  s->worker = std::thread([graph, s] {
    for (const Launch &launch : *(const Graph *)graph) run(launch);
    s->busy = false;
  });
  return SUCCESS;
}
API int cuStreamQuery(void *stream) { return ((Stream *)stream)->busy ? NOT_READY : failure.empty() ? SUCCESS : FAILED; }
API int cuStreamSynchronize(void *) { return settle(), failure.empty() ? SUCCESS : FAILED; }
API int cuGetErrorName(int code, const char **name) { return *name = code == NO_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : code == FAILED ? "CUDA_ERROR_LAUNCH_FAILED" : "CUDA_ERROR", SUCCESS; }
API int cuGetErrorString(int code, const char **text) { return *text = code == FAILED ? failure.c_str() : code == NO_MEMORY ? "out of memory" : "an error of the emulator", SUCCESS; }

// ---- for cublaslt.cpp
bool qn_capture(void *stream, std::function<const char *()> work) {
  Stream *s = (Stream *)stream;
  if (!s || !s->capturing) return false;
  s->captured.push_back({work, "cublasLt", nullptr, {0, 0, 0}, 0, {}});
  return true;
}
bool qn_is_memory(uint64_t address, size_t bytes) { return isAllocated(address, bytes); }
bool qn_has_context() { return context != nullptr; }

// ---- NVRTC
namespace {
struct Program { std::string source, log, image; };
std::string contentsOf(const std::string &path) {
  std::string text;
  if (FILE *file = std::fopen(path.c_str(), "rb")) {
    char part[65536];
    for (size_t n; (n = std::fread(part, 1, sizeof part, file)) > 0;) text.append(part, n);
    std::fclose(file);
  }
  return text;
}
}
API int nvrtcVersion(int *major, int *minor) { return *major = 13, *minor = 0, 0; }
API const char *nvrtcGetErrorString(int) { return "the C++ compiler failed"; }
API int nvrtcGetNumSupportedArchs(int *count) { return *count = 2, 0; }
API int nvrtcGetSupportedArchs(int *list) { return list[0] = 80, list[1] = 90, 0; }
API int nvrtcCreateProgram(void **program, const char *source, const char *, int, const char **, const char **) { return *program = new Program{source, "", ""}, 0; }
API int nvrtcCompileProgram(void *program, int, const char **) {
  Program *p = (Program *)program;
  char folder[] = "/tmp/quern-emulator-XXXXXX";
  if (!mkdtemp(folder)) return 1;
  const std::string base = folder, source = base + "/program.cpp", library = base + "/program.so", log = base + "/log";
  std::string text = p->source;
  // The driver must know how many parameters a kernel has.
  size_t at = 0;
  std::string counts;
  while ((at = text.find("\nQN_KERNEL", at)) != std::string::npos) {
    const size_t open = text.find("(void *a0", at), none = text.find("() {", at), line = text.find('\n', at + 1), begin = open < line ? open : none;
    size_t name = begin;
    while (text[name - 1] != ' ') name--;
    const std::string parameters = text.substr(begin, text.find(')', begin) - begin);
    int count = 0;
    for (size_t i = 0; (i = parameters.find('*', i)) != std::string::npos; i++) count++;
    counts += "extern \"C\" __attribute__((visibility(\"default\"))) int " + text.substr(name, begin - name) + "_parameters = " + std::to_string(count) + ";\n";
    at = line;
  }
  text += counts;
  FILE *file = std::fopen(source.c_str(), "wb");
  std::fwrite(text.data(), 1, text.size(), file);
  std::fclose(file);
  const std::string flags = " -std=c++17 -O1 -ffp-contract=off -fPIC -shared -fvisibility=hidden -w -include " QN_FOLDER "/emulator.h ";
  const int code = std::system((QN_COMPILER + flags + source + " -o " + library + " 2> " + log).c_str());
  p->log = contentsOf(log);
  if (code == 0) {
    const std::string bytes = contentsOf(library);
    const uint64_t length = bytes.size();
    p->image = std::string((const char *)&length, 8) + bytes;
  }
  if (std::getenv("QUERN_EMULATOR_KEEP")) std::fprintf(stderr, "emulator: %s\n", source.c_str());
  else std::system(("rm -rf " + base).c_str());
  return code == 0 ? 0 : 6;
}
API int nvrtcGetProgramLogSize(void *program, size_t *size) { return *size = ((Program *)program)->log.size() + 1, 0; }
API int nvrtcGetProgramLog(void *program, char *log) { return std::memcpy(log, ((Program *)program)->log.c_str(), ((Program *)program)->log.size() + 1), 0; }
API int nvrtcGetCUBINSize(void *program, size_t *size) { return *size = ((Program *)program)->image.size(), 0; }
API int nvrtcGetCUBIN(void *program, char *image) { return std::memcpy(image, ((Program *)program)->image.data(), ((Program *)program)->image.size()), 0; }
API int nvrtcGetPTXSize(void *program, size_t *size) { return nvrtcGetCUBINSize(program, size); }
API int nvrtcGetPTX(void *program, char *image) { return nvrtcGetCUBIN(program, image); }
API int nvrtcDestroyProgram(void **program) { return delete (Program *)*program, *program = nullptr, 0; }

// What the driver's part of the emulator offers to that of cuBLASLt.
#ifndef QN_CAPTURE_H
#define QN_CAPTURE_H
#include <cstddef>
#include <cstdint>
#include <functional>
// Records work on a stream; false if the stream does not record. The work returns what is wrong, or null.
bool qn_capture(void *stream, std::function<const char *()> work);
// Whether all these bytes are in one block of device memory.
bool qn_is_memory(uint64_t address, size_t bytes);
bool qn_has_context();
#endif

#include "platform/pages.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "base/math.h"

namespace tern {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kSmall = size_t{1} << 18;  // below this a mapping costs more than it saves
constexpr size_t kHugePage = size_t{1} << 21;

std::shared_ptr<std::byte> AllocateSmall(size_t bytes) {
  auto* data = static_cast<std::byte*>(std::aligned_alloc(kAlignment, bytes));
  if (data == nullptr) return nullptr;
  std::memset(data, 0, bytes);
  return {data, [](std::byte* p) { std::free(p); }};
}

}  // namespace

std::shared_ptr<std::byte> AllocatePages(size_t bytes) {
  const size_t rounded = AlignUp(std::max<size_t>(bytes, 1), kAlignment);
  if (rounded < bytes) return nullptr;
  if (rounded < kSmall) return AllocateSmall(rounded);
  const bool huge = rounded >= kHugePage;
  const size_t mapped = rounded + (huge ? kHugePage : 0);  // room to begin at a huge page's border
  if (mapped < rounded) return nullptr;
  void* start = ::mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) return nullptr;
  auto* data = static_cast<std::byte*>(start);
  if (huge) {
    data += (kHugePage - reinterpret_cast<uintptr_t>(data) % kHugePage) % kHugePage;
    ::madvise(data, rounded, MADV_HUGEPAGE);
  }
  return {data, [start, mapped](std::byte*) { ::munmap(start, mapped); }};
}

}  // namespace tern

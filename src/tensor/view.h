// Non-owning row-major views of activations.
#pragma once

#include <cstdint>

namespace tern {

/// (rows, cols) values, rows `stride` elements apart. The memory belongs to a backend and may be on
/// a device.
template <class T>
struct View {
  T* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;

  View() = default;
  View(T* d, int64_t r, int64_t c) : data(d), rows(r), cols(c), stride(c) {}
  View(T* d, int64_t r, int64_t c, int64_t s) : data(d), rows(r), cols(c), stride(s) {}

  T* Row(int64_t r) const { return data + r * stride; }
  /// Columns [first, first + count) of the same rows.
  View Columns(int64_t first, int64_t count) const { return {data + first, rows, count, stride}; }
};

using FloatView = View<float>;

}  // namespace tern

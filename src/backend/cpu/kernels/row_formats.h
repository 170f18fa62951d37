// How the rows of a token table are decoded to 16 lanes at a time, in registers and in the order of
// operations of tensor/dense_matrix.cc, so that the floats are the same bits. Include it only from
// targets/*.cc; everything is in an anonymous namespace (see ternary_gemm.h).
//
// A format has blocks of Elems() values, a multiple of 16 (ternary rows with one scale: the whole
// row). Open() reads what a block's values share, Chunk() gives values 16 c to 16 c + 15. Tail()
// gives the last n < 16 values of a row, where a format allows them, and zeros.
#pragma once

#include "backend/cpu/isa/lanes.h"
#include "backend/cpu/logits_contract.h"

namespace tern::cpu {
namespace {

TERN_INLINE void Prefetch(const uint8_t* p, int64_t bytes) {
#pragma GCC unroll 8
  for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(p + i, 0, 3);
}

// Values one by one, each of kValueBytes.
template <class L, int kValueBytes, typename L::Lanes (*kLoad)(const uint8_t*)>
struct PlainRows {
  struct Block {
    const uint8_t* p;
  };
  TERN_INLINE static int64_t Elems(const LogitsArgs&) { return kLanes; }
  TERN_INLINE static int64_t Bytes(int64_t) { return kLanes * kValueBytes; }
  TERN_INLINE static void Open(const LogitsArgs&, int64_t, int64_t, const uint8_t* p, Block& b) {
    b.p = p;
  }
  TERN_INLINE static typename L::Lanes Chunk(const Block& b, int64_t) { return kLoad(b.p); }
  TERN_INLINE static typename L::Lanes Tail(const LogitsArgs& a, int64_t row, int64_t n) {
    alignas(64) uint8_t padded[kLanes * kValueBytes] = {};
    __builtin_memcpy(padded, a.table + row * a.row_bytes + (a.k - n) * kValueBytes,
                     static_cast<size_t>(n * kValueBytes));
    return kLoad(padded);
  }
};

template <class L>
TERN_INLINE typename L::Lanes LoadFloats(const uint8_t* p) {
  return L::Load(reinterpret_cast<const float*>(p));
}

template <class L>
using F32Rows = PlainRows<L, 4, LoadFloats<L>>;
template <class L>
using F16Rows = PlainRows<L, 2, L::Half>;
template <class L>
using Bf16Rows = PlainRows<L, 2, L::Bf16>;

// Formats whose rows are whole blocks of kElems values in kBytes.
template <class L, int kElems, int kBytes>
struct BlockRows {
  TERN_INLINE static int64_t Elems(const LogitsArgs&) { return kElems; }
  TERN_INLINE static int64_t Bytes(int64_t) { return kBytes; }
  TERN_INLINE static typename L::Lanes Tail(const LogitsArgs&, int64_t, int64_t) {
    return L::Zero();
  }
};

// binary16 d, then 32 int8: d * q.
template <class L>
struct Q8Rows : BlockRows<L, 32, 34> {
  struct Block {
    const int8_t* codes;
    typename L::Lanes d;
  };
  TERN_INLINE static void Open(const LogitsArgs&, int64_t, int64_t, const uint8_t* p, Block& b) {
    b.codes = reinterpret_cast<const int8_t*>(p + 2);
    b.d = L::HalfSplat(p);
  }
  TERN_INLINE static typename L::Lanes Chunk(const Block& b, int64_t c) {
    return L::Multiply(L::Int8(b.codes + c * kLanes), b.d);
  }
};

// Bytes in one native vector V::Words.
template <class V>
constexpr int64_t kWordsBytes = sizeof(typename V::Words);
constexpr uint64_t kNibbles = 0x0f0f0f0f0f0f0f0fu;

template <class V>
TERN_INLINE typename V::Words LoadWords(const uint8_t* p) {
  return *reinterpret_cast<const typename V::WordsAt*>(p);
}
template <class V>
TERN_INLINE void StoreWords(int8_t* p, typename V::Words w) {
  *reinterpret_cast<typename V::WordsAt*>(p) = w;
}
// From each byte; no byte gets below -128.
template <class V>
TERN_INLINE typename V::Words MinusEach(typename V::Words w, int8_t value) {
  const auto bytes = reinterpret_cast<typename V::Bytes>(w) - value;
  return reinterpret_cast<typename V::Words>(bytes);
}

// binary16 d, then 16 bytes with values 0..15 in the low nibbles and 16..31 in the high ones:
// d * (q - 8).
template <class L>
struct Q4Rows : BlockRows<L, 32, 18> {
  struct Block {
    int8_t codes[32];
    typename L::Lanes d;
  };
  TERN_INLINE static void Open(const LogitsArgs&, int64_t, int64_t, const uint8_t* p, Block& b) {
    using Half = Native<16>;
    b.d = L::HalfSplat(p);
    const auto q = LoadWords<Half>(p + 2);
    StoreWords<Half>(b.codes, MinusEach<Half>(q & kNibbles, 8));
    StoreWords<Half>(b.codes + 16, MinusEach<Half>(q >> 4 & kNibbles, 8));
  }
  TERN_INLINE static typename L::Lanes Chunk(const Block& b, int64_t c) {
    return L::Multiply(L::Int8(b.codes + c * kLanes), b.d);
  }
};

// binary16 d and d_min, 12 bytes with 8 scales and 8 minima of 6 bits, 128 bytes of nibbles: a
// sub-block s of 32 values takes the low (even s) or high (odd s) nibbles of bytes 32 (s / 2) on:
// d scale_s q - d_min min_s.
template <class L>
struct Q4KRows : BlockRows<L, 256, 144> {
  struct Block {
    alignas(64) int8_t codes[256];
    alignas(64) float scale[16], min[16];  // the first 8 and the last 8 count
  };
  TERN_INLINE static void Open(const LogitsArgs&, int64_t, int64_t, const uint8_t* p, Block& b) {
    // Bytes 0..3 and 4..7 hold scales and minima 0..3 in six bits; the two bits above and the
    // nibbles of bytes 8..11 make up 4..7.
    uint32_t first, second, third;
    __builtin_memcpy(&first, p + 4, 4);
    __builtin_memcpy(&second, p + 8, 4);
    __builtin_memcpy(&third, p + 12, 4);
    constexpr uint32_t kSix = 0x3f3f3f3fu, kFour = 0x0f0f0f0fu, kTwo = 0x30303030u;
    const uint64_t scales = (third & kFour) | (first >> 2 & kTwo);
    const uint64_t minima = (third >> 4 & kFour) | (second >> 2 & kTwo);
    int8_t fields[16];
    StoreWords<Native<16>>(fields, typename Native<16>::Words{scales << 32 | (first & kSix),
                                                              minima << 32 | (second & kSix)});
    const typename L::Lanes all = L::Int8(fields);
    L::Store(b.scale, L::Multiply(all, L::HalfSplat(p)));
    L::Store(b.min, L::Multiply(all, L::HalfSplat(p + 2)));
    for (int64_t part = 0; part < 4; ++part) {
      for (int64_t i = 0; i < 32; i += kWordsBytes<L>) {
        const auto q = LoadWords<L>(p + 16 + 32 * part + i);
        StoreWords<L>(b.codes + 64 * part + i, q & kNibbles);
        StoreWords<L>(b.codes + 64 * part + 32 + i, q >> 4 & kNibbles);
      }
    }
  }
  TERN_INLINE static typename L::Lanes Chunk(const Block& b, int64_t c) {
    return L::Minus(L::Times(L::Int8(b.codes + c * kLanes), b.scale[c / 2]), b.min[8 + c / 2]);
  }
};

// 128 bytes of low nibbles, 64 of high bit pairs, 16 int8 scales of 16 values each, binary16 d:
// d scale_c (q - 32). Inside a half h of 128 values, value 32 t + l has its low bits in byte
// 64 h + 32 (t % 2) + l (the high nibble from t = 2 on), its high ones in byte 32 h + l at 2 t.
template <class L>
struct Q6KRows : BlockRows<L, 256, 210> {
  struct Block {
    alignas(64) int8_t codes[256];
    alignas(64) float scale[16];
  };
  TERN_INLINE static void Open(const LogitsArgs&, int64_t, int64_t, const uint8_t* p, Block& b) {
    L::Store(b.scale,
             L::Multiply(L::Int8(reinterpret_cast<const int8_t*>(p + 192)), L::HalfSplat(p + 208)));
#pragma GCC unroll 2
    for (int64_t h = 0; h < 2; ++h) Half(p + 64 * h, p + 128 + 32 * h, b.codes + 128 * h);
  }
  TERN_INLINE static typename L::Lanes Chunk(const Block& b, int64_t c) {
    return L::Times(L::Int8(b.codes + c * kLanes), b.scale[c]);
  }

 private:
  template <class V>
  TERN_INLINE static void Put(int8_t* to, typename V::Words low, typename V::Words high) {
    constexpr uint64_t kHigh = 0x3030303030303030u;
    StoreWords<V>(to, MinusEach<V>((low & kNibbles) | (high & kHigh), 32));
  }
  TERN_INLINE static void Half(const uint8_t* ql, const uint8_t* qh, int8_t* to) {
    if constexpr (L::kVecs == 1) {
      using V = WideWords;
      const auto low = LoadWords<V>(ql);
      const auto half = LoadWords<Native<32>>(qh);
      const typename V::Words high = __builtin_shufflevector(half, half, 0, 1, 2, 3, 0, 1, 2, 3);
      Put<V>(to, low, high << typename V::Words{4, 4, 4, 4, 2, 2, 2, 2});
      Put<V>(to + 64, low >> 4, high >> typename V::Words{0, 0, 0, 0, 2, 2, 2, 2});
      return;
    }
#pragma GCC unroll 2
    for (int64_t i = 0; i < 32; i += kWordsBytes<L>) {
      const auto even = LoadWords<L>(ql + i), odd = LoadWords<L>(ql + 32 + i);
      const auto high = LoadWords<L>(qh + i);
      Put<L>(to + i, even, high << 4);
      Put<L>(to + 32 + i, odd, high << 2);
      Put<L>(to + 64 + i, even >> 4, high);
      Put<L>(to + 96 + i, odd >> 4, high >> 2);
    }
  }
};

// Codes 0..2 in two bits, four a byte: scale (q - 1). A block is what shares a scale.
template <class L>
struct TernaryRows {
  struct Block {
    const uint8_t* p;
    typename L::Table table;
  };
  TERN_INLINE static int64_t Elems(const LogitsArgs& a) { return a.group; }
  TERN_INLINE static int64_t Bytes(int64_t elems) { return elems / 4; }
  TERN_INLINE static void Open(const LogitsArgs& a, int64_t row, int64_t index, const uint8_t* p,
                               Block& b) {
    b.p = p;
    b.table = L::TernaryTable(a.scales[row * a.scale_stride + index]);
  }
  TERN_INLINE static typename L::Lanes Chunk(const Block& b, int64_t c) {
    return L::Ternary(b.table, b.p + 4 * c);
  }
  // Codes of 1 stand for zeros.
  TERN_INLINE static typename L::Lanes Tail(const LogitsArgs& a, int64_t row, int64_t n) {
    uint8_t padded[4] = {0x55, 0x55, 0x55, 0x55};
    __builtin_memcpy(padded, a.table + row * a.row_bytes + (a.k - n) / 4,
                     static_cast<size_t>((n + 3) / 4));
    return L::Ternary(L::TernaryTable(a.scales[row * a.scale_stride]), padded);
  }
};

}  // namespace
}  // namespace tern::cpu

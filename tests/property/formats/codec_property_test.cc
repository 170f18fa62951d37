// Random ternary matrices through every ternary type: written by the type's encoder, or, where tern
// only reads a type, by a packer that follows the layout's description digit by digit and bit by
// bit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <ostream>
#include <random>

#include "base/bytes.h"
#include "base/float16.h"
#include "formats/codec.h"

namespace tern {
namespace {

using Bytes = std::vector<std::byte>;

// Code of value (row, col), 0..2.
using CodeAt = std::function<unsigned(int64_t, int64_t)>;
using ScaleOf = std::function<float(int64_t, int64_t)>;

void Or(Bytes& bytes, int64_t at, unsigned bits) {
  bytes[static_cast<size_t>(at)] |= static_cast<std::byte>(bits);
}

template <class T>
void Append(Bytes& bytes, T value) {
  bytes.resize(bytes.size() + sizeof(T));
  StoreLe(bytes.data() + bytes.size() - sizeof(T), value);
}

// ceil(v * 256 / 243), by trying.
std::byte SmallestByteFor(unsigned v) {
  unsigned byte = 0;
  while (byte * 243 < v * 256) ++byte;
  return static_cast<std::byte>(byte);
}

Bytes PackI2s(int64_t rows, int64_t cols, const CodeAt& code, const ScaleOf& scale,
              int64_t stride) {
  Bytes out(static_cast<size_t>(rows * cols / 4 + 32), std::byte{0});
  for (int64_t flat = 0; flat < rows * cols; ++flat) {
    const int64_t block = flat / (4 * stride), j = flat % (4 * stride);
    Or(out, block * stride + j % stride, code(flat / cols, flat % cols) << (6 - 2 * (j / stride)));
  }
  StoreLe(out.data() + rows * cols / 4, scale(0, 0));
  for (size_t i = out.size() - 28; i < out.size(); ++i) out[i] = std::byte{0xaa};  // undefined
  return out;
}

Bytes PackI2sRows4(int64_t rows, int64_t cols, const CodeAt& code, const ScaleOf& scale) {
  Bytes out(static_cast<size_t>(rows * cols / 4 + 32), std::byte{0});
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < cols; ++c) Or(out, r / 4 * cols + c, code(r, c) << (6 - 2 * (r % 4)));
  StoreLe(out.data() + rows * cols / 4, scale(0, 0));
  return out;
}

Bytes PackQ2(int64_t rows, int64_t cols, const CodeAt& code, const ScaleOf& scale, int64_t group) {
  Bytes out;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < cols; c += group) {
      Append(out, FloatToHalf(scale(r, c)));
      for (int64_t j = 0; j < group; j += 4)
        Append(out, static_cast<uint8_t>(code(r, c + j) | code(r, c + j + 1) << 2 |
                                         code(r, c + j + 2) << 4 | code(r, c + j + 3) << 6));
    }
  return out;
}

Bytes PackPtq1(int64_t rows, int64_t cols, const CodeAt& code, const ScaleOf& scale) {
  Bytes out;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < cols; c += 128) {
      const auto digits = [&](int64_t first, int64_t stride, int count) {
        unsigned v = 0;
        for (int n = 0; n < 5; ++n) v = 3 * v + (n < count ? code(r, c + first + n * stride) : 0);
        out.push_back(SmallestByteFor(v));
      };
      for (int64_t m = 0; m < 16; ++m) digits(m, 16, 5);
      for (int64_t m = 0; m < 8; ++m) digits(80 + m, 8, 5);
      for (int64_t h = 0; h < 2; ++h) digits(120 + h, 2, 4);
      Append(out, FloatToHalf(scale(r, c)));
    }
  return out;
}

Bytes PackIq1Bn(int64_t rows, int64_t cols, const CodeAt& code, const ScaleOf& scale) {
  Bytes out;
  for (int64_t r = 0; r < rows; ++r) {
    Append(out, FloatToHalf(scale(r, 0)));
    for (int64_t c = 0; c < cols; c += 64) {
      unsigned last = 0;
      for (int64_t g = 0; g < 4; ++g)
        for (int64_t k = 0; k < 3; ++k) {
          unsigned v = 0;
          for (int64_t j = 4; j >= 0; --j) v = 3 * v + code(r, c + 16 * g + 5 * k + j);
          out.push_back(SmallestByteFor(v));
        }
      for (int64_t g = 3; g >= 0; --g) last = 3 * last + code(r, c + 16 * g + 15);
      out.push_back(SmallestByteFor(last));
    }
  }
  return out;
}

Bytes PackIq2Bn(int64_t rows, int64_t cols, const CodeAt& code, const ScaleOf& scale) {
  Bytes out;
  for (int64_t r = 0; r < rows; ++r) {
    Append(out, scale(r, 0));
    for (int64_t c = 0; c < cols; c += 64)
      for (int64_t j = 0; j < 16; ++j) {
        unsigned byte = 0;
        for (int64_t l = 0; l < 4; ++l) byte |= code(r, c + 16 * l + j) << (2 * l);
        out.push_back(static_cast<std::byte>(byte));
      }
  }
  return out;
}

Bytes PackIq2BnR4(int64_t rows, int64_t cols, const CodeAt& code, const ScaleOf& scale) {
  Bytes out;
  for (int64_t r = 0; r < rows; r += 4) {
    for (int64_t k = 0; k < 4; ++k) Append(out, scale(r + k, 0));
    for (int64_t c = 0; c < cols; c += 64)
      for (int64_t l = 0; l < 4; ++l)
        for (int64_t k = 0; k < 4; ++k)
          for (int64_t i = 0; i < 4; ++i) {
            unsigned byte = 0;
            for (int64_t s = 0; s < 4; ++s) byte |= code(r + k, c + 16 * l + 4 * s + i) << (2 * s);
            out.push_back(static_cast<std::byte>(byte));
          }
  }
  return out;
}

using Packer = std::function<Bytes(int64_t, int64_t, const CodeAt&, const ScaleOf&)>;

struct Type {
  const char* codec;
  ScaleKind kind;
  int64_t group;    // kGroup
  int64_t rows_of;  // shapes are multiples of these
  int64_t cols_of;
  bool half_scales;
  Packer pack;  // empty: by the encoder
};
void PrintTo(const Type& t, std::ostream* out) { *out << t.codec; }

Packer I2sPacker(int64_t stride) {
  return [stride](int64_t rows, int64_t cols, const CodeAt& code, const ScaleOf& scale) {
    return PackI2s(rows, cols, code, scale, stride);
  };
}
Packer Q2Packer(int64_t group) {
  return [group](int64_t rows, int64_t cols, const CodeAt& code, const ScaleOf& scale) {
    return PackQ2(rows, cols, code, scale, group);
  };
}

class TernaryTypes : public ::testing::TestWithParam<Type> {
 protected:
  TernaryMatrix Random(int64_t rows, int64_t cols) {
    const Type& type = GetParam();
    std::vector<int8_t> q(static_cast<size_t>(rows * cols));
    for (int8_t& v : q) v = static_cast<int8_t>(static_cast<int>(random_() % 3) - 1);
    ScaleSpec scale{type.kind, type.group, {}};
    const int64_t scales = type.kind == ScaleKind::kTensor ? 1
                           : type.kind == ScaleKind::kRow  ? rows
                                                           : rows * (cols / type.group);
    std::uniform_real_distribution<float> magnitude(0.01f, 3.0f);
    for (int64_t i = 0; i < scales; ++i) {
      const float s = random_() % 2 == 0 ? magnitude(random_) : -magnitude(random_);
      scale.values.push_back(type.half_scales ? HalfToFloat(FloatToHalf(s)) : s);
    }
    return *TernaryMatrix::FromValues(rows, cols, q, std::move(scale));
  }

  Bytes Pack(const TernaryMatrix& m) {
    const Type& type = GetParam();
    if (type.pack)
      return type.pack(
          m.rows(), m.cols(),
          [&](int64_t r, int64_t c) { return static_cast<unsigned>(m.At(r, c) + 1); },
          [&](int64_t r, int64_t c) { return m.ScaleAt(r, c); });
    const Codec& codec = *FindCodec(type.codec);
    Bytes out(*codec.byte_span(m.rows(), m.cols()), std::byte{0xee});
    const auto report = codec.encode(m, out);
    EXPECT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->max_scale_error, 0);
    return out;
  }

  std::mt19937 random_{20240229};
};

TEST_P(TernaryTypes, RandomMatricesComeBackExactly) {
  const Type& type = GetParam();
  const Codec& codec = *FindCodec(type.codec);
  for (int64_t i = 1; i <= 4; ++i) {
    for (int64_t j = 1; j <= 4; ++j) {
      const TernaryMatrix m = Random(i * type.rows_of, j * type.cols_of);
      const Bytes bytes = Pack(m);
      ASSERT_EQ(codec.byte_span(m.rows(), m.cols()), bytes.size());
      const auto back = codec.decode_ternary(m.rows(), m.cols(), bytes);
      ASSERT_TRUE(back) << back.error().message;
      EXPECT_EQ(back->scale().kind, type.kind);
      EXPECT_EQ(back->scale().group, type.group);
      EXPECT_EQ(back->scale().values, m.scale().values);
      std::vector<float> floats(static_cast<size_t>(m.rows() * m.cols()));
      ASSERT_TRUE(codec.decode(m.rows(), m.cols(), bytes, floats));
      for (int64_t r = 0; r < m.rows(); ++r) {
        ASSERT_TRUE(std::ranges::equal(back->RowCodes(r), m.RowCodes(r))) << "row " << r;
        for (int64_t c = 0; c < m.cols(); ++c)
          ASSERT_EQ(floats[static_cast<size_t>(r * m.cols() + c)],
                    m.ScaleAt(r, c) * static_cast<float>(m.At(r, c)));
      }
    }
  }
}

// Whatever the bytes: a matrix or an error, and floats of the right number.
TEST_P(TernaryTypes, RandomBytesDecodeOrFailCleanly) {
  const Type& type = GetParam();
  const Codec& codec = *FindCodec(type.codec);
  const int64_t rows = 2 * type.rows_of, cols = 2 * type.cols_of;
  Bytes bytes(*codec.byte_span(rows, cols));
  std::vector<float> floats(static_cast<size_t>(rows * cols));
  for (int round = 0; round < 200; ++round) {
    for (std::byte& b : bytes) b = static_cast<std::byte>(random_());
    const auto m = codec.decode_ternary(rows, cols, bytes);
    const Status decoded = codec.decode(rows, cols, bytes, floats);
    if (!m) {
      EXPECT_EQ(m.error().code, Code::kCorrupt);
      continue;
    }
    ASSERT_TRUE(decoded);
    for (int64_t c = 0; c < cols; ++c)
      EXPECT_EQ(floats[static_cast<size_t>(c)], m->ScaleAt(0, c) * static_cast<float>(m->At(0, c)));
  }
}

constexpr ScaleKind kTensor = ScaleKind::kTensor, kRow = ScaleKind::kRow,
                    kGroup = ScaleKind::kGroup;

INSTANTIATE_TEST_SUITE_P(
    , TernaryTypes,
    ::testing::Values(Type{"i2_s", kTensor, 0, 1, 128, false, {}},
                      Type{"i2_s", kTensor, 0, 128, 3, false, {}},
                      Type{"i2_s", kTensor, 0, 4, 96, false, I2sPacker(32)},
                      Type{"i2_s", kTensor, 0, 64, 6, false, I2sPacker(32)},
                      Type{"i2_s_arm", kTensor, 0, 4, 96, false, I2sPacker(16)},
                      Type{"i2_s_arm", kTensor, 0, 128, 1, false, I2sPacker(16)},
                      Type{"i2_s_rows4", kTensor, 0, 4, 32, false, PackI2sRows4},
                      Type{"i2_s_rows4", kTensor, 0, 128, 5, false, PackI2sRows4},
                      Type{"tq1_0", kGroup, 256, 1, 256, true, {}},
                      Type{"tq2_0", kGroup, 256, 1, 256, true, {}},
                      Type{"q2_0", kGroup, 64, 1, 64, true, {}},
                      Type{"q2_0", kGroup, 64, 1, 64, true, Q2Packer(64)},
                      Type{"q2_0_g128", kGroup, 128, 1, 128, true, Q2Packer(128)},
                      Type{"pq2_0", kGroup, 128, 1, 128, true, Q2Packer(128)},
                      Type{"ptq1_0", kGroup, 128, 1, 128, true, PackPtq1},
                      Type{"iq1_bn", kRow, 0, 1, 64, true, PackIq1Bn},
                      Type{"iq2_bn", kRow, 0, 1, 64, false, PackIq2Bn},
                      Type{"iq2_bn_r4", kRow, 0, 4, 64, false, PackIq2BnR4}));

}  // namespace
}  // namespace tern

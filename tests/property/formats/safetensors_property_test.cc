// Random safetensors files: what was written is read, and every damaged file is refused or still
// consistent.
#include <gtest/gtest.h>

#include <random>

#include "formats/safetensors.h"
#include "support/hf_folder.h"

namespace tern {
namespace {

std::vector<test::HfTensor> RandomTensors(std::mt19937& random) {
  struct Type {
    const char* name;
    size_t bytes;
  };
  constexpr Type kTypes[] = {{"U8", 1},  {"F16", 2}, {"BF16", 2},
                             {"F32", 4}, {"I64", 8}, {"BOOL", 1}};
  std::vector<test::HfTensor> tensors;
  for (size_t count = random() % 6, i = 0; i < count; ++i) {
    const Type& type = kTypes[random() % std::size(kTypes)];
    test::HfTensor tensor{"t" + std::to_string(i), type.name, {}, ""};
    size_t bytes = type.bytes;
    for (size_t rank = random() % 4, d = 0; d < rank; ++d) {
      tensor.shape.push_back(static_cast<int64_t>(random() % 5));
      bytes *= static_cast<size_t>(tensor.shape.back());
    }
    for (size_t b = 0; b < bytes; ++b) tensor.bytes.push_back(static_cast<char>(random()));
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

Result<std::vector<SafetensorsTensor>> Parse(const std::string& bytes) {
  return ParseSafetensors(test::InMemory("m", bytes));
}

/// What the reader promises of any file it accepts.
void ExpectConsistent(const std::vector<SafetensorsTensor>& tensors, const std::string& bytes) {
  size_t end = bytes.size();
  for (auto it = tensors.rbegin(); it != tensors.rend(); ++it) {
    EXPECT_EQ(it->offset + it->bytes.size(), end);
    end = it->offset;
    size_t elements = 1;
    for (const int64_t dim : it->shape) elements *= static_cast<size_t>(dim);
    if (elements == 0) {
      EXPECT_TRUE(it->bytes.empty());
    } else {
      EXPECT_EQ(it->bytes.size() % elements, 0u);
    }
  }
  EXPECT_GE(end, 8u);
}

TEST(SafetensorsProperty, WhatIsWrittenIsRead) {
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    const auto in = RandomTensors(random);
    const auto out = Parse(test::SafetensorsBytes(in));
    ASSERT_TRUE(out) << out.error().message;
    ASSERT_EQ(out->size(), in.size());
    for (const test::HfTensor& tensor : in) {
      // Empty tensors share their neighbour's offset, so the order of the file is not the only one.
      const auto it = std::find_if(out->begin(), out->end(),
                                   [&](const auto& t) { return t.name == tensor.name; });
      ASSERT_NE(it, out->end());
      EXPECT_EQ(it->shape, tensor.shape);
      EXPECT_EQ(Name(it->type), tensor.dtype);
      EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(it->bytes.data()), it->bytes.size()),
                tensor.bytes);
    }
  }
}

TEST(SafetensorsProperty, EveryTruncationIsRefused) {
  std::mt19937 random(2);
  for (int round = 0; round < 20; ++round) {
    const std::string bytes = test::SafetensorsBytes(RandomTensors(random));
    for (size_t length = 0; length < bytes.size(); ++length)
      EXPECT_FALSE(Parse(bytes.substr(0, length))) << "first " << length << " bytes";
  }
}

TEST(SafetensorsProperty, EveryChangedByteIsRefusedOrHarmless) {
  std::mt19937 random(3);
  for (int round = 0; round < 20; ++round) {
    const std::string good = test::SafetensorsBytes(RandomTensors(random));
    for (size_t at = 0; at < good.size(); ++at) {
      std::string bytes = good;
      bytes[at] = static_cast<char>(random());
      const auto out = Parse(bytes);
      if (out) ExpectConsistent(*out, bytes);
    }
  }
}

}  // namespace
}  // namespace tern

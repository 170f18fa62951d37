// Runs a libFuzzer target without libFuzzer: first every file of a corpus folder, then a fixed
// number of deterministic mutations of those files. Any compiler can build it, so ctest replays the
// corpus everywhere.
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using Bytes = std::vector<uint8_t>;

struct Options {
  std::filesystem::path corpus;
  uint64_t iterations = 0;
  bool verbose =
      false;  // Names each case before it runs: after a crash, the last name is the culprit.
};

/// SplitMix64 (Steele, Lea and Flood 2014): the same mutations on every machine and standard
/// library.
class SplitMix64 {
 public:
  explicit SplitMix64(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  size_t Below(size_t bound) { return static_cast<size_t>(Next() % bound); }

 private:
  uint64_t state_;
};

/// Values that break readers: zero, one, all ones, and the borders of the signed and unsigned
/// integer types.
constexpr uint64_t kOddValues[] = {0,
                                   1,
                                   2,
                                   0x7f,
                                   0x80,
                                   0xff,
                                   0x7fff,
                                   0xffff,
                                   0x10000,
                                   0x7fffffff,
                                   0x80000000,
                                   0xffffffff,
                                   0x100000000,
                                   0x3fffffffffffffff,
                                   0x7fffffffffffffff,
                                   0x8000000000000000,
                                   0xffffffffffffffff};

/// Overwrites 1, 2, 4 or 8 bytes, little-endian, as far as they fit.
void WriteValue(Bytes& bytes, size_t at, uint64_t value, size_t width) {
  for (size_t i = 0; i < width && at + i < bytes.size(); ++i) {
    bytes[at + i] = static_cast<uint8_t>(value >> (8 * i));
  }
}

void InsertOrErase(Bytes& bytes, size_t at, const Bytes& donor, SplitMix64& rng) {
  const auto position = bytes.begin() + static_cast<std::ptrdiff_t>(at);
  const size_t length = 1 + rng.Below(16);
  if (rng.Below(2) == 0) {
    bytes.erase(position,
                position + static_cast<std::ptrdiff_t>(std::min(length, bytes.size() - at)));
    return;
  }
  if (donor.empty()) return;
  const size_t from = rng.Below(donor.size());
  const auto begin = donor.begin() + static_cast<std::ptrdiff_t>(from);
  bytes.insert(position, begin,
               begin + static_cast<std::ptrdiff_t>(std::min(length, donor.size() - from)));
}

/// One to six small changes. Half of them fall into the first kilobyte, where headers live.
void Mutate(Bytes& bytes, const Bytes& donor, SplitMix64& rng) {
  for (size_t changes = 1 + rng.Below(6); changes > 0; --changes) {
    if (bytes.empty()) {
      bytes.push_back(static_cast<uint8_t>(rng.Next()));
      continue;
    }
    const size_t span = rng.Below(2) == 0 ? std::min<size_t>(bytes.size(), 1024) : bytes.size();
    const size_t at = rng.Below(span);
    switch (rng.Below(8)) {
      case 0:
      case 1:
        bytes[at] ^= static_cast<uint8_t>(1u << rng.Below(8));
        break;
      case 2:
        bytes[at] = static_cast<uint8_t>(rng.Next());
        break;
      case 3:
      case 4:
        WriteValue(bytes, at, kOddValues[rng.Below(std::size(kOddValues))],
                   size_t{1} << rng.Below(4));
        break;
      case 5:
      case 6:
        InsertOrErase(bytes, at, donor, rng);
        break;
      default:
        if (rng.Below(4) == 0) bytes.resize(at);
        break;
    }
  }
}

/// The files of the corpus in the order of their names, so that a case number means the same
/// everywhere.
std::vector<std::filesystem::path> CorpusFiles(const std::filesystem::path& corpus) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(corpus)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

Bytes ReadBytes(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Hands over an exact-size heap copy, so that a sanitizer sees a read one byte past the end.
void RunCase(const Bytes& bytes) {
  const Bytes exact(bytes.begin(), bytes.end());
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

bool ParseArguments(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--verbose") {
      options.verbose = true;
    } else if (argument == "--iterations" && i + 1 < argc) {
      const std::string_view number = argv[++i];
      const auto [end, error] =
          std::from_chars(number.data(), number.data() + number.size(), options.iterations);
      if (error != std::errc{} || end != number.data() + number.size()) return false;
    } else if (options.corpus.empty() && !argument.starts_with("--")) {
      options.corpus = argument;
    } else {
      return false;
    }
  }
  return !options.corpus.empty();
}

int Replay(const Options& options) {
  std::vector<Bytes> inputs;
  for (const auto& file : CorpusFiles(options.corpus)) {
    if (options.verbose) std::cerr << "file " << file.filename().string() << std::endl;
    inputs.push_back(ReadBytes(file));
    RunCase(inputs.back());
  }
  if (inputs.empty()) {
    std::cerr << options.corpus.string() << ": no seed files\n";
    return 1;
  }
  SplitMix64 rng(1);
  for (uint64_t i = 0; i < options.iterations; ++i) {
    if (options.verbose) std::cerr << "mutation " << i << std::endl;
    Bytes bytes = inputs[rng.Below(inputs.size())];
    Mutate(bytes, inputs[rng.Below(inputs.size())], rng);
    RunCase(bytes);
  }
  std::cout << inputs.size() << " corpus files and " << options.iterations
            << " mutations replayed\n";
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (!ParseArguments(argc, argv, options)) {
    std::cerr << "usage: " << argv[0] << " [--iterations N] [--verbose] CORPUS_FOLDER\n";
    return 2;
  }
  try {
    return Replay(options);
  } catch (const std::exception& error) {
    std::cerr << "an exception left the target: " << error.what() << "\n";
    return 1;
  }
}

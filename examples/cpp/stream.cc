// A text as it is written, by callback, by pulling, and in the background: stream MODEL PROMPT
#include <tern/tern.h>

#include <iostream>

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: " << argv[0] << " MODEL PROMPT\n";
    return 2;
  }
  const auto model = tern::Model::Load(argv[1], tern::LoadOptions::OptimizedForSpeed());
  if (!model) {
    std::cerr << model.error().message << '\n';
    return 1;
  }
  const tern::GenerateOptions options = {.max_tokens = 60, .seed = 1};

  // In the background; options.cancel could end it early.
  auto later = model->GenerateAsync(argv[2], options);

  // By callback: returning false would end it.
  const auto called = model->Generate(argv[2], options, [](const tern::Chunk& chunk) {
    std::cout << chunk.text << std::flush;
    return true;
  });
  std::cout << '\n';

  // By pulling, at the reader's pace.
  auto stream = model->Stream(argv[2], options);
  if (!called || !stream) {
    std::cerr << (called ? stream.error() : called.error()).message << '\n';
    return 1;
  }
  for (const tern::Chunk& chunk : *stream) std::cout << chunk.text << std::flush;
  std::cout << '\n';

  const auto pulled = stream->Finish();
  const auto awaited = later.get();
  const bool same =
      pulled && awaited && pulled->text == called->text && awaited->text == called->text;
  std::cerr << (same ? "the same text three times" : "the texts differ") << '\n';
  return same ? 0 : 1;
}

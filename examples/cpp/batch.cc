// Many texts at once: batch MODEL PROMPT...
#include <tern/tern.h>

#include <iostream>
#include <vector>

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: " << argv[0] << " MODEL PROMPT...\n";
    return 2;
  }
  const auto model = tern::Model::Load(argv[1], {.max_sequences = 16});
  if (!model) {
    std::cerr << model.error().message << '\n';
    return 1;
  }
  std::vector<tern::Request> requests;
  for (int i = 2; i < argc; ++i)
    requests.push_back({argv[i], {.max_tokens = 60, .seed = 1 + requests.size()}});
  const auto answers = model->Batch(requests, [](size_t index, const auto& answer) {
    std::cerr << index << (answer ? " is done\n" : " failed\n");
  });
  bool good = true;
  for (const auto& answer : answers) {
    std::cout << (answer ? answer->text : answer.error().message) << '\n';
    good = good && answer;
  }
  return good ? 0 : 1;
}

// Loads a model and continues a text: simple MODEL PROMPT
#include <tern/tern.h>

#include <iostream>

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: " << argv[0] << " MODEL PROMPT\n";
    return 2;
  }
  const auto model = tern::Model::Load(argv[1]);
  if (!model) {
    std::cerr << model.error().message << '\n';
    return 1;
  }
  const auto answer = model->Generate(argv[2], {.max_tokens = 60, .seed = 1});
  if (!answer) {
    std::cerr << answer.error().message << '\n';
    return 1;
  }
  std::cout << answer->text << '\n';
  std::cerr << answer->usage.generated_tokens << " tokens, ended by "
            << tern::FinishReasonName(answer->finish) << '\n';
  return 0;
}

/* Loads a model and continues a text: simple MODEL PROMPT */
#include <stdio.h>
#include <tern/tern_c.h>

int main(int argc, char** argv) {
  tern_model* model = NULL;
  tern_completion* answer = NULL;
  char* error = NULL;
  tern_generate_options options;

  if (argc != 3) {
    fprintf(stderr, "usage: %s MODEL PROMPT\n", argv[0]);
    return 2;
  }
  tern_generate_options_init(&options);
  options.max_tokens = 60;
  options.seed = 1;
  if (tern_load(argv[1], NULL, &model, &error) == TERN_OK &&
      tern_generate(model, argv[2], &options, NULL, NULL, &answer, &error) == TERN_OK) {
    printf("%s\n", answer->text);
    fprintf(stderr, "%d tokens, ended by %s\n", (int)answer->generated_tokens,
            tern_finish_name(answer->finish));
  }
  if (answer == NULL) fprintf(stderr, "%s\n", error != NULL ? error : "out of memory");
  tern_free(error);
  tern_completion_free(answer);
  tern_model_free(model);
  return answer == NULL;
}

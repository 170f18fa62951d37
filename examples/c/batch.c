/* Many texts at once: batch MODEL PROMPT... */
#include <stdio.h>
#include <tern/tern_c.h>

int main(int argc, char** argv) {
  tern_model* model = NULL;
  tern_completion* answers = NULL;
  char* error = NULL;
  tern_load_options load;
  tern_generate_options options;
  size_t count, i;
  int failed = 1;

  if (argc < 3) {
    fprintf(stderr, "usage: %s MODEL PROMPT...\n", argv[0]);
    return 2;
  }
  count = (size_t)(argc - 2);
  tern_load_options_init(&load);
  load.max_sequences = 16;
  tern_generate_options_init(&options);
  options.max_tokens = 60;
  options.seed = 1;
  if (tern_load(argv[1], &load, &model, &error) == TERN_OK &&
      tern_batch(model, (const char* const*)(argv + 2), count, &options, &answers, &error) ==
          TERN_OK) {
    failed = 0;
    for (i = 0; i < count; ++i) {
      printf("%s\n", answers[i].code == TERN_OK ? answers[i].text : answers[i].error);
      failed |= answers[i].code != TERN_OK;
    }
  }
  if (error != NULL) fprintf(stderr, "%s\n", error);
  tern_free(error);
  tern_completions_free(answers, count);
  tern_model_free(model);
  return failed;
}

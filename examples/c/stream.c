/* A text as it is written, by callback and by pulling: stream MODEL PROMPT */
#include <stdio.h>
#include <string.h>
#include <tern/tern_c.h>

static int print(const char* text, size_t size, void* user) {
  fwrite(text, 1, size, stdout);
  fflush(stdout);
  ++*(int*)user;
  return 0; /* anything else would end it */
}

int main(int argc, char** argv) {
  tern_model* model = NULL;
  tern_completion* called = NULL;
  tern_completion* pulled = NULL;
  tern_stream* stream = NULL;
  char* error = NULL;
  tern_load_options load;
  tern_generate_options options;
  int pieces = 0, same = 0;

  if (argc != 3) {
    fprintf(stderr, "usage: %s MODEL PROMPT\n", argv[0]);
    return 2;
  }
  tern_load_options_init(&load);
  load.goal = TERN_GOAL_SPEED;
  tern_generate_options_init(&options);
  options.max_tokens = 60;
  options.seed = 1;
  if (tern_load(argv[1], &load, &model, &error) == TERN_OK &&
      tern_generate(model, argv[2], &options, print, &pieces, &called, &error) == TERN_OK) {
    printf("\n");
    if (tern_stream_open(model, argv[2], &options, &stream, &error) == TERN_OK) {
      const char* text;
      while ((text = tern_stream_next(stream, NULL)) != NULL) {
        printf("%s", text);
        fflush(stdout);
      }
      printf("\n");
      if (tern_stream_finish(stream, &pulled, &error) == TERN_OK)
        same = strcmp(called->text, pulled->text) == 0;
    }
  }
  if (error != NULL) fprintf(stderr, "%s\n", error);
  fprintf(stderr, "%d pieces; %s\n", pieces, same ? "the same text twice" : "the texts differ");
  tern_free(error);
  tern_completion_free(called);
  tern_completion_free(pulled);
  tern_stream_free(stream);
  tern_model_free(model);
  return !same;
}

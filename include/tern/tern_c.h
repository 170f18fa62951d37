/* tern for C99: tern.h without C++. A thin layer over it: the same rules, the same words.
 *
 *   char* error = NULL;
 *   tern_model* model = NULL;
 *   if (tern_load("model.gguf", NULL, &model, &error) != TERN_OK) { puts(error); tern_free(error);
 * }
 *
 * Functions that can fail return a code; TERN_OK is 0. Then *error, unless error is NULL, is a text
 * to be given to tern_free; else it is left as it was. No exception leaves a function.
 *
 * Options: initialise with tern_..._init, then set what you want. NULL: all defaults. Texts are
 * UTF-8 and end with a 0 byte; the library copies what it keeps.
 *
 * Threads: a tern_model may be used by any number of threads at once. A tern_stream has one reader;
 * tern_stream_cancel may come from any thread. Everything else belongs to its caller. Callbacks run
 * on the thread that made the call, but tern_alert_callback. */
#ifndef TERN_TERN_C_H_
#define TERN_TERN_C_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TERN_C_API __attribute__((visibility("default")))

typedef enum tern_code {
  TERN_OK = 0,
  TERN_INVALID_ARGUMENT,   /* the request makes no sense, e.g. a prompt longer than the context */
  TERN_NOT_FOUND,          /* a file, or something in it, that should be there */
  TERN_CORRUPT,            /* bytes that contradict their format */
  TERN_UNSUPPORTED,        /* well-formed, but not something tern can do */
  TERN_RESOURCE_EXHAUSTED, /* memory, disk, a full queue */
  TERN_CANCELLED,
  TERN_DEVICE,  /* an accelerator failed */
  TERN_INTERNAL /* a fault of tern's own */
} tern_code;

typedef enum tern_level { TERN_LEVEL_NONE, TERN_LEVEL_BASIC, TERN_LEVEL_AGGRESSIVE } tern_level;
typedef enum tern_goal { TERN_GOAL_BALANCED, TERN_GOAL_SPEED, TERN_GOAL_MEMORY } tern_goal;
typedef enum tern_kv {
  TERN_KV_DEFAULT,
  TERN_KV_F16,
  TERN_KV_BF16,
  TERN_KV_F32,
  TERN_KV_INT8
} tern_kv;
typedef enum tern_head { TERN_HEAD_NATIVE, TERN_HEAD_INT8 } tern_head;
typedef enum tern_finish {
  TERN_FINISH_END_OF_TEXT,
  TERN_FINISH_STOP_STRING,
  TERN_FINISH_LENGTH,
  TERN_FINISH_CONTEXT,
  TERN_FINISH_CANCELLED,
  TERN_FINISH_DEADLINE
} tern_finish;

typedef struct tern_model tern_model;
typedef struct tern_stream tern_stream;

/* tern::PerformanceAlert: an operation takes longer than it usually does for the same work; or, not
 * firing, no more. */
typedef struct tern_alert {
  size_t size; /* of this struct, set by the library: members it ends before aren't there */
  const char* operation; /* "decode", "prefill"; until the callback returns */
  int firing;            /* 0 or 1 */
  double ratio;          /* its time as a multiple of the usual one */
  double low, high;      /* about 95% confidence that the ratio is in between */
  double tolerance;      /* tern_load_options.alert_tolerance */
} tern_alert;

/* On a thread of the model's own, one call at a time: it must not free the model. */
typedef void (*tern_alert_callback)(const tern_alert* alert, void* user);

/* tern::LoadOptions. */
typedef struct tern_load_options {
  size_t size; /* of this struct, set by tern_load_options_init: old programs meet new libraries */
  tern_goal goal;
  int threads;     /* 0: one per usable CPU */
  int64_t context; /* tokens that a sequence may have; 0: the model's, at most 4096 */
  tern_kv kv;
  tern_head head;
  tern_level level;
  const char* backend;          /* NULL: "auto" */
  const char* cache_folder;     /* NULL: packed weights are not kept */
  int64_t max_sequences;        /* answered at once */
  int64_t max_queue;            /* requests that may wait */
  int64_t memory_budget;        /* bytes; 0: no own bound */
  int prefix_cache;             /* 0 or 1 */
  int draft_tokens;             /* 0: off */
  double alert_tolerance;       /* how much slower than usual is still well; 0.05: 5% */
  int64_t alert_after_ms;       /* that a slowdown lasts before it is believed */
  tern_alert_callback on_alert; /* NULL: none. When an alert begins or ends, until the model goes */
  void* on_alert_user;          /* handed to on_alert */
} tern_load_options;

/* tern::GenerateOptions. */
typedef struct tern_generate_options {
  size_t size; /* of this struct, set by tern_generate_options_init */
  int64_t max_tokens;
  int64_t min_tokens;
  float temperature; /* 0: always the likeliest token */
  int top_k;
  float top_p;
  float min_p;
  float repeat_penalty;
  float presence_penalty;
  float frequency_penalty;
  int repeat_last_n;
  uint64_t seed;
  const char* const* stop; /* stop_count texts that end the answer */
  size_t stop_count;
  int ignore_eos;          /* 0 or 1 */
  int special;             /* 0 or 1: spell control tokens in the text */
  const char* grammar;     /* GBNF: the text is of it; NULL: any text */
  const char* json_schema; /* the text is a JSON document of it; not together with a grammar */
  int priority;
  int64_t timeout_ms; /* 0: none */
} tern_generate_options;

typedef struct tern_message {
  const char* role; /* "system", "user", "assistant", "tool" */
  const char* content;
} tern_message;

/* An answer, or, in a batch, why there is none. To be given to tern_completion_free (one), or
 * tern_completions_free (an array). */
typedef struct tern_completion {
  tern_code code; /* TERN_OK: what follows is there */
  char* error;    /* NULL with TERN_OK */
  char* text;     /* ends with a 0 byte; text_size counts the bytes before it */
  size_t text_size;
  int32_t* ids; /* without the token that ended the text */
  size_t id_count;
  tern_finish finish;
  int64_t prompt_tokens;
  int64_t cached_tokens; /* of the prompt, known from an earlier request */
  int64_t generated_tokens;
  double prefill_seconds;
  double decode_seconds;
} tern_completion;

/* tern::Stats. */
typedef struct tern_stats {
  size_t size; /* of this struct, set by the caller */
  int64_t running, waiting;
  int64_t kv_blocks, kv_blocks_used, kv_blocks_cached;
  uint64_t requests, finished, cancelled, refused, failed, preempted;
  uint64_t prompt_tokens, cached_tokens, generated_tokens;
  uint64_t drafted_tokens, accepted_tokens;
  uint64_t steps;
} tern_stats;

/* A piece of an answer. Anything but 0 cancels the request. */
typedef int (*tern_text_callback)(const char* text, size_t size, void* user);

TERN_C_API const char* tern_version(void);
TERN_C_API const char* tern_code_name(tern_code code);       /* "not found" */
TERN_C_API const char* tern_finish_name(tern_finish finish); /* "end of text" */
TERN_C_API void tern_load_options_init(tern_load_options* options);
TERN_C_API void tern_generate_options_init(tern_generate_options* options);

/* *model is to be given to tern_model_free. */
TERN_C_API tern_code tern_load(const char* path, const tern_load_options* options,
                               tern_model** model, char** error);
/* Streams keep what they need of the model. NULL is fine, here and in every ..._free. */
TERN_C_API void tern_model_free(tern_model* model);
TERN_C_API int64_t tern_context(const tern_model* model);
TERN_C_API int64_t tern_dim(const tern_model* model);
TERN_C_API int64_t tern_vocabulary(const tern_model* model);

/* Waits for the whole answer. on_text may be NULL; user is handed to it. */
TERN_C_API tern_code tern_generate(const tern_model* model, const char* prompt,
                                   const tern_generate_options* options, tern_text_callback on_text,
                                   void* user, tern_completion** completion, char** error);
/* The same with a conversation in the model's chat format. */
TERN_C_API tern_code tern_chat(const tern_model* model, const tern_message* messages, size_t count,
                               const tern_generate_options* options, tern_text_callback on_text,
                               void* user, tern_completion** completion, char** error);
TERN_C_API void tern_completion_free(tern_completion* completion);

/* n answers, 1 to 128, to a prompt that is computed once: answer i is that of seed + i. Waits for
 * all. *completions is to be given to tern_completions_free with n. */
TERN_C_API tern_code tern_generate_n(const tern_model* model, const char* prompt, int n,
                                     const tern_generate_options* options,
                                     tern_completion** completions, char** error);
TERN_C_API tern_code tern_chat_n(const tern_model* model, const tern_message* messages,
                                 size_t count, int n, const tern_generate_options* options,
                                 tern_completion** completions, char** error);

/* The same, to be pulled. *stream is to be given to tern_stream_free, which cancels the rest. */
TERN_C_API tern_code tern_stream_open(const tern_model* model, const char* prompt,
                                      const tern_generate_options* options, tern_stream** stream,
                                      char** error);
TERN_C_API tern_code tern_stream_open_chat(const tern_model* model, const tern_message* messages,
                                           size_t count, const tern_generate_options* options,
                                           tern_stream** stream, char** error);
/* Waits for the next piece; NULL once the answer has ended. The text is the stream's, until the
 * next call; size, unless NULL, gets its bytes. */
TERN_C_API const char* tern_stream_next(tern_stream* stream, size_t* size);
/* The whole answer; waits for the end. */
TERN_C_API tern_code tern_stream_finish(tern_stream* stream, tern_completion** completion,
                                        char** error);
TERN_C_API void tern_stream_cancel(tern_stream* stream);
TERN_C_API void tern_stream_free(tern_stream* stream);

/* Many at once; waits for all. options: one for all prompts, whose seed grows by 1 from each to the
 * next. *completions: count answers in the order of the prompts; each has its own code. Fails as a
 * whole only for arguments that make no sense or when memory is out. */
TERN_C_API tern_code tern_batch(const tern_model* model, const char* const* prompts, size_t count,
                                const tern_generate_options* options, tern_completion** completions,
                                char** error);
TERN_C_API void tern_completions_free(tern_completion* completions, size_t count);

/* out: count rows of tern_dim(model) numbers, each of length 1. */
TERN_C_API tern_code tern_embed(const tern_model* model, const char* const* texts, size_t count,
                                float* out, char** error);
/* *ids is to be given to tern_free. */
TERN_C_API tern_code tern_tokenize(const tern_model* model, const char* text, int add_bos,
                                   int parse_special, int32_t** ids, size_t* count, char** error);
/* *text, which ends with a 0 byte, is to be given to tern_free; size may be NULL. */
TERN_C_API tern_code tern_detokenize(const tern_model* model, const int32_t* ids, size_t count,
                                     int special, char** text, size_t* size, char** error);
TERN_C_API void tern_free(void* memory);

TERN_C_API void tern_get_stats(const tern_model* model, tern_stats* stats);
/* Cancels every request there is; later ones are not affected. */
TERN_C_API void tern_cancel_all(const tern_model* model);

#ifdef __cplusplus
}
#endif

#endif /* TERN_TERN_C_H_ */

// tern chat: a conversation.
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <memory>
#include <optional>

#include "command.h"
#include "conversation.h"
#include "interrupt.h"
#include "line_reader.h"
#include "model_options.h"
#include "sampling_options.h"
#include "text_format.h"
#include "text_input.h"
#include "tokenizer/chat_template.h"

namespace tern::cli {
namespace {

constexpr int64_t kMaxTokens = 1024;
constexpr int64_t kAnswerShare = 4;  // 1/4 of the context is kept free for the answer

constexpr const char* kHelp =
    "/help         this list\n"
    "/clear        forget the conversation, keep the system message\n"
    "/save FILE    write the conversation as JSON\n"
    "/load FILE    go on with a conversation that was saved\n"
    "/stats        speed of the last answer, and how full the context is\n"
    "/quit         end (Ctrl-D does too)\n"
    "Ctrl-C stops an answer. A line that begins with // is sent with one of the slashes.\n";

struct Options {
  ModelOptions model;
  SamplingOptions sampling;
  TextFormat format;
  std::string system;
  std::string chat_template;
  bool no_thinking = false;
};

class Chat {
 public:
  Chat(Session& session, ChatTemplate chat_template, const Options& options,
       std::shared_ptr<const Grammar> grammar)
      : session_(session),
        tokenizer_(*session.tokenizer()),
        generator_(session.NewGenerator()),
        generation_(ToGenerationOptions(options.sampling, kMaxTokens)),
        template_(std::move(chat_template)),
        no_thinking_(options.no_thinking),
        conversation_(options.system) {
    generation_.grammar = std::move(grammar);
  }

  /// Until the user has had enough.
  void Run() {
    const std::unique_ptr<LineReader> reader = NewLineReader();
    if (reader->interactive()) Greet();
    std::string line;
    while (!done_) {
      const ReadOutcome outcome = reader->Read("> ", line);
      if (outcome == ReadOutcome::kEnd) return;
      if (outcome == ReadOutcome::kInterrupted)
        fmt::print(stderr, "(/quit or Ctrl-D ends the chat)\n");
      else if (const Status status = Take(line); !status)
        PrintError(status.error().message);
    }
  }

 private:
  void Greet() const {
    const std::string& name = session_.model().config.name;
    const std::string format = template_.has_template()
                                   ? "its template"
                                   : fmt::format("{} format", Name(template_.family()));
    fmt::print(stderr, "Chat with {} ({}). /help lists the commands.\n",
               name.empty() ? session_.source().path() : name, format);
  }

  Status Take(const std::string& line) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) return {};
    TERN_TRY(CheckUtf8("message", line));
    if (line.starts_with("//")) return Answer(line.substr(1));
    if (line.starts_with('/')) return Command(line);
    return Answer(line);
  }

  Status Command(const std::string& line) {
    const size_t space = line.find(' ');
    const std::string name = line.substr(0, space);
    const size_t begin = line.find_first_not_of(' ', space);
    const std::string argument = begin == std::string::npos ? "" : line.substr(begin);
    const bool wants_file = name == "/save" || name == "/load";
    if (wants_file && argument.empty())
      return Fail(Code::kInvalidArgument, "{} wants the name of a file", name);
    if (name == "/save") return conversation_.Save(argument);
    if (name == "/load") return conversation_.Load(argument);
    if (name == "/help") {
      fmt::print(stderr, "{}", kHelp);
    } else if (name == "/clear") {
      conversation_.Clear();
    } else if (name == "/stats") {
      PrintStats();
    } else if (name == "/quit" || name == "/exit") {
      done_ = true;
    } else {
      return Fail(Code::kInvalidArgument, "there is no command {} (/help lists them)", name);
    }
    return {};
  }

  void PrintStats() const {
    if (!last_) {
      fmt::print(stderr, "no answer yet\n");
      return;
    }
    const GenerationStats& stats = last_->stats;
    fmt::print(stderr, "{}; ended by {}\ncontext: {} of {} tokens; --seed {}\n",
               DescribeSpeed(stats), FinishReasonName(last_->finish),
               stats.prompt_tokens + stats.generated_tokens, Capacity(), generation_.sampling.seed);
  }

  int64_t Capacity() const { return session_.context(); }

  Result<std::vector<TokenId>> Prompt() {
    ChatInput input;
    for (const ChatMessage& message : conversation_.messages())
      input.messages.push_back({{"role", message.role}, {"content", message.content}});
    if (no_thinking_) input.thinking = false;
    const std::time_t now = std::time(nullptr);
    std::tm local = {};
    if (localtime_r(&now, &local) != nullptr) input.now = local;
    TERN_ASSIGN_OR_RETURN(const RenderedChat rendered, template_.Render(input));
    if (template_.has_template() && !rendered.from_template && !warned_) {
      warned_ = true;
      PrintNote(fmt::format("{}; the {} format takes its place", rendered.why_built_in,
                            Name(template_.family())));
    }
    return EncodeChat(tokenizer_, rendered.segments);
  }

  // The prompt, after forgetting what has to be forgotten for an answer to fit.
  Result<std::vector<TokenId>> FittingPrompt() {
    int64_t dropped = 0;
    while (true) {
      TERN_ASSIGN_OR_RETURN(std::vector<TokenId> ids, Prompt());
      const int64_t free = Capacity() - std::ssize(ids);
      const bool fits = free >= Capacity() / kAnswerShare;
      if (!fits && conversation_.DropOldest()) {
        ++dropped;
        continue;
      }
      if (dropped > 0)
        PrintNote(fmt::format("the context of {} tokens is full: forgot the oldest {}", Capacity(),
                              dropped == 1 ? "exchange" : fmt::format("{} exchanges", dropped)));
      if (free <= 0)
        return Fail(Code::kInvalidArgument,
                    "the message is too long: with it the prompt has {} tokens, the context holds "
                    "{}",
                    ids.size(), Capacity());
      return ids;
    }
  }

  Status Answer(std::string message) {
    conversation_.AddUser(std::move(message));
    auto result = Generate();
    if (!result) {
      conversation_.RemoveLast();
      return tl::unexpected(result.error());
    }
    ++generation_.sampling.seed;  // another answer to the same question, yet repeatable
    conversation_.AddAssistant(result->text);
    std::fputc('\n', stdout);
    std::fflush(stdout);
    if (result->finish == FinishReason::kContext)
      PrintNote("the context is full: the answer ends here");
    last_ = std::move(*result);
    return {};
  }

  Result<GenerationResult> Generate() {
    TERN_ASSIGN_OR_RETURN(const std::vector<TokenId> ids, FittingPrompt());
    Interrupted() = false;
    auto result = generator_.Generate(
        ids, generation_,
        [](std::string_view text) {
          return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
                 std::fflush(stdout) == 0;
        },
        &Interrupted());
    Interrupted() = false;
    return result;
  }

  Session& session_;
  const Tokenizer& tokenizer_;
  Generator generator_;
  GenerationOptions generation_;
  ChatTemplate template_;
  bool no_thinking_;
  Conversation conversation_;
  std::optional<GenerationResult> last_;
  bool warned_ = false;  // that the template failed
  bool done_ = false;
};

/// --chat-template: a family by name, else a file.
Result<ChatTemplate> ChosenTemplate(const Session& session, const std::string& chosen) {
  const Tokenizer& tokenizer = *session.tokenizer();
  const std::string& architecture = session.model().config.architecture;
  const auto family = ParseChatFamily(chosen);
  if (family) return ChatTemplate::OfFamily(tokenizer, *family);
  if (!std::filesystem::exists(chosen))
    return Fail(Code::kNotFound, "--chat-template: there is no such file, and {}",
                family.error().message);
  TERN_ASSIGN_OR_RETURN(const std::string source, ReadFileOrStdin(chosen));
  auto own = ChatTemplate::OfSource(tokenizer, architecture, source);
  if (!own) return Within(chosen, std::move(own.error()));
  return own;
}

Result<ChatTemplate> TemplateOf(const Session& session, const Options& options) {
  if (!options.chat_template.empty()) return ChosenTemplate(session, options.chat_template);
  ChatTemplate own =
      ChatTemplate::OfModel(*session.tokenizer(), session.model().config.architecture);
  if (own.has_template()) return own;
  if (!session.tokenizer()->spec().chat_template.empty())
    PrintNote(
        fmt::format("{}; the {} format takes its place", own.why_built_in(), Name(own.family())));
  if (own.family() == ChatFamily::kPlain)
    PrintNote("this model has no chat format: it goes on with what you write, as tern run does");
  return own;
}

Result<int> ChatCommand(const Options& options) {
  if (const Status legal = CheckSampling(options.sampling.params); !legal)
    return UsageError("{}", legal.error().message);
  TERN_TRY(CheckUtf8("system message", options.system));
  TERN_ASSIGN_OR_RETURN(NamedGrammar form, ReadTextFormat(options.format));
  TERN_ASSIGN_OR_RETURN(const auto session, OpenSession(options.model, {}));
  TERN_ASSIGN_OR_RETURN(ChatTemplate chat_template, TemplateOf(*session, options));
  CatchInterrupts(OnSecondInterrupt::kIgnore);
  Chat(*session, std::move(chat_template), options, std::move(form.grammar)).Run();
  return kExitOk;
}

Action Define(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("--system", options->system, "What the model is told before the conversation")
      ->option_text("TEXT");
  app.add_option("--chat-template", options->chat_template,
                 "A Jinja file, or plain, bitnet, llama3, falcon3, falcon-e or chatml (default: "
                 "the model's)")
      ->option_text("FILE|NAME");
  app.add_flag("--no-thinking", options->no_thinking,
               "Models that think before they answer (Qwen3) answer at once");
  AddSamplingOptions(app, options->sampling, kMaxTokens);
  AddTextFormat(app, options->format);
  AddModelOptions(app, options->model,
                  kModelName | kModelLayout | kModelTokenizer | kModelContext | kModelCompute);
  return [options] { return ChatCommand(*options); };
}

}  // namespace

const Command kChatCommand = {"chat", "A conversation with a model",
                              "  tern chat -m model.gguf\n"
                              "  tern chat -m folder --system \"Answer in one sentence.\"",
                              Define};

}  // namespace tern::cli

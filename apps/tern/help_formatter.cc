#include "help_formatter.h"

#include <fmt/format.h>

#include <string_view>

#include "text_input.h"

namespace tern::cli {
namespace {

constexpr size_t kColumn = 26;  // where descriptions begin
constexpr size_t kWidth = 100;

// Words of the text in lines that begin at kColumn and end before kWidth.
std::string Wrapped(std::string_view text) {
  std::string out;
  size_t at = kColumn;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    if (at > kColumn && at + 1 + word.size() > kWidth) {
      out += "\n" + std::string(kColumn, ' ');
      at = kColumn;
    } else if (at > kColumn) {
      out += ' ';
      ++at;
    }
    out += word;
    at += word.size();
  }
  return out;
}

}  // namespace

HelpFormatter::HelpFormatter() {
  column_width(kColumn);
  label("SUBCOMMAND", "COMMAND");
  label("Positionals", "Arguments");
}

std::string HelpFormatter::make_help(const CLI::App* app, std::string name,
                                     CLI::AppFormatMode mode) const {
  std::string out = make_description(app) + "\n" + make_usage(app, name) +
                    make_subcommands(app, mode) + make_positionals(app);
  for (const std::string& group : app->get_groups()) {
    const auto options = app->get_options([&](const CLI::Option* option) {
      return option->get_group() == group && option->nonpositional();
    });
    if (!group.empty() && !options.empty()) out += make_group(group, false, options);
  }
  return out + "\n" + make_footer(app);
}

std::string HelpFormatter::make_option(const CLI::Option* option, bool positional) const {
  const std::string left =
      "  " + make_option_name(option, positional) + (positional ? "" : make_option_opts(option));
  const std::string gap = left.size() < kColumn ? "" : "\n" + std::string(kColumn, ' ');
  return fmt::format("{:<{}}{}{}\n", left, gap.empty() ? kColumn : 0, gap,
                     Wrapped(option->get_description()));
}

std::string HelpFormatter::make_option_name(const CLI::Option* option, bool positional) const {
  const std::string name = CLI::Formatter::make_option_name(option, positional);
  return positional && name == kStdinPositional ? "-" : name;
}

}  // namespace tern::cli

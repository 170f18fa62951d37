// How help texts look.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace tern::cli {

/// CLI11's format with the commands before the options, descriptions wrapped to the width of a
/// terminal, and "-" for the argument that stands for standard input.
class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter();
  std::string make_help(const CLI::App* app, std::string name,
                        CLI::AppFormatMode mode) const override;
  std::string make_option(const CLI::Option* option, bool positional) const override;
  std::string make_option_name(const CLI::Option* option, bool positional) const override;
};

}  // namespace tern::cli

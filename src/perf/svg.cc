#include "perf/svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tern {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// Bytes of the well-formed UTF-8 character at the front (Unicode, table 3-7), 0 for none.
size_t CharacterBytes(std::string_view text) {
  const auto byte = [text](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const size_t bytes = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < bytes) return 0;
  unsigned char low = 0x80, high = 0xBF;
  if (first == 0xE0) low = 0xA0;
  if (first == 0xED) high = 0x9F;
  if (first == 0xF0) low = 0x90;
  if (first == 0xF4) high = 0x8F;
  if (byte(1) < low || byte(1) > high) return 0;
  for (size_t i = 2; i < bytes; ++i)
    if (byte(i) < 0x80 || byte(i) > 0xBF) return 0;
  return bytes;
}

// U+FFFE and U+FFFF are well-formed UTF-8 and still not for XML.
bool IsNonCharacter(std::string_view character) {
  return character == "\xEF\xBF\xBE" || character == "\xEF\xBF\xBF";
}

std::string_view Entity(char c) {
  switch (c) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '"':
      return "&quot;";
    case '\'':
      return "&#39;";
    default:
      return {};
  }
}

std::string Number(double value) {
  if (!std::isfinite(value)) return "0";
  std::string text = fmt::format("{:.2f}", value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text == "-0" ? "0" : text;
}

std::string Title(std::string_view title) {
  return title.empty() ? "/>\n" : fmt::format("><title>{}</title>", XmlEscaped(title));
}

std::string_view AnchorName(SvgAnchor anchor) {
  return anchor == SvgAnchor::kStart ? "start" : anchor == SvgAnchor::kEnd ? "end" : "middle";
}

// No custom properties: rasterisers don't know them.
constexpr std::string_view kStyle = R"(
.tp-text{font:13px system-ui,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",Arial,sans-serif;fill:#172024}
.tp-small{font-size:11px}
.tp-title{font-size:15px;font-weight:600}
.tp-soft{fill:#53626a}
.tp-back{fill:#fff}
.tp-grid{stroke:#dfe4e3;stroke-width:1}
.tp-axis{stroke:#7d8a91;stroke-width:1}
.tp-line{fill:none;stroke:currentColor;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.tp-dash{stroke-dasharray:6 5}
.tp-fill{fill:currentColor}
.tp-dot{fill:currentColor;stroke:#fff;stroke-width:1.5}
.tp-flame{fill:currentColor;stroke:#fff;stroke-width:.6}
.tp-on{fill:#fff}
.tp-roof{color:#53626a}
.tp-s0{color:#0b7285}.tp-s1{color:#b4521a}.tp-s2{color:#6d4ea8}.tp-s3{color:#17804a}
.tp-s4{color:#a3271a}.tp-s5{color:#1f5fbf}.tp-s6{color:#806400}.tp-s7{color:#53626a}
@media (prefers-color-scheme:dark){
.tp-text{fill:#e8edee}
.tp-soft{fill:#a3b0b6}
.tp-back{fill:#1a2123}
.tp-grid{stroke:#2d373b}
.tp-axis{stroke:#6e7c83}
.tp-dot,.tp-flame{stroke:#1a2123}
.tp-on{fill:#12181a}
.tp-roof{color:#a3b0b6}
.tp-s0{color:#6cc9d8}.tp-s1{color:#f2a56d}.tp-s2{color:#bba5ea}.tp-s3{color:#62c992}
.tp-s4{color:#ffa294}.tp-s5{color:#8ab8ff}.tp-s6{color:#e0c25a}.tp-s7{color:#a3b0b6}
}
@supports (paint-order:stroke){
.tp-halo{paint-order:stroke;stroke:#fff;stroke-width:3px;stroke-linejoin:round}
@media (prefers-color-scheme:dark){.tp-halo{stroke:#1a2123}}
}
)";

}  // namespace

std::string XmlEscaped(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t bytes = CharacterBytes(text);
    const std::string_view character = text.substr(0, std::max<size_t>(bytes, 1));
    const char c = character[0];
    const bool control =
        static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n' && c != '\r';
    if (bytes == 0 || control || IsNonCharacter(character)) {
      out += kReplacement;
    } else if (const std::string_view entity = Entity(c); !entity.empty()) {
      out += entity;
    } else {
      out += character;
    }
    text.remove_prefix(character.size());
  }
  return out;
}

std::string ShortNumber(double value) {
  if (!std::isfinite(value)) return "?";
  static constexpr struct {
    double unit;
    std::string_view suffix;
  } kUnits[] = {{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}};
  static constexpr double kPlainFrom = 1e-3, kWholeFrom = 1e3, kPlainTo = 1e4;
  const double size = std::abs(value);
  if (size == 0) return "0";
  if (size >= kPlainTo)
    for (const auto& [unit, suffix] : kUnits)
      if (size >= unit) return fmt::format("{:.4g}{}", value / unit, suffix);
  if (size >= kWholeFrom) return fmt::format("{:.0f}", value);
  if (size >= kPlainFrom) return fmt::format("{:.4g}", value);
  return size >= 1e-6 ? fmt::format("{:.4g}µ", value * 1e6) : fmt::format("{:.3g}n", value * 1e9);
}

double SvgTextWidth(std::string_view text, double font_size) {
  constexpr double kEm = 0.58;  // of most characters in a sans-serif font
  size_t characters = 0;
  for (const char c : text) characters += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return kEm * font_size * static_cast<double>(characters);
}

std::string_view SvgStyle() { return kStyle; }

std::string SvgColour(size_t series) { return fmt::format("tp-s{}", series % kSvgColours); }

void SvgCanvas::Line(double x1, double y1, double x2, double y2, std::string_view classes) {
  body_ += fmt::format("<line class=\"{}\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>\n", classes,
                       Number(x1), Number(y1), Number(x2), Number(y2));
}

void SvgCanvas::Rect(double x, double y, double width, double height, std::string_view classes,
                     std::string_view title) {
  body_ += fmt::format("<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"{}", classes,
                       Number(x), Number(y), Number(std::max(width, 0.0)),
                       Number(std::max(height, 0.0)), Title(title));
  if (!title.empty()) body_ += "</rect>\n";
}

void SvgCanvas::Circle(double x, double y, double radius, std::string_view classes,
                       std::string_view title) {
  body_ += fmt::format("<circle class=\"{}\" cx=\"{}\" cy=\"{}\" r=\"{}\"{}", classes, Number(x),
                       Number(y), Number(radius), Title(title));
  if (!title.empty()) body_ += "</circle>\n";
}

void SvgCanvas::Path(std::span<const std::pair<double, double>> points, std::string_view classes) {
  if (points.size() < 2) return;
  body_ += fmt::format("<polyline class=\"{}\" points=\"", classes);
  for (const auto& [x, y] : points) body_ += fmt::format("{},{} ", Number(x), Number(y));
  body_.back() = '"';
  body_ += "/>\n";
}

void SvgCanvas::Text(double x, double y, std::string_view text, std::string_view classes,
                     SvgAnchor anchor) {
  body_ +=
      fmt::format("<text class=\"tp-text {}\" x=\"{}\" y=\"{}\" text-anchor=\"{}\">{}</text>\n",
                  classes, Number(x), Number(y), AnchorName(anchor), XmlEscaped(text));
}

void SvgCanvas::TextUpwards(double x, double y, std::string_view text, std::string_view classes) {
  body_ += fmt::format(
      "<text class=\"tp-text {0}\" x=\"{1}\" y=\"{2}\" text-anchor=\"middle\" "
      "transform=\"rotate(-90 "
      "{1} {2})\">{3}</text>\n",
      classes, Number(x), Number(y), XmlEscaped(text));
}

std::string SvgCanvas::Finish(std::string_view label, SvgUse use) const {
  const bool file = use == SvgUse::kFile;
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\"{} role=\"img\" "
      "aria-label=\"{}\">\n{}{}</svg>\n",
      Number(width_), Number(height_),
      file ? fmt::format(" width=\"{}\" height=\"{}\"", Number(width_), Number(height_)) : "",
      XmlEscaped(label),
      file ? fmt::format("<style>{}</style>\n<rect class=\"tp-back\" width=\"100%\" "
                         "height=\"100%\"/>\n",
                         kStyle)
           : "",
      body_);
}

}  // namespace tern

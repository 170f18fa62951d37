// Pictures as SVG text: shapes, escaped text, colours that follow the reader's light or dark
// scheme.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace tern {

/// The text for XML and HTML, in an element or in a quoted attribute: & < > " ' as entities; bytes
/// that are not UTF-8 and characters that XML 1.0 has no place for as U+FFFD.
std::string XmlEscaped(std::string_view text);

/// A number as axes and tables show it, of about four digits: "0", "0.25", "1500", "1.5M", "20µ".
std::string ShortNumber(double value);

/// Width of a text in the font of these pictures, estimated; never much too small.
double SvgTextWidth(std::string_view text, double font_size);

enum class SvgAnchor : uint8_t { kStart, kMiddle, kEnd };
/// A file of its own brings its style and background; a part of a page has SvgStyle() in its head
/// once.
enum class SvgUse : uint8_t { kFile, kInline };

/// The rules for the classes that pictures use, without <style> around them.
std::string_view SvgStyle();

/// Colours of series repeat after so many; "tp-s0" to "tp-s7" are their classes.
inline constexpr int kSvgColours = 8;
std::string SvgColour(size_t series);

/// Collects shapes. Coordinates are user units, y grows downwards; numbers that aren't finite are
/// drawn as 0. `classes` are names of SvgStyle(), separated by blanks; a title is what a pointer
/// over the shape shows.
class SvgCanvas {
 public:
  SvgCanvas(double width, double height) : width_(width), height_(height) {}

  void Line(double x1, double y1, double x2, double y2, std::string_view classes);
  void Rect(double x, double y, double width, double height, std::string_view classes,
            std::string_view title = {});
  void Circle(double x, double y, double radius, std::string_view classes,
              std::string_view title = {});
  /// An open line through the points; nothing for fewer than two.
  void Path(std::span<const std::pair<double, double>> points, std::string_view classes);
  void Text(double x, double y, std::string_view text, std::string_view classes,
            SvgAnchor anchor = SvgAnchor::kStart);
  /// Reads upwards, its middle at (x, y).
  void TextUpwards(double x, double y, std::string_view text, std::string_view classes);

  double width() const { return width_; }
  double height() const { return height_; }
  void set_height(double height) { height_ = height; }
  /// The picture; `label` is its name for who can't see it.
  std::string Finish(std::string_view label, SvgUse use) const;

 private:
  double width_, height_;
  std::string body_;
};

}  // namespace tern

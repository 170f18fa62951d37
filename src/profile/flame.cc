#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>

#include "profile/pictures.h"
#include "profile/summary.h"

namespace tern {
namespace {

constexpr double kWidth = 1200, kRow = 24, kTop = 40, kSide = 10, kFont = 12;
constexpr double kNarrowest = 0.25;  // what is narrower is not drawn
constexpr double kWithEdge = 4;      // what is narrower would be nothing but edges

struct Frame {
  std::string name;
  size_t colour = kSvgColours - 1;
  double seconds = 0;
  std::vector<std::unique_ptr<Frame>> inner;

  /// The inner frame of that name, made when it isn't there.
  Frame& Inner(const std::string& inner_name, size_t inner_colour) {
    for (const auto& frame : inner)
      if (frame->name == inner_name) return *frame;
    inner.push_back(std::make_unique<Frame>(Frame{inner_name, inner_colour, 0, {}}));
    return *inner.back();
  }
  void Add(double more) { seconds += more; }
};

size_t ColourOf(const std::string& part) {
  return part == "attention" ? 0 : part == "feed-forward" ? 1 : 2;
}

Frame Tree(const Profile& profile) {
  Frame root{profile.subject.model, kSvgColours - 1, 0, {}};
  for (const ProfilePhase& phase : profile.phases) {
    Frame& top = root.Inner(phase.name, kSvgColours - 1);
    for (const ProfiledOp& op : phase.ops) {
      Frame& part = top.Inner(op.role.part, ColourOf(op.role.part));
      Frame& role = part.Inner(op.role.name, part.colour);
      const double seconds = op.call.seconds();
      part.Add(seconds);
      role.Add(seconds);
      if (op.call.layer != kNoLayer)
        role.Inner(fmt::format("layer {}", op.call.layer), part.colour).Add(seconds);
    }
    top.Add(phase.Seconds());
    root.Add(phase.Seconds());
    if (const double between = Summarize(phase).Between(); between > 0)
      top.Inner("between operations", 4).Add(between);
  }
  return root;
}

int Depth(const Frame& frame) {
  int depth = 0;
  for (const auto& inner : frame.inner) depth = std::max(depth, Depth(*inner));
  return depth + 1;
}

class Drawing {
 public:
  explicit Drawing(const Frame& root)
      : bottom_(kTop + kRow * Depth(root)),
        canvas_(kWidth, bottom_ + 14),
        total_(root.seconds),
        scale_(root.seconds > 0 ? (kWidth - 2 * kSide) / root.seconds : 0) {}

  std::string Draw(const Frame& root) {
    const std::string title = fmt::format("Flame graph: {}", root.name);
    canvas_.Text(kSide, 24, title, "tp-title");
    canvas_.Text(kWidth - kSide, 24, "as wide as its time; a pointer shows the figures",
                 "tp-small tp-soft", SvgAnchor::kEnd);
    if (total_ > 0) Draw(root, "", kSide, 0);
    return canvas_.Finish(title, SvgUse::kFile);
  }

 private:
  void Draw(const Frame& frame, const std::string& path, double x, int level) {
    const double width = frame.seconds * scale_;
    if (width < kNarrowest) return;
    const std::string own = path.empty() ? frame.name : path + " / " + frame.name;
    const double y = bottom_ - kRow * (level + 1);
    canvas_.Rect(x, y, width, kRow,
                 (width < kWithEdge ? "tp-fill " : "tp-flame ") + SvgColour(frame.colour),
                 fmt::format("{}: {:.3f} ms, {:.2f}%", own, 1e3 * frame.seconds,
                             100 * frame.seconds / total_));
    if (SvgTextWidth(frame.name, kFont) + 8 <= width)
      canvas_.Text(x + 5, y + kRow - 7, frame.name, "tp-small tp-on");
    for (const auto& inner : frame.inner) {
      Draw(*inner, level == 0 ? "" : own, x, level + 1);
      x += inner->seconds * scale_;
    }
  }

  double bottom_;
  SvgCanvas canvas_;
  double total_, scale_;
};

}  // namespace

std::string FlameSvg(const Profile& profile) {
  const Frame root = Tree(profile);
  return Drawing(root).Draw(root);
}

}  // namespace tern

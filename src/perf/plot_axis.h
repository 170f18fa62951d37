// Where the values of an axis stand in a picture.
#pragma once

#include <vector>

#include "perf/plot.h"

namespace tern {

/// An axis whose ends are known, over `pixels` from `origin` (negative: it grows upwards).
class PlacedAxis {
 public:
  /// `values` are those that will be drawn.
  PlacedAxis(const Axis& axis, const std::vector<double>& values, double origin, double pixels);

  bool Shows(double value) const;  // it is finite and, on a logarithmic axis, positive
  double At(double value) const;   // values beyond an end stand at that end
  const std::vector<double>& ticks() const { return ticks_; }

 private:
  double Scaled(double value) const;

  bool log_;
  double low_ = 0, high_ = 1, origin_, pixels_;
  std::vector<double> ticks_;
};

}  // namespace tern

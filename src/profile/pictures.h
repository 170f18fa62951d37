// A profile as pictures and as a trace for timeline viewers.
#pragma once

#include <string>

#include "perf/svg.h"
#include "profile/profile.h"

namespace tern {

/// Operations of each phase by their intensity (operations per byte) and rate, under what memory
/// and arithmetic allow (Williams, Waterman, Patterson: Roofline, 2009). Dots grow with the share
/// of the phase's time.
std::string RooflineSvg(const Profile& profile, SvgUse use);

/// A flame graph: phase, part of the model, operation, layer, each as wide as its time.
std::string FlameSvg(const Profile& profile);

/// In the Trace Event Format that Chrome's about:tracing and Perfetto open: passes, in them layers,
/// in them operations, with rows, bytes and operations as arguments.
std::string ChromeTrace(const Profile& profile);

}  // namespace tern

// Measured rows as one page that needs nothing else: tables, plots, and how to measure it again.
#pragma once

#include <string>
#include <vector>

#include "engine/benchmark.h"
#include "perf/fingerprint.h"
#include "perf/svg.h"
#include "profile/profile.h"

namespace tern {

/// What a test reached at an earlier time.
struct HistoryPoint {
  std::string series;  // "model, 2 threads, tg128"
  std::string when;    // of the measurement, "2026-11-28T08:27:26Z"; sorts by time
  std::string commit;
  double rate = 0;  // tokens a second
};

struct BenchPage {
  std::string when;     // UTC, "2026-11-28T08:27:26Z"
  std::string command;  // as it was typed
  std::string commit;   // of the program; "" when not known
  BuildFacts build;
  MachineFingerprint machine;
  std::vector<BenchmarkRow> rows;
  std::vector<Profile> profiles;
  std::vector<HistoryPoint> history;  // earlier ones
};

/// How the points of a row are called in a history.
std::string HistorySeries(const BenchmarkRow& row);
/// The page's own points.
std::vector<HistoryPoint> PointsOf(const BenchPage& page);

/// A whole HTML document without a script, a font, a picture or a style from elsewhere, for light
/// and dark screens and for small ones.
std::string BenchPageHtml(const BenchPage& page);

/// The plots of the page, in order. What the rows don't suffice for has a reason instead.
struct PagePlot {
  std::string name = {};     // "Throughput against batch"
  std::string svg = {};      // inline; or
  std::string missing = {};  // why there is none
  std::string note = {};     // how to read it
};
std::vector<PagePlot> PlotsOf(const BenchPage& page);

}  // namespace tern

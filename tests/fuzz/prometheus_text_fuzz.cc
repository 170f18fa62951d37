// What a server sends to `tern top`: never a crash, and what was read can be written and read again
// to the same names, labels and values.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "perf/prometheus_text.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tern;
  const auto samples =
      ParsePrometheusText(std::string_view(reinterpret_cast<const char*>(data), size));
  PrometheusText out;
  for (const MetricSample& sample : samples) {
    out.Begin(sample.name, PrometheusText::Type::kGauge, "x");
    out.Value(sample.value, sample.labels);
  }
  const auto again = ParsePrometheusText(out.Take());
  if (again.size() != samples.size()) std::abort();
  for (size_t i = 0; i < samples.size(); ++i) {
    if (again[i].name != samples[i].name || again[i].labels != samples[i].labels) std::abort();
    const double a = again[i].value, b = samples[i].value;
    if (a != b && !(std::isnan(a) && std::isnan(b))) std::abort();
  }
  return 0;
}

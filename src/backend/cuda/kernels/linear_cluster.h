// Few rows on GPUs whose blocks form clusters (sm_90 and later): the forms of linear_cluster.cu's
// kernel; all give the same bits.
#pragma once

#include "backend/cuda/kernels/launch.h"
#include "backend/cuda/kernels/linear.h"
#include "backend/cuda/kernels/norm.h"

namespace tern::cuda {

/// Most rows of ClusterLinear, and of ClusterNormLinear.
inline constexpr int kClusterRows = 32;
inline constexpr int kClusterNormRows = 16;

struct ClusterForm {
  int split = 4;       // blocks of a cluster, which share a row's columns: 1 to 8
  int piece = 1;       // tiles of a copy
  int ring_kib = 96;  // most shared memory for weights on their way
};

/// False when a shape doesn't fit the form: then nothing was launched.
bool ClusterLinear(const LinearArgs& args, const ClusterForm& form, const Launch& launch);
/// NormQuantize and the layer in one kernel, the same bits (norm.h, NormLinearFew).
bool ClusterNormLinear(const NormArgs& norm, const LinearArgs& args, const ClusterForm& form,
                       const Launch& launch);

/// The form that measurements liked best.
ClusterForm ChooseClusterForm(const LinearArgs& args, bool norm);

}  // namespace tern::cuda

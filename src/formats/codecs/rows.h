// The rows of the codec table, each defined in the file of its type.
#pragma once

#include "formats/codec.h"

namespace tern::codecs {

extern const Codec kF32, kF16, kBf16, kQ8, kQ4, kQ4K, kQ6K;  // dense.cc
extern const Codec kI2sX86, kI2sArm, kI2sRows4;              // i2_s.cc
extern const Codec kTq1;                                     // tq1_0.cc
extern const Codec kTq2;                                     // tq2_0.cc
extern const Codec kQ2, kQ2Group128, kPq2;                   // q2_0.cc
extern const Codec kPtq1;                                    // ptq1_0.cc
extern const Codec kIq1Bn, kIq2Bn, kIq2BnR4;                 // iq_bn.cc

}  // namespace tern::codecs

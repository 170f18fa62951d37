// What a GPU can do at most, measured: the denominators of every "percent of the limit".
#pragma once

#include "backend/backend.h"
#include "backend/cuda/device_context.h"

namespace tern::cuda {

/// The best of several runs each: reading a buffer that no cache holds, and products of ternary
/// codes with int8 on all tensor cores. Errors: kResourceExhausted, kDevice.
Result<DeviceLimits> MeasureDeviceLimits(DeviceContext& context);

}  // namespace tern::cuda

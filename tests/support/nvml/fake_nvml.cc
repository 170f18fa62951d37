// A library with NVML's functions, for machines without a GPU: two devices, the second of which
// says little, and a third that is lost. Built three times; FAKE_NVML_BROKEN finds no driver, the
// first device of FAKE_NVML_BUSY has used a joule more whenever it is asked.
#include <cstring>

namespace {

enum { kSuccess = 0, kNotSupported = 3, kNotFound = 6, kDriverNotLoaded = 9, kLost = 15 };
int devices[3];
int users = 0;

bool IsFirst(void* device) { return device == &devices[0]; }

int Answer(void* device, unsigned value, unsigned* out) {
  if (users <= 0) return 1;  // not initialised
  *out = value;
  return IsFirst(device) ? kSuccess : kNotSupported;
}

}  // namespace

extern "C" {

int nvmlInit_v2() {
#ifdef FAKE_NVML_BROKEN
  return kDriverNotLoaded;
#else
  ++users;
  return kSuccess;
#endif
}
int nvmlShutdown() {
  --users;
  return kSuccess;
}
const char* nvmlErrorString(int result) {
  return result == kDriverNotLoaded ? "Driver Not Loaded" : "GPU is lost";
}
int nvmlSystemGetDriverVersion(char* text, unsigned length) {
  std::strncpy(text, "570.1", length);
  return kSuccess;
}
int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = 3;
  return kSuccess;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
  if (index == 2) return kLost;
  *device = &devices[index];
  return kSuccess;
}
int nvmlDeviceGetHandleByPciBusId_v2(const char* bus_id, void** device) {
  if (std::strcmp(bus_id, "0000:1a:00.0") != 0) return kNotFound;
  *device = &devices[1];
  return kSuccess;
}
int nvmlDeviceGetIndex(void* device, unsigned* index) {
  *index = IsFirst(device) ? 0 : 1;
  return kSuccess;
}
int nvmlDeviceGetName(void* device, char* text, unsigned length) {
  std::strncpy(text, IsFirst(device) ? "Fake GPU" : "Silent GPU", length);
  return kSuccess;
}
int nvmlDeviceGetUtilizationRates(void* device, unsigned* rates) {
  rates[1] = 40;
  return Answer(device, 80, rates);
}
int nvmlDeviceGetMemoryInfo(void*, unsigned long long* bytes) {
  bytes[0] = 1000;
  bytes[1] = 300;
  bytes[2] = 700;
  return kSuccess;
}
int nvmlDeviceGetPowerUsage(void* device, unsigned* milliwatts) {
  return Answer(device, 123456, milliwatts);
}
int nvmlDeviceGetTotalEnergyConsumption(void* device, unsigned long long* millijoules) {
#ifdef FAKE_NVML_BUSY
  static unsigned long long asked = 0;
  *millijoules = 1000 * ++asked;
#else
  *millijoules = 5000000000ULL;
#endif
  return IsFirst(device) ? kSuccess : kNotSupported;
}
int nvmlDeviceGetTemperature(void* device, int sensor, unsigned* celsius) {
  return Answer(device, sensor == 0 ? 45 : 0, celsius);
}
int nvmlDeviceGetClockInfo(void* device, int clock, unsigned* megahertz) {
  return Answer(device, clock == 1 ? 1980 : clock == 2 ? 3201 : 0, megahertz);
}

}  // extern "C"

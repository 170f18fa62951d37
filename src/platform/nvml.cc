#include "platform/nvml.h"

#include <dlfcn.h>

#include <array>

namespace tern {
namespace {

// The library's binary interface, as far as it is used here (NVIDIA, NVML API reference).
using Device = void*;
using Return = int;
constexpr Return kSuccess = 0;
struct Utilization {
  unsigned gpu, memory;  // percent
};
struct Memory {
  unsigned long long total, free, used;
};
constexpr int kGpuSensor = 0;
constexpr int kSmClock = 1, kMemoryClock = 2;

constexpr double kMilli = 1e-3, kMega = 1e6, kPercent = 100;

// A function of the library; calling one that isn't there fails.
template <class... Args>
class Function {
 public:
  void Find(void* library, const char* name) {
    call_ = reinterpret_cast<Return (*)(Args...)>(dlsym(library, name));
  }
  explicit operator bool() const { return call_ != nullptr; }
  bool operator()(Args... args) const { return call_ != nullptr && call_(args...) == kSuccess; }
  Return Call(Args... args) const { return call_(args...); }

 private:
  Return (*call_)(Args...) = nullptr;
};

std::optional<double> If(bool known, double value) {
  return known ? std::optional(value) : std::nullopt;
}

}  // namespace

class Nvml::Library {
 public:
  ~Library() {
    if (begun_) shutdown_();
    if (handle_ != nullptr) dlclose(handle_);
  }

  Status Open(const std::string& name) {
    handle_ = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle_ == nullptr) return Fail(Code::kNotFound, "NVML: {}", dlerror());
    Find();
    if (!init_ || !shutdown_ || !count_ || !by_index_)
      return Fail(Code::kUnsupported, "NVML: {} lacks nvmlInit_v2 and its like", name);
    if (const Return result = init_.Call(); result != kSuccess)
      return Fail(Code::kDevice, "NVML: {}: {}", name, Describe(result));
    begun_ = true;
    unsigned count = 0;
    if (!count_(&count)) return Fail(Code::kDevice, "NVML: {} can't count devices", name);
    devices = static_cast<int>(count);
    return {};
  }

  std::string Driver() const {
    std::array<char, 96> text = {};
    return driver_(text.data(), text.size() - 1) ? text.data() : "";
  }

  Result<int> DeviceAt(const std::string& bus_id) const {
    Device device = nullptr;
    unsigned index = 0;
    if (!by_bus_id_(bus_id.c_str(), &device) || !index_(device, &index))
      return Fail(Code::kNotFound, "NVML: no device at PCI bus id {}", bus_id);
    return static_cast<int>(index);
  }

  Result<GpuSample> Sample(int index) const {
    if (index < 0 || index >= devices)
      return Fail(Code::kInvalidArgument, "NVML: found device {}, expected 0 to {}", index,
                  devices - 1);
    Device device = nullptr;
    if (const Return result = by_index_.Call(static_cast<unsigned>(index), &device);
        result != kSuccess)
      return Fail(Code::kDevice, "NVML: device {}: {}", index, Describe(result));
    GpuSample sample;
    std::array<char, 97> name = {};
    if (name_(device, name.data(), name.size() - 1)) sample.name = name.data();
    Utilization utilization = {};
    const bool used = utilization_(device, &utilization);
    sample.utilization = If(used, utilization.gpu / kPercent);
    sample.memory_utilization = If(used, utilization.memory / kPercent);
    if (Memory memory = {}; memory_(device, &memory)) {
      sample.memory_used = memory.used;
      sample.memory_total = memory.total;
    }
    // A call first, then what it has written.
    const auto read = [&](const auto& function, auto value, double scale, auto... which) {
      const bool known = function(device, which..., &value);
      return If(known, static_cast<double>(value) * scale);
    };
    sample.power_watts = read(power_, 0u, kMilli);
    sample.energy_joules = read(energy_, 0ull, kMilli);
    sample.temperature_celsius = read(temperature_, 0u, 1, kGpuSensor);
    sample.clock_hertz = read(clock_, 0u, kMega, kSmClock);
    sample.memory_clock_hertz = read(clock_, 0u, kMega, kMemoryClock);
    return sample;
  }

  int devices = 0;

 private:
  void Find() {
    init_.Find(handle_, "nvmlInit_v2");
    shutdown_.Find(handle_, "nvmlShutdown");
    count_.Find(handle_, "nvmlDeviceGetCount_v2");
    by_index_.Find(handle_, "nvmlDeviceGetHandleByIndex_v2");
    by_bus_id_.Find(handle_, "nvmlDeviceGetHandleByPciBusId_v2");
    index_.Find(handle_, "nvmlDeviceGetIndex");
    driver_.Find(handle_, "nvmlSystemGetDriverVersion");
    name_.Find(handle_, "nvmlDeviceGetName");
    utilization_.Find(handle_, "nvmlDeviceGetUtilizationRates");
    memory_.Find(handle_, "nvmlDeviceGetMemoryInfo");
    power_.Find(handle_, "nvmlDeviceGetPowerUsage");
    energy_.Find(handle_, "nvmlDeviceGetTotalEnergyConsumption");
    temperature_.Find(handle_, "nvmlDeviceGetTemperature");
    clock_.Find(handle_, "nvmlDeviceGetClockInfo");
    error_ = reinterpret_cast<const char* (*)(Return)>(dlsym(handle_, "nvmlErrorString"));
  }

  std::string Describe(Return result) const {
    const char* text = error_ == nullptr ? nullptr : error_(result);
    return text == nullptr ? fmt::format("error {}", result) : text;
  }

  void* handle_ = nullptr;
  bool begun_ = false;
  Function<> init_, shutdown_;
  Function<unsigned*> count_;
  Function<unsigned, Device*> by_index_;
  Function<const char*, Device*> by_bus_id_;
  Function<Device, unsigned*> index_;
  Function<char*, unsigned> driver_;
  Function<Device, char*, unsigned> name_;
  Function<Device, Utilization*> utilization_;
  Function<Device, Memory*> memory_;
  Function<Device, unsigned*> power_;
  Function<Device, unsigned long long*> energy_;
  Function<Device, int, unsigned*> temperature_, clock_;
  const char* (*error_)(Return) = nullptr;
};

Result<Nvml> Nvml::Open(const std::string& library) {
  auto opened = std::make_shared<Library>();
  TERN_TRY(opened->Open(library));
  return Nvml(std::move(opened));
}

int Nvml::devices() const { return library_->devices; }

std::string Nvml::driver() const { return library_->Driver(); }

Result<int> Nvml::DeviceAt(const std::string& bus_id) const { return library_->DeviceAt(bus_id); }

Result<GpuSample> Nvml::Sample(int device) const { return library_->Sample(device); }

}  // namespace tern

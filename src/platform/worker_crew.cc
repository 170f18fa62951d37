#include "platform/worker_crew.h"

#include <algorithm>
#include <map>
#include <system_error>

#include "platform/cpu_set.h"

namespace tern {
namespace {

constexpr uint32_t kWait = 0, kRun = 1, kLeave = 2;

// A pinned worker that comes this late, or too late for so many loops in a row, shares its CPU with
// a stranger; loose ones can move away.
constexpr auto kLate = std::chrono::milliseconds(1);
constexpr int kManyMissed = 64;

thread_local bool t_inside_task = false;

}  // namespace

WorkerCrew::WorkerCrew(std::vector<int> cpus)
    : cpus_(std::move(cpus)), seats_(new Seat[cpus_.size() - 1]) {}

std::shared_ptr<WorkerCrew> WorkerCrew::Get() {
  static std::mutex mutex;
  static auto& crews = *new std::map<std::vector<int>, std::weak_ptr<WorkerCrew>>;
  std::vector<int> cpus = UsableCpus();
  const std::lock_guard lock(mutex);
  std::weak_ptr<WorkerCrew>& known = crews[cpus];
  std::shared_ptr<WorkerCrew> crew = known.lock();
  if (!crew) known = crew = std::make_shared<WorkerCrew>(std::move(cpus));
  return crew;
}

// Pinned workers of two half-sized pools in two processes would share the same half of the CPUs:
// only who uses all of them pins.
size_t WorkerCrew::Start(size_t wanted, bool pin) {
  const std::lock_guard lock(starting_);
  wanted = std::min(wanted, cpus_.size() - 1);
  pin = pin && wanted == cpus_.size() - 1 && started_ == 0;
  if (pin) pinned_.store(true, std::memory_order_relaxed);
  try {
    for (; started_ < wanted; ++started_) {
      Seat& seat = seats_[started_];
      const size_t runner = started_ + 1;
      seat.thread = std::thread(
          [this, &seat, runner, cpu = pin ? cpus_[runner] : -1] { Work(seat, runner, cpu); });
    }
  } catch (const std::system_error&) {  // no more threads for this process: fewer will do
  }
  return std::min(wanted, started_);
}

WorkerCrew::~WorkerCrew() {
  for (size_t i = 0; i < started_; ++i) seats_[i].signal.Store(kLeave);
  for (size_t i = 0; i < started_; ++i) seats_[i].thread.join();
}

void WorkerCrew::Run(size_t runners, Task task) {
  if (t_inside_task) {
    for (size_t i = 0; i < runners; ++i) task(i);
    return;
  }
  const uint32_t turn = next_turn_.fetch_add(1, std::memory_order_relaxed);
  for (uint32_t now; (now = turn_.Load()) != turn;) turn_.WaitWhile(now);
  task_ = &task;
  if (pinned()) called_ = Clock::now();
  running_.Reset(static_cast<uint32_t>(runners - 1));
  for (size_t i = 0; i + 1 < runners; ++i) seats_[i].signal.Store(kRun);
  t_inside_task = true;
  task(0);
  for (size_t i = 0; i + 1 < runners && running_.Load() != 0; ++i) {
    Seat& seat = seats_[i];
    if (seat.signal.Load() != kRun || !seat.signal.Replace(kRun, kWait)) continue;
    task(i + 1);
    ++seat.missed;
    running_.Subtract(1);
  }
  t_inside_task = false;
  for (uint32_t left; (left = running_.Load()) != 0;) running_.WaitWhile(left);
  turn_.Store(turn + 1);
}

void WorkerCrew::Work(Seat& seat, size_t runner, int cpu) {
  bool pinned = cpu >= 0;
  if (pinned) BindToCpus({cpu});
  t_inside_task = true;
  for (;;) {
    seat.signal.WaitWhile(kWait);
    if (seat.signal.Load() == kLeave) return;
    if (!seat.signal.Replace(kRun, kWait)) continue;  // the caller was faster
    const Task& task = *task_;
    if (pinned && (seat.missed > kManyMissed || Clock::now() - called_ > kLate)) {
      BindToCpus(cpus_);
      pinned = false;
    }
    seat.missed = 0;
    task(runner);
    running_.Subtract(1);
  }
}

}  // namespace tern

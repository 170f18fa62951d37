#include "perf/store/baseline_store.h"

#include <chrono>
#include <thread>

#include "perf/statistics.h"
#include "perf/store/schema.h"

namespace tern {
namespace {

// The file stays in this mode once it has it. Two who open a new one at once collide here, and the
// busy timeout doesn't cover the change of the mode.
Status UseWriteAheadLog(SqlDatabase& database, int busy_ms) {
  constexpr int kPause = 10;
  for (int waited = 0;; waited += kPause) {
    const auto mode = database.Value("PRAGMA journal_mode = WAL");
    if (mode) return {};
    if (mode.error().code != Code::kResourceExhausted || waited >= busy_ms)
      return tl::unexpected(mode.error());
    std::this_thread::sleep_for(std::chrono::milliseconds(kPause));
  }
}

// A damaged file is found here, not in the middle of a comparison; such files have some 1000 pages.
Status CheckWhole(SqlDatabase& database) {
  TERN_ASSIGN_OR_RETURN(const std::string said, database.Value("PRAGMA quick_check(1)"));
  if (said == "ok") return {};
  return Fail(Code::kCorrupt,
              "{}: the database is damaged ({}); it was left as it is: `sqlite3 FILE .recover` may "
              "save what is in it",
              database.path(), said);
}

constexpr std::string_view kRunColumns =
    "run.id, uuid, name, recorded_at, commit_id, program, version, compiler, flags, cpu, features, "
    "cpus, l1d, l2, l3, memory, memory_bytes, gpu, gpu_driver, governor, system";

BaselineRun ToRun(const SqlStatement& row) {
  int column = 0;
  const auto text = [&] { return row.Text(column++); };
  const auto bytes = [&] { return static_cast<uint64_t>(row.Int(column++)); };
  BaselineRun run;
  run.id = row.Int(column++);
  for (std::string* field : {&run.uuid, &run.name, &run.recorded_at, &run.commit, &run.program,
                             &run.build.version, &run.build.compiler, &run.build.flags})
    *field = text();
  MachineFingerprint& machine = run.machine;
  machine.cpu = text();
  machine.features = text();
  machine.cpus = static_cast<int>(row.Int(column++));
  machine.caches.l1d = bytes();
  machine.caches.l2 = bytes();
  machine.caches.l3 = bytes();
  machine.memory = text();
  machine.memory_bytes = bytes();
  machine.gpu = text();
  machine.gpu_driver = text();
  machine.governor = text();
  machine.system = text();
  return run;
}

}  // namespace

std::vector<double> BaselineResult::Values() const {
  std::vector<double> values;
  for (const auto& round : rounds)
    if (!round.empty()) values.push_back(Median(round));
  return values;
}

Result<BaselineStore> BaselineStore::Open(const std::string& path, int busy_ms) {
  TERN_ASSIGN_OR_RETURN(SqlDatabase database, SqlDatabase::Open(path, busy_ms));
  TERN_TRY(CheckWhole(database));
  TERN_TRY(BringToSchema(database, kSchema));
  TERN_TRY(UseWriteAheadLog(database, busy_ms));
  TERN_TRY(database.Run("PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL"));
  return BaselineStore(std::move(database));
}

Result<int64_t> BaselineStore::AddMachine(const MachineFingerprint& machine) {
  const std::string key = machine.Key();
  TERN_ASSIGN_OR_RETURN(
      SqlStatement insert,
      database_.Prepare("INSERT OR IGNORE INTO machine (key, cpu, features, cpus, l1d, l2, l3, "
                        "memory, memory_bytes, gpu, gpu_driver, governor, system) "
                        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"));
  insert.Bind(key).Bind(machine.cpu).Bind(machine.features).Bind(int64_t{machine.cpus});
  for (const uint64_t cache : {machine.caches.l1d, machine.caches.l2, machine.caches.l3})
    insert.Bind(static_cast<int64_t>(cache));
  insert.Bind(machine.memory).Bind(static_cast<int64_t>(machine.memory_bytes));
  insert.Bind(machine.gpu).Bind(machine.gpu_driver).Bind(machine.governor).Bind(machine.system);
  TERN_TRY(insert.Run());
  TERN_ASSIGN_OR_RETURN(SqlStatement find,
                        database_.Prepare("SELECT id FROM machine WHERE key = ?"));
  TERN_TRY(find.Bind(key).Step());
  return find.Int(0);
}

Status BaselineStore::AddResults(int64_t run, const BaselineRun& data) {
  TERN_ASSIGN_OR_RETURN(SqlStatement limit,
                        database_.Prepare("INSERT INTO machine_limit VALUES (?, ?, ?, ?, ?, ?, ?, "
                                          "?)"));
  for (size_t i = 0; i < data.limits.size(); ++i) {
    const Limit& l = data.limits[i];
    limit.Bind(run).Bind(static_cast<int64_t>(i)).Bind(l.name).Bind(l.unit);
    limit.Bind(static_cast<int64_t>(l.bytes)).Bind(l.one).Bind(l.all).Bind(l.cpu_share);
    TERN_TRY(limit.Run());
  }
  TERN_ASSIGN_OR_RETURN(
      SqlStatement result,
      database_.Prepare("INSERT INTO result (run_id, benchmark, parameters, metric, "
                        "more_is_better) VALUES (?, ?, ?, ?, ?)"));
  TERN_ASSIGN_OR_RETURN(SqlStatement sample,
                        database_.Prepare("INSERT INTO sample VALUES (?, ?, ?, ?)"));
  for (const BaselineResult& r : data.results) {
    result.Bind(run).Bind(r.benchmark).Bind(r.parameters).Bind(r.metric);
    TERN_TRY(result.Bind(int64_t{r.more_is_better}).Run());
    const int64_t id = database_.LastRow();
    for (size_t round = 0; round < r.rounds.size(); ++round)
      for (size_t i = 0; i < r.rounds[round].size(); ++i) {
        sample.Bind(id).Bind(static_cast<int64_t>(round)).Bind(static_cast<int64_t>(i));
        TERN_TRY(sample.Bind(r.rounds[round][i]).Run());
      }
  }
  return {};
}

Result<int64_t> BaselineStore::Add(const BaselineRun& run) {
  TERN_ASSIGN_OR_RETURN(SqlTransaction transaction, SqlTransaction::Begin(database_));
  TERN_ASSIGN_OR_RETURN(SqlStatement known, database_.Prepare("SELECT 1 FROM run WHERE uuid = ?"));
  TERN_ASSIGN_OR_RETURN(const bool there, known.Bind(run.uuid).Step());
  if (there) return 0;
  TERN_ASSIGN_OR_RETURN(const int64_t machine, AddMachine(run.machine));
  TERN_ASSIGN_OR_RETURN(
      SqlStatement insert,
      database_.Prepare("INSERT INTO run (uuid, name, recorded_at, commit_id, program, version, "
                        "compiler, flags, machine_id) VALUES "
                        "(coalesce(nullif(?, ''), lower(hex(randomblob(16)))), ?, "
                        "coalesce(nullif(?, ''), strftime('%Y-%m-%dT%H:%M:%SZ', 'now')), ?, ?, ?, "
                        "?, ?, ?)"));
  insert.Bind(run.uuid).Bind(run.name).Bind(run.recorded_at).Bind(run.commit).Bind(run.program);
  insert.Bind(run.build.version).Bind(run.build.compiler).Bind(run.build.flags).Bind(machine);
  TERN_TRY(insert.Run());
  const int64_t id = database_.LastRow();
  TERN_TRY(AddResults(id, run));
  TERN_TRY(transaction.Commit());
  return id;
}

Status BaselineStore::ReadResults(BaselineRun& run) {
  TERN_ASSIGN_OR_RETURN(SqlStatement limits,
                        database_.Prepare("SELECT name, unit, bytes, one, all_threads, cpu_share "
                                          "FROM machine_limit WHERE run_id = ? ORDER BY position"));
  limits.Bind(run.id);
  for (;;) {
    TERN_ASSIGN_OR_RETURN(const bool more, limits.Step());
    if (!more) break;
    run.limits.push_back({limits.Text(0), limits.Text(1), static_cast<uint64_t>(limits.Int(2)),
                          limits.Real(3), limits.Real(4), limits.Real(5)});
  }
  TERN_ASSIGN_OR_RETURN(
      SqlStatement rows,
      database_.Prepare("SELECT result.id, benchmark, parameters, metric, more_is_better, round, "
                        "value FROM result LEFT JOIN sample ON sample.result_id = result.id "
                        "WHERE run_id = ? ORDER BY result.id, round, position"));
  rows.Bind(run.id);
  for (int64_t current = 0, round = 0;;) {
    TERN_ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) return {};
    if (rows.Int(0) != current) {
      current = rows.Int(0);
      round = -1;
      run.results.push_back({rows.Text(1), rows.Text(2), rows.Text(3), rows.Int(4) != 0, {}});
    }
    if (rows.IsNull(5)) continue;
    auto& rounds = run.results.back().rounds;
    if (rows.Int(5) != round) rounds.emplace_back();
    round = rows.Int(5);
    rounds.back().push_back(rows.Real(6));
  }
}

Result<std::vector<BaselineRun>> BaselineStore::Read(std::string_view condition,
                                                     std::string_view value, bool samples) {
  TERN_ASSIGN_OR_RETURN(
      SqlStatement heads,
      database_.Prepare(fmt::format("SELECT {} FROM run JOIN machine ON machine.id = machine_id "
                                    "WHERE {} ORDER BY recorded_at, run.id",
                                    kRunColumns, condition)));
  heads.Bind(value);
  std::vector<BaselineRun> runs;
  for (;;) {
    TERN_ASSIGN_OR_RETURN(const bool more, heads.Step());
    if (!more) break;
    runs.push_back(ToRun(heads));
  }
  if (samples)
    for (BaselineRun& run : runs) TERN_TRY(ReadResults(run));
  return runs;
}

Result<std::vector<BaselineRun>> BaselineStore::Runs(const std::string& name, bool samples) {
  return Read("?1 IN (name, '')", name, samples);
}

Result<BaselineRun> BaselineStore::Run(int64_t id) {
  TERN_ASSIGN_OR_RETURN(auto runs, Read("run.id = CAST(? AS INTEGER)", std::to_string(id), true));
  if (runs.empty()) return Fail(Code::kNotFound, "{}: there is no run {}", database_.path(), id);
  return std::move(runs.front());
}

}  // namespace tern

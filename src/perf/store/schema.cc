#include "perf/store/schema.h"

#include <array>
#include <string>

namespace tern {
namespace {

// "tern" in ASCII, so that we don't add tables to somebody else's database.
constexpr int64_t kApplication = 0x7465726e;

// Element v brings version v to v + 1. Never change one that was released: files have gone through
// it. Times are UTC texts, lists are rows, machines are kept once.
constexpr std::array kSteps = {
    // 1: a run is one line, its machine and samples are JSON texts in it.
    R"(CREATE TABLE run (
         id INTEGER PRIMARY KEY, uuid TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
         recorded_at TEXT NOT NULL, commit_id TEXT NOT NULL, program TEXT NOT NULL,
         version TEXT NOT NULL, compiler TEXT NOT NULL, flags TEXT NOT NULL,
         machine TEXT NOT NULL CHECK (json_valid(machine)),
         limits TEXT NOT NULL CHECK (json_valid(limits)));
       CREATE TABLE result (
         id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL REFERENCES run(id),
         benchmark TEXT NOT NULL, parameters TEXT NOT NULL, metric TEXT NOT NULL,
         more_is_better INTEGER NOT NULL, samples TEXT NOT NULL CHECK (json_valid(samples)));)",
    // 2: machines, limits and samples are tables; samples know their round (in 1, each was one).
    R"(CREATE TABLE machine (
         id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, cpu TEXT NOT NULL,
         features TEXT NOT NULL, cpus INTEGER NOT NULL, l1d INTEGER NOT NULL, l2 INTEGER NOT NULL,
         l3 INTEGER NOT NULL, memory TEXT NOT NULL, memory_bytes INTEGER NOT NULL,
         gpu TEXT NOT NULL, gpu_driver TEXT NOT NULL, governor TEXT NOT NULL,
         system TEXT NOT NULL);
       INSERT INTO machine (key, cpu, features, cpus, l1d, l2, l3, memory, memory_bytes, gpu,
                            gpu_driver, governor, system)
         SELECT cpu || '|' || features || '|' || cpus || '|' || l1d || '/' || l2 || '/' || l3 ||
                '|' || memory || '|' || gpu || '|' || gpu_driver || '|' || governor, *
         FROM (SELECT DISTINCT
                 coalesce(json_extract(machine, '$.cpu'), '') AS cpu,
                 coalesce(json_extract(machine, '$.features'), '') AS features,
                 coalesce(json_extract(machine, '$.cpus'), 0) AS cpus,
                 coalesce(json_extract(machine, '$.l1d'), 0) AS l1d,
                 coalesce(json_extract(machine, '$.l2'), 0) AS l2,
                 coalesce(json_extract(machine, '$.l3'), 0) AS l3,
                 '' AS memory, 0 AS memory_bytes, '' AS gpu, '' AS gpu_driver, '' AS governor,
                 '' AS system
               FROM run);
       ALTER TABLE run ADD COLUMN machine_id INTEGER REFERENCES machine(id);
       UPDATE run SET machine_id = (SELECT m.id FROM machine m
         WHERE m.cpu = coalesce(json_extract(machine, '$.cpu'), '')
           AND m.features = coalesce(json_extract(machine, '$.features'), '')
           AND m.cpus = coalesce(json_extract(machine, '$.cpus'), 0)
           AND m.l1d = coalesce(json_extract(machine, '$.l1d'), 0)
           AND m.l2 = coalesce(json_extract(machine, '$.l2'), 0)
           AND m.l3 = coalesce(json_extract(machine, '$.l3'), 0));
       CREATE TABLE machine_limit (
         run_id INTEGER NOT NULL REFERENCES run(id), position INTEGER NOT NULL,
         name TEXT NOT NULL, unit TEXT NOT NULL, bytes INTEGER NOT NULL, one REAL NOT NULL,
         all_threads REAL NOT NULL, cpu_share REAL NOT NULL,
         PRIMARY KEY (run_id, position)) WITHOUT ROWID;
       INSERT INTO machine_limit
         SELECT run.id, l.key, json_extract(l.value, '$.name'), json_extract(l.value, '$.unit'),
                0, json_extract(l.value, '$.one'), json_extract(l.value, '$.all'), 1
         FROM run, json_each(run.limits) l;
       CREATE TABLE sample (
         result_id INTEGER NOT NULL REFERENCES result(id), round INTEGER NOT NULL,
         position INTEGER NOT NULL, value REAL NOT NULL,
         PRIMARY KEY (result_id, round, position)) WITHOUT ROWID;
       INSERT INTO sample SELECT result.id, s.key, 0, s.value
         FROM result, json_each(result.samples) s;
       ALTER TABLE run DROP COLUMN machine;
       ALTER TABLE run DROP COLUMN limits;
       ALTER TABLE result DROP COLUMN samples;
       CREATE INDEX run_by_name ON run (name, recorded_at, id);
       CREATE INDEX result_by_run ON result (run_id);)",
};

Result<int64_t> Number(SqlDatabase& database, std::string_view sql) {
  TERN_ASSIGN_OR_RETURN(SqlStatement statement, database.Prepare(sql));
  TERN_ASSIGN_OR_RETURN(const bool found, statement.Step());
  return found ? statement.Int(0) : 0;
}

}  // namespace

Status BringToSchema(SqlDatabase& database, int wanted) {
  const auto version = [&] { return Number(database, "PRAGMA user_version"); };
  TERN_ASSIGN_OR_RETURN(const int64_t before, version());
  TERN_ASSIGN_OR_RETURN(const int64_t tables,
                        Number(database, "SELECT count(*) FROM sqlite_master"));
  TERN_ASSIGN_OR_RETURN(const int64_t application, Number(database, "PRAGMA application_id"));
  if (tables > 0 && application != kApplication)
    return Fail(Code::kInvalidArgument,
                "{}: is a database of another program (application id {}); it was left as it is",
                database.path(), application);
  if (before > wanted)
    return Fail(Code::kUnsupported,
                "{}: has schema {}, this tern knows {} and older; it was left as it is",
                database.path(), before, wanted);
  if (before == wanted) return {};
  TERN_ASSIGN_OR_RETURN(SqlTransaction transaction, SqlTransaction::Begin(database));
  // Again, now that nobody else can do it at the same time.
  TERN_ASSIGN_OR_RETURN(const int64_t locked, version());
  for (int64_t step = locked; step < wanted; ++step)
    TERN_TRY(database.Run(kSteps[static_cast<size_t>(step)]));
  TERN_TRY(database.Run(
      fmt::format("PRAGMA application_id = {}; PRAGMA user_version = {}", kApplication, wanted)));
  return transaction.Commit();
}

}  // namespace tern

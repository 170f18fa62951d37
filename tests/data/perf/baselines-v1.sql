PRAGMA application_id = 1952805486;
PRAGMA user_version = 1;
CREATE TABLE run (
  id INTEGER PRIMARY KEY, uuid TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
  recorded_at TEXT NOT NULL, commit_id TEXT NOT NULL, program TEXT NOT NULL,
  version TEXT NOT NULL, compiler TEXT NOT NULL, flags TEXT NOT NULL,
  machine TEXT NOT NULL CHECK (json_valid(machine)),
  limits TEXT NOT NULL CHECK (json_valid(limits)));
CREATE TABLE result (
  id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL REFERENCES run(id),
  benchmark TEXT NOT NULL, parameters TEXT NOT NULL, metric TEXT NOT NULL,
  more_is_better INTEGER NOT NULL, samples TEXT NOT NULL CHECK (json_valid(samples)));
INSERT INTO run VALUES
  (1, 'aa01', 'main', '2026-10-01T10:00:00Z', 'c0ffee1', 'tern', '0.0.9', 'GNU 12.2.0', '-O3',
   '{"cpu": "Old CPU", "features": "avx2", "cpus": 4, "l1d": 32768, "l2": 1048576, "l3": 8388608}',
   '[{"name": "dram read", "unit": "GB/s", "one": 10, "all": 20.5},
     {"name": "int8 avx2", "unit": "TOPS", "one": 0.25, "all": 0.5}]'),
  (2, 'aa02', 'main', '2026-10-02T10:00:00Z', 'c0ffee2', 'tern', '0.0.9', 'GNU 12.2.0', '-O3',
   '{"cpu": "Old CPU", "features": "avx2", "cpus": 4, "l1d": 32768, "l2": 1048576, "l3": 8388608}', '[]'),
  (3, 'aa03', 'laptop', '2026-10-03T10:00:00Z', '', 'tern', '0.0.9', '', '', '{"cpu": "New CPU"}', '[]');
INSERT INTO result VALUES
  (1, 1, 'pp512', '-p 512', 'samples_ts', 1, '[240.5, 238.25, 241]'),
  (2, 1, 'tg128', '-n 128', 'samples_ts', 1, '[20, 19.5]'),
  (3, 2, 'pp512', '-p 512', 'samples_ts', 1, '[]');

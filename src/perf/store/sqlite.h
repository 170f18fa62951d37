// The little of SQLite's interface that the store needs, with errors as values.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace tern {

/// A prepared statement; parameters and columns count from 0. Thread rule: that of its database.
class SqlStatement {
 public:
  SqlStatement& Bind(int64_t value);
  SqlStatement& Bind(double value);
  SqlStatement& Bind(std::string_view value);

  /// True: there is a row. Errors as Database has them.
  Result<bool> Step();
  /// Steps a statement that gives no rows.
  Status Run();
  /// Ready to be bound and stepped again.
  void Reset();

  bool IsNull(int column) const;
  int64_t Int(int column) const;
  double Real(int column) const;
  std::string Text(int column) const;

 private:
  friend class SqlDatabase;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  SqlStatement(sqlite3_stmt* statement, const std::string* path)
      : statement_(statement), path_(path) {}

  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  const std::string* path_;
  int bound_ = 0;
};

/// One connection. Errors name the file: kCorrupt for what is no database or a damaged one,
/// kResourceExhausted for a database that others keep locked and for a full disk, kNotFound for a
/// file that can't be opened, kInternal for the rest. Thread rule: one thread at a time.
class SqlDatabase {
 public:
  /// Creates the file unless it exists (its folder has to). busy_ms: how long to wait for others.
  static Result<SqlDatabase> Open(const std::string& path, int busy_ms);

  /// Runs statements that give no rows.
  Status Run(const std::string& sql);
  Result<SqlStatement> Prepare(std::string_view sql);
  /// The first column of the first row; "" when there is no row.
  Result<std::string> Value(std::string_view sql);
  int64_t LastRow() const;
  const std::string& path() const { return *path_; }

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  SqlDatabase() = default;

  std::unique_ptr<sqlite3, Close> database_;
  std::unique_ptr<std::string> path_;  // statements point to it
};

/// BEGIN IMMEDIATE now, ROLLBACK at the end of the scope unless Commit was reached.
class SqlTransaction {
 public:
  static Result<SqlTransaction> Begin(SqlDatabase& database);
  SqlTransaction(SqlTransaction&& other) noexcept
      : database_(std::exchange(other.database_, nullptr)) {}
  SqlTransaction& operator=(SqlTransaction&&) = delete;
  ~SqlTransaction();
  Status Commit();

 private:
  explicit SqlTransaction(SqlDatabase* database) : database_(database) {}
  SqlDatabase* database_;
};

}  // namespace tern

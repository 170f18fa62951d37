#include "perf/store/sqlite.h"

#include <sqlite3.h>

namespace tern {
namespace {

tl::unexpected<Error> Failure(sqlite3* database, int code, const std::string& path) {
  const std::string said = database ? sqlite3_errmsg(database) : sqlite3_errstr(code);
  switch (code & 0xff) {
    case SQLITE_NOTADB:
      return Fail(Code::kCorrupt, "{}: is not an SQLite database; it was left as it is", path);
    case SQLITE_CORRUPT:
      return Fail(Code::kCorrupt,
                  "{}: the database is damaged ({}); it was left as it is: `sqlite3 FILE .recover` "
                  "may save what is in it",
                  path, said);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Fail(Code::kResourceExhausted,
                  "{}: the database is locked by another program; nothing was written", path);
    case SQLITE_FULL:
      return Fail(Code::kResourceExhausted, "{}: the disk is full; nothing was written", path);
    case SQLITE_READONLY:
      return Fail(Code::kInvalidArgument, "{}: may only be read", path);
    case SQLITE_CANTOPEN:
      return Fail(Code::kNotFound, "{}: can't be opened or created", path);
    default:
      return Fail(Code::kInternal, "{}: {}", path, said);
  }
}

}  // namespace

void SqlStatement::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

SqlStatement& SqlStatement::Bind(int64_t value) {
  sqlite3_bind_int64(statement_.get(), ++bound_, value);
  return *this;
}
SqlStatement& SqlStatement::Bind(double value) {
  sqlite3_bind_double(statement_.get(), ++bound_, value);
  return *this;
}
SqlStatement& SqlStatement::Bind(std::string_view value) {
  sqlite3_bind_text64(statement_.get(), ++bound_, value.empty() ? "" : value.data(), value.size(),
                      SQLITE_TRANSIENT, SQLITE_UTF8);
  return *this;
}

Result<bool> SqlStatement::Step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return Failure(sqlite3_db_handle(statement_.get()), code, *path_);
}

Status SqlStatement::Run() {
  TERN_TRY(Step());
  Reset();
  return {};
}

void SqlStatement::Reset() {
  sqlite3_reset(statement_.get());
  bound_ = 0;
}

bool SqlStatement::IsNull(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}
int64_t SqlStatement::Int(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}
double SqlStatement::Real(int column) const {
  return sqlite3_column_double(statement_.get(), column);
}
std::string SqlStatement::Text(int column) const {
  const auto* text = sqlite3_column_text(statement_.get(), column);
  const auto bytes = static_cast<size_t>(sqlite3_column_bytes(statement_.get(), column));
  return text ? std::string(reinterpret_cast<const char*>(text), bytes) : "";
}

void SqlDatabase::Close::operator()(sqlite3* database) const { sqlite3_close_v2(database); }

Result<SqlDatabase> SqlDatabase::Open(const std::string& path, int busy_ms) {
  SqlDatabase opened;
  opened.path_ = std::make_unique<std::string>(path);
  sqlite3* raw = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  opened.database_.reset(raw);  // also a failed one has to be closed
  if (code != SQLITE_OK) return Failure(raw, code, path);
  sqlite3_extended_result_codes(raw, 1);
  sqlite3_busy_timeout(raw, busy_ms);
  return opened;
}

Status SqlDatabase::Run(const std::string& sql) {
  const int code = sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return Failure(database_.get(), code, path());
  return {};
}

Result<SqlStatement> SqlDatabase::Prepare(std::string_view sql) {
  sqlite3_stmt* raw = nullptr;
  const int code =
      sqlite3_prepare_v2(database_.get(), sql.data(), static_cast<int>(sql.size()), &raw, nullptr);
  if (code != SQLITE_OK) return Failure(database_.get(), code, path());
  return SqlStatement(raw, path_.get());
}

Result<std::string> SqlDatabase::Value(std::string_view sql) {
  TERN_ASSIGN_OR_RETURN(SqlStatement statement, Prepare(sql));
  TERN_ASSIGN_OR_RETURN(const bool found, statement.Step());
  return found ? statement.Text(0) : "";
}

int64_t SqlDatabase::LastRow() const { return sqlite3_last_insert_rowid(database_.get()); }

Result<SqlTransaction> SqlTransaction::Begin(SqlDatabase& database) {
  TERN_TRY(database.Run("BEGIN IMMEDIATE"));
  return SqlTransaction(&database);
}

SqlTransaction::~SqlTransaction() {
  if (database_) (void)database_->Run("ROLLBACK");  // an error took the transaction back already
}

Status SqlTransaction::Commit() {
  TERN_TRY(database_->Run("COMMIT"));
  database_ = nullptr;
  return {};
}

}  // namespace tern

// Answers on disk, one record each, written so that a killed process can go on where it was.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/result.h"
#include "batch/prompt_file.h"

namespace tern {

struct BatchResult {
  std::string text;
  std::string finish;  // FinishReasonName
  int64_t prompt_tokens = 0;
  int64_t generated_tokens = 0;
  std::optional<Error> error;  // instead of the above
};

/// Which answer a record is.
struct RecordKey {
  int64_t line = 0;
  uint64_t item = 0;  // BatchItem::key
  uint64_t settings = 0;
  bool error = false;  // the record says one
};

/// A .jsonl or .csv file of results. Each record names the line of its item and a key of what the
/// item says and of the settings: that is how a record is known to be the answer to an item. A
/// record goes out in one write, and to the disk after `sync_every` at the latest: what a power cut
/// takes is computed again. Only one process at a time can have it open. Thread rule: one thread.
class ResultFile {
 public:
  /// Opens what is there, or creates it; a last record that is torn is cut off. settings: digest of
  /// everything besides the item that shapes an answer. Errors: the name says no format, another
  /// process writes to the file, what is in it is no result of ours, the disk.
  static Result<std::unique_ptr<ResultFile>> Open(const std::string& path, uint64_t settings);
  /// The next record syncs when so much time has passed since the last sync (default: a second).
  void set_sync_every(std::chrono::milliseconds time) { sync_every_ = time; }
  ~ResultFile();
  ResultFile(const ResultFile&) = delete;
  ResultFile& operator=(const ResultFile&) = delete;

  /// Compares what is there with the prompts, from first to last; returns how many prompts there
  /// are, and rewinds them. Errors: kInvalidArgument when the file belongs to other prompts or
  /// settings; the message says which.
  Result<int64_t> CheckAgainst(PromptFile& prompts, const std::string& prompts_path) const;

  bool Has(const BatchItem& item) const { return done_.contains(item.line); }
  size_t size() const { return done_.size(); }
  /// Records that say an error.
  size_t errors() const { return errors_; }
  /// Bytes of a torn record that were cut off when the file was opened.
  size_t cut_bytes() const { return cut_bytes_; }

  /// The item must not have a result. Errors: kResourceExhausted for a full disk, and so on; then
  /// no part of the record is left.
  Status Append(const BatchItem& item, const BatchResult& result);
  /// To the disk, now.
  Status Sync();

 private:
  using Clock = std::chrono::steady_clock;

  ResultFile(std::string path, bool csv, uint64_t settings, int fd);
  /// Reads what is there and cuts off what is torn.
  Status Recover();
  /// Bytes of whole records at the beginning.
  Result<size_t> ReadRecords(std::string_view text);
  Status Keep(const RecordKey& key, const std::string& where);
  Status Write(std::string_view bytes);
  tl::unexpected<Error> Failed(const char* what) const;

  std::string path_;
  bool csv_;
  uint64_t settings_;
  int fd_;
  int64_t end_ = 0;                              // of the last whole record
  std::unordered_map<int64_t, RecordKey> done_;  // by line
  size_t errors_ = 0;
  size_t cut_bytes_ = 0;
  std::chrono::milliseconds sync_every_{1000};
  Clock::time_point synced_ = Clock::now();
};

}  // namespace tern

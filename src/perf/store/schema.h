// The tables of a baseline file, version by version.
#pragma once

#include "perf/store/sqlite.h"

namespace tern {

/// Creates the tables in an empty database, or brings those of an older version up to this one, in
/// one transaction. Errors: as BaselineStore::Open has them.
Status BringToSchema(SqlDatabase& database, int wanted);

}  // namespace tern

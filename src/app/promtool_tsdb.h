/* SPDX-License-Identifier: Apache-2.0 */
/* promtool_tsdb.h — what the sub-commands of promtool tsdb share. */
#ifndef APP_PROMTOOL_TSDB_H
#define APP_PROMTOOL_TSDB_H

#include "tsdb/db/db.h"

/* The blocks of a data directory, ascending by mint, for db_blocks_done(); also what was opened before an error. */
struct error *promtool_blocks_open(const char *dir, BlockVec *ret) MUST_CHECK;

#endif

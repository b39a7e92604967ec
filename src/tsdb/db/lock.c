/* SPDX-License-Identifier: Apache-2.0 */
/* The file `lock`.  Upstream: tsdb/tsdbutil/dir_locker.go, tsdb/fileutil/flock_unix.go. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/log.h"
#include "tsdb/db/state.h"

struct error *db_lock_dir(struct db *db)
{
        bool is_left = !db->opts.no_lockfile && file_exists(db->lock_path);
        mutex_lock(&db->mu);
        db->stats.clean_start = db->opts.no_lockfile ? -1 : !is_left;
        mutex_unlock(&db->mu);
        if (db->opts.no_lockfile)
                return NULL;
        if (is_left)
                log_warn(DB_COMPONENT, "A lockfile from a previous execution already existed. It was replaced",
                         KV_S("file", db->lock_path));
        int fd = open(db->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0)
                return error_errno(errno, "lock DB directory: open %s", db->lock_path);
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
                int why = errno;
                close(fd);
                return error_errno(why, "lock DB directory");
        }
        db->lock_fd = fd;
        return NULL;
}

struct error *db_unlock_dir(struct db *db)
{
        if (db->lock_fd < 0)
                return NULL;
        close(db->lock_fd);
        db->lock_fd = -1;
        return unlink(db->lock_path) < 0 ? error_errno(errno, "remove %s", db->lock_path) : NULL;
}

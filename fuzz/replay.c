/* SPDX-License-Identifier: Apache-2.0 */
/* replay.c — feeds files to a fuzz target without libFuzzer:  replay_<name> FOLDER-OR-FILE...
 * A folder is walked; one that is missing is told as skipped (the shared conformance data is not in every clone). Relative
 * folders that start with "conformance/" are looked up under $COEUS_SHARED or ../shared beside the repository. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t fed;

static void feed_file(const char *path, size_t size)
{
        FILE *f = fopen(path, "rb");
        if (!f) {
                fprintf(stderr, "%s: %s\n", path, strerror(errno));
                exit(1);
        }
        uint8_t *data = malloc(size + 1);       /* exactly size bytes are the target's: ASan watches the end */
        if (!data)
                abort();
        size_t n = fread(data, 1, size, f);
        fclose(f);
        uint8_t *exact = n ? malloc(n) : NULL;
        if (n) {
                if (!exact)
                        abort();
                memcpy(exact, data, n);
        }
        free(data);
        LLVMFuzzerTestOneInput(exact ? exact : (const uint8_t *)"", n);
        free(exact);
        fed++;
}

static void feed(const char *path)
{
        struct stat st;
        if (stat(path, &st)) {
                printf("SKIP %s: %s\n", path, strerror(errno));
                return;
        }
        if (!S_ISDIR(st.st_mode)) {
                if (S_ISREG(st.st_mode) && st.st_size < 4 << 20)
                        feed_file(path, (size_t)st.st_size);
                return;
        }
        struct dirent **names = NULL;
        int n = scandir(path, &names, NULL, alphasort);
        for (int i = 0; i < n; i++) {
                char *child = NULL;
                if (names[i]->d_name[0] != '.' && asprintf(&child, "%s/%s", path, names[i]->d_name) >= 0)
                        feed(child);
                free(child);
                free(names[i]);
        }
        free(names);
}

int main(int argc, char **argv)
{
        LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
        fed++;
        for (int i = 1; i < argc; i++) {
                if (strncmp(argv[i], "conformance/", 12) == 0) {
                        const char *shared = getenv("COEUS_SHARED");
                        const char *root = getenv("COEUS_SOURCE_ROOT");
                        char *path = NULL;
                        int rc = shared && *shared ? asprintf(&path, "%s/%s", shared, argv[i])
                                                   : asprintf(&path, "%s/../shared/%s", root ? root : ".", argv[i]);
                        if (rc < 0)
                                abort();
                        feed(path);
                        free(path);
                } else {
                        feed(argv[i]);
                }
        }
        printf("1 passed, 0 failed (%zu inputs)\n", fed);
        return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* main.c — the table of roles. The role is the name we were called by, or the first argument. */
#include <stdio.h>
#include <string.h>

#include "app/roles.h"
#include "base/compiler.h"

/* What jemalloc reads when it starts; MALLOC_CONF in the environment goes before it. The head has slabs of its own, so few
 * arenas are enough; freed pages go back to the kernel after a second: what a large query took is not kept. */
extern const char *malloc_conf;
const char *malloc_conf = "narenas:2,dirty_decay_ms:1000,muzzy_decay_ms:0,lg_tcache_max:13";

/* libcurl brings GnuTLS for protocols that we never speak (RTMP, LDAP). Its constructor asks this, by a weak symbol of its own
 * (GNUTLS_SKIP_GLOBAL_INIT), whether to leave the start to those who need it: it had 0.8 MiB resident in a sidecar. A libcurl that is
 * built on GnuTLS starts it by itself. */
int _gnutls_global_init_skip(void); /* NOLINT: the name is theirs */
int _gnutls_global_init_skip(void)  /* NOLINT */
{
        return 1;
}

struct role {
        const char *name;
        const char *what;
        int (*run)(int argc, char **argv);      /* argv[0] is the role's name; returns the exit code */
};

static int help_run(int argc, char **argv);
static int version_run(int argc, char **argv);

static const struct role roles[] = {
        {"up", "all of it in one process: watches this host, no configuration needed", up_run},
        {"prometheus", "the Prometheus server: its flags, configuration file, data directory and API", prometheus_run},
        {"thanos", "the Thanos components: coeus thanos store, …", thanos_run},
        {"promtool", "checks, queries and edits for users of Prometheus: coeus promtool query instant, …", promtool_run},
        {"doctor", "looks at an install and says what is wrong and what to do about it", doctor_run},
        {"help", "print this", help_run},
        {"version", "print the version", version_run},
};

static int help_run(int argc, char **argv)
{
        (void)argc;
        (void)argv;
        puts("usage: coeus <role> [flags]\n\nA link with the name of a role that points to coeus does the same. coeus <role> --help shows its flags.\n\nRoles:");
        for (size_t i = 0; i < ARRAY_LEN(roles); i++)
                printf("  %-12s %s\n", roles[i].name, roles[i].what);
        return 0;
}

static int version_run(int argc, char **argv)
{
        (void)argc;
        (void)argv;
        puts("coeus " COEUS_VERSION);
        return 0;
}

static const struct role *role_find(const char *name)
{
        for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
                if (strcmp(roles[i].name, name) == 0)
                        return &roles[i];
        }
        return NULL;
}

int main(int argc, char **argv)
{
        const char *slash = strrchr(argv[0], '/');
        const struct role *r = role_find(slash ? slash + 1 : argv[0]);
        if (r)
                return r->run(argc, argv);
        if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
                return help_run(argc, argv);
        if (strcmp(argv[1], "--version") == 0)
                return version_run(argc, argv);
        r = role_find(argv[1]);
        if (!r) {
                fprintf(stderr, "coeus: unknown role \"%s\", try \"coeus help\"\n", argv[1]);
                return 1;
        }
        return r->run(argc - 1, argv + 1);
}

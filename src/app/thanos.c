/* SPDX-License-Identifier: Apache-2.0 */
/* thanos.c — the role thanos: its sub-commands, one file each. */
#include <stdio.h>
#include <string.h>

#include "app/roles.h"
#include "app/thanos_common.h"

static const struct command {
        const char *name, *what;
        int (*run)(int argc, char **argv); /* argv[0] is the sub-command's name */
} commands[] = {
        {"sidecar", "a Prometheus as a StoreAPI, its blocks into a bucket", thanos_sidecar_run},
        {"store", "the blocks of a bucket as a StoreAPI", thanos_store_run},
        {"query", "PromQL over the series of many stores", thanos_query_run},
};

static void usage(FILE *to)
{
        fputs("usage: coeus thanos <command> [<flags>]\n\nCommands:\n", to);
        for (size_t i = 0; i < ARRAY_LEN(commands); i++)
                fprintf(to, "  %-12s %s\n", commands[i].name, commands[i].what);
        fputs("\ncoeus thanos <command> --help shows its flags.\n", to);
}

int thanos_run(int argc, char **argv)
{
        if (argc < 2) {
                usage(stderr);
                return 0;
        }
        if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
                usage(stdout);
                return 0;
        }
        if (strcmp(argv[1], "--version") == 0) {
                puts("thanos, coeus " COEUS_VERSION);
                return 0;
        }
        for (size_t i = 0; i < ARRAY_LEN(commands); i++)
                if (strcmp(argv[1], commands[i].name) == 0)
                        return commands[i].run(argc - 1, argv + 1);
        fprintf(stderr, "thanos: error: expected command but got \"%s\"\n", argv[1]);
        return 1;
}

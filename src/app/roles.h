/* SPDX-License-Identifier: Apache-2.0 */
/* roles.h — the roles: each takes its command line (argv[0] is the role's name) and returns the exit code. The table is in main.c. */
#ifndef APP_ROLES_H
#define APP_ROLES_H

int prometheus_run(int argc, char **argv);
int up_run(int argc, char **argv);
int thanos_run(int argc, char **argv);
int promtool_run(int argc, char **argv);
int doctor_run(int argc, char **argv);

#endif

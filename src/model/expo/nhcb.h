/* SPDX-License-Identifier: Apache-2.0 */
/* nhcb.h — private to expo/: the entries of a text with its classic histograms turned into native ones with custom
 * buckets. The series of a histogram come one after the other; when another series, type or the end follows, what was
 * collected is given as one EXPO_HISTOGRAM before it. What contradicts itself stays as it was without a word (but the
 * series, which are gone unless keep_classic).  Upstream: model/textparse/nhcbparse.go */
#ifndef MODEL_EXPO_NHCB_H
#define MODEL_EXPO_NHCB_H

#include "model/expo/parse.h"

struct expo_nhcb *expo_nhcb_new(bool keep_classic);
void expo_nhcb_free(struct expo_nhcb *n); /* NULL is fine */
struct error *expo_nhcb_next(struct expo_nhcb *n, struct expo_parser *p, struct expo_entry *x) MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics in Prometheus' text format 0.0.4, appended to a text. Names follow Prometheus' rules: a unit at the end, base
 * units only (seconds, bytes), "_total" for counters.
 */
#pragma once

#include <glib.h>

/* The following samples belong to the metric @name; @type is "gauge", "counter" or "histogram". */
void expose_metric(GString *text, const char *name, const char *type, const char *help);

/* One sample; @labels NULL: none. */
void expose_sample(GString *text, const char *name, const char *labels, double value);

/* {name="value",...} of pairs, ending with NULL. The caller frees. */
char *expose_labels(const char *name, const char *value, ...) G_GNUC_NULL_TERMINATED G_GNUC_WARN_UNUSED_RESULT;

/* process_*: of this process, with the names of Prometheus' client libraries. */
void expose_process(GString *text);

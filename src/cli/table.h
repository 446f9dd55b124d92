/* SPDX-License-Identifier: Apache-2.0 */
/* Text tables whose columns are as wide as their widest cell. */
#pragma once

#include <glib.h>
#include <stdint.h>

typedef struct Table Table;

/* @headings is NULL-terminated and must outlive the table. */
Table *table_new(const char *const *headings) G_GNUC_WARN_UNUSED_RESULT;
void table_free(Table *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Table, table_free)

/* The next cell, row by row; takes ownership of @cell. */
void table_add(Table *table, char *cell);

/* Prints the table, each line indented by @indent. */
void table_print(const Table *table, const char *indent);

/* "512 MiB", rounded down, or "-" for nothing. The caller frees. */
char *table_size(uint64_t bytes);

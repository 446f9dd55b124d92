/* SPDX-License-Identifier: Apache-2.0 */
/* One line for each case of a plan of "set", in the notation of notation.h. */
#pragma once

#include "notation.h"

typedef struct {
  const char *name, *vm, *wish;
  const char *expected; /* as plan_text_take() spells it */
} SetCase;

/* Adds each as the test "/set/GROUP/NAME". */
void set_table_add(const char *group, const SetCase *cases, gsize count);

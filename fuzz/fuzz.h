/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fuzz target is a file with this one function, of libFuzzer's name. It must return whatever the input is, and abort
 * (g_assert) where a promise is broken. libFuzzer calls it in scripts/fuzz, replay.c with the corpus in every build.
 */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

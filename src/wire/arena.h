/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for the many small parts of a tree, freed all at once. Not for other layers. */
#pragma once

#include <glib.h>

typedef struct Arena Arena;

Arena *arena_new(void) G_GNUC_WARN_UNUSED_RESULT;
void arena_free(Arena *arena); /* and what it adopted */

/* Zeroed, aligned for any plain type; lives as long as the arena. */
gpointer arena_alloc(Arena *arena, gsize size);

/* A copy of @length bytes with a NUL appended. */
char *arena_copy(Arena *arena, const char *text, gsize length);

/* From now on @other lives as long as @arena, and can still be used. */
void arena_adopt(Arena *arena, Arena *other);

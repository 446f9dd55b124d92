/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a user should know about a plan, its outcome, or missing reports of a guest: a code for programs and a sentence
 * for people. The sentences are in notes.def.
 */
#pragma once

#include <glib.h>

typedef enum {
#define NOTE(code, name, sentence) DM_NOTE_##code,
#include "words/notes.def"
#undef NOTE
  DM_NOTE_CODES
} DmNoteCode;

/* Format strings, as arrays so that the compiler checks their arguments. */
#define NOTE(code, name, sentence) static const char DM_NOTE_##code##_SENTENCE[] = sentence;
#include "words/notes.def"
#undef NOTE

typedef struct {
  DmNoteCode code;
  char *text;
} DmNote;

/* dm_note_new(DM_NOTE_..., arguments of its sentence): the caller owns it. */
#define dm_note_new(code, ...) dm_note_format(code, code##_SENTENCE, ##__VA_ARGS__)
DmNote *dm_note_format(DmNoteCode code, const char *sentence, ...) G_GNUC_PRINTF(2, 3) G_GNUC_WARN_UNUSED_RESULT;
DmNote *dm_note_copy(const DmNote *note) G_GNUC_WARN_UNUSED_RESULT;
void dm_note_free(DmNote *note);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmNote, dm_note_free)

/* "left-out", ...: stable, in JSON and the API. */
const char *dm_note_name(const DmNote *note);

/* A list of DmNote that owns them; dm_notes_add(notes, DM_NOTE_..., arguments of its sentence). */
GPtrArray *dm_notes_new(void) G_GNUC_WARN_UNUSED_RESULT;
#define dm_notes_add(notes, code, ...) g_ptr_array_add(notes, dm_note_new(code, ##__VA_ARGS__))
GPtrArray *dm_notes_copy(const GPtrArray *notes) G_GNUC_WARN_UNUSED_RESULT;

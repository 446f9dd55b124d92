/* SPDX-License-Identifier: Apache-2.0 */
#include "words/note.h"

#include <stdarg.h>

DmNote *dm_note_format(DmNoteCode code, const char *sentence, ...) {
  DmNote *note = g_new(DmNote, 1);
  va_list arguments;
  va_start(arguments, sentence);
  note->code = code;
  note->text = g_strdup_vprintf(sentence, arguments);
  va_end(arguments);
  return note;
}

DmNote *dm_note_copy(const DmNote *note) {
  DmNote *copy = g_new(DmNote, 1);
  copy->code = note->code;
  copy->text = g_strdup(note->text);
  return copy;
}

void dm_note_free(DmNote *note) {
  if (note == NULL)
    return;
  g_free(note->text);
  g_free(note);
}

const char *dm_note_name(const DmNote *note) {
  static const char *const names[] = {
#define NOTE(code, name, sentence) [DM_NOTE_##code] = (name),
#include "words/notes.def"
#undef NOTE
  };
  G_STATIC_ASSERT(G_N_ELEMENTS(names) == DM_NOTE_CODES);
  return names[note->code];
}

static void free_note(gpointer note) {
  dm_note_free(note);
}

static gpointer copy_note(gconstpointer note, gpointer data) {
  return dm_note_copy(note);
}

GPtrArray *dm_notes_new(void) {
  return g_ptr_array_new_with_free_func(free_note);
}

GPtrArray *dm_notes_copy(const GPtrArray *notes) {
  return g_ptr_array_copy((GPtrArray *)notes, copy_note, NULL);
}

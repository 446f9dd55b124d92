/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration of dimmerd: one table of keys (keys.c), from which a file is read, wrong keys are told, the help is
 * printed, and documents are held against. A Settings is complete: what no file says has its default.
 */
#pragma once

#include <glib.h>
#include <stdint.h>

typedef struct {
  char *file; /* it was read from; NULL: there was none */

  char *address;                /* numeric */
  guint port;                   /* 0: the system chooses */
  char *certificate, *key, *ca; /* paths; "": none */
  char *web;                    /* a path */
  double answer_timeout;        /* seconds, as all times here that do not say otherwise */
  char **connections;
  double guest_timeout, shutdown_timeout;
  char *users_file;
  double token_idle;
  char *database_file;
  guint event_days;
  guint max_connections;
  uint64_t max_body; /* bytes */
  double idle_timeout, request_timeout;
  char *log_level, *log_target;

  char *certificate_text, *key_text, *ca_text; /* what is in these files; NULL: none */
} Settings;

/*
 * Reads @file (NULL: the default place, where one may be missing), and the certificate files that it names. NULL with
 * an error that names file, line, section and key, the value, and what is allowed.
 */
Settings *settings_load(const char *file, GError **error);
void settings_free(Settings *settings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Settings, settings_free)

/*
 * Takes those values of @newer into @settings that a running dimmerd can change. Returns the names (char;
 * the caller unrefs) of all others that differ: "[server] port". These take a restart.
 */
GPtrArray *settings_take(Settings *settings, const Settings *newer);

/* ---- keys.c ---- */

typedef enum {
  KEY_ADDRESS,
  KEY_CHOICE,  /* of the words in allowed, with a bar between them */
  KEY_FILE,    /* relative to the configuration file */
  KEY_NUMBER,  /* whole, a guint */
  KEY_SECONDS, /* a double */
  KEY_SIZE,    /* uint64_t bytes */
  KEY_WORDS,   /* with blanks between them */
} KeyKind;

typedef struct {
  const char *section, *name;
  KeyKind kind;
  gsize offset;         /* in Settings */
  const char *standard; /* the default as a file would have it; with find: what it finds for the system's service */
  char *(*find)(void);  /* finds the default; NULL: it is standard */
  double least, most;   /* of numbers, seconds and sizes */
  const char *allowed;  /* of KEY_CHOICE */
  gboolean live;        /* a running dimmerd can change it */
  const char *meaning;
} Key;

extern const Key keys[];
extern const gsize keys_count;

/* NULL: there is none. */
const Key *key_find(const char *section, const char *name);
/* The section and the name that resemble these the most. */
const char *key_nearest_section(const char *section);
const char *key_nearest_name(const char *section, const char *name);

/* Prints the table as the help has it. */
void keys_print(void);

/*
 * Reads @text into the field; a path is relative to @folder. FALSE with DM_ERROR_BAD_VALUE that says what is allowed,
 * and the field as it was.
 */
gboolean key_read(const Key *key, const char *text, const char *folder, Settings *settings, GError **error);
void key_clear(const Key *key, Settings *settings);
gboolean key_equal(const Key *key, const Settings *one, const Settings *other);

/* ---- places.c: what depends on who runs dimmerd; all freed by the caller ---- */

char *place_configuration(void); /* of the file that is read where none is named */
char *place_users(void);
char *place_database(void);
char *place_connection(void);
char *place_web(void); /* the folder of the WebAdmin page */

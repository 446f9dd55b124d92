/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration of dimmerd: one table of keys (keys.c), used to read a file, report wrong keys, print the help and
 * check the documents. A Settings is complete: what no file sets has its default.
 */
#pragma once

#include <glib.h>
#include <stdint.h>

typedef struct {
  char *file; /* file it was read from; NULL: none */

  char *address;                /* numeric */
  guint port;                   /* 0: chosen by the system */
  char *certificate, *key, *ca; /* paths; "": none */
  char *web;                    /* a path */
  double answer_timeout;        /* seconds, as all times here unless noted */
  char **trusted_proxies;
  char **connections, **plug_kinds, **plug_policies;
  double guest_timeout, shutdown_timeout, balloon_statistics;
  char *users_file;
  double token_idle, token_life;
  char *database_file;
  double event_retention;
  guint max_connections, max_per_address;
  uint64_t max_body; /* bytes */
  double idle_timeout, request_timeout;
  char *log_level, *log_target;
  char *vm_metrics;

  char *certificate_text, *key_text, *ca_text; /* contents of these files; NULL: none */
} Settings;

/*
 * Reads @file (NULL: the default path, where it may be missing), and the certificate files it names. NULL with an error
 * that names file, line, section and key, the value, and what is allowed.
 */
Settings *settings_load(const char *file, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void settings_free(Settings *settings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Settings, settings_free)

/*
 * Copies those values of @newer into @settings that a running dimmerd can change. Returns the names (char; the caller
 * unrefs) of all others that differ: "[server] port". These need a restart.
 */
GPtrArray *settings_take(Settings *settings, const Settings *newer) G_GNUC_WARN_UNUSED_RESULT;

/* ---- keys.c ---- */

typedef enum {
  KEY_ADDRESS,
  KEY_CHOICE,   /* one of the words in allowed, separated by bars */
  KEY_CHOICES,  /* such words, each for every connection, or as URI=WORD for one; separated by blanks */
  KEY_FILE,     /* relative to the configuration file */
  KEY_NETWORKS, /* addresses too, separated by blanks; or none */
  KEY_NUMBER,   /* whole, a guint */
  KEY_SECONDS,  /* a double */
  KEY_SIZE,     /* uint64_t bytes */
  KEY_WORDS,    /* separated by blanks */
} KeyKind;

typedef struct {
  const char *section, *name;
  KeyKind kind;
  gsize offset;            /* in Settings */
  const char *standard;    /* the default as written in a file; with find: what it returns for the system's service */
  char *(*find)(void);     /* determines the default; NULL: it is standard */
  double least, most;      /* limits of numbers, seconds and sizes */
  const char *allowed;     /* of KEY_CHOICE */
  gboolean live;           /* a running dimmerd can change it */
  const char *former;      /* former name, still accepted; NULL: none */
  const char *former_unit; /* reads a value under that name; NULL: as under this one */
  const char *meaning;
} Key;

extern const Key keys[];
extern const gsize keys_count;

/* Finds a key by present or former name. NULL: none. */
const Key *key_find(const char *section, const char *name);
/* The section and name most similar to these. */
const char *key_nearest_section(const char *section);
const char *key_nearest_name(const char *section, const char *name);

/* Prints the table for the help. */
void keys_print(void);

/*
 * Reads @text into the field; a path is relative to @folder. FALSE with DM_ERROR_BAD_VALUE that says what is allowed,
 * and the field unchanged.
 */
gboolean key_read(
  const Key *key, const char *text, const char *folder, Settings *settings, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void key_clear(const Key *key, Settings *settings);
gboolean key_equal(const Key *key, const Settings *one, const Settings *other);

/* ---- places.c: defaults that depend on the user running dimmerd; all freed by the caller ---- */

char *place_configuration(void) G_GNUC_WARN_UNUSED_RESULT; /* of the default configuration file */
char *place_users(void) G_GNUC_WARN_UNUSED_RESULT;
char *place_database(void) G_GNUC_WARN_UNUSED_RESULT;
char *place_connection(void) G_GNUC_WARN_UNUSED_RESULT;
char *place_web(void) G_GNUC_WARN_UNUSED_RESULT; /* the folder of the WebAdmin page */

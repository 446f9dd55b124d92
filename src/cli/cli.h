/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: a table of verbs, one file each. A verb reads its options, does its work through the engine, and
 * returns an exit status of base/error.h. Everything runs in the main thread.
 */
#pragma once

#include <glib.h>

#include "base/error.h"
#include "engine/change.h"
#include "hypervisor/domain.h"

typedef struct {
  const char *name;
  const char *arguments; /* as in the usage line */
  const char *summary;   /* one line for the list of verbs */
  int (*run)(int argc, char **argv);
  gboolean only_prints; /* changes nothing */
} DmVerb;

int verb_doctor(int argc, char **argv);
int verb_enable(int argc, char **argv);
int verb_guest(int argc, char **argv);
int verb_list(int argc, char **argv);
int verb_plug(int argc, char **argv);
int verb_set(int argc, char **argv);
int verb_settle(int argc, char **argv);
int verb_show(int argc, char **argv);
int verb_unplug(int argc, char **argv);

/* ---- options.c ---- */

/* Options that every verb has. Owned by the verb; free with options_clear(). */
typedef struct {
  char *uri;     /* NULL: libvirt's default */
  char *output;  /* "text" or "json" as given */
  gboolean json; /* what it means */
} CommonOptions;

void options_clear(CommonOptions *common);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CommonOptions, options_clear)

/* Whether the arguments ask for JSON, as far as can be told before they are parsed. */
gboolean options_want_json(int argc, char **argv);

/*
 * Reads @argv by @entries (may be NULL) and the common options; prints the help and leaves the program for --help. What
 * is left in @argv behind the verb's name are its operands: at least @min and at most @max of them (-1: any number),
 * else FALSE with DM_ERROR_USAGE.
 */
gboolean options_parse(const DmVerb *verb, const char *description, const GOptionEntry *entries, CommonOptions *common,
  int *argc, char ***argv, int min, int max, GError **error);

/* The size in the option @name; FALSE with an error that names the option. */
gboolean options_size(const char *name, const char *text, uint64_t *bytes, GError **error);

/* "30", "30s", "2m", "500ms" in seconds. */
gboolean options_seconds(const char *name, const char *text, double *seconds, GError **error);

/* A whole number from @least to @most. */
gboolean options_number(const char *name, const char *text, guint least, guint most, guint *number, GError **error);

/* What the error says to somebody who has a command line: its message, with the command that is the remedy. */
char *options_message(const GError *error);

/* Prints the error (as JSON too, where asked for), and returns its exit status. */
int options_fail(const CommonOptions *common, const GError *error);

/*
 * The connection that the options name. @may_read_only: with rights to read alone, that will do; then no guest can be
 * asked.
 */
DmConnection *options_connect(const CommonOptions *common, gboolean may_read_only, GError **error);

/* The verb of that name in main.c's table, or NULL. */
const DmVerb *verb_find(const char *name);

/* ---- show.c ---- */

/* Brings the steps of the recorded request up to what the VM itself shows, where nobody has accounted for it yet. */
void show_refresh(DmVm *vm);

/* ---- apply.c ---- */

typedef struct {
  gboolean dry_run;
  gboolean no_retry;
  double timeout;
  gboolean try_unmovable;
  gboolean force;
} ApplyOptions;

#define TRY_UNMOVABLE_HELP "ask for devices as well that the guest says it cannot move"
#define FORCE_HELP "take more than the guest says it can spare"

DmPlanFlags options_plan_flags(const ApplyOptions *options);

#define APPLY_DEFAULT_TIMEOUT 60

/*
 * Plans by @plan and carries the plan out, with progress, and tells what came of it. Ctrl-C stops the waiting. Returns
 * the exit status.
 */
int apply_change(
  const CommonOptions *common, const ApplyOptions *options, const char *vm_name, DmPlanFunc plan, gpointer plan_data);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: a table of verbs, one file each. A verb reads its options, does its work through the engine, and
 * returns an exit status of base/error.h. Everything runs in the main thread.
 */
#pragma once

#include <glib.h>

#include "agents/look.h"
#include "base/error.h"
#include "engine/change.h"
#include "hypervisor/domain.h"

/* A former name, accepted but not shown. */
#define OPTIONS_FORMER(name, variable, argument) \
  { name, 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_STRING, variable, "a former name", argument }

typedef struct DmVerb DmVerb;

struct DmVerb {
  const char *name;
  const char *arguments; /* operands, as in the usage line */
  const char *summary;   /* one line for the list of verbs */
  int (*run)(const DmVerb *verb, int argc, char **argv);
  gboolean only_prints; /* changes nothing */
};

int verb_doctor(const DmVerb *verb, int argc, char **argv);
int verb_enable(const DmVerb *verb, int argc, char **argv);
int verb_guest(const DmVerb *verb, int argc, char **argv);
int verb_hosts(const DmVerb *verb, int argc, char **argv);
int verb_list(const DmVerb *verb, int argc, char **argv);
int verb_plug(const DmVerb *verb, int argc, char **argv);
int verb_reclaim(const DmVerb *verb, int argc, char **argv);
int verb_set(const DmVerb *verb, int argc, char **argv);
int verb_settle(const DmVerb *verb, int argc, char **argv);
int verb_show(const DmVerb *verb, int argc, char **argv);
int verb_unplug(const DmVerb *verb, int argc, char **argv);

/* ---- options.c ---- */

/* Options that every verb has. Owned by the verb; free with options_clear(). */
typedef struct {
  char *uri;     /* NULL: libvirt's default */
  char *output;  /* "text" or "json" as given */
  gboolean json; /* its meaning */
  char **argv;   /* what the verb's operands stand in */
} CommonOptions;

void options_clear(CommonOptions *common);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CommonOptions, options_clear)

/* Whether the arguments request JSON, as far as known before parsing. */
gboolean options_want_json(int argc, char **argv);

/*
 * Reads @argv by @entries (may be NULL) and the common options; prints the help and exits for --help. What is left in
 * @argv after the verb's name are its operands: at least @min and at most @max (-1: any number), else FALSE with
 * DM_ERROR_USAGE.
 */
gboolean options_parse(const DmVerb *verb, const char *description, const GOptionEntry *entries, CommonOptions *common,
  int *argc, char ***argv, int min, int max, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The size in the option @name; FALSE with an error that names the option. */
gboolean options_size(const char *name, const char *text, uint64_t *bytes, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* "30", "30s", "2m", "500ms" in seconds. */
gboolean options_seconds(const char *name, const char *text, double *seconds, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* A whole number from @least to @most. */
gboolean options_number(
  const char *name, const char *text, guint least, guint most, guint *number, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * How memory is plugged on that connection: by --kind and --policy; where one is NULL, not given, by DIMMER_PLUG_KIND
 * or DIMMER_PLUG_POLICY of the environment, else the specification's way.
 */
gboolean options_plug(const CommonOptions *common, const char *kind, const char *policy, DmPlugDefaults *plugs,
  GError **error) G_GNUC_WARN_UNUSED_RESULT;

#define OPTIONS_KIND_HELP "of new devices: dimm (default), virtio-mem, or auto (what suits the VM)"
#define OPTIONS_POLICY_HELP "the split into DIMMs: ovirt (default), whole, fine"

/* The libvirt connection requested by -c or the environment; NULL: none. */
const char *options_uri(const CommonOptions *common);

/* The line of dm_shell_command() for that connection. The caller frees. */
char *options_command(
  const CommonOptions *common, const char *first, ...) G_GNUC_NULL_TERMINATED G_GNUC_WARN_UNUSED_RESULT;

/* The error as shown on the command line: its message, with the command that is the remedy. */
char *options_message(const CommonOptions *common, const GError *error) G_GNUC_WARN_UNUSED_RESULT;

/* Prints the error (also as JSON if requested), and returns its exit status. */
int options_fail(const CommonOptions *common, const GError *error);
/* As that, with what became of an earlier request (DmNote; NULL: none). */
int options_fail_noting(const CommonOptions *common, const GError *error, const GPtrArray *notes);

/*
 * The connection given by the options. @may_read_only: accepts read-only access; then guests cannot be queried.
 */
DmConnection *options_connect(
  const CommonOptions *common, gboolean may_read_only, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- debug.c ---- */

/* From now on, messages of base/debug.h go to standard error, with the time of day. */
void debug_start(void);
/* The environment has DIMMER_DEBUG, and it is neither empty nor 0. */
gboolean debug_is_wanted(void);

/* ---- show.c ---- */

/* Updates the steps of the recorded request from the VM itself, if not yet accounted for. */
void show_refresh(DmVm *vm);

/* ---- balloons.c ---- */

/* Asks QEMU what the balloons of @vms hold that may hold something. One that does not answer at once stays unknown. */
void balloons_read(DmConnection *connection, DmVm **vms, guint count);

/* ---- checkup.c ---- */

/* dm_checkup() to its end. The caller owns the VM; NULL with an error. */
DmVm *checkup_vm(
  DmConnection *connection, const char *name, DmLookDepth depth, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- apply.c ---- */

typedef struct {
  gboolean dry_run;
  gboolean no_retry;
  double timeout;
  gboolean try_unmovable;
  gboolean force;
  gboolean balloon;
} ApplyOptions;

#define OPTION_DRY_RUN(variable) \
  { "dry-run", 'n', 0, G_OPTION_ARG_NONE, variable, "print the plan and change nothing", NULL }
#define OPTION_TIMEOUT(variable) \
  { "timeout", 't', 0, G_OPTION_ARG_STRING, variable, "how long to wait for the guest's answers (60s)", "TIME" }
#define TRY_UNMOVABLE_HELP "ask for devices as well that the guest says it cannot move"
#define BALLOON_HELP "have the balloon take what no memory device can give"
#define FORCE_HELP "take more than the guest says it can spare"

/* The exit status of a request that ended so. */
int options_outcome_status(DmOutcome outcome);

DmPlanFlags options_plan_flags(const ApplyOptions *options);

#define APPLY_DEFAULT_TIMEOUT 60

/*
 * Plans @wish and carries the plan out, showing progress and the result. Ctrl-C stops waiting. Returns the exit status.
 */
int apply_change(const CommonOptions *common, const ApplyOptions *options, const char *vm_name, const DmWish *wish);

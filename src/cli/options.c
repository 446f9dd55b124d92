/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/shell.h"
#include "base/size.h"
#include "cli.h"
#include "json.h"

void options_clear(CommonOptions *common) {
  g_clear_pointer(&common->uri, g_free);
  g_clear_pointer(&common->output, g_free);
  g_clear_pointer(&common->argv, g_free);
}

gboolean options_want_json(int argc, char **argv) {
  for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
    const char *next = i + 1 < argc ? argv[i + 1] : "";
    if (strcmp(argv[i], "--output=json") == 0 || strcmp(argv[i], "-ojson") == 0)
      return TRUE;
    if ((strcmp(argv[i], "-o") == 0 || strcmp(argv[i], "--output") == 0) && strcmp(next, "json") == 0)
      return TRUE;
  }
  return FALSE;
}

static char *usage_of(const DmVerb *verb) {
  return g_strconcat("dimmer ", verb->name, " [OPTION...]", *verb->arguments != '\0' ? " " : "", verb->arguments, NULL);
}

static gboolean wrong_usage(const DmVerb *verb, const char *why, GError **error) {
  g_autofree char *usage = usage_of(verb);
  g_set_error(error, DM_ERROR, DM_ERROR_USAGE, "%s; usage: %s", why, usage);
  return FALSE;
}

static gboolean read_output(CommonOptions *common, GError **error) {
  common->json = g_strcmp0(common->output, "json") == 0;
  if (common->output == NULL || common->json || strcmp(common->output, "text") == 0)
    return TRUE;
  g_set_error(error, DM_ERROR, DM_ERROR_USAGE, "--output is 'text' or 'json', not '%s'", common->output);
  return FALSE;
}

static void print_entries(const GOptionEntry *entries) {
  for (; entries != NULL && entries->long_name != NULL; entries++) {
    if ((entries->flags & G_OPTION_FLAG_HIDDEN) != 0)
      continue;
    g_autofree char *letter =
      entries->short_name != 0 ? g_strdup_printf("-%c, ", entries->short_name) : g_strdup("    ");
    g_autofree char *name = g_strconcat(
      letter, "--", entries->long_name, entries->arg_description != NULL ? "=" : "", entries->arg_description, NULL);
    printf("  %-26s %s\n", name, entries->description);
  }
}

static void print_help(
  const DmVerb *verb, const char *description, const GOptionEntry *own, const GOptionEntry *common) {
  g_autofree char *usage = usage_of(verb);
  printf(
    "Usage: %s\n\n%c%s.\n\n%s\n\nOptions:\n", usage, g_ascii_toupper(*verb->summary), verb->summary + 1, description);
  print_entries(own);
  print_entries(common);
}

/* The operands of the verb: those in its usage, the last one repeated if @max is -1. */
static gboolean check_operands(const DmVerb *verb, int count, char **operands, int min, int max, GError **error) {
  if (count < min) {
    g_auto(GStrv) names = g_strsplit(verb->arguments, " ", -1);
    g_autofree char *why = g_strdup_printf("%s is missing", names[count]);
    return wrong_usage(verb, why, error);
  }
  if (max >= 0 && count > max) {
    g_autofree char *why = g_strdup_printf("unexpected argument '%s'", operands[max]);
    return wrong_usage(verb, why, error);
  }
  for (int i = 0; i < count; i++) {
    if (*operands[i] == '\0')
      return wrong_usage(verb, "an argument is empty", error);
  }
  return TRUE;
}

/* GLib keeps the first "--" among the arguments if one after it begins with a dash: "guest prepare -- -db". */
static void drop_separator(int *argc, char ***argv) {
  for (int i = 1; i < *argc; i++) {
    if (strcmp((*argv)[i], "--") != 0)
      continue;
    char *separator = (*argv)[i];
    memmove(*argv + 1, *argv, (gsize)i * sizeof **argv);
    *(*argv)++ = separator;
    (*argc)--;
    return;
  }
}

static gboolean letter_takes_value(const GOptionEntry *entries, char letter) {
  for (; entries != NULL && entries->long_name != NULL; entries++) {
    if (entries->short_name == letter)
      return entries->arg != G_OPTION_ARG_NONE;
  }
  return FALSE;
}

/* "-ojson" becomes "-o json", as GLib's parser does not support the former. The caller frees the array, not its words.
 */
static char **split_short_options(char **argv, const GOptionEntry *own, const GOptionEntry *common) {
  GPtrArray *split = g_ptr_array_new();
  gboolean operands = FALSE;
  for (; *argv != NULL; argv++) {
    const char *word = *argv;
    operands |= strcmp(word, "--") == 0;
    if (!operands && word[0] == '-' && word[1] != '\0' && word[2] != '\0' &&
      (letter_takes_value(own, word[1]) || letter_takes_value(common, word[1]))) {
      const char letter[] = {'-', word[1], '\0'};
      g_ptr_array_add(split, (char *)g_intern_string(letter));
      g_ptr_array_add(split, *argv + 2);
    } else {
      g_ptr_array_add(split, *argv);
    }
  }
  g_ptr_array_add(split, NULL);
  return (char **)g_ptr_array_free(split, FALSE);
}

gboolean options_parse(const DmVerb *verb, const char *description, const GOptionEntry *entries, CommonOptions *common,
  int *argc, char ***argv, int min, int max, GError **error) {
  gboolean help = FALSE, debug = FALSE;
  const GOptionEntry common_entries[] = {
    {"connect", 'c', 0, G_OPTION_ARG_STRING, &common->uri, "the libvirt connection; libvirt's own default without it",
      "URI"},
    {"output", 'o', 0, G_OPTION_ARG_STRING, &common->output, "text (default) or json", "FORMAT"},
    {"debug", 0, 0, G_OPTION_ARG_NONE, &debug,
      "show each libvirt call, event, phase and agent's line on standard error", NULL},
    {"help", 'h', 0, G_OPTION_ARG_NONE, &help, "this help", NULL},
    {NULL},
  };
  g_autoptr(GOptionContext) context = g_option_context_new(NULL);
  g_option_context_set_help_enabled(context, FALSE); /* GLib's help has no place for the verb's description, and does
                                                      * not wrap */
  if (entries != NULL)
    g_option_context_add_main_entries(context, entries, NULL);
  g_option_context_add_main_entries(context, common_entries, NULL);

  g_autoptr(GError) failed = NULL;
  common->json = options_want_json(*argc, *argv); /* for an error in the options */
  common->argv = split_short_options(*argv, entries, common_entries);
  *argv = common->argv;
  *argc = (int)g_strv_length(*argv);
  if (!g_option_context_parse(context, argc, argv, &failed))
    return wrong_usage(verb, failed->message, error);
  if (debug)
    debug_start();
  if (help) {
    print_help(verb, description, entries, common_entries);
    exit(DM_EXIT_DONE);
  }
  if (!read_output(common, error))
    return FALSE;
  drop_separator(argc, argv);
  return check_operands(verb, *argc - 1, *argv + 1, min, max, error);
}

gboolean options_size(const char *name, const char *text, uint64_t *bytes, GError **error) {
  if (dm_size_parse(text, bytes, error))
    return TRUE;
  g_prefix_error(error, "%s: ", name);
  return FALSE;
}

gboolean options_seconds(const char *name, const char *text, double *seconds, GError **error) {
  char *end = NULL;
  double number = g_ascii_strtod(text, &end);
  double unit = strcmp(end, "ms") == 0 ? 0.001 : strcmp(end, "m") == 0 ? 60 : 1;
  gboolean known = *end == '\0' || strcmp(end, "s") == 0 || strcmp(end, "ms") == 0 || strcmp(end, "m") == 0;
  /* The timer's maximum is G_MAXINT milliseconds; "nan" fails both comparisons. */
  if (end != text && known && g_ascii_isdigit(*text) && number * unit >= 0 && number * unit <= 1e6) {
    *seconds = number * unit;
    return TRUE;
  }
  g_set_error(
    error, DM_ERROR, DM_ERROR_USAGE, "%s: '%s' is not a time; write it like 30, 30s, 2m or 500ms", name, text);
  return FALSE;
}

gboolean options_number(const char *name, const char *text, guint least, guint most, guint *number, GError **error) {
  guint64 value = 0;
  if (g_ascii_string_to_unsigned(text, 10, least, most, &value, NULL)) {
    *number = (guint)value;
    return TRUE;
  }
  g_set_error(error, DM_ERROR, DM_ERROR_USAGE, "%s: '%s' is not a whole number from %u to %u", name, text, least, most);
  return FALSE;
}

/* @words have something for a connection, but not for @uri as spelled: libvirt may have another spelling for it. */
static gboolean is_spelled_otherwise(char **words, const char *uri) {
  gboolean any = FALSE;
  for (; *words != NULL; words++) {
    const char *equals = strrchr(*words, '=');
    gsize length = equals != NULL ? (gsize)(equals - *words) : 0;
    if (equals != NULL && uri != NULL && strlen(uri) == length && strncmp(uri, *words, length) == 0)
      return FALSE;
    any |= equals != NULL;
  }
  return any;
}

/* libvirt resolves its default and aliases only in an open connection. Where it cannot be opened, the verb says so. */
static char *resolve_uri(const CommonOptions *common, char **words) {
  const char *uri = options_uri(common);
  if (!is_spelled_otherwise(words, uri))
    return g_strdup(uri);
  g_autoptr(DmConnection) connection = options_connect(common, TRUE, NULL);
  return g_strdup(connection != NULL ? dm_connection_uri(connection) : uri);
}

/* Only what is to be used is read: one of them may be wrong, and not matter. */
static gboolean read_plug_variable(
  const CommonOptions *common, gboolean of_kind, DmPlugDefaults *plugs, GError **error) {
  const char *name = of_kind ? "DIMMER_PLUG_KIND" : "DIMMER_PLUG_POLICY", *text = g_getenv(name), *wrong;
  g_auto(GStrv) words = g_strsplit(text != NULL ? text : "", " ", -1);
  const char *const *list = (const char *const *)words;
  DmPlugDefaults read;
  g_autofree char *uri = resolve_uri(common, words);
  dm_plug_defaults_read(of_kind ? list : NULL, of_kind ? NULL : list, uri, &read, &wrong);
  if (wrong != NULL) {
    g_set_error(error, DM_ERROR, DM_ERROR_USAGE, "the environment variable %s: '%s' is not valid; write %s, or URI=%s",
      name, wrong, of_kind ? "dimm, virtio-mem or auto" : "ovirt, whole or fine", of_kind ? "KIND" : "POLICY");
    return FALSE;
  }
  if (of_kind) {
    plugs->choose_kind = read.choose_kind;
    plugs->kind = read.kind;
  } else {
    plugs->policy = read.policy;
  }
  return TRUE;
}

gboolean options_plug(
  const CommonOptions *common, const char *kind, const char *policy, DmPlugDefaults *plugs, GError **error) {
  if ((kind == NULL && !read_plug_variable(common, TRUE, plugs, error)) ||
    (policy == NULL && !read_plug_variable(common, FALSE, plugs, error)))
    return FALSE;
  switch (dm_plug_defaults_name(plugs, kind, policy)) {
    case DM_PLUG_WELL:
      return TRUE;
    case DM_PLUG_BAD_KIND:
      g_set_error(error, DM_ERROR, DM_ERROR_USAGE, "--kind is 'dimm', 'virtio-mem' or 'auto', not '%s'", kind);
      return FALSE;
    case DM_PLUG_BAD_POLICY:
      g_set_error(error, DM_ERROR, DM_ERROR_USAGE, "--policy is 'ovirt', 'whole' or 'fine', not '%s'", policy);
      return FALSE;
    case DM_PLUG_NOT_SPLIT:
      break;
  }
  g_set_error(error, DM_ERROR, DM_ERROR_USAGE, "--policy goes with --kind dimm: a virtio-mem device is not split");
  return FALSE;
}

const char *options_uri(const CommonOptions *common) {
  return common->uri != NULL ? common->uri : g_getenv("LIBVIRT_DEFAULT_URI");
}

char *options_command(const CommonOptions *common, const char *first, ...) {
  va_list words;
  va_start(words, first);
  g_autofree char *command = dm_shell_command_va(first, words);
  va_end(words);
  return dm_shell_connected(command, options_uri(common));
}

char *options_message(const CommonOptions *common, const GError *error) {
  g_autofree char *command = dm_shell_connected(dm_error_get_command(error), options_uri(common));
  return command != NULL ? g_strdup_printf("%s: %s", error->message, command) : g_strdup(error->message);
}

int options_fail(const CommonOptions *common, const GError *error) {
  return options_fail_noting(common, error, NULL);
}

int options_fail_noting(const CommonOptions *common, const GError *error, const GPtrArray *notes) {
  g_autofree char *message = options_message(common, error);
  for (guint i = 0; !common->json && notes != NULL && i < notes->len; i++)
    printf("  note: %s\n", ((const DmNote *)notes->pdata[i])->text);
  fflush(stdout);
  fprintf(stderr, "dimmer: %s\n", message);
  if (common->json)
    json_print(json_from_error(error, message, notes));
  return dm_error_info_of(error)->exit_status;
}

DmConnection *options_connect(const CommonOptions *common, gboolean may_read_only, GError **error) {
  g_autoptr(GError) failed = NULL;
  DmConnection *connection = dm_connection_open(common->uri, DM_CONNECTION_CHANGES, &failed);
  if (connection != NULL)
    return connection;
  if (may_read_only && (connection = dm_connection_open(common->uri, DM_CONNECTION_LOOKS, NULL)) != NULL)
    return connection;
  g_propagate_error(error, g_steal_pointer(&failed));
  return NULL;
}

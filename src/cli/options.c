/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "cli.h"
#include "json.h"

void options_clear(CommonOptions *common) {
  g_clear_pointer(&common->uri, g_free);
  g_clear_pointer(&common->output, g_free);
}

gboolean options_want_json(int argc, char **argv) {
  for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
    const char *next = i + 1 < argc ? argv[i + 1] : "";
    if (strcmp(argv[i], "--output=json") == 0)
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
    g_autofree char *letter =
      entries->short_name != 0 ? g_strdup_printf("-%c, ", entries->short_name) : g_strdup("    ");
    g_autofree char *name = g_strconcat(
      letter, "--", entries->long_name, entries->arg_description != NULL ? "=" : "", entries->arg_description, NULL);
    printf("  %-24s %s\n", name, entries->description);
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

/* As many operands as the verb takes: those in its usage, the last one repeated where @max is -1. */
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

gboolean options_parse(const DmVerb *verb, const char *description, const GOptionEntry *entries, CommonOptions *common,
  int *argc, char ***argv, int min, int max, GError **error) {
  gboolean help = FALSE;
  const GOptionEntry common_entries[] = {
    {"connect", 'c', 0, G_OPTION_ARG_STRING, &common->uri, "the libvirt connection; libvirt's own default without it",
      "URI"},
    {"output", 'o', 0, G_OPTION_ARG_STRING, &common->output, "text (default) or json", "FORMAT"},
    {"help", 'h', 0, G_OPTION_ARG_NONE, &help, "this help", NULL},
    {NULL},
  };
  g_autoptr(GOptionContext) context = g_option_context_new(NULL);
  g_option_context_set_help_enabled(context, FALSE); /* GLib's has no place for what the verb does, and does not wrap */
  if (entries != NULL)
    g_option_context_add_main_entries(context, entries, NULL);
  g_option_context_add_main_entries(context, common_entries, NULL);

  g_autoptr(GError) failed = NULL;
  common->json = options_want_json(*argc, *argv); /* for a mistake among the options */
  if (!g_option_context_parse(context, argc, argv, &failed))
    return wrong_usage(verb, failed->message, error);
  if (help) {
    print_help(verb, description, entries, common_entries);
    exit(DM_EXIT_DONE);
  }
  if (!read_output(common, error))
    return FALSE;
  if (*argc > 1 && strcmp((*argv)[1], "--") == 0) {
    (*argv)++;
    (*argc)--;
  }
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
  /* G_MAXINT milliseconds is what the timer can count; "nan" fails both comparisons. */
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

char *options_message(const GError *error) {
  const char *command = dm_error_get_command(error);
  return command != NULL ? g_strdup_printf("%s: '%s'", error->message, command) : g_strdup(error->message);
}

int options_fail(const CommonOptions *common, const GError *error) {
  g_autofree char *message = options_message(error);
  fprintf(stderr, "dimmer: %s\n", message);
  if (common->json)
    json_print(json_from_error(error));
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

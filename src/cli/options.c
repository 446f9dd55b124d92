/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "cli.h"
#include "json.h"

void options_clear(CommonOptions *common) {
  g_clear_pointer(&common->uri, g_free);
  g_clear_pointer(&common->output, g_free);
}

static gboolean wrong_usage(const DmVerb *verb, const char *why, GError **error) {
  g_set_error(error, DM_ERROR, DM_ERROR_USAGE, "%s; usage: dimmer %s [OPTION...] %s", why, verb->name, verb->arguments);
  return FALSE;
}

static gboolean read_output(CommonOptions *common, GError **error) {
  common->json = g_strcmp0(common->output, "json") == 0;
  if (common->output == NULL || common->json || strcmp(common->output, "text") == 0)
    return TRUE;
  g_set_error(error, DM_ERROR, DM_ERROR_USAGE, "--output is 'text' or 'json', not '%s'", common->output);
  return FALSE;
}

gboolean options_parse(const DmVerb *verb, const char *description, const GOptionEntry *entries, CommonOptions *common,
  int *argc, char ***argv, int min, int max, GError **error) {
  const GOptionEntry common_entries[] = {
    {"connect", 'c', 0, G_OPTION_ARG_STRING, &common->uri, "the libvirt connection; libvirt's own default without it",
      "URI"},
    {"output", 'o', 0, G_OPTION_ARG_STRING, &common->output, "text (default) or json", "FORMAT"},
    {NULL},
  };
  g_autofree char *usage = g_strjoin(" ", verb->arguments, "-", verb->summary, NULL);
  g_autoptr(GOptionContext) context = g_option_context_new(usage);
  g_autofree char *program = g_strjoin(" ", "dimmer", verb->name, NULL);
  g_set_prgname(program); /* the usage line has it */
  if (entries != NULL)
    g_option_context_add_main_entries(context, entries, NULL);
  g_option_context_add_main_entries(context, common_entries, NULL);
  g_option_context_set_description(context, description);

  g_autoptr(GError) failed = NULL;
  if (!g_option_context_parse(context, argc, argv, &failed))
    return wrong_usage(verb, failed->message, error);
  if (!read_output(common, error))
    return FALSE;
  int count = *argc - 1;
  if (count > 0 && strcmp((*argv)[1], "--") == 0) {
    (*argv)++;
    (*argc)--;
    count--;
  }
  if (count < min)
    return wrong_usage(verb, "something is missing", error);
  if (max >= 0 && count > max) {
    g_autofree char *why = g_strdup_printf("'%s' is too much", (*argv)[max + 1]);
    return wrong_usage(verb, why, error);
  }
  return TRUE;
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

gboolean options_number(const char *name, const char *text, guint most, guint *number, GError **error) {
  guint64 value = 0;
  if (g_ascii_string_to_unsigned(text, 10, 0, most, &value, NULL)) {
    *number = (guint)value;
    return TRUE;
  }
  g_set_error(error, DM_ERROR, DM_ERROR_USAGE, "%s: '%s' is not a whole number from 0 to %u", name, text, most);
  return FALSE;
}

int options_fail(const CommonOptions *common, const GError *error) {
  fprintf(stderr, "dimmer: %s\n", error->message);
  if (common->json)
    json_print(json_from_error(error));
  return dm_error_info_of(error)->exit_status;
}

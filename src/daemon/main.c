/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of dimmerd. */
#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "config.h"
#include "hypervisor/connection.h"
#include "log.h"
#include "service.h"
#include "settings.h"
#include "user.h"

typedef struct {
  char *config, *role, *users;
  gboolean check, help, version;
  char **words; /* operands */
} Options;

static void options_clear(Options *options) {
  g_free(options->config);
  g_free(options->role);
  g_free(options->users);
  g_strfreev(options->words);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Options, options_clear)

static void print_entries(const char *heading, const GOptionEntry *entries) {
  printf("\n%s:\n", heading);
  for (; entries->long_name != NULL; entries++) {
    g_autofree char *letter =
      entries->short_name != 0 ? g_strdup_printf("-%c, ", entries->short_name) : g_strdup("    ");
    g_autofree char *name = g_strconcat(
      letter, "--", entries->long_name, entries->arg_description != NULL ? "=" : "", entries->arg_description, NULL);
    printf("  %-20s %s\n", name, entries->description);
  }
}

static void print_help(const GOptionEntry *own, const GOptionEntry *of_user) {
  puts(
    "Usage:\n  dimmerd [OPTION...]\n  dimmerd user VERB [NAME] [OPTION...]\n\n"
    "Serves the memory of the VMs of libvirt hosts over an oVirt-compatible REST API.\n\n"
    "Verbs:");
  user_print_verbs();
  print_entries("Options", own);
  print_entries("Options of user", of_user);
  puts("\nKeys of the configuration file, with the defaults of the system's service:");
  keys_print();
  puts("\nTimes are in seconds, or like 500ms or 2m. See dimmerd(8).");
}

/* FALSE with DM_ERROR_USAGE. */
static gboolean parse(int argc, char **argv, Options *options, GError **error) {
  const GOptionEntry own[] = {
    {"config", 0, 0, G_OPTION_ARG_FILENAME, &options->config, "the configuration file", "FILE"},
    {"check", 0, 0, G_OPTION_ARG_NONE, &options->check, "read configuration, certificate and users, and exit", NULL},
    {"help", 'h', 0, G_OPTION_ARG_NONE, &options->help, "this help", NULL},
    {"version", 0, 0, G_OPTION_ARG_NONE, &options->version, "the version", NULL},
    {NULL},
  };
  const GOptionEntry of_user[] = {
    {"role", 0, 0, G_OPTION_ARG_STRING, &options->role, "of a user to add: admin, or viewer (default)", "ROLE"},
    {"users", 0, 0, G_OPTION_ARG_FILENAME, &options->users, "the users file; else what the configuration names",
      "FILE"},
    {NULL},
  };
  const GOptionEntry words[] = {
    {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &options->words, NULL, NULL},
    {NULL},
  };
  g_autoptr(GOptionContext) context = g_option_context_new(NULL);
  g_option_context_set_help_enabled(context, FALSE); /* GLib's help has no place for verbs and keys */
  g_option_context_add_main_entries(context, own, NULL);
  g_option_context_add_main_entries(context, of_user, NULL);
  g_option_context_add_main_entries(context, words, NULL);
  g_autoptr(GError) failed = NULL;
  if (!g_option_context_parse(context, &argc, &argv, &failed)) {
    g_set_error(error, DM_ERROR, DM_ERROR_USAGE, "%s; 'dimmerd --help' lists the options", failed->message);
    return FALSE;
  }
  if (options->help)
    print_help(own, of_user);
  return TRUE;
}

static gboolean check_usage(const Options *options, GError **error) {
  const char *why = NULL;
  gboolean user = options->words != NULL && strcmp(options->words[0], "user") == 0;
  if (options->words != NULL && !user)
    why = "the only verb is 'user'";
  else if (!user && (options->role != NULL || options->users != NULL))
    why = "--role and --users are for 'dimmerd user'";
  else if (user && options->check)
    why = "--check is not for 'dimmerd user'";
  else if (options->users != NULL && options->config != NULL)
    why = "--users and --config exclude each other";
  if (why == NULL)
    return TRUE;
  g_set_error(error, DM_ERROR, DM_ERROR_USAGE, "%s; see 'dimmerd --help'", why);
  return FALSE;
}

static int fail(const GError *error) {
  fprintf(stderr, "%sdimmerd: %s\n", log_stderr_is_journal() ? "<3>" : "", error->message);
  return error->domain == DM_ERROR && error->code == DM_ERROR_USAGE ? DM_EXIT_USAGE : DM_EXIT_FAILED;
}

/* If a standard stream is closed, the next socket would get its descriptor, and our output would go there. */
static void open_standard_streams(void) {
  int fd;
  do
    fd = open("/dev/null", O_RDWR);
  while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0)
    close(fd);
}

static int finish(void) {
  if (fflush(stdout) == 0 && !ferror(stdout))
    return DM_EXIT_DONE;
  fprintf(stderr, "dimmerd: cannot write to standard output: %s\n", g_strerror(errno));
  return DM_EXIT_FAILED;
}

static int run_user(const Options *options) {
  g_autoptr(GError) error = NULL;
  g_autofree char *file = NULL;
  if (options->users != NULL) {
    file = g_canonicalize_filename(options->users, NULL);
  } else {
    g_autoptr(Settings) settings = settings_load(options->config, &error);
    if (settings == NULL)
      return fail(error);
    file = g_strdup(settings->users_file);
  }
  return user_run(options->words + 1, options->role, file, &error) ? finish() : fail(error);
}

static int run_service(const Options *options) {
  g_autoptr(GError) error = NULL;
  g_autoptr(Settings) settings = settings_load(options->config, &error);
  if (settings == NULL || (options->check && !service_check(settings, &error)))
    return fail(error);
  if (options->check) {
    puts("ok");
    return finish();
  }
  log_start();
  gboolean ran = service_run(g_steal_pointer(&settings), options->config, &error);
  gboolean ended = dm_hypervisor_end();
  int status = ran ? DM_EXIT_DONE : fail(error);
  if (!ended)
    _exit(status);
  return status;
}

int main(int argc, char **argv) {
  open_standard_streams();
  setlocale(LC_ALL, "");
  g_set_prgname("dimmerd");
  g_auto(Options) options = {0};
  g_autoptr(GError) error = NULL;
  if (!parse(argc, argv, &options, &error))
    return fail(error);
  if (options.help)
    return finish();
  if (options.version) {
    puts("dimmerd " DM_VERSION);
    return finish();
  }
  if (!check_usage(&options, &error))
    return fail(error);
  return options.words != NULL ? run_user(&options) : run_service(&options);
}

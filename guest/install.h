/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

/*
 * Installs what is missing: the program below /usr/local/sbin, the udev rule, the service for the present service
 * manager, the kernel's policy. With @print it changes nothing and prints a shell script that does the same. False,
 * after reporting it, if something failed. @port: the service's port, a name that install_can_name() accepts.
 */
bool install(bool print, const char *port);

/* Whether the files of all service managers can contain that name unquoted. */
bool install_can_name(const char *port);

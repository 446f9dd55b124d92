/* SPDX-License-Identifier: Apache-2.0 */
/* XML as lines of text, so that two documents can be compared element by element. */
#pragma once

#include <glib.h>

/* The text of tests/unit/samples/NAME.xml. The caller frees. */
char *sample(const char *name);

/*
 * What differs between two documents, one element in a line: "-" is only in @before, "+" only in @after, in the order
 * of the documents. A line is "PATH ATTRIBUTE=VALUE...: TEXT"; elements and attributes in a namespace are written
 * {namespace}name. Blanks between elements do not count. "" where nothing differs. The caller frees.
 */
char *xml_difference(const char *before, const char *after);
